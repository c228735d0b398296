//! Worker of a shared run: joins it, drives the jobs of the blocks that it claims, and leaves.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::driver;
use crate::driver::clock::Clock;
use crate::driver::stop::StopReceiver;
use crate::engine::turn::StopReason;
use crate::images::validate::verdict::CheckLimits;
use crate::model::amount::Amount;
use crate::model::cost::CostLimit;
use crate::model::counts::StatusCounts;
use crate::model::limits::Limits;
use crate::model::output_options::OutputOptions;
use crate::model::shared_rate::SharedRate;
use crate::model::storage_url::StorageUrl;
use crate::model::time::Moment;
use crate::provider::config::ProviderConfig;
use crate::report::Reporters;
use crate::run::credentials::Credentials;
use crate::run::equipment::{Equipment, ImageFolder, Work, equip};
use crate::run::error::RunError;
use crate::run::other_sizes::OtherSizes;
use crate::run::presence::PresenceCheck;
use crate::run::shared::common_limits::CommonLimits;
use crate::run::shared::error::SharedRunError;
use crate::run::shared::folder;
use crate::run::shared::patience::{PATIENCE_FIRST, patiently};
use crate::run::shared::start_limit::StartLimit;
use crate::run::summary::Summary;
use crate::run::{consent, style};
use crate::store::error::LedgerError;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::run::{PostgresRun, SharedStatus};
use crate::store::setting::Setting;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::shared::backend::{WorkerId, WorkerProfile};
use crate::store::shared::ledger::SharedLedger;
use crate::store::shared::options::SharedOptions;
use crate::store::shared::recent_testimonies::RecentTestimonies;
use crate::store::spec::OpenOptions;
use crate::store::{JobScope, RunWriter, stores};

/// Options of a worker.
#[derive(Clone, Debug)]
pub struct WorkOptions {
    /// Address of the shared run.
    pub address: SharedAddress,
    /// Folder of the images, which all workers share; `None` if the images are in object storage.
    pub out: Option<PathBuf>,
    /// Address of the images in object storage; `None` keeps the place of the run so far, which is the folder at first.
    pub images: Option<StorageUrl>,
    /// Access to the provider.
    pub access: Credentials,
    /// Limits that the engine of this worker keeps. A rate, a fixed number of tasks in flight and a limit on the cost are those of all workers
    /// together, and replace those that the run has.
    pub limits: Limits,
    /// Largest image that is accepted.
    pub image_limits: CheckLimits,
    /// Silence after which a worker is taken over; the same for all workers of a run.
    pub silence_max: Duration,
}

/// Facts that are known before the first request of a worker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkStart {
    /// Jobs of the whole run by status.
    pub counts: StatusCounts,
    /// Number of the other workers that have not ended, as far as the server knows.
    pub n_others: usize,
    /// Warning about the server; `None` if there is none.
    pub warning: Option<String>,
    /// Says whether the token is of another account than the one that the run began with.
    pub is_other_account: bool,
    /// Rate that all workers keep together; `None` for no such rate.
    pub rate: Option<StartLimit<SharedRate>>,
    /// Maximum number of tasks in flight of all workers together; `None` for no such number.
    pub places: Option<StartLimit<NonZeroU32>>,
    /// Limit on the cost of the run; `None` for no such limit.
    pub cost: Option<StartLimit<CostLimit>>,
}

/// Works on a shared run until all its jobs have ended, or the worker is stopped. A worker that was shut out joins again as a new one.
///
/// The closure `make_reporters` creates the reporters, once for each time that the worker joins.
pub async fn work(
    options: WorkOptions,
    mut make_reporters: impl FnMut(&WorkStart) -> Reporters,
    stops: &mut StopReceiver,
) -> Result<Summary, SharedRunError> {
    let clock = Clock::system();
    let began = clock.now();
    let mut desk = Workplace::prepare(&options, clock, began).await?;
    let patience = options.limits.outage_max;
    let stop = loop {
        let status = patiently(patience, || desk.server.status()).await?;
        if status.counts.n_unfinished() == 0 {
            break None;
        }
        let mut reporters = make_reporters(&WorkStart {
            counts: status.counts,
            n_others: status.workers.len(),
            warning: desk.warning.clone(),
            is_other_account: !desk.limits.is_same_account,
            rate: desk.common.rate.clone(),
            places: desk.common.places.clone(),
            cost: desk.common.cost.clone(),
        });
        match desk.join(&status, &mut reporters, stops).await {
            // Others have its jobs. It may join again, as another worker.
            Err(SharedRunError::Run(RunError::Ledger(LedgerError::Fenced { .. }))) => (),
            ended => break ended?,
        }
    };
    let last = patiently(patience, || desk.server.status()).await?;
    let now = clock.now();
    // A limit that is reached by the last jobs leaves nothing undone, and stops nothing.
    let stop = stop.filter(|stop| last.counts.n_unfinished() > 0 || !matches!(stop, StopReason::Cost(_)));
    Ok(summary(&desk.first, &last, &desk.limits, stop, (now.wall(), now - began)))
}

