//! Promises of `Ledger::load`.

use super::*;
use crate::model::job::JobId;
use crate::store::shuffle::ring_start;

pub(super) fn unfinished_jobs_are_handed_out_first_and_each_once<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["a", "b", "c", "d", "e"]);
    driven.live(&jobs[4], [EventKind::SubmitStarted, accepted("t")]);
    driven.live(&jobs[2], [EventKind::SubmitStarted]);
    let mut driven = Driven::start(driven.close(), JobScope::Unfinished);
    assert_eq!(driven.hand_out(2), ["c", "e", "a", "b", "d"]);
    assert_eq!(driven.load(2), Loaded::default());
}

pub(super) fn a_job_that_moves_on_while_others_are_loaded_is_not_handed_out_twice<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["a", "b"]);
    driven.record(&jobs.iter().map(|record| event(record, 1, EventKind::SubmitStarted)).collect::<Vec<_>>());
    let mut driven = Driven::start(driven.close(), JobScope::Unfinished);
    let first = driven.load(1).jobs;
    driven.live(&first[0], [accepted("t")]);
    let rest = driven.load(10);
    assert_eq!(rest.jobs.len(), 1);
    assert_ne!(rest.jobs[0].job.id, first[0].job.id);
}

pub(super) fn finished_and_dropped_jobs_are_not_handed_out<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["a", "b", "c", "d"]);
    driven.live(&jobs[0], [succeeded(&["a"])]);
    driven.live(&jobs[1], [failed(FaultKind::Moderated)]);
    driven.live(&jobs[2], [EventKind::SubmitStarted, accepted("t")]);
    let mut run = driven.close();
    import(&mut *run, &["d", "b", "a"]);
    assert_eq!(run.n_orphaned().unwrap(), 1, "c is under way and dropped");
    assert_eq!(Driven::start(run, JobScope::Unfinished).hand_out(10), ["d"]);
}

/// Imports these prompts, to be handed out in the order of the seed.
fn shuffled(mut run: Box<dyn RunWriter>, prompts: &[String], seed: Option<u64>) -> Box<dyn RunWriter> {
    let prompts: Vec<_> = prompts.iter().map(String::as_str).collect();
    run.import(&ManifestFacts { shuffle: seed, ..ManifestFacts::default() }, rows(&prompts)).unwrap();
    run
}

/// Returns the order in which forty jobs are handed out, three at a time.
fn order<P: TestPlace>(seed: Option<u64>) -> Vec<String> {
    let prompts: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let place = P::new();
    let run = shuffled(place.open(), &prompts, seed);
    Driven::start(run, JobScope::Unfinished).hand_out(3)
}

pub(super) fn every_job_is_handed_out_once_in_an_order_that_the_seed_draws<P: TestPlace>() {
    let in_order: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(order::<P>(None), in_order);
    let (one, two) = (order::<P>(Some(1)), order::<P>(Some(2)));
    assert_eq!(one, order::<P>(Some(1)), "the same seed is the same order");
    let start = ring_start("1");
    let mut ring = in_order.clone();
    ring.sort_by_key(|prompt| {
        let id = JobId::new(&draft(prompt).request.content(), 0);
        (*id.bytes() <= start, id)
    });
    assert_eq!(one, ring, "the same order in every store");
    assert_ne!(one, in_order);
    assert_ne!(one[0], two[0]);
    for order in [one, two] {
        let mut sorted = order.clone();
        sorted.sort_by_key(|prompt| prompt.parse::<u32>().unwrap());
        assert_eq!(sorted, in_order, "{order:?}");
    }
}

/// Goal: a resume continues in the same order, with submitted jobs first. Method: finish none of the first five, and open
/// it again.
pub(super) fn a_resume_continues_in_the_shuffled_order<P: TestPlace>() {
    let place = P::new();
    let prompts: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let run = shuffled(place.open(), &prompts, Some(9));
    let mut driven = Driven::start(run, JobScope::Unfinished);
    let first = driven.load(5).jobs;
    driven.record(&first.iter().map(|record| event(record, 1, EventKind::SubmitStarted)).collect::<Vec<_>>());
    let rest = driven.hand_out(3);
    let mut driven = Driven::start(driven.close(), JobScope::Unfinished);
    assert_eq!(driven.hand_out(3)[5..], rest, "pending ones in the order of before");
    let run = shuffled(driven.close(), &prompts, None);
    let pending = Driven::start(run, JobScope::Unfinished).hand_out(3)[5..].to_vec();
    let numbers: Vec<u32> = pending.iter().map(|prompt| prompt.parse().unwrap()).collect();
    assert!(numbers.is_sorted(), "in manifest order again: {numbers:?}");
}
