//! Ownership check of tasks: one task belongs to one job, so an acceptance with a recorded task is in doubt.
//!
//! A cache or a proxy on the network path may return one answer to several submissions. A job with another job's task
//! would fetch that job's image. The job's own submission may have been accepted all the same.

use std::collections::HashSet;

use crate::engine::turn::Input;
use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind, TaskId};
use crate::store::error::LedgerError;
use crate::store::{Ledger, TaskOwner};

/// Puts an acceptance in doubt if its task belongs to an earlier submission. That submission is in the ledger, or among
/// these answers and not recorded yet. If the ledger cannot be read, the answers stay unchanged, to keep accepted tasks.
pub(super) async fn settle(mut inputs: Vec<Input>, ledger: &mut dyn Ledger) -> (Vec<Input>, Result<(), LedgerError>) {
    let mut accepted: Vec<(JobId, TaskId, &mut Input)> = inputs.iter_mut().filter_map(accepted).collect();
    if accepted.is_empty() {
        return (inputs, Ok(()));
    }
    let tasks = accepted.iter().map(|(_, task, _)| task.clone()).collect();
    let owners = match ledger.owners(tasks).await {
        Ok(owners) => owners,
        Err(error) => return (inputs, Err(error)),
    };
    let mut new = HashSet::new();
    for ((job, task, input), owner) in accepted.iter_mut().zip(owners) {
        let whose = match owner {
            Some(owner) => words(*job, owner),
            None if new.insert(&*task) => continue,
            None => "which another submission received at the same time".to_owned(),
        };
        **input = Input::Submitted(*job, Err(doubt(task, &whose)));
    }
    (inputs, Ok(()))
}

fn accepted(input: &mut Input) -> Option<(JobId, TaskId, &mut Input)> {
    match input {
        Input::Submitted(job, Ok(acceptance)) => Some((*job, acceptance.task.clone(), input)),
        Input::Submitted(_, Err(_))
        | Input::Loaded { .. }
        | Input::Unsent(_)
        | Input::Found(_)
        | Input::Polled(_)
        | Input::Downloaded(..)
        | Input::Received(_)
        | Input::Unsaved(_)
        | Input::Hold(_)
        | Input::Rate(_)
        | Input::Places(_)
        | Input::CostMax(_)
        | Input::Forgotten
        | Input::Reserved(_)
        | Input::Stop(_) => None,
    }
}

fn words(job: JobId, owner: TaskOwner) -> String {
    match owner.index {
        _ if owner.job == job => "which is an earlier submission of this job".to_owned(),
        Some(index) => format!("which belongs to job {index}"),
        None => format!("which belongs to the job {}, no longer in the manifest", owner.job.short()),
    }
}

fn doubt(task: &TaskId, whose: &str) -> Fault {
    let message = format!(
        "the API answered with task {task}, {whose}: a cache or a proxy in front of the API may have repeated an earlier response; \
         the submission may still have been accepted"
    );
    Fault::new(FaultKind::InDoubt, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Event, EventKind};
    use crate::model::job::{Job, ManifestRow};
    use crate::model::outcome::Acceptance;
    use crate::model::request::Request;
    use crate::model::time::Timestamp;
    use crate::store::memory::MemoryLedger;

    fn job(n: u64) -> Job {
        let request = Request { prompt: n.to_string(), model: "a/b".into(), ..Request::default() };
        Job {
            id: JobId::new(&request.content(), 0),
            index: n,
            label: None,
            request,
            extras: vec![],
            row: ManifestRow::default(),
        }
    }

    fn answer(n: u64, task: &str) -> Input {
        Input::Submitted(job(n).id, Ok(Acceptance::from(TaskId(task.into()))))
    }

    /// Returns the outcome of each answer: its task, or the owner that its fault names.
    async fn settled(ledger: &mut MemoryLedger, answers: Vec<Input>) -> Vec<String> {
        let (inputs, asked) = settle(answers, ledger).await;
        asked.unwrap();
        let word = |input| match input {
            Input::Submitted(_, Ok(acceptance)) => acceptance.task.0,
            Input::Submitted(_, Err(fault)) => {
                assert_eq!(fault.kind, FaultKind::InDoubt);
                let words = fault.message.split_once(": a cache").unwrap().0.to_owned();
                words.split_once(", ").unwrap().1.to_owned()
            }
            other => format!("{other:?}"),
        };
        inputs.into_iter().map(word).collect()
    }

    #[tokio::test]
    async fn a_task_of_another_submission_is_in_doubt() {
        let mut ledger = MemoryLedger::new((1..=4).map(job));
        let accepted = EventKind::Accepted(TaskId("t1".into()));
        let event = Event { job: job(1).id, index: 1, at: Timestamp::default(), kind: accepted };
        ledger.load(4).await.unwrap();
        ledger.record([event].into()).await.unwrap();
        let answers = vec![answer(1, "t1"), answer(2, "t1"), answer(3, "t2"), answer(4, "t2"), answer(2, "t3")];
        let expected = [
            "which is an earlier submission of this job",
            "which belongs to job 1",
            "t2",
            "which another submission received at the same time",
            "t3",
        ];
        assert_eq!(settled(&mut ledger, answers).await, expected);
        let other = Input::Unsaved(job(1).id);
        assert_eq!(settle(vec![other.clone()], &mut ledger).await.0, [other], "what is no acceptance stays as it is");
    }
}
