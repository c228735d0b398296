//! Outage notice, printed once when an outage begins: on a bar, a wrong address looks like an unavailable provider.

use crate::model::escape::excerpt;
use crate::model::event::{Event, EventKind, Stage};
use crate::model::outcome::FaultKind;
use crate::model::snapshot::{PauseReason, RunSnapshot};

/// Maximum length of the reason, in characters: a few lines.
const REASON_CHARS_MAX: usize = 300;

const NO_RESPONSE: &str = "no response, still trying";
const NO_IMAGE: &str = "no image can be downloaded, still trying";

/// Returns the text that introduces an outage with faults of this kind. `None` means that such faults indicate no
/// outage.
fn lead(kind: FaultKind) -> Option<&'static str> {
    // A refused token stops the run, and is told then.
    let is_refused = kind.is_refusal() && kind != FaultKind::Unauthorized;
    let refused = || is_refused.then_some("every submission is refused, still trying");
    kind.is_outage().then_some(NO_RESPONSE).or_else(refused)
}

/// State of the current outage, and the last fault that explains it.
#[derive(Debug, Default)]
pub(super) struct OutageNotice {
    last_fault: Option<String>,
    is_told: bool,
    /// Last quota of a single model that was reported as used up.
    model_quota: Option<String>,
}

impl OutageNotice {
    /// Records new events. Returns a line when an outage begins, or when jobs begin to wait for the quota of their model.
    pub(super) fn line(&mut self, events: &[Event], pace: &RunSnapshot) -> Option<String> {
        self.outage(events, pace).or_else(|| self.model_quota(events, pace))
    }

    /// Returns a line for a used-up quota that neither stops the run nor holds all of it back.
    fn model_quota(&mut self, events: &[Event], pace: &RunSnapshot) -> Option<String> {
        let is_whole = pace.stopping.is_some() || pace.hold.is_some_and(|hold| hold.why == PauseReason::Quota);
        let faults = events.iter().filter_map(|event| match &event.kind {
            EventKind::Setback(Stage::Submit | Stage::Task, fault) => Some(fault),
            _ => None,
        });
        let fault =
            faults.filter(|_| !is_whole).find(|fault| matches!(fault.kind, FaultKind::QuotaExhausted { .. }))?;
        let line = format!("jobs of one model wait: {}", excerpt(&fault.message, REASON_CHARS_MAX));
        (self.model_quota.as_ref() != Some(&line)).then(|| {
            self.model_quota = Some(line.clone());
            line
        })
    }

    fn outage(&mut self, events: &[Event], pace: &RunSnapshot) -> Option<String> {
        let mut faults = events.iter().filter_map(|event| match &event.kind {
            EventKind::Setback(Stage::Submit | Stage::Poll, fault) => lead(fault.kind).map(|lead| (lead, fault)),
            EventKind::Setback(Stage::Download, fault) => Some((NO_IMAGE, fault)),
            EventKind::Setback(..)
            | EventKind::SubmitStarted
            | EventKind::Accepted(_)
            | EventKind::Charged(_)
            | EventKind::Ready(_)
            | EventKind::Finished(_)
            | EventKind::Reopened(_)
            | EventKind::Redone(_)
            | EventKind::Restored(_) => None,
        });
        if let Some((lead, fault)) = faults.next_back() {
            self.last_fault = Some(format!("{lead}: {}", excerpt(&fault.message, REASON_CHARS_MAX)));
        }
        let is_down = pace
            .hold
            .is_some_and(|hold| matches!(hold.why, PauseReason::Down | PauseReason::Refused | PauseReason::ImagesDown));
        let is_news = is_down && !self.is_told;
        // The notice is repeated only after a submission was accepted in between: the images are down no longer then, either.
        let is_over = events.iter().any(|event| matches!(event.kind, EventKind::Accepted(_)));
        self.is_told = is_down || (self.is_told && !is_over);
        let why = self.last_fault.as_deref().unwrap_or(NO_RESPONSE);
        is_news.then(|| why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Fault;
    use crate::model::snapshot::{StopCode, SubmitPause};
    use crate::report::fixtures::{accepted, at, event, in_flight};

    #[test]
    fn an_outage_is_explained_once_and_again_when_something_got_through() {
        let refused = Fault::new(FaultKind::Transient, "connection refused\n\u{1b}[31m");
        let fault = [event(1, EventKind::Setback(Stage::Submit, refused))];
        let down = RunSnapshot { hold: Some(SubmitPause { why: PauseReason::Down, until: at(9.0) }), ..in_flight(0) };
        let mut notice = OutageNotice::default();
        assert_eq!(notice.line(&fault, &in_flight(0)), None, "one fault is no outage");
        let told = notice.line(&[], &down).unwrap();
        assert_eq!(told, "no response, still trying: connection refused\\n\\u{1b}[31m");
        assert_eq!(notice.line(&fault, &down), None);
        assert_eq!(notice.line(&[], &in_flight(0)), None);
        assert_eq!(notice.line(&fault, &down), None, "the same outage goes on");
        assert_eq!(notice.line(&[accepted(1, "t")], &in_flight(1)), None);
        assert!(notice.line(&fault, &down).is_some(), "another one begins");
    }

    #[test]
    fn a_quota_of_one_model_is_reported_once_unless_it_stops_the_run() {
        let spent = Fault::new(FaultKind::QuotaExhausted { resets_at: None }, "today's quota for model a/b");
        let fault = [event(1, EventKind::Setback(Stage::Submit, spent))];
        let stopping = RunSnapshot { stopping: Some(StopCode::Quota), ..in_flight(1) };
        let mut notice = OutageNotice::default();
        assert_eq!(notice.line(&fault, &stopping), None);
        let words = "jobs of one model wait: today's quota for model a/b";
        assert_eq!(notice.line(&fault, &in_flight(1)).as_deref(), Some(words));
        assert_eq!(notice.line(&fault, &in_flight(1)), None);
    }

    #[test]
    fn an_outage_of_the_image_host_is_explained_by_its_fault() {
        let refused = Fault::new(FaultKind::Transient, "could not download https://images/1.png: timed out");
        let fault = [event(1, EventKind::Setback(Stage::Download, refused))];
        let hold = Some(SubmitPause { why: PauseReason::ImagesDown, until: at(9.0) });
        let mut notice = OutageNotice::default();
        assert_eq!(notice.line(&fault, &in_flight(0)), None);
        let line = notice.line(&[], &RunSnapshot { hold, ..in_flight(0) }).unwrap();
        assert_eq!(
            line,
            "no image can be downloaded, still trying: could not download https://images/1.png: timed out"
        );
    }
}
