//! Another image of jobs that succeeded: each is submitted again, which is paid for again.
//!
//! The image so far stays on the disk under another name, and in the history of its job. It is current again if no other image comes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::driver::stop::StopReceiver;
use crate::engine::turn::StopReason;
use crate::images::validate::verdict::CheckLimits;
use crate::manifest::fields::parse::SEED_MAX;
use crate::model::amount::Amount;
use crate::model::escape::escape;
use crate::model::job::JobId;
use crate::model::limits::Limits;
use crate::model::outcome::Outcome;
use crate::model::phase::{JobRecord, Phase};
use crate::model::price::Price;
use crate::model::progress::Progress;
use crate::model::request::Request;
use crate::model::request_limits::RequestDoubt;
use crate::model::storage_url::StorageUrl;
use crate::model::time::Timestamp;
use crate::provider::spec::ProviderSpec;
use crate::report::Reporters;
use crate::run::credentials::Credentials;
use crate::run::equipment::Work;
use crate::run::error::RunError;
use crate::run::redo_error::RedoError;
use crate::run::replacing::NewSeed;
use crate::run::session::{Session, SessionClock};
use crate::run::summary::{SessionStart, Summary};
use crate::run::{outputs, replacing, row_providers, style};
use crate::store::selection::RetrySelection;
use crate::store::settings::ReadSettings;
use crate::store::{JobScope, RunReader, stores};

/// Options of a redo. The ledger knows the provider of the run's tasks.
#[derive(Clone, Debug)]
pub struct RedoOptions {
    /// Output folder of the run.
    pub out: PathBuf,
    /// Names of the jobs: each is an id of the manifest, an index, the beginning of a job's id, or the id of a task.
    pub jobs: Vec<String>,
    /// Draws a new seed for each job, in place of the one that its request has.
    pub is_seed_new: bool,
    /// Access to the provider.
    pub access: Credentials,
    /// Limits that the engine keeps.
    pub limits: Limits,
    /// Largest image that is accepted.
    pub image_limits: CheckLimits,
}

/// Jobs of a redo, before anything is changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedoPlan {
    /// Jobs to make again, in manifest order.
    pub jobs: Vec<JobRecord>,
    /// Jobs that an interrupted redo has not completed: they are continued, and not begun again.
    pub continued: Vec<JobRecord>,
    /// Jobs that this interrupted redo has completed, or that ended without an image: they are left as they are.
    pub done: Vec<JobRecord>,
    /// Price of an image: from the caller, else from the last run; `None` if unknown.
    pub price: Option<Price>,
    /// Address of the images in object storage; `None` if they are in the output folder.
    pub images: Option<StorageUrl>,
}

impl RedoPlan {
    /// Returns the cost of making the jobs again; `None` if a price is unknown.
    pub fn cost(&self) -> Option<Amount> {
        let price = self.price.as_ref()?;
        self.jobs.iter().map(|record| price.amount_for(&record.job.request)).sum()
    }

    /// Returns the jobs whose requests name a seed. The same seed mostly gives the same image again.
    pub fn seeded(&self) -> impl Iterator<Item = &JobRecord> {
        self.jobs.iter().filter(|record| record.job.request.seed.is_some())
    }
}

/// Looks up the jobs of a redo in the run of the folder `out`. Changes nothing, and needs no token.
pub fn plan(out: &Path, names: &[String], price: Option<&Price>) -> Result<RedoPlan, RunError> {
    stores::read_snapshot(out, |run| {
        let price = price.map_or_else(|| run.price_used(), |price| Ok(Some(price.clone())))?;
        plan_in(out, run, names, price)
    })
}

fn plan_in(out: &Path, run: &dyn RunReader, names: &[String], price: Option<Price>) -> Result<RedoPlan, RunError> {
    let mut found: Vec<(&String, JobRecord, Option<Timestamp>)> = Vec::new();
    for name in names {
        let record = find(run, name)?;
        if !found.iter().any(|(_, known, _)| known.job.id == record.job.id) {
            let redone_at = replacing::last_redo(run, record.job.id)?.map(|(at, _)| at);
            found.push((name, record, redone_at));
        }
    }
    found.sort_by_key(|(_, record, _)| record.job.index);
    let is_ended = |record: &JobRecord| matches!(record.state.phase, Phase::Finished(_));
    let unfinished = found.iter().filter(|(_, record, _)| !is_ended(record)).filter_map(|(_, _, redone_at)| *redone_at);
    let interrupted: BTreeSet<_> = unfinished.chain(replacing::open_redo(run)?).collect();
    let mut plan = RedoPlan { jobs: vec![], continued: vec![], done: vec![], price, images: run.images()? };
    for (name, record, redone_at) in found {
        let is_in_interrupted = redone_at.is_some_and(|at| interrupted.contains(&at));
        if !is_in_interrupted {
            check(out, name, &record)?;
        }
        let list = match (is_ended(&record), is_in_interrupted) {
            (false, _) => &mut plan.continued,
            (true, true) => &mut plan.done,
            (true, false) => &mut plan.jobs,
        };
        list.push(record);
    }
    Ok(plan)
}

