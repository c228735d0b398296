//! Permit of one submission, which keeps what was known when it left, and the reaction to its refusal.

use crate::model::time::Moment;

/// Permit of a submission under way: when it left, and the tasks in flight then.
#[derive(Clone, Copy, Debug)]
pub struct SubmitPermit {
    left_at: Moment,
    n_others: usize,
    number: u64,
    has_token: bool,
}

impl SubmitPermit {
    /// Creates the permit of a submission that leaves now with `n_others` other tasks in flight, submissions under way included.
    pub const fn new(left_at: Moment, n_others: usize) -> Self {
        Self { left_at, n_others, number: 0, has_token: false }
    }

    /// Returns this permit, which keeps whether a known rate certainly had a token for the submission.
    #[must_use]
    pub(crate) const fn with_token(self, has_token: bool) -> Self {
        Self { has_token, ..self }
    }

    /// Returns this permit with the number of the submission.
    #[must_use]
    pub(crate) const fn with_number(self, number: u64) -> Self {
        Self { number, ..self }
    }

    /// Returns when the submission left.
    pub(crate) const fn left_at(&self) -> Moment {
        self.left_at
    }

    /// Returns how many other tasks were in flight, submissions under way included.
    pub(crate) const fn n_others(&self) -> usize {
        self.n_others
    }

    /// Returns the number of the submission, in the order in which they left.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns whether a known rate certainly had a token for the submission.
    pub const fn has_token(&self) -> bool {
        self.has_token
    }
}

/// Reaction to a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalReaction {
    /// Random refusal: only its own job waits.
    Chance,
    /// Pause of all submissions for a while.
    Wait,
    /// Cut of a limit, which is enough: there is room when a task ends, or in a moment.
    Cut,
}
