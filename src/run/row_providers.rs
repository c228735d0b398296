//! Providers that rows of the manifest name: found, checked before anything is sent, and connected, each with its own limits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::job::Job;
use crate::model::limits::Limits;
use crate::model::provider_identity::ProviderIdentity;
use crate::provider::Provider;
use crate::provider::config::ProviderConfig;
use crate::provider::http::token_source::TokenError;
use crate::provider::registry;
use crate::provider::spec::{ConnectError, ProviderSettings, ProviderSpec, TokenSource};
use crate::run::error::RunError;
use crate::store::error::LedgerError;
use crate::store::selection::RetrySelection;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::typed::Typed;
use crate::store::{JobSet, RowProvider, RunReader, RunWriter};

/// Provider with all ways in which rows name it.
pub(super) struct NamedByRows {
    pub(super) config: ProviderConfig,
    /// Names and paths, as they are written.
    pub(super) texts: Vec<String>,
}

/// Provider with its client.
pub(super) type ConnectedByRows = (NamedByRows, Arc<dyn Provider>);

/// Providers that rows name, and the ways in which they name the run's own one.
#[derive(Default)]
pub(super) struct RowProviderSet {
    pub(super) others: Vec<NamedByRows>,
    pub(super) own_texts: Vec<String>,
}

impl RowProviderSet {
    /// Finds the providers of the unfinished jobs, checks their tokens and addresses, and records where they are. Sends nothing.
    pub(super) fn find(own: &ProviderConfig, run: &mut dyn RunWriter) -> Result<Self, RunError> {
        let named = run.row_providers()?;
        let mut all = Self::default();
        if named.is_empty() {
            check_names(own)?;
            return Ok(all);
        }
        let folder = folder_of(run)?;
        let mut identities = run.row_identities()?;
        for RowProvider { text, first, has_begun } in named {
            let spec = registry::named_below(&text, &folder)
                .map_err(|source| RunError::RowProviderName { first, source: Box::new(source) })?;
            if spec.name == own.spec().name {
                all.own_texts.push(text);
                continue;
            }
            if let Some(known) = all.others.iter_mut().find(|known| known.config.spec().name == spec.name) {
                known.texts.push(text);
                continue;
            }
            let recorded = identities.get(spec.name).map(|recorded| ProviderIdentity::parse(recorded));
            let config = configured(spec, own.settings(), recorded.as_ref().filter(|_| has_begun), (&text, first))?;
            let of = |source| RunError::RowProvider { first, source: Box::new(source) };
            let identity = config.identity().map_err(of)?.to_string();
            if let Some(recorded) = recorded.map(|recorded| recorded.to_string())
                && has_begun
                && recorded != identity
            {
                return Err(RunError::OtherAddress { name: spec.name.to_owned(), given: identity, recorded });
            }
            identities.insert(spec.name.to_owned(), identity);
            all.others.push(NamedByRows { config, texts: vec![text] });
        }
        // Only now are all descriptions known that rows name.
        check_names(own)?;
        if run.row_identities()? != identities {
            run.set_row_identities(&identities)?;
        }
        Ok(all)
    }
}

/// Returns the provider of a job, after a check of its token and its address if its row names another one than the run's own.
pub(super) fn spec_for(
    own: &ProviderConfig,
    run: &dyn RunReader,
    job: &Job,
) -> Result<&'static ProviderSpec, RunError> {
    let Some(text) = &job.request.provider else { return Ok(own.spec()) };
    let first = job.index;
    let spec = registry::named_below(text, &folder_of(run)?)
        .map_err(|source| RunError::RowProviderName { first, source: Box::new(source) })?;
    if spec.name != own.spec().name {
        let recorded = run.row_identities()?.get(spec.name).map(|recorded| ProviderIdentity::parse(recorded));
        configured(spec, own.settings(), recorded.as_ref(), (text, first))?;
    }
    Ok(spec)
}

