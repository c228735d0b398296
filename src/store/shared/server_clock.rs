//! Clock of the server, as far as a worker can know it: an answer shows it at some moment between the call and the answer.

use crate::model::time::Moment;

/// Maximum drift of two clocks against each other, in millionths.
const DRIFT_MAX: i64 = 200;

/// Maximum uncertainty with which times of the server are used, in microseconds.
const UNCERTAINTY_MAX: i64 = 1_000_000;

/// Difference of the server's clock to that of this machine: bounds that every answer narrows, and that widen with time.
#[derive(Debug, Default)]
pub(super) struct ServerClock(Option<Difference>);

/// Bounds of the difference, in microseconds, at a moment.
#[derive(Clone, Copy, Debug)]
struct Difference {
    least: i64,
    most: i64,
    at: Moment,
}

impl ServerClock {
    /// Takes the server's time from an answer to a call that was sent and returned at these moments.
    pub(super) fn look(&mut self, (sent_at, returned_at): (Moment, Moment), server_now: i64) {
        let new = Difference {
            least: server_now - returned_at.micros(),
            most: server_now - sent_at.micros(),
            at: returned_at,
        };
        let both = self.at(returned_at).map(|known| Difference {
            least: known.least.max(new.least),
            most: known.most.min(new.most),
            ..new
        });
        // Without a common difference, one of the clocks was set.
        self.0 = both.filter(|both| both.least <= both.most).or(Some(new));
    }

    /// Returns the moment of a time of the server: that time, or a little later. `None` if it is too uncertain.
    pub(super) fn moment(&self, now: Moment, server_time: i64) -> Option<Moment> {
        let known = self.at(now).filter(|known| known.most - known.least <= UNCERTAINTY_MAX)?;
        Some(Moment::new(server_time - known.least, now.wall()))
    }

    fn at(&self, now: Moment) -> Option<Difference> {
        let known = self.0?;
        let drift = (now.micros() - known.at.micros()).max(0) / 1_000_000 * DRIFT_MAX;
        Some(Difference { least: known.least - drift, most: known.most + drift, at: now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    const SECOND: i64 = 1_000_000;

    fn at(micros: i64) -> Moment {
        Moment::new(micros, Timestamp::from_millis(0))
    }

    /// Goal: a time of the server is never early, and a slow answer makes no time later than a quick one before it. Method: a server that
    /// is 1000 s ahead, and answers that take their time on the way there or back.
    #[test]
    fn a_time_is_never_early_and_seldom_late() {
        let (mut clock, ahead) = (ServerClock::default(), 1000 * SECOND);
        assert_eq!(clock.moment(at(0), ahead), None, "nothing is known");
        clock.look((at(0), at(9 * SECOND)), ahead + SECOND);
        assert_eq!(clock.moment(at(9 * SECOND), ahead), None, "it is too uncertain");
        let mut late = vec![];
        for (n, (there, back)) in (10..).zip([(0, 300_000), (900_000, 2000), (900_000, 900_000), (0, 0), (5, 400_000)])
        {
            let sent = n * SECOND;
            clock.look((at(sent), at(sent + there + back)), ahead + sent + there);
            late.push(clock.moment(at(sent), ahead + sent).unwrap().micros() - sent);
        }
        // Within a second, 200 microseconds of drift are possible.
        let expected = [300_000, 2000, 2200, 0, 200];
        assert!(late.iter().zip(expected).all(|(late, most)| (0..=most + 200).contains(late)), "{late:?}");
    }

    /// Goal: a clock that is set, or another server, counts at once. Method: the server's clock goes back an hour.
    #[test]
    fn a_clock_that_is_set_is_followed() {
        let mut clock = ServerClock::default();
        clock.look((at(0), at(10)), 5000 * SECOND);
        clock.look((at(SECOND), at(SECOND + 10)), 1401 * SECOND);
        assert_eq!(clock.moment(at(SECOND), 1402 * SECOND), Some(at(2 * SECOND + 10)));
    }
}
