//! Times that a worker reserves for its submissions, under the rate of all workers together.

use std::time::Duration;

use crate::model::shared_rate::{Reservation, SharedRate};
use crate::store::shared::backend::{RESERVED_AHEAD, SharedBackend};
use crate::store::shared::link::Link;

/// Wait before the next request, after one without an answer or with one that is too uncertain.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Reserves at most `max` times. The error says how long to wait before the next request.
pub(super) async fn reserve<B: SharedBackend + ?Sized>(link: &Link<B>, max: u32) -> Result<Reservation, Duration> {
    let sent_at = link.now();
    let Ok(times) = link.backend.reserve(link.worker, max).await else { return Err(AFTER_FAILURE) };
    let now = link.now();
    link.hear(times.flags.clone());
    if times.count == 0 {
        let next_in = u64::try_from(times.next - times.now).unwrap_or(0);
        return Err(Duration::from_micros(next_in).saturating_sub(RESERVED_AHEAD));
    }
    let first = link.server_moment((sent_at, now), times.now, times.first).ok_or(AFTER_FAILURE)?;
    let usable_for = times.flags.rate.map_or(Duration::MAX, SharedRate::usable_for);
    Ok(Reservation { first, interval: Duration::from_micros(times.interval), count: times.count, usable_for })
}
