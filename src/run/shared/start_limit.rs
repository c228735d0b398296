//! Limit that all workers of a shared run keep together, as it is when a worker begins.

/// Limit that all workers keep together, when a worker begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimit<T> {
    /// Limit from now on.
    pub limit: T,
    /// Says whether this worker was given it. Otherwise it is the run's.
    pub is_own: bool,
    /// Other limit that it replaces, for all workers; `None` if it replaces none.
    pub replaced: Option<T>,
}

impl<T: Copy + PartialEq> StartLimit<T> {
    /// Returns the limit that counts, of what this worker was given and what the run had before; `None` if there is none.
    pub(super) fn of(own: Option<T>, before: Option<T>) -> Option<Self> {
        let replaced = before.filter(|before| own.is_some_and(|own| own != *before));
        own.or(before).map(|limit| Self { limit, is_own: own.is_some(), replaced })
    }
}