fn find(run: &dyn RunReader, name: &str) -> Result<JobRecord, RunError> {
    let mut found = run.find(name)?;
    let record = found.pop().ok_or_else(|| RedoError::Unknown { name: name.to_owned() })?;
    if !found.is_empty() {
        found.push(record);
        let jobs: Vec<_> = found.iter().map(|record| format!("{} ({})", record.job.index, record.job.id)).collect();
        return Err(RedoError::Several { name: name.to_owned(), jobs: jobs.join(", ") }.into());
    }
    Ok(record)
}

/// Checks that a job can be made again.
fn check(out: &Path, name: &str, record: &JobRecord) -> Result<(), RedoError> {
    let JobRecord { job, state } = record;
    let name = name.to_owned();
    if job.index == 0 || job.row.is_skipped {
        return Err(RedoError::LeftOut { name });
    }
    let remedy = match &state.phase {
        Phase::Finished(Outcome::Succeeded(_)) => return Ok(()),
        Phase::Finished(Outcome::Failed(fault)) => {
            let out = escape(&out.display().to_string());
            format!("submit it again with `promptbatch retry {out} --only {}`", fault.kind.code())
        }
        Phase::Pending | Phase::Submitting | Phase::Running(_) | Phase::Downloading(_) => {
            "complete it with `promptbatch run` first".to_owned()
        }
    };
    Err(RedoError::NotSucceeded { name, status: state.status(), remedy })
}

/// Makes jobs again that succeeded. Their images are kept under other names. The same call continues after an interruption.
///
/// The closure `make_reporters` creates the reporters.
pub async fn redo(
    options: RedoOptions,
    make_reporters: impl FnOnce(&RedoPlan, &SessionStart) -> Reporters,
    progress: &mut dyn Progress,
    stops: &mut StopReceiver,
) -> Result<Summary, RunError> {
    let RedoOptions { out, jobs, is_seed_new, access, limits, image_limits } = options;
    let time = SessionClock::start();
    outputs::check_further(&out, None)?;
    let mut session = Session::resume(out.clone(), &access, time)?;
    let limits = session.settle_price(limits)?;
    let plan = plan_in(&out, &*session.run, &jobs, limits.price.clone())?;
    // Images are replaced only with a token: otherwise their jobs would become pending, and `run` would submit them.
    access.check(&session.provider)?;
    let seeds = |record: &JobRecord| {
        let before = record.job.request.seed;
        NewSeed { job: record.job.id, seed: is_seed_new.then(|| draw(before)), before }
    };
    let redone: Vec<_> = plan.jobs.iter().map(seeds).collect();
    for (record, NewSeed { seed, .. }) in plan.jobs.iter().zip(&redone) {
        check_request(row_providers::spec_for(&session.provider, &*session.run, &record.job)?, record, *seed)?;
    }
    replacing::replace(&out, &mut *session.run, time.began(), redone)?;
    let n_wanted = session.run.select(&RetrySelection::Jobs(ids(&plan)))?;
    // All of them are on record now, so that the same command continues with the others.
    let n_to_do = limits.jobs_max.map_or(Ok(n_wanted), |max| session.run.narrow(max))?;
    let counts = session.run.counts()?;
    let limits = session.settle_account(n_to_do, Limits { jobs_max: None, ..limits })?;
    let start = SessionStart {
        n_to_do,
        n_doubtful: 0,
        counts,
        price: limits.price.clone(),
        is_other_account: !limits.is_same_account,
        changed_fields: session.settle_description()?,
    };
    let mut reporters = make_reporters(&plan, &start);
    let style = style::known(&*session.run)?;
    let scope = JobScope::Selected;
    let work = Work { n_to_do, counts, limits, image_limits, style, scope, formula_guard: None };
    let mut summary = session.drive(work, &mut reporters, progress, stops).await?;
    if n_wanted > n_to_do && summary.stop.is_none() {
        summary.stop = Some(StopReason::Limit(n_to_do));
        summary.n_outstanding = n_wanted - n_to_do;
    }
    Ok(summary)
}

/// Checks that the provider takes the request with this seed: a refusal would leave the job without its image.
fn check_request(provider: &ProviderSpec, record: &JobRecord, seed: Option<u64>) -> Result<(), RedoError> {
    let request = Request { seed: seed.or(record.job.request.seed), ..record.job.request.clone() };
    match provider.limits.judge(&request, false) {
        (Some(RequestDoubt { what, remedy }), _) => Err(RedoError::Refused { index: record.job.index, what, remedy }),
        (None, _) => Ok(()),
    }
}

/// Returns the jobs to work on.
fn ids(plan: &RedoPlan) -> Vec<JobId> {
    plan.jobs.iter().chain(&plan.continued).map(|record| record.job.id).collect()
}

/// Draws a seed that is not `before`.
fn draw(before: Option<u64>) -> u64 {
    let mut draws = std::iter::repeat_with(|| fastrand::u64(..=SEED_MAX.cast_unsigned()));
    draws.find(|seed| Some(*seed) != before).expect("there are two billion others")
}
