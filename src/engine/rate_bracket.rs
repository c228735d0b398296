//! Rate bracket: narrows a hidden rate between submissions that were accepted and submissions that were refused.
//!
//! A token bucket that refuses holds less than one token. From that moment on, as many submissions are accepted as tokens arrive, so that
//! their number and the time up to the next refusal give the rate, whatever the size of the bucket. A bucket for a single token is empty
//! after each acceptance. The gap between two submissions then decides alone, and the rate lies between the longest gap that was refused
//! and the shortest one that was accepted.

use std::time::Duration;

use crate::model::time::Moment;

/// Factor between two waits after a refusal, as long as nothing has been accepted since.
const WAIT_GROWTH: f64 = 3.5;

/// The same factor where the end of a task is likelier to let the next submission leave.
const LATE_GROWTH: f64 = 20.0;

/// Longest time between two submissions, in seconds, as long as nothing is accepted.
const WAIT_MAX: f64 = 60.0;

/// Ratio of the gaps that bound the rate of a single token, from which the rate counts as found.
const GAPS_TIGHT: f64 = 1.06;

/// Shortest gap that is tried, in seconds: timers are no finer.
const GAP_MIN: f64 = 0.001;

/// Ratio below which an accepted gap is clearly shorter than a refused one, so that the bucket holds several tokens.
const SHORTER: f64 = 0.9;

/// Number of acceptances between two refusals from which they give the rate within some per cent.
const COUNT_MIN: u32 = 12;

/// Number of acceptances without a refusal after which a faster pace is tried, and its factor.
const STEADY_MIN: u32 = 12;
const FASTER: f64 = 1.1;

/// Minimum time between two submissions, as a fraction of the mean one: a delay must not be made up for at once.
const SPACING: f64 = 0.5;

/// What has been accepted since the first refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SinceRefusal {
    Silence,
    Accepted,
    /// An acceptance after so long a wait that the bucket may have been full.
    Full,
}

/// Bounds of the rate of a token bucket, in submissions per second.
#[derive(Clone, Debug)]
pub struct RateBracket {
    /// Moment of the first refusal, from which acceptances are counted.
    anchor: Moment,
    n_accepted: u32,
    since: SinceRefusal,
    /// Longest time after the anchor at which nothing had been accepted yet and a submission was refused, in seconds.
    waited: f64,
    /// Says whether the last refusal has named a wait, so that a submission may leave when it is over.
    has_told: bool,
    /// Pace that is tried; `None` before it is bounded.
    pace: Option<f64>,
    /// Acceptances at that pace.
    n_at_pace: u32,
    /// Rate that two refusals give; `None` if they were too close.
    counted: Option<f64>,
    /// Submissions that may be under way before the pace is bounded.
    n_out_max: usize,
    /// Gaps in seconds: the longest that was refused, and the shortest that was accepted.
    gap_refused: f64,
    gap_accepted: f64,
    last_accepted: Option<Moment>,
    last_sent: Option<Moment>,
    /// Submission that tests a shorter gap than the ones accepted so far.
    test: Option<Moment>,
    is_single: bool,
}

impl RateBracket {
    /// Creates a bracket at a refusal. The last acceptance before it, and the shortest gap between two acceptances, show whether the bucket
    /// holds more than one token. `n_out` submissions were under way.
    pub fn new(
        refused_at: Moment,
        last_accepted: Option<Moment>,
        gap_accepted: f64,
        n_out: usize,
        has_told: bool,
    ) -> Self {
        let mut bracket = Self {
            anchor: refused_at,
            n_accepted: 0,
            since: SinceRefusal::Silence,
            waited: 0.0,
            has_told,
            pace: None,
            n_at_pace: 0,
            counted: None,
            n_out_max: n_out / 2,
            gap_refused: 0.0,
            gap_accepted,
            last_accepted,
            last_sent: None,
            test: None,
            is_single: true,
        };
        bracket.refused_after_gap(refused_at);
        bracket
    }

    /// Records an acceptance of the submission that left at that moment.
    pub fn accepted(&mut self, left_at: Moment) {
        if left_at > self.anchor {
            if self.is_blocked() {
                let waited = (left_at - self.anchor).as_secs_f64();
                let is_long = self.waited > 0.0 && waited > 2.0 * WAIT_GROWTH * self.waited;
                self.since = if is_long { SinceRefusal::Full } else { SinceRefusal::Accepted };
            }
            self.n_accepted += 1;
            self.n_at_pace += 1;
            // Answers may overtake each other.
            let last = self.last_accepted.filter(|at| *at <= left_at);
            let gap = (left_at - last.unwrap_or(self.anchor)).as_secs_f64();
            self.gap_accepted = self.gap_accepted.min(gap);
            self.check_single();
            if self.n_at_pace >= STEADY_MIN {
                (self.pace, self.n_at_pace) = (self.pace.map(|pace| pace * FASTER), 0);
            }
        }
        self.last_accepted = self.last_accepted.max(Some(left_at));
        self.test.take_if(|at| *at == left_at);
    }

