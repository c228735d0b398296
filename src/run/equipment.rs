//! What drives the jobs of a session: engines with their limits, clients of the providers, and the store of the images.

use std::path::Path;
use std::sync::Arc;

use crate::driver;
use crate::driver::clock::Clock;
use crate::driver::context::DriverContext;
use crate::driver::pictures::PictureFiles;
use crate::engine::Engine;
use crate::engine::fleet::Fleet;
use crate::images::validate::verdict::CheckLimits;
use crate::images::{ImageStore, adapters};
use crate::model::cost::Cost;
use crate::model::counts::StatusCounts;
use crate::model::limits::Limits;
use crate::model::outcome::Outcome;
use crate::model::output_options::OutputOptions;
use crate::model::phase::{JobRecord, Phase};
use crate::model::storage_url::StorageUrl;
use crate::model::time::Moment;
use crate::provider::config::ProviderConfig;
use crate::provider::{Provider, ProviderTraits};
use crate::run::error::RunError;
use crate::run::row_providers::{self, NamedByRows, RowProviderSet};
use crate::store::error::LedgerError;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::{JobScope, RunWriter};

/// Maximum number of submissions under way whose answers carry images.
const SUBMITS_MAX: usize = 1024;

/// Folder below OUT for images that come inside answers, until they are saved.
pub(super) const SPOOL: &str = "spool";

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

/// Engines and services of a session.
pub(super) struct Equipment {
    pub(super) fleet: Fleet,
    pub(super) context: DriverContext,
    pub(super) store: Arc<dyn ImageStore>,
}

/// Folder of a session, and the place of its images.
pub(super) struct ImageFolder<'a> {
    /// Folder of the images, or of what is not complete yet.
    pub(super) out: &'a Path,
    /// Place of the images in object storage; `None` for the folder.
    pub(super) place: Option<&'a StorageUrl>,
    /// Name of the folder of incomplete images, if other processes save images here as well.
    pub(super) partials: Option<&'a str>,
}

/// Returns the limits with what this provider is known for.
fn limits_of(provider: &dyn Provider, limits: Limits) -> Limits {
    let ProviderTraits { answers_with_images, settles_after, repeats } = provider.traits();
    // A submission is then under way for as long as its image takes.
    let submits_max = if answers_with_images { SUBMITS_MAX.max(limits.submits_max) } else { limits.submits_max };
    Limits { submits_max, repeats, settles_after, ..limits }
}

/// Connects the providers, opens the store of the images, and creates the engines. `paid` is the cost of earlier sessions, if a price is known.
pub(super) fn equip(
    folder: &ImageFolder<'_>,
    run: &mut dyn RunWriter,
    provider: &ProviderConfig,
    work: Work,
    paid: Option<Cost>,
    (clock, began): (&Clock, Moment),
) -> Result<Equipment, RunError> {
    let poll_batch_max = provider.spec().poll_batch_max;
    let (spool, bytes_max) = (folder.out.join(SPOOL), work.image_limits.bytes_max);
    // Every token is checked before anything is sent.
    let RowProviderSet { others, own_texts } = RowProviderSet::find(provider, run)?;
    let provider = provider.clone().with(|settings| settings.spool = Some(spool.clone()));
    let client = provider.connect(bytes_max)?;
    let others = row_providers::connect(others, &spool, bytes_max)?;
    for client in std::iter::once(&client).chain(others.iter().map(|(_, client)| client)) {
        driver::release_saved(&**client, |task| {
            let owners = run.find(&task.0)?;
            let is_saved = |record: &JobRecord| matches!(record.state.phase, Phase::Finished(Outcome::Succeeded(_)));
            Ok::<_, LedgerError>(!owners.is_empty() && owners.iter().all(is_saved))
        })?;
    }
    let patience = work.limits.outage_max;
    let store =
        adapters::open(folder.out, folder.place, folder.partials, patience, work.image_limits, work.style.postprocess)?;
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
    Ok(Equipment { fleet, context, store })
}
