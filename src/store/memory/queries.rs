//! Queries over the content of a ledger in memory.

use std::collections::{BTreeMap, HashMap};

use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::event::EventKind;
use crate::model::history::{History, PastTask, TaskKind};
use crate::model::job::JobId;
use crate::model::money::Charge;
use crate::model::outcome::{Artifact, Outcome};
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::price::Price;
use crate::model::time::Timestamp;
use crate::store::memory::content::{Content, without_images};
use crate::store::setting::Setting;
use crate::store::{JobSet, RowProvider};

/// Jobs returned for one name, at most.
const FOUND_MAX: usize = 10;

/// Minimum digits of a job id prefix.
const ID_DIGITS_MIN: usize = 4;

/// Tasks of a history, at most.
const TASKS_MAX: usize = 1000;

/// Images of which the mean size is taken, at most.
const IMAGES_MAX: usize = 1000;

/// Counts these jobs by status.
pub(super) fn counts<'a>(states: impl IntoIterator<Item = &'a JobState>) -> StatusCounts {
    states.into_iter().map(StatusCounts::of).fold(StatusCounts::default(), |sum, one| sum + one)
}

pub(super) fn incidents(content: &Content) -> RunStats {
    let mut incidents = RunStats::default();
    for JobRecord { state, .. } in &content.jobs {
        incidents.n_submits += u64::from(state.n_submits);
        incidents.n_in_doubt += u64::from(state.n_in_doubt);
        incidents.n_lost += u64::from(state.n_lost);
        incidents.n_reopened += u64::from(state.n_reopened);
        let is_failed = matches!(state.phase, Phase::Finished(Outcome::Failed(_)));
        incidents.n_doubts_held += u64::from(state.phase == Phase::Submitting && state.is_doubt_counted());
        incidents.n_doubts_failed += u64::from(is_failed && state.is_doubt_counted());
    }
    incidents
}