/// What a worker needs each time that it joins.
struct Workplace<'a> {
    options: &'a WorkOptions,
    clock: Clock,
    began: Moment,
    server: Arc<PostgresRun>,
    /// State of the run before the worker joined.
    first: SharedStatus,
    /// Folder of this process: the settings, and images that are not complete.
    scratch: TempDir,
    /// Run without jobs that has the settings of the shared run, for what reads settings.
    settings: Box<dyn RunWriter>,
    place: Option<StorageUrl>,
    provider: ProviderConfig,
    limits: Limits,
    common: CommonLimits,
    testimonies: Arc<RecentTestimonies>,
    style: OutputOptions,
    /// Warning about the server; `None` if there is none.
    warning: Option<String>,
}

impl<'a> Workplace<'a> {
    /// Reads the run, and checks that this worker can do justice to it. Nothing is sent to the provider.
    async fn prepare(options: &'a WorkOptions, clock: Clock, began: Moment) -> Result<Self, SharedRunError> {
        let server = Arc::new(PostgresRun::new(options.address.clone())?);
        let first = patiently(PATIENCE_FIRST, || server.status()).await?;
        if first.is_merged {
            return Err(server.merged().into());
        }
        if first.is_older {
            return Err(server.older().into());
        }
        let io = |source| SharedRunError::Io { path: std::env::temp_dir(), source };
        let scratch = tempfile::Builder::new().prefix("promptbatch-").tempdir().map_err(io)?;
        let mut settings = settings_in(scratch.path(), &first)?;
        let place = place_of(&server, options, &first).await?;
        if place.is_none() {
            let Some(out) = &options.out else {
                return Err(SharedRunError::Other {
                    place: server.address().to_string(),
                    what: "no place for the images was given".to_owned(),
                    remedy: "give a folder that all workers share, with -o, or object storage with --images",
                });
            };
            let own = folder::prepare(out, &first.id, first.settings.get(folder::IMAGES_KEY).map(String::as_str))?;
            let known = patiently(PATIENCE_FIRST, || server.settle_setting(folder::IMAGES_KEY, &own)).await?;
            folder::check(out, &own, &known)?;
        }
        let provider = options.access.provider_of(&*settings)?;
        options.access.check(&provider).map_err(RunError::from)?;
        let is_same_account = account(&server, &options.access, &mut *settings, &provider).await?;
        let listed = provider.spec().listed_price();
        let common = CommonLimits::settle((&server, &first), &options.limits, &mut *settings, listed).await?;
        let limits = common.of_worker(&options.limits, is_same_account);
        let style = style::known(&*settings)?;
        let warning = patiently(PATIENCE_FIRST, || server.warning()).await?;
        Ok(Self {
            options,
            clock,
            began,
            server,
            first,
            scratch,
            settings,
            place,
            provider,
            limits,
            common,
            testimonies: Arc::default(),
            style,
            warning,
        })
    }

    /// Joins as a new worker, and drives jobs until all have ended, or the worker is stopped or shut out.
    async fn join(
        &mut self,
        status: &SharedStatus,
        reporters: &mut Reporters,
        stops: &mut StopReceiver,
    ) -> Result<Option<StopReason>, SharedRunError> {
        let clock = self.clock;
        let worker = WorkerId(i64::try_from(fastrand::u64(1..1 << 62)).expect("it has 62 bits"));
        let partials = folder::partials(worker.0);
        let out = self.options.out.as_deref().filter(|_| self.place.is_none()).unwrap_or(self.scratch.path());
        let folder = ImageFolder { out, place: self.place.as_ref(), partials: Some(&partials) };
        let work = Work {
            n_to_do: status.counts.n_unfinished(),
            counts: status.counts,
            limits: self.limits.clone(),
            image_limits: self.options.image_limits,
            style: self.style.clone(),
            scope: JobScope::Unfinished,
            formula_guard: None,
        };
        let equipped = equip(&folder, &mut *self.settings, &self.provider, work, None, (&clock, self.began))?;
        let Equipment { fleet, context, store } = equipped;
        check_spool(&*context.provider, self.options)?;
        let usual = SharedOptions::new(self.options.address.to_string().into());
        let options = SharedOptions { ttl: self.options.silence_max, price: self.common.price.clone(), ..usual };
        let read_clock = Arc::new(move || clock.now());
        let (server, testimonies) = (Arc::clone(&self.server), Arc::clone(&self.testimonies));
        let joined = SharedLedger::join(server, (worker, profile()), testimonies, options, read_clock);
        let mut ledger = joined.await?;
        let ended = driver::drive(fleet, &mut ledger, reporters, &context, &clock, stops).await;
        // No other worker can resume what this one has begun to download.
        store.remove_partials();
        match ended {
            Ok(stop) => {
                ledger.leave().await?;
                Ok(stop)
            }
            Err(error) => {
                // The first error is the important one.
                let _ = ledger.leave().await;
                Err(RunError::from(error).into())
            }
        }
    }
}

