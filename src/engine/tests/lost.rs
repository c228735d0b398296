//! Submissions whose answer is lost, at a provider that can be asked about them.

use super::*;
use crate::model::amount::Amount;
use crate::model::limits::InDoubtPolicy;

const SETTLES_AFTER: Duration = Duration::from_secs(60);

fn findable() -> Limits {
    Limits {
        settles_after: Some(SETTLES_AFTER),
        price: "2 USD".parse().ok(),
        in_doubt: InDoubtPolicy::Hold,
        ..fixed(1)
    }
}

fn found(bench: &mut Bench, n: u64, answer: Result<Found, Fault>) {
    bench.handle(Input::Found(vec![(id(n), answer)]));
}

/// Expects the question about job `n`, and returns the number of its submission.
fn asked(bench: &mut Bench, n: u64) -> u32 {
    let actions = bench.next().actions;
    let [Action::Find(lost)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((lost.len(), lost[0].job.index), (1, n));
    lost[0].number
}

fn accepted(n: u64) -> Found {
    Found::Accepted(Box::new(task(n).into()))
}

fn cost(bench: &Bench) -> (Amount, Amount) {
    let cost = bench.engine.0.spending.cost().unwrap();
    (cost.sure, cost.in_doubt)
}

/// Goal: a submission that was accepted unnoticed is not paid for again. Method: its answer is lost; the provider finds it after its
/// settling time.
#[test]
fn a_submission_that_is_found_is_polled_and_never_repeated() {
    let mut bench = Bench::with_pending(findable(), 2);
    assert_eq!(bench.next().actions, [submit(1)]);
    let lost_at = bench.now;
    bench.submit_fault(1, FaultKind::InDoubt);
    assert_eq!(asked(&mut bench, 1), 1);
    assert_eq!(bench.now - lost_at, SETTLES_AFTER, "its slot stays taken, and nothing leaves before");
    found(&mut bench, 1, Ok(accepted(1)));
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.story(), "submit accepted");
    assert_eq!(bench.next().actions, [download(1), submit(2)]);
    assert_eq!(
        (bench.story(), cost(&bench)),
        ("submit accepted ready submit".into(), (Amount::new(2.0), Amount::ZERO))
    );
}

#[test]
fn a_submission_that_is_surely_absent_is_sent_again_even_if_doubts_are_held() {
    let mut bench = Bench::with_pending(findable(), 1);
    assert_eq!(bench.next().actions, [submit(1)]);
    bench.submit_fault(1, FaultKind::InDoubt);
    asked(&mut bench, 1);
    found(&mut bench, 1, Ok(Found::Absent));
    assert_eq!(bench.next().actions, [submit(1)]);
    assert_eq!((bench.story(), cost(&bench)), ("submit submit!transient submit".into(), (Amount::ZERO, Amount::ZERO)));
    let state = &bench.engine.0.jobs[&id(1)].state;
    assert_eq!((state.n_in_doubt, state.submission_number()), (0, 2));
}

#[test]
fn a_submission_of_which_nothing_is_known_follows_the_users_choice() {
    let unknown = |answer: &Result<Found, Fault>, in_doubt| {
        let mut bench = Bench::with_pending(Limits { in_doubt, ..findable() }, 1);
        assert_eq!(bench.next().actions, [submit(1)]);
        bench.submit_fault(1, FaultKind::InDoubt);
        asked(&mut bench, 1);
        let first_at = bench.now;
        found(&mut bench, 1, answer.clone());
        // No answer is not an answer: the question is repeated for as long as an outage may last.
        while answer.is_err() && bench.now - first_at < Limits::default().outage_max {
            asked(&mut bench, 1);
            found(&mut bench, 1, answer.clone());
        }
        let is_sent_again = bench.next().actions == [submit(1)];
        assert_eq!(cost(&bench), (Amount::ZERO, Amount::new(2.0)));
        (is_sent_again, bench.story())
    };
    for answer in [Ok(Found::Unknown), Err(fault(FaultKind::Transient))] {
        assert_eq!(unknown(&answer, InDoubtPolicy::Hold), (false, "submit submit!in_doubt".into()));
        assert_eq!(unknown(&answer, InDoubtPolicy::Fail), (false, "submit submit!in_doubt failed:in_doubt".into()));
        assert_eq!(unknown(&answer, InDoubtPolicy::Resubmit), (true, "submit submit!in_doubt submit".into()));
    }
}

