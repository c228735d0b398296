//! Cumulative sum test (Page, 1954) that separates random refusals from the refusals of a limit.
//!
//! Random refusals affect the same share of all submissions, however many leave. A limit refuses more when more leave, and nothing once the
//! submissions are cut. While it is exceeded, it refuses one after the other. A single refusal among many accepted submissions is therefore
//! no reason for a cut. Cuts that do not help would follow each other faster than the limits grow back.
//!
//! At first a refusal counts as random until several come close together. From then on a limit is known to exist. A refusal beyond the
//! known limits then belongs to the limit at once. Random refusals besides a limit show in two ways: single refusals within known limits,
//! and cuts that do not help. Once that is proven, all refusals count as random again, until they come more often than random refusals do.

/// Minimum number of accepted submissions between two refusals for the second one to say anything about randomness. A limit that fell
/// refuses more often.
const APART: u32 = 6;

/// Refusals with fewer accepted submissions in between are consecutive.
const DENSE: u32 = 2;

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

/// Trust that proves randomness, trust after that proof, and loss by a refusal beyond the known limits before it.
const TRUST_PROOF: f64 = 6.0;
const TRUST_MAX: f64 = 8.0;
const TRUST_LOST: f64 = 0.75;

/// Random share that is assumed if single refusals have proved it. It is low, because a limit may have caused some of them.
const SHARE_BY_SINGLES: f64 = 0.02;

/// Random share up to which an alarm costs a whole unit of trust. Above it the cost falls, down to `ALARM_COST_MIN`: alarms among many
/// random refusals are expected.
const RARE: f64 = 0.01;
const ALARM_COST_MIN: f64 = 0.5;

/// Leaning towards randomness: initial value, maximum, and losses. Refusals within the known limits count as random only while the leaning
/// is at least 1.
const LEANING_FIRST: f64 = 2.0;
const LEANING_MAX: f64 = 4.0;
const LEANING_BEYOND: f64 = 0.25;
const LEANING_ALARM: f64 = 0.5;

/// Cuts without effect that prove randomness, and the reduction of their number by a refusal beyond the known limits.
const USELESS_CUTS: f64 = 4.0;
const USELESS_LOST: f64 = 1.25;

/// Load at a refusal, compared with the known limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoadLevel {
    /// Load clearly below the level that was accepted before the last cuts.
    Within,
    /// Unknown or unclear load.
    Unclear,
    /// Load above the known limits: the submission was a trial.
    Beyond,
}

/// Cause to which a refusal is attributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusalVerdict {
    /// Randomness: the refusal has no consequences.
    Chance,
    /// Limit, which also caused some earlier refusals that had counted as random.
    Limit {
        /// Number of these earlier refusals.
        n_before: u32,
    },
}

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
pub(super) struct RandomRefusalTest {
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
    /// Submissions accepted since the last refusal that led to a cut.
    n_accepted: u32,
    /// Cuts without effect, and the answers on which the cuts were based.
    useless: f64,
    cuts: Count,
}

impl RandomRefusalTest {
    /// Creates a test in which refusals count as random until several come close together.
    pub(super) const fn new() -> Self {
        let nothing = Count { answers: 0.0, refused: 0.0 };
        Self {
            is_presumed: true,
            trust: 0.0,
            leaning: LEANING_FIRST,
            seen: Count { answers: FIRST_ANSWERS, refused: FIRST_REFUSED },
            suspicion: 0.0,
            suspect: nothing,
            n_run: 0,
            n_accepted: 0,
            useless: 0.0,
            cuts: nothing,
        }
    }

    /// Sets the state in which a limit is known to exist, and nothing points to random refusals.
    #[cfg(test)]
    pub(crate) const fn distrust(&mut self) {
        (self.is_presumed, self.trust, self.leaning) = (false, 0.0, 0.0);
    }

    /// Records that a limit is known to exist.
    pub(super) const fn limit_found(&mut self) {
        (self.is_presumed, self.trust, self.leaning) = (false, 0.0, self.leaning.min(0.5));
    }

    /// Returns whether all refusals count as random until an alarm.
    pub(super) const fn is_presumed(&self) -> bool {
        self.is_presumed
    }

    /// Returns whether randomness is more than presumed: refusals have stayed single.
    pub(super) const fn is_trusted(&self) -> bool {
        self.is_presumed && self.trust >= TRUST_SHOWN
    }

    /// Returns the share of submissions that are refused at random; 0 if refusals are not presumed random.
    pub(super) fn share(&self) -> f64 {
        if self.is_presumed { self.seen.share().min(SHARE_MAX) } else { 0.0 }
    }

