//! Clock of the driver: the only place that reads the current time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::time::{Moment, Timestamp};

/// Reads two clocks: the wall clock, and a monotonic clock that continues while the machine is suspended. A suspend
/// thus appears as a gap of its true length. On tokio's paused time, simulations run hours in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    /// Wall-clock time at the origin, in a simulation. `None` otherwise: the system clock is read then.
    wall_at_origin: Option<Timestamp>,
    /// Returns the total time that the machine has been suspended since it was started.
    suspended: fn() -> Duration,
    suspended_at_origin: Duration,
}

impl Clock {
    /// Returns a clock that reads the clocks of this machine.
    pub(crate) fn system() -> Self {
        Self::with_suspends(None, suspended)
    }

    /// Returns a clock for simulations. Its wall clock shows `wall` now and advances exactly as tokio's time does.
    pub fn simulated(wall: Timestamp) -> Self {
        Self::with_suspends(Some(wall), || Duration::ZERO)
    }

    fn with_suspends(wall_at_origin: Option<Timestamp>, suspended: fn() -> Duration) -> Self {
        Self { origin: Instant::now(), wall_at_origin, suspended, suspended_at_origin: suspended() }
    }

    /// Returns the current time of both clocks.
    pub fn now(&self) -> Moment {
        let elapsed = self.origin.elapsed() + self.suspended();
        let wall = self.wall_at_origin.map_or_else(system_wall, |wall| after(wall, elapsed));
        Moment::new(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX), wall)
    }

    /// Waits until `moment`. Returns at once if `moment` has passed.
    pub async fn sleep_until(&self, moment: Moment) {
        let since_origin = Duration::from_micros(u64::try_from(moment.micros()).unwrap_or(0));
        tokio::time::sleep_until(self.origin + since_origin.saturating_sub(self.suspended())).await;
    }

    /// Returns the time that the machine has been suspended since the origin.
    fn suspended(&self) -> Duration {
        (self.suspended)().saturating_sub(self.suspended_at_origin)
    }
}

fn after(wall: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_millis(wall.millis().saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

/// Returns how far the boot-time clock is ahead of the monotonic clock. Tokio uses the monotonic clock, which stops
/// during a suspend.
#[cfg(target_os = "linux")]
fn suspended() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let read = |clock| {
        let time = clock_gettime(clock);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    let boot = read(ClockId::Boottime);
    boot.saturating_sub(read(ClockId::Monotonic))
}

/// Returns zero: outside Linux, only the wall clock shows a suspend.
#[cfg(not(target_os = "linux"))]
const fn suspended() -> Duration {
    Duration::ZERO
}

fn system_wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    after(Timestamp::default(), since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn on_paused_time_both_clocks_go_together() {
        let clock = Clock::simulated(Timestamp::from_millis(1_000_000));
        let start = clock.now();
        clock.sleep_until(start + Duration::from_secs(3600)).await;
        assert!(clock.now() - start >= Duration::from_secs(3600));
        assert!(clock.now().wall().since(start.wall()) >= Duration::from_secs(3600));
    }

    /// Goal: suspended time counts as passed, and the clock does not wait for it again. Method: a counter in place of
    /// the kernel's clock.
    #[tokio::test(start_paused = true)]
    async fn a_suspend_is_seen() {
        use std::sync::atomic::{AtomicU64, Ordering};
        static SECONDS: AtomicU64 = AtomicU64::new(1000);
        let clock = Clock::with_suspends(None, || Duration::from_secs(SECONDS.load(Ordering::Relaxed)));
        let start = clock.now();
        SECONDS.store(4600, Ordering::Relaxed);
        assert_eq!((clock.now() - start).as_secs(), 3600);
        let began = Instant::now();
        clock.sleep_until(start + Duration::from_secs(3610)).await;
        assert_eq!(began.elapsed().as_secs(), 10);
    }

    #[test]
    fn the_kernel_tells_how_long_the_machine_was_suspended() {
        assert!(suspended() < Duration::from_secs(10 * 365 * 24 * 3600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_that_has_passed_is_not_waited_for() {
        let clock = Clock::system();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = clock.now();
        clock.sleep_until(Moment::new(-7, Timestamp::default())).await;
        assert!(clock.now() - now < Duration::from_secs(1));
    }
}
