//! Differences of manifests, against a simple model of the rule, and against the effect of the import.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::model::counts::StatusCounts;
use crate::model::outcome::Url;
use crate::store::diff::{DiffEntry, ManifestDiff};
use crate::store::format::phase;
use crate::store::typed::read_snapshot;

/// Jobs shown per list.
const SHOWN_MAX: usize = 3;

/// Row of a manifest: a content, an optional label, a note that is carried through, and whether the row is left out. Contents are few, so
/// that rows repeat.
type Line = (u8, Option<u8>, u8, bool);

fn row((content, label, note, is_skipped): Line) -> JobSpec {
    let request = Request { prompt: format!("prompt {content}"), model: "a/b".into(), ..Request::default() };
    let extras = if note == 0 { vec![] } else { vec![("note".to_owned(), note.to_string())] };
    let row = ManifestRow { number: Some(u64::from(note) + 1), is_skipped };
    JobSpec { label: label.map(|label| format!("label {label}")), request, extras, row }
}

fn rows(lines: &[Line]) -> impl Iterator<Item = Result<JobSpec, LedgerError>> {
    lines.iter().map(|line| Ok(row(*line)))
}

/// Job as the model knows it.
#[derive(Clone)]
struct ModelJob {
    /// Line and index in the last manifest that had the job.
    line: Line,
    index: u64,
    is_in: bool,
    phase: i64,
}

impl ModelJob {
    fn shown(&self) -> DiffEntry {
        DiffEntry::new(self.index, row(self.line))
    }

    fn name(&self) -> Option<u8> {
        self.line.1
    }

    /// Returns whether a job in this phase is left out because its row says so.
    fn is_left_out(&self, phase: i64) -> bool {
        self.line.3 && phase < phase::RUNNING
    }

    /// Returns what the results show, apart from the number of the row.
    fn carried(&self) -> (Option<u8>, u8) {
        (self.line.1, self.line.2)
    }
}

/// Every job ever imported, by its content and the number of equal rows before it.
type Model = BTreeMap<(u8, usize), ModelJob>;

/// Applies the rule in its shortest form: the `n`-th row of a content is the `n`-th job of that content.
fn wanted(lines: &[Line]) -> Vec<((u8, usize), ModelJob)> {
    let name = |i: usize| (lines[i].0, lines[..i].iter().filter(|line| line.0 == lines[i].0).count());
    let job = |i: usize| ModelJob { line: lines[i], index: i as u64 + 1, is_in: true, phase: phase::PENDING };
    (0..lines.len()).map(|i| (name(i), job(i))).collect()
}

fn counts<'a>(jobs: impl Iterator<Item = &'a ModelJob>) -> StatusCounts {
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
fn take(from: &mut Vec<ModelJob>, is_it: impl Fn(&ModelJob) -> bool) -> Option<ModelJob> {
    from.iter().position(is_it).map(|i| from.remove(i))
}

fn expected(model: &Model, lines: &[Line]) -> ManifestDiff {
    let wanted = wanted(lines);
    let (mut kept, mut back, mut unknown, mut skipped) = (vec![], vec![], vec![], vec![]);
    for (name, job) in &wanted {
        match model.get(name) {
            Some(known) if job.is_left_out(known.phase) => skipped.extend(known.is_in.then(|| known.clone())),
            None if job.line.3 => {}
            Some(known) if known.is_in => kept.push((known, job)),
            Some(known) => back.push((known, job)),
            None => unknown.push(job.clone()),
        }
    }
    let is_wanted = |name: &(u8, usize)| wanted.iter().any(|(other, _)| other == name);
    let gone = model.iter().filter(|(name, job)| job.is_in && !is_wanted(name)).map(|(_, job)| job.clone());
    let mut gone: Vec<_> = gone.collect();
    gone.sort_by_key(|job| job.index);
    let leaving = counts(gone.iter().chain(&skipped));
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
        let is_predecessor = |old: &ModelJob| old.index == job.index && (old.name().is_none() || job.name().is_none());
        match take(&mut gone, is_predecessor) {
            Some(old) => changed.push((old, job)),
            None => new.push(job),
        }
    }
    changed.sort_by_key(|(_, job)| job.index);
    let is_moved = |(known, job): &&(&ModelJob, &ModelJob)| known.index != job.index;
    let first = |jobs: &[ModelJob]| jobs.iter().take(SHOWN_MAX).map(ModelJob::shown).collect();
    ManifestDiff {
        n_new: new.len() as u64,
        n_changed: changed.len() as u64,
        n_kept: kept.len() as u64,
        n_moved: kept.iter().filter(is_moved).count() as u64,
        n_relabelled: kept.iter().filter(|(known, job)| known.carried() != job.carried()).count() as u64,
        n_back: back.len() as u64,
        n_dropped: gone.len() as u64,
        n_skipped: skipped.len() as u64,
        standing: counts(kept.iter().chain(&back).map(|(known, _)| *known)),
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
        let phase = model.get(&name).map_or(phase::PENDING, |known| known.phase);
        let (is_in, line) = (!job.is_left_out(phase), model.get(&name).map_or(job.line, |known| known.line));
        let job = if is_in { job } else { ModelJob { line, ..job } };
        model.insert(name, ModelJob { is_in, phase, ..job });
    }
}