/// Creates a run without jobs in a folder of this process: it has the settings of the shared run, for what reads settings.
fn settings_in(scratch: &Path, status: &SharedStatus) -> Result<Box<dyn RunWriter>, LedgerError> {
    let provider = status.settings.get(Setting::Provider.key()).cloned().unwrap_or_default();
    let out = scratch.join("settings");
    let mut run = stores::open(&out, OpenOptions { provider: Some(&provider), accepts_older: None })?;
    for setting in Setting::ALL.into_iter().filter(|setting| setting.is_shared()) {
        if let Some(value) = status.settings.get(setting.key()) {
            run.set_setting(setting, value)?;
        }
    }
    Ok(run)
}

/// Determines the place of the images. The first worker decides it for all.
async fn place_of(
    server: &PostgresRun,
    options: &WorkOptions,
    status: &SharedStatus,
) -> Result<Option<StorageUrl>, SharedRunError> {
    let wanted = options.images.as_ref().map(ToString::to_string);
    let known = status.settings.get(Setting::Images.key()).cloned();
    let known = match (known, &wanted) {
        (Some(known), _) => known,
        // No worker has decided it yet, and this one cannot.
        (None, None) if options.out.is_none() => return Ok(None),
        (None, wanted) => {
            let value = wanted.clone().unwrap_or_default();
            patiently(PATIENCE_FIRST, || server.settle_setting(Setting::Images.key(), &value)).await?
        }
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != known) {
        let folder = status.settings.get(folder::IMAGES_KEY).map(|record| folder::read_record(record).1.to_owned());
        let was = if known.is_empty() { folder.unwrap_or("the folder of the first worker".to_owned()) } else { known };
        let out = options.address.to_string().into();
        return Err(RunError::OtherImages { out, was, wanted }.into());
    }
    if known.is_empty() {
        return Ok(None);
    }
    let damaged = |_| LedgerError::Damaged {
        path: options.address.to_string().into(),
        what: "its address of the images is unreadable".to_owned(),
    };
    Ok(Some(known.parse().map_err(damaged)?))
}

/// Determines whether the token is of the account of the run. That of the first worker becomes the run's.
async fn account(
    server: &PostgresRun,
    access: &Credentials,
    settings: &mut dyn RunWriter,
    provider: &ProviderConfig,
) -> Result<bool, LedgerError> {
    let Some(own) = provider.account(&settings.account_salt()?) else { return Ok(true) };
    // Of several accounts, none is that of the run: a task of another one must not count as lost.
    if !consent::is_of_all(&settings.part_accounts()?, |salt| provider.account(salt)) {
        return Ok(access.consent.is_account_new);
    }
    let known = patiently(PATIENCE_FIRST, || server.settle_setting(Setting::Account.key(), &own)).await?;
    Ok(known == own || access.consent.is_account_new)
}

/// Refuses a provider whose answers carry the images, if no folder is shared: an image that is paid for would be lost with its worker.
fn check_spool(client: &dyn crate::provider::Provider, options: &WorkOptions) -> Result<(), SharedRunError> {
    let is_kept = !client.traits().answers_with_images;
    if is_kept {
        return Ok(());
    }
    Err(SharedRunError::Other {
        place: options.address.to_string(),
        what: "its provider answers with images, which would be lost with the worker that got them".to_owned(),
        remedy: "run it on one machine, or in parts with --partition",
    })
}

fn profile() -> WorkerProfile {
    WorkerProfile { host: folder::host(), pid: process::id(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// Returns the summary of a worker. Its counts are those of the whole run.
fn summary(
    first: &SharedStatus,
    last: &SharedStatus,
    limits: &Limits,
    stop: Option<StopReason>,
    (ended_at, elapsed): (crate::model::time::Timestamp, Duration),
) -> Summary {
    let excess = last.cost.zip(last.cost_max).map(|(cost, max)| cost.most().without(max));
    Summary {
        counts: last.counts,
        counts_before: first.counts,
        incidents: last.incidents - first.incidents,
        price: limits.price.clone(),
        cost: last.cost,
        excess: excess.filter(|excess| *excess > Amount::ZERO),
        n_outstanding: if let Some(StopReason::Limit(_)) = stop { last.counts.n_unfinished() } else { 0 },
        stop,
        n_not_chosen: 0,
        failures: Vec::new(),
        restored: Vec::new(),
        other_sizes: OtherSizes::default(),
        present: PresenceCheck::default(),
        results: PathBuf::new(),
        ended_at,
        elapsed,
    }
}
