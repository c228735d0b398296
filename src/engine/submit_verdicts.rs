//! Verdict of the limiters on a submission: why it may not leave now, and until when.

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
