//! Public API of the library: turns a manifest into images and results, and resumes where the last run stopped.

pub mod batch;
pub mod consent;
pub mod export;
pub mod gallery;
pub mod money;
pub mod outputs;
pub mod presence;
pub mod projection;
pub mod reports;
pub mod retry;
mod style;
pub mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::select;

use crate::driver::clock::Clock;
use crate::driver::{self, DriveError, DriverContext, StopReceiver};
use crate::engine::Engine;
use crate::engine::turn::StopReason;
use crate::images::adapters;
use crate::images::error::StoreError;
use crate::images::validate::verdict::CheckLimits;
use crate::manifest::error::ManifestError;
use crate::manifest::source::Source;
use crate::manifest::{self, Manifest};
use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::limits::{InDoubtPolicy, Limits};
use crate::model::name::template::TemplateError;
use crate::model::output_options::{OutputOptions, OutputOverrides};
use crate::model::phase::JobRecord;
use crate::model::price::Price;
use crate::model::progress::Progress;
use crate::model::time::{Moment, Timestamp};
use crate::plan::replacement::Replacement;
use crate::plan::{self, PlanError};
use crate::provider::config::ProviderConfig;
use crate::provider::spec::ConnectError;
use crate::report::Reporters;
use crate::run::consent::Consent;
use crate::run::money::CostError;
use crate::run::outputs::OutputConflict;
use crate::run::presence::PresenceCheck;
use crate::run::projection::{Projection, ProjectionError};
use crate::store::error::LedgerError;
use crate::store::import::Imported;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::{JobScope, RunReader, RunWriter, stores};

/// Failed jobs listed in a summary, at most.
const FAILURES_MAX: usize = 10;

/// Options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Manifest, and how to read it.
    pub source: Source,
    /// Output folder.
    pub out: PathBuf,
    /// Provider of the images.
    pub provider: ProviderConfig,
    /// Limits that the engine keeps.
    pub limits: Limits,
    /// Largest image that is accepted.
    pub image_limits: CheckLimits,
    /// Requested output style; settings that are `None` keep the style of the run so far.
    pub style: OutputOverrides,
    /// Guards `results.csv` against formulas in spreadsheets; `None` keeps the setting of the last run, which is off at first.
    pub formula_guard: Option<bool>,
    /// Consent given by the user.
    pub consent: Consent,
}

/// Reason why a run could not begin or continue. Recorded events stay recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Manifest that is invalid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Ledger that cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Provider that cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Disk that does not accept the images.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Name template with a field that no job has.
    #[error("could not name the images by --name: {0}")]
    Template(#[from] TemplateError),
    /// Name template that differs from the template of existing images.
    #[error("could not name the images by `--name {wanted}`: those in {} are already named by `{was}`; leave out --name, or choose another output folder", out.display())]
    OtherNames {
        /// Output folder.
        out: PathBuf,
        /// Template of the existing images.
        was: String,
        /// Requested template.
        wanted: String,
    },
    /// Manifest that replaces most jobs of the run in the folder.
    #[error(transparent)]
    Replacement(Replacement),
    /// File of the user's that the run would replace.
    #[error(transparent)]
    Output(#[from] OutputConflict),
    /// Cost limit that cannot be enforced.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// Results that cannot be written.
    #[error(transparent)]
    Results(#[from] ProjectionError),
}

impl From<PlanError> for RunError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Manifest(error) => Self::Manifest(error),
            PlanError::Ledger(error) => Self::Ledger(error),
            PlanError::Replacement(refusal) => Self::Replacement(refusal),
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

/// Facts that are known before the first request.
#[derive(Debug)]
pub struct RunStart<'a> {
    /// Checked manifest; `None` if it is the manifest of the last run, which is not checked again.
    pub manifest: Option<&'a Manifest>,
    /// Jobs of the manifest by status.
    pub counts: StatusCounts,
    /// Changes since the last run; `None` if the manifest is the same.
    pub imported: Option<Imported>,
    /// Jobs that are no longer in the manifest and may be paid for; this run does not fetch them.
    pub n_orphaned: u64,
    /// Output style of the images.
    pub style: &'a OutputOptions,
    /// Price of an image: from the limits, else from the manifest, else from the last run; `None` if unknown.
    pub price: Option<Price>,
    /// Says whether the token is of another account than the one that the batch began with.
    pub is_other_account: bool,
}

/// Summary of a finished or stopped run.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Jobs by status, at the end of the run.
    pub counts: StatusCounts,
    /// Jobs by status, at the start of the run.
    pub counts_before: StatusCounts,
    /// Incidents of this run.
    pub incidents: RunStats,
    /// Cost of all runs of the folder, with its unit. `None` if no price is known, or nothing was to do.
    pub cost: Option<(Cost, String)>,
    /// Reason why the run stopped before the end; `None` if it did not.
    pub stop: Option<StopReason>,
    /// Jobs left for the next such command, if this one was limited to some of them; else 0.
    pub n_outstanding: u64,
    /// First few jobs without an image.
    pub failures: Vec<JobRecord>,
    /// Presence of the recorded images on the disk.
    pub present: PresenceCheck,
    /// Path of `results.csv`.
    pub results: PathBuf,
    /// Time at which the run ended.
    pub ended_at: Timestamp,
    /// Duration of the run.
    pub elapsed: Duration,
}

