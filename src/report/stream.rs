//! JSON event stream of a run for programs, one object per line: `--progress json`.
//!
//! Every line is an object. Its fields `v` (version of this format), `event` and `at` (time as RFC 3339 in UTC) are
//! always present. A version may gain fields and events. None is renamed, dropped, or given another meaning. An unknown
//! value is `null` or left out. No line contains a token, and links appear only in error messages.
//!
//! | event | when | fields |
//! |---|---|---|
//! | `start` | the run begins | `jobs`, `pending`, `in_doubt`, `running`, `succeeded`, `failed`, `moderated` |
//! | `submitted` | a submission leaves | `index`, `job` (its 20-digit id) |
//! | `accepted` | the submission was accepted, and is paid for | `index`, `job`, `task_id` |
//! | `charged` | an answer says what the submission cost; a later one replaces it | `index`, `job`, `amount`, `unit` |
//! | `ready` | the task is done, its images are downloaded next | `index`, `job` |
//! | `setback` | an attempt failed and the job continues | `index`, `job`, `stage` (`submit`, `poll`, `download`, `task`), `error_code`, `error` |
//! | `finished` | the job has ended | `index`, `job`, `status` (`succeeded`, `failed`, `moderated`), `files` (below OUT) or `error_code`, `error` |
//! | `progress` | every 5 s | `jobs`, `done`, `succeeded`, `failed`, `moderated`, `submitting`, `queued`, `running`, `downloading`, `waiting`, `per_second`, `per_second_allowed`, `seconds_left`, `quota_left`, `cost` (certain), `cost_max` (if every submission in doubt was accepted), `why` (text) |
//! | `hold` | no submission leaves from now on | `why` (`throttled`, `down`, `refused`, `images_down`, `quota`), `until` |
//! | `go` | submissions resume | |
//! | `stopping` | the run stops before its end | `why` (`interrupted`, `unauthorized`, `refused`, `quota`, `failures`, `unreachable`, `disk`, `cost`, `duration`, `elsewhere`, `limit`) |
//! | `message` | any other message is printed, including warnings and errors | `text` |
//! | `end` | the run is over; always the last line | `exit_code`, and if the run began `stop` (as `why` of `stopping`, or `null`), `seconds`, `jobs`, `pending`, `in_doubt`, `running`, `succeeded`, `failed`, `moderated`, `results` |

use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use crate::model::counts::StatusCounts;
use crate::model::event::{Event, EventKind};
use crate::model::money::{Charge, Money};
use crate::model::outcome::{Fault, FaultKind, Outcome};
use crate::model::snapshot::{PauseReason, RunSnapshot, StopCode, SubmitPause};
use crate::model::time::{Moment, Timestamp};
use crate::report::progress_totals::ProgressTotals;
use crate::report::value::rfc3339;
use crate::report::{Reporter, facts};

/// Version of the format, in the field `v`.
const VERSION: u8 = 1;

