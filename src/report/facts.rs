//! Status messages of a run at one moment: facts in long and short form, identical on a terminal and in a log.

use crate::model::escape::grouped;
use crate::model::snapshot::{Bottleneck, PauseReason, RunSnapshot, StopCode};
use crate::model::time::{Moment, Timestamp};
use crate::report::format::{rate, span};
use crate::report::progress_totals::ProgressTotals;

/// Fact about a run, in a long form, and in a short form for narrow terminals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    /// Long form, shown where the line has room.
    pub long: String,
    /// Short form, shown where the long form does not fit.
    pub short: String,
    /// Severity, which selects the colour.
    pub tone: Emphasis,
}

/// Severity of a fact, which a terminal may show as a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emphasis {
    /// Neutral: no colour.
    Plain,
    /// Most important to a reader: bold.
    Strong,
    /// Seldom needed: dimmed.
    Faint,
    /// Success: green.
    Good,
    /// Failure: red.
    Bad,
    /// Warning: yellow.
    Wary,
}

impl Fact {
    /// Creates a fact from its long form and its short form.
    pub(crate) fn new(tone: Emphasis, long: String, short: String) -> Self {
        Self { long, short, tone }
    }

    /// Creates a fact whose long and short forms are identical.
    pub(crate) fn one(tone: Emphasis, text: String) -> Self {
        Self { long: text.clone(), short: text, tone }
    }
}

/// Returns how many jobs ended with each outcome, and the estimated time left: `1,190 succeeded`, `3 failed`,
/// `about 7 min left`.
pub(crate) fn outcomes(totals: &ProgressTotals, now: Moment, pace: &RunSnapshot) -> Vec<Fact> {
    let mut said = ended(totals);
    said.extend(totals.time_left(now, pace).map(|left| {
        let left = span(left);
        Fact::new(Emphasis::Strong, format!("about {left} left"), format!("{left} left"))
    }));
    said
}

/// Returns how many jobs ended with each outcome. Failed and moderated jobs are mentioned only if there are any.
pub(crate) fn ended(totals: &ProgressTotals) -> Vec<Fact> {
    let succeeded = Fact::one(Emphasis::Good, format!("{} succeeded", grouped(totals.n_succeeded())));
    std::iter::once(succeeded).chain(shortfall(totals)).collect()
}

/// Returns how many jobs ended without an image: failed or moderated, each only if there are any.
pub(crate) fn shortfall(totals: &ProgressTotals) -> impl Iterator<Item = Fact> {
    let parts = [(totals.n_failed(), "failed", Emphasis::Bad), (totals.n_moderated(), "moderated", Emphasis::Wary)];
    let said = |(n, word, tone)| Fact::one(tone, format!("{} {word}", grouped(n)));
    parts.into_iter().filter(|(n, ..)| *n > 0).map(said)
}

/// Returns what is in progress, by stage: `16 in flight: 3 queued, 13 running`, `2 downloading`.
pub(crate) fn flight(pace: &RunSnapshot) -> Vec<Fact> {
    let n_in_flight = pace.n_in_flight();
    // A few submissions are always on their way. Their count is shown only if it is at least a quarter of the tasks in
    // flight.
    let (n_submitting, n_running) = match pace.n_submitting {
        n if n * 4 >= n_in_flight => (n, pace.n_running),
        n => (0, pace.n_running + n),
    };
    let kinds = [(n_submitting, "submitting"), (pace.n_queued, "queued"), (n_running, "running")];
    let kinds: Vec<_> = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let short = format!("{n_in_flight} in flight");
    let mut said = vec![];
    if n_in_flight > 0 {
        let is_plain = n_running == n_in_flight;
        let long = if is_plain { short.clone() } else { format!("{short}: {}", kinds.join(", ")) };
        said.push(Fact::new(Emphasis::Plain, long, short));
    }
    let others = [(pace.n_downloading, "downloading", ""), (pace.n_waiting, "waiting", " to retry")];
    let others = others.into_iter().filter(|(n, ..)| *n > 0);
    said.extend(
        others.map(|(n, word, more)| Fact::new(Emphasis::Plain, format!("{n} {word}{more}"), format!("{n} {word}"))),
    );
    said
}