/// Runs a manifest, or resumes its run. A finished run does nothing, and sends nothing.
///
/// The closure `face` creates the reporters once it is known what there is to do. Slow steps before and after that are reported
/// to `progress`.
pub async fn run(
    options: Options,
    face: impl FnOnce(&RunStart<'_>) -> Reporters,
    progress: &mut dyn Progress,
    stops: &mut StopReceiver,
) -> Result<Summary, RunError> {
    let clock = Clock::system();
    let began = clock.now();
    let mut check = || manifest::open_watched(options.source.clone(), progress);
    let fingerprint = plan::fingerprint_of(&options.source);
    let is_known =
        |run: &dyn RunReader| Ok::<_, LedgerError>(fingerprint.is_some() && run.manifest_fingerprint()? == fingerprint);
    match stores::read_snapshot(&options.out, |run| run.manifest_fingerprint()) {
        Ok(None) | Err(LedgerError::Missing { .. }) => outputs::check_first(&options.out, &options.source.path)?,
        // A ledger that cannot be read is reported when it is opened.
        Ok(Some(_)) | Err(_) => outputs::check_further(&options.out, Some(&options.source.path))?,
    }
    // Files are created only for a valid manifest.
    let first = if stores::read_snapshot(&options.out, is_known).unwrap_or(false) { None } else { Some(check()?) };
    if let (Some(naming), Some(manifest)) = (&options.style.naming, &first) {
        naming.check(manifest.columns())?;
    }
    if let Some(manifest) = &first {
        let known = stores::read_snapshot(&options.out, |run| run.price_used()).unwrap_or_default();
        let price = options.limits.price.as_ref().or(manifest.price()).or(known.as_ref());
        money::check_price(options.limits.cost_max.as_ref(), price)?;
    }
    let consent = options.consent;
    let mut run = consent.open(&options.out, Some(&options.provider.identity()?.to_string()), began.wall())?;
    let manifest = match first {
        // Checks again: another run may have begun and ended in between.
        None if !is_known(&*run)? => Some(check()?),
        first => first,
    };
    let columns = manifest.as_ref().map_or_else(|| run.columns(), |manifest| Ok(manifest.columns().to_vec()))?;
    let style = style::check(&options.out, &*run, &options.style, &columns)?;
    let may_replace = consent.is_manifest_replaced;
    let import = |manifest| plan::import(manifest, &options.out, &mut *run, may_replace, progress);
    let imported = manifest.as_ref().map(import).transpose()?.flatten();
    style::settle(&mut *run, &style)?;
    let (counts_before, incidents_before) = (run.counts()?, run.incidents()?);
    let n_orphaned = run.n_orphaned()?;
    let Options { out, provider, limits, image_limits, formula_guard, source: _, style: _, consent: _ } = options;
    let price = run.settle_price(limits.price.clone())?;
    let limits = Limits { price: price.clone(), ..limits };
    money::check_jobs(&limits, &*run)??;
    let counts = counts_before;
    // Needs a token only if there is something to do.
    let is_same_account = counts.n_unfinished() == 0 || consent.is_same_account(&mut *run, &provider)?;
    let limits = Limits { is_same_account, ..limits };
    let (manifest_now, is_other_account) = (manifest.as_ref(), !is_same_account);
    let start =
        RunStart { manifest: manifest_now, counts, imported, n_orphaned, price, style: &style, is_other_account };
    let mut reporters = face(&start);
    // Frees the manifest, which may be large, because the run is long.
    drop(manifest);

    let n_to_do = counts_before.n_unfinished();
    let before = Baseline { began, n_to_do, counts: counts_before, incidents: incidents_before };
    let work = Session { out: &out, provider, limits, image_limits, style, scope: JobScope::Unfinished, formula_guard };
    work.go_on(run, &before, &mut reporters, progress, &clock, stops).await
}

/// Inputs of a session.
struct Session<'a> {
    out: &'a Path,
    provider: ProviderConfig,
    limits: Limits,
    image_limits: CheckLimits,
    style: OutputOptions,
    scope: JobScope,
    /// Setting as in [`Options`].
    formula_guard: Option<bool>,
}

