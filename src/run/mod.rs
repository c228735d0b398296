//! The library's front door: a manifest in, images and results out, from wherever the last run left off.

pub mod batch;
pub mod consent;
pub mod export;
pub mod gallery;
pub mod money;
pub mod present;
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
use crate::driver::images::check::CheckLimits;
use crate::driver::images::{DiskStore, StoreError};
use crate::driver::{self, DriveError, Hands, Stops};
use crate::engine::Engine;
use crate::engine::turn::Stop;
use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::{Imported, RunFile, SqliteLedger};
use crate::manifest::{self, Manifest, ManifestError, Source};
use crate::model::cost::Cost;
use crate::model::counts::{Counts, Incidents};
use crate::model::limits::{InDoubt, Limits};
use crate::model::name::template::TemplateError;
use crate::model::phase::Known;
use crate::model::price::Price;
use crate::model::progress::Progress;
use crate::model::style::{Style, StyleWish};
use crate::model::time::{Moment, Timestamp};
use crate::plan::{self, PlanError};
use crate::provider::registry::{Choice, ConnectError};
use crate::report::Reporters;
use crate::run::consent::Consent;
use crate::run::money::CostError;
use crate::run::present::Present;
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
    /// How the images are kept.
    pub style: StyleWish,
    /// Whether `results.csv` is guarded against formulas in spreadsheets; `None` for what the last run was told, at first not.
    pub formula_guard: Option<bool>,
    /// What the user agrees to.
    pub consent: Consent,
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
    /// The template of the names has a field that no job has.
    #[error("could not name the images by --name: {0}")]
    Template(#[from] TemplateError),
    /// There are images already, under names of another template.
    #[error("could not name the images by `--name {wanted}`: those in {} are named by `{was}` already; leave out --name, or choose another output folder", path.parent().unwrap_or(path).display())]
    OtherNames {
        /// The ledger.
        path: PathBuf,
        /// The template of the images that are there.
        was: String,
        /// The one that was asked for.
        wanted: String,
    },
    /// A limit on the cost cannot be kept.
    #[error(transparent)]
    Cost(#[from] CostError),
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
    /// The checked manifest; nothing when it is the one of the last run, which is not checked again.
    pub manifest: Option<&'a Manifest>,
    /// Where its jobs stand.
    pub counts: Counts,
    /// What is new since the last run; nothing when the manifest is the same.
    pub imported: Option<Imported>,
    /// Jobs that are no longer in the manifest and may be paid for: this run does not fetch them.
    pub n_left_behind: u64,
    /// How the images are kept.
    pub style: &'a Style,
    /// What an image costs: by the limits, or else by the manifest.
    pub price: Option<Price>,
    /// Whether the token is of another account than the one that the batch was begun with.
    pub is_other_account: bool,
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
    /// What all runs of the folder cost, and its unit. `None` where no price is known, or there was nothing to do.
    pub cost: Option<(Cost, String)>,
    /// Why it stopped before the end, if it did.
    pub stop: Option<Stop>,
    /// Jobs that are left for the next such command, where it was limited to some of them; else 0.
    pub n_outstanding: u64,
    /// The first few jobs without an image.
    pub failures: Vec<Known>,
    /// Whether the images on record are on the disk.
    pub present: Present,
    /// `results.csv`.
    pub results: PathBuf,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took.
    pub elapsed: Duration,
}

/// Runs a manifest, or goes on with it. A finished run does nothing, and sends nothing.
///
/// `face` makes the reporters once it is known what there is to do; what takes long before and after that tells `progress`.
pub async fn run(
    options: Options,
    face: impl FnOnce(&Start<'_>) -> Reporters,
    progress: &mut dyn Progress,
    stops: &mut Stops,
) -> Result<Summary, RunError> {
    let clock = Clock::system();
    let began = clock.now();
    let mut check = || manifest::open_watched(options.source.clone(), progress);
    let fingerprint = plan::fingerprint_of(&options.source);
    let is_known =
        |file: &RunFile| Ok::<_, LedgerError>(fingerprint.is_some() && file.manifest_fingerprint()? == fingerprint);
    // Nothing is made for a manifest that is wrong.
    let first = if RunFile::glance(&options.out, is_known).unwrap_or(false) { None } else { Some(check()?) };
    if let (Some(naming), Some(manifest)) = (&options.style.naming, &first) {
        naming.check(manifest.columns())?;
    }
    if let Some(manifest) = &first {
        let known = RunFile::glance(&options.out, RunFile::price_used).unwrap_or_default();
        let price = options.limits.price.as_ref().or(manifest.price()).or(known.as_ref());
        money::check_price(options.limits.cost_max.as_ref(), price)?;
    }
    let consent = options.consent;
    let mut file = consent.open(&options.out, Some(&options.provider.identity()?), began.wall())?;
    let manifest = match first {
        // Another run may have begun and ended in between.
        None if !is_known(&file)? => Some(check()?),
        first => first,
    };
    let columns = manifest.as_ref().map_or_else(|| file.columns(), |manifest| Ok(manifest.columns().to_vec()))?;
    let style = style::settle(&file, &options.style, &columns)?;
    let imported = manifest.as_ref().map(|manifest| plan::import(manifest, &mut file, progress)).transpose()?.flatten();
    let (counts_before, incidents_before) = (file.counts()?, file.incidents()?);
    let n_left_behind = file.n_left_behind()?;
    let Options { out, provider, limits, image_limits, formula_guard, source: _, style: _, consent: _ } = options;
    let price = file.settle_price(limits.price.clone())?;
    let limits = Limits { price: price.clone(), ..limits };
    money::check_jobs(&limits, &file)??;
    let counts = counts_before;
    // What has nothing to do needs no token.
    let is_same_account = counts.n_unfinished() == 0 || consent.is_same_account(&file, &provider)?;
    let limits = Limits { is_same_account, ..limits };
    let (manifest_now, is_other_account) = (manifest.as_ref(), !is_same_account);
    let start =
        Start { manifest: manifest_now, counts, imported, n_left_behind, price, style: &style, is_other_account };
    let mut reporters = face(&start);
    // The manifest may be large, and the run is long.
    drop(manifest);

    let n_to_do = counts_before.n_unfinished();
    let before = Before { began, n_to_do, counts: counts_before, incidents: incidents_before };
    let work = Work { out: &out, provider, limits, image_limits, style, scope: Scope::All, formula_guard };
    work.go_on(file, &before, &mut reporters, progress, &clock, stops).await
}

/// Which jobs a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// All that are not finished.
    All,
    /// Those that were reopened just now.
    Chosen,
}

/// What a session drives with.
struct Work<'a> {
    out: &'a Path,
    provider: Choice,
    limits: Limits,
    image_limits: CheckLimits,
    style: Style,
    scope: Scope,
    /// As in [`Options`].
    formula_guard: Option<bool>,
}

