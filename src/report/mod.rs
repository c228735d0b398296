//! What people and scripts see of a run: readers of its events, which cannot answer back.

pub mod bars;
pub mod lines;
pub mod results;
mod silence;
pub mod tally;
pub mod words;

use crate::model::counts::Pace;
use crate::model::event::Event;
use crate::model::time::Moment;

/// One way to show a run while it goes on.
pub trait Reporter: Send {
    /// What has just been recorded, and what is under way. Called on every turn, also when nothing has happened.
    fn show(&mut self, now: Moment, events: &[Event], pace: &Pace);

    /// The run is over, whether to its end or not.
    fn end(&mut self);
}

/// Several reporters as one, or none at all.
#[derive(Default)]
pub struct Reporters(pub Vec<Box<dyn Reporter>>);

impl Reporter for Reporters {
    fn show(&mut self, now: Moment, events: &[Event], pace: &Pace) {
        self.0.iter_mut().for_each(|reporter| reporter.show(now, events, pace));
    }

    fn end(&mut self) {
        self.0.iter_mut().for_each(|reporter| reporter.end());
    }
}

#[cfg(test)]
mod fixtures {
    //! A run in a few words, for the tests of this room.

    use std::time::Duration;

    use crate::model::counts::{Counts, Hold, HoldReason, Pace};
    use crate::model::event::{Event, EventKind};
    use crate::model::job::JobId;
    use crate::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, Outcome, TaskId};
    use crate::model::time::{Moment, Timestamp};

    /// So many seconds into the run.
    pub fn at(secs: f64) -> Moment {
        Moment::new(0, Timestamp::from_millis(1_800_000_000_000)) + Duration::from_secs_f64(secs)
    }

    pub fn pending(n_pending: u64) -> Counts {
        Counts { n_pending, ..Counts::default() }
    }

    pub fn in_flight(n_in_flight: usize) -> Pace {
        Pace { n_in_flight, n_downloading: 0, n_waiting: 0, hold: None }
    }

    /// Submissions are held back until so many seconds into the run.
    pub fn throttled(secs: f64) -> Hold {
        Hold { why: HoldReason::Throttled, until: at(secs) }
    }

    pub fn event(index: u64, kind: EventKind) -> Event {
        Event { job: JobId::from_bytes([7; 10]), index, at: at(0.0).wall(), kind }
    }

    pub fn artifact(file_name: &str) -> Artifact {
        let format = ImageFormat::Png;
        Artifact { file_name: file_name.into(), sha256: [0xab; 32], bytes: 1000, width: 64, height: 48, format }
    }

    pub fn succeeded(index: u64) -> Event {
        event(index, EventKind::Finished(Outcome::Succeeded(vec![artifact("images/000001-a-cat.png")])))
    }

    pub fn failed(index: u64, kind: FaultKind, message: &str) -> Event {
        event(index, EventKind::Finished(Outcome::Failed(Fault::new(kind, message))))
    }

    pub fn accepted(index: u64, task: &str) -> Event {
        event(index, EventKind::Accepted(TaskId(task.into())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::report::fixtures::{at, in_flight, succeeded};

    #[test]
    fn every_reporter_is_shown_everything() {
        struct Count(Arc<Mutex<(usize, usize)>>);
        impl Reporter for Count {
            fn show(&mut self, _: Moment, events: &[Event], _: &Pace) {
                self.0.lock().unwrap().0 += events.len();
            }
            fn end(&mut self) {
                self.0.lock().unwrap().1 += 1;
            }
        }
        let counts = Arc::new(Mutex::new((0, 0)));
        let mut reporters = Reporters(vec![Box::new(Count(counts.clone())), Box::new(Count(counts.clone()))]);
        reporters.show(at(0.0), &[succeeded(1), succeeded(2)], &in_flight(0));
        reporters.end();
        assert_eq!(*counts.lock().unwrap(), (4, 2));
    }
}
