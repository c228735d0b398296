//! Promises of the selection of jobs, and of reopening them.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::model::event::ReopenTarget;
use crate::model::phase::Phase;
use crate::store::selection::RetrySelection;

/// Returns a run of seven jobs: succeeded, failed before a task, lost with a task, moderated, in doubt and counted, in doubt by
/// a crash, pending.
fn ended<P: TestPlace>(place: &P) -> Box<dyn RunWriter> {
    let (mut driven, jobs) = place.drive(&["ok", "bad", "lost", "rude", "doubt", "crash", "new"]);
    let submitted = || EventKind::SubmitStarted;
    driven.live(&jobs[0], [submitted(), accepted("t"), succeeded(&["a", "b"])]);
    driven.live(&jobs[1], [submitted(), failed(FaultKind::InvalidRequest)]);
    driven.live(&jobs[2], [submitted(), accepted("t"), failed(FaultKind::TaskLost)]);
    driven.live(&jobs[3], [submitted(), accepted("t"), failed(FaultKind::Moderated)]);
    driven.live(&jobs[4], [submitted(), setback(Stage::Submit, FaultKind::InDoubt)]);
    driven.live(&jobs[5], [submitted()]);
    driven.close()
}

fn of(codes: &[&str]) -> RetrySelection {
    RetrySelection::Failed { codes: codes.iter().map(|code| (*code).to_owned()).collect(), force_resubmit: false }
}

fn forced(codes: &[&str]) -> RetrySelection {
    RetrySelection::Failed { codes: codes.iter().map(|code| (*code).to_owned()).collect(), force_resubmit: true }
}

/// Returns the prompts that a session of the selected jobs hands out, in its order.
fn handed_out(run: Box<dyn RunWriter>) -> (Vec<String>, Box<dyn RunWriter>) {
    let mut driven = Driven::start(run, JobScope::Selected);
    (driven.hand_out(100), driven.close())
}

pub(super) fn only_the_failures_that_are_selected_are_handed_out_again<P: TestPlace>() {
    for (codes, expected, n) in [
        (&["task_lost", "invalid_request"][..], &["lost", "bad"][..], 2),
        (&["moderated"], &["rude"], 1),
        (&["in_doubt"], &["doubt", "crash"], 2),
        (&["transient"], &[], 0),
    ] {
        let place = P::new();
        let mut run = ended(&place);
        assert_eq!(run.reopen(NOW, &of(codes)).unwrap(), n, "{codes:?}");
        assert_eq!(handed_out(run).0, expected, "{codes:?}");
    }
}

pub(super) fn any_jobs_can_be_selected<P: TestPlace>() {
    let place = P::new();
    let mut run = ended(&place);
    let n = run.select_if(&mut |record| matches!(record.job.request.prompt.as_str(), "ok" | "crash" | "new")).unwrap();
    assert_eq!(n, 3);
    let (handed_out, mut run) = handed_out(run);
    assert_eq!(handed_out, ["crash", "new"], "a selection hands out no job that has ended");
    assert_eq!(run.select_if(&mut |_| false).unwrap(), 0, "each selection replaces the one before");
}

pub(super) fn a_job_returns_to_its_task_where_that_may_still_give_the_image<P: TestPlace>() {
    let place = P::new();
    let mut run = ended(&place);
    run.reopen(NOW, &of(&["task_lost", "invalid_request", "moderated", "in_doubt"])).unwrap();
    assert_eq!(statuses(&*run), ["succeeded", "pending", "running", "pending", "pending", "pending", "pending"]);
    let jobs = all(&*run);
    assert_eq!(jobs[5].state.n_in_doubt, 1, "a doubt that is not counted yet is counted first");
    assert!(jobs[1..6].iter().all(|record| record.state.n_reopened == 1 && record.state.last_fault.is_none()));
    let kinds: Vec<_> = run.events(jobs[2].job.id).unwrap().into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds.last(), Some(&EventKind::Reopened(ReopenTarget::Fetch)));
    assert_eq!(run.incidents().unwrap().n_reopened, 5);
}

