//! Random walks: the promises hold for any answers of the provider, in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::test_effort::cases;

/// Record of one job, against which the engine is checked.
#[derive(Default)]
struct Witness {
    n_submits: u32,
    n_accepted: u32,
    n_in_doubt: u32,
    n_lost: u32,
    is_finished: bool,
}

/// Goal: no answer of the provider makes the engine pay twice, forget a job, hang, or exceed its limits.
///
/// Method: answer every action at random, in random order and with random delays, and check each turn.
fn walk(seed: u64, n_jobs: u64, concurrency: u32) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let settles_after = rng.bool().then(|| Duration::from_secs(5));
    let limits = Limits { seed, look_ahead_max: 8, settles_after, ..fixed(concurrency) };
    let mut bench = Bench { engine: Engine::new(limits.clone()), now: START, events: vec![] };
    let mut witnesses: BTreeMap<JobId, Witness> = BTreeMap::new();
    let mut open: Vec<Action> = vec![];
    let mut n_handed_out = 0;
    for _ in 0..100_000 {
        let turn = bench.turn();
        for event in &turn.events {
            note(witnesses.entry(event.job).or_default(), &event.kind);
        }
        let started: BTreeSet<_> =
            turn.events.iter().filter(|event| event.kind == EventKind::SubmitStarted).map(|event| event.job).collect();
        let left: BTreeSet<_> = turn
            .actions
            .iter()
            .filter_map(|action| if let Action::Submit(job, _) = action { Some(job.id) } else { None })
            .collect();
        assert_eq!(started, left, "what leaves is what is recorded");
        assert!(bench.engine.0.lane.n_in_flight() <= concurrency as usize);
        open.extend(turn.actions);
        if turn.is_last {
            // A stop that completes nothing waits only a moment for polls and downloads.
            let is_cut_short = bench.engine.stop().is_some_and(|stop| !stop.drains());
            assert!(is_cut_short || open.is_empty());
            assert!(
                !open.iter().any(|action| matches!(action, Action::Submit(..))),
                "a submission is always waited for"
            );
            assert!(witnesses.len() as u64 == n_jobs || bench.engine.stop().is_some());
            let is_left = |witness: &Witness| witness.n_in_doubt + witness.n_lost >= limits.resubmits_max;
            let is_stopped = bench.engine.stop().is_some();
            assert!(witnesses.values().all(|witness| witness.is_finished || is_left(witness) || is_stopped));
            return;
        }
        if open.is_empty() || (turn.wake_at.is_some() && rng.u8(..) < 80) {
            let wake_at = turn.wake_at.expect("nothing is under way, so time must pass").max(bench.now);
            bench.wait(wake_at - bench.now);
        }
        if !open.is_empty() && rng.u8(..) < 200 {
            let action = open.swap_remove(rng.usize(..open.len()));
            bench.wait(Duration::from_millis(rng.u64(..2000)));
            answer(&mut bench, &mut rng, action, &mut n_handed_out, n_jobs);
        }
    }
    panic!("seed {seed}: the walk does not end");
}

fn note(witness: &mut Witness, kind: &EventKind) {
    assert!(!witness.is_finished, "nothing happens to a finished job");
    match kind {
        EventKind::SubmitStarted => witness.n_submits += 1,
        EventKind::Accepted(_) => witness.n_accepted += 1,
        EventKind::Setback(Stage::Submit, fault) if fault.kind.leaves_doubt() => witness.n_in_doubt += 1,
        EventKind::Setback(Stage::Task, _) => witness.n_lost += 1,
        EventKind::Finished(_) => witness.is_finished = true,
        EventKind::Charged(_)
        | EventKind::Ready(_)
        | EventKind::Setback(..)
        | EventKind::Reopened(_)
        | EventKind::Redone(_)
        | EventKind::Restored(_) => (),
    }
    assert!(witness.n_accepted <= 1 + witness.n_lost, "an accepted task is submitted again only when it is lost");
    assert!(witness.n_lost <= 2 && witness.n_lost + witness.n_in_doubt <= 3, "and only as often as the limit says");
}

fn answer(bench: &mut Bench, rng: &mut fastrand::Rng, action: Action, n_handed_out: &mut u64, n_jobs: u64) {
    let kinds = [
        FaultKind::Throttled { retry_after: None },
        FaultKind::Throttled { retry_after: Some(Duration::from_secs(3)) },
        FaultKind::Transient,
        FaultKind::InDoubt,
        FaultKind::Rejected,
        FaultKind::Unauthorized,
        FaultKind::TaskLost,
        FaultKind::Moderated,
        FaultKind::InvalidRequest,
        FaultKind::BadOutput,
    ];
    let any = fault(kinds[rng.usize(..kinds.len())]);
    let is_well = rng.u8(..) < 128;
    match action {
        Action::Load { max, .. } => {
            let first = *n_handed_out + 1;
            *n_handed_out = (*n_handed_out + max as u64).min(n_jobs);
            let jobs = (first..=*n_handed_out).map(pending).collect();
            bench.handle(Input::Loaded { jobs, more: More::now_if(*n_handed_out < n_jobs) });
        }
        Action::Submit(job, _) => {
            let images = if rng.bool() { urls(job.index) } else { vec![] };
            let accepted = Acceptance { images, ..task(job.index).into() };
            let result = if is_well { Ok(accepted) } else { Err(any) };
            bench.handle(Input::Submitted(job.id, result));
        }
        Action::Reserve(_) => panic!("no rate is shared"),
        Action::Find(lost) => {
            let found = lost.iter().map(|lost| {
                let images = if rng.bool() { urls(lost.job.index) } else { vec![] };
                let accepted = Found::Accepted(Box::new(Acceptance { images, ..task(lost.job.index).into() }));
                let answers = [Ok(accepted), Ok(Found::Absent), Ok(Found::Unknown), Err(any.clone())];
                (lost.job.id, answers[rng.usize(..4)].clone())
            });
            let found = found.collect();
            bench.handle(Input::Found(found));
        }
        Action::Poll(batch) => {
            let status = [Ok(Status::Running), Ok(Status::Failed(any.clone())), Err(any)][rng.usize(..3)].clone();
            let status = if is_well { Ok(Status::Done(urls(1))) } else { status };
            bench.handle(Input::Polled(batch.into_iter().map(|(id, _)| (id, status.clone())).collect()));
        }
        Action::Download(origin, _) => {
            let result = if is_well { Ok(vec![artifact()]) } else { Err(any) };
            bench.handle(Input::Downloaded(origin.job.id, result));
        }
    }
}

/// Case: an image host seemed down, and the jobs with images there then lost their tasks, so that nothing could have shown that it works again.
#[test]
fn a_host_that_no_job_waits_for_stops_no_run() {
    walk(12_582_091_125_967_856_222, 22, 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(200), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_breaks_a_promise(seed: u64, n_jobs in 1_u64..40, concurrency in 1_u32..12) {
        walk(seed, n_jobs, concurrency);
    }
}
