//! Public API of the library: turns a manifest into images and results, and resumes where the last run stopped.

pub mod batch;
pub mod consent;
pub mod credentials;
mod equipment;
pub mod error;
pub mod export;
pub mod gallery;
pub mod merge;
pub(crate) mod money;
pub mod options;
pub mod other_sizes;
pub mod outputs;
mod part;
mod place;
pub(crate) mod presence;
pub(crate) mod projection;
pub mod redo;
pub mod redo_error;
mod replacing;
pub mod reports;
mod restoring;
pub mod retry;
mod row_providers;
mod session;
#[cfg(feature = "postgres")]
pub mod shared;
pub mod source;
mod style;
pub mod summary;
pub mod verify;

pub use crate::driver::stop::{StopHandle, StopReceiver, stopper};
pub use crate::engine::spending::CostLimitReached;
pub use crate::engine::turn::{Signal, StopReason};
pub use crate::report::results::ResultsFileFormat;
pub use crate::run::money::CostError;
pub use crate::run::presence::PresenceCheck;
pub use crate::run::projection::{Projection, ProjectionError, ResultRows};

use std::path::Path;

use crate::model::choice::JobChoice;
use crate::model::limits::Limits;
use crate::model::output_options::{OutputOptions, OutputOverrides};
use crate::model::price::Price;
use crate::model::progress::Progress;
use crate::plan;
use crate::plan::checked_jobs::CheckedJobs;
use crate::report::Reporters;
use crate::run::equipment::Work;
use crate::run::error::RunError;
use crate::run::options::Options;
use crate::run::session::{Session, SessionClock};
use crate::run::source::OpenedJobs;
use crate::run::style::RunStyle;
use crate::run::summary::{RunStart, Summary};
use crate::store::error::LedgerError;
use crate::store::settings::{ReadSettings, preferred};
use crate::store::{JobScope, RunReader, stores};

/// Runs the jobs of a manifest or of a program, or resumes their run. A finished run does nothing, and sends nothing.
///
/// The closure `make_reporters` creates the reporters once it is known what there is to do. Slow steps before and after that
/// are reported to `progress`.
pub async fn run(
    options: Options,
    make_reporters: impl FnOnce(&RunStart<'_>) -> Reporters,
    progress: &mut dyn Progress,
    stops: &mut StopReceiver,
) -> Result<Summary, RunError> {
    let Options { source, choice, out, provider, limits, image_limits, images, style, formula_guard, consent } =
        options;
    let time = SessionClock::start();
    let mut check = || source.open(progress);
    let fingerprint = source.fingerprint();
    part::check_first(&out, source.partition())?;
    let is_known =
        |run: &dyn RunReader| Ok::<_, LedgerError>(fingerprint.is_some() && run.manifest_fingerprint()? == fingerprint);
    check_files(&out, source.path(), consent.is_older_accepted)?;
    style::check_encoder(style.or(&OutputOptions::default()).postprocess.format)?;
    // Files are created only for valid jobs.
    let first = if stores::read_snapshot(&out, is_known).unwrap_or(false) { None } else { Some(check()?) };
    if let Some(jobs) = first.as_ref().map(OpenedJobs::jobs) {
        check_options(jobs, &out, &style, &limits, &choice, provider.spec().listed_price())?;
    }
    let mut session = Session::create(out.clone(), provider, consent, time)?;
    part::check(&out, source.partition(), &*session.run)?;
    let opened = match first {
        // Checks again: another run may have begun and ended in between.
        None if !is_known(&*session.run)? => Some(check()?),
        first => first,
    };
    let jobs = opened.as_ref().map(OpenedJobs::jobs);
    let columns = jobs.map_or_else(|| session.run.columns(), |jobs| Ok(jobs.columns().to_vec()))?;
    let RunStyle { now: style, before: style_before } = style::check(&out, &*session.run, &style, &columns)?;
    session.place = place::check(&out, &*session.run, images.as_ref())?;
    let may_replace = consent.is_manifest_replaced;
    let n_succeeded_before = session.run.counts()?.n_succeeded;
    let import = |jobs| plan::import(jobs, &out, &mut *session.run, may_replace, progress);
    let imported = jobs.map(import).transpose()?.flatten();
    style::settle(&mut *session.run, &style)?;
    let limits = session.settle_price(limits)?;
    let counts = session.run.counts()?;
    let (chosen, n_to_do) = session.choose(&choice, &counts)?;
    let limits = session.settle_account(n_to_do, limits)?;
    let start = RunStart {
        manifest: opened.as_ref().and_then(OpenedJobs::manifest),
        counts,
        chosen,
        n_to_do,
        imported,
        n_leaving: n_succeeded_before.saturating_sub(counts.n_succeeded),
        n_orphaned: session.run.n_orphaned()?,
        price: limits.price.clone(),
        style: &style,
        style_before,
        is_other_account: !limits.is_same_account,
        changed_fields: session.settle_description()?,
    };
    let mut reporters = make_reporters(&start);
    // Frees the manifest, which may be large, because the run is long.
    drop(opened);
    let scope = if choice.is_all() { JobScope::Unfinished } else { JobScope::Selected };
    let work = Work { n_to_do, counts, limits, image_limits, style, scope, formula_guard };
    let mut summary = session.drive(work, &mut reporters, progress, stops).await?;
    summary.n_not_chosen = counts.n_unfinished() - n_to_do;
    if summary.n_not_chosen > 0 && summary.stop.is_none() {
        summary.stop = Some(StopReason::Limit(n_to_do));
        summary.n_outstanding = summary.counts.n_unfinished();
    }
    Ok(summary)
}

/// Checks that a run in this folder replaces no file of the user's, and that its ledger is not lost.
fn check_files(out: &Path, manifest: Option<&Path>, is_older_accepted: bool) -> Result<(), outputs::OutputConflict> {
    match stores::read_snapshot(out, |run| run.manifest_fingerprint()) {
        Ok(None) | Err(LedgerError::Missing { .. }) => outputs::check_first(out, manifest, is_older_accepted),
        // A ledger that cannot be read is reported when it is opened.
        Ok(Some(_)) | Err(_) => outputs::check_further(out, manifest),
    }
}

/// Checks, before any file is created, that the jobs meet what the options name: fields of the image names, a price, and chosen jobs.
fn check_options(
    jobs: &dyn CheckedJobs,
    out: &Path,
    style: &OutputOverrides,
    limits: &Limits,
    choice: &JobChoice,
    listed: Option<Price>,
) -> Result<(), RunError> {
    if let Some(naming) = &style.naming {
        naming.check(jobs.columns())?;
    }
    let known = preferred(stores::read_snapshot(out, |run| run.price_used()).unwrap_or_default(), listed);
    let price = limits.price.as_ref().or(jobs.price()).or(known.as_ref());
    money::check_price(limits.cost_max.as_ref(), price)?;
    if !choice.is_all() {
        plan::count(jobs, choice)?;
    }
    Ok(())
}
