//! Content of a ledger in memory: jobs, events and settings, and every change of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::event::{Event, EventKind, Redo, Restored};
use crate::model::job::{Job, JobId, JobSpec};
use crate::model::more::More;
use crate::model::outcome::{Outcome, TaskId};
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::request::ContentHash;
use crate::model::time::Timestamp;
use crate::store::format::phase_number;
use crate::store::import::RestoredJob;
use crate::store::import::{Imported, ManifestFacts, stays_if_skipped};
use crate::store::selection::{RetrySelection, redoing, restoring};
use crate::store::setting::Setting;
use crate::store::shuffle::ring_start;
use crate::store::{JobSet, Loaded, TaskOwner};

/// Jobs, events and settings of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// Jobs, in the order of their first import. The index of a job is 0 while it is not in the manifest.
    pub jobs: Vec<JobRecord>,
    /// Place of each job in `jobs`.
    places: BTreeMap<JobId, usize>,
    /// Events, in the order of recording.
    pub events: Vec<Event>,
    /// First job that was accepted with each task.
    owners: BTreeMap<TaskId, JobId>,
    pub settings: BTreeMap<Setting, String>,
}

impl Content {
    /// Creates the content of a run of these jobs, all pending.
    pub(super) fn of_jobs(jobs: impl IntoIterator<Item = Job>) -> Self {
        let mut content = Self::default();
        for job in jobs {
            content.add(job);
        }
        content
    }

    fn add(&mut self, job: Job) {
        self.places.insert(job.id, self.jobs.len());
        self.jobs.push(JobRecord { job: Arc::new(job), state: JobState::default() });
    }

    /// Returns the job with this id.
    pub(super) fn job(&self, id: JobId) -> Option<&JobRecord> {
        self.places.get(&id).map(|place| &self.jobs[*place])
    }

    /// Returns the jobs of a set, in its order.
    pub(super) fn jobs_of(&self, jobs: JobSet) -> Vec<&JobRecord> {
        match jobs {
            JobSet::Dropped => self.jobs.iter().filter(|record| record.job.index == 0).collect(),
            JobSet::InManifest => {
                let mut jobs: Vec<_> = self.jobs.iter().filter(|record| record.job.index > 0).collect();
                jobs.sort_by_key(|record| record.job.index);
                jobs
            }
        }
    }

    /// Records these events, and applies each to its job. Events of unknown jobs are ignored.
    pub(super) fn record(&mut self, events: &[Event]) {
        for event in events {
            let Some(place) = self.places.get(&event.job) else { continue };
            let record = &mut self.jobs[*place];
            record.state.apply(event.at, &event.kind);
            if let EventKind::Redone(Redo { seed: seed @ Some(_), .. }) | EventKind::Restored(Restored { seed, .. }) =
                &event.kind
            {
                // The id stays, as it is that of the manifest's row.
                Arc::make_mut(&mut record.job).request.seed = *seed;
            }
            self.events.push(event.clone());
            if let EventKind::Accepted(task) = &event.kind {
                self.owners.entry(task.clone()).or_insert(event.job);
            }
        }
    }

    /// Records events of another ledger for jobs without events.
    pub(super) fn adopt(&mut self, events: &[Event]) -> u64 {
        let has_events: BTreeSet<JobId> = self.events.iter().map(|event| event.job).collect();
        let is_taken = |event: &&Event| !has_events.contains(&event.job) && self.places.contains_key(&event.job);
        let taken: Vec<Event> = events.iter().filter(is_taken).cloned().collect();
        self.record(&taken);
        taken.iter().map(|event| event.job).collect::<BTreeSet<_>>().len() as u64
    }

    /// Records further events of known jobs, and a setting. An event of an unknown job is described, and changes nothing.
    pub(super) fn follow(&mut self, events: &[Event], (setting, value): (Setting, &str)) -> Result<(), String> {
        if let Some(stranger) = events.iter().find(|event| !self.places.contains_key(&event.job)) {
            return Err(format!("it has no job {}", stranger.job));
        }
        self.record(events);
        self.settings.insert(setting, value.to_owned());
        Ok(())
    }

    /// Adds jobs of another ledger, with their ids.
    pub(super) fn restore_jobs(&mut self, jobs: Vec<RestoredJob>) {
        for RestoredJob { id, index, spec: JobSpec { label, request, extras, row } } in jobs {
            self.add(Job { id, index: index.unwrap_or(0), label, request, extras, row });
        }
    }

    /// Returns the owner of a task.
    pub(super) fn owner(&self, task: &TaskId) -> Option<TaskOwner> {
        let job = *self.owners.get(task)?;
        let index = self.job(job).map(|record| record.job.index).filter(|index| *index > 0);
        Some(TaskOwner { job, index })
    }

