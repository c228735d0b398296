//! Failed jobs once more, and nothing else: no manifest is read, and what is pending stays so.

use std::path::PathBuf;
use std::time::Duration;

use crate::driver::Stops;
use crate::driver::clock::Clock;
use crate::driver::images::check::CheckLimits;
use crate::engine::turn::Stop;
use crate::ledger::sqlite::Wanted;
use crate::model::counts::Counts;
use crate::model::limits::Limits;
use crate::model::progress::Progress;
use crate::provider::registry::{Choice, ConnectError};
use crate::report::Reporters;
use crate::run::consent::Consent;
use crate::run::{Before, RunError, Scope, Summary, Work, money, style};

/// Everything that a retry needs to know. Where the run's tasks are, its ledger knows.
#[derive(Clone, Debug)]
pub struct Retry {
    /// The output folder of the run.
    pub out: PathBuf,
    /// The reasons of the failures that are tried again, in the words of [`FaultKind::code`](crate::model::outcome::FaultKind::code).
    pub codes: Vec<String>,
    /// Whether they are submitted anew even where a task may still give the image that is paid for.
    pub is_anew: bool,
    /// How the provider is reached.
    pub access: Access,
    /// The limits that the engine keeps.
    pub limits: Limits,
    /// The largest image that is taken.
    pub image_limits: CheckLimits,
}

/// How the provider that a ledger names is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where the token is, if not in the environment.
    pub token_file: Option<PathBuf>,
    /// Where the user says that the API is.
    pub base_url: Option<String>,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// What the user agrees to.
    pub consent: Consent,
}

impl Access {
    /// Whether there is a token, and it may go to this provider, which a ledger names. A ledger may be anybody's, and does not decide
    /// alone where the token goes.
    pub(super) fn check(&self, provider: &Choice) -> Result<(), ConnectError> {
        provider.check_place(self.base_url.as_deref())?;
        provider.check()
    }
}

/// Tries the failed jobs of a run again. Those whose task may still give the image that is paid for are asked for first.
///
/// `face` makes the reporters once it is known how many jobs there are to do, how all stand, and whether the token is of another account
/// than the one that the batch was begun with. That number comes back with what it came to.
pub async fn retry(
    options: Retry,
    face: impl FnOnce(u64, &Counts, bool) -> Reporters,
    progress: &mut dyn Progress,
    stops: &mut Stops,
) -> Result<(u64, Summary), RunError> {
    let Retry { out, codes, is_anew, access, limits, image_limits } = options;
    let clock = Clock::system();
    let began = clock.now();
    let mut file = access.consent.open(&out, None, began.wall())?;
    let provider = Choice::named(&file.provider()?, access.token_file.clone(), access.request_timeout)?;
    let incidents = file.incidents()?;
    let limits = Limits { price: file.settle_price(limits.price)?, ..limits };
    money::check_jobs(&limits, &file)??;
    let wanted = Wanted::Failed { codes, is_anew };
    let n_wanted = file.choose(&wanted)?;
    // What is not tried now is not reopened either.
    let n_to_do = limits.jobs_max.map_or(Ok(n_wanted), |max| file.narrow(max))?;
    let limits = Limits { jobs_max: None, ..limits };
    if n_to_do > 0 {
        // Without a token nothing is reopened: it would only be pending, and `run` would take it up.
        access.check(&provider)?;
        file.reopen_chosen(began.wall(), &wanted)?;
    }
    let counts = file.counts()?;
    let is_same_account = n_to_do == 0 || access.consent.is_same_account(&file, &provider)?;
    let limits = Limits { is_same_account, ..limits };
    let mut reporters = if n_to_do > 0 { face(n_to_do, &counts, !is_same_account) } else { Reporters::default() };
    let style = style::known(&file)?;
    let before = Before { began, n_to_do, counts, incidents };
    let work = Work { out: &out, provider, limits, image_limits, style, scope: Scope::Chosen, formula_guard: None };
    let mut summary = work.go_on(file, &before, &mut reporters, progress, &clock, stops).await?;
    if n_wanted > n_to_do && summary.stop.is_none() {
        summary.stop = Some(Stop::Limit(n_to_do));
        summary.n_outstanding = n_wanted - n_to_do;
    }
    Ok((n_to_do, summary))
}
