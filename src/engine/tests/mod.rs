//! Tests of the engine: they feed it inputs, and check every event and action that it returns.

mod backlog;
mod evidence;
mod faults;
mod fetching;
mod images;
mod links;
mod lost;
mod money;
mod outages;
mod pace;
mod quota;
mod refusals;
mod resume;
mod shared;
mod shared_cost;
mod stops;
mod waits;
mod walk;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::turn::{Action, Input, Turn};
use crate::model::event::{Event, EventKind, Stage};
use crate::model::job::{Job, JobId, ManifestRow};
use crate::model::limits::{Concurrency, InDoubtPolicy, Limits};
use crate::model::more::More;
use crate::model::outcome::{Acceptance, Artifact, Fault, FaultKind, Found, ImageFormat, Outcome, Status, TaskId, Url};
use crate::model::phase::{JobRecord, JobState};
use crate::model::provenance::Provenance;
use crate::model::request::Request;
use crate::model::snapshot::{PauseReason, SubmitPause};
use crate::model::time::{Moment, Timestamp};

/// Engine under test, with a clock that moves only when the test moves it.
struct Bench {
    engine: Engine,
    now: Moment,
    /// Events so far.
    events: Vec<Event>,
}

fn job(n: u64) -> Job {
    let request = Request { prompt: format!("cat {n}"), model: "a/b".into(), ..Request::default() };
    Job {
        id: JobId::new(&request.content(), 0),
        index: n,
        label: None,
        request,
        extras: vec![],
        row: ManifestRow::default(),
    }
}

fn id(n: u64) -> JobId {
    job(n).id
}

fn task(n: u64) -> TaskId {
    TaskId(format!("t{n}"))
}

fn urls(n: u64) -> Vec<Url> {
    vec![Url(format!("https://images/{n}.png"))]
}

fn artifact() -> Artifact {
    let (file_name, sha256) = ("images/x.png".to_owned(), [0; 32]);
    Artifact { file_name, sha256, bytes: 1, width: 1, height: 1, format: ImageFormat::Png }
}

fn fault(kind: FaultKind) -> Fault {
    Fault::new(kind, "words")
}

fn pending(n: u64) -> JobRecord {
    JobRecord { job: job(n).into(), state: JobState::default() }
}

/// Builds a job with these past events, at `age` before the start of the test.
fn past(n: u64, age: Duration, kinds: &[EventKind]) -> JobRecord {
    let mut state = JobState::default();
    let at = Timestamp::from_millis(START.wall().millis() - i64::try_from(age.as_millis()).unwrap());
    for kind in kinds {
        state.apply(at, kind);
    }
    JobRecord { job: job(n).into(), state }
}

fn fixed(n: u32) -> Limits {
    let concurrency = Concurrency::Fixed(NonZeroU32::new(n).unwrap());
    Limits { concurrency, seed: 1, in_doubt: InDoubtPolicy::Resubmit, ..Limits::default() }
}

const START: Moment = Moment::new(0, Timestamp::from_millis(1_750_000_000_000));

impl Bench {
    /// Creates an engine that has just received these jobs, and the report that no others exist.
    fn new(limits: Limits, jobs: Vec<JobRecord>) -> Self {
        let mut bench = Self { engine: Engine::new(limits), now: START, events: vec![] };
        assert!(matches!(bench.turn().actions[..], [Action::Load { .. }]), "the first turn asks for jobs");
        bench.handle(Input::Loaded { jobs, more: More::Done });
        bench
    }

    fn with_pending(limits: Limits, n: u64) -> Self {
        Self::new(limits, (1..=n).map(pending).collect())
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(self.now, input);
    }

