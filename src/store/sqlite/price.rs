//! Price of an image according to the manifest, and the cost of all submissions so far.
//!
//! The price is stored for runs that need not read the manifest again.

use serde_json::{Map, Value, json};

use crate::model::cost::Cost;
use crate::model::phase::JobRecord;
use crate::model::price::Price;
use crate::store::error::LedgerError;
use crate::store::format::phase::SUBMITTING;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::row::UNFINISHED;

/// Accepted submissions, by model.
const ACCEPTED: &str =
    "SELECT request ->> 'model', count(*) FROM events JOIN jobs ON row = job WHERE kind = 'accepted' GROUP BY 1";

/// Accepted submissions if all models have one price: takes a third of the time, as no job is read.
const ACCEPTED_OF_ALL: &str = "SELECT '', count(*) FROM events WHERE kind = 'accepted'";

/// Submissions in doubt, by model: submissions whose answer was lost, and submissions without an answer on record. A submission
/// is accepted at most once. A submission in doubt that turned out to be accepted is therefore no longer in doubt.
const DOUBTS: &str = "WITH doubtful AS MATERIALIZED ( \
         SELECT row, request ->> 'model' AS model, n_submits, \
                n_in_doubt + (phase = 1 AND coalesce(fault ->> 0, '') NOT IN ('in_doubt', 'rejected')) AS n_doubts \
         FROM jobs WHERE n_in_doubt > 0 OR phase = 1), \
     taken AS MATERIALIZED ( \
         SELECT job, count(*) AS n_accepted FROM events \
         WHERE kind = 'accepted' AND job IN (SELECT row FROM doubtful) GROUP BY job) \
     SELECT model, sum(max(0, min(n_doubts, n_submits - coalesce(n_accepted, 0)))) \
     FROM doubtful LEFT JOIN taken ON job = row GROUP BY model";

impl SqliteStore {
    /// Stores the price of the manifest; `None` if the manifest names none.
    pub fn set_price(&self, price: Option<&Price>) -> Result<(), LedgerError> {
        self.set_meta("price", &price.map(price_text).unwrap_or_default())
    }

    /// Returns the price of the last imported manifest; `None` if it named none.
    pub fn price(&self) -> Result<Option<Price>, LedgerError> {
        Ok(self.meta("price")?.and_then(|text| price_from(&text)))
    }

    /// Determines the price of a run: the user's, else the manifest's, else the last one. Stores it for later runs and for the
    /// results. Returns `None` if no price is known.
    pub fn settle_price(&self, told: Option<Price>) -> Result<Option<Price>, LedgerError> {
        let before = self.price_used()?;
        let price = match told.map_or_else(|| self.price(), |price| Ok(Some(price)))? {
            None => before.clone(),
            price => price,
        };
        if price != before {
            self.set_meta("price_used", &price.as_ref().map(price_text).unwrap_or_default())?;
        }
        Ok(price)
    }

    /// Returns the price that the last run used; `None` if it had none.
    pub fn price_used(&self) -> Result<Option<Price>, LedgerError> {
        Ok(self.meta("price_used")?.and_then(|text| price_from(&text)))
    }

    /// Sums the cost of all submissions, including those of dropped jobs. Accepted submissions are the certain part.
    /// Submissions in doubt are the possible part. Returns `None` if a price is unknown. Reads every event.
    pub fn paid(&self, price: &Price) -> Result<Option<Cost>, LedgerError> {
        let mut cost = Some(Cost::default());
        let add = |cost: &mut Option<Cost>, model: &str, n: u64, is_sure: bool| match price.amount_of(model) {
            Some(price) if is_sure => cost.iter_mut().for_each(|cost| cost.sure += price.times(n)),
            Some(price) => cost.iter_mut().for_each(|cost| {
                cost.in_doubt += price.times(n);
                cost.n_in_doubt += n;
            }),
            None if n > 0 => *cost = None,
            None => (),
        };
        let accepted = if price.by_model.is_empty() { ACCEPTED_OF_ALL } else { ACCEPTED };
        self.each(accepted, (), |row| {
            add(&mut cost, &row.get::<_, String>(0)?, row.get(1)?, true);
            Ok(Ok::<_, LedgerError>(()))
        })?;
        if self.may_have_doubts()? {
            self.each(DOUBTS, (), |row| {
                add(&mut cost, &row.get::<_, String>(0)?, row.get(1)?, false);
                Ok(Ok::<_, LedgerError>(()))
            })?;
        }
        Ok(cost)
    }

