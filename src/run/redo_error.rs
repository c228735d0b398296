//! Reasons why a job cannot be made again.

use crate::model::escape::escape;

/// Reason why a job cannot be made again. Nothing was changed or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedoError {
    /// Name that no job has.
    #[error("could not find the job {name:?}: give its index, its id as in results.csv, or its task id", name = escape(name))]
    Unknown {
        /// Name of the job according to the user.
        name: String,
    },
    /// Name that several jobs have.
    #[error("several jobs match {name:?}: {jobs}; give their indexes", name = escape(name))]
    Several {
        /// Name of the jobs according to the user.
        name: String,
        /// Indexes and ids of the first of these jobs.
        jobs: String,
    },
    /// Job that is no longer in the manifest, or is left out by its row.
    #[error("could not make the job {name:?} again: it is no longer in the manifest, or its row says `skip`; put the row back", name = escape(name))]
    LeftOut {
        /// Name of the job according to the user.
        name: String,
    },
    /// Request that the provider would refuse.
    #[error("could not make job {index} again: {what}; {remedy}, or leave out --new-seed")]
    Refused {
        /// Index of the job.
        index: u64,
        /// What the provider refuses.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// Job that has not succeeded.
    #[error("could not make the job {name:?} again: it is {status}; {remedy}", name = escape(name))]
    NotSucceeded {
        /// Name of the job according to the user.
        name: String,
        /// Status of the job.
        status: &'static str,
        /// Command that continues the job.
        remedy: String,
    },
}
