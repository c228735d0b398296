//! Session of a run: opens the ledger, settles price and account, drives the open jobs, and writes the results.
//!
//! Runs, retries and repairs are sessions. They differ in the jobs that they select.

use std::path::{Path, PathBuf};

use tokio::select;

use crate::driver;
use crate::driver::clock::Clock;
use crate::driver::stop::StopReceiver;
use crate::engine::turn::StopReason;
use crate::model::amount::Amount;
use crate::model::choice::{Chosen, JobChoice, JobView};
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::limits::{InDoubtPolicy, Limits};
use crate::model::phase::{JobRecord, Phase};
use crate::model::progress::Progress;
use crate::model::storage_url::StorageUrl;
use crate::model::time::{Moment, Timestamp};
use crate::provider::config::ProviderConfig;
use crate::provider::default_provider;
use crate::report::Reporters;
use crate::run::consent::Consent;
use crate::run::credentials::Credentials;
use crate::run::equipment::{Equipment, ImageFolder, Work, equip};
use crate::run::error::RunError;
use crate::run::projection::Projection;
use crate::run::summary::Summary;
use crate::run::{money, place, presence, replacing, restoring};
use crate::store::error::LedgerError;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::typed::Typed;
use crate::store::{JobScope, JobSet, RunWriter};

/// Failed jobs listed in a summary, at most.
const FAILURES_MAX: usize = 10;

/// Start of a session, by its clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionClock {
    clock: Clock,
    began: Moment,
}

/// Session whose ledger is open.
pub(super) struct Session {
    out: PathBuf,
    /// Ledger of the run. No other process writes to it.
    pub(super) run: Box<dyn RunWriter>,
    /// Provider of the run's tasks.
    pub(super) provider: ProviderConfig,
    /// Place of the images in object storage; `None` for the output folder.
    pub(super) place: Option<StorageUrl>,
    consent: Consent,
    time: SessionClock,
    /// Incidents of the sessions before this one.
    incidents: RunStats,
    /// Jobs that an interrupted redo left without an image, as they failed. They have the image before again.
    restored: Vec<JobRecord>,
}

type SessionEnd = Result<Option<StopReason>, RunError>;

/// Returns whether a stop is for a limit on failures, cost or time.
const fn is_limit(stop: &StopReason) -> bool {
    matches!(stop, StopReason::Failures(_) | StopReason::Cost(_) | StopReason::Duration(_))
}

impl SessionClock {
    /// Starts the session clock.
    pub(super) fn start() -> Self {
        let clock = Clock::system();
        Self { clock, began: clock.now() }
    }

    /// Returns the time of the start.
    pub(super) fn began(&self) -> Timestamp {
        self.began.wall()
    }
}

/// Completes what a redo of an earlier session left undone. Returns the jobs that have the image before again, as they failed.
fn settle_redo(out: &Path, run: &mut dyn RunWriter, time: SessionClock) -> Result<Vec<JobRecord>, RunError> {
    replacing::settle(out, run)?;
    restoring::settle(out, run, time.began())
}

impl Session {
    /// Opens the ledger in the folder `out` for this provider. Creates it if it is missing.
    pub(super) fn create(
        out: PathBuf,
        provider: ProviderConfig,
        consent: Consent,
        time: SessionClock,
    ) -> Result<Self, RunError> {
        let mut run = consent.open(&out, Some(&provider.identity()?.to_string()), time.began())?;
        let restored = settle_redo(&out, &mut *run, time)?;
        run.keep_columns()?;
        let (incidents, place) = (run.incidents()?, run.images()?);
        Ok(Self { out, run, provider, place, consent, time, incidents, restored })
    }

    /// Opens the ledger in the folder `out` for the provider that it names.
    pub(super) fn resume(out: PathBuf, access: &Credentials, time: SessionClock) -> Result<Self, RunError> {
        let mut run = access.consent.open(&out, None, time.began())?;
        let restored = settle_redo(&out, &mut *run, time)?;
        let provider = access.provider_of(&*run)?;
        let (incidents, place) = (run.incidents()?, run.images()?);
        Ok(Self { out, run, provider, place, consent: access.consent, time, incidents, restored })
    }

    /// Determines the price of an image, records it for later sessions, and checks that the limit on the cost can be kept.
    pub(super) fn settle_price(&mut self, limits: Limits) -> Result<Limits, RunError> {
        // The models of another provider are not in the list of this one.
        let is_alone = self.run.row_providers()?.is_empty();
        let listed = self.provider.spec().listed_price().map(|price| if is_alone { price } else { price.unit_only() });
        let limits = Limits { price: self.run.settle_price(limits.price, listed)?, ..limits };
        money::check_jobs(&limits, &*self.run)??;
        Ok(limits)
    }

    /// Records the description of the provider, and returns the fields that have changed since the last session.
    pub(super) fn settle_description(&mut self) -> Result<Vec<String>, LedgerError> {
        // Ledgers of the default provider have no description: it is a part of the program.
        match self.provider.spec().description.filter(|api| api.name != default_provider::NAME) {
            Some(api) => self.run.settle_description(&api.name, &api.hashes),
            None => Ok(Vec::new()),
        }
    }

    /// Determines whether the token is of the account that owns the run's tasks. Needs a token only if there is something to do.
    pub(super) fn settle_account(&mut self, n_to_do: u64, limits: Limits) -> Result<Limits, LedgerError> {
        let is_same_account = n_to_do == 0 || self.consent.is_same_account(&mut *self.run, &self.provider)?;
        Ok(Limits { is_same_account, ..limits })
    }