/// Returns events that lead to this phase from any other that is not an end.
fn way_to(phase: i64) -> Vec<EventKind> {
    let ready = EventKind::Ready(vec![Url("https://x/1".into())]);
    match phase {
        phase::PENDING => vec![setback(Stage::Submit, FaultKind::Transient)],
        phase::SUBMITTING => vec![EventKind::SubmitStarted],
        phase::RUNNING => vec![EventKind::SubmitStarted, accepted("t")],
        phase::DOWNLOADING => vec![EventKind::SubmitStarted, accepted("t"), ready],
        phase::SUCCEEDED => vec![succeeded(&["a"])],
        phase::MODERATED => vec![failed(FaultKind::Moderated)],
        _ => vec![failed(FaultKind::Transient)],
    }
}

/// Leads the unfinished jobs of the manifest to the phases of `phases` in turn.
fn live(run: Box<dyn RunWriter>, model: &mut Model, phases: &[i64]) -> Box<dyn RunWriter> {
    let mut driven = Driven::start(run, JobScope::Unfinished);
    let jobs = driven.load(100).jobs;
    let mut events = vec![];
    for (record, phase) in jobs.iter().zip(phases.iter().cycle()) {
        events.extend(way_to(*phase).into_iter().map(|kind| event(record, 1, kind)));
        let job = model.values_mut().find(|job| job.is_in && job.index == record.job.index);
        job.unwrap().phase = *phase;
    }
    driven.record(&events);
    driven.close()
}

/// Goal: the differences predict the import exactly, to the last job, however the manifest is edited. Method: import one
/// manifest after the other, made from few contents, labels and notes. Before each import, compare a reader's result with
/// the model. After it, compare again.
pub(super) fn the_difference_is_what_the_import_then_does<P: TestPlace>() {
    let lines = (0..5_u8, prop::option::of(0..3_u8), 0..2_u8, prop::bool::weighted(0.2));
    let lines = prop::collection::vec(lines, 0..12);
    let phases = prop::collection::vec(phase::PENDING..=phase::FAILED, 1..9);
    let manifests = prop::collection::vec((lines, phases), 1..5);
    let checked = TestRunner::new(ProptestConfig::with_cases(100)).run(&manifests, |manifests| {
        let place = P::new();
        let mut run = place.open();
        let mut model = Model::new();
        for (lines, phases) in manifests {
            let n_out = model.values().filter(|job| !job.is_in).count() as u64;
            let mut seen = (vec![], StatusCounts::default());
            let diff = read_snapshot(place.store(), place.out(), |reader| {
                seen = Default::default();
                reader.diff(rows(&lines), SHOWN_MAX, |_, index, id, status| {
                    seen.0.push((index, id));
                    seen.1 += status;
                })
            });
            let diff = diff.unwrap();
            prop_assert_eq!(&diff, &expected(&model, &lines));

            let imported = run.import(&ManifestFacts::default(), rows(&lines)).unwrap();
            let (n_new, n_kept) = (diff.n_new + diff.n_changed, diff.n_kept + diff.n_back);
            let wanted = wanted(&lines);
            let is_left_out = |(name, job): &&(_, ModelJob)| {
                job.is_left_out(model.get(name).map_or(phase::PENDING, |known| known.phase))
            };
            let n_skipped = wanted.iter().filter(is_left_out).count() as u64;
            // Skipped jobs that were out before are not dropped, and those that are new are in no other number.
            let was_out = |(name, _): &&(_, ModelJob)| model.get(name).is_some_and(|known| !known.is_in);
            let n_still_out = wanted.iter().filter(is_left_out).filter(was_out).count() as u64;
            let n_dropped = n_out + diff.n_dropped + diff.n_changed - diff.n_back - n_still_out;
            let n_left = diff.leaving.n_jobs() - diff.n_skipped;
            let n_before = diff.n_kept + n_left + diff.n_skipped;
            prop_assert_eq!(imported, Imported { n_new, n_kept, n_dropped, n_before, n_left, n_skipped });
            let n_pending = diff.standing.n_pending + n_new;
            prop_assert_eq!(run.counts().unwrap(), StatusCounts { n_pending, ..diff.standing });
            prop_assert_eq!(run.counts().unwrap(), seen.1);
            let jobs = all(&*run).iter().map(|record| (record.job.index, record.job.id)).collect::<Vec<_>>();
            prop_assert_eq!(jobs, seen.0, "the comparison knows the ids of new jobs too");
            take_in(&mut model, &lines);
            run = live(run, &mut model, &phases);
        }
        Ok(())
    });
    checked.unwrap();
}