/// Returns the rate achieved and allowed, the quota left and the cost so far, each if known: `2.1/s of 2.5/s allowed`,
/// `quota: 412 left`, `240 magicube so far`.
pub(crate) fn speed(totals: &ProgressTotals, pace: &RunSnapshot) -> Vec<Fact> {
    let achieved = totals.rate().map(rate);
    let allowed = pace.allowed.map(|allowed| (rate(allowed.per_second), allowed.is_told));
    let pace_said = match (achieved, allowed) {
        (None, None) => None,
        (Some(achieved), None) => Some(Fact::one(Emphasis::Plain, achieved)),
        (None, Some((allowed, true))) => Some(Fact::one(Emphasis::Plain, format!("at most {allowed}"))),
        (None, Some((allowed, false))) => Some(Fact::one(Emphasis::Plain, format!("API accepts about {allowed}"))),
        (Some(achieved), Some((allowed, is_told))) => {
            let long = if is_told {
                format!("{achieved} of {allowed} allowed")
            } else {
                format!("{achieved}, API accepts about {allowed}")
            };
            Some(Fact::new(Emphasis::Plain, long, format!("{achieved} of {allowed}")))
        }
    };
    let quota = pace.quota_left.map(|left| {
        let text = format!("quota: {} left", grouped(left));
        let is_short = left < totals.n_to_submit(pace);
        let long = if is_short { format!("{text}, less than needed") } else { text.clone() };
        Fact::new(if is_short { Emphasis::Wary } else { Emphasis::Plain }, long, text)
    });
    let cost = totals.cost(pace).map(|(long, short)| Fact::new(Emphasis::Plain, format!("{long} so far"), short));
    [pace_said, quota, cost].into_iter().flatten().collect()
}

/// Explains why the run is not faster, or stops: `throttled: next submission in 12 s`. Returns `None` if nothing limits
/// the run.
pub(crate) fn why(totals: &ProgressTotals, now: Moment, pace: &RunSnapshot) -> Option<Fact> {
    if let Some(stopping) = pace.stopping {
        return Some(stop(stopping, pace));
    }
    hold(now, pace).or_else(|| slow(totals, pace))
}

/// Explains why no submission leaves: `quota used up until 16:05 UTC: next submission in 7 h 12 min`. Returns `None` if
/// submissions are not held back at `now`.
pub(crate) fn hold(now: Moment, pace: &RunSnapshot) -> Option<Fact> {
    let hold = pace.hold.filter(|hold| hold.until > now)?;
    let wait = span(hold.until - now);
    let (long, short) = match hold.why {
        PauseReason::Throttled => (format!("throttled: next submission in {wait}"), format!("throttled: {wait}")),
        PauseReason::Down => {
            let silence = pace.down_for.filter(|silence| silence.as_secs() > 0);
            let silence = silence.map_or_else(String::new, |silence| format!(" for {}", span(silence)));
            (format!("no response from the API{silence}: next try in {wait}"), format!("no response: {wait}"))
        }
        PauseReason::Refused => {
            (format!("every submission is refused: next try in {wait}"), format!("refused: {wait}"))
        }
        PauseReason::ImagesDown => {
            let silence = pace.down_for.map_or_else(String::new, |silence| format!(" for {}", span(silence)));
            (format!("no image can be downloaded{silence}: next try in {wait}"), format!("no images: {wait}"))
        }
        PauseReason::Quota => {
            let until = clock(hold.until.wall());
            (format!("quota used up until {until}: next submission in {wait}"), format!("quota used up: {wait}"))
        }
    };
    Some(Fact::new(Emphasis::Wary, long, short))
}

/// Explains why a run stops, and what it still waits for.
pub(crate) fn stop(stopping: StopCode, pace: &RunSnapshot) -> Fact {
    let why = match stopping {
        StopCode::Asked => "stopping",
        StopCode::Unauthorized => "token refused",
        StopCode::Refused => "every job is refused",
        StopCode::Quota => "quota used up",
        StopCode::Failures => "too many failures",
        StopCode::Unreachable => "no response from the API",
        StopCode::Disk => "images cannot be written",
        StopCode::Cost => "cost limit reached",
        StopCode::Duration => "time is up",
        StopCode::Elsewhere => "another worker stopped the run",
        StopCode::Limit => "part done",
    };
    let last = match stopping {
        StopCode::Refused
        | StopCode::Quota
        | StopCode::Failures
        | StopCode::Cost
        | StopCode::Duration
        | StopCode::Elsewhere
        | StopCode::Limit => pace.n_in_flight() + pace.n_downloading,
        StopCode::Asked | StopCode::Unauthorized | StopCode::Unreachable | StopCode::Disk => 0,
    };
    let waiting = match last {
        0 => "waiting for the last responses".to_owned(),
        n => format!("waiting for the {n} in flight"),
    };
    Fact::new(Emphasis::Wary, format!("{why}: {waiting}"), why.to_owned())
}

