//! The only place that asks what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::time::{Moment, Timestamp};

/// Reads both clocks. On tokio's paused time it makes simulations run hours in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    /// What the wall showed at the origin, in a simulation; otherwise the system is asked.
    wall_at_origin: Option<Timestamp>,
}

impl Clock {
    /// The clocks of this machine.
    pub fn system() -> Self {
        Self { origin: Instant::now(), wall_at_origin: None }
    }

    /// A wall clock that shows `wall` now and goes exactly as tokio's time does.
    pub fn simulated(wall: Timestamp) -> Self {
        Self { origin: Instant::now(), wall_at_origin: Some(wall) }
    }

    /// What time it is.
    pub fn now(&self) -> Moment {
        let elapsed = self.origin.elapsed();
        let wall = self.wall_at_origin.map_or_else(system_wall, |wall| after(wall, elapsed));
        Moment::new(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX), wall)
    }

    /// Waits for a moment.
    pub async fn sleep_until(&self, moment: Moment) {
        let micros = u64::try_from(moment.micros()).unwrap_or(0);
        tokio::time::sleep_until(self.origin + Duration::from_micros(micros)).await;
    }
}

fn after(wall: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_millis(wall.millis().saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
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

    #[tokio::test(start_paused = true)]
    async fn a_moment_that_has_passed_is_not_waited_for() {
        let clock = Clock::system();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = clock.now();
        clock.sleep_until(Moment::new(-7, Timestamp::default())).await;
        assert!(clock.now() - now < Duration::from_secs(1));
    }
}
