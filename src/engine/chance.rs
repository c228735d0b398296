//! Cumulative sum test (Page, 1954) that separates refusals by chance from those of a limit.
//!
//! Chance refuses the same share of all submissions, however many leave. A limit refuses more when more leave, nothing once that is cut, and one
//! after the other while it is exceeded. So a single refusal among many submissions that are taken is no reason to cut anything: cuts that do not
//! help would follow each other faster than what was cut grows again.
//!
//! At first a refusal counts as chance until several come close together. From then on a limit is known to exist, and a refusal beyond what is
//! known to be taken is the limit's at once. What chance does besides is learnt in two ways: from refusals within the known limits that stay
//! single, and from cuts that do not help. When that is proven, all refusals count as chance again until they come more often than chance's do.

/// Submissions taken between two refusals, at least, for the second one to say something about chance: a limit that fell refuses more often.
const APART: u32 = 6;

/// Refusals with fewer submissions taken in between come one after the other.
const DENSE: u32 = 2;

/// The least share that a limit refuses beyond chance's, when it is exceeded by enough to be noticed.
const EXCESS: f64 = 0.05;

/// Sums of logarithms of likelihood ratios at which refusals are a limit's: once chance is proven, and before.
const ALARM: f64 = 8.0;
const ALARM_UNPROVEN: f64 = 4.5;

/// Refusals in a row are a limit's when chance makes that many with the probability `exp(-RUN)`: once it is proven, and before.
const RUN: f64 = 13.0;
const RUN_UNPROVEN: f64 = 9.0;

/// The share that chance refuses is taken for at least this and at most that. Below the lower bound a few refusals would be alarming.
const SHARE_MIN: f64 = 0.005;
const SHARE_MAX: f64 = 0.15;

/// The share is told from about so many answers, and from these before any.
const MEMORY: f64 = 20_000.0;
const FIRST_ANSWERS: f64 = 50.0;
const FIRST_REFUSED: f64 = 0.5;

/// What a refusal that stays single adds to the trust in chance, and to the leaning towards it.
const SINGLE: f64 = 0.5;

/// The trust from which on a Retry-After is for one request alone.
const TRUST_SHOWN: f64 = 1.0;

/// The trust that proves chance, what it is worth then, and what a refusal beyond the known limits takes from it before.
const TRUST_PROOF: f64 = 6.0;
const TRUST_MAX: f64 = 8.0;
const TRUST_LOST: f64 = 0.75;

/// An alarm takes a whole unit of trust where chance refuses this share at most, and less where it refuses more, down to that part: alarms
/// among many refusals by chance are expected.
const RARE: f64 = 0.01;
const ALARM_COST_MIN: f64 = 0.5;

/// The leaning towards chance: refusals within the known limits are waited with only while it is at least 1.
const LEANING_FIRST: f64 = 2.0;
const LEANING_MAX: f64 = 4.0;
const LEANING_BEYOND: f64 = 0.25;
const LEANING_ALARM: f64 = 0.5;

/// Cuts that did not help, less what refusals beyond the known limits take from them, that prove chance.
const USELESS_CUTS: f64 = 4.0;
const USELESS_LOST: f64 = 1.25;

/// How the load at a refusal compares to what is known to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Clearly less than was taken before the last cuts.
    Within,
    /// Nothing is known, or not clearly.
    Unclear,
    /// More: it was a trial.
    Beyond,
}

/// What a refusal is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Chance: nothing follows from it.
    Chance,
    /// A limit's, and so many just before it too that had been taken for chance.
    Limit {
        /// How many.
        n_before: u32,
    },
}

/// Answers, and refusals among them.
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

/// Whether refusals are chance.
#[derive(Clone, Debug)]
pub struct Chance {
    /// Whether all refusals count as chance until an alarm.
    is_presumed: bool,
    trust: f64,
    leaning: f64,
    /// What chance was seen to refuse.
    seen: Count,
    /// What speaks for a limit, and the answers since something does.
    suspicion: f64,
    suspect: Count,
    /// Refusals in a row.
    n_run: u32,
    /// Submissions taken since the last refusal that led to a cut.
    n_accepted: u32,
    /// Cuts that did not help, and the answers that they were made by.
    useless: f64,
    cuts: Count,
}

impl Chance {
    /// Refusals are chance until several come close together.
    pub const fn new() -> Self {
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

    /// A limit is known to exist, and nothing speaks for chance.
    #[cfg(test)]
    pub const fn distrust(&mut self) {
        (self.is_presumed, self.trust, self.leaning) = (false, 0.0, 0.0);
    }

    /// Whether all refusals count as chance until an alarm.
    pub const fn is_presumed(&self) -> bool {
        self.is_presumed
    }

    /// Whether chance is more than presumed: refusals have stayed single.
    pub const fn is_trusted(&self) -> bool {
        self.is_presumed && self.trust >= TRUST_SHOWN
    }

    /// The share of submissions that chance refuses; 0 where it is not presumed.
    pub fn share(&self) -> f64 {
        if self.is_presumed { self.seen.share().min(SHARE_MAX) } else { 0.0 }
    }

    /// Whether a refusal now comes right after the one that led to the last cut.
    pub const fn is_dense(&self) -> bool {
        self.n_accepted < DENSE
    }

    /// A submission was taken.
    pub fn accepted(&mut self) {
        self.n_run = 0;
        self.n_accepted = self.n_accepted.saturating_add(1);
        self.count(false);
        let share = self.likely_share();
        self.weigh(((1.0 - share - excess(share)) / (1.0 - share)).ln());
    }

    /// A submission was refused at this load.
    pub fn refused(&mut self, load: Load) -> Verdict {
        if !self.is_presumed && (load == Load::Beyond || self.leaning < 1.0) {
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
        Verdict::Chance
    }

    /// A refusal that the known limits explain, or that is not waited with.
    fn expected(&mut self, load: Load) -> Verdict {
        match load {
            Load::Beyond => {
                self.trust = (self.trust - TRUST_LOST).max(0.0);
                self.leaning = (self.leaning - LEANING_BEYOND).max(0.0);
            }
            Load::Within | Load::Unclear => self.trust = self.trust.max(0.0),
        }
        (self.suspicion, self.suspect) = (0.0, Count::default());
        Verdict::Limit { n_before: 0 }
    }

    /// Refusals came close together.
    fn alarmed(&mut self, share: f64) -> Verdict {
        // Those beyond what chance makes of as many answers were the limit's, and so were those in a row.
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
        Verdict::Limit { n_before: self.n_run - 1 }
    }

    /// A refusal at this load leads to a cut. Gives whether chance is proven now by cuts that did not help, so that it must not.
    pub fn is_proven_by_cut(&mut self, load: Load) -> bool {
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
            Load::Within => {
                self.useless += 1.0;
                self.leaning = (self.leaning + 1.0).min(LEANING_MAX);
            }
            Load::Unclear => (),
            Load::Beyond => self.useless = (self.useless - USELESS_LOST).max(0.0),
        }
        if self.useless <= USELESS_CUTS || self.cuts.share() >= SHARE_MAX {
            return false;
        }
        self.seen = Count { answers: 2.0 * FIRST_ANSWERS, refused: 2.0 * FIRST_ANSWERS * self.cuts.share() };
        (self.suspicion, self.suspect) = (0.0, Count::default());
        self.prove();
        true
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

    /// Adds to the suspicion. What speaks against it is not saved up.
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

/// What a limit refuses beyond chance's share: enough to be told from it.
const fn excess(share: f64) -> f64 {
    share.max(EXCESS)
}

#[cfg(test)]
mod tests;
