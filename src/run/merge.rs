//! Merge of the parts of a run: the run folders of all parts become one, as if one machine had done the work.
//!
//! The parts stay as they are. A merge that was interrupted is repeated from its beginning: the parts may have gone on since. Only images stay.

pub mod error;
mod images;
mod settings;
#[cfg(all(test, unix))]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::driver::clock::Clock;
use crate::model::counts::StatusCounts;
use crate::model::event::{Event, EventKind};
use crate::model::job::{JobId, JobSpec, ManifestRow};
use crate::model::outcome::Outcome;
use crate::model::partition::{Partition, SHARDS};
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::progress::{Meter, Operation, Progress};
use crate::run::merge::error::MergeError;
use crate::run::merge::images::{Images, copy_spool};
use crate::run::projection::Projection;
use crate::run::{outputs, replacing, restoring};
use crate::store::error::LedgerError;
use crate::store::import::ManifestFacts;
use crate::store::setting::Setting;
use crate::store::settings::ReadSettings;
use crate::store::spec::OpenOptions;
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, RunWriter, stores};

/// Fingerprint of a manifest in a merged run that is not complete.
const INCOMPLETE: &str = "merging";

/// Jobs whose events are recorded at a time.
const BATCH_JOBS: usize = 500;

/// Result of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Jobs of the merged run, by status.
    pub counts: StatusCounts,
    /// Number of parts.
    pub n_parts: usize,
    /// Jobs that more than one part submitted.
    pub n_repeated: u64,
    /// Jobs of the parts that are not in the manifest any more. They stay in the parts.
    pub n_dropped: u64,
    /// Path of the results.
    pub results: PathBuf,
}

/// Run folder with its open ledger.
type OpenRun = (PathBuf, Box<dyn RunReader>);

/// Part with its open ledger.
struct Shard {
    folder: PathBuf,
    run: Box<dyn RunReader>,
    partition: Partition,
    whole: String,
}

/// Job of the merged run: its row, and the parts that have it.
struct MergedJob {
    id: JobId,
    spec: JobSpec,
    /// Numbers of the parts, with the job's state in each; the one whose result counts comes last.
    states: Vec<(usize, JobState)>,
}

/// Merges these parts into the run folder `out`. A folder without a run stands for all runs in its folder `shards`.
pub fn merge(shards: &[PathBuf], out: &Path, progress: &mut dyn Progress) -> Result<Merged, MergeError> {
    let shards = open_shards(shards)?;
    let mut jobs = BTreeMap::new();
    let mut n_dropped = 0;
    for (nth, shard) in shards.iter().enumerate() {
        gather(nth, &shards, &mut jobs)?;
        let submitted = |JobRecord { state, .. }: JobRecord| {
            n_dropped += u64::from(state.n_submits > 0);
            Ok::<_, LedgerError>(())
        };
        shard.run.for_each_job(JobSet::Dropped, submitted)?;
    }
    let readers: Vec<_> = shards.iter().map(|shard| (shard.folder.as_path(), &*shard.run)).collect();
    let settings = settings::joined(&readers)?;
    let mut run = create(out, &shards[0], &settings)?;
    for shard in &shards {
        copy_spool(&shard.folder, out)?;
    }
    import(&mut *run, &shards[0], &jobs)?;
    let n_repeated = jobs.values().filter(|job| job.states.len() > 1).count() as u64;
    let mut meter = Meter::begin(progress, Operation::Import, Some(jobs.len() as u64));
    let folders: Vec<_> = shards.iter().map(|shard| shard.folder.as_path()).collect();
    let mut images = Images::new(out, &folders, shards[0].run.images()?.as_ref())?;
    let mut batch = Vec::new();
    for (index, job) in &jobs {
        meter.step();
        let events = events_of(*index, job, &shards)?.into_iter();
        let events = events.map(|(nth, event)| images.placed(nth, event));
        batch.extend(events.collect::<Result<Vec<_>, _>>()?);
        if batch.len() >= BATCH_JOBS {
            run.adopt_events(&std::mem::take(&mut batch))?;
        }
    }
    drop(meter);
    run.adopt_events(&batch)?;
    finish_redo(out, &mut *run)?;
    // From here on, the folder is a run like any other.
    run.set_setting(Setting::ManifestFingerprint, &shards[0].whole)?;
    run.set_setting(Setting::Part, "")?;
    let mut is_guarded = false;
    for shard in &shards {
        is_guarded |= Projection::is_guarded(&*shard.run)?;
    }
    let projection = Projection::new(out).guarding(is_guarded.then_some(true));
    projection.settle(&mut *run)?;
    projection.refresh(&mut *run, progress)?;
    let results = projection.path().to_owned();
    Ok(Merged { counts: run.counts()?, n_parts: shards.len(), n_repeated, n_dropped, results })
}

