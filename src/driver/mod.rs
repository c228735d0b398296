//! Main loop of a run, in five steps: decide, record, show, act, wait.
//!
//! Slow work runs in separate tasks and returns as an [`Input`]. Inputs that arrive during a commit are handled in the
//! next turn, so that one sync serves them all.

pub(crate) mod clock;
pub(crate) mod context;
mod meter;
pub(crate) mod pictures;
mod requests;
mod shared;
pub(crate) mod stop;
mod task_owner;
mod transfer;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::select;
use tokio::task::{JoinError, JoinSet, yield_now};

use crate::driver::clock::Clock;
use crate::driver::context::DriverContext;
use crate::driver::meter::DownloadMeter;
use crate::driver::shared::Others;
use crate::driver::stop::StopReceiver;
use crate::engine::fleet::{Fleet, FleetAction, FleetTurn};
use crate::engine::turn::{Action, Input, StopReason};
use crate::images::error::StoreError;
use crate::model::event::{Event, EventKind};
use crate::model::job::JobId;
use crate::model::link;
use crate::model::outcome::{Outcome, TaskId};
use crate::model::time::Moment;
use crate::provider::Provider;
use crate::report::{Reporter, Reporters};
use crate::store::error::LedgerError;
use crate::store::{Ledger, Loaded, Recorded};

/// Maximum number of inputs per turn.
const INPUTS_MAX: usize = 4096;

/// Maximum number of rounds before a turn. In each round, ready tasks run on, as long as that brings more inputs.
const ROUNDS_MAX: usize = 64;

/// Longest wait between two turns. A display without changes looks dead.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Reason why a run could not continue. Recorded events stay recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriveError {
    /// Failure of the ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Failure of the image store (local disk or object storage) to save an image.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs the loop until the engine's last turn. Returns the reason for an early stop; `None` if the run finished.
///
/// The image store may save no images, or the ledger may load no more jobs. Requests in flight are then still awaited
/// and recorded. A lost answer would leave its job in doubt, and the job would be paid for twice.
pub async fn drive(
    engine: impl Into<Fleet>,
    ledger: &mut dyn Ledger,
    reporters: &mut Reporters,
    context: &DriverContext,
    clock: &Clock,
    stops: &mut StopReceiver,
) -> Result<Option<StopReason>, DriveError> {
    let mut engine = engine.into();
    let (mut under_way, meter) = (JoinSet::new(), Arc::new(DownloadMeter::default()));
    let (mut broken, mut spooled, mut others) = (None, SpooledTasks::new(), Others::default());
    loop {
        let now = clock.now();
        if let Some(received) = meter.take() {
            engine.handle(now, Input::Received(received));
        }
        let FleetTurn { events, actions, wake_at, is_last } = engine.turn(now);
        let events: Arc<[Event]> = events.into();
        spooled.extend(actions.iter().filter_map(spooled_task));
        let n_new = actions.iter().filter(|FleetAction { action, .. }| matches!(action, Action::Submit(..))).count();
        let actions = match others.record(&mut engine, ledger, now, &events, actions).await {
            Ok(actions) => actions,
            Err(error) => {
                let n_out = engine.pace(now).n_submitting - n_new;
                return Err(shared::leave(error, n_out, &mut under_way, ledger).await.into());
            }
        };
        remove_partials(&events, context);
        release(&events, &mut spooled, context);
        reporters.show(now, &events, &engine.pace(now));
        while let Some(notice) = context.store.take_notice() {
            reporters.note(now, &notice);
        }
        let loaded = match perform((now, actions), ledger, context, (&meter, clock), &mut under_way).await {
            Ok(loaded) => loaded,
            Err(error) => {
                broken.get_or_insert(error.into());
                engine.handle(clock.now(), Input::Stop(StopReason::Disk));
                Some(Loaded::default())
            }
        };
        if is_last {
            reporters.end();
            return broken.map_or_else(|| Ok(engine.stop_reason()), Err);
        }
        if let Some(Loaded { jobs, more }) = loaded {
            engine.handle(clock.now(), Input::Loaded { jobs, more });
            continue;
        }
        select! {
            biased;
            stop = stops.next() => engine.handle(clock.now(), Input::Stop(stop)),
            Some(done) = under_way.join_next() => {
                let done = drain_ready(done, &mut under_way).await;
                let inputs = done.into_iter().map(|done| returned(done, &mut broken)).collect();
                let (inputs, asked) = task_owner::settle(inputs, ledger).await;
                for input in inputs {
                    engine.handle(clock.now(), input);
                }
                if let Err(error) = asked {
                    broken.get_or_insert(error.into());
                    engine.handle(clock.now(), Input::Stop(StopReason::Disk));
                }
            }
            () = clock.sleep_until(soon(wake_at, now + WAIT_MAX)) => (),
        }
    }
}

/// Collects finished tasks, and tasks that finish without waiting. A commit of many events costs little more than a
/// commit of one.
async fn drain_ready(first: JoinedTask, under_way: &mut JoinSet<TaskOutput>) -> Vec<JoinedTask> {
    let mut drained = vec![first];
    for _ in 0..ROUNDS_MAX {
        yield_now().await;
        let n_before = drained.len();
        drained.extend(std::iter::from_fn(|| under_way.try_join_next()).take(INPUTS_MAX - n_before));
        if drained.len() == n_before {
            break;
        }
    }
    drained
}

/// Returns the earlier of `at_most` and the engine's wake-up time, if there is one.
fn soon(wake_at: Option<Moment>, at_most: Moment) -> Moment {
    wake_at.map_or(at_most, |moment| moment.min(at_most))
}

type TaskOutput = Result<Input, (JobId, StoreError)>;

type JoinedTask = Result<TaskOutput, JoinError>;

