//! State of a job, folded from its events by the same function live, in the ledger and on a resume.

use std::sync::Arc;
use std::time::Duration;

use crate::model::event::{EventKind, ReopenTarget, Restored, Stage};
use crate::model::job::Job;
use crate::model::money::{Charge, Money};
use crate::model::outcome::{Artifact, Fault, FaultKind, Outcome, TaskId, Url};
use crate::model::time::Timestamp;

/// Phase of a job, from its submission to its end.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Phase {
    /// Pending: nothing is under way, and nothing is paid for.
    #[default]
    Pending,
    /// Submitting: a submission has left, or may have left, and no answer is recorded.
    Submitting,
    /// Running: the job was accepted, and is polled until its task is done.
    Running(TaskId),
    /// Downloading: the task is done, and the images are being fetched.
    Downloading(Vec<Url>),
    /// Finished: the job has ended.
    Finished(Outcome),
}

/// Data that are kept of a job's past: its phase, and what the retry policy and the results need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobState {
    /// Present phase.
    pub phase: Phase,
    /// Task of the last acceptance; `None` before it, and after a new submission.
    pub task: Option<TaskId>,
    /// Submissions that have left.
    pub n_submits: u32,
    /// Setbacks while submitting or downloading since the last acceptance or reopening. Throttling and a used-up quota are not the job's
    /// fault, and are not counted.
    pub n_setbacks: u32,
    /// Accepted tasks that were given up and followed by another submission, or will be.
    pub n_lost: u32,
    /// Lost tasks and doubts that no longer count against the job, as it was reopened since.
    pub n_lost_before_reopen: u32,
    /// Number of times that the user reopened the job after its end, or had it made again.
    pub n_reopened: u32,
    /// Submissions whose answer was lost.
    pub n_in_doubt: u32,
    /// Time of the last submission.
    pub submitted_at: Option<Timestamp>,
    /// Time of the job's end; `None` as long as it has not ended.
    pub finished_at: Option<Timestamp>,
    /// Most recent fault.
    pub last_fault: Option<Fault>,
    /// Images of the job's task on the local disk, while others of the task are still to be fetched.
    pub kept: Vec<Artifact>,
    /// Cost of the last submission, as an answer says it; `None` if none does. A ledger returns it for jobs under way only.
    pub charge: Option<Money>,
}

impl JobState {
    /// Applies one event.
    pub fn apply(&mut self, at: Timestamp, kind: &EventKind) {
        match kind {
            EventKind::SubmitStarted => {
                self.phase = Phase::Submitting;
                (self.task, self.charge) = (None, None);
                self.kept.clear();
                self.n_submits = self.n_submits.saturating_add(1);
                self.submitted_at = Some(at);
                // A submission under way is no longer the one that was in doubt.
                self.last_fault.take_if(|fault| fault.kind.leaves_doubt());
            }
            EventKind::Accepted(task) => {
                self.phase = Phase::Running(task.clone());
                self.task = Some(task.clone());
                self.n_setbacks = 0;
            }
            EventKind::Charged(Charge { submission, money }) if *submission == self.n_submits => {
                self.charge = Some(money.clone());
            }
            EventKind::Charged(_) => (),
            EventKind::Ready(urls) => self.phase = Phase::Downloading(urls.clone()),
            EventKind::Setback(stage, fault) => self.set_back(*stage, fault),
            EventKind::Finished(outcome) => {
                if let Outcome::Failed(fault) = outcome {
                    self.last_fault = Some(fault.clone());
                }
                self.phase = Phase::Finished(outcome.clone());
                self.finished_at = Some(at);
            }
            EventKind::Reopened(again) => self.reopen(*again),
            EventKind::Redone(_) => self.reopen(ReopenTarget::Submit),
            EventKind::Restored(restored) => self.restore(restored),
        }
    }