    /// Returns the next jobs that were not handed out, of those that are selected; `None` selects all.
    pub(super) fn load(&self, handed_out: &BTreeSet<JobId>, selected: Option<&BTreeSet<JobId>>, max: usize) -> Loaded {
        let is_open = |record: &&JobRecord| {
            let id = &record.job.id;
            let is_wanted = selected.is_none_or(|selected| selected.contains(id)) && !handed_out.contains(id);
            is_wanted && !matches!(record.state.phase, Phase::Finished(_))
        };
        let mut open: Vec<_> = self.jobs_of(JobSet::InManifest).into_iter().filter(is_open).collect();
        let seed = self.settings.get(&Setting::ShuffleSeed).filter(|seed| !seed.is_empty());
        let start = seed.map(|seed| ring_start(seed));
        open.sort_by_key(|record| {
            let JobRecord { job, state } = record;
            let is_pending = state.phase == Phase::Pending;
            let ring = start.filter(|_| is_pending).map(|start| (*job.id.bytes() <= start, job.id));
            (is_pending, ring, job.index)
        });
        let more = More::now_if(open.len() > max);
        Loaded { jobs: open.into_iter().take(max).cloned().collect(), more }
    }

    /// Imports the rows of a manifest.
    pub(super) fn import(&mut self, facts: &ManifestFacts<'_>, rows: Vec<JobSpec>) -> Imported {
        let before: BTreeSet<_> = self.jobs_of(JobSet::InManifest).iter().map(|record| record.job.id).collect();
        let mut imported = Imported { n_before: before.len() as u64, ..Imported::default() };
        for record in &mut self.jobs {
            Arc::make_mut(&mut record.job).index = 0;
        }
        let mut skipped = BTreeSet::new();
        for (id, index, JobSpec { label, request, extras, row }) in numbered(rows) {
            let place = self.places.get(&id).copied();
            let is_left_out = row.is_skipped && place.is_none_or(|place| !stays(&self.jobs[place]));
            let job = Job { id, index: if is_left_out { 0 } else { index }, label, request, extras, row };
            match place {
                Some(_) if is_left_out => {}
                Some(place) => {
                    imported.n_kept += 1;
                    // A seed that was drawn for the job is not that of its row.
                    let request = self.jobs[place].job.request.clone();
                    self.jobs[place].job = Arc::new(Job { request, ..job });
                }
                None => {
                    imported.n_new += u64::from(!is_left_out);
                    self.add(job);
                }
            }
            if is_left_out {
                skipped.insert(id);
            }
        }
        imported.n_skipped = skipped.len() as u64;
        let dropped = self.jobs_of(JobSet::Dropped).into_iter().filter(|record| !skipped.contains(&record.job.id));
        let dropped: Vec<_> = dropped.collect();
        imported.n_dropped = dropped.len() as u64;
        imported.n_left = dropped.iter().filter(|record| before.contains(&record.job.id)).count() as u64;
        self.settings.extend(facts.settings());
        imported
    }

    /// Records that these jobs are made again, and returns the number of those that can be.
    pub(super) fn redo(&mut self, at: Timestamp, jobs: &[(JobId, Redo)]) -> u64 {
        let n_before = self.events.len();
        for (id, redo) in jobs {
            if let Some(event) = self.job(*id).and_then(|record| redoing(at, record, redo)) {
                self.record(&[event]);
            }
        }
        (self.events.len() - n_before) as u64
    }

    /// Records that these jobs return to their images, and returns the number of those that can.
    pub(super) fn restore(&mut self, at: Timestamp, jobs: &[(JobId, Restored)]) -> u64 {
        let n_before = self.events.len();
        for (id, restored) in jobs {
            if let Some(event) = self.job(*id).and_then(|record| restoring(at, record, restored)) {
                self.record(&[event]);
            }
        }
        (self.events.len() - n_before) as u64
    }

    /// Reopens the jobs that a selection reopens, of those that are selected.
    pub(super) fn reopen(&mut self, at: Timestamp, selected: &BTreeSet<JobId>, selection: &RetrySelection) {
        let reopened = self.jobs.iter().filter(|record| selected.contains(&record.job.id));
        let reopened = reopened.filter(|record| selection.reopens(&record.state));
        let events: Vec<_> = reopened.flat_map(|record| selection.reopening(at, record)).collect();
        self.record(&events);
    }
}

/// Returns whether this job stays in the run if its row is to be left out.
pub(super) fn stays(record: &JobRecord) -> bool {
    stays_if_skipped(phase_number(&record.state.phase))
}

/// Returns each row with the id of its job and its index: the `n`-th row of a content is the `n`-th job of that content.
pub(super) fn numbered(rows: Vec<JobSpec>) -> impl Iterator<Item = (JobId, u64, JobSpec)> {
    let mut occurrences: HashMap<ContentHash, u32> = HashMap::new();
    (1..).zip(rows).map(move |(index, row)| {
        let content = row.request.content();
        let occurrence = occurrences.entry(content).or_default();
        *occurrence += 1;
        (JobId::new(&content, *occurrence - 1), index, row)
    })
}

/// Returns a job without its images, which only a visit of all jobs passes on.
pub(super) fn without_images(record: &JobRecord) -> JobRecord {
    let mut record = record.clone();
    match &mut record.state.phase {
        Phase::Finished(Outcome::Succeeded(artifacts)) => artifacts.clear(),
        Phase::Finished(Outcome::Failed(fault)) => fault.kept.clear(),
        Phase::Pending | Phase::Submitting | Phase::Running(_) | Phase::Downloading(_) => (),
    }
    record
}