/// Starts the actions of a turn, which were decided at this moment. Every action has its events recorded by now.
async fn perform(
    (decided_at, actions): (Moment, Recorded<Vec<FleetAction>>),
    ledger: &mut dyn Ledger,
    context: &DriverContext,
    (meter, clock): (&Arc<DownloadMeter>, &Clock),
    under_way: &mut JoinSet<TaskOutput>,
) -> Result<Option<Loaded>, LedgerError> {
    let (mut loaded, lease) = (None, ledger.lease(decided_at));
    for FleetAction { member, action } in actions.into_inner() {
        let context = context.of(member);
        match action {
            Action::Load { max, is_idle } => {
                if is_idle {
                    ledger.set_aside().await?;
                }
                loaded = Some(ledger.load(max).await?);
            }
            Action::Submit(job, number) => {
                drop(under_way.spawn(requests::submit(context, job, number, lease.clone(), *clock).map(Ok)));
            }
            Action::Reserve(request) => drop(under_way.spawn(ledger.reserve(request).map(Input::Reserved).map(Ok))),
            Action::Find(lost) => drop(under_way.spawn(requests::find(context, lost).map(Ok))),
            Action::Poll(batch) => drop(under_way.spawn(requests::poll(context, batch).map(Ok))),
            Action::Download(origin, urls) => {
                under_way.spawn(requests::download(context, Arc::clone(meter), origin, urls));
            }
        }
    }
    Ok(loaded)
}

/// Removes partial downloads of jobs that have ended, or are submitted as a new task.
fn remove_partials(events: &[Event], context: &DriverContext) {
    for event in events {
        match event.kind {
            EventKind::SubmitStarted | EventKind::Finished(_) => context.store.remove_partial(event.job),
            EventKind::Accepted(_)
            | EventKind::Charged(_)
            | EventKind::Ready(_)
            | EventKind::Setback(..)
            | EventKind::Reopened(_)
            | EventKind::Redone(_)
            | EventKind::Restored(_) => (),
        }
    }
}

/// Tasks whose images the provider keeps on this disk, by the job that saves them now.
type SpooledTasks = HashMap<JobId, (usize, TaskId)>;

/// Frees what an earlier process left to free: images of tasks whose jobs have succeeded.
pub fn release_saved<E>(
    provider: &dyn Provider,
    mut is_saved: impl FnMut(&TaskId) -> Result<bool, E>,
) -> Result<(), E> {
    let mut saved = Vec::new();
    for task in provider.kept() {
        if is_saved(&task)? {
            saved.push(task);
        }
    }
    if !saved.is_empty() {
        provider.release(&saved);
    }
    Ok(())
}

/// Returns the job and the task of a download whose images the provider keeps on this disk.
fn spooled_task(FleetAction { member, action }: &FleetAction) -> Option<(JobId, (usize, TaskId))> {
    match action {
        Action::Download(origin, urls) if urls.iter().any(link::is_spooled) => {
            Some((origin.job.id, (*member, origin.task.clone()?)))
        }
        Action::Download(..)
        | Action::Load { .. }
        | Action::Submit(..)
        | Action::Reserve(_)
        | Action::Find(_)
        | Action::Poll(_) => None,
    }
}

/// Frees what the provider keeps for jobs that have succeeded. Images that could not be saved stay, for a later attempt.
fn release(events: &[Event], spooled: &mut SpooledTasks, context: &DriverContext) {
    let mut saved: BTreeMap<usize, Vec<TaskId>> = BTreeMap::new();
    for event in events {
        if let EventKind::Finished(outcome) = &event.kind
            && let Some((member, task)) = spooled.remove(&event.job)
            && matches!(outcome, Outcome::Succeeded(_))
        {
            saved.entry(member).or_default().push(task);
        }
    }
    for (member, tasks) in saved {
        context.of(member).provider.release(&tasks);
    }
}

/// Returns the input of a finished task, and keeps the first error of the image store. Panics are caught inside the
/// task, and no task is aborted while the loop runs.
fn returned(done: JoinedTask, broken: &mut Option<DriveError>) -> Input {
    match done.expect("a task of the driver neither panics nor is aborted") {
        Ok(input) => input,
        Err((job, error)) => {
            broken.get_or_insert(error.into());
            Input::Unsaved(job)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    const ANSWER: TaskOutput = Ok(Input::Unsaved(JobId::from_bytes([0; 10])));

    /// Goal: inputs that need no waiting share a turn, and no input is waited for. Method: tasks with a few more steps,
    /// and a task of one hour. The clock moves only when all tasks wait.
    #[tokio::test(start_paused = true)]
    async fn a_turn_takes_in_what_comes_of_itself_and_waits_for_nothing() {
        let mut under_way = JoinSet::new();
        for n_steps in 0..10 {
            under_way.spawn(async move {
                for _ in 0..n_steps {
                    yield_now().await;
                }
                ANSWER
            });
        }
        under_way.spawn(async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            ANSWER
        });
        let began = tokio::time::Instant::now();
        let first = under_way.join_next().await.unwrap();
        assert_eq!(drain_ready(first, &mut under_way).await.len(), 10);
        assert_eq!((under_way.len(), began.elapsed()), (1, Duration::ZERO));
    }

    #[tokio::test]
    async fn a_turn_takes_in_no_more_than_its_limit() {
        let mut under_way = JoinSet::new();
        for _ in 0..INPUTS_MAX + 100 {
            under_way.spawn(ready(ANSWER));
        }
        for _ in 0..INPUTS_MAX {
            yield_now().await;
        }
        let first = under_way.join_next().await.unwrap();
        assert_eq!(drain_ready(first, &mut under_way).await.len(), INPUTS_MAX);
        assert_eq!(under_way.len(), 100);
    }
}
