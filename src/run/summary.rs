//! Start and end of a run, as facts: what is known before the first request, and what the run came to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::turn::StopReason;
use crate::manifest::Manifest;
use crate::model::amount::Amount;
use crate::model::choice::Chosen;
use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::output_options::OutputOptions;
use crate::model::phase::JobRecord;
use crate::model::price::Price;
use crate::model::snapshot::StopCode;
use crate::model::time::Timestamp;
use crate::report::ci::RunReport;
use crate::run::other_sizes::OtherSizes;
use crate::run::presence::PresenceCheck;
use crate::store::import::Imported;

/// Facts that are known before the first request of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunStart<'a> {
    /// Checked manifest; `None` if the program made the jobs, or if it is the manifest of the last run, which is not checked again.
    pub manifest: Option<&'a Manifest>,
    /// Jobs of the manifest by status.
    pub counts: StatusCounts,
    /// Jobs that the user chose; `None` for all.
    pub chosen: Option<Chosen>,
    /// Jobs that this run works on, and that are not finished: the chosen ones, and those that were accepted before.
    pub n_to_do: u64,
    /// Changes since the last run; `None` if the jobs are the same.
    pub imported: Option<Imported>,
    /// Jobs that have their images, and leave the results because the manifest or the flags that read it have changed.
    pub n_leaving: u64,
    /// Jobs that are no longer in the manifest and may be paid for; this run does not fetch them.
    pub n_orphaned: u64,
    /// Output style of the images.
    pub style: &'a OutputOptions,
    /// Output style of the images that are there already, if it differs. They stay as they are.
    pub style_before: Option<OutputOptions>,
    /// Price of an image: from the limits, else from the manifest, else from the last run; `None` if unknown.
    pub price: Option<Price>,
    /// Says whether the token is of another account than the one that the batch began with.
    pub is_other_account: bool,
    /// Fields of the provider's description that have changed since the last session.
    pub changed_fields: Vec<String>,
}

/// Facts that are known before the first request of a retry or a repair.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionStart {
    /// Jobs to do.
    pub n_to_do: u64,
    /// Jobs of a retry whose last submission may have been accepted, and which may thus be paid for twice. With a limit on the jobs, it
    /// counts those beyond the limit too.
    pub n_doubtful: u64,
    /// All jobs of the run by status.
    pub counts: StatusCounts,
    /// Price of an image: from the limits, else from the last run; `None` if unknown, or if nothing is submitted.
    pub price: Option<Price>,
    /// Says whether the token is of another account than the one that the batch began with.
    pub is_other_account: bool,
    /// Fields of the provider's description that have changed since the last session.
    pub changed_fields: Vec<String>,
}

/// Summary of a finished or stopped run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Jobs by status, at the end of the run.
    pub counts: StatusCounts,
    /// Jobs by status, at the start of the run.
    pub counts_before: StatusCounts,
    /// Incidents of this run.
    pub incidents: RunStats,
    /// Price of an image; `None` if unknown.
    pub price: Option<Price>,
    /// Cost of all runs of the folder, in the unit of the price. `None` if a price is unknown, or nothing was to do.
    pub cost: Option<Cost>,
    /// Amount by which the answers of this session exceeded the limit on the cost: they said more than what was reserved. `None` if none did.
    pub excess: Option<Amount>,
    /// Reason why the run stopped before the end; `None` if it did not.
    pub stop: Option<StopReason>,
    /// Jobs left for the next such command, if this one was limited to some of them; else 0.
    pub n_outstanding: u64,
    /// Unfinished jobs that the user did not choose.
    pub n_not_chosen: u64,
    /// First few jobs without an image.
    pub failures: Vec<JobRecord>,
    /// Jobs that were made again without success, as they failed. Each has the image before again.
    pub restored: Vec<JobRecord>,
    /// Images of another size than was asked for; not counted if nothing has changed since the last run.
    pub other_sizes: OtherSizes,
    /// Presence of the recorded images on the disk.
    pub present: PresenceCheck,
    /// Path of `results.csv`.
    pub results: PathBuf,
    /// Time at which the run ended.
    pub ended_at: Timestamp,
    /// Duration of the run.
    pub elapsed: Duration,
}

impl Summary {
    /// Returns the facts of this run for [reports](crate::run::reports::write), with exit code 0. The stop is in the program's
    /// words for scripts.
    pub fn report(&self, out: &Path) -> RunReport {
        let n_ended = self.counts_before.n_unfinished().saturating_sub(self.counts.n_unfinished());
        let stop = self.stop.as_ref().map(|stop| StopCode::from(stop).as_str());
        RunReport {
            name: out.file_name().unwrap_or(out.as_os_str()).to_string_lossy().into_owned(),
            out: out.display().to_string(),
            // The provider and the counts are taken from the ledger, which knows them better.
            provider: String::new(),
            counts: self.counts,
            cost: self.cost.zip(self.price.as_ref().map(|price| price.unit.clone())),
            incidents: self.incidents,
            stop: stop.map(|word| (word, format!("stopped: {word}"))),
            exit_code: 0,
            ended_at: self.ended_at,
            elapsed: self.elapsed,
            n_ended,
            fail_under: None,
        }
    }
}
