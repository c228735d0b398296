//! Sample run with one job of every status, for the tests of the CI reports.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::{ReportWriter, RunReport};
use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::event::{EventKind, Stage};
use crate::model::job::{Job, JobId, ManifestRow};
use crate::model::outcome::{Fault, FaultKind, Outcome, TaskId, Url};
use crate::model::phase::{JobRecord, JobState};
use crate::model::request::Request;
use crate::model::time::Timestamp;
use crate::report::fixtures::artifact;

pub(super) fn facts() -> RunReport {
    RunReport {
        name: "prompts.v2".into(),
        out: "out/prompts.v2".into(),
        provider: "modelscope".into(),
        counts: StatusCounts { n_pending: 1, n_in_doubt: 1, n_running: 1, n_succeeded: 1, n_moderated: 1, n_failed: 1 },
        incidents: RunStats { n_submits: 6, n_in_doubt: 1, n_lost: 1, ..RunStats::default() },
        stop: Some(("quota", "stopped: the daily quota is used up".into())),
        exit_code: 75,
        ended_at: Timestamp::from_millis(1_800_000_000_000),
        elapsed: std::time::Duration::from_millis(90_500),
        n_ended: 3,
        cost: Some((Cost { sure: Amount::new(10.0), in_doubt: Amount::new(2.0), n_in_doubt: 1 }, "magicube".into())),
        fail_under: Some("98%".into()),
    }
}

fn record(index: u64, prompt: &str, past: &[EventKind]) -> JobRecord {
    let request = Request { prompt: prompt.into(), model: "a/b".into(), ..Request::default() };
    let label = (index == 2).then(|| "my <id>".to_owned());
    let job = Job {
        id: JobId::new(&request.content(), 0),
        index,
        label,
        request,
        extras: vec![],
        row: ManifestRow::default(),
    };
    let mut state = JobState::default();
    for (kind, secs) in past.iter().zip([0, 1, 12, 15]) {
        state.apply(Timestamp::from_millis(1_799_999_910_000 + 1000 * secs), kind);
    }
    JobRecord { job: job.into(), state }
}

/// Returns one job per phase, in this order: succeeded, failed, moderated, in doubt, running, pending.
pub(super) fn jobs() -> Vec<JobRecord> {
    use EventKind::{Accepted, Finished, Ready, Setback, SubmitStarted};
    let task = || Accepted(TaskId("5075521".into()));
    let fault = |kind, words: &str| Fault::new(kind, words);
    let failed = |kind, words: &str| Finished(Outcome::Failed(fault(kind, words)));
    let links = Ready(vec![Url("https://x/1".into())]);
    let moderated = failed(FaultKind::Moderated, "inappropriate\ncontent");
    let refused = failed(FaultKind::InvalidRequest, "no *such* | <model> @you #1");
    let doubt = Setback(Stage::Submit, fault(FaultKind::InDoubt, "the answer was lost"));
    vec![
        record(
            1,
            "a golden cat",
            &[SubmitStarted, task(), links, Finished(Outcome::Succeeded(vec![artifact("a.png")]))],
        ),
        record(2, "一只狗 & \"<b>\" \u{1b}[31m\n| `x` \u{ffff}", &[SubmitStarted, refused]),
        record(3, "a cow", &[SubmitStarted, task(), moderated]),
        record(4, "a heron", &[SubmitStarted, doubt]),
        record(5, "an owl", &[SubmitStarted, task()]),
        record(6, "a fox", &[]),
    ]
}

/// Buffer that a test can read while a report writes to it.
#[derive(Clone, Default)]
pub(super) struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a complete report of these jobs, and returns its text.
pub(super) fn report(new: impl FnOnce(Page) -> Box<dyn ReportWriter>, jobs: &[JobRecord]) -> String {
    let page = Page::default();
    let mut report = new(page.clone());
    for record in jobs {
        report.job(record).unwrap();
    }
    report.finish().unwrap();
    String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
}
