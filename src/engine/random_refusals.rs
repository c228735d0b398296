//! Sequential test (Page, 1954) that separates random refusals of polls from those of a limit.
//!
//! Random refusals affect the same share of all polls, however many leave. A limit refuses one after the other while it is exceeded.
//! Refusals count as random until several come close together. After such an alarm, they belong to a limit until single ones have
//! proved random again.

/// Minimum share that a limit refuses beyond the random share, when it is exceeded by a noticeable amount.
const EXCESS: f64 = 0.05;

/// Sums of log-likelihood ratios above which refusals belong to a limit: while refusals are presumed random, and otherwise.
const ALARM: f64 = 8.0;
const ALARM_UNPROVEN: f64 = 4.5;

/// Refusals in a row belong to a limit if random refusals produce that many with a probability below `exp(-RUN)`. The first
/// value applies while refusals are presumed random.
const RUN: f64 = 13.0;
const RUN_UNPROVEN: f64 = 9.0;

/// Bounds of the estimated random share. Below the lower bound, a few refusals would raise an alarm.
const SHARE_MIN: f64 = 0.005;
const SHARE_MAX: f64 = 0.15;

/// Approximate number of answers from which the share is estimated, and the answers and refusals assumed before any.
const MEMORY: f64 = 20_000.0;
const FIRST_ANSWERS: f64 = 50.0;
const FIRST_REFUSED: f64 = 0.5;

/// Amount that a single refusal adds to the trust in randomness, and to the leaning towards it.
const SINGLE: f64 = 0.5;

/// Minimum trust from which a Retry-After applies to one request alone.
const TRUST_SHOWN: f64 = 1.0;

/// Trust that proves randomness, and its maximum.
const TRUST_PROOF: f64 = 6.0;
const TRUST_MAX: f64 = 8.0;

/// Random share up to which an alarm costs a whole unit of trust. Above it the cost falls, down to `ALARM_COST_MIN`: alarms among many
/// random refusals are expected.
const RARE: f64 = 0.01;
const ALARM_COST_MIN: f64 = 0.5;

/// Leaning towards randomness: initial value, maximum, and loss by an alarm. After an alarm, a refusal may be random only while the
/// leaning is at least 1.
const LEANING_FIRST: f64 = 2.0;
const LEANING_MAX: f64 = 4.0;
const LEANING_ALARM: f64 = 0.5;

/// Numbers of answers, and of refusals among them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    answers: f64,
    refused: f64,
}

impl Count {
    fn add(&mut self, is_refused: bool) {
        self.answers += 1.0;
        self.refused += f64::from(u8::from(is_refused));
    }

    fn share(self) -> f64 {
        self.refused / self.answers
    }
}

/// Test that decides whether refusals are random.
#[derive(Clone, Debug)]
pub struct RandomRefusalTest {
    /// Says whether all refusals count as random until an alarm.
    is_presumed: bool,
    trust: f64,
    leaning: f64,
    /// Answers and random refusals seen so far.
    seen: Count,
    /// Evidence for a limit, and the answers since the evidence rose above zero.
    suspicion: f64,
    suspect: Count,
    /// Consecutive refusals.
    n_run: u32,
}

impl RandomRefusalTest {
    /// Creates a test in which refusals count as random until several come close together.
    pub fn new() -> Self {
        Self {
            is_presumed: true,
            trust: 0.0,
            leaning: LEANING_FIRST,
            seen: Count { answers: FIRST_ANSWERS, refused: FIRST_REFUSED },
            suspicion: 0.0,
            suspect: Count::default(),
            n_run: 0,
        }
    }

    /// Returns whether randomness is more than presumed: refusals have stayed single.
    pub const fn is_trusted(&self) -> bool {
        self.is_presumed && self.trust >= TRUST_SHOWN
    }

    /// Records a request that was not refused.
    pub fn accepted(&mut self) {
        self.n_run = 0;
        self.count(false);
        let share = self.likely_share();
        self.weigh(((1.0 - share - excess(share)) / (1.0 - share)).ln());
    }

    /// Records a refusal. Returns whether it counts as random, and has no consequences for other requests.
    pub fn refused(&mut self) -> bool {
        if !self.is_presumed && self.leaning < 1.0 {
            (self.suspicion, self.suspect) = (0.0, Count::default());
            return false;
        }
        self.count(true);
        self.n_run += 1;
        let share = self.likely_share();
        self.weigh(((share + excess(share)) / share).ln());
        let (alarm, run) = if self.is_presumed { (ALARM, RUN) } else { (ALARM_UNPROVEN, RUN_UNPROVEN) };
        if self.suspicion > alarm || f64::from(self.n_run) * -share.ln() > run {
            self.alarmed(share);
            return false;
        }
        true
    }

    /// Handles refusals that came close together.
    fn alarmed(&mut self, share: f64) {
        // Refusals beyond the expected number of random ones belonged to the limit, and so did those in a row.
        let in_a_row = if self.n_run > 1 { f64::from(self.n_run) } else { 0.0 };
        let excess = (self.suspect.refused - share * self.suspect.answers).max(in_a_row);
        self.seen.refused = (self.seen.refused - excess).max(0.0);
        (self.suspicion, self.suspect) = (0.0, Count::default());
        if !self.is_presumed {
            self.leaning = (self.leaning - LEANING_ALARM).max(0.0);
        }
        let seen = if self.is_presumed { self.seen.share().min(SHARE_MAX) } else { 0.0 };
        self.trust -= if seen > 0.0 { (RARE / seen).clamp(ALARM_COST_MIN, 1.0) } else { 1.0 };
        if self.trust < 0.0 {
            (self.is_presumed, self.trust) = (false, 0.0);
        }
    }

    fn likely_share(&self) -> f64 {
        self.seen.share().clamp(SHARE_MIN, SHARE_MAX)
    }

    fn count(&mut self, is_refused: bool) {
        self.seen.add(is_refused);
        self.suspect.add(is_refused);
        if self.seen.answers > MEMORY {
            self.seen = Count { answers: self.seen.answers / 2.0, refused: self.seen.refused / 2.0 };
        }
    }

    /// Adds evidence for a limit. Evidence against it is not accumulated.
    fn weigh(&mut self, evidence: f64) {
        self.suspicion += evidence;
        if self.suspicion > 0.0 {
            return;
        }
        let singles = SINGLE * self.suspect.refused;
        (self.suspicion, self.suspect) = (0.0, Count::default());
        self.trust = (self.trust + singles).min(TRUST_MAX);
        self.leaning = (self.leaning + singles).min(LEANING_MAX);
        if !self.is_presumed && self.trust >= TRUST_PROOF {
            (self.is_presumed, self.trust) = (true, TRUST_MAX);
        }
    }
}

/// Returns the share that a limit refuses beyond the random share: enough to distinguish the two.
const fn excess(share: f64) -> f64 {
    share.max(EXCESS)
}

#[cfg(test)]
mod tests;
