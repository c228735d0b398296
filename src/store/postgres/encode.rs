//! Encoding of events and states at the server, as JSON with the texts of a run folder's ledger; and of amounts, in billionths.

use serde_json::{Value, json};

use crate::model::amount::Amount;
use crate::model::event::{Event, EventKind};
use crate::model::job::JobId;
use crate::model::money::Money;
use crate::model::outcome::{Artifact, Fault, ImageFormat, Outcome, TaskId};
use crate::model::phase::{JobState, Phase};
use crate::model::picture::hex;
use crate::model::time::Timestamp;
use crate::store::format;
use crate::store::shared::cost::CostTotals;

/// Bytes of the hash that stands for a task's id.
const TASK_KEY_BYTES: usize = 16;

/// Returns the key of a task: ids of any length are found by it.
pub(super) fn task_key(task: &TaskId) -> Vec<u8> {
    blake3::hash(task.0.as_bytes()).as_bytes()[..TASK_KEY_BYTES].to_vec()
}

/// Reads an amount, which is kept in billionths.
pub(super) fn amount_in(text: &str) -> Option<Amount> {
    text.parse().ok().map(Amount::from_billionths)
}

/// Writes the numbers of a cost as an array.
pub(super) fn cost_text(cost: CostTotals) -> String {
    format!("{{{}}}", cost.numbers().map(|number| number.to_string()).join(","))
}

/// Writes the events of a commit as a JSON array. An event is its job, time, kind, detail and images.
pub(super) fn events_text(events: &[Event]) -> String {
    let event = |event: &Event| {
        let (kind, detail) = format::event_columns(&event.kind);
        let parts = json!([event.job.to_string(), event.at.millis(), kind, detail]);
        match (parts, images_of(&event.kind)) {
            (Value::Array(mut parts), images @ [_, ..]) => {
                parts.push(images_value(images));
                parts.into()
            }
            (parts, _) => parts,
        }
    };
    Value::Array(events.iter().map(event).collect()).to_string()
}

/// Parses what [`events_text`] wrote. The jobs get no index.
pub(super) fn events_from(text: &str) -> Option<Vec<Event>> {
    let events: Vec<Value> = serde_json::from_str(text).ok()?;
    let event = |event: &Value| {
        let job: JobId = event.get(0)?.as_str()?.parse().ok()?;
        let at = Timestamp::from_millis(event.get(1)?.as_i64()?);
        let detail = event.get(3)?;
        let detail = if detail.is_null() { None } else { Some(detail.as_str()?) };
        let mut kind = format::event_from(event.get(2)?.as_str()?, detail)?;
        if let Some(images) = event.get(4) {
            *images_in(&mut kind)? = images_from(images)?;
        }
        Some(Event { job, index: 0, at, kind })
    };
    events.iter().map(event).collect()
}

/// Writes a state as a JSON object.
pub(super) fn state_text(state: &JobState) -> String {
    let JobState { phase, task, n_submits, n_setbacks, n_lost, n_lost_before_reopen, n_reopened, .. } = state;
    let JobState { n_in_doubt, submitted_at, finished_at, last_fault, kept, charge, .. } = state;
    let urls = if let Phase::Downloading(urls) = phase { Some(format::urls_text(urls)) } else { None };
    json!({
        "phase": format::phase_number(phase),
        "task": task.as_ref().map(|task| &task.0),
        "urls": urls,
        "counts": [n_submits, n_setbacks, n_lost, n_lost_before_reopen, n_reopened, n_in_doubt],
        "submitted_at": submitted_at.map(Timestamp::millis),
        "finished_at": finished_at.map(Timestamp::millis),
        "fault": last_fault.as_ref().map(|fault| json!([format::fault_text(fault), images_value(&fault.kept)])),
        "images": if let Phase::Finished(Outcome::Succeeded(images)) = phase { images_value(images) } else { Value::Null },
        "kept": images_value(kept),
        "charge": charge.as_ref().map(|money| json!([money.amount.to_string(), money.unit])),
    })
    .to_string()
}

/// Parses what [`state_text`] wrote.
pub(super) fn state_from(text: &str) -> Option<JobState> {
    let parts: Value = serde_json::from_str(text).ok()?;
    let text = |name: &str| parts[name].as_str().map(str::to_owned);
    let at = |name: &str| parts[name].as_i64().map(Timestamp::from_millis);
    let counts: [u32; 6] = serde_json::from_value(parts["counts"].clone()).ok()?;
    let [n_submits, n_setbacks, n_lost, n_lost_before_reopen, n_reopened, n_in_doubt] = counts;
    let fault = match &parts["fault"] {
        Value::Null => None,
        fault => {
            let plain = format::fault_from(fault.get(0)?.as_str()?)?;
            Some(Fault { kept: images_from(fault.get(1)?)?, ..plain })
        }
    };
    let charge = match &parts["charge"] {
        Value::Null => None,
        money => {
            Some(Money { amount: money.get(0)?.as_str()?.parse().ok()?, unit: money.get(1)?.as_str()?.to_owned() })
        }
    };
    let task = text("task").map(TaskId);
    let phase = match parts["phase"].as_i64()? {
        format::phase::PENDING => Phase::Pending,
        format::phase::SUBMITTING => Phase::Submitting,
        format::phase::RUNNING => Phase::Running(task.clone()?),
        format::phase::DOWNLOADING => Phase::Downloading(format::urls_from(&text("urls")?)?),
        format::phase::SUCCEEDED => Phase::Finished(Outcome::Succeeded(images_from(&parts["images"])?)),
        format::phase::MODERATED | format::phase::FAILED => Phase::Finished(Outcome::Failed(fault.clone()?)),
        _ => return None,
    };
    Some(JobState {
        phase,
        task,
        n_submits,
        n_setbacks,
        n_lost,
        n_lost_before_reopen,
        n_reopened,
        n_in_doubt,
        submitted_at: at("submitted_at"),
        finished_at: at("finished_at"),
        last_fault: fault,
        kept: images_from(&parts["kept"])?,
        charge,
    })
}

