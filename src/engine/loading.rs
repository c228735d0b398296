//! Requests of the engine to the ledger for further jobs: whether one can be made, is under way, or would be in vain.

use crate::model::time::Moment;

/// State of the engine's requests to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loading {
    /// Request possible: the ledger may hold more jobs.
    More,
    /// Request sent: the answer of the ledger is awaited.
    Asked {
        /// Says whether no job was in memory.
        is_idle: bool,
    },
    /// Request possible from this moment on: other processes have all jobs that are left.
    Later {
        /// Moment of the next request.
        at: Moment,
        /// Says whether no job was in memory at the last request, nor since.
        was_idle: bool,
    },
    /// End of the ledger: every job was handed out.
    Done,
}

impl Loading {
    /// Returns whether no job was in memory at the last request.
    pub(super) const fn was_idle(self) -> bool {
        match self {
            Self::Asked { is_idle } => is_idle,
            Self::Later { was_idle, .. } => was_idle,
            Self::More | Self::Done => false,
        }
    }
}
