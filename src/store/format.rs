//! Encoding of requests, faults and phases in the columns of the ledger.
//!
//! Values are JSON, so that other tools can read them; kinds are words.

mod redo;

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::event::{EventKind, ReopenTarget, Stage};
use crate::model::job::ManifestRow;
use crate::model::money::{Charge, Money};
use crate::model::outcome::{Fault, FaultKind, Outcome, TaskId, Url};
use crate::model::phase::Phase;
use crate::model::request::{Json, Lora, Request, RequestValue};
use crate::model::request_field::{REQUEST_FIELDS, RequestField, RequestFieldKind};
use crate::model::time::Timestamp;

/// Numbers in the column `phase`, in the order of a job's life. Each kind of ending has its own number, for counting.
pub(super) mod phase {
    /// Job without a submission or task in flight.
    pub(crate) const PENDING: i64 = 0;
    /// Job with a submission that was sent.
    pub(crate) const SUBMITTING: i64 = 1;
    /// Job with an accepted task at the provider.
    pub(crate) const RUNNING: i64 = 2;
    /// Job with a finished task, whose image links are known.
    pub(crate) const DOWNLOADING: i64 = 3;
    /// Job with images on disk.
    pub(crate) const SUCCEEDED: i64 = 4;
    /// Job that was refused for its content.
    pub(crate) const MODERATED: i64 = 5;
    /// Job that ended without an image.
    pub(crate) const FAILED: i64 = 6;
}

pub(super) fn phase_number(phase: &Phase) -> i64 {
    match phase {
        Phase::Pending => phase::PENDING,
        Phase::Submitting => phase::SUBMITTING,
        Phase::Running(_) => phase::RUNNING,
        Phase::Downloading(_) => phase::DOWNLOADING,
        Phase::Finished(Outcome::Succeeded(_)) => phase::SUCCEEDED,
        Phase::Finished(Outcome::Failed(fault)) if fault.kind == FaultKind::Moderated => phase::MODERATED,
        Phase::Finished(Outcome::Failed(_)) => phase::FAILED,
    }
}

/// Writes a request as one JSON object; absent fields are left out.
pub(super) fn request_text(request: &Request) -> String {
    let value = |value| match value {
        RequestValue::Text(text) => json!(text),
        RequestValue::Whole(number) => json!(number),
        RequestValue::Real(number) => json!(number),
        RequestValue::Urls(urls) => json!(urls),
        RequestValue::Loras(loras) => loras.iter().map(|lora| json!([lora.repo, lora.weight])).collect(),
        RequestValue::Params(params) => params.iter().map(|(name, Json(text))| json!([name, text])).collect(),
    };
    request.given().map(|(name, given)| (name, value(given))).collect::<Value>().to_string()
}

/// Parses the request that [`request_text`] wrote; `None` if the text is not a request.
pub(super) fn request_from(text: &str) -> Option<Request> {
    let map: Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut request = Request::default();
    for field in &REQUEST_FIELDS {
        match map.get(field.name).filter(|value| !value.is_null()) {
            Some(value) => set_field(&mut request, field, value)?,
            // No request is without them.
            None if matches!(field.name, "prompt" | "model") => return None,
            None => {}
        }
    }
    Some(request)
}

/// Sets a field to a value as it is written; `None` if the field cannot have it.
fn set_field(request: &mut Request, field: &RequestField, value: &Value) -> Option<()> {
    let lora = |pair: &Value| Some(Lora { repo: pair.get(0)?.as_str()?.to_owned(), weight: pair.get(1)?.as_f64() });
    let param = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), Json(pair.get(1)?.as_str()?.to_owned())));
    match field.kind {
        RequestFieldKind::Text | RequestFieldKind::Name | RequestFieldKind::Size => {
            field.set(request, RequestValue::Text(value.as_str()?.into()))
        }
        RequestFieldKind::Whole => field.set(request, RequestValue::Whole(value.as_u64()?)),
        RequestFieldKind::Real => field.set(request, RequestValue::Real(value.as_f64()?)),
        RequestFieldKind::Urls => {
            let urls = value.as_array()?.iter().map(|url| url.as_str().map(str::to_owned));
            field.set(request, RequestValue::Urls(&urls.collect::<Option<Vec<_>>>()?))
        }
        RequestFieldKind::Loras => {
            let loras = value.as_array()?.iter().map(lora);
            field.set(request, RequestValue::Loras(&loras.collect::<Option<Vec<_>>>()?))
        }
        RequestFieldKind::Params => {
            let params = value.as_array()?.iter().map(param);
            field.set(request, RequestValue::Params(&params.collect::<Option<_>>()?))
        }
    }
}

