//! Session of a run: opens the ledger, settles price and account, drives the open jobs, and writes the results.
//!
//! Runs, retries and repairs are sessions. They differ in the jobs that they select.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::select;

use crate::driver;
use crate::driver::clock::Clock;
use crate::driver::context::DriverContext;
use crate::driver::pictures::PictureFiles;
use crate::driver::stop::StopReceiver;
use crate::engine::Engine;
use crate::engine::fleet::Fleet;
use crate::engine::turn::StopReason;
use crate::images::adapters;
use crate::images::validate::verdict::CheckLimits;
use crate::model::amount::Amount;
use crate::model::choice::{Chosen, JobChoice, JobView};
use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::limits::{InDoubtPolicy, Limits};
use crate::model::outcome::Outcome;
use crate::model::output_options::OutputOptions;
use crate::model::phase::{JobRecord, Phase};
use crate::model::progress::Progress;
use crate::model::storage_url::StorageUrl;
use crate::model::time::{Moment, Timestamp};
use crate::provider::config::ProviderConfig;
use crate::provider::{Provider, ProviderTraits};
use crate::report::Reporters;
use crate::run::consent::Consent;
use crate::run::credentials::Credentials;
use crate::run::error::RunError;
use crate::run::projection::Projection;
use crate::run::row_providers::{NamedByRows, RowProviderSet};
use crate::run::summary::Summary;
use crate::run::{money, place, presence, replacing, restoring, row_providers};
use crate::store::error::LedgerError;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::typed::Typed;
use crate::store::{JobScope, JobSet, RunWriter};

/// Folder below OUT for images that come inside answers, until they are saved.
pub(super) const SPOOL: &str = "spool";

/// Maximum number of submissions under way whose answers carry images.
const SUBMITS_MAX: usize = 1024;

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

/// Work of a session.
pub(super) struct Work {
    /// Jobs to drive; nothing is driven if it is 0.
    pub(super) n_to_do: u64,
    /// Jobs by status, before the first request.
    pub(super) counts: StatusCounts,
    /// Limits that the engine keeps.
    pub(super) limits: Limits,
    /// Largest image that is accepted.
    pub(super) image_limits: CheckLimits,
    /// Output style of the images.
    pub(super) style: OutputOptions,
    /// Jobs that the driver loads.
    pub(super) scope: JobScope,
    /// Setting as in [`Options`](super::options::Options).
    pub(super) formula_guard: Option<bool>,
}

type SessionEnd = Result<Option<StopReason>, RunError>;

/// Returns the limits with what this provider is known for.
fn limits_of(provider: &dyn Provider, limits: Limits) -> Limits {
    let ProviderTraits { answers_with_images, settles_after, repeats } = provider.traits();
    // A submission is then under way for as long as its image takes.
    let submits_max = if answers_with_images { SUBMITS_MAX.max(limits.submits_max) } else { limits.submits_max };
    Limits { submits_max, repeats, settles_after, ..limits }
}

impl SessionClock {
    /// Begins now.
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
        match self.provider.spec().description {
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
        let other_sizes = refreshed?;
        if stop.is_none() {
            replacing::close_redo(&mut *run)?;
        }
        let now = clock.now();
        let (counts, incidents) = (run.counts()?, run.incidents()?);
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
        let poll_batch_max = provider.spec().poll_batch_max;
        let (spool, bytes_max) = (out.join(SPOOL), work.image_limits.bytes_max);
        // Every token is checked before anything is sent.
        let RowProviderSet { others, own_texts } = RowProviderSet::find(&provider, &mut *run)?;
        let provider = provider.with(|settings| settings.spool = Some(spool.clone()));
        let client = provider.connect(bytes_max)?;
        let others = row_providers::connect(others, &spool, bytes_max)?;
        for client in std::iter::once(&client).chain(others.iter().map(|(_, client)| client)) {
            driver::release_saved(&**client, |task| {
                let owners = run.find(&task.0)?;
                let is_saved =
                    |record: &JobRecord| matches!(record.state.phase, Phase::Finished(Outcome::Succeeded(_)));
                Ok::<_, LedgerError>(!owners.is_empty() && owners.iter().all(is_saved))
            })?;
        }
        let patience = work.limits.outage_max;
        let store = adapters::open(&out, place.as_ref(), patience, work.image_limits, work.style.postprocess)?;
        place::settle(&mut *run, place.as_ref())?;
        let pictures = Arc::new(PictureFiles::new(run.pictures()?));
        let naming = Arc::new(work.style.naming);
        let context = DriverContext {
            run: run.account_salt()?.into(),
            provider: client,
            others: others.iter().map(|(_, client)| Arc::clone(client)).collect(),
            store: store.clone(),
            pictures,
            naming,
        };
        let paid = work.limits.price.as_ref().map(|price| run.total_cost(price)).transpose()?.flatten();
        let history = run.history()?;
        let engine = |client: &dyn Provider, limits: Limits, paid| {
            let mut engine = Engine::new(limits_of(client, limits));
            engine.remember(clock.now(), &history);
            engine.remember_cost(paid);
            engine.count_duration_from(began);
            engine
        };
        let jobs_max = work.limits.jobs_max.filter(|_| !others.is_empty());
        let limits = Limits { jobs_max: work.limits.jobs_max.filter(|_| others.is_empty()), ..work.limits };
        let own_limits = row_providers::limits_for(&provider, provider.settings(), &limits);
        let own = engine(&*context.provider, Limits { poll_batch_max, ..own_limits }, paid);
        let mut fleet = Fleet::new(own, jobs_max, provider.spec().name.to_owned());
        for text in own_texts {
            fleet.add_own_name(text);
        }
        for (NamedByRows { config, texts }, client) in others {
            let limits = row_providers::limits_for(&config, provider.settings(), &limits);
            // What earlier processes paid is counted once.
            let engine = engine(&*client, limits, paid.map(|_| Cost::default()));
            fleet.add(config.spec().name.to_owned(), texts, engine);
        }
        let n_jobs = run.counts()?.n_jobs();
        let mut ledger = run.start(work.scope)?;
        let ended = select! {
            ended = driver::drive(fleet, &mut *ledger, reporters, &context, &clock, stops) => ended.map_err(RunError::from),
            never = results.keep_fresh(n_jobs) => match never {},
        };
        if work.scope == JobScope::Unfinished && matches!(ended, Ok(None)) {
            // Partial downloads are removed: no job is left that could resume one.
            store.remove_partials();
        }
        Ok((ledger.close()?, ended))
    }
}
