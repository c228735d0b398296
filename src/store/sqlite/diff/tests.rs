//! Tests of the differences: against a simple model of the same rule, and against the effect of the import.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::counts::StatusCounts;
use crate::model::request::Request;
use crate::store::format::phase;
use crate::store::import::Imported;
use crate::store::sqlite::SqliteStore;
use crate::store::typed::Typed;
use crate::store::{RunReader, stores};

/// Jobs shown per list.
const SHOWN_MAX: usize = 3;

/// Row of a manifest: a content, an optional label, and a note that is carried through. Contents are few, so that rows repeat.
type Line = (u8, Option<u8>, u8);

fn draft((content, label, note): Line) -> JobSpec {
    let request = Request { prompt: format!("prompt {content}"), model: "a/b".into(), ..Request::default() };
    let extras = if note == 0 { vec![] } else { vec![("note".to_owned(), note.to_string())] };
    JobSpec { label: label.map(|label| format!("label {label}")), request, extras }
}

fn drafts(lines: &[Line]) -> impl Iterator<Item = Result<JobSpec, LedgerError>> {
    lines.iter().map(|line| Ok(draft(*line)))
}

/// Job as the model knows it.
#[derive(Clone)]
struct Job {
    /// Line and index in the last manifest that had the job.
    line: Line,
    index: u64,
    is_in: bool,
    phase: i64,
}

impl Job {
    fn shown(&self) -> DiffEntry {
        DiffEntry::new(self.index, draft(self.line))
    }

    fn name(&self) -> Option<u8> {
        self.line.1
    }
}

/// Every job ever imported, by its content and the number of equal rows before it.
type Model = BTreeMap<(u8, usize), Job>;

/// Applies the rule in its shortest form: the `n`-th row of a content is the `n`-th job of that content.
fn wanted(lines: &[Line]) -> Vec<((u8, usize), Job)> {
    let name = |i: usize| (lines[i].0, lines[..i].iter().filter(|line| line.0 == lines[i].0).count());
    let job = |i: usize| Job { line: lines[i], index: i as u64 + 1, is_in: true, phase: phase::PENDING };
    (0..lines.len()).map(|i| (name(i), job(i))).collect()
}

fn counts<'a>(jobs: impl Iterator<Item = &'a Job>) -> StatusCounts {
    let mut counts = StatusCounts::default();
    for job in jobs {
        match job.phase {
            phase::PENDING => counts.n_pending += 1,
            phase::SUBMITTING => counts.n_in_doubt += 1,
            phase::RUNNING | phase::DOWNLOADING => counts.n_running += 1,
            phase::SUCCEEDED => counts.n_succeeded += 1,
            phase::MODERATED => counts.n_moderated += 1,
            _ => counts.n_failed += 1,
        }
    }
    counts
}

/// Removes and returns the first job of `from` that matches.
fn take(from: &mut Vec<Job>, is_it: impl Fn(&Job) -> bool) -> Option<Job> {
    from.iter().position(is_it).map(|i| from.remove(i))
}

fn expected(model: &Model, lines: &[Line]) -> ManifestDiff {
    let wanted = wanted(lines);
    let (mut kept, mut back, mut unknown) = (vec![], vec![], vec![]);
    for (name, job) in &wanted {
        match model.get(name) {
            Some(had) if had.is_in => kept.push((had, job)),
            Some(had) => back.push((had, job)),
            None => unknown.push(job.clone()),
        }
    }
    let is_wanted = |name: &(u8, usize)| wanted.iter().any(|(other, _)| other == name);
    let gone = model.iter().filter(|(name, job)| job.is_in && !is_wanted(name)).map(|(_, job)| job.clone());
    let mut gone: Vec<_> = gone.collect();
    gone.sort_by_key(|job| job.index);
    let leaving = counts(gone.iter());
    // Names are matched first, and only then positions.
    let (mut changed, mut unnamed) = (vec![], vec![]);
    for job in unknown {
        match take(&mut gone, |old| job.name().is_some() && old.name() == job.name()) {
            Some(old) => changed.push((old, job)),
            None => unnamed.push(job),
        }
    }
    let mut new = vec![];
    for job in unnamed {
        let is_predecessor = |old: &Job| old.index == job.index && (old.name().is_none() || job.name().is_none());
        match take(&mut gone, is_predecessor) {
            Some(old) => changed.push((old, job)),
            None => new.push(job),
        }
    }
    changed.sort_by_key(|(_, job)| job.index);
    let is_moved = |(had, job): &&(&Job, &Job)| had.index != job.index;
    let first = |jobs: &[Job]| jobs.iter().take(SHOWN_MAX).map(Job::shown).collect();
    ManifestDiff {
        n_new: new.len() as u64,
        n_changed: changed.len() as u64,
        n_kept: kept.len() as u64,
        n_moved: kept.iter().filter(is_moved).count() as u64,
        n_relabelled: kept.iter().filter(|(had, job)| had.line != job.line).count() as u64,
        n_back: back.len() as u64,
        n_dropped: gone.len() as u64,
        standing: counts(kept.iter().chain(&back).map(|(had, _)| *had)),
        leaving,
        new: first(&new),
        changed: changed.iter().take(SHOWN_MAX).map(|(was, is)| (was.shown(), is.shown())).collect(),
        back: back.iter().take(SHOWN_MAX).map(|(_, job)| job.shown()).collect(),
        dropped: first(&gone),
    }
}

