//! Retry of failed jobs only: reads no manifest, and leaves pending jobs pending.

use std::path::PathBuf;

use crate::driver::stop::StopReceiver;
use crate::engine::turn::StopReason;
use crate::images::validate::verdict::CheckLimits;
use crate::model::limits::Limits;
use crate::model::outcome::FaultKind;
use crate::model::progress::Progress;
use crate::report::Reporters;
use crate::run::credentials::Credentials;
use crate::run::equipment::Work;
use crate::run::error::RunError;
use crate::run::session::{Session, SessionClock};
use crate::run::summary::{SessionStart, Summary};
use crate::run::{outputs, row_providers, style};
use crate::store::error::LedgerError;
use crate::store::selection::RetrySelection;
use crate::store::{JobScope, RunWriter};

/// Options of a retry. The ledger knows the provider of the run's tasks.
#[derive(Clone, Debug)]
pub struct RetryOptions {
    /// Output folder of the run.
    pub out: PathBuf,
    /// Reasons of the failures to retry, as codes of [`FaultKind::code`](crate::model::outcome::FaultKind::code).
    pub codes: Vec<String>,
    /// Forces a new submission even if the existing task might still deliver the paid image.
    pub force_resubmit: bool,
    /// Access to the provider.
    pub access: Credentials,
    /// Limits that the engine keeps.
    pub limits: Limits,
    /// Largest image that is accepted.
    pub image_limits: CheckLimits,
}

/// Retries the failed jobs of a run. A job whose task may still give the image that is paid for polls that task first.
///
/// The closure `make_reporters` creates the reporters, if there is something to do. Returns the number of jobs to do with the
/// summary.
pub async fn retry(
    options: RetryOptions,
    make_reporters: impl FnOnce(&SessionStart) -> Reporters,
    progress: &mut dyn Progress,
    stops: &mut StopReceiver,
) -> Result<(u64, Summary), RunError> {
    let RetryOptions { out, codes, force_resubmit, access, limits, image_limits } = options;
    let time = SessionClock::start();
    outputs::check_further(&out, None)?;
    let mut session = Session::resume(out, &access, time)?;
    let limits = session.settle_price(limits)?;
    let n_doubtful = count_doubtful(&mut *session.run, &codes)?;
    let selection = RetrySelection::Failed { codes, force_resubmit };
    let n_wanted = session.run.select(&selection)?;
    // Jobs that are not retried now are not reopened either.
    let n_to_do = limits.jobs_max.map_or(Ok(n_wanted), |max| session.run.narrow(max))?;
    if n_to_do > 0 {
        // Jobs are reopened only with a token: otherwise they would become pending, and `run` would submit them.
        access.check(&session.provider)?;
        row_providers::check_selected(&session.provider, &*session.run, &selection)?;
        session.run.reopen_selected(time.began(), &selection)?;
    }
    let counts = session.run.counts()?;
    let limits = session.settle_account(n_to_do, Limits { jobs_max: None, ..limits })?;
    let start = SessionStart {
        n_to_do,
        n_doubtful,
        counts,
        price: limits.price.clone(),
        is_other_account: !limits.is_same_account,
        changed_fields: session.settle_description()?,
    };
    let mut reporters = if n_to_do > 0 { make_reporters(&start) } else { Reporters::default() };
    let style = style::known(&*session.run)?;
    let scope = JobScope::Selected;
    let work = Work { n_to_do, counts, limits, image_limits, style, scope, formula_guard: None };
    let mut summary = session.drive(work, &mut reporters, progress, stops).await?;
    // Where no job has got its image, the same command might go on for ever, and pay each time.
    let has_progressed = summary.counts.n_succeeded > summary.counts_before.n_succeeded;
    if n_wanted > n_to_do && summary.stop.is_none() && has_progressed {
        summary.stop = Some(StopReason::Limit(n_to_do));
        summary.n_outstanding = n_wanted - n_to_do;
    }
    Ok((n_to_do, summary))
}

/// Counts the jobs that failed for one of these reasons, or are held for it, and whose last submission may have been accepted.
fn count_doubtful(run: &mut dyn RunWriter, codes: &[String]) -> Result<u64, LedgerError> {
    let is_doubt = |code: &String| FaultKind::ALL.iter().any(|kind| kind.code() == code && kind.leaves_doubt());
    let select = |codes: Vec<String>| RetrySelection::Failed { codes, force_resubmit: false };
    let doubtful: Vec<String> = codes.iter().filter(|code| is_doubt(code)).cloned().collect();
    // Jobs that an earlier retry has reopened are selected in any case.
    let n_reopened = run.select(&select(Vec::new()))?;
    Ok(run.select(&select(doubtful))?.saturating_sub(n_reopened))
}
