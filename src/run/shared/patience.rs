//! Patience with a server that gives no answer.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::store::error::LedgerError;

/// Longest outage of the server before a worker has begun: an address may be wrong.
pub(super) const PATIENCE_FIRST: Duration = Duration::from_secs(5);

/// Wait before the server is asked again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Asks the server, and asks again for so long as it gives no answer.
pub(super) async fn patiently<T, F: Future<Output = Result<T, LedgerError>>>(
    patience: Duration,
    ask: impl Fn() -> F,
) -> Result<T, LedgerError> {
    let began = Instant::now();
    loop {
        match ask().await {
            Err(LedgerError::NoAnswer { .. }) if began.elapsed() < patience => sleep(ASKED_AGAIN_AFTER).await,
            answer => return answer,
        }
    }
}