    /// Selects the unfinished jobs of a choice, and those that were accepted before. Returns the chosen jobs, or `None` for all of
    /// `counts`; and the number of jobs to work on.
    pub(super) fn choose(
        &mut self,
        choice: &JobChoice,
        counts: &StatusCounts,
    ) -> Result<(Option<Chosen>, u64), RunError> {
        if choice.is_all() {
            return Ok((None, counts.n_unfinished()));
        }
        let mut chooser = choice.among(&self.run.columns()?)?;
        self.run.for_each_job(JobSet::InManifest, |JobRecord { job, state }| {
            chooser.see(JobView::from(&*job), StatusCounts::of(&state));
            Ok::<_, LedgerError>(())
        })?;
        let chosen = chooser.chosen()?;
        let n_selected = self.run.select_if(&mut |JobRecord { job, state }| match &state.phase {
            Phase::Pending | Phase::Submitting => chooser.has(JobView::from(&**job)),
            // Their images are paid for.
            Phase::Running(_) | Phase::Downloading(_) => true,
            Phase::Finished(_) => false,
        })?;
        Ok((Some(chosen), n_selected))
    }

    /// Drives the open jobs, if there are any, writes the results, and returns the summary.
    pub(super) async fn drive(
        mut self,
        work: Work,
        reporters: &mut Reporters,
        progress: &mut dyn Progress,
        stops: &mut StopReceiver,
    ) -> Result<Summary, RunError> {
        let results = Projection::new(&self.out).guarding(work.formula_guard);
        results.settle(&mut *self.run)?;
        let (out, SessionClock { clock, began }, incidents_before) = (self.out.clone(), self.time, self.incidents);
        let (n_to_do, counts_before, price) = (work.n_to_do, work.counts, work.limits.price.clone());
        let (cost_max, mut restored_before) = (work.limits.cost_max.clone(), std::mem::take(&mut self.restored));
        let is_holding = work.limits.in_doubt == InDoubtPolicy::Hold;
        let (mut run, ended) = match n_to_do {
            0 => (self.run, Ok(None)),
            // On the heap, so that the futures of callers stay small.
            _ => Box::pin(self.drive_jobs(work, &results, reporters, stops)).await?,
        };
        let restored = restoring::settle(&out, &mut *run, clock.now().wall());
        // Results show what is recorded, whatever ended the run. The reason for the end is reported first.
        let refreshed = results.refresh(&mut *run, progress);
        let stop = ended?;
        restored_before.extend(restored?);
        let now = clock.now();
        let (counts, incidents) = (run.counts()?, run.incidents()?);
        // A limit that is reached by the last jobs leaves nothing undone, and stops nothing.
        let stop = stop.filter(|stop| counts.n_unfinished() > 0 || !is_limit(stop));
        let other_sizes = refreshed?;
        if stop.is_none() {
            replacing::close_redo(&mut *run)?;
        }
        // Jobs held for the user are not left for the next part.
        let n_held = if is_holding { incidents.n_doubts_held.min(counts.n_in_doubt) } else { 0 };
        let n_outstanding = match stop {
            Some(StopReason::Limit(_)) => counts.n_unfinished().saturating_sub(n_held),
            _ => 0,
        };
        // Reads every event, which is not worth it if nothing was to do.
        let cost = price.as_ref().filter(|_| n_to_do > 0).map(|price| run.total_cost(price)).transpose()?.flatten();
        let incidents = incidents - incidents_before;
        // A submission leaves only under the limit, so that what is beyond it was said afterwards.
        let excess = cost.zip(cost_max).map(|(cost, max)| cost.most().without(max.amount));
        let excess = excess.filter(|excess| incidents.n_submits > 0 && *excess > Amount::ZERO);
        Ok(Summary {
            counts,
            counts_before,
            incidents,
            price,
            cost,
            excess,
            stop,
            n_outstanding,
            n_not_chosen: 0,
            failures: run.failures(FAILURES_MAX)?,
            restored: restored_before,
            other_sizes,
            present: presence::look(&*place::saved::<RunError>(&out, &*run)?, &*run)?,
            results: results.path().to_owned(),
            ended_at: now.wall(),
            elapsed: now - began,
        })
    }

    async fn drive_jobs(
        self,
        work: Work,
        results: &Projection,
        reporters: &mut Reporters,
        stops: &mut StopReceiver,
    ) -> Result<(Box<dyn RunWriter>, SessionEnd), RunError> {
        let Self { out, mut run, provider, place, time: SessionClock { clock, began }, .. } = self;
        let scope = work.scope;
        let paid = work.limits.price.as_ref().map(|price| run.total_cost(price)).transpose()?.flatten();
        let folder = ImageFolder { out: &out, place: place.as_ref(), partials: None };
        let Equipment { fleet, context, store } = equip(&folder, &mut *run, &provider, work, paid, (&clock, began))?;
        place::settle(&mut *run, place.as_ref())?;
        let n_jobs = run.counts()?.n_jobs();
        let mut ledger = run.start(scope)?;
        let ended = select! {
            ended = driver::drive(fleet, &mut *ledger, reporters, &context, &clock, stops) => ended.map_err(RunError::from),
            never = results.keep_fresh(n_jobs) => match never {},
        };
        if scope == JobScope::Unfinished && matches!(ended, Ok(None)) {
            // Partial downloads are removed: no job is left that could resume one.
            store.remove_partials();
        }
        Ok((ledger.close()?, ended))
    }
}
