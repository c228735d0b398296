//! What the manifest says an image costs, kept for runs that need not read it again, and what was paid for so far.

use serde_json::{Map, Value, json};

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::RunFile;
use crate::model::price::Price;

impl RunFile {
    /// Keeps what the manifest says.
    pub fn set_price(&self, price: Option<&Price>) -> Result<(), LedgerError> {
        let text = price.map(|price| {
            let Price { unit, per_image, by_model } = price;
            json!({ "unit": unit, "per_image": per_image, "by_model": by_model }).to_string()
        });
        self.set_meta("price", &text.unwrap_or_default())
    }

    /// What the manifest said that was taken in last.
    pub fn price(&self) -> Result<Option<Price>, LedgerError> {
        Ok(self.meta("price")?.and_then(|text| price_from(&text)))
    }

    /// What all submissions that were taken cost, those of dropped jobs included; nothing where a price is not known. Looks at every
    /// event.
    pub fn paid(&self, price: &Price) -> Result<Option<f64>, LedgerError> {
        let mut paid = Some(0.0);
        let sql = "SELECT request ->> 'model', sum(n), sum(n_odd) FROM \
                   (SELECT job, count(*) AS n, sum(sum IS NOT row_sum('event', seq, job, at, kind, detail)) AS n_odd \
                   FROM events WHERE kind = 'accepted' GROUP BY job) JOIN jobs ON row = job GROUP BY 1";
        self.each(sql, (), |row| {
            if row.get::<_, i64>(2)? > 0 {
                return Ok(Err(self.damaged("events are not what was recorded; promptbatch verify says which")));
            }
            let (model, n): (String, u32) = (row.get(0)?, row.get(1)?);
            paid = paid.zip(price.of(&model)).map(|(paid, price)| paid + price * f64::from(n));
            Ok(Ok::<_, LedgerError>(()))
        })?;
        Ok(paid)
    }
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
    use crate::ledger::Ledger;
    use crate::ledger::sqlite::SqliteLedger;
    use crate::ledger::sqlite::tests::{all, event, file};
    use crate::model::event::{EventKind, Stage};
    use crate::model::outcome::{Fault, FaultKind, TaskId};

    /// Goal: every task that was accepted is paid for, and nothing else. Method: one job that loses a task, one that is refused.
    #[tokio::test]
    async fn every_accepted_task_is_paid_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), &["one", "two", "three"]);
        let price = Price { per_image: None, by_model: [("a/b".to_owned(), 2.5)].into(), .."1 USD".parse().unwrap() };
        assert_eq!((file.price().unwrap(), file.paid(&price).unwrap()), (None, Some(0.0)));
        file.set_price(Some(&price)).unwrap();
        assert_eq!(file.price().unwrap().as_ref(), Some(&price));
        let jobs = all(&file);
        let mut ledger = SqliteLedger::start(file).unwrap();
        ledger.load(10).await.unwrap();
        let task = |n: u8| EventKind::Accepted(TaskId(n.to_string()));
        let lost = EventKind::Setback(Stage::Task, Fault::new(FaultKind::TaskLost, ""));
        let refused = EventKind::Setback(Stage::Submit, Fault::new(FaultKind::Transient, ""));
        let submit = EventKind::SubmitStarted;
        let one = [submit.clone(), task(1), lost, submit.clone(), task(2)].map(|kind| event(&jobs[0], 1, kind));
        let two = [submit.clone(), task(3)].map(|kind| event(&jobs[1], 1, kind));
        let three = [submit, refused].map(|kind| event(&jobs[2], 1, kind));
        ledger.commit([&one[..], &two[..], &three[..]].concat().into()).await.unwrap();
        let file = ledger.close().unwrap();
        assert_eq!(file.paid(&price).unwrap(), Some(7.5));
        assert_eq!(
            file.paid(&Price { by_model: [].into(), ..price }).unwrap(),
            None,
            "nobody knows what that model costs"
        );
        file.set_price(None).unwrap();
        assert_eq!(file.price().unwrap(), None);
    }
}
