//! Limit that all workers of a shared run keep together, as it is when a worker begins.

/// Limit that all workers keep together, when a worker begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartLimit<T> {
    /// Limit from now on.
    pub limit: T,
    /// Says whether this worker was given it. Otherwise it is the run's.
    pub is_own: bool,
    /// Other limit that it replaces, for all workers; `None` if it replaces none.
    pub replaced: Option<T>,
}

impl<T: PartialEq> StartLimit<T> {
    /// Returns the limit that counts, of what this worker was given and what the run had before; `None` if there is none.
    pub(super) fn of(own: Option<T>, before: Option<T>) -> Option<Self> {
        match (own, before) {
            (Some(limit), before) => {
                let replaced = before.filter(|before| limit != *before);
                Some(Self { limit, is_own: true, replaced })
            }
            (None, before) => before.map(|limit| Self { limit, is_own: false, replaced: None }),
        }
    }
}
