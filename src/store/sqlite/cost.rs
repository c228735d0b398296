//! Cost of all submissions so far, and the number of acceptances of a job.

use crate::model::cost::Cost;
use crate::model::phase::JobRecord;
use crate::model::price::Price;
use crate::store::error::LedgerError;
use crate::store::format::phase::SUBMITTING;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::row::UNFINISHED;
use crate::store::sqlite::totals;

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

/// Sums the cost of all submissions, including those of dropped jobs. Accepted submissions are the certain part.
/// Submissions in doubt are the possible part. Returns `None` if a price is unknown. Reads every event.
pub fn total_cost(database: &Database, price: &Price) -> Result<Option<Cost>, LedgerError> {
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
    database.each(accepted, (), |row| {
        add(&mut cost, &row.get::<_, String>(0)?, row.get(1)?, true);
        Ok(Ok::<_, LedgerError>(()))
    })?;
    if may_have_doubts(database)? {
        database.each(DOUBTS, (), |row| {
            add(&mut cost, &row.get::<_, String>(0)?, row.get(1)?, false);
            Ok(Ok::<_, LedgerError>(()))
        })?;
    }
    Ok(cost)
}

/// Returns whether there may be doubts, so that reading every job is worth the time.
fn may_have_doubts(database: &Database) -> Result<bool, LedgerError> {
    let mut is_submitting = false;
    let sql = format!("SELECT EXISTS (SELECT 1 FROM jobs WHERE {UNFINISHED} AND phase = {SUBMITTING})");
    database.each(&sql, (), |row| {
        is_submitting = row.get(0)?;
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(is_submitting || totals::incidents(database)?.n_in_doubt > 0)
}

/// Finds the first model without a price, among all jobs that have cost something or may. Also returns the index of its
/// first job. The index is 0 for a job that has left the manifest. Returns `None` if every price is known.
pub fn first_without_price(database: &Database, price: &Price) -> Result<Option<(String, u64)>, LedgerError> {
    if price.per_image.is_some() {
        return Ok(None);
    }
    let mut first = None;
    let sql = "SELECT request ->> 'model', coalesce(min(position), 0) FROM jobs \
               WHERE position IS NOT NULL OR n_submits > 0 GROUP BY 1 ORDER BY 2";
    database.each(sql, (), |row| {
        let model: String = row.get(0)?;
        if first.is_none() && price.of(&model).is_none() {
            first = Some((model, row.get(1)?));
        }
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(first)
}

/// Prepares [the number of accepted submissions of a job](n_accepted), as of this moment. Uses a temporary table,
/// which `SQLite` keeps in a separate file. Reads every event.
pub fn prepare_acceptances(database: &Database) -> Result<(), LedgerError> {
    let gathered = database.connection.execute_batch(
        "DROP TABLE IF EXISTS temp.accepted; CREATE TEMP TABLE accepted (id BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID; \
         INSERT INTO temp.accepted SELECT id, count(*) FROM events JOIN jobs ON row = job \
         WHERE kind = 'accepted' AND n_submits > 1 GROUP BY job",
    );
    gathered.map_err(|error| database.error(error))
}

/// Counts the accepted submissions of this job. Needs the [table](prepare_acceptances) of the jobs with several
/// submissions.
pub fn n_accepted(database: &Database, known: &JobRecord) -> Result<u64, LedgerError> {
    // Job with a single submission: accepted if the job has a task.
    if known.state.n_submits <= 1 {
        return Ok(known.state.task.is_some().into());
    }
    let mut n = 0;
    database.each("SELECT n FROM temp.accepted WHERE id = ?1", [known.job.id.bytes()], |row| {
        n = row.get(0)?;
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::amount::Amount;
    use crate::model::event::{EventKind, Stage};
    use crate::model::outcome::{Fault, FaultKind, TaskId};
    use crate::store::settings::{ReadSettings, WriteSettings};
    use crate::store::sqlite::tests::{all, event, file, ledger};
    use crate::store::{RunReader, RunWriter};

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
    async fn with_past(folder: &std::path::Path, past: &[(&str, Vec<EventKind>)]) -> Box<dyn RunWriter> {
        let file = file(folder, &past.iter().map(|(prompt, _)| *prompt).collect::<Vec<_>>());
        let jobs = all(&file);
        let mut ledger = ledger(file);
        ledger.load(10).await.unwrap();
        let events =
            jobs.iter().zip(past).flat_map(|(job, (_, kinds))| kinds.iter().map(|kind| event(job, 1, kind.clone())));
        ledger.record(events.collect::<Vec<_>>().into()).await.unwrap();
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
        assert_eq!(file.total_cost(&price).unwrap(), Some(cost(7.5, 0.0, 0)));
        let unknown = Price { by_model: [].into(), ..price };
        assert_eq!(file.total_cost(&unknown).unwrap(), None, "nobody knows what that model costs");
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
        assert_eq!(file.total_cost(&by_model(2.0)).unwrap(), Some(cost(4.0, 14.0, 7)));
        assert_eq!(file.total_cost(&"2 USD".parse().unwrap()).unwrap(), Some(cost(4.0, 14.0, 7)), "one price for all");
        assert_eq!(file.total_cost(&"0 USD".parse().unwrap()).unwrap(), Some(cost(0.0, 0.0, 7)));
        file.prepare_acceptances().unwrap();
        let n_accepted: Vec<u64> = all(&*file).iter().map(|known| file.n_accepted(known).unwrap()).collect();
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
        file.prepare_acceptances().unwrap();
        let n_accepted =
            |file: &dyn RunReader| all(file).iter().map(|known| file.n_accepted(known).unwrap()).collect::<Vec<_>>();
        assert_eq!(n_accepted(&*file), [2, 1, 1, 1, 0, 0]);
        drop(file);
        let folder = tempfile::tempdir().unwrap();
        // Reopened jobs were also paid for before their reopening.
        let past = [("again", vec![SubmitStarted, task(1), moderated(), again, SubmitStarted, task(2), moderated()])];
        let file = with_past(folder.path(), &past).await;
        file.prepare_acceptances().unwrap();
        assert_eq!(n_accepted(&*file), [2]);
        assert_eq!(file.total_cost(&by_model(1.0)).unwrap(), Some(cost(2.0, 0.0, 0)));
    }

    #[test]
    fn the_price_is_that_of_the_flag_or_the_manifest_or_the_last_run() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(folder.path(), &["one", "two"]);
        let [first, second] = [2.5, 3.0].map(by_model);
        assert_eq!((file.manifest_price().unwrap(), file.total_cost(&first).unwrap()), (None, Some(Cost::default())));
        assert_eq!((file.settle_price(None).unwrap(), file.price_used().unwrap()), (None, None));
        assert_eq!(file.settle_price(Some(first.clone())).unwrap(), Some(first.clone()));
        assert_eq!(file.settle_price(None).unwrap(), Some(first.clone()), "it was said before");
        file.set_manifest_price(Some(&second)).unwrap();
        assert_eq!(
            (file.manifest_price().unwrap(), file.price_used().unwrap()),
            (Some(second.clone()), Some(first.clone()))
        );
        assert_eq!(file.settle_price(None).unwrap(), Some(second.clone()), "the manifest has one now");
        assert_eq!(file.settle_price(Some(first.clone())).unwrap(), Some(first.clone()));
        file.set_manifest_price(None).unwrap();
        assert_eq!((file.manifest_price().unwrap(), file.price_used().unwrap()), (None, Some(first)));
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