fn take_in(model: &mut Model, lines: &[Line]) {
    for job in model.values_mut() {
        job.is_in = false;
    }
    for (name, job) in wanted(lines) {
        let phase = model.get(&name).map_or(phase::PENDING, |had| had.phase);
        model.insert(name, Job { phase, ..job });
    }
}

/// Sets the phases of the jobs, in the order of their ids, to those of `at` in turn.
fn live(file: &SqliteStore, model: &mut Model, at: &[i64]) {
    for (((content, nth), job), phase) in model.iter_mut().zip(at.iter().cycle()) {
        job.phase = *phase;
        let id = JobId::new(&draft((*content, None, 0)).request.content(), u32::try_from(*nth).unwrap());
        let update = "UPDATE jobs SET phase = ?2 WHERE id = ?1";
        assert_eq!(file.database.connection.execute(update, params![id.bytes(), phase]).unwrap(), 1);
    }
    totals::recount(&file.database.connection).unwrap();
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    prop::collection::vec((0..5_u8, prop::option::of(0..3_u8), 0..2_u8), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Goal: the differences predict the import exactly, to the last job, however the manifest is edited. Method: import one
    /// manifest after the other, made from few contents, labels and notes. Before each import, compare a reader's result with
    /// the model. After it, compare again.
    #[test]
    fn the_difference_is_what_the_import_then_does(
        manifests in prop::collection::vec((lines(), prop::collection::vec(phase::PENDING..=phase::FAILED, 1..9)), 1..5),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
        // Sync is off: no power is lost here, and a sync per commit would take most of the time.
        file.database.connection.pragma_update(None, "synchronous", "off").unwrap();
        let mut model = Model::new();
        for (lines, phases) in manifests {
            let n_out = model.values().filter(|job| !job.is_in).count() as u64;
            let diff: Result<_, LedgerError> =
                stores::read_snapshot(folder.path(), |reader| reader.diff(drafts(&lines), SHOWN_MAX));
            let diff = diff.unwrap();
            prop_assert_eq!(&diff, &expected(&model, &lines));

            let imported = file.import("", &[], drafts(&lines)).unwrap();
            let (n_new, n_kept) = (diff.n_new + diff.n_changed, diff.n_kept + diff.n_back);
            let n_dropped = n_out + diff.n_dropped + diff.n_changed - diff.n_back;
            prop_assert_eq!(imported, Imported { n_new, n_kept, n_dropped });
            let n_pending = diff.standing.n_pending + n_new;
            prop_assert_eq!(file.counts().unwrap(), StatusCounts { n_pending, ..diff.standing });
            take_in(&mut model, &lines);
            live(&file, &mut model, &phases);
        }
    }
}

#[test]
fn a_second_difference_on_the_same_connection_starts_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
    file.import("", &[], drafts(&[(0, None, 0), (1, None, 0)])).unwrap();
    let kept = |lines: &[Line]| file.diff(drafts(lines), 1).unwrap().n_kept;
    assert_eq!((kept(&[(0, None, 0), (1, None, 0)]), kept(&[(0, None, 0)])), (2, 1));
}

#[test]
fn a_manifest_that_breaks_off_is_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteStore::open(folder.path(), "simulator").unwrap();
    let broken = drafts(&[(0, None, 0)]).chain([Err(LedgerError::WriterStopped)]);
    assert!(matches!(file.diff(broken, 1), Err(LedgerError::WriterStopped)));
}
