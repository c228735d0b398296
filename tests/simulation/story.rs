//! Event history of one job as a state machine: which event may follow which, and whether the given reasons are true.
//!
//! Deliberately written without the fold that the engine and the ledger share: shared code would share its errors.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use promptbatch::internals::simulator::{Task, TaskOutcome};
use promptbatch::model::event::{Event, EventKind, Stage};
use promptbatch::model::job::JobId;
use promptbatch::model::limits::{InDoubtPolicy, Limits};
use promptbatch::model::outcome::{Fault, FaultKind, Outcome, TaskId};
use promptbatch::model::time::Timestamp;

/// Minimum number of answers that a task is unknown, before the task may be declared lost. The last answer is the loss
/// itself.
const UNKNOWN_MIN: u32 = 2;

/// Minimum age of a task that may be declared unknown.
const UNKNOWN_AGE_MIN: Duration = Duration::from_secs(30);

/// Maximum time that an answer travels: its content was true when it was sent.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(2);

/// State of a job in its history.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// Nothing is at the provider.
    Idle,
    /// A submission was sent and has no answer yet.
    Sent,
    /// The answer to the submission was lost.
    Doubt,
    /// The provider accepted this task.
    Taken(TaskId),
    /// The images of this task can be downloaded.
    Linked(TaskId),
    Ended,
}

#[derive(Clone, Debug)]
struct Story {
    place: Place,
    accepted_at: Timestamp,
    /// Number of counted setbacks while submitting or downloading, since the last acceptance.
    n_setbacks: u32,
    n_lost: u32,
    n_doubts: u32,
    /// Number of answers that the present task is unknown.
    n_unknown: u32,
}

/// Totals of a whole ledger.
#[derive(Debug, Default)]
pub struct Told {
    /// Submissions of each job by their result: accepted, in doubt, and not answered yet.
    pub accepted: BTreeMap<JobId, u32>,
    pub doubts: BTreeMap<JobId, u32>,
    pub open: BTreeMap<JobId, u32>,
    /// Number of tasks that were given up, so that their jobs were submitted again.
    pub n_lost: u32,
}

/// Reads the history of every job. Panics at the first event that is impossible.
pub fn read(events: &[Event], limits: &Limits) -> Told {
    let mut stories: BTreeMap<JobId, Story> = BTreeMap::new();
    let mut tasks = BTreeSet::new();
    let mut told = Told::default();
    for event in events {
        let story = stories.entry(event.job).or_insert_with(Story::new);
        let before = story.clone();
        story.go_on(event, limits);
        match &event.kind {
            EventKind::Accepted(task) => {
                assert!(tasks.insert(task.clone()), "task {task} was recorded twice");
                *told.accepted.entry(event.job).or_default() += 1;
            }
            EventKind::Setback(Stage::Task, _) => told.n_lost += 1,
            _ if story.place == Place::Doubt && before.place == Place::Sent => {
                *told.doubts.entry(event.job).or_default() += 1;
            }
            _ => (),
        }
    }
    let open = stories.iter().filter(|(_, story)| story.place == Place::Sent);
    told.open = open.map(|(id, _)| (*id, 1)).collect();
    told
}

impl Story {
    const fn new() -> Self {
        let accepted_at = Timestamp::from_millis(0);
        Self { place: Place::Idle, accepted_at, n_setbacks: 0, n_lost: 0, n_doubts: 0, n_unknown: 0 }
    }