/// Interval between two `progress` lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Writes JSON lines to a log. Write errors are ignored, as for every log: a broken log must not stop paid work.
pub struct JsonLinesReporter {
    out: Box<dyn Write + Send>,
    totals: ProgressTotals,
    start: Option<StatusCounts>,
    next_at: Option<Moment>,
    hold: Option<PauseReason>,
    stopping: Option<StopCode>,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    at: String,
    #[serde(flatten)]
    what: StreamEvent<'a>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum StreamEvent<'a> {
    Start(CountFields),
    Submitted(JobRef),
    Accepted {
        #[serde(flatten)]
        job: JobRef,
        task_id: &'a str,
    },
    Charged {
        #[serde(flatten)]
        job: JobRef,
        amount: f64,
        unit: &'a str,
    },
    Ready(JobRef),
    Setback {
        #[serde(flatten)]
        job: JobRef,
        stage: &'static str,
        #[serde(flatten)]
        error: ErrorFields<'a>,
    },
    Finished {
        #[serde(flatten)]
        job: JobRef,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        files: Option<Vec<&'a str>>,
        #[serde(flatten)]
        error: Option<ErrorFields<'a>>,
    },
    Progress(Box<Progress>),
    Hold {
        why: &'static str,
        until: String,
    },
    Go,
    Stopping {
        why: &'static str,
    },
    Message {
        text: &'a str,
    },
    End {
        exit_code: u8,
        #[serde(flatten)]
        summary: Option<End<'a>>,
    },
}

#[derive(Serialize)]
struct JobRef {
    index: u64,
    job: String,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    error_code: &'static str,
    error: &'a str,
}

#[derive(Serialize)]
struct CountFields {
    jobs: u64,
    pending: u64,
    in_doubt: u64,
    running: u64,
    succeeded: u64,
    failed: u64,
    moderated: u64,
}

#[derive(Serialize)]
struct Progress {
    jobs: u64,
    done: u64,
    succeeded: u64,
    failed: u64,
    moderated: u64,
    submitting: usize,
    queued: usize,
    running: usize,
    downloading: usize,
    waiting: usize,
    per_second: Option<f64>,
    per_second_allowed: Option<f64>,
    seconds_left: Option<u64>,
    quota_left: Option<u64>,
    cost: Option<f64>,
    cost_max: Option<f64>,
    why: Option<String>,
}

/// Result of a run, written in its last line.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct End<'a> {
    /// Reason why the run stopped before its end, a word of [`StopCode`]. `None` if it did not.
    pub stop: Option<&'static str>,
    /// Duration of the run, in seconds.
    pub seconds: f64,
    /// Path of the results.
    pub results: &'a str,
    /// Numbers of jobs by status.
    #[serde(flatten, serialize_with = "count_fields")]
    pub counts: StatusCounts,
}

/// Formats a `message` line, for text that is not an event of a job.
pub fn message(at: Timestamp, text: &str) -> String {
    line(at, StreamEvent::Message { text })
}

/// Formats the `end` line, which is the last one. `summary` is `None` if the run never began.
pub fn end(at: Timestamp, exit_code: u8, summary: Option<End<'_>>) -> String {
    line(at, StreamEvent::End { exit_code, summary })
}

impl JsonLinesReporter {
    /// Creates a stream for a run that starts with these counts.
    pub fn new(out: Box<dyn Write + Send>, start: StatusCounts, totals: ProgressTotals) -> Self {
        Self { out, totals, start: Some(start), next_at: None, hold: None, stopping: None }
    }

    /// Appends lines for holds and stops that have begun, and for the end of a hold.
    fn changes(&mut self, now: Moment, pace: &RunSnapshot, text: &mut String) {
        let hold = pace.hold.filter(|hold| hold.until > now);
        let why = hold.map(|hold| hold.why);
        if why != self.hold {
            let what = hold.map_or(StreamEvent::Go, |SubmitPause { why, until }| StreamEvent::Hold {
                why: match why {
                    PauseReason::Throttled => "throttled",
                    PauseReason::Down => "down",
                    PauseReason::Refused => "refused",
                    PauseReason::ImagesDown => "images_down",
                    PauseReason::Quota => "quota",
                },
                until: rfc3339(until.wall()),
            });
            text.push_str(&line(now.wall(), what));
        }
        if let Some(stopping) = pace.stopping.filter(|_| pace.stopping != self.stopping) {
            text.push_str(&line(now.wall(), StreamEvent::Stopping { why: stopping.as_str() }));
        }
        (self.hold, self.stopping) = (why, pace.stopping);
    }

    fn progress(&self, now: Moment, pace: &RunSnapshot) -> Progress {
        let totals = &self.totals;
        Progress {
            jobs: totals.n_jobs(),
            done: totals.n_done(),
            succeeded: totals.n_succeeded(),
            failed: totals.n_failed(),
            moderated: totals.n_moderated(),
            submitting: pace.n_submitting,
            queued: pace.n_queued,
            running: pace.n_running,
            downloading: pace.n_downloading,
            waiting: pace.n_waiting,
            per_second: totals.rate(),
            per_second_allowed: pace.allowed.map(|allowed| allowed.per_second),
            seconds_left: totals.time_left(now, pace).map(|left| left.as_secs()),
            quota_left: pace.quota_left,
            cost: pace.cost.map(|cost| cost.sure.number()),
            cost_max: pace.cost.map(|cost| cost.most().number()),
            why: facts::why(totals, now, pace).map(|said| said.long),
        }
    }
}