    fn reopen(&mut self, again: ReopenTarget) {
        self.kept = match (&self.phase, again) {
            (Phase::Finished(Outcome::Failed(fault)), ReopenTarget::Fetch) => fault.kept.clone(),
            // An image of a success is fetched again because it is missing or damaged.
            (
                Phase::Pending
                | Phase::Submitting
                | Phase::Running(_)
                | Phase::Downloading(_)
                | Phase::Finished(Outcome::Succeeded(_) | Outcome::Failed(_)),
                ReopenTarget::Fetch | ReopenTarget::Submit,
            ) => Vec::new(),
        };
        self.phase = match (again, self.task.clone()) {
            (ReopenTarget::Fetch, Some(task)) => Phase::Running(task),
            (ReopenTarget::Fetch, None) | (ReopenTarget::Submit, _) => Phase::Pending,
        };
        self.n_reopened += 1;
        self.n_setbacks = 0;
        self.n_lost_before_reopen = self.n_lost.saturating_add(self.n_in_doubt);
        self.finished_at = None;
        self.last_fault = None;
    }

    /// Returns to an earlier success. The fault of the repetition stays the most recent one.
    fn restore(&mut self, restored: &Restored) {
        let images = restored.images.iter().map(|image| image.artifact.clone()).collect();
        self.phase = Phase::Finished(Outcome::Succeeded(images));
        self.task.clone_from(&restored.task);
        (self.submitted_at, self.finished_at) = (restored.submitted_at, restored.finished_at);
        self.kept.clear();
    }

    fn set_back(&mut self, stage: Stage, fault: &Fault) {
        match stage {
            Stage::Submit if fault.kind.leaves_doubt() => {
                self.phase = Phase::Submitting;
                self.n_in_doubt = self.n_in_doubt.saturating_add(1);
            }
            Stage::Submit => self.phase = Phase::Pending,
            Stage::Poll => (),
            Stage::Download => {
                self.kept.clone_from(&fault.kept);
                self.phase = self.task.clone().map_or(Phase::Pending, Phase::Running);
            }
            Stage::Task => {
                self.phase = Phase::Pending;
                self.n_lost = self.n_lost.saturating_add(1);
                // Only another submission can give an image: what came in the answer cannot change.
                self.task.take_if(|_| fault.kind == FaultKind::BadOutput);
            }
        }
        if !fault.kind.is_limit() && matches!(stage, Stage::Submit | Stage::Download) {
            self.n_setbacks = self.n_setbacks.saturating_add(1);
        }
        self.last_fault = Some(fault.clone());
    }

    /// Returns the point to which a reopened job returns: its task, wherever that may still give the paid image.
    pub fn reopen_target(&self) -> ReopenTarget {
        let is_judged = match &self.phase {
            Phase::Finished(Outcome::Succeeded(_)) => false,
            Phase::Finished(Outcome::Failed(fault)) => fault.kind.ends_task(),
            Phase::Pending | Phase::Submitting | Phase::Running(_) | Phase::Downloading(_) => true,
        };
        if is_judged || self.task.is_none() { ReopenTarget::Submit } else { ReopenTarget::Fetch }
    }

    /// Returns the number of the last submission, from 1, for its [id](crate::model::submission_id::SubmissionId).
    ///
    /// A submission that repeats one in doubt has the same number, so that a provider that knows the number does not start a second task.
    pub fn submission_number(&self) -> u32 {
        let n_repeated = self.n_in_doubt.saturating_sub(u32::from(self.is_in_doubt() && self.is_doubt_counted()));
        self.n_submits.saturating_sub(n_repeated).max(1)
    }

    /// Returns whether a submission may have been accepted unnoticed: the answer was lost, or the process died before it came.
    pub fn is_in_doubt(&self) -> bool {
        self.phase == Phase::Submitting
    }

    /// Returns the number of resubmissions, made or due, after a submission that is or may be paid for. The count begins at the last
    /// reopening.
    pub fn n_repaid(&self) -> u32 {
        self.n_lost.saturating_add(self.n_in_doubt).saturating_sub(self.n_lost_before_reopen)
    }

    /// Returns whether the last recorded event is the loss of the answer to a submission.
    pub fn is_doubt_counted(&self) -> bool {
        self.last_fault.as_ref().is_some_and(|fault| fault.kind.leaves_doubt())
    }

