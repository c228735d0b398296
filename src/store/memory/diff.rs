//! Differences between a manifest and the content of a ledger in memory.

use crate::model::counts::StatusCounts;
use crate::model::job::JobSpec;
use crate::model::phase::JobRecord;
use crate::store::JobSet;
use crate::store::diff::{DiffEntry, ManifestDiff};
use crate::store::import::SeeRow;
use crate::store::memory::content::{Content, numbered, stays};
use crate::store::memory::queries::counts;

/// Compares the rows of a manifest with the jobs. Lists the first `shown_max` jobs of each kind.
pub(super) fn diff(content: &Content, rows: Vec<JobSpec>, shown_max: usize, see: &mut SeeRow<'_>) -> ManifestDiff {
    let mut diff = ManifestDiff::default();
    let (mut found, mut unknown, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for (id, index, row) in numbered(rows) {
        match content.job(id) {
            Some(record) if row.row.is_skipped && !stays(record) => {
                if record.job.index > 0 {
                    skipped.push(record);
                }
            }
            None if row.row.is_skipped => {}
            Some(record) => {
                see(&row, index, id, StatusCounts::of(&record.state));
                found.push(record);
                if record.job.index > 0 {
                    diff.n_kept += 1;
                    diff.n_moved += u64::from(record.job.index != index);
                    let is_same = record.job.label == row.label && record.job.extras == row.extras;
                    diff.n_relabelled += u64::from(!is_same);
                } else {
                    diff.n_back += 1;
                    diff.back.push(DiffEntry::new(index, row));
                }
            }
            None => {
                see(&row, index, id, StatusCounts { n_pending: 1, ..StatusCounts::default() });
                unknown.push(DiffEntry::new(index, row));
            }
        }
    }
    diff.standing = counts(found.iter().map(|record| &record.state));
    diff.n_skipped = skipped.len() as u64;
    let is_gone = |record: &&JobRecord| !found.iter().chain(&skipped).any(|other| other.job.id == record.job.id);
    let gone: Vec<_> = content.jobs_of(JobSet::InManifest).into_iter().filter(is_gone).collect();
    diff.leaving = counts(gone.iter().chain(&skipped).map(|record| &record.state));
    diff.dropped = gone.into_iter().map(entry).collect();
    pair(unknown, &mut diff);
    (diff.n_new, diff.n_changed) = (diff.new.len() as u64, diff.changed.len() as u64);
    diff.n_dropped = diff.dropped.len() as u64;
    diff.changed.sort_by_key(|(_, is)| is.index);
    for list in [&mut diff.new, &mut diff.back, &mut diff.dropped] {
        list.truncate(shown_max);
    }
    diff.changed.truncate(shown_max);
    diff
}

/// Pairs new jobs with dropped ones: first by equal user id, then by equal position, unless both have user ids that differ.
fn pair(unknown: Vec<DiffEntry>, diff: &mut ManifestDiff) {
    let mut unnamed = Vec::new();
    for is in unknown {
        match take(&mut diff.dropped, |was| is.label.is_some() && was.label == is.label) {
            Some(was) => diff.changed.push((was, is)),
            None => unnamed.push(is),
        }
    }
    for is in unnamed {
        let is_place = |was: &DiffEntry| was.index == is.index && (was.label.is_none() || is.label.is_none());
        match take(&mut diff.dropped, is_place) {
            Some(was) => diff.changed.push((was, is)),
            None => diff.new.push(is),
        }
    }
}

/// Removes and returns the first entry that matches.
fn take(from: &mut Vec<DiffEntry>, is_it: impl Fn(&DiffEntry) -> bool) -> Option<DiffEntry> {
    from.iter().position(is_it).map(|place| from.remove(place))
}

fn entry(record: &JobRecord) -> DiffEntry {
    let job = &record.job;
    DiffEntry { index: job.index, label: job.label.clone(), request: job.request.clone() }
}
