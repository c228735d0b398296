//! Retry of failed jobs only: reads no manifest, and leaves pending jobs pending.

use std::path::PathBuf;
use std::time::Duration;

use crate::driver::StopReceiver;
use crate::driver::clock::Clock;
use crate::engine::turn::StopReason;
use crate::images::validate::verdict::CheckLimits;
use crate::model::counts::StatusCounts;
use crate::model::limits::Limits;
use crate::model::progress::Progress;
use crate::model::provider_identity::ProviderIdentity;
use crate::provider::config::ProviderConfig;
use crate::provider::registry;
use crate::provider::spec::{ConnectError, ProviderSettings, TokenSource};
use crate::report::Reporters;
use crate::run::consent::Consent;
use crate::run::{Baseline, RunError, Session, Summary, money, outputs, style};
use crate::store::JobScope;
use crate::store::selection::RetrySelection;
use crate::store::settings::{ReadSettings, WriteSettings};

/// Options of a retry. The ledger knows the provider of the run's tasks.
#[derive(Clone, Debug)]
pub struct RetryOptions {
    /// Output folder of the run.
    pub out: PathBuf,
    /// Reasons of the failures to retry, as codes of [`FaultKind::code`](crate::model::outcome::FaultKind::code).
    pub codes: Vec<String>,
    /// Forces a new submission even if a task may still give the image that is paid for.
    pub is_anew: bool,
    /// Access to the provider.
    pub access: Credentials,
    /// Limits that the engine keeps.
    pub limits: Limits,
    /// Largest image that is accepted.
    pub image_limits: CheckLimits,
}

/// Access to the provider that a ledger names.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// File with the token; `None` reads the token from the environment.
    pub token_file: Option<PathBuf>,
    /// Address of the API according to the user; `None` if not given.
    pub base_url: Option<String>,
    /// Timeout of one request; `None` for the provider's default.
    pub request_timeout: Option<Duration>,
    /// Consent given by the user.
    pub consent: Consent,
}

impl Credentials {
    /// Returns the settings of the provider, apart from its base URL, which the ledger names.
    pub(super) fn settings(&self) -> ProviderSettings {
        let token = self.token_file.clone().map_or(TokenSource::Environment, TokenSource::File);
        ProviderSettings { token, request_timeout: self.request_timeout, ..ProviderSettings::default() }
    }

    /// Checks that a token exists and may be sent to this provider, which a ledger names. A ledger may come from any source,
    /// and does not decide alone where the token is sent.
    pub(super) fn check(&self, provider: &ProviderConfig) -> Result<(), ConnectError> {
        provider.check_place(self.base_url.as_deref())?;
        provider.check()
    }
}

/// Retries the failed jobs of a run. A job whose task may still give the image that is paid for polls that task first.
///
/// The closure `face` creates the reporters. It receives the number of jobs to do, all jobs by status, and whether the account
/// has changed. It has changed if the token is of another account than the batch began with. Returns the number of jobs with
/// the summary.
pub async fn retry(
    options: RetryOptions,
    face: impl FnOnce(u64, &StatusCounts, bool) -> Reporters,
    progress: &mut dyn Progress,
    stops: &mut StopReceiver,
) -> Result<(u64, Summary), RunError> {
    let RetryOptions { out, codes, is_anew, access, limits, image_limits } = options;
    let clock = Clock::system();
    let began = clock.now();
    outputs::check_further(&out, None)?;
    let mut run = access.consent.open(&out, None, began.wall())?;
    let provider = registry::recorded(&ProviderIdentity::parse(&run.provider()?), access.settings())?;
    let incidents = run.incidents()?;
    let limits = Limits { price: run.settle_price(limits.price)?, ..limits };
    money::check_jobs(&limits, &*run)??;
    let selection = RetrySelection::Failed { codes, force_resubmit: is_anew };
    let n_wanted = run.select(&selection)?;
    // Jobs that are not retried now are not reopened either.
    let n_to_do = limits.jobs_max.map_or(Ok(n_wanted), |max| run.narrow(max))?;
    let limits = Limits { jobs_max: None, ..limits };
    if n_to_do > 0 {
        // Jobs are reopened only with a token: otherwise they would become pending, and `run` would submit them.
        access.check(&provider)?;
        run.reopen_selected(began.wall(), &selection)?;
    }
    let counts = run.counts()?;
    let is_same_account = n_to_do == 0 || access.consent.is_same_account(&mut *run, &provider)?;
    let limits = Limits { is_same_account, ..limits };
    let mut reporters = if n_to_do > 0 { face(n_to_do, &counts, !is_same_account) } else { Reporters::default() };
    let style = style::known(&*run)?;
    let before = Baseline { began, n_to_do, counts, incidents };
    let work =
        Session { out: &out, provider, limits, image_limits, style, scope: JobScope::Selected, formula_guard: None };
    let mut summary = work.go_on(run, &before, &mut reporters, progress, &clock, stops).await?;
    if n_wanted > n_to_do && summary.stop.is_none() {
        summary.stop = Some(StopReason::Limit(n_to_do));
        summary.n_outstanding = n_wanted - n_to_do;
    }
    Ok((n_to_do, summary))
}