    /// Returns the images on disk of an ended job: all of its task, or those that could be fetched.
    pub fn artifacts(&self) -> &[Artifact] {
        match &self.phase {
            Phase::Finished(Outcome::Succeeded(artifacts)) => artifacts,
            Phase::Finished(Outcome::Failed(fault)) => &fault.kept,
            Phase::Pending | Phase::Submitting | Phase::Running(_) | Phase::Downloading(_) => &[],
        }
    }

    /// Returns the status for scripts: `status` in the results, for a run that is not under way.
    pub fn status(&self) -> &'static str {
        match &self.phase {
            Phase::Pending => "pending",
            Phase::Submitting => "in_doubt",
            Phase::Running(_) | Phase::Downloading(_) => "running",
            Phase::Finished(Outcome::Succeeded(_)) => "succeeded",
            Phase::Finished(Outcome::Failed(fault)) if fault.kind == FaultKind::Moderated => "moderated",
            Phase::Finished(Outcome::Failed(_)) => "failed",
        }
    }

    /// Returns the time from the last submission to the end; `None` before the end.
    pub fn duration(&self) -> Option<Duration> {
        Some(self.finished_at?.since(self.submitted_at?))
    }
}

/// Job with its state.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRecord {
    /// Immutable part of the job.
    pub job: Arc<Job>,
    /// State folded from the job's events.
    pub state: JobState,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(kinds: &[EventKind]) -> JobState {
        let mut state = JobState::default();
        for (i, kind) in kinds.iter().enumerate() {
            state.apply(Timestamp::from_millis(i64::try_from(i).unwrap() * 1000), kind);
        }
        state
    }

    fn task() -> TaskId {
        TaskId("7".into())
    }

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(kind, "words")
    }

    fn setback(stage: Stage, kind: FaultKind) -> EventKind {
        EventKind::Setback(stage, fault(kind))
    }

    #[test]
    fn a_calm_job_goes_through_every_phase() {
        use EventKind::{Accepted, Finished, Ready, SubmitStarted};
        let urls = vec![Url("http://x".into())];
        let story = [SubmitStarted, Accepted(task()), Ready(urls.clone()), Finished(Outcome::Succeeded(vec![]))];
        let phases: Vec<Phase> = (0..=4).map(|n| fold(&story[..n]).phase).collect();
        assert_eq!(phases[..4], [Phase::Pending, Phase::Submitting, Phase::Running(task()), Phase::Downloading(urls)]);
        let end = fold(&story);
        assert_eq!(end.status(), "succeeded");
        assert_eq!(end.duration(), Some(Duration::from_secs(3)));
        assert_eq!((end.n_submits, end.n_setbacks, end.n_in_doubt), (1, 0, 0));
    }

    #[test]
    fn a_refused_submit_is_pending_again() {
        let state = fold(&[EventKind::SubmitStarted, setback(Stage::Submit, FaultKind::Transient)]);
        assert_eq!((state.phase.clone(), state.n_setbacks, state.n_submits), (Phase::Pending, 1, 1));
        assert!(!state.is_in_doubt());
    }

    #[test]
    fn throttling_is_not_counted_against_the_job() {
        let state =
            fold(&[EventKind::SubmitStarted, setback(Stage::Submit, FaultKind::Throttled { retry_after: None })]);
        assert_eq!((state.phase, state.n_setbacks), (Phase::Pending, 0));
    }

    #[test]
    fn a_lost_answer_stays_in_doubt_until_the_next_submit() {
        let doubt = [EventKind::SubmitStarted, setback(Stage::Submit, FaultKind::InDoubt)];
        let state = fold(&doubt);
        assert!(state.is_in_doubt());
        assert_eq!((state.status(), state.n_in_doubt), ("in_doubt", 1));
        let again = fold(&[doubt[0].clone(), doubt[1].clone(), EventKind::SubmitStarted]);
        assert_eq!((again.n_submits, again.last_fault), (2, None));
    }

    #[test]
    fn a_failed_download_goes_back_to_poll_and_keeps_its_task() {
        let state = fold(&[
            EventKind::SubmitStarted,
            EventKind::Accepted(task()),
            EventKind::Ready(vec![Url("http://x".into())]),
            setback(Stage::Download, FaultKind::BadOutput),
        ]);
        assert_eq!((state.phase, state.n_setbacks, state.n_lost), (Phase::Running(task()), 1, 0));
    }

    #[test]
    fn a_failed_poll_changes_nothing_but_the_last_fault() {
        let before = fold(&[EventKind::SubmitStarted, EventKind::Accepted(task())]);
        let mut after = before.clone();
        after.apply(Timestamp::from_millis(9), &setback(Stage::Poll, FaultKind::Transient));
        assert_eq!(after.last_fault.take(), Some(fault(FaultKind::Transient)));
        assert_eq!(after, before);
    }

    #[test]
    fn a_lost_task_is_pending_and_counted() {
        let state =
            fold(&[EventKind::SubmitStarted, EventKind::Accepted(task()), setback(Stage::Task, FaultKind::TaskLost)]);
        assert_eq!((state.phase, state.n_lost), (Phase::Pending, 1));
    }

    #[test]
    fn a_reopened_job_goes_back_to_its_task_or_to_a_new_submission() {
        let lost = setback(Stage::Task, FaultKind::TaskLost);
        let past = [EventKind::SubmitStarted, EventKind::Accepted(task()), lost];
        let end = EventKind::Finished(Outcome::Failed(fault(FaultKind::TaskLost)));
        let again = |again| fold(&[&past[..], &[end.clone(), EventKind::Reopened(again)]].concat());
        let fetched = again(ReopenTarget::Fetch);
        assert_eq!((fetched.status(), &fetched.phase), ("running", &Phase::Running(task())));
        assert_eq!((fetched.n_lost, fetched.n_lost_before_reopen, fetched.n_reopened), (1, 1, 1));
        assert_eq!((fetched.last_fault, fetched.finished_at), (None, None));
        assert_eq!(again(ReopenTarget::Submit).phase, Phase::Pending);
        assert_eq!(
            fold(&[end.clone(), EventKind::Reopened(ReopenTarget::Fetch)]).phase,
            Phase::Pending,
            "it never had a task"
        );
    }

    #[test]
    fn what_was_saved_of_a_task_stays_until_the_next_submission() {
        let image = Artifact {
            file_name: "a".into(),
            sha256: [0; 32],
            bytes: 1,
            width: 1,
            height: 1,
            format: crate::model::outcome::ImageFormat::Png,
        };
        let partly = fault(FaultKind::BadOutput).keeping(vec![image.clone()]);
        let past = [EventKind::SubmitStarted, EventKind::Accepted(task())];
        let set_back = fold(&[&past[..], &[EventKind::Setback(Stage::Download, partly.clone())]].concat());
        assert_eq!((set_back.kept.as_slice(), set_back.artifacts()), (&[image.clone()][..], &[][..]));
        let end = EventKind::Finished(Outcome::Failed(partly));
        let ended = fold(&[&past[..], std::slice::from_ref(&end)].concat());
        assert_eq!(
            (ended.status(), ended.artifacts(), ended.reopen_target()),
            ("failed", &[image.clone()][..], ReopenTarget::Fetch)
        );
        let again = |again| fold(&[&past[..], &[end.clone(), EventKind::Reopened(again)]].concat());
        assert_eq!(again(ReopenTarget::Fetch).kept, std::slice::from_ref(&image));
        assert_eq!(again(ReopenTarget::Submit).kept, []);
        let succeeded = EventKind::Finished(Outcome::Succeeded(vec![image]));
        let repaired = fold(&[&past[..], &[succeeded, EventKind::Reopened(ReopenTarget::Fetch)]].concat());
        assert_eq!(repaired.kept, [], "a damaged one is fetched again");
        let anew =
            fold(&[&past[..], &[end, EventKind::Reopened(ReopenTarget::Fetch), EventKind::SubmitStarted]].concat());
        assert_eq!(anew.kept, []);
    }

    #[test]
    fn moderation_has_a_status_of_its_own() {
        let failed = |kind| fold(&[EventKind::Finished(Outcome::Failed(fault(kind)))]).status();
        assert_eq!(failed(FaultKind::Moderated), "moderated");
        assert_eq!(failed(FaultKind::InvalidRequest), "failed");
    }
}
