//! One provider's budgets: submissions, tasks in flight, polls and downloads, and what each refusal does to them.

use std::time::Duration;

use crate::engine::pacer::Pacer;
use crate::engine::retry::Backoff;
use crate::engine::window::Window;
use crate::model::counts::Hold;
use crate::model::event::Stage;
use crate::model::history::History;
use crate::model::limits::Limits;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::time::{Moment, Timestamp};

/// One provider's pace.
#[derive(Debug)]
pub struct Lane {
    submits: Pacer,
    polls: Pacer,
    window: Window,
    n_submits_out: usize,
    n_polls_out: usize,
    n_downloads_out: usize,
    /// Tasks that occupy a place at the provider, submissions under way included.
    n_in_flight: usize,
    submits_max: usize,
    polls_max: usize,
    downloads_max: usize,
    /// Whether the API has ever given this process an answer that says anything.
    has_answered: bool,
}

/// Why nothing may leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// An answer has to come first.
    Busy,
    /// Time has to pass first.
    Until(Moment),
}

impl Lane {
    /// The lane that these limits describe.
    pub fn new(limits: &Limits) -> Self {
        let pacer = |rate, burst, salt| Pacer::new(rate, burst, Backoff::new(limits.seed ^ salt), limits.wait_max);
        Self {
            submits: pacer(limits.rate, limits.burst, 0x5b),
            polls: pacer(limits.poll_rate, None, 0x90),
            window: Window::new(limits.concurrency),
            n_submits_out: 0,
            n_polls_out: 0,
            n_downloads_out: 0,
            n_in_flight: 0,
            submits_max: limits.submits_max,
            polls_max: limits.polls_max,
            downloads_max: limits.downloads_max,
            has_answered: false,
        }
    }

    /// Counts what earlier processes have sent: a restart is no reason to send more than the rate allows.
    pub fn remember(&mut self, now: Moment, history: &History) {
        for sent_at in &history.submitted_at {
            self.submits.remember(now.at_wall(*sent_at));
        }
    }

    /// Takes leave for one submission; it then counts as under way and in flight.
    pub fn take_submit(&mut self, now: Moment) -> Result<(), Wait> {
        let submits_max = if self.submits.is_probing() { 1 } else { self.submits_max };
        if self.n_submits_out >= submits_max || self.n_in_flight >= self.window.cap() {
            return Err(Wait::Busy);
        }
        self.submits.take(now).map_err(Wait::Until)?;
        self.n_submits_out += 1;
        self.n_in_flight += 1;
        Ok(())
    }

    /// A submission was taken: its task stays in flight.
    pub fn submit_accepted(&mut self, now: Moment) {
        self.window.accepted(self.n_in_flight);
        self.n_submits_out -= 1;
        self.submits.succeeded(now);
        self.has_answered = true;
    }

    /// A submission was not taken, or nobody knows.
    pub fn submit_refused(&mut self, now: Moment, fault: &Fault) {
        self.n_submits_out -= 1;
        self.n_in_flight -= 1;
        match fault.kind {
            FaultKind::Throttled { retry_after } => {
                self.has_answered = true;
                if self.submits.refused(now, retry_after) {
                    self.window.refused(self.n_in_flight - self.n_submits_out);
                }
            }
            FaultKind::Transient | FaultKind::InDoubt => self.submits.faltered(now),
            FaultKind::QuotaExhausted { .. }
            | FaultKind::TaskLost
            | FaultKind::Moderated
            | FaultKind::InvalidRequest
            | FaultKind::Unauthorized
            | FaultKind::BadOutput => {
                self.submits.answered();
                self.has_answered = true;
            }
        }
    }

    /// Nothing is submitted until the allowance is back; `resets_at` is when the provider says that it will be.
    pub fn quota_spent(&mut self, now: Moment, resets_at: Option<Timestamp>) {
        self.submits.spent(now, resets_at);
    }

    /// Whether submissions meet nothing but transient faults, whichever job they are of.
    pub const fn is_down(&self) -> bool {
        self.submits.is_down()
    }

    /// How long the API has been out of reach for requests of this kind: many transient faults in a row, and nothing else.
    pub fn down_for(&self, now: Moment, stage: Stage) -> Option<Duration> {
        let pacer = match stage {
            Stage::Submit => &self.submits,
            Stage::Poll => &self.polls,
            Stage::Download | Stage::Task => return None,
        };
        pacer.is_down().then(|| pacer.down_for(now))
    }

    /// Whether the API has ever given this process an answer that says anything.
    pub const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// A task that an earlier process left at the provider occupies a place there.
    pub const fn task_found(&mut self) {
        self.n_in_flight += 1;
    }

    /// A task no longer occupies a place at the provider.
    pub const fn task_ended(&mut self) {
        self.n_in_flight -= 1;
    }