impl Reporter for JsonLinesReporter {
    fn show(&mut self, now: Moment, events: &[Event], pace: &RunSnapshot) {
        let mut text = String::new();
        text.extend(self.start.take().map(|start| line(now.wall(), StreamEvent::Start(CountFields::of(&start)))));
        self.totals.add(now, events);
        self.totals.see(pace);
        text.extend(events.iter().filter_map(event_line));
        self.changes(now, pace, &mut text);
        if self.next_at.is_none_or(|next_at| now >= next_at) {
            self.next_at = Some(now + INTERVAL);
            text.push_str(&line(now.wall(), StreamEvent::Progress(Box::new(self.progress(now, pace)))));
        }
        if !text.is_empty() {
            let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        }
    }

    fn note(&mut self, now: Moment, text: &str) {
        let _ = self.out.write_all(message(now.wall(), text).as_bytes()).and_then(|()| self.out.flush());
    }

    /// Writes nothing: the caller that knows the exit code writes the last line.
    fn end(&mut self) {}
}

impl CountFields {
    fn of(counts: &StatusCounts) -> Self {
        let StatusCounts { n_pending, n_in_doubt, n_running, n_succeeded, n_moderated, n_failed } = *counts;
        Self {
            jobs: counts.n_jobs(),
            pending: n_pending,
            in_doubt: n_in_doubt,
            running: n_running,
            succeeded: n_succeeded,
            failed: n_failed,
            moderated: n_moderated,
        }
    }
}

fn count_fields<S: serde::Serializer>(counts: &StatusCounts, serializer: S) -> Result<S::Ok, S::Error> {
    CountFields::of(counts).serialize(serializer)
}

/// Formats an event as a line. Returns `None` for an event that only happens before a run.
fn event_line(event: &Event) -> Option<String> {
    let job = JobRef { index: event.index, job: event.job.to_string() };
    let what = match &event.kind {
        EventKind::SubmitStarted => StreamEvent::Submitted(job),
        EventKind::Accepted(task) => StreamEvent::Accepted { job, task_id: &task.0 },
        EventKind::Charged(Charge { money: Money { amount, unit }, .. }) => {
            StreamEvent::Charged { job, amount: amount.number(), unit }
        }
        EventKind::Ready(_) => StreamEvent::Ready(job),
        EventKind::Setback(stage, fault) => {
            StreamEvent::Setback { job, stage: stage.as_str(), error: error_fields(fault) }
        }
        EventKind::Finished(Outcome::Succeeded(artifacts)) => {
            let files = artifacts.iter().map(|artifact| artifact.file_name.as_str()).collect();
            StreamEvent::Finished { job, status: "succeeded", files: Some(files), error: None }
        }
        EventKind::Finished(Outcome::Failed(fault)) => {
            let status = if fault.kind == FaultKind::Moderated { "moderated" } else { "failed" };
            StreamEvent::Finished { job, status, files: None, error: Some(error_fields(fault)) }
        }
        EventKind::Reopened(_) | EventKind::Redone(_) | EventKind::Restored(_) => return None,
    };
    Some(line(event.at, what))
}

fn error_fields(fault: &Fault) -> ErrorFields<'_> {
    ErrorFields { error_code: fault.kind.code(), error: &fault.message }
}

