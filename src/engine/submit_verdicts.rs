//! Verdicts of the adaptive limiter: why a submission may not leave, and what a refusal calls for.

use crate::model::time::Moment;

/// Reason why a submission may not leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Slots: until a task ends, or until that moment.
    Slots(Option<Moment>),
    /// Rate, until that moment.
    Rate(Moment),
    /// Answers under way, which must show first what the provider accepts.
    Answers,
}

impl Held {
    /// Returns the moment of the next attempt; `None` if only an event can change the verdict.
    pub const fn until(self) -> Option<Moment> {
        match self {
            Self::Slots(until) => until,
            Self::Rate(until) => Some(until),
            Self::Answers => None,
        }
    }
}

/// Reaction to a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReaction {
    /// Random refusal: only its own job waits.
    Chance,
    /// Pause of all submissions for a while.
    Wait,
    /// Refusal of a limit that may not be known yet.
    Limit,
    /// Refusal of a known limit, after which the limiter itself knows when to submit again.
    Known,
}
