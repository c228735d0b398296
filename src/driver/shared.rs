//! What the driver does for a run that other processes work on too: it hears and tells them, and leaves evidence if they have its jobs.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::engine::fleet::Fleet;
use crate::engine::turn::{Input, StopReason};
use crate::images::error::StoreError;
use crate::model::event::Event;
use crate::model::job::JobId;
use crate::model::snapshot::{PauseReason, SubmitPause};
use crate::model::time::Moment;
use crate::store::error::LedgerError;
use crate::store::{self, Ledger, Recorded, RunRequest};

/// Difference of two pauses that is not worth telling: the refusals of one burst name almost the same end.
const HOLD_SLACK: Duration = Duration::from_millis(500);

/// What this process has told the others.
#[derive(Debug, Default)]
pub(super) struct Others {
    has_told_stop: bool,
    held_until: Option<Moment>,
}

impl Others {
    /// Records the events of a turn, and then releases its actions. Hears and tells the other processes in between.
    pub(super) async fn record<T>(
        &mut self,
        engine: &mut Fleet,
        ledger: &mut dyn Ledger,
        now: Moment,
        events: &Arc<[Event]>,
        then: T,
    ) -> Result<Recorded<T>, LedgerError> {
        let recorded = store::record(ledger, events, then).await?;
        self.exchange(engine, ledger, now).await?;
        Ok(recorded)
    }

    /// Passes the requests of the other processes to the engines, and tells the others what concerns them too.
    async fn exchange(&mut self, engine: &mut Fleet, ledger: &mut dyn Ledger, now: Moment) -> Result<(), LedgerError> {
        for request in ledger.take_requests()? {
            let input = match request {
                RunRequest::Hold(span) => Input::Hold(span),
                RunRequest::Rate(rate) => Input::Rate(rate),
                RunRequest::Places(max) => Input::Places(max),
                RunRequest::CostMax(max) => Input::CostMax(max),
                RunRequest::Forgotten => Input::Forgotten,
                RunRequest::Stop(why) => Input::Stop(StopReason::Elsewhere(why)),
            };
            engine.handle(now, input);
        }
        if !self.has_told_stop
            && let Some(why) = engine.stop_reason().as_ref().and_then(shared_words)
        {
            ledger.request(RunRequest::Stop(why)).await?;
            self.has_told_stop = true;
        }
        let quota = engine.pace(now).hold.filter(|hold| hold.why == PauseReason::Quota);
        let hold = quota.map(|SubmitPause { until, .. }| until).max(engine.named_pause(now));
        if let Some(until) = hold.filter(|until| self.held_until.is_none_or(|told| *until > told + HOLD_SLACK)) {
            ledger.request(RunRequest::Hold(until - now)).await?;
            self.held_until = Some(until);
        }
        Ok(())
    }
}

/// Returns the reason of a stop in words, if it is one for all processes of the run. A wrong token, a full disk or a broken network may
/// concern one machine only. The limit on the cost is met by each process, as the server tells it, and a higher one lets the others go on.
fn shared_words(stop: &StopReason) -> Option<String> {
    match stop {
        StopReason::Quota(fault) => Some(fault.message.clone()),
        StopReason::Failures(n) => Some(format!("{n} of its jobs failed (--max-failures)")),
        StopReason::Cost(_)
        | StopReason::Interrupted(_)
        | StopReason::Unauthorized(_)
        | StopReason::Refused(..)
        | StopReason::Unreachable(..)
        | StopReason::Disk
        | StopReason::Duration(_)
        | StopReason::Elsewhere(_)
        | StopReason::Limit(_) => None,
    }
}

/// Ends a run whose ledger cannot be written. If other processes have its jobs, the answers to the submissions under way are awaited: what
/// was accepted is left as testimony, and is not paid for again.
pub(super) async fn leave(
    error: LedgerError,
    mut n_submits_out: usize,
    under_way: &mut JoinSet<Result<Input, (JobId, StoreError)>>,
    ledger: &mut dyn Ledger,
) -> LedgerError {
    if !matches!(error, LedgerError::Fenced { .. } | LedgerError::Forgotten { .. }) {
        return error;
    }
    if let Err(lost) = ledger.testify(Vec::new()).await {
        return lost;
    }
    while n_submits_out > 0
        && let Some(done) = under_way.join_next().await
    {
        let (job, answer) = match done {
            Ok(Ok(Input::Submitted(job, answer))) => (job, answer),
            Ok(Ok(Input::Unsent(_))) => {
                n_submits_out -= 1;
                continue;
            }
            Ok(_) | Err(_) => continue,
        };
        n_submits_out -= 1;
        // Images that came with the answer are on this machine, where no other process finds them.
        if let Ok(acceptance) = answer
            && acceptance.images.is_empty()
            && let Err(lost) = ledger.testify(vec![(job, acceptance.task)]).await
        {
            return lost;
        }
    }
    error
}