    fn go_on(&mut self, event: &Event, limits: &Limits) {
        use EventKind::{Accepted, Charged, Finished, Ready, Redone, Setback, SubmitStarted};
        let next = match (self.place.clone(), &event.kind) {
            (Place::Idle, SubmitStarted) => Place::Sent,
            (Place::Doubt, SubmitStarted) if limits.in_doubt == InDoubtPolicy::Resubmit => {
                assert!(self.n_lost + self.n_doubts <= limits.resubmits_max, "one payment too many: {event:?}");
                Place::Sent
            }
            (Place::Sent, Accepted(task)) => {
                (self.accepted_at, self.n_setbacks, self.n_unknown) = (event.at, 0, 0);
                Place::Taken(task.clone())
            }
            (Place::Sent, Setback(Stage::Submit, fault)) => {
                self.count(fault);
                self.n_doubts += u32::from(fault.kind.leaves_doubt());
                if fault.kind.leaves_doubt() { Place::Doubt } else { Place::Idle }
            }
            (Place::Taken(task), Setback(Stage::Poll, fault)) => {
                self.n_unknown += u32::from(fault.kind == FaultKind::TaskLost);
                Place::Taken(task)
            }
            (Place::Taken(task), Ready(_)) => Place::Linked(task),
            (Place::Taken(task), Setback(Stage::Task, fault)) => {
                assert!(self.n_lost + self.n_doubts < limits.resubmits_max, "one payment too many: {event:?}");
                assert!(self.is_true_loss(&task, event.at, fault, limits), "a task is given up for nothing: {event:?}");
                self.n_lost += 1;
                Place::Idle
            }
            (Place::Linked(task), Setback(Stage::Download, fault)) => {
                self.count(fault);
                Place::Taken(task)
            }
            (Place::Linked(_), Finished(Outcome::Succeeded(artifacts))) if !artifacts.is_empty() => Place::Ended,
            (place, Finished(Outcome::Failed(fault))) if place != Place::Ended => {
                assert!(
                    self.is_true_end(event.at, fault, limits),
                    "a failure that nothing explains: {self:?} {event:?}"
                );
                Place::Ended
            }
            // A cost changes nothing else.
            (place @ (Place::Taken(_) | Place::Linked(_)), Charged(_)) => place,
            // The job was made again on request, and its past no longer counts against it.
            (Place::Ended, Redone(_)) => Self::new().place,
            (place, kind) => panic!("job {}: {kind:?} cannot follow {place:?}", event.index),
        };
        if matches!(event.kind, Redone(_)) {
            *self = Self::new();
        }
        self.place = next;
    }

    const fn count(&mut self, fault: &Fault) {
        let is_counted = !matches!(fault.kind, FaultKind::Throttled { .. } | FaultKind::QuotaExhausted { .. });
        self.n_setbacks += is_counted as u32;
    }

    /// Reports whether the provider itself gave up this task. The id of a simulated task contains its real end.
    fn is_true_loss(&self, task: &TaskId, at: Timestamp, fault: &Fault, limits: &Limits) -> bool {
        let real = Task::from_id(&task.0).expect("a task of the simulator");
        // A later process counts from the moment at which the submission left.
        let age = at.since(self.accepted_at) + ANSWER_AGE_MAX;
        let was_told = self.n_unknown >= UNKNOWN_MIN && age >= UNKNOWN_AGE_MIN;
        let is_unfinished = real.fate() == TaskOutcome::Stuck || at.since(real.ends_at()) <= ANSWER_AGE_MAX;
        let is_late = age >= limits.task_timeout && is_unfinished;
        match fault.kind {
            FaultKind::Transient => real.fate() == TaskOutcome::Failed,
            FaultKind::TaskLost => was_told || is_late,
            _ => false,
        }
    }

    /// Reports whether the limits, or the provider's own answers, explain this end.
    fn is_true_end(&self, at: Timestamp, fault: &Fault, limits: &Limits) -> bool {
        match &self.place {
            // The job is refused while others are accepted.
            Place::Idle => matches!(fault.kind, FaultKind::InvalidRequest | FaultKind::Unauthorized),
            Place::Ended => false,
            Place::Sent => fault.kind == FaultKind::Transient && self.n_setbacks >= limits.retries_max,
            Place::Doubt => {
                fault.kind == FaultKind::Rejected
                    || (fault.kind == FaultKind::InDoubt && limits.in_doubt == InDoubtPolicy::Fail)
            }
            Place::Linked(_) => self.n_setbacks >= limits.retries_max,
            Place::Taken(task) => match (fault.kind, Task::from_id(&task.0).map(|task| task.fate())) {
                (FaultKind::BadOutput, fate) => fate == Some(TaskOutcome::Empty),
                (FaultKind::Moderated, fate) => fate == Some(TaskOutcome::Moderated),
                _ => self.n_lost + self.n_doubts >= limits.resubmits_max && self.is_true_loss(task, at, fault, limits),
            },
        }
    }
}