/// Returns the images that an event carries beside its detail.
fn images_of(kind: &EventKind) -> &[Artifact] {
    match kind {
        EventKind::Finished(Outcome::Succeeded(images) | Outcome::Failed(Fault { kept: images, .. }))
        | EventKind::Setback(_, Fault { kept: images, .. }) => images,
        EventKind::SubmitStarted
        | EventKind::Accepted(_)
        | EventKind::Charged(_)
        | EventKind::Ready(_)
        | EventKind::Reopened(_)
        | EventKind::Redone(_)
        | EventKind::Restored(_) => &[],
    }
}

fn images_in(kind: &mut EventKind) -> Option<&mut Vec<Artifact>> {
    match kind {
        EventKind::Finished(Outcome::Succeeded(images) | Outcome::Failed(Fault { kept: images, .. }))
        | EventKind::Setback(_, Fault { kept: images, .. }) => Some(images),
        EventKind::SubmitStarted
        | EventKind::Accepted(_)
        | EventKind::Charged(_)
        | EventKind::Ready(_)
        | EventKind::Reopened(_)
        | EventKind::Redone(_)
        | EventKind::Restored(_) => None,
    }
}

fn images_value(images: &[Artifact]) -> Value {
    let image = |image: &Artifact| {
        let Artifact { file_name, sha256, bytes, width, height, format } = image;
        json!([file_name, hex(sha256), bytes, width, height, format.extension()])
    };
    images.iter().map(image).collect()
}

fn images_from(value: &Value) -> Option<Vec<Artifact>> {
    let image = |value: &Value| {
        let (file_name, digits, bytes, width, height, extension): (String, String, u64, u32, u32, String) =
            serde_json::from_value(value.clone()).ok()?;
        Some(Artifact {
            file_name,
            sha256: sha256_from(&digits)?,
            bytes,
            width,
            height,
            format: ImageFormat::from_extension(&extension)?,
        })
    };
    value.as_array()?.iter().map(image).collect()
}

fn sha256_from(digits: &str) -> Option<[u8; 32]> {
    let mut sha256 = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (i, byte) in sha256.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Redo, ReopenTarget, Stage};
    use crate::model::money::Charge;
    use crate::model::outcome::{FaultKind, Url};

    fn image(name: &str) -> Artifact {
        Artifact {
            file_name: format!("images/\"猫\"{name}.png"),
            sha256: std::array::from_fn(|i| u8::try_from(i * 8).unwrap()),
            bytes: u64::MAX >> 1,
            width: 3,
            height: u32::MAX,
            format: ImageFormat::WebP,
        }
    }

    /// Goal: whatever may happen to a job, its events and its state read back equal. Method: lives with every kind of event, and the state
    /// after each step.
    #[test]
    fn every_event_and_every_state_reads_back() {
        let kept = |kind| Fault { kept: vec![image("a")], ..Fault::new(kind, "w\u{0}\n\"") };
        let charge = Charge { submission: 1, money: "0.025 USD".parse().unwrap() };
        let task = || EventKind::Accepted(TaskId("507\\5521\t".into()));
        let ready = || EventKind::Ready(vec![Url("https://x/a.png".into()), Url("y".into())]);
        let redo = Redo { seed: Some(u64::MAX), ..Redo::default() };
        let lives = [
            vec![EventKind::SubmitStarted, EventKind::Setback(Stage::Submit, Fault::new(FaultKind::InDoubt, ""))],
            vec![
                EventKind::SubmitStarted,
                task(),
                EventKind::Charged(charge),
                ready(),
                EventKind::Setback(Stage::Download, kept(FaultKind::Transient)),
                ready(),
                EventKind::Finished(Outcome::Failed(kept(FaultKind::BadOutput))),
                EventKind::Reopened(ReopenTarget::Fetch),
                EventKind::Finished(Outcome::Succeeded(vec![image("a"), image("b")])),
                EventKind::Redone(redo),
                EventKind::SubmitStarted,
                EventKind::Setback(Stage::Task, Fault::new(FaultKind::TaskLost, "l")),
                EventKind::Finished(Outcome::Failed(Fault::new(FaultKind::Moderated, "m"))),
            ],
        ];
        for life in lives {
            let mut state = JobState::default();
            let mut events = Vec::new();
            for (at, kind) in (1..).zip(life) {
                let at = Timestamp::from_millis(at);
                state.apply(at, &kind);
                assert_eq!(state_from(&state_text(&state)).as_ref(), Some(&state), "{kind:?}");
                events.push(Event { job: JobId::from_bytes([7; 10]), index: 0, at, kind });
            }
            assert_eq!(events_from(&events_text(&events)), Some(events));
        }
    }

    #[test]
    fn what_is_something_else_is_refused() {
        for text in ["", "[]", "{}", r#"{"phase":9,"counts":[0,0,0,0,0,0],"kept":[]}"#] {
            assert_eq!(state_from(text), None, "{text}");
        }
        for text in ["", "{}", "[[]]", r#"[["07",1,"submit",null]]"#, r#"[["07070707070707070707",1,"what",null]]"#] {
            assert_eq!(events_from(text), None, "{text}");
        }
    }
}
