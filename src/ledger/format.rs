//! How requests, faults and phases are written into the ledger's columns: JSON for people's tools, words for kinds.

use serde_json::{Map, Value, json};

use crate::model::event::{Again, EventKind, Stage};
use crate::model::outcome::{Fault, FaultKind, Outcome, TaskId, Url};
use crate::model::phase::Phase;
use crate::model::request::{Json, Lora, Request};
use crate::model::time::Timestamp;

/// The `phase` column: small numbers in the order of a job's life, the ends told apart for counting.
pub mod phase {
    /// Nothing under way.
    pub const PENDING: i64 = 0;
    /// A submission has left.
    pub const SUBMITTING: i64 = 1;
    /// At the provider.
    pub const RUNNING: i64 = 2;
    /// Links known.
    pub const DOWNLOADING: i64 = 3;
    /// Images on disk.
    pub const SUCCEEDED: i64 = 4;
    /// Refused for its content.
    pub const MODERATED: i64 = 5;
    /// Ended without an image.
    pub const FAILED: i64 = 6;
}

/// The `phase` column of a phase.
pub fn phase_number(phase: &Phase) -> i64 {
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

/// A request as one JSON object; what was not given is left out.
pub fn request_text(request: &Request) -> String {
    let Request { prompt, model, negative_prompt, size, seed, steps, guidance, image_url, loras, params } = request;
    let mut map = Map::new();
    map.insert("prompt".into(), json!(prompt));
    map.insert("model".into(), json!(model));
    let given = [
        ("negative_prompt", negative_prompt.as_ref().map(|text| json!(text))),
        ("size", size.map(|size| json!(size.to_string()))),
        ("seed", seed.map(|seed| json!(seed))),
        ("steps", steps.map(|steps| json!(steps))),
        ("guidance", guidance.map(|guidance| json!(guidance))),
        ("image_url", (!image_url.is_empty()).then(|| json!(image_url))),
        ("loras", (!loras.is_empty()).then(|| loras.iter().map(|lora| json!([lora.repo, lora.weight])).collect())),
        ("params", (!params.is_empty()).then(|| params.iter().map(|(name, Json(text))| json!([name, text])).collect())),
    ];
    map.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Value::Object(map).to_string()
}

/// The request that [`request_text`] wrote.
pub fn request_from(text: &str) -> Option<Request> {
    let map: Map<String, Value> = serde_json::from_str(text).ok()?;
    let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
    let whole = |name: &str| map.get(name).and_then(Value::as_u64);
    let list = |name: &str| map.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let lora = |pair: &Value| Some(Lora { repo: pair.get(0)?.as_str()?.to_owned(), weight: pair.get(1)?.as_f64() });
    let param = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), Json(pair.get(1)?.as_str()?.to_owned())));
    Some(Request {
        prompt: text("prompt")?,
        model: text("model")?,
        negative_prompt: text("negative_prompt"),
        size: text("size").map(|size| size.parse()).transpose().ok()?,
        seed: whole("seed"),
        steps: whole("steps").map(u32::try_from).transpose().ok()?,
        guidance: map.get("guidance").and_then(Value::as_f64),
        image_url: list("image_url").iter().map(|url| url.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        loras: list("loras").iter().map(lora).collect::<Option<_>>()?,
        params: list("params").iter().map(param).collect::<Option<_>>()?,
    })
}

/// Pairs of column and text, as a JSON array of arrays; nothing for none.
pub fn extras_text(extras: &[(String, String)]) -> Option<String> {
    (!extras.is_empty()).then(|| json!(extras).to_string())
}

/// The pairs that [`extras_text`] wrote.
pub fn extras_from(text: Option<String>) -> Option<Vec<(String, String)>> {
    text.map_or(Some(Vec::new()), |text| serde_json::from_str(&text).ok())
}

/// Links, as a JSON array.
pub fn urls_text(urls: &[Url]) -> String {
    json!(urls.iter().map(|url| &url.0).collect::<Vec<_>>()).to_string()
}

/// The links that [`urls_text`] wrote.
pub fn urls_from(text: &str) -> Option<Vec<Url>> {
    let urls: Vec<String> = serde_json::from_str(text).ok()?;
    Some(urls.into_iter().map(Url).collect())
}