    fn turn(&mut self) -> Turn {
        let mut turn = self.engine.turn(self.now);
        self.events.extend(turn.events.iter().cloned());
        for action in &mut turn.actions {
            match action {
                Action::Download(origin, _) => *origin = Provenance::of_job(Arc::clone(&origin.job)),
                // The number has a test of its own.
                Action::Submit(_, number) => *number = 1,
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) | Action::Poll(_) => (),
            }
        }
        turn
    }

    /// Returns the next turn that is not empty, at the moment that the engine requested.
    fn next(&mut self) -> Turn {
        for _ in 0..100 {
            let turn = self.turn();
            if !turn.actions.is_empty() || turn.is_last {
                return turn;
            }
            let wake_at = turn.wake_at.expect("an idle engine that is not done says when to wake it");
            assert!(wake_at > self.now, "an engine that wants to be woken at once would spin");
            self.wait(wake_at - self.now);
        }
        panic!("the engine does nothing");
    }

    /// Advances time, in which the engine looks at the clock once a second as in the driver.
    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = (self.now + Duration::from_secs(1)).min(end);
            self.engine.0.awake.look(self.now);
        }
    }

    /// Advances time in which the process is stopped, or the machine is asleep.
    fn sleep(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    fn submitted(&mut self, n: u64) {
        self.handle(Input::Submitted(id(n), Ok(task(n).into())));
    }

    fn submit_fault(&mut self, n: u64, kind: FaultKind) {
        self.handle(Input::Submitted(id(n), Err(fault(kind))));
    }

    fn polled(&mut self, n: u64, answer: Result<Status, Fault>) {
        self.handle(Input::Polled(vec![(id(n), answer)]));
    }

    fn downloaded(&mut self, n: u64, result: Result<Vec<Artifact>, Fault>) {
        self.handle(Input::Downloaded(id(n), result));
    }

    /// Brings job `n` to the provider: its submission leaves and is accepted.
    fn run_to_accepted(&mut self, n: u64) {
        assert_eq!(self.next().actions, [submit(n)]);
        self.submitted(n);
    }

    fn run_to_download(&mut self, n: u64) {
        self.run_to_accepted(n);
        assert_eq!(self.next().actions, [poll(n)]);
        self.polled(n, Ok(Status::Done(urls(n))));
        assert_eq!(self.next().actions, [download(n)]);
    }

    /// Returns the words of all events so far, such as `submit accepted ready succeeded`.
    fn story(&self) -> String {
        let words: Vec<_> = self.events.iter().map(|event| word(&event.kind)).collect();
        words.join(" ")
    }
}

fn submit(n: u64) -> Action {
    Action::Submit(job(n).into(), 1)
}

fn poll(n: u64) -> Action {
    Action::Poll(vec![(id(n), task(n))])
}

/// Leaves out the time and the task, as the bench does; see `an_image_is_told_where_it_comes_from`.
fn fetch(n: u64, urls: Vec<Url>) -> Action {
    Action::Download(Provenance::of_job(job(n)), urls)
}

fn download(n: u64) -> Action {
    fetch(n, urls(n))
}

fn word(kind: &EventKind) -> String {
    match kind {
        EventKind::SubmitStarted => "submit".into(),
        EventKind::Accepted(_) => "accepted".into(),
        EventKind::Charged(charge) => format!("charged:{}", charge.money),
        EventKind::Ready(_) => "ready".into(),
        EventKind::Setback(stage, fault) => format!("{}!{}", stage.as_str(), fault.kind.code()),
        EventKind::Finished(Outcome::Succeeded(_)) => "succeeded".into(),
        EventKind::Finished(Outcome::Failed(fault)) => format!("failed:{}", fault.kind.code()),
        EventKind::Reopened(_) | EventKind::Redone(_) | EventKind::Restored(_) => "reopened".into(),
    }
}

#[test]
fn an_empty_ledger_ends_the_run() {
    let mut bench = Bench::new(fixed(1), vec![]);
    let turn = bench.turn();
    assert!(turn.is_last && turn.events.is_empty() && turn.actions.is_empty());
}

#[test]
fn a_calm_job_is_submitted_polled_downloaded_and_done() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_download(1);
    bench.downloaded(1, Ok(vec![artifact()]));
    let last = bench.next();
    assert!(last.is_last && last.actions.is_empty());
    assert_eq!(bench.story(), "submit accepted ready succeeded");
}

#[test]
fn a_submission_is_recorded_in_the_turn_that_sends_it() {
    let mut bench = Bench::with_pending(fixed(3), 3);
    let turn = bench.turn();
    let started: Vec<_> = turn.events.iter().map(|event| (event.index, word(&event.kind))).collect();
    assert_eq!(started, [(1, "submit".into()), (2, "submit".into()), (3, "submit".into())]);
    assert_eq!(turn.actions, [submit(1), submit(2), submit(3)]);
}

#[test]
fn the_acceptance_is_recorded_before_the_first_poll() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.turn();
    bench.submitted(1);
    let turn = bench.turn();
    assert_eq!(turn.events.len(), 1);
    assert!(turn.actions.is_empty(), "nobody polls at once");
    assert!(turn.wake_at.is_some_and(|moment| moment - bench.now < Duration::from_secs(2)));
}