    /// Returns whether there may be doubts, so that reading every job is worth the time.
    fn may_have_doubts(&self) -> Result<bool, LedgerError> {
        let mut is_submitting = false;
        let sql = format!("SELECT EXISTS (SELECT 1 FROM jobs WHERE {UNFINISHED} AND phase = {SUBMITTING})");
        self.each(&sql, (), |row| {
            is_submitting = row.get(0)?;
            Ok(Ok::<_, LedgerError>(()))
        })?;
        Ok(is_submitting || self.incidents()?.n_in_doubt > 0)
    }

    /// Finds the first model without a price, among all jobs that have cost something or may. Also returns the index of its
    /// first job. The index is 0 for a job that has left the manifest. Returns `None` if every price is known.
    pub fn first_without_price(&self, price: &Price) -> Result<Option<(String, u64)>, LedgerError> {
        if price.per_image.is_some() {
            return Ok(None);
        }
        let mut first = None;
        let sql = "SELECT request ->> 'model', coalesce(min(position), 0) FROM jobs \
                   WHERE position IS NOT NULL OR n_submits > 0 GROUP BY 1 ORDER BY 2";
        self.each(sql, (), |row| {
            let model: String = row.get(0)?;
            if first.is_none() && price.of(&model).is_none() {
                first = Some((model, row.get(1)?));
            }
            Ok(Ok::<_, LedgerError>(()))
        })?;
        Ok(first)
    }

    /// Prepares [the number of accepted submissions of a job](Self::n_accepted), as of this moment. Uses a temporary table,
    /// which `SQLite` keeps in a separate file. Reads every event.
    pub fn gather_accepted(&self) -> Result<(), LedgerError> {
        let gathered = self.connection.execute_batch(
            "DROP TABLE IF EXISTS temp.accepted; CREATE TEMP TABLE accepted (id BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID; \
             INSERT INTO temp.accepted SELECT id, count(*) FROM events JOIN jobs ON row = job \
             WHERE kind = 'accepted' AND n_submits > 1 GROUP BY job",
        );
        gathered.map_err(|error| self.error(error))
    }

    /// Counts the accepted submissions of this job. Needs the [table](Self::gather_accepted) of the jobs with several
    /// submissions.
    pub fn n_accepted(&self, known: &JobRecord) -> Result<u64, LedgerError> {
        // Job with a single submission: accepted if the job has a task.
        if known.state.n_submits <= 1 {
            return Ok(known.state.task.is_some().into());
        }
        let mut n = 0;
        self.each("SELECT n FROM temp.accepted WHERE id = ?1", [known.job.id.bytes()], |row| {
            n = row.get(0)?;
            Ok(Ok::<_, LedgerError>(()))
        })?;
        Ok(n)
    }
}

fn price_text(Price { unit, per_image, by_model }: &Price) -> String {
    json!({ "unit": unit, "per_image": per_image, "by_model": by_model }).to_string()
}