/// Baseline of a session: the state before it.
struct Baseline {
    began: Moment,
    n_to_do: u64,
    counts: StatusCounts,
    incidents: RunStats,
}

type SessionEnd = Result<Option<StopReason>, RunError>;

impl Session<'_> {
    /// Drives the open jobs, if there are any, writes the results, and returns the summary.
    async fn go_on(
        self,
        mut run: Box<dyn RunWriter>,
        before: &Baseline,
        reporters: &mut Reporters,
        progress: &mut dyn Progress,
        clock: &Clock,
        stops: &mut StopReceiver,
    ) -> Result<Summary, RunError> {
        let out = self.out;
        let results = Projection::new(out).guarding(self.formula_guard);
        results.settle(&mut *run)?;
        let price = self.limits.price.clone().filter(|_| before.n_to_do > 0);
        let is_holding = self.limits.in_doubt == InDoubtPolicy::Hold;
        let (mut run, ended) = match before.n_to_do {
            0 => (run, Ok(None)),
            _ => self.drive(run, before.began, reporters, clock, stops, &results).await?,
        };
        // Results show what is recorded, whatever ended the run. The reason for the end is reported first.
        let refreshed = results.refresh(&mut *run, progress);
        let stop = ended?;
        refreshed?;
        let now = clock.now();
        let (counts, incidents) = (run.counts()?, run.incidents()?);
        // Jobs held for the user are not left for the next part.
        let n_held = if is_holding { incidents.n_doubts_held.min(counts.n_in_doubt) } else { 0 };
        let n_outstanding = match stop {
            Some(StopReason::Limit(_)) => counts.n_unfinished().saturating_sub(n_held),
            _ => 0,
        };
        let cost = price.as_ref().map(|price| run.total_cost(price)).transpose()?.flatten();
        Ok(Summary {
            counts,
            counts_before: before.counts,
            incidents: incidents - before.incidents,
            cost: cost.zip(price.map(|price| price.unit)),
            stop,
            n_outstanding,
            failures: run.failures(FAILURES_MAX)?,
            present: presence::look(&*adapters::saved(out), &*run)?,
            results: results.path().to_owned(),
            ended_at: now.wall(),
            elapsed: now - before.began,
        })
    }

    async fn drive(
        self,
        run: Box<dyn RunWriter>,
        began: Moment,
        reporters: &mut Reporters,
        clock: &Clock,
        stops: &mut StopReceiver,
        results: &Projection,
    ) -> Result<(Box<dyn RunWriter>, SessionEnd), RunError> {
        let provider = self.provider.connect(self.image_limits.bytes_max)?;
        let store = adapters::open(self.out, self.image_limits, self.style.making)?;
        let naming = Arc::new(self.style.naming);
        let hands = DriverContext { provider, store: store.clone(), naming };
        let paid = self.limits.price.as_ref().map(|price| run.total_cost(price)).transpose()?.flatten();
        let poll_batch_max = self.provider.spec().poll_batch_max;
        let mut engine = Engine::new(Limits { poll_batch_max, ..self.limits });
        engine.remember(clock.now(), &run.history()?);
        engine.remember_cost(paid);
        engine.count_duration_from(began);
        let n_jobs = run.counts()?.n_jobs();
        let mut ledger = run.start(self.scope)?;
        let ended = select! {
            ended = driver::drive(engine, &mut *ledger, reporters, &hands, clock, stops) => ended.map_err(RunError::from),
            never = results.keep_fresh(n_jobs) => match never {},
        };
        if self.scope == JobScope::Unfinished && matches!(ended, Ok(None)) {
            // Partial downloads are removed: no job is left that could resume one.
            store.remove_partials();
        }
        Ok((ledger.close()?, ended))
    }
}