fn slow(totals: &ProgressTotals, pace: &RunSnapshot) -> Option<Fact> {
    let n_in_flight = pace.n_in_flight();
    let faint = |long: String, short: String| Some(Fact::new(Emphasis::Faint, long, short));
    let one = |text: String| Some(Fact::one(Emphasis::Faint, text));
    match (pace.slow, pace.places) {
        (None, _) if totals.n_left() > 0 && totals.n_to_submit(pace) == 0 => {
            one(format!("waiting for the last {}", grouped(totals.n_left())))
        }
        (None, _) => None,
        (Some(Bottleneck::Rate), _) => {
            let allowed = pace.allowed?;
            let held = format!("limited to {}", rate(allowed.per_second));
            faint(format!("{held}{}", if allowed.is_told { " by --rate" } else { ": the API refused more" }), held)
        }
        (Some(Bottleneck::Places), Some(places)) => {
            let of = format!("{n_in_flight} of {places} in flight");
            faint(format!("waiting for a free slot: {of}"), of)
        }
        (Some(Bottleneck::Places), None) => {
            faint("learning how many tasks the API accepts at once".to_owned(), "learning the limits".to_owned())
        }
        (Some(Bottleneck::Answers), _) => one(format!("waiting for {} responses", pace.n_submitting)),
        (Some(Bottleneck::Downloads), _) => one(format!("waiting for {} downloads", pace.n_downloading)),
    }
}

/// Formats a time of day: `16:05 UTC`. UTC is unambiguous in every time zone.
fn clock(at: Timestamp) -> String {
    let minutes = at.millis().div_euclid(60_000);
    format!("{:02}:{:02} UTC", minutes.div_euclid(60).rem_euclid(24), minutes.rem_euclid(60))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::outcome::FaultKind;
    use crate::model::snapshot::SubmitPause;
    use crate::report::fixtures::{at, failed, in_flight, succeeded, throttled, totals};

    #[test]
    fn only_what_there_is_gets_said() {
        let long = |said: Vec<Fact>| said.into_iter().map(|said| said.long).collect::<Vec<_>>();
        let mut totals = totals(9);
        assert_eq!((long(flight(&in_flight(0))), long(speed(&totals, &in_flight(0)))), (vec![], vec![]));
        totals.add(at(0.0), &[succeeded(1), failed(2, FaultKind::Transient, ""), failed(3, FaultKind::Moderated, "")]);
        assert_eq!(long(outcomes(&totals, at(0.0), &in_flight(2))), ["1 succeeded", "1 failed", "1 moderated"]);
        assert_eq!(long(flight(&in_flight(2))), ["2 in flight"]);
    }

    #[test]
    fn a_hold_is_said_while_it_lasts() {
        let pace = RunSnapshot { hold: Some(throttled(12.0)), ..in_flight(1) };
        let said = |secs, pace: &RunSnapshot| hold(at(secs), pace).map(|said| [said.long, said.short]);
        let words = |long: &str, short: &str| Some([long.to_owned(), short.to_owned()]);
        assert_eq!(said(0.0, &pace), words("throttled: next submission in 12 s", "throttled: 12 s"));
        assert_eq!(said(11.5, &pace), words("throttled: next submission in 1 s", "throttled: 1 s"));
        assert_eq!((said(12.0, &pace), said(12.0, &in_flight(1))), (None, None));
        let down = RunSnapshot { hold: Some(SubmitPause { why: PauseReason::Down, until: at(40.0) }), ..in_flight(1) };
        let two_minutes = RunSnapshot { down_for: Some(Duration::from_secs(120)), ..down };
        assert_eq!(said(0.0, &down), words("no response from the API: next try in 40 s", "no response: 40 s"));
        assert_eq!(said(0.0, &two_minutes).unwrap()[0], "no response from the API for 2 min: next try in 40 s");
        let images = SubmitPause { why: PauseReason::ImagesDown, until: at(40.0) };
        let images = RunSnapshot { hold: Some(images), ..two_minutes };
        let long = "no image can be downloaded for 2 min: next try in 40 s";
        assert_eq!(said(0.0, &images), words(long, "no images: 40 s"));
        let quota =
            RunSnapshot { hold: Some(SubmitPause { why: PauseReason::Quota, until: at(25_920.0) }), ..in_flight(1) };
        assert_eq!(said(0.0, &quota).unwrap()[0], "quota used up until 15:12 UTC: next submission in 7 h 12 min");
    }
}
