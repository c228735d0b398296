//! Memory of a simulated API that knows submissions by their ids or lists them.

use std::collections::{BTreeMap, VecDeque};

use crate::description::format::Description;
use crate::description::leaf::Leaf;
use crate::description::words::DoubtClass;
use crate::model::time::Timestamp;
use crate::simulator::check::Submission;
use crate::simulator::task::Task;

/// Largest number of submissions that are remembered.
const RECORDS_MAX: usize = 100_000;

/// Accepted submission.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::simulator) struct AcceptedRecord {
    /// Time of the acceptance.
    pub(in crate::simulator) at: Timestamp,
    /// Task id.
    pub(in crate::simulator) task_id: String,
    /// Submission, with the id that the client gave it.
    pub(in crate::simulator) submission: Submission,
}

/// Accepted submissions. It stays empty for an API that cannot be asked for them.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct SubmissionBook {
    records: VecDeque<AcceptedRecord>,
    /// Tasks by the submission ids of their clients.
    tasks: BTreeMap<String, Task>,
}

/// Returns whether the id of a task is the one that the client gave to its submission: the answer names it like the request.
pub(in crate::simulator) fn has_own_ids(api: &Description) -> bool {
    let last = |place: &str| place.rsplit('/').next().map(str::to_owned);
    let leaves = api.submit.body.leaves();
    let mut places = leaves.iter().filter(|(_, leaf)| *leaf == Leaf::SubmissionId).map(|(place, _)| last(place));
    places.any(|name| api.accepted.id.iter().any(|pointer| pointer.steps().last().cloned() == name))
}

impl SubmissionBook {
    /// Records an accepted submission, and returns its task id.
    pub(in crate::simulator) fn enter(
        &mut self,
        api: &Description,
        now: Timestamp,
        submission: &Submission,
        task: Task,
    ) -> String {
        let own_id = submission.id.clone().filter(|_| has_own_ids(api));
        let task_id = own_id.unwrap_or_else(|| task.to_string());
        let is_asked = api.find.is_some()
            || api.doubt == DoubtClass::Guarded
            || has_own_ids(api)
            || !api.accepted.conflict.is_empty();
        if is_asked {
            if let Some(id) = &submission.id {
                self.tasks.insert(id.clone(), task);
            }
            self.records.push_back(AcceptedRecord {
                at: now,
                task_id: task_id.clone(),
                submission: submission.clone(),
            });
            if self.records.len() > RECORDS_MAX
                && let Some(id) = self.records.pop_front().and_then(|record| record.submission.id)
            {
                self.tasks.remove(&id);
            }
        }
        task_id
    }

    /// Returns the task of a submission with this id; `None` if none was accepted.
    pub(in crate::simulator) fn task(&self, submission_id: &str) -> Option<Task> {
        self.tasks.get(submission_id).copied()
    }

    /// Returns the accepted submissions, the newest first.
    pub(in crate::simulator) fn records(&self) -> impl Iterator<Item = &AcceptedRecord> {
        self.records.iter().rev()
    }
}