/// Further columns of a job, and its row.
pub(super) type Extras = (Vec<(String, String)>, ManifestRow);

/// Writes pairs of column and text as a JSON array of arrays, and behind them an object about the row if it says anything. `None` for
/// nothing at all. `index` is that of the job; a row with this number is not written.
pub(super) fn extras_text(extras: &[(String, String)], row: ManifestRow, index: u64) -> Option<String> {
    let ManifestRow { number, is_skipped } = row;
    let number = number.filter(|number| *number != index).map(|number| ("row".to_owned(), json!(number)));
    let about: Map<_, _> = number.into_iter().chain(is_skipped.then(|| ("skip".to_owned(), json!(true)))).collect();
    let parts = extras.iter().map(|pair| json!(pair)).chain((!about.is_empty()).then(|| about.into()));
    let parts: Vec<Value> = parts.collect();
    (!parts.is_empty()).then(|| Value::from(parts).to_string())
}

/// Parses what [`extras_text`] wrote; `None` if the text is something else.
pub(super) fn extras_from(text: Option<&str>) -> Option<Extras> {
    let mut parts: Vec<Value> = text.map_or(Some(Vec::new()), |text| serde_json::from_str(text).ok())?;
    let about = parts.pop_if(|part| part.is_object());
    let number = about.as_ref().and_then(|about| about.get("row")).and_then(Value::as_u64);
    let is_skipped = about.as_ref().is_some_and(|about| about.get("skip").is_some());
    let extras = parts.into_iter().map(|pair| serde_json::from_value(pair).ok()).collect::<Option<_>>()?;
    Some((extras, ManifestRow { number, is_skipped }))
}

/// Writes links as a JSON array.
pub(super) fn urls_text(urls: &[Url]) -> String {
    json!(urls.iter().map(|url| &url.0).collect::<Vec<_>>()).to_string()
}

/// Parses the links that [`urls_text`] wrote; `None` if the text is not a list of links.
pub(super) fn urls_from(text: &str) -> Option<Vec<Url>> {
    let urls: Vec<String> = serde_json::from_str(text).ok()?;
    Some(urls.into_iter().map(Url).collect())
}

/// Writes a charge as a JSON array: the number of the submission, the amount as a decimal number, and its unit.
pub(super) fn charge_text(Charge { submission, money: Money { amount, unit } }: &Charge) -> String {
    json!([submission, amount.to_string(), unit]).to_string()
}

/// Parses the charge that [`charge_text`] wrote; `None` if the text is not a charge.
pub(super) fn charge_from(text: &str) -> Option<Charge> {
    let (submission, amount, unit): (u32, String, String) = serde_json::from_str(text).ok()?;
    Some(Charge { submission, money: Money { amount: amount.parse().ok()?, unit } })
}

/// Writes a fault as a JSON array: its code and its message. Two kinds add a number in milliseconds.
pub(super) fn fault_text(fault: &Fault) -> String {
    let wait = fault.kind.retry_after().and_then(|wait| i64::try_from(wait.as_millis()).ok());
    let number = wait.or_else(|| fault.kind.resets_at().map(Timestamp::millis));
    match number {
        None => json!([fault.kind.code(), fault.message]).to_string(),
        Some(number) => json!([fault.kind.code(), fault.message, number]).to_string(),
    }
}

/// Parses the fault that [`fault_text`] wrote; `None` if the text is not a fault.
pub(super) fn fault_from(text: &str) -> Option<Fault> {
    let parts: Vec<Value> = serde_json::from_str(text).ok()?;
    let number = parts.get(2).and_then(Value::as_i64);
    let code = parts.first()?.as_str()?;
    let kind = match FaultKind::ALL.into_iter().find(|kind| kind.code() == code)? {
        FaultKind::Throttled { .. } => {
            let millis = number.and_then(|millis| millis.try_into().ok());
            FaultKind::Throttled { retry_after: millis.map(Duration::from_millis) }
        }
        FaultKind::QuotaExhausted { .. } => FaultKind::QuotaExhausted { resets_at: number.map(Timestamp::from_millis) },
        other => other,
    };
    Some(Fault::new(kind, parts.get(1)?.as_str()?))
}

