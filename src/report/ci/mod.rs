//! Reports for those who were not there: a run as test results ([`junit`]), as one object ([`json`]), and as a page ([`markdown`]).
//!
//! Each is a pure writer: it is given the facts of the run, then every job in manifest order, one at a time, and holds on to no more of
//! them than it shows.

pub mod json;
pub mod junit;
pub mod markdown;

use std::io;
use std::time::Duration;

use crate::model::cost::Cost;
use crate::model::counts::{Counts, Incidents};
use crate::model::outcome::Outcome;
use crate::model::phase::{Known, Phase};
use crate::model::time::Timestamp;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What it is called: its output folder's name.
    pub name: String,
    /// The output folder, as the user wrote it.
    pub out: String,
    /// Who made the images.
    pub provider: String,
    /// Where the jobs stand.
    pub counts: Counts,
    /// What came up in this run.
    pub incidents: Incidents,
    /// The word for why it stopped before its end, and the sentence, if it did.
    pub stop: Option<(&'static str, String)>,
    /// How the program ends.
    pub exit_code: u8,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took.
    pub elapsed: Duration,
    /// Jobs that ended in it.
    pub n_ended: u64,
    /// What all runs of the folder cost, and its unit, where the price is known.
    pub cost: Option<(Cost, String)>,
    /// The part of the jobs that had to succeed, in the user's words, if it was told.
    pub fail_under: Option<String>,
}

impl Facts {
    /// The part of the jobs that have their image, from 0 to 1; 1 of none.
    pub fn success_share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "no manifest has 2^53 jobs")]
        let [n, of] = [self.counts.n_succeeded, self.counts.n_jobs()].map(|n| n as f64);
        if of > 0.0 { n / of } else { 1.0 }
    }
}

/// One report under way.
pub trait Report {
    /// Takes in the next job.
    fn job(&mut self, known: &Known) -> io::Result<()>;

    /// Writes what is left to be written.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Whether a job has ended without an image.
fn is_failure(known: &Known) -> bool {
    matches!(known.state.phase, Phase::Finished(Outcome::Failed(_)))
}

/// The name that the user knows a job by, as in the results.
fn id(known: &Known) -> String {
    known.job.label.clone().unwrap_or_else(|| known.job.id.to_string())
}

#[cfg(test)]
mod fixtures;