fn price_from(text: &str) -> Option<Price> {
    let map: Map<String, Value> = serde_json::from_str(text).ok()?;
    let by_model = map.get("by_model")?.as_object()?;
    let by_model =
        by_model.iter().map(|(model, price)| Some((model.clone(), price.as_f64()?))).collect::<Option<_>>()?;
    let per_image = map.get("per_image").and_then(Value::as_f64);
    Some(Price { unit: map.get("unit")?.as_str()?.to_owned(), per_image, by_model })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::amount::Amount;
    use crate::model::event::{EventKind, Stage};
    use crate::model::outcome::{Fault, FaultKind, TaskId};
    use crate::store::Ledger;
    use crate::store::sqlite::SqliteLedger;
    use crate::store::sqlite::tests::{all, event, file};

    fn by_model(price: f64) -> Price {
        Price { per_image: None, by_model: [("a/b".to_owned(), price)].into(), .."1 USD".parse().unwrap() }
    }

    fn cost(sure: f64, in_doubt: f64, n_in_doubt: u64) -> Cost {
        Cost { sure: Amount::new(sure), in_doubt: Amount::new(in_doubt), n_in_doubt }
    }

    fn setback(kind: FaultKind) -> EventKind {
        EventKind::Setback(if kind == FaultKind::TaskLost { Stage::Task } else { Stage::Submit }, Fault::new(kind, ""))
    }

    fn task(n: u8) -> EventKind {
        EventKind::Accepted(TaskId(n.to_string()))
    }

    /// Creates a ledger whose jobs have these events as their past.
    async fn with_past(folder: &std::path::Path, past: &[(&str, Vec<EventKind>)]) -> SqliteStore {
        let file = file(folder, &past.iter().map(|(prompt, _)| *prompt).collect::<Vec<_>>());
        let jobs = all(&file);
        let mut ledger = SqliteLedger::start(file).unwrap();
        ledger.load(10).await.unwrap();
        let events =
            jobs.iter().zip(past).flat_map(|(job, (_, kinds))| kinds.iter().map(|kind| event(job, 1, kind.clone())));
        ledger.commit(events.collect::<Vec<_>>().into()).await.unwrap();
        ledger.close().unwrap()
    }

    /// Goal: every accepted task is paid for, and nothing else. Method: one job that loses a task, and one that is refused.
    #[tokio::test]
    async fn every_accepted_task_is_paid_for() {
        use EventKind::SubmitStarted;
        let folder = tempfile::tempdir().unwrap();
        let past = [
            ("one", vec![SubmitStarted, task(1), setback(FaultKind::TaskLost), SubmitStarted, task(2)]),
            ("two", vec![SubmitStarted, task(3)]),
            ("three", vec![SubmitStarted, setback(FaultKind::Transient)]),
        ];
        let file = with_past(folder.path(), &past).await;
        let price = by_model(2.5);
        assert_eq!(file.paid(&price).unwrap(), Some(cost(7.5, 0.0, 0)));
        let unknown = Price { by_model: [].into(), ..price };
        assert_eq!(file.paid(&unknown).unwrap(), None, "nobody knows what that model costs");
    }

    /// Goal: a submission in doubt counts once at most. A submission that is known to be accepted or refused does not count.
    /// Method: each way into a doubt and out of it.
    #[tokio::test]
    async fn what_is_in_doubt_may_be_paid_for() {
        use EventKind::SubmitStarted;
        let folder = tempfile::tempdir().unwrap();
        let doubt = || setback(FaultKind::InDoubt);
        let past = [
            ("held", vec![SubmitStarted, doubt()]),
            ("submitted again", vec![SubmitStarted, doubt(), SubmitStarted, task(1)]),
            ("rejected", vec![SubmitStarted, setback(FaultKind::Rejected)]),
            ("the process died", vec![SubmitStarted]),
            ("died after a doubt", vec![SubmitStarted, doubt(), SubmitStarted]),
            ("accepted after all", vec![SubmitStarted, doubt(), task(2)]),
            ("refused after a doubt", vec![SubmitStarted, doubt(), SubmitStarted, setback(FaultKind::Transient)]),
            ("never sent", vec![]),
        ];
        let file = with_past(folder.path(), &past).await;
        assert_eq!(file.paid(&by_model(2.0)).unwrap(), Some(cost(4.0, 14.0, 7)));
        assert_eq!(file.paid(&"2 USD".parse().unwrap()).unwrap(), Some(cost(4.0, 14.0, 7)), "one price for all");
        assert_eq!(file.paid(&"0 USD".parse().unwrap()).unwrap(), Some(cost(0.0, 0.0, 7)));
        file.gather_accepted().unwrap();
        let n_accepted: Vec<u64> = all(&file).iter().map(|known| file.n_accepted(known).unwrap()).collect();
        assert_eq!(n_accepted, [0, 1, 0, 0, 0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn a_job_costs_as_often_as_it_was_accepted() {
        use EventKind::{Reopened, SubmitStarted};
        let folder = tempfile::tempdir().unwrap();
        let moderated =
            || EventKind::Finished(crate::model::outcome::Outcome::Failed(Fault::new(FaultKind::Moderated, "")));
        let again = Reopened(crate::model::event::ReopenTarget::Submit);
        let past = [
            ("lost", vec![SubmitStarted, task(1), setback(FaultKind::TaskLost), SubmitStarted, task(2)]),
            ("once", vec![SubmitStarted, task(3)]),
            ("lost and left", vec![SubmitStarted, task(4), setback(FaultKind::TaskLost)]),
            ("throttled", vec![SubmitStarted, setback(FaultKind::Transient), SubmitStarted, task(5)]),
            ("never accepted", vec![SubmitStarted, setback(FaultKind::Transient)]),
            ("never sent", vec![]),
        ];
        let file = with_past(folder.path(), &past).await;
        file.gather_accepted().unwrap();
        let n_accepted =
            |file: &SqliteStore| all(file).iter().map(|known| file.n_accepted(known).unwrap()).collect::<Vec<_>>();
        assert_eq!(n_accepted(&file), [2, 1, 1, 1, 0, 0]);
        drop(file);
        let folder = tempfile::tempdir().unwrap();
        // Reopened jobs were also paid for before their reopening.
        let past = [("again", vec![SubmitStarted, task(1), moderated(), again, SubmitStarted, task(2), moderated()])];
        let file = with_past(folder.path(), &past).await;
        file.gather_accepted().unwrap();
        assert_eq!(n_accepted(&file), [2]);
        assert_eq!(file.paid(&by_model(1.0)).unwrap(), Some(cost(2.0, 0.0, 0)));
    }

    #[test]
    fn the_price_is_that_of_the_flag_or_the_manifest_or_the_last_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), &["one", "two"]);
        let [first, second] = [2.5, 3.0].map(by_model);
        assert_eq!((file.price().unwrap(), file.paid(&first).unwrap()), (None, Some(Cost::default())));
        assert_eq!((file.settle_price(None).unwrap(), file.price_used().unwrap()), (None, None));
        assert_eq!(file.settle_price(Some(first.clone())).unwrap(), Some(first.clone()));
        assert_eq!(file.settle_price(None).unwrap(), Some(first.clone()), "it was said before");
        file.set_price(Some(&second)).unwrap();
        assert_eq!((file.price().unwrap(), file.price_used().unwrap()), (Some(second.clone()), Some(first.clone())));
        assert_eq!(file.settle_price(None).unwrap(), Some(second.clone()), "the manifest has one now");
        assert_eq!(file.settle_price(Some(first.clone())).unwrap(), Some(first.clone()));
        file.set_price(None).unwrap();
        assert_eq!((file.price().unwrap(), file.price_used().unwrap()), (None, Some(first)));
    }

    #[test]
    fn a_model_without_a_price_is_found_with_its_first_job() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), &["one", "two"]);
        assert_eq!(file.first_without_price(&by_model(2.0)).unwrap(), None);
        let other = Price { by_model: [("c/d".to_owned(), 1.0)].into(), ..by_model(2.0) };
        assert_eq!(file.first_without_price(&other).unwrap(), Some(("a/b".to_owned(), 1)));
        assert_eq!(file.first_without_price(&Price { per_image: Some(0.0), ..other }).unwrap(), None);
    }
}