/// Completes what an interrupted redo in a part left undone: a job whose repetition failed returns to the image that it had.
fn finish_redo(out: &Path, run: &mut dyn RunWriter) -> Result<(), MergeError> {
    replacing::settle(out, run)?;
    restoring::settle(out, run, Clock::system().now().wall())?;
    Ok(())
}

fn open_shards(named: &[PathBuf]) -> Result<Vec<Shard>, MergeError> {
    let mut folders = Vec::new();
    for folder in named {
        match stores::read_snapshot(folder, is_incomplete) {
            Ok(true) | Err(LedgerError::Missing { .. }) => folders.extend(shards_below(folder)?),
            Ok(false) | Err(_) => folders.push((folder.clone(), stores::open_for_reading(folder)?)),
        }
    }
    let mut shards: Vec<Shard> = Vec::new();
    for (folder, run) in folders {
        let (partition, whole) = run.part()?.ok_or_else(|| MergeError::NoPart(folder.clone()))?;
        if let Some(process) = stores::lock_owner(&folder) {
            return Err(MergeError::Running { shard: folder, process });
        }
        shards.push(Shard { folder, run, partition, whole });
    }
    check_copies(&shards)?;
    let first = shards.first().ok_or_else(|| MergeError::NoParts(named.first().cloned().unwrap_or_default()))?;
    for other in &shards {
        let what = if other.whole != first.whole {
            "they are parts of different manifests, or were read with different options; run the parts again with the same ones"
        } else if (other.partition.kind, other.partition.count) != (first.partition.kind, first.partition.count) {
            "they divide the manifest in different ways"
        } else if other.run.provider()? != first.run.provider()? {
            "their tasks are at different providers"
        } else if other.run.images()? != first.run.images()? {
            "their images are at different places; run the parts with the same --images"
        } else {
            continue;
        };
        return Err(MergeError::Different { one: first.folder.clone(), other: other.folder.clone(), what });
    }
    let there: BTreeSet<u32> = shards.iter().map(|shard| shard.partition.part.get()).collect();
    let count = first.partition.count.get();
    let missing: Vec<u32> = (1..=count).filter(|part| !there.contains(part)).collect();
    if missing.is_empty() {
        Ok(shards)
    } else {
        Err(MergeError::Missing { missing, count, kind: first.partition.kind })
    }
}

/// Refuses two folders of one run: its submissions would be counted twice.
fn check_copies(shards: &[Shard]) -> Result<(), MergeError> {
    let mut known: BTreeMap<String, &Path> = BTreeMap::new();
    for Shard { folder, run, .. } in shards {
        // Drawn before the first submission. What has submitted nothing counts nothing twice.
        let Some(id) = run.setting(Setting::AccountSalt)? else { continue };
        if let Some(one) = known.insert(id, folder) {
            let what = "they are one run, named twice or copied; name only one of them, the newer copy";
            return Err(MergeError::Different { one: one.to_owned(), other: folder.clone(), what });
        }
    }
    Ok(())
}

/// Returns whether a run is a merge that was interrupted.
fn is_incomplete(run: &dyn RunReader) -> Result<bool, LedgerError> {
    Ok(match run.part()? {
        Some((_, whole)) => whole.starts_with(INCOMPLETE),
        // It was interrupted before anything was recorded.
        None => run.manifest_fingerprint()?.is_none(),
    })
}

