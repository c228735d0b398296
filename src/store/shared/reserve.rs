//! Times that a worker reserves for its submissions, under the limits of all workers together.

use std::time::Duration;

use crate::model::amount::Amount;
use crate::model::shared_rate::{Reservation, ReserveRequest, SharedRate};
use crate::store::shared::backend::{RESERVED_AHEAD, SharedBackend};
use crate::store::shared::link::Link;

/// Wait before the next request, if all tasks in flight are those of other workers.
const NO_PLACE: Duration = Duration::from_millis(250);

/// Reserves times, as the request with the number `n`. `None` if there is no answer, or the server's clock is too uncertain.
pub(super) async fn reserve<B: SharedBackend + ?Sized>(
    link: &Link<B>,
    n: u64,
    request: ReserveRequest,
) -> Option<Reservation> {
    let sent_at = link.now();
    let times = link.backend.reserve(link.worker, n, request).await.ok()?;
    let now = link.now();
    link.hear(times.flags.clone());
    let next_in = Duration::from_micros(u64::try_from(times.next - times.now).unwrap_or(0));
    let again_in = next_in.checked_sub(RESERVED_AHEAD).filter(|wait| !wait.is_zero()).unwrap_or(NO_PLACE);
    let first = link.server_moment((sent_at, now), times.now, times.first);
    let first = if times.count == 0 { now } else { first? };
    let usable_for = times.flags.rate.map_or(Duration::MAX, SharedRate::usable_for);
    let interval = Duration::from_micros(times.interval);
    let each = request.cost.each.unwrap_or(Amount::ZERO);
    let (count, is_short, reached) = (times.count, times.is_short, times.reached);
    Some(Reservation { first, interval, count, usable_for, again_in, each, is_short, reached })
}
