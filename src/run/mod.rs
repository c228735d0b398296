//! The library's front door: a manifest in, images and results out, from wherever the last run left off.

pub mod projection;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::select;

use crate::driver::clock::Clock;
use crate::driver::images::check::CheckLimits;
use crate::driver::images::{DiskStore, StoreError};
use crate::driver::{self, DriveError, Hands, Stops};
use crate::engine::Engine;
use crate::engine::turn::Stop;
use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::{Imported, RunFile, SqliteLedger};
use crate::manifest::{self, Manifest, ManifestError, Source};
use crate::model::counts::{Counts, Incidents};
use crate::model::limits::Limits;
use crate::model::phase::Known;
use crate::plan::{self, PlanError};
use crate::provider::registry::{Choice, ConnectError};
use crate::report::Reporters;
use crate::run::projection::{Projection, ProjectionError};

/// Failed jobs that a summary tells of.
const FAILURES_MAX: usize = 10;

/// Everything that a run needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// The manifest, and how to read it.
    pub source: Source,
    /// The output folder.
    pub out: PathBuf,
    /// Who makes the images.
    pub provider: Choice,
    /// The limits that the engine keeps.
    pub limits: Limits,
    /// The largest image that is taken.
    pub image_limits: CheckLimits,
}

/// Why a run could not begin, or not go on. What is recorded stays recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The provider cannot be asked.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Our own disk does not take the images.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The results cannot be written.
    #[error(transparent)]
    Results(#[from] ProjectionError),
}

impl From<PlanError> for RunError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Manifest(error) => Self::Manifest(error),
            PlanError::Ledger(error) => Self::Ledger(error),
        }
    }
}

impl From<DriveError> for RunError {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::Ledger(error) => Self::Ledger(error),
            DriveError::Store(error) => Self::Store(error),
        }
    }
}

/// What is known before the first request.
#[derive(Debug)]
pub struct Start<'a> {
    /// The checked manifest.
    pub manifest: &'a Manifest,
    /// Where its jobs stand.
    pub counts: Counts,
    /// What is new since the last run; nothing when the manifest is the same.
    pub imported: Option<Imported>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Where the jobs stand now.
    pub counts: Counts,
    /// Where they stood at the start.
    pub counts_before: Counts,
    /// What came up in this run.
    pub incidents: Incidents,
    /// Why it stopped before the end, if it did.
    pub stop: Option<Stop>,
    /// The first few jobs without an image.
    pub failures: Vec<Known>,
    /// `results.csv`.
    pub results: PathBuf,
    /// How long it took.
    pub elapsed: Duration,
}

/// Runs a manifest, or goes on with it. A finished run does nothing, and sends nothing.
///
/// `face` makes the reporters once it is known what there is to do.
pub async fn run(
    options: Options,
    face: impl FnOnce(&Start<'_>) -> Reporters,
    stops: &mut Stops,
) -> Result<Summary, RunError> {
    let clock = Clock::system();
    let began = clock.now();
    let manifest = manifest::open(options.source.clone())?;
    let mut file = RunFile::open(&options.out, &options.provider.identity()?)?;
    let imported = plan::import(&manifest, &mut file)?;
    let (counts_before, incidents_before) = (file.counts()?, file.incidents()?);
    let mut reporters = face(&Start { manifest: &manifest, counts: counts_before, imported });
    // The manifest may be large, and the run is long.
    drop(manifest);

    let results = Projection::new(&options.out);
    let (file, ended) = if counts_before.n_unfinished() == 0 {
        (file, Ok(None))
    } else {
        drive(&options, file, &mut reporters, &clock, stops, &results).await?
    };
    // Whatever ended the run, the results say what is recorded; the reason why it ended is told first.
    let refreshed = results.refresh(&file);
    let stop = ended?;
    refreshed?;
    Ok(Summary {
        counts: file.counts()?,
        counts_before,
        incidents: file.incidents()? - incidents_before,
        stop,
        failures: file.failures(FAILURES_MAX)?,
        results: results.path().to_owned(),
        elapsed: clock.now() - began,
    })
}

type Ended = Result<Option<Stop>, RunError>;

async fn drive(
    options: &Options,
    file: RunFile,
    reporters: &mut Reporters,
    clock: &Clock,
    stops: &mut Stops,
    results: &Projection,
) -> Result<(RunFile, Ended), RunError> {
    let connected = options.provider.connect(options.image_limits.bytes_max)?;
    let store = DiskStore::open(&options.out, options.image_limits)?;
    let hands = Hands { provider: connected.provider.clone(), store: Arc::new(store) };
    let engine = Engine::new(options.limits.clone());
    let mut ledger = SqliteLedger::start(file)?;
    let ended = select! {
        ended = driver::drive(engine, &mut ledger, reporters, &hands, clock, stops) => ended.map_err(RunError::from),
        never = results.keep_fresh() => match never {},
    };
    Ok((ledger.close()?, ended))
}