pub(super) fn an_interrupted_retry_continues<P: TestPlace>() {
    let place = P::new();
    let mut run = ended(&place);
    assert_eq!(run.reopen(NOW, &of(&["task_lost"])).unwrap(), 1);
    drop(run);
    let mut run = place.try_open(None).unwrap();
    assert_eq!(run.reopen(NOW, &of(&["task_lost"])).unwrap(), 1);
    let (prompts, run) = handed_out(run);
    assert_eq!(prompts, ["lost"]);
    assert_eq!(all(&*run)[2].state.n_reopened, 1, "it is not reopened a second time");
}

pub(super) fn a_new_submission_can_be_forced<P: TestPlace>() {
    let place = P::new();
    let mut run = ended(&place);
    assert_eq!(run.reopen(NOW, &forced(&["task_lost"])).unwrap(), 1);
    assert_eq!(statuses(&*run)[2], "pending");
}

/// Jobs that an earlier retry or repair left to others are not selected. A lost task is left to `run`, a doubt to the user.
pub(super) fn jobs_left_to_others_are_not_selected<P: TestPlace>() {
    let place = P::new();
    let mut run = ended(&place);
    run.reopen(NOW, &of(&["task_lost", "in_doubt"])).unwrap();
    let mut driven = Driven::start(run, JobScope::Unfinished);
    let jobs = driven.load(10).jobs;
    let of_prompt = |prompt: &str| jobs.iter().find(|record| record.job.request.prompt == prompt).unwrap();
    driven.live(of_prompt("lost"), [setback(Stage::Task, FaultKind::TaskLost)]);
    driven.live(of_prompt("doubt"), [EventKind::SubmitStarted, setback(Stage::Submit, FaultKind::InDoubt)]);
    let mut run = driven.close();
    assert_eq!(run.reopen(NOW, &of(&["moderated"])).unwrap(), 2);
    assert_eq!(handed_out(run).0, ["rude", "crash"], "the job of the crash is still under way");
}

/// Goal: no job is paid for again that the user did not name. Method: a reopened job whose task seems lost is held, and a retry
/// of other failures forces new submissions.
pub(super) fn a_job_held_with_a_lost_task_is_not_paid_for_unasked<P: TestPlace>() {
    let place = P::new();
    let mut run = ended(&place);
    run.reopen(NOW, &of(&["task_lost"])).unwrap();
    let mut driven = Driven::start(run, JobScope::Selected);
    let job = driven.load(10).jobs.remove(0);
    driven.live(&job, [setback(Stage::Poll, FaultKind::TaskLost)]);
    let mut run = driven.close();
    let held = all(&*run)[2].clone();
    assert_eq!(held.state.phase, Phase::Running(TaskId("t".into())));
    assert_eq!(run.reopen(NOW, &forced(&["moderated"])).unwrap(), 1);
    assert_eq!(all(&*run)[2], held, "its task is left as it is");
    assert_eq!(run.reopen(NOW, &of(&["task_lost"])).unwrap(), 2, "with the job that was reopened just now");
    assert_eq!(all(&*run)[2].state.n_reopened, 2, "another poll of its task, on request");
    assert_eq!(handed_out(run).0[0], "lost");
}

pub(super) fn the_images_of_a_reopened_job_are_forgotten<P: TestPlace>() {
    let place = P::new();
    let mut run = ended(&place);
    let job = all(&*run)[0].job.id;
    assert_eq!(run.artifacts(job).unwrap().len(), 2);
    assert_eq!(run.reopen(NOW, &RetrySelection::Jobs(vec![job, job])).unwrap(), 1, "two damaged images of one job");
    assert_eq!(run.refetching().unwrap(), [job]);
    assert_eq!(run.artifacts(job).unwrap(), []);
    assert_eq!(handed_out(run).0, ["ok"]);
}

pub(super) fn many_jobs_are_reopened<P: TestPlace>() {
    let place = P::new();
    let prompts: Vec<String> = (0..2500).map(|n| format!("cat {n}")).collect();
    let (mut driven, jobs) = place.drive(&prompts.iter().map(String::as_str).collect::<Vec<_>>());
    driven.record(&jobs.iter().map(|record| event(record, 1, failed(FaultKind::Transient))).collect::<Vec<_>>());
    let mut run = driven.close();
    assert_eq!(run.reopen(NOW, &of(&["transient"])).unwrap(), 2500);
    assert_eq!(run.counts().unwrap().n_pending, 2500);
}