    /// Returns whether a refusal now directly follows the one that led to the last cut.
    pub(super) const fn is_dense(&self) -> bool {
        self.n_accepted < DENSE
    }

    /// Records an accepted submission.
    pub(super) fn accepted(&mut self) {
        self.n_run = 0;
        self.n_accepted = self.n_accepted.saturating_add(1);
        self.count(false);
        let share = self.likely_share();
        self.weigh(((1.0 - share - excess(share)) / (1.0 - share)).ln());
    }

    /// Records a refused submission at this load, and returns the cause of the refusal.
    pub(super) fn refused(&mut self, load: LoadLevel) -> RefusalVerdict {
        if !self.is_presumed && (load == LoadLevel::Beyond || self.leaning < 1.0) {
            return self.expected(load);
        }
        self.count(true);
        self.n_run += 1;
        let share = self.likely_share();
        self.weigh(((share + excess(share)) / share).ln());
        let (alarm, run) = if self.is_presumed { (ALARM, RUN) } else { (ALARM_UNPROVEN, RUN_UNPROVEN) };
        if self.suspicion > alarm || f64::from(self.n_run) * -share.ln() > run {
            return self.alarmed(share);
        }
        RefusalVerdict::Chance
    }

    /// Handles a refusal that the known limits explain, or that must not wait for further evidence.
    fn expected(&mut self, load: LoadLevel) -> RefusalVerdict {
        match load {
            LoadLevel::Beyond => {
                self.trust = (self.trust - TRUST_LOST).max(0.0);
                self.leaning = (self.leaning - LEANING_BEYOND).max(0.0);
            }
            LoadLevel::Within | LoadLevel::Unclear => self.trust = self.trust.max(0.0),
        }
        (self.suspicion, self.suspect) = (0.0, Count::default());
        RefusalVerdict::Limit { n_before: 0 }
    }

    /// Handles refusals that came close together.
    fn alarmed(&mut self, share: f64) -> RefusalVerdict {
        // Refusals beyond the expected number of random ones belonged to the limit, and so did those in a row.
        let in_a_row = if self.n_run > 1 { f64::from(self.n_run) } else { 0.0 };
        let excess = (self.suspect.refused - share * self.suspect.answers).max(in_a_row);
        self.seen.refused = (self.seen.refused - excess).max(0.0);
        (self.suspicion, self.suspect) = (0.0, Count::default());
        if !self.is_presumed {
            self.leaning = (self.leaning - LEANING_ALARM).max(0.0);
        }
        let seen = self.share();
        self.trust -= if seen > 0.0 { (RARE / seen).clamp(ALARM_COST_MIN, 1.0) } else { 1.0 };
        if self.trust < 0.0 {
            (self.is_presumed, self.trust) = (false, 0.0);
        }
        RefusalVerdict::Limit { n_before: self.n_run - 1 }
    }

    /// Records that a refusal at this load leads to a cut. Returns whether cuts without effect now prove randomness, so that the cut must
    /// not be made.
    pub(super) fn is_proven_by_cut(&mut self, load: LoadLevel) -> bool {
        let n_accepted = std::mem::take(&mut self.n_accepted);
        if self.is_presumed || n_accepted < APART {
            return false;
        }
        if self.useless <= 0.0 {
            self.cuts = Count::default();
        }
        self.cuts.refused += 1.0;
        self.cuts.answers += f64::from(n_accepted) + 1.0;
        match load {
            LoadLevel::Within => {
                self.useless += 1.0;
                self.leaning = (self.leaning + 1.0).min(LEANING_MAX);
            }
            LoadLevel::Unclear => (),
            LoadLevel::Beyond => self.useless = (self.useless - USELESS_LOST).max(0.0),
        }
        if self.useless <= USELESS_CUTS || self.cuts.share() >= SHARE_MAX {
            return false;
        }
        self.prove_share(self.cuts.share());
        true
    }

    /// Records that enough refusals were random for a proof, as no limit explains them.
    pub(super) fn prove_by_singles(&mut self) {
        self.prove_share(SHARE_BY_SINGLES);
    }

    fn prove_share(&mut self, share: f64) {
        self.seen = Count { answers: 2.0 * FIRST_ANSWERS, refused: 2.0 * FIRST_ANSWERS * share.min(SHARE_MAX) };
        (self.suspicion, self.suspect) = (0.0, Count::default());
        self.prove();
    }

    fn prove(&mut self) {
        (self.is_presumed, self.trust, self.useless) = (true, TRUST_MAX, 0.0);
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
            self.prove();
        }
    }
}

/// Returns the share that a limit refuses beyond the random share: enough to distinguish the two.
const fn excess(share: f64) -> f64 {
    share.max(EXCESS)
}

#[cfg(test)]
mod tests;