fn line(at: Timestamp, what: StreamEvent<'_>) -> String {
    let line = Line { v: VERSION, at: rfc3339(at), what };
    serde_json::to_string(&line).expect("texts and numbers can be written") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::amount::Amount;
    use crate::model::cost::Cost;
    use crate::model::event::Stage;
    use crate::report::fixtures::{Log, accepted, at, event, failed, in_flight, pending, succeeded, throttled, totals};

    /// Goal: the format stays stable. Method: format every event in full. Change a line of this snapshot only with a
    /// new version.
    #[test]
    fn every_event_has_its_line() {
        let log = Log::default();
        let mut stream =
            JsonLinesReporter::new(Box::new(log.clone()), pending(3), totals(3).with_price("2 USD".parse().ok()));
        let slow = Fault::new(FaultKind::Throttled { retry_after: None }, "slow\ndown");
        let events = [
            event(1, EventKind::SubmitStarted),
            accepted(1, "5075521"),
            event(1, EventKind::Ready(vec![crate::model::outcome::Url("https://x/?secret".into())])),
            event(2, EventKind::Setback(Stage::Submit, slow)),
            succeeded(1),
            failed(3, FaultKind::Moderated, "\u{1b}[31mno"),
        ];
        let cost = Cost { sure: Amount::new(2.0), in_doubt: Amount::new(0.5), n_in_doubt: 1 };
        let pace = RunSnapshot { hold: Some(throttled(2.0)), cost: Some(cost), quota_left: Some(9), ..in_flight(1) };
        stream.show(at(0.0), &events, &pace);
        stream.show(at(2.0), &[], &RunSnapshot { stopping: Some(StopCode::Asked), ..pace });
        stream.end();
        let summary = End { stop: Some("interrupted"), seconds: 2.5, counts: pending(3), results: "out/results.csv" };
        let all = log.text()
            + &message(at(3.0).wall(), "a \"word\"\nand more")
            + &end(at(3.0).wall(), 130, Some(summary))
            + &end(at(3.0).wall(), 2, None);
        assert!(!all.contains("secret"), "links are nobody's business");
        insta::assert_snapshot!(all, @r#"
        {"v":1,"at":"2027-01-15T08:00:00.000Z","event":"start","jobs":3,"pending":3,"in_doubt":0,"running":0,"succeeded":0,"failed":0,"moderated":0}
        {"v":1,"at":"2027-01-15T08:00:00.000Z","event":"submitted","index":1,"job":"07070707070707070707"}
        {"v":1,"at":"2027-01-15T08:00:00.000Z","event":"accepted","index":1,"job":"07070707070707070707","task_id":"5075521"}
        {"v":1,"at":"2027-01-15T08:00:00.000Z","event":"ready","index":1,"job":"07070707070707070707"}
        {"v":1,"at":"2027-01-15T08:00:00.000Z","event":"setback","index":2,"job":"07070707070707070707","stage":"submit","error_code":"throttled","error":"slow\ndown"}
        {"v":1,"at":"2027-01-15T08:00:00.000Z","event":"finished","index":1,"job":"07070707070707070707","status":"succeeded","files":["images/000001-a-cat.png"]}
        {"v":1,"at":"2027-01-15T08:00:00.000Z","event":"finished","index":3,"job":"07070707070707070707","status":"moderated","error_code":"moderated","error":"\u001b[31mno"}
        {"v":1,"at":"2027-01-15T08:00:00.000Z","event":"hold","why":"throttled","until":"2027-01-15T08:00:02.000Z"}
        {"v":1,"at":"2027-01-15T08:00:00.000Z","event":"progress","jobs":3,"done":2,"succeeded":1,"failed":0,"moderated":1,"submitting":0,"queued":0,"running":1,"downloading":0,"waiting":0,"per_second":null,"per_second_allowed":null,"seconds_left":null,"quota_left":9,"cost":2.0,"cost_max":2.5,"why":"throttled: next submission in 2 s"}
        {"v":1,"at":"2027-01-15T08:00:02.000Z","event":"go"}
        {"v":1,"at":"2027-01-15T08:00:02.000Z","event":"stopping","why":"interrupted"}
        {"v":1,"at":"2027-01-15T08:00:03.000Z","event":"message","text":"a \"word\"\nand more"}
        {"v":1,"at":"2027-01-15T08:00:03.000Z","event":"end","exit_code":130,"stop":"interrupted","seconds":2.5,"results":"out/results.csv","jobs":3,"pending":3,"in_doubt":0,"running":0,"succeeded":0,"failed":0,"moderated":0}
        {"v":1,"at":"2027-01-15T08:00:03.000Z","event":"end","exit_code":2}
        "#);
    }

    #[test]
    fn nothing_is_written_where_nothing_is_new() {
        let log = Log::default();
        let mut stream = JsonLinesReporter::new(Box::new(log.clone()), pending(3), totals(3));
        stream.show(at(0.0), &[], &in_flight(1));
        let n = log.text().len();
        stream.show(at(4.9), &[], &in_flight(1));
        assert_eq!(log.text().len(), n);
        stream.show(at(5.0), &[], &in_flight(1));
        assert!(log.text().len() > n);
    }
}