/// How things stood before a session.
struct Before {
    began: Moment,
    n_to_do: u64,
    counts: Counts,
    incidents: Incidents,
}

type Ended = Result<Option<Stop>, RunError>;

impl Work<'_> {
    /// Drives what there is to do, if there is anything, writes the results, and says what it came to.
    async fn go_on(
        self,
        file: RunFile,
        before: &Before,
        reporters: &mut Reporters,
        progress: &mut dyn Progress,
        clock: &Clock,
        stops: &mut Stops,
    ) -> Result<Summary, RunError> {
        let out = self.out;
        let results = Projection::new(out).guarding(self.formula_guard);
        results.settle(&file)?;
        let price = self.limits.price.clone().filter(|_| before.n_to_do > 0);
        let is_holding = self.limits.in_doubt == InDoubt::Hold;
        let (file, ended) = match before.n_to_do {
            0 => (file, Ok(None)),
            _ => self.drive(file, before.began, reporters, clock, stops, &results).await?,
        };
        // Whatever ended the run, the results say what is recorded; the reason why it ended is told first.
        let refreshed = results.refresh(&file, progress);
        let stop = ended?;
        refreshed?;
        let now = clock.now();
        let (counts, incidents) = (file.counts()?, file.incidents()?);
        // What is held for the user is not left for the next part.
        let n_held = if is_holding { incidents.n_doubts_held.min(counts.n_in_doubt) } else { 0 };
        let n_outstanding = match stop {
            Some(Stop::Limit(_)) => counts.n_unfinished().saturating_sub(n_held),
            _ => 0,
        };
        let cost = price.as_ref().map(|price| file.paid(price)).transpose()?.flatten();
        Ok(Summary {
            counts,
            counts_before: before.counts,
            incidents: incidents - before.incidents,
            cost: cost.zip(price.map(|price| price.unit)),
            stop,
            n_outstanding,
            failures: file.failures(FAILURES_MAX)?,
            present: present::look(out, &file)?,
            results: results.path().to_owned(),
            ended_at: now.wall(),
            elapsed: now - before.began,
        })
    }

    async fn drive(
        self,
        file: RunFile,
        began: Moment,
        reporters: &mut Reporters,
        clock: &Clock,
        stops: &mut Stops,
        results: &Projection,
    ) -> Result<(RunFile, Ended), RunError> {
        let connected = self.provider.connect(self.image_limits.bytes_max)?;
        let store = DiskStore::open_making(self.out, self.image_limits, self.style.making)?;
        let naming = Arc::new(self.style.naming);
        let hands = Hands { provider: connected.provider.clone(), store: Arc::new(store.clone()), naming };
        let paid = self.limits.price.as_ref().map(|price| file.paid(price)).transpose()?.flatten();
        let mut engine = Engine::new(self.limits);
        engine.remember(clock.now(), &file.history()?);
        engine.remember_cost(paid);
        engine.count_duration_from(began);
        let n_jobs = file.counts()?.n_jobs();
        let mut ledger = match self.scope {
            Scope::All => SqliteLedger::start(file)?,
            Scope::Chosen => SqliteLedger::start_chosen(file)?,
        };
        let ended = select! {
            ended = driver::drive(engine, &mut ledger, reporters, &hands, clock, stops) => ended.map_err(RunError::from),
            never = results.keep_fresh(n_jobs) => match never {},
        };
        if self.scope == Scope::All && matches!(ended, Ok(None)) {
            // No job is left that could go on with a part of an image.
            store.clear();
        }
        Ok((ledger.close()?, ended))
    }
}