/// Returns the columns `kind` and `detail` of an event. Images of a success are stored as separate rows.
pub(super) fn event_columns(kind: &EventKind) -> (&'static str, Option<String>) {
    match kind {
        EventKind::SubmitStarted => ("submit", None),
        EventKind::Accepted(TaskId(task)) => ("accepted", Some(task.clone())),
        EventKind::Charged(charge) => ("charged", Some(charge_text(charge))),
        EventKind::Ready(urls) => ("ready", Some(urls_text(urls))),
        EventKind::Setback(stage, fault) => {
            let kind = match stage {
                Stage::Submit => "setback-submit",
                Stage::Poll => "setback-poll",
                Stage::Download => "setback-download",
                Stage::Task => "setback-task",
            };
            (kind, Some(fault_text(fault)))
        }
        EventKind::Finished(Outcome::Succeeded(_)) => ("succeeded", None),
        EventKind::Finished(Outcome::Failed(fault)) => ("failed", Some(fault_text(fault))),
        EventKind::Reopened(ReopenTarget::Fetch) => ("reopened", Some("fetch".to_owned())),
        EventKind::Reopened(ReopenTarget::Submit) => ("reopened", Some("submit".to_owned())),
        EventKind::Redone(redo) => ("redone", Some(redo::redo_text(redo))),
        EventKind::Restored(restored) => ("restored", Some(redo::restored_text(restored))),
    }
}