/// Checks the providers of these jobs as [`spec_for`] does, before the jobs are reopened.
pub(super) fn check_selected(
    own: &ProviderConfig,
    run: &dyn RunReader,
    selection: &RetrySelection,
) -> Result<(), RunError> {
    // Without an address on record, no row has named another provider.
    if run.row_identities()?.is_empty() {
        return Ok(());
    }
    let mut named = BTreeMap::new();
    run.for_each_job(JobSet::InManifest, |record| {
        if let Some(text) = record.job.request.provider.clone()
            && !named.contains_key(&text)
            && selection.includes(&record)
        {
            named.insert(text, record.job);
        }
        Ok::<_, LedgerError>(())
    })?;
    named.values().try_for_each(|job| spec_for(own, run, job).map(drop))
}

/// Checks that every provider that a flag names exists.
fn check_names(own: &ProviderConfig) -> Result<(), RunError> {
    let is_unknown = |name: &&String| **name != own.spec().name && registry::find(name).is_none();
    let unknown = own.settings().of_rows.keys().find(is_unknown);
    unknown.map_or(Ok(()), |name| Err(RunError::NoSuchProvider(name.clone())))
}

/// Returns the folder below which descriptions are found: that of the manifest.
fn folder_of(run: &dyn RunReader) -> Result<PathBuf, RunError> {
    let path = run.manifest_path()?.unwrap_or_default();
    Ok(Path::new(&path).parent().map(Path::to_owned).unwrap_or_default())
}

/// Returns the provider with its settings, after a check of its token. A recorded address counts if the user gives none.
fn configured(
    spec: &'static ProviderSpec,
    own: &ProviderSettings,
    recorded: Option<&ProviderIdentity>,
    (text, first): (&str, u64),
) -> Result<ProviderConfig, RunError> {
    let of = |source| RunError::RowProvider { first, source: Box::new(source) };
    let said = own.of_rows.get(spec.name).and_then(|settings| settings.base_url.clone());
    let base_url = said.clone().or_else(|| recorded.and_then(|recorded| recorded.base_url.clone()));
    let config = ProviderConfig::new(spec).with(|settings| {
        settings.base_url = base_url;
        let token_file = own.of_rows.get(spec.name).and_then(|settings| settings.token_file.clone());
        settings.token = token_file.map_or(TokenSource::Environment, TokenSource::File);
        settings.request_timeout = own.request_timeout;
    });
    config.verify_base_url(said.as_deref()).map_err(of)?;
    // A manifest may come from elsewhere, with a file that would send a token of this user to its own address.
    if registry::is_file(text)
        && said.is_none()
        && let Some(place) = config.token_address().map_err(of)?
    {
        return Err(RunError::UntrustedDescription { file: text.to_owned(), name: spec.name.to_owned(), place });
    }
    match config.check() {
        Ok(()) => Ok(config),
        Err(ConnectError::Token(TokenError::Missing { variable, page })) => {
            Err(RunError::RowToken { first, variable, page })
        }
        Err(error) => Err(of(error)),
    }
}

/// Returns the limits for a provider that rows name: its own, or those of the whole run.
pub(super) fn limits_for(config: &ProviderConfig, own: &ProviderSettings, limits: &Limits) -> Limits {
    let named = own.of_rows.get(config.spec().name);
    Limits {
        rate: named.and_then(|named| named.rate).or(limits.rate),
        concurrency: named.and_then(|named| named.concurrency).unwrap_or(limits.concurrency),
        poll_batch_max: config.spec().poll_batch_max,
        ..limits.clone()
    }
}

/// Returns the clients of these providers, in their order.
pub(super) fn connect(
    others: Vec<NamedByRows>,
    spool: &Path,
    image_bytes_max: u64,
) -> Result<Vec<ConnectedByRows>, RunError> {
    let connected = others.into_iter().map(|NamedByRows { config, texts }| {
        let config = config.with(|settings| settings.spool = Some(spool.to_owned()));
        let client = config.connect(image_bytes_max)?;
        Ok((NamedByRows { config, texts }, client))
    });
    connected.collect()
}
