//! What the driver does for a run that other processes work on too: it hears them, and leaves evidence if they have its jobs.

use tokio::task::JoinSet;

use crate::engine::fleet::Fleet;
use crate::engine::turn::{Input, StopReason};
use crate::images::error::StoreError;
use crate::model::job::JobId;
use crate::model::time::Moment;
use crate::store::error::LedgerError;
use crate::store::{Ledger, RunRequest};

/// Passes the requests of the other processes to the engines.
pub(super) fn hear(engine: &mut Fleet, ledger: &mut dyn Ledger, now: Moment) -> Result<(), LedgerError> {
    for request in ledger.take_requests()? {
        engine.handle(
            now,
            match request {
                RunRequest::Hold(span) => Input::Hold(span),
                RunRequest::Stop(why) => Input::Stop(StopReason::Elsewhere(why)),
            },
        );
    }
    Ok(())
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