/// Parses the event kind that [`event_columns`] wrote, without the images of a success.
pub(super) fn event_from(kind: &str, detail: Option<&str>) -> Option<EventKind> {
    let setback = |stage| Some(EventKind::Setback(stage, fault_from(detail?)?));
    match kind {
        "submit" => Some(EventKind::SubmitStarted),
        "accepted" => Some(EventKind::Accepted(TaskId(detail?.to_owned()))),
        "charged" => Some(EventKind::Charged(charge_from(detail?)?)),
        "ready" => Some(EventKind::Ready(urls_from(detail?)?)),
        "setback-submit" => setback(Stage::Submit),
        "setback-poll" => setback(Stage::Poll),
        "setback-download" => setback(Stage::Download),
        "setback-task" => setback(Stage::Task),
        "succeeded" => Some(EventKind::Finished(Outcome::Succeeded(Vec::new()))),
        "failed" => Some(EventKind::Finished(Outcome::Failed(fault_from(detail?)?))),
        "reopened" => match detail? {
            "fetch" => Some(EventKind::Reopened(ReopenTarget::Fetch)),
            "submit" => Some(EventKind::Reopened(ReopenTarget::Submit)),
            _ => None,
        },
        "redone" => Some(EventKind::Redone(redo::redo_from(detail?)?)),
        "restored" => Some(EventKind::Restored(redo::restored_from(detail?)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Redo, ReplacedImage, Restored};
    use crate::model::outcome::{Artifact, ImageFormat};

    #[test]
    fn a_full_request_reads_back() {
        let request = Request {
            prompt: "一只猫\n\"quoted\" \u{0}".into(),
            provider: Some("fal".into()),
            model: "a/b".into(),
            negative_prompt: Some(String::new()),
            size: "64x32".parse().ok(),
            seed: Some(u64::MAX),
            steps: Some(30),
            guidance: Some(3.5),
            image_url: vec!["https://a".into(), "https://b".into()],
            loras: vec![Lora { repo: "x/y".into(), weight: Some(0.25) }, Lora { repo: "z".into(), weight: None }],
            params: [("style".to_owned(), Json("{\"a\":[1,2.50]}".into()))].into(),
        };
        assert_eq!(request_from(&request_text(&request)), Some(request));
    }

    #[test]
    fn a_bare_request_costs_little_more_than_its_prompt() {
        let request = Request { prompt: "cat".into(), model: "a/b".into(), ..Request::default() };
        assert_eq!(request_text(&request), r#"{"model":"a/b","prompt":"cat"}"#);
        assert_eq!(request_from(&request_text(&request)), Some(request));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in ["", "{}", "[]", r#"{"prompt":"x"}"#, r#"{"prompt":"x","model":"m","size":"big"}"#] {
            assert_eq!(request_from(text), None, "{text}");
        }
    }

    fn replaced() -> ReplacedImage {
        let artifact = Artifact {
            file_name: "images/\"猫\".png".into(),
            sha256: std::array::from_fn(|i| u8::try_from(i * 8).unwrap()),
            bytes: u64::MAX >> 1,
            width: 3,
            height: 4,
            format: ImageFormat::WebP,
        };
        ReplacedImage { artifact, kept_as: "replaced/images/猫.png".into() }
    }

    #[test]
    fn every_event_reads_back() {
        let faults = [
            Fault::new(FaultKind::Throttled { retry_after: Some(Duration::from_millis(1500)) }, "slow\ndown"),
            Fault::new(FaultKind::Throttled { retry_after: None }, ""),
            Fault::new(FaultKind::QuotaExhausted { resets_at: Some(Timestamp::from_millis(77)) }, "tomorrow"),
            Fault::new(FaultKind::Transient, "t"),
            Fault::new(FaultKind::InDoubt, "d"),
            Fault::new(FaultKind::Rejected, "r"),
            Fault::new(FaultKind::TaskLost, "l"),
            Fault::new(FaultKind::Moderated, "m"),
            Fault::new(FaultKind::InvalidRequest, "i"),
            Fault::new(FaultKind::Unauthorized, "u"),
            Fault::new(FaultKind::BadOutput, "b"),
        ];
        let mut kinds = vec![
            EventKind::SubmitStarted,
            EventKind::Accepted(TaskId("507\"5521".into())),
            EventKind::Charged(Charge { submission: 2, money: "0.025 USD".parse().unwrap() }),
            EventKind::Ready(vec![Url("https://x/a.png".into()), Url("y".into())]),
            EventKind::Finished(Outcome::Succeeded(vec![])),
            EventKind::Reopened(ReopenTarget::Fetch),
            EventKind::Reopened(ReopenTarget::Submit),
            EventKind::Redone(Redo::default()),
            EventKind::Redone(Redo { seed: Some(7), seed_before: None, replaced: vec![replaced(), replaced()] }),
            EventKind::Redone(Redo { seed: Some(7), seed_before: Some(0), replaced: vec![] }),
            EventKind::Restored(Restored::default()),
            EventKind::Restored(Restored {
                seed: Some(7),
                task: Some(TaskId("507\"5521".into())),
                submitted_at: Some(Timestamp::from_millis(7)),
                finished_at: Some(Timestamp::from_millis(-8)),
                images: vec![replaced()],
            }),
        ];
        for fault in faults {
            for stage in [Stage::Submit, Stage::Poll, Stage::Download, Stage::Task] {
                kinds.push(EventKind::Setback(stage, fault.clone()));
            }
            kinds.push(EventKind::Finished(Outcome::Failed(fault)));
        }
        for kind in kinds {
            let (word, detail) = event_columns(&kind);
            assert_eq!(event_from(word, detail.as_deref()), Some(kind));
        }
    }

    #[test]
    fn extras_and_rows_read_back_and_none_cost_nothing() {
        let extras = vec![("category".to_owned(), "动物".to_owned()), ("note".to_owned(), String::new())];
        let plain = ManifestRow::default();
        let text = extras_text(&extras, plain, 1);
        assert_eq!(text.as_deref(), Some(r#"[["category","动物"],["note",""]]"#), "the form of earlier ledgers");
        assert_eq!(extras_from(text.as_deref()), Some((extras.clone(), plain)));
        assert_eq!(extras_text(&[], ManifestRow { number: Some(7), ..plain }, 7), None, "the row of most jobs");
        assert_eq!(extras_from(None), Some((vec![], plain)));
        for row in [ManifestRow { number: Some(3), ..plain }, ManifestRow { number: Some(3), is_skipped: true }] {
            for extras in [&extras[..], &[]] {
                let text = extras_text(extras, row, 7);
                assert_eq!(extras_from(text.as_deref()), Some((extras.to_vec(), row)));
            }
        }
        assert_eq!(extras_from(Some("[[1,2]]")), None);
    }
}