    /// Records a refusal of the submission that left at that moment. `has_told` says whether it names a wait.
    pub fn refused(&mut self, left_at: Moment, has_told: bool) {
        self.has_told = has_told;
        self.refused_after_gap(left_at);
        self.test.take_if(|at| *at == left_at);
        let since = (left_at - self.anchor).as_secs_f64();
        if self.is_blocked() {
            self.waited = self.waited.max(since);
            return;
        }
        if self.since == SinceRefusal::Full && !self.is_single {
            // Only what follows shows the rate.
            (self.anchor, self.n_accepted, self.n_at_pace) = (left_at, 0, 0);
            self.since = SinceRefusal::Silence;
            return;
        }
        let count = f64::from(self.n_accepted);
        if since > 0.0 && self.n_at_pace > 0 {
            let likely = (count + 0.5) / since;
            self.pace = Some(self.pace.map_or(likely, |pace| pace.min(likely)));
            self.counted = (self.n_accepted >= COUNT_MIN).then(|| (count + 0.5) / since);
            self.n_at_pace = 0;
        }
    }

    fn refused_after_gap(&mut self, left_at: Moment) {
        let gap = self.last_accepted.map_or(0.0, |at| (left_at - at).as_secs_f64());
        self.gap_refused = self.gap_refused.max(gap);
        self.check_single();
    }

    fn check_single(&mut self) {
        if self.gap_accepted < GAP_MIN.max(SHORTER * self.gap_refused) {
            self.is_single = false;
        }
    }

    /// Records a submission that leaves.
    pub fn sent(&mut self, now: Moment) {
        if self.is_single && self.test.is_none() && self.since_last(now) < self.gap_accepted {
            self.test = Some(now);
        }
        self.last_sent = Some(now);
    }

    fn since_last(&self, now: Moment) -> f64 {
        self.last_sent.max(self.last_accepted).map_or(f64::INFINITY, |at| (now - at).as_secs_f64())
    }

    /// Returns when the next submission may leave, with `n_out` under way; `None` means after an answer.
    pub fn next_at(&self, n_out: usize) -> Option<Moment> {
        if self.is_blocked() {
            let wait = if self.has_told { 0.0 } else { self.longer_wait(WAIT_GROWTH) };
            return (n_out == 0).then(|| self.anchor + Duration::from_secs_f64(wait));
        }
        let last = self.last_sent.max(self.last_accepted).unwrap_or(self.anchor);
        if self.is_single {
            let gap = match self.test {
                None if !self.is_tight() => (self.gap_accepted * self.gap_refused.max(GAP_MIN)).sqrt(),
                _ => self.gap_accepted,
            };
            return Some(last + Duration::from_secs_f64(gap));
        }
        let Some(pace) = self.pace else {
            return (n_out < self.n_out_max.max(self.n_accepted as usize).max(1)).then_some(last);
        };
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let nth = f64::from(self.n_accepted) + n_out as f64 + 1.0;
        let due = self.anchor + Duration::from_secs_f64(nth / pace);
        Some(due.max(last + Duration::from_secs_f64(SPACING / pace)))
    }

    /// Returns whether a submission that left at that moment left before the first refused one.
    pub fn is_before(&self, left_at: Moment) -> bool {
        left_at <= self.anchor
    }

    fn longer_wait(&self, factor: f64) -> f64 {
        (factor * self.waited).min(self.waited + WAIT_MAX)
    }

    /// Returns when a submission may leave that tests a very low rate, if nothing has been accepted for long.
    pub fn late_test_at(&self) -> Moment {
        self.anchor + Duration::from_secs_f64(self.longer_wait(LATE_GROWTH))
    }

    /// Returns whether nothing has been accepted since the first refusal.
    pub const fn is_blocked(&self) -> bool {
        matches!(self.since, SinceRefusal::Silence)
    }

    /// Returns whether nothing has been accepted since the first refusal, and the last refusal has not named a wait.
    pub const fn is_silent(&self) -> bool {
        self.is_blocked() && !self.has_told
    }

    /// Returns the probability that a submission that left at that moment is accepted, if a rate is the limit.
    pub fn likely(&self, left_at: Moment) -> f64 {
        if !self.is_blocked() {
            return match self.pace {
                _ if self.is_single || self.n_accepted < 4 => 0.5,
                None => 0.4,
                Some(_) => 0.7,
            };
        }
        let wait = (left_at - self.anchor).as_secs_f64();
        if self.waited <= 0.0 { 0.5 } else { ((wait / self.waited).ln() / 5.0).clamp(0.05, 0.95) }
    }

    /// Returns the number of acceptances since the first refusal, if no refusal has followed.
    pub const fn n_unbounded(&self) -> u32 {
        if self.pace.is_none() && !self.is_single { self.n_accepted } else { 0 }
    }

    /// Returns whether the rate is known within some per cent.
    pub fn is_tight(&self) -> bool {
        if self.is_single {
            self.gap_accepted < GAPS_TIGHT * self.gap_refused.max(GAP_MIN)
        } else {
            self.counted.is_some()
        }
    }

    /// Returns the best guess of the rate; `None` without any.
    pub fn rate(&self) -> Option<f64> {
        if self.is_blocked() {
            return None;
        }
        if self.is_single {
            return (self.gap_accepted.is_finite() && self.gap_accepted > 0.0).then(|| 1.0 / self.gap_accepted);
        }
        self.counted.or(self.pace)
    }
}