/// Goal: a killed process loses nothing that can be found. Method: a ledger with a submission without answer, of any age.
#[test]
fn what_a_killed_process_sent_is_asked_for_first() {
    for (age, wait) in [(0, 60), (50, 10), (3600, 0)] {
        let mut record = pending(1);
        record.state.apply(START.wall(), &EventKind::SubmitStarted);
        let mut bench = Bench { engine: Engine::new(findable()), now: START, events: vec![] };
        bench.wait(Duration::from_secs(age));
        assert!(matches!(bench.turn().actions[..], [Action::Load { .. }]));
        bench.engine.remember_cost(Some(crate::model::cost::Cost {
            sure: Amount::ZERO,
            in_doubt: Amount::new(2.0),
            n_in_doubt: 1,
        }));
        let loaded_at = bench.now;
        bench.handle(Input::Loaded { jobs: vec![record], more: More::Done });
        assert_eq!(asked(&mut bench, 1), 1);
        assert_eq!((bench.now - loaded_at).as_secs(), wait, "after {age} s");
        let images = Acceptance { images: urls(1), ..task(1).into() };
        found(&mut bench, 1, Ok(Found::Accepted(Box::new(images))));
        assert_eq!(bench.next().actions, [download(1)]);
        assert_eq!((bench.story(), cost(&bench)), ("accepted ready".into(), (Amount::new(2.0), Amount::ZERO)));
    }
}

#[test]
fn a_submission_that_belongs_to_another_job_is_not_this_one() {
    let mut bench = Bench::with_pending(findable(), 2);
    bench.run_to_accepted(1);
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.next().actions, [download(1), submit(2)]);
    bench.submit_fault(2, FaultKind::InDoubt);
    assert_eq!(asked(&mut bench, 2), 1);
    found(&mut bench, 2, Ok(accepted(1)));
    bench.turn();
    assert!(bench.story().ends_with("submit!in_doubt"), "{}", bench.story());
}

/// Goal: a repeated submission has the id of the one in doubt, until its fate is known. Method: the numbers of one job's submissions.
#[test]
fn submissions_in_doubt_are_repeated_under_their_number() {
    use EventKind::{Accepted, Setback, SubmitStarted};
    let doubt = Setback(Stage::Submit, fault(FaultKind::InDoubt));
    let story = [
        (SubmitStarted, 1),
        (doubt.clone(), 1),
        (SubmitStarted, 1),
        (doubt, 1),
        (SubmitStarted, 1),
        (Setback(Stage::Submit, fault(FaultKind::Transient)), 1),
        (SubmitStarted, 2),
        (Accepted(task(1)), 2),
        (Setback(Stage::Task, fault(FaultKind::TaskLost)), 2),
        (SubmitStarted, 3),
    ];
    let mut state = JobState::default();
    for (nth, (kind, number)) in story.into_iter().enumerate() {
        state.apply(Timestamp::default(), &kind);
        assert_eq!(state.submission_number(), number, "after event {nth}");
    }
}

/// Goal: an answer with images ends without a poll, and its slot is free at once.
#[test]
fn images_in_the_answer_are_saved_without_a_poll() {
    let mut bench = Bench::with_pending(fixed(1), 2);
    assert_eq!(bench.next().actions, [submit(1)]);
    bench.handle(Input::Submitted(id(1), Ok(Acceptance { images: urls(1), ..task(1).into() })));
    assert_eq!(bench.next().actions, [download(1), submit(2)]);
    bench.downloaded(1, Ok(vec![artifact()]));
    bench.turn();
    assert_eq!(bench.story(), "submit accepted ready submit succeeded");
}
