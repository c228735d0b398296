//! Keeper of a worker's row: renews it, leaves testimonies again, and takes over workers that are silent. It runs beside the driver, which
//! may be waiting.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::store::error::LedgerError;
use crate::store::shared::backend::{Renewal, SharedBackend};
use crate::store::shared::link::Link;
use crate::store::shared::observer::Observer;
use crate::store::shared::outbox::Outbox;
use crate::store::shared::recent_testimonies::RecentTestimonies;

/// What a worker knows: its writes, and the testimonies of its process.
type Known = (Arc<Mutex<Outbox>>, Arc<RecentTestimonies>);

/// Renews the worker and observes the others, until the worker is fenced. Testimonies are left again for as long as the session lasts.
pub(super) async fn keep<B: SharedBackend + ?Sized>(link: Arc<Link<B>>, (outbox, testimonies): Known) {
    let every = link.options.renewed_every();
    let mut observer = Observer::new(link.options.ttl, every);
    let mut is_first = true;
    loop {
        // The renewal is more urgent. A server that does not answer is asked again.
        if is_first || link.is_fenced() || link.has_written_within(every) {
            drop(testimonies.leave_again(&link).await);
        }
        is_first = false;
        sleep(every).await;
        if link.is_fenced() {
            continue;
        }
        // A commit has renewed it.
        if !link.has_written_within(every / 2) && renew(&link, &outbox).await.is_err() {
            // The driver meets the error with its next write.
            observer.forget();
        }
        let sent_at = link.now();
        let Ok(rows) = link.backend.workers().await else {
            observer.forget();
            continue;
        };
        let others = rows.into_iter().filter(|row| row.id != link.worker && row.is_live);
        for (worker, seen) in observer.look((sent_at, link.now()), others) {
            // Another worker may be quicker, and without an answer the next look shows what happened.
            drop(link.backend.take_over(worker, seen, link.options.ttl).await);
        }
    }
}

async fn renew<B: SharedBackend + ?Sized>(link: &Link<B>, outbox: &Mutex<Outbox>) -> Result<(), LedgerError> {
    // What the server has now is at least what it had before the renewal was sent, unless it has forgotten.
    let n_before = outbox.try_lock().map_or(0, |outbox| outbox.n_written());
    let sent_at = link.now();
    match link.backend.renew(link.worker).await {
        Ok(Renewal::Renewed { n_writes, flags }) => {
            link.written(sent_at);
            link.hear(flags);
            if n_writes < n_before {
                return outbox.lock().await.send_again(link, n_writes).await;
            }
            Ok(())
        }
        Ok(Renewal::Fenced) => Err(link.fence()),
        Ok(Renewal::Unknown) => {
            link.call(|backend| backend.join(link.worker, &link.profile)).await?;
            outbox.lock().await.send_again(link, 0).await
        }
        Err(_) => Err(link.fenced()),
    }
}