    /// Takes leave for one poll request.
    pub fn take_poll(&mut self, now: Moment) -> Result<(), Wait> {
        let polls_max = if self.polls.is_probing() { 1 } else { self.polls_max };
        if self.n_polls_out >= polls_max {
            return Err(Wait::Busy);
        }
        self.polls.take(now).map_err(Wait::Until)?;
        self.n_polls_out += 1;
        Ok(())
    }

    /// A poll request came back.
    pub const fn poll_answered(&mut self) {
        self.n_polls_out -= 1;
    }

    /// A poll was answered with a status.
    pub fn poll_succeeded(&mut self, now: Moment) {
        self.polls.succeeded(now);
        self.has_answered = true;
    }

    /// A poll was answered with a fault.
    pub fn poll_refused(&mut self, now: Moment, fault: &Fault) {
        match fault.kind {
            FaultKind::Throttled { retry_after } => {
                self.has_answered = true;
                self.polls.refused(now, retry_after);
            }
            // None of these says how the task stands.
            FaultKind::Transient
            | FaultKind::InDoubt
            | FaultKind::QuotaExhausted { .. }
            | FaultKind::Moderated
            | FaultKind::InvalidRequest
            | FaultKind::BadOutput => self.polls.faltered(now),
            // The API does answer polls, if only to say that it does not know this task.
            FaultKind::TaskLost => self.poll_succeeded(now),
            FaultKind::Unauthorized => (),
        }
    }

    /// Takes leave for one download.
    pub const fn take_download(&mut self) -> Result<(), Wait> {
        if self.n_downloads_out >= self.downloads_max {
            return Err(Wait::Busy);
        }
        self.n_downloads_out += 1;
        Ok(())
    }

    /// A download came back.
    pub const fn download_answered(&mut self) {
        self.n_downloads_out -= 1;
    }

    /// Requests whose answer is awaited.
    pub const fn n_out(&self) -> usize {
        self.n_submits_out + self.n_polls_out + self.n_downloads_out
    }

    /// Submissions whose answer is awaited.
    pub const fn n_submits_out(&self) -> usize {
        self.n_submits_out
    }

    /// Downloads under way.
    pub const fn n_downloads_out(&self) -> usize {
        self.n_downloads_out
    }

    /// Tasks that occupy a place at the provider, submissions under way included.
    pub const fn n_in_flight(&self) -> usize {
        self.n_in_flight
    }