pub(super) fn a_selection_is_narrowed_to_jobs_under_way_first<P: TestPlace>() {
    let place = P::new();
    let mut run = ended(&place);
    let selection = of(&["task_lost", "invalid_request", "moderated", "in_doubt"]);
    assert_eq!((run.select(&selection).unwrap(), run.narrow(3).unwrap()), (5, 3));
    run.reopen_selected(NOW, &selection).unwrap();
    assert_eq!(statuses(&*run), ["succeeded", "pending", "failed", "moderated", "pending", "pending", "pending"]);
    assert_eq!(run.incidents().unwrap().n_reopened, 3);
    assert_eq!(handed_out(run).0, ["bad", "doubt", "crash"]);
}

pub(super) fn a_selection_is_narrowed_to_the_jobs_that_ended_first<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["a", "b", "c", "d"]);
    let ends = [30, 10, 20, 10];
    let failures = jobs.iter().zip(ends).map(|(record, at)| event(record, at, failed(FaultKind::Moderated)));
    driven.record(&failures.collect::<Vec<_>>());
    let mut run = driven.close();
    let selection = of(&["moderated"]);
    assert_eq!((run.select(&selection).unwrap(), run.narrow(3).unwrap()), (4, 3));
    run.reopen_selected(NOW, &selection).unwrap();
    assert_eq!(handed_out(run).0, ["b", "c", "d"], "the one that ended last is left out");
}

/// Returns a step of a job's life, as a run could record it.
fn step(n: u8) -> EventKind {
    match n {
        0 => EventKind::SubmitStarted,
        1 => accepted("t"),
        2 => setback(Stage::Submit, FaultKind::InDoubt),
        3 => setback(Stage::Submit, FaultKind::Rejected),
        4 => setback(Stage::Poll, FaultKind::TaskLost),
        5 => setback(Stage::Task, FaultKind::TaskLost),
        6 => failed(FaultKind::TaskLost),
        7 => failed(FaultKind::Moderated),
        8 => failed(FaultKind::Transient),
        9 => setback(Stage::Download, FaultKind::BadOutput),
        10 => EventKind::Ready(vec![]),
        _ => EventKind::Reopened(ReopenTarget::Fetch),
    }
}

/// Goal: every store selects and reopens the same jobs. Method: any lives of a few jobs, and each selection. Compare with the
/// rule of `RetrySelection::includes` and `RetrySelection::reopens`, which needs no store.
pub(super) fn the_selection_is_that_of_the_rule<P: TestPlace>() {
    let lives = prop::collection::vec(prop::collection::vec(0..12_u8, 0..6), 4);
    let codes = prop::sample::subsequence(vec!["task_lost", "moderated", "in_doubt", "bad_output", "transient"], 0..5);
    let strategy = (lives, codes, any::<bool>());
    let checked = TestRunner::new(ProptestConfig::with_cases(60)).run(&strategy, |(lives, codes, is_forced)| {
        let place = P::new();
        let (mut driven, jobs) = place.drive(&["a", "b", "c", "d"]);
        for (record, life) in jobs.iter().zip(&lives) {
            driven.live(record, life.iter().map(|n| step(*n)));
        }
        let mut run = driven.close();
        import(&mut *run, &["c", "b", "a"]);
        let selection = if is_forced { forced(&codes) } else { of(&codes) };
        let before = all(&*run);
        let expected: Vec<_> = before.iter().filter(|record| selection.includes(record)).collect();
        prop_assert_eq!(run.select(&selection).unwrap(), expected.len() as u64);
        run.reopen_selected(NOW, &selection).unwrap();
        for (before, after) in before.iter().zip(all(&*run)) {
            let mut state = before.state.clone();
            if selection.includes(before) && selection.reopens(&before.state) {
                for event in selection.reopening(NOW, before) {
                    state.apply(event.at, &event.kind);
                }
            }
            prop_assert_eq!(state, after.state);
        }
        Ok(())
    });
    checked.unwrap();
}