pub(super) fn find(content: &Content, name: &str) -> Vec<JobRecord> {
    let is_prefix = name.len() >= ID_DIGITS_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (index, prefix) = (name.parse::<u32>().ok().map(u64::from), name.to_ascii_lowercase());
    let is_accepted = |id: JobId| {
        content
            .events
            .iter()
            .any(|event| event.job == id && matches!(&event.kind, EventKind::Accepted(task) if task.0 == name))
    };
    let matching = |is_it: &dyn Fn(&JobRecord) -> bool| {
        let mut found: Vec<_> = content.jobs.iter().filter(|record| is_it(record)).map(without_images).collect();
        found.sort_by_key(|record| record.job.index);
        found.truncate(FOUND_MAX);
        found
    };
    let ways: [&dyn Fn(&JobRecord) -> bool; 4] = [
        &|record| record.job.label.as_deref() == Some(name),
        &|record| record.job.index > 0 && Some(record.job.index) == index,
        &|record| is_prefix && record.job.id.to_string().starts_with(&prefix),
        &|record| is_accepted(record.job.id),
    ];
    ways.into_iter().map(matching).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Returns the events of a job, without the images of a success.
pub(super) fn events(content: &Content, job: JobId) -> Vec<(Timestamp, EventKind)> {
    let without_images = |kind: &EventKind| match kind {
        EventKind::Finished(Outcome::Succeeded(_)) => EventKind::Finished(Outcome::Succeeded(Vec::new())),
        kind => kind.clone(),
    };
    let events = content.events.iter().filter(|event| event.job == job);
    events.map(|event| (event.at, without_images(&event.kind))).collect()
}

/// Returns the images of an ended job, or those that a reopened job still has.
pub(super) fn artifacts(state: &JobState) -> &[Artifact] {
    if matches!(state.phase, Phase::Finished(_)) { state.artifacts() } else { &state.kept }
}

pub(super) fn image_bytes_mean(content: &Content) -> Option<u64> {
    let images = content.jobs.iter().rev().flat_map(|record| artifacts(&record.state)).take(IMAGES_MAX);
    let (n, bytes) = images.fold((0, 0), |(n, bytes), artifact| (n + 1, bytes + artifact.bytes));
    (n > 0).then(|| bytes / n)
}

/// What was paid for, by job.
#[derive(Debug, Default)]
pub(super) struct Payments {
    /// Accepted submissions.
    pub n_accepted: BTreeMap<JobId, u64>,
    /// Last charge of each submission.
    pub charges: BTreeMap<JobId, Vec<Charge>>,
}

impl Payments {
    /// Counts what every event says.
    pub(super) fn of(content: &Content) -> Self {
        let mut payments = Self::default();
        for event in &content.events {
            match &event.kind {
                EventKind::Accepted(_) => *payments.n_accepted.entry(event.job).or_default() += 1,
                EventKind::Charged(charge) => {
                    let of_job = payments.charges.entry(event.job).or_default();
                    of_job.retain(|other| other.submission != charge.submission);
                    of_job.push(charge.clone());
                }
                EventKind::SubmitStarted
                | EventKind::Ready(_)
                | EventKind::Setback(..)
                | EventKind::Finished(_)
                | EventKind::Reopened(_)
                | EventKind::Redone(_)
                | EventKind::Restored(_) => (),
            }
        }
        payments
    }
}

/// Sums the cost of all submissions. A submission is accepted at most once, so one that turned out to be accepted is no longer
/// in doubt.
pub(super) fn total_cost(content: &Content, price: &Price) -> Option<Cost> {
    let Payments { n_accepted, charges } = Payments::of(content);
    let mut cost = Cost::default();
    for JobRecord { job, state } in &content.jobs {
        let n_accepted = n_accepted.get(&job.id).copied().unwrap_or(0);
        let n_open = u64::from(state.is_in_doubt() && !state.is_doubt_counted());
        let n_answerless = u64::from(state.n_submits).saturating_sub(n_accepted);
        let n_in_doubt = (u64::from(state.n_in_doubt) + n_open).min(n_answerless);
        if n_accepted + n_in_doubt == 0 {
            continue;
        }
        let charges = charges.get(&job.id).map_or(&[][..], Vec::as_slice);
        cost.sure += price.settled(&job.request, n_accepted, charges)?;
        if n_in_doubt > 0 {
            cost.in_doubt += price.amount_for(&job.request)?.times(n_in_doubt);
        }
        cost.n_in_doubt += n_in_doubt;
    }
    Some(cost)
}

pub(super) fn first_without_price(content: &Content, price: &Price) -> Option<(String, u64)> {
    let mut first: BTreeMap<String, u64> = BTreeMap::new();
    for JobRecord { job, state } in &content.jobs {
        if (job.index > 0 || state.n_submits > 0) && price.amount_for(&job.request).is_none() {
            let first = first.entry(price.name_of(&job.request.model, job.request.size)).or_default();
            *first = if *first == 0 || (1..*first).contains(&job.index) { job.index } else { *first };
        }
    }
    first.into_iter().min_by_key(|(_, index)| *index)
}

pub(super) fn row_providers(content: &Content) -> Vec<RowProvider> {
    let mut found: Vec<RowProvider> = Vec::new();
    for JobRecord { job, state } in content.jobs_of(JobSet::InManifest) {
        let Some(text) = job.request.provider.clone().filter(|_| !matches!(state.phase, Phase::Finished(_))) else {
            continue;
        };
        let has_begun = state.n_submits > 0;
        match found.iter_mut().find(|known| known.text == text) {
            Some(known) => known.has_begun |= has_begun,
            None => found.push(RowProvider { text, first: job.index, has_begun }),
        }
    }
    found
}

pub(super) fn history(content: &Content) -> History {
    let mut history = History::default();
    let mut ready_at: HashMap<JobId, Timestamp> = HashMap::new();
    for event in content.events.iter().rev() {
        match &event.kind {
            EventKind::SubmitStarted => history.submitted_at.push(event.at),
            EventKind::Ready(_) => drop(ready_at.insert(event.job, event.at)),
            EventKind::Accepted(_) if history.tasks.len() < TASKS_MAX => {
                let ready_at = ready_at.remove(&event.job).zip(content.job(event.job));
                history.tasks.extend(ready_at.map(|(ready_at, record)| PastTask {
                    kind: TaskKind::of(&record.job.request),
                    took: ready_at.since(event.at),
                }));
            }
            EventKind::Accepted(_)
            | EventKind::Charged(_)
            | EventKind::Setback(..)
            | EventKind::Finished(_)
            | EventKind::Reopened(_)
            | EventKind::Redone(_)
            | EventKind::Restored(_) => (),
        }
    }
    history.submitted_at.reverse();
    history.tasks.reverse();
    history
}

pub(super) fn ended_since(content: &Content, since: Timestamp) -> Option<(u64, Timestamp)> {
    let late = content.events.iter().rev().take_while(|event| event.at >= since);
    let ended = late.filter(|event| matches!(event.kind, EventKind::Finished(_)));
    ended.fold(None, |found: Option<(u64, Timestamp)>, event| Some((found.map_or(0, |(n, _)| n) + 1, event.at)))
}

pub(super) fn revision(content: &Content) -> String {
    let fingerprint = content.settings.get(&Setting::ManifestFingerprint).map_or("", String::as_str);
    format!("{} {fingerprint}", content.events.len())
}

pub(super) fn origin(content: &Content) -> String {
    content.events.first().map(|event| format!("{} {}", event.job, event.at.millis())).unwrap_or_default()
}

/// Returns the jobs of the present manifest whose images are to be fetched again and are not complete yet.
pub(super) fn refetching(content: &Content) -> Vec<JobId> {
    let is_refetching = |record: &&JobRecord| {
        record.state.n_reopened > 0 && matches!(record.state.phase, Phase::Running(_) | Phase::Downloading(_))
    };
    content.jobs_of(JobSet::InManifest).into_iter().filter(is_refetching).map(|record| record.job.id).collect()
}