    /// Why and until when submissions are held back, or polls that nobody answers, if they are.
    pub fn hold(&self, now: Moment) -> Option<Hold> {
        self.submits.hold(now).or_else(|| self.polls.hold(now).filter(|_| self.polls.is_down()))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::model::limits::Concurrency;
    use crate::model::time::Timestamp;

    fn at(millis: i64) -> Moment {
        Moment::new(millis * 1000, Timestamp::from_millis(millis))
    }

    fn fixed(n: u32) -> Limits {
        Limits { concurrency: Concurrency::Fixed(NonZeroU32::new(n).unwrap()), ..Limits::default() }
    }

    fn throttled() -> Fault {
        Fault::new(FaultKind::Throttled { retry_after: Some(Duration::from_secs(2)) }, "")
    }

    fn take_all(lane: &mut Lane, now: Moment) -> usize {
        std::iter::repeat_with(|| lane.take_submit(now)).take_while(Result::is_ok).count()
    }

    #[test]
    fn a_fixed_number_of_tasks_is_in_flight() {
        let mut lane = Lane::new(&fixed(3));
        assert_eq!(take_all(&mut lane, at(0)), 3);
        assert_eq!(lane.take_submit(at(0)), Err(Wait::Busy));
        lane.submit_accepted(at(0));
        assert_eq!(lane.take_submit(at(0)), Err(Wait::Busy), "an accepted task still occupies its place");
        lane.task_ended();
        assert_eq!(lane.take_submit(at(0)), Ok(()));
    }

    #[test]
    fn tasks_of_an_earlier_process_are_counted() {
        let mut lane = Lane::new(&fixed(3));
        lane.task_found();
        lane.task_found();
        assert_eq!(take_all(&mut lane, at(0)), 1);
        assert_eq!((lane.n_in_flight(), lane.n_out()), (3, 1));
    }

    #[test]
    fn submissions_under_way_have_a_limit_of_their_own() {
        let mut lane = Lane::new(&Limits { submits_max: 2, ..fixed(100) });
        assert_eq!(take_all(&mut lane, at(0)), 2);
        lane.submit_accepted(at(0));
        assert_eq!(take_all(&mut lane, at(0)), 1);
    }

    #[test]
    fn a_refused_submission_frees_its_place_and_closes_the_gate() {
        let mut lane = Lane::new(&fixed(3));
        take_all(&mut lane, at(0));
        lane.submit_refused(at(0), &throttled());
        assert_eq!(lane.n_in_flight(), 2);
        assert_eq!(lane.take_submit(at(1)), Err(Wait::Until(at(2000))));
        assert_eq!(lane.hold(at(1)).map(|hold| hold.until), Some(at(2000)));
    }

    #[test]
    fn polls_go_on_while_submissions_are_held_back() {
        let mut lane = Lane::new(&fixed(3));
        take_all(&mut lane, at(0));
        lane.submit_refused(at(0), &throttled());
        assert_eq!(lane.take_poll(at(1)), Ok(()));
        lane.poll_answered();
        lane.poll_refused(at(1), &throttled());
        assert_eq!(lane.take_poll(at(2)), Err(Wait::Until(at(2001))));
    }

    #[test]
    fn polls_and_downloads_have_their_own_limits() {
        let mut lane = Lane::new(&Limits { polls_max: 1, downloads_max: 1, ..fixed(3) });
        assert_eq!(lane.take_poll(at(0)), Ok(()));
        assert_eq!(lane.take_poll(at(0)), Err(Wait::Busy));
        assert_eq!(lane.take_download(), Ok(()));
        assert_eq!(lane.take_download(), Err(Wait::Busy));
        assert_eq!(lane.n_out(), 2);
        lane.poll_answered();
        lane.download_answered();
        assert_eq!(lane.n_out(), 0);
    }

    #[test]
    fn auto_grows_while_it_is_used_and_nothing_is_refused() {
        let mut lane = Lane::new(&Limits::default());
        assert_eq!(take_all(&mut lane, at(0)), 4);
        for _ in 0..4 {
            lane.submit_accepted(at(0));
        }
        assert_eq!(take_all(&mut lane, at(0)), 4, "the window doubled");
        assert_eq!(lane.n_in_flight(), 8);
    }

    #[test]
    fn auto_does_not_grow_by_what_it_does_not_use() {
        let mut lane = Lane::new(&Limits::default());
        for _ in 0..100 {
            lane.take_submit(at(0)).unwrap();
            lane.submit_accepted(at(0));
            lane.task_ended();
        }
        assert_eq!(take_all(&mut lane, at(0)), 4);
    }

    #[test]
    fn auto_halves_once_for_a_burst_of_refusals() {
        let mut lane = Lane::new(&Limits::default());
        for _ in 0..4 {
            let n = take_all(&mut lane, at(0));
            (0..n).for_each(|_| lane.submit_accepted(at(0)));
        }
        let n_before = lane.n_in_flight();
        assert_eq!(n_before, 16);
        let n = take_all(&mut lane, at(0));
        (0..n).for_each(|_| lane.submit_refused(at(0), &throttled()));
        for _ in 0..n_before {
            lane.task_ended();
        }
        let cap = take_all(&mut lane, at(5000));
        assert_eq!((n, cap), (4, 8), "halved once, not four times");
    }

    #[test]
    fn auto_never_falls_below_one() {
        let mut lane = Lane::new(&Limits::default());
        for round in 0..10 {
            let now = at(round * 100_000);
            lane.take_submit(now).unwrap();
            lane.submit_refused(now, &throttled());
        }
        assert_eq!(take_all(&mut lane, at(10_000_000)), 1);
    }

    #[test]
    fn a_provider_that_is_down_is_tried_by_one_at_a_time() {
        let mut lane = Lane::new(&fixed(10));
        take_all(&mut lane, at(0));
        (0..10).for_each(|_| lane.submit_refused(at(0), &Fault::new(FaultKind::Transient, "")));
        assert_eq!(take_all(&mut lane, at(3_600_000)), 1);
        lane.submit_accepted(at(0));
        assert_eq!(take_all(&mut lane, at(3_600_000)), 9);
    }

    #[test]
    fn polls_of_an_api_that_is_down_go_one_at_a_time() {
        let mut lane = Lane::new(&fixed(100));
        for _ in 0..8 {
            lane.take_poll(at(0)).unwrap();
            lane.poll_answered();
            lane.poll_refused(at(0), &Fault::new(FaultKind::Transient, ""));
        }
        assert!(lane.take_poll(at(1)).is_err(), "the gate is closed for a moment");
        assert_eq!(lane.take_poll(at(60_000)), Ok(()));
        assert_eq!(lane.take_poll(at(60_000)), Err(Wait::Busy), "then one tries");
        assert_eq!(lane.down_for(at(60_000), Stage::Poll), Some(Duration::from_secs(60)));
        assert_eq!(lane.down_for(at(60_000), Stage::Submit), None);
        lane.poll_answered();
        lane.poll_refused(at(60_000), &Fault::new(FaultKind::TaskLost, ""));
        assert_eq!((lane.take_poll(at(60_000)), lane.take_poll(at(60_000))), (Ok(()), Ok(())));
    }
}