/// Opens all runs in the folder `shards` of a folder, in the order of their names.
fn shards_below(folder: &Path) -> Result<Vec<OpenRun>, MergeError> {
    let entries = fs::read_dir(folder.join(SHARDS)).or_else(|_| fs::read_dir(folder));
    let entries = entries.map_err(|_| MergeError::NoParts(folder.to_owned()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    let mut runs = Vec::new();
    for path in paths {
        match stores::open_for_reading(&path) {
            Err(LedgerError::Missing { .. }) => (),
            opened => runs.push((path, opened?)),
        }
    }
    if runs.is_empty() { Err(MergeError::NoParts(folder.to_owned())) } else { Ok(runs) }
}

/// Adds the jobs of a part.
fn gather(nth: usize, shards: &[Shard], jobs: &mut BTreeMap<u64, MergedJob>) -> Result<(), MergeError> {
    let (shard, mut is_other, mut n_open) = (&shards[nth], false, 0);
    shard.run.for_each_job(JobSet::InManifest, |JobRecord { job, state }| {
        let merged = jobs.entry(job.index).or_insert_with(|| MergedJob {
            id: job.id,
            spec: JobSpec {
                label: job.label.clone(),
                request: job.request.clone(),
                extras: job.extras.clone(),
                row: job.row,
            },
            states: Vec::new(),
        });
        is_other |= merged.id != job.id;
        n_open += u64::from(state.is_in_doubt() && !state.is_doubt_counted());
        merged.states.push((nth, state));
        merged.states.sort_by_key(|(_, state)| worth(state));
        Ok::<_, LedgerError>(())
    })?;
    if is_other {
        let (one, other) = (shards[0].folder.clone(), shard.folder.clone());
        return Err(MergeError::Different { one, other, what: "their jobs differ at the same place of the manifest" });
    }
    // The ids of these submissions follow from the number of the part's run.
    if n_open > 0 {
        return Err(MergeError::Open { shard: shard.folder.clone(), n_open });
    }
    Ok(())
}

/// Returns how much the state of a job is worth: a finished image most, and then a task that is paid for.
const fn worth(state: &JobState) -> u8 {
    match &state.phase {
        Phase::Pending => 0,
        Phase::Submitting => 1,
        Phase::Finished(Outcome::Failed(_)) => 2,
        Phase::Running(_) => 3,
        Phase::Downloading(_) => 4,
        Phase::Finished(Outcome::Succeeded(_)) => 5,
    }
}

/// Creates the ledger of the merged run. One that an interrupted merge of the same parts left goes first: the parts may have gone on since.
fn create(out: &Path, first: &Shard, settings: &[(Setting, String)]) -> Result<Box<dyn RunWriter>, MergeError> {
    let is_own = |run: &dyn RunReader| {
        Ok::<_, LedgerError>(match run.part()? {
            Some((_, whole)) => whole == format!("{INCOMPLETE} {}", first.whole),
            // A merge that was killed at its very beginning.
            None => run.manifest_fingerprint()?.is_none(),
        })
    };
    match stores::read_snapshot(out, is_own) {
        Ok(true) if stores::discard(out, is_own)? => (),
        Ok(true) => return Err(MergeError::Taken(out.to_owned())),
        Err(LedgerError::Missing { .. }) => outputs::check_merged(out)?,
        Ok(false) => return Err(MergeError::Taken(out.to_owned())),
        Err(error) => return Err(error.into()),
    }
    let provider = first.run.provider()?;
    let mut run = stores::open(out, OpenOptions { provider: Some(&provider), accepts_older: None })?;
    // Another process may have been quicker.
    if run.part()?.is_some() || run.manifest_fingerprint()?.is_some() {
        return Err(MergeError::Taken(out.to_owned()));
    }
    run.set_setting(Setting::Part, &format!("{} {INCOMPLETE} {}", first.partition, first.whole))?;
    for (setting, value) in settings {
        run.set_setting(*setting, value)?;
    }
    Ok(run)
}

/// Imports the rows of all parts, in the order of the manifest. A row that no part has, because it is skipped, keeps its place.
fn import(run: &mut dyn RunWriter, first: &Shard, jobs: &BTreeMap<u64, MergedJob>) -> Result<(), MergeError> {
    let columns = first.run.columns()?;
    let path = first.run.manifest_path()?.unwrap_or_default();
    let price = first.run.manifest_price()?;
    let part = format!("{INCOMPLETE} {}", first.whole);
    let facts = ManifestFacts {
        fingerprint: INCOMPLETE,
        columns: &columns,
        path: &path,
        price: price.as_ref(),
        part: Some((first.partition, &part)),
        shuffle: None,
    };
    let last = jobs.last_key_value().map_or(0, |(index, _)| *index);
    let rows = (1..=last).map(|index| {
        let gap = || JobSpec { row: ManifestRow { number: None, is_skipped: true }, ..JobSpec::default() };
        Ok::<_, LedgerError>(jobs.get(&index).map_or_else(gap, |job| job.spec.clone()))
    });
    run.import(&facts, rows)?;
    Ok(())
}

/// Returns the events of a job in all parts, each with the number of its part. The part whose result counts comes last, and the others end without a result.
fn events_of(index: u64, job: &MergedJob, shards: &[Shard]) -> Result<Vec<(usize, Event)>, MergeError> {
    let mut events = Vec::new();
    let n_states = job.states.len();
    for (place, (nth, state)) in (1..).zip(&job.states) {
        for (at, kind) in shards[*nth].run.whole_events(job.id, state)? {
            // Only the last part has the result.
            if matches!(kind, EventKind::Finished(_) | EventKind::Restored(_)) && place < n_states {
                continue;
            }
            events.push((*nth, Event { job: job.id, index, at, kind }));
        }
    }
    Ok(events)
}