/// A fault as its code, its words and, for the two kinds that have one, a number.
pub fn fault_text(fault: &Fault) -> String {
    let number = match fault.kind {
        FaultKind::Throttled { retry_after } => retry_after.and_then(|wait| i64::try_from(wait.as_millis()).ok()),
        FaultKind::QuotaExhausted { resets_at } => resets_at.map(Timestamp::millis),
        FaultKind::Transient
        | FaultKind::InDoubt
        | FaultKind::Rejected
        | FaultKind::TaskLost
        | FaultKind::Moderated
        | FaultKind::InvalidRequest
        | FaultKind::Unauthorized
        | FaultKind::BadOutput => None,
    };
    match number {
        None => json!([fault.kind.code(), fault.message]).to_string(),
        Some(number) => json!([fault.kind.code(), fault.message, number]).to_string(),
    }
}

/// The fault that [`fault_text`] wrote.
pub fn fault_from(text: &str) -> Option<Fault> {
    let parts: Vec<Value> = serde_json::from_str(text).ok()?;
    let number = parts.get(2).and_then(Value::as_i64);
    let kinds = [
        FaultKind::Throttled {
            retry_after: number.and_then(|millis| millis.try_into().ok()).map(std::time::Duration::from_millis),
        },
        FaultKind::QuotaExhausted { resets_at: number.map(Timestamp::from_millis) },
        FaultKind::Transient,
        FaultKind::InDoubt,
        FaultKind::Rejected,
        FaultKind::TaskLost,
        FaultKind::Moderated,
        FaultKind::InvalidRequest,
        FaultKind::Unauthorized,
        FaultKind::BadOutput,
    ];
    let code = parts.first()?.as_str()?;
    let kind = kinds.into_iter().find(|kind| kind.code() == code)?;
    Some(Fault::new(kind, parts.get(1)?.as_str()?))
}

/// The `kind` and `detail` columns of an event. The images of a success are rows of their own.
pub fn event_columns(kind: &EventKind) -> (&'static str, Option<String>) {
    match kind {
        EventKind::SubmitStarted => ("submit", None),
        EventKind::Accepted(TaskId(task)) => ("accepted", Some(task.clone())),
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
        EventKind::Reopened(Again::Fetch) => ("reopened", Some("fetch".to_owned())),
        EventKind::Reopened(Again::Submit) => ("reopened", Some("submit".to_owned())),
    }
}

/// The event kind that [`event_columns`] wrote, but for the images of a success.
pub fn event_from(kind: &str, detail: Option<&str>) -> Option<EventKind> {
    let setback = |stage| Some(EventKind::Setback(stage, fault_from(detail?)?));
    match kind {
        "submit" => Some(EventKind::SubmitStarted),
        "accepted" => Some(EventKind::Accepted(TaskId(detail?.to_owned()))),
        "ready" => Some(EventKind::Ready(urls_from(detail?)?)),
        "setback-submit" => setback(Stage::Submit),
        "setback-poll" => setback(Stage::Poll),
        "setback-download" => setback(Stage::Download),
        "setback-task" => setback(Stage::Task),
        "succeeded" => Some(EventKind::Finished(Outcome::Succeeded(Vec::new()))),
        "failed" => Some(EventKind::Finished(Outcome::Failed(fault_from(detail?)?))),
        "reopened" => match detail? {
            "fetch" => Some(EventKind::Reopened(Again::Fetch)),
            "submit" => Some(EventKind::Reopened(Again::Submit)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_full_request_reads_back() {
        let request = Request {
            prompt: "一只猫\n\"quoted\" \u{0}".into(),
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
            EventKind::Ready(vec![Url("https://x/a.png".into()), Url("y".into())]),
            EventKind::Finished(Outcome::Succeeded(vec![])),
            EventKind::Reopened(Again::Fetch),
            EventKind::Reopened(Again::Submit),
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
    fn extras_read_back_and_none_cost_nothing() {
        let extras = vec![("category".to_owned(), "动物".to_owned()), ("note".to_owned(), String::new())];
        assert_eq!(extras_from(extras_text(&extras)), Some(extras));
        assert_eq!(extras_text(&[]), None);
        assert_eq!(extras_from(None), Some(vec![]));
    }
}