#[test]
fn the_links_are_recorded_in_the_turn_that_follows_them() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    bench.next();
    bench.polled(1, Ok(Status::Done(urls(1))));
    let turn = bench.turn();
    assert_eq!(turn.events[0].kind, EventKind::Ready(urls(1)));
    assert_eq!(turn.actions, [download(1)]);
}

#[test]
fn a_running_task_is_polled_until_it_is_done() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    for _ in 0..5 {
        assert_eq!(bench.next().actions, [poll(1)]);
        bench.polled(1, Ok(Status::Running));
    }
    assert_eq!(bench.story(), "submit accepted", "a poll that tells nothing new is no event");
}

#[test]
fn a_finished_job_makes_room_for_the_next() {
    let mut bench = Bench::with_pending(fixed(1), 2);
    bench.run_to_accepted(1);
    assert_eq!(bench.next().actions, [poll(1)], "the second waits for the first");
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(
        bench.turn().actions,
        [download(1), submit(2)],
        "a task that is done frees its place before its download"
    );
}

#[test]
fn jobs_are_submitted_in_manifest_order() {
    let mut bench = Bench::with_pending(fixed(1), 5);
    for n in 1..=5 {
        assert_eq!(bench.next().actions, [submit(n)]);
        bench.submit_fault(n, FaultKind::Moderated);
    }
    assert!(bench.next().is_last);
}

#[test]
fn several_polls_may_share_a_request_where_the_provider_can() {
    let mut bench = Bench::with_pending(Limits { poll_batch_max: 2, ..fixed(3) }, 3);
    bench.turn();
    (1..=3).for_each(|n| bench.submitted(n));
    bench.wait(Duration::from_secs(10));
    let batches: Vec<usize> = bench
        .turn()
        .actions
        .iter()
        .map(|action| if let Action::Poll(batch) = action { batch.len() } else { 0 })
        .collect();
    assert_eq!(batches, [2, 1]);
}

#[test]
fn polls_wait_for_their_budget() {
    let mut bench = Bench::with_pending(Limits { polls_max: 2, ..fixed(3) }, 3);
    bench.turn();
    (1..=3).for_each(|n| bench.submitted(n));
    bench.wait(Duration::from_secs(10));
    assert_eq!(bench.turn().actions.len(), 2);
    bench.polled(1, Ok(Status::Running));
    assert_eq!(bench.turn().actions.len(), 1);
}

#[test]
fn a_submission_rate_is_kept() {
    let limits = Limits { rate: "2/s".parse().ok(), ..fixed(100) };
    let mut bench = Bench::with_pending(limits, 10);
    let mut left = vec![];
    for n in 1..=10 {
        let turn = bench.next();
        assert_eq!(turn.actions, [submit(n)]);
        left.push((bench.now - START).as_millis());
        bench.submit_fault(n, FaultKind::Moderated);
    }
    // Five thousandths are left for clocks that differ.
    assert!(left.iter().zip(0_u128..).all(|(millis, n)| (n * 500..=n * 503).contains(millis)), "{left:?}");
}

/// Case: the provider announces a pause. The next submission waits, and nothing is refused.
#[test]
fn an_announced_pause_is_kept() {
    let mut bench = Bench::with_pending(fixed(10), 3);
    assert_eq!(bench.turn().actions.len(), 3);
    bench.submit_fault(1, FaultKind::Throttled { retry_after: None });
    bench.handle(Input::Submitted(id(2), Ok(Acceptance { pause: Some(Duration::from_secs(20)), ..task(2).into() })));
    bench.submitted(3);
    loop {
        let actions = bench.next().actions;
        if actions == [submit(1)] {
            break;
        }
        for n in [2, 3].into_iter().filter(|n| actions.contains(&poll(*n))) {
            bench.polled(n, Ok(Status::Running));
        }
    }
    assert_eq!(bench.now - START, Duration::from_secs(20));
}

#[test]
fn the_pace_tells_what_is_under_way() {
    let mut bench = Bench::with_pending(fixed(2), 3);
    bench.turn();
    let pace = bench.engine.pace(bench.now);
    assert_eq!((pace.n_in_flight(), pace.n_downloading, pace.n_waiting, pace.hold), (2, 0, 0, None));
    bench.submit_fault(1, FaultKind::Throttled { retry_after: Some(Duration::from_secs(9)) });
    let until = bench.now + Duration::from_secs(9);
    assert_eq!(bench.engine.pace(bench.now).hold, Some(SubmitPause { why: PauseReason::Throttled, until }));
}
