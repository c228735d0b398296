//! Tests of a run that other processes work on too: jobs that come back later, submissions that are not sent, requests of others.

use super::*;
use crate::engine::fleet::Fleet;
use crate::engine::turn::StopReason;
use crate::model::amount::Amount;
use crate::model::shared_cost::CostRequest;
use crate::model::shared_rate::{Reservation, ReserveRequest};

const LATER: More = More::Later(Duration::from_secs(5));

/// Returns an engine whose ledger has these jobs, and may have others later.
fn shared(jobs: Vec<JobRecord>) -> Bench {
    let mut bench = Bench { engine: Engine::new(fixed(2)), now: START, events: vec![] };
    bench.turn();
    bench.handle(Input::Loaded { jobs, more: LATER });
    bench
}

fn is_load(action: &Action) -> bool {
    matches!(action, Action::Load { .. })
}

/// Goal: a worker without jobs waits for those of others, and asks again at the named time and not before. Method: two empty answers, then
/// the end.
#[test]
fn a_run_without_jobs_here_is_over_only_when_it_is_over_everywhere() {
    let mut bench = shared(vec![]);
    for _ in 0..2 {
        let turn = bench.turn();
        assert_eq!((turn.actions, turn.is_last), (vec![], false));
        assert_eq!(turn.wake_at, Some(bench.now + Duration::from_secs(5)));
        bench.wait(Duration::from_secs(5));
        assert_eq!(bench.turn().actions, [Action::Load { max: 256, is_idle: true }]);
        bench.handle(Input::Loaded { jobs: vec![], more: LATER });
    }
    bench.wait(Duration::from_secs(5));
    bench.turn();
    bench.handle(Input::Loaded { jobs: vec![], more: More::Done });
    assert!(bench.turn().is_last);
}

/// Goal: the end of the last job here does not wait for the next time to ask. Method: one job that ends before that time.
#[test]
fn the_end_of_the_last_job_asks_at_once_whether_the_run_is_over() {
    let mut bench = shared(vec![pending(1)]);
    assert_eq!(bench.turn().actions, [submit(1)]);
    bench.submit_fault(1, FaultKind::Moderated);
    assert_eq!(bench.turn().actions, [Action::Load { max: 256, is_idle: true }]);
    bench.handle(Input::Loaded { jobs: vec![], more: LATER });
    assert_eq!(bench.turn().actions, [], "it has been asked");
}

/// Goal: jobs of a dead worker continue here, whatever their phase, while the own ones go on. Method: a task and a doubt that come later.
#[test]
fn jobs_that_come_back_continue() {
    let mut bench = shared(vec![pending(1)]);
    bench.run_to_accepted(1);
    bench.wait(Duration::from_secs(5));
    let turn = bench.turn();
    assert!(turn.actions.contains(&Action::Load { max: 256, is_idle: false }), "{turn:?}");
    let running = past(2, Duration::from_secs(60), &[EventKind::SubmitStarted, EventKind::Accepted(task(2))]);
    let doubtful = past(3, Duration::from_secs(60), &[EventKind::SubmitStarted]);
    bench.handle(Input::Loaded { jobs: vec![running, doubtful], more: LATER });
    assert_eq!(bench.turn().actions, [poll(2)], "both places are taken");
    assert!(bench.story().ends_with("submit!in_doubt"), "{}", bench.story());
}

/// Goal: a job that every other job's fate would decide does not wait for jobs of other workers. Method: one refused job.
#[test]
fn a_refused_job_does_not_wait_for_jobs_of_others() {
    let mut bench = shared(vec![pending(1), pending(2)]);
    bench.turn();
    bench.submitted(2);
    bench.submit_fault(1, FaultKind::InvalidRequest);
    for _ in 0..20 {
        bench.wait(Duration::from_secs(1));
        let turn = bench.turn();
        if turn.actions.iter().any(is_load) {
            bench.handle(Input::Loaded { jobs: vec![], more: LATER });
        }
    }
    assert!(bench.story().contains("failed:invalid_request"), "{}", bench.story());
}

/// Goal: a submission that was not sent costs no attempt and no money, and leaves again. Method: an engine without retries, and a limit on
/// the cost of one job.
#[test]
fn a_submission_that_was_not_sent_costs_nothing() {
    let limits = Limits { retries_max: 0, cost_max: "1".parse().ok(), price: "1".parse().ok(), ..fixed(1) };
    let mut bench = Bench::new(limits, vec![pending(1)]);
    for _ in 0..5 {
        assert_eq!(bench.next().actions, [submit(1)]);
        bench.handle(Input::Unsent(id(1)));
        assert_eq!(bench.engine.pace(bench.now).n_submitting, 0);
        assert_eq!(bench.turn().actions, [], "it waits for a moment");
    }
    bench.run_to_accepted(1);
    assert_eq!(bench.engine.stop(), None);
    assert_eq!(bench.engine.0.jobs[&id(1)].state.n_setbacks, 0);
}

/// Goal: what another worker heard holds this one back too, for so long. Method: a hold, and the moment of the next submission.
#[test]
fn a_hold_of_another_worker_is_kept() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.handle(Input::Hold(Duration::from_secs(40)));
    assert_eq!(bench.next().actions, [submit(1)]);
    assert_eq!(bench.now - START, Duration::from_secs(40));
}

/// Goal: the stop of another worker ends this one, after its tasks in flight. Method: one task in flight, one job that waits.
#[test]
fn a_stop_of_another_worker_completes_what_is_in_flight() {
    let mut bench = Bench::with_pending(fixed(1), 2);
    bench.run_to_accepted(1);
    bench.handle(Input::Stop(StopReason::Elsewhere("the quota is used up".into())));
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.turn().actions, [download(1)]);
    bench.downloaded(1, Ok(vec![artifact()]));
    assert!(bench.turn().is_last);
}

/// Goal: several engines are idle only together. Method: a job of the second one, and a request of the first one.
#[test]
fn a_fleet_is_idle_only_without_any_job() {
    let mut fleet = Fleet::new(Engine::new(fixed(1)), None, "one".into());
    fleet.add("two".into(), ["two".to_owned()], Engine::new(fixed(1)));
    let is_idle = |turn: &crate::engine::fleet::FleetTurn| {
        turn.actions.iter().find_map(|action| match action.action {
            Action::Load { is_idle, .. } => Some(is_idle),
            Action::Submit(..) | Action::Reserve(_) | Action::Find(_) | Action::Poll(_) | Action::Download(..) => None,
        })
    };
    assert_eq!(is_idle(&fleet.turn(START)), Some(true));
    let mut other = pending(1);
    Arc::make_mut(&mut other.job).request.provider = Some("two".into());
    fleet.handle(START, Input::Loaded { jobs: vec![other], more: LATER });
    assert_eq!(is_idle(&fleet.turn(START)), None);
    assert_eq!(is_idle(&fleet.turn(START + Duration::from_secs(5))), Some(false));
}

/// Returns an engine with pending jobs whose rate other workers keep too.
fn paced(n_jobs: u64) -> Bench {
    Bench::with_pending(Limits { rate: "10/s".parse().ok(), is_shared: true, ..fixed(9) }, n_jobs)
}

/// Returns the request for so many times, of an engine that holds so many submissions.
fn reserve(max: u32, held: u32) -> Action {
    Action::Reserve(ReserveRequest { max, held, cost: CostRequest::default() })
}

fn none(again_in: Duration) -> Input {
    Input::Reserved(Some(Reservation { interval: Duration::ZERO, usable_for: Duration::MAX, again_in, ..of(START, 0) }))
}

fn times(first: Moment, count: u32) -> Input {
    Input::Reserved(Some(of(first, count)))
}

fn of(first: Moment, count: u32) -> Reservation {
    let (interval, usable_for, again_in) = (Duration::from_millis(100), Duration::from_millis(50), Duration::ZERO);
    let (each, is_short, reached) = (Amount::ZERO, false, None);
    Reservation { first, interval, count, usable_for, again_in, each, is_short, reached }
}

/// Goal: under a rate that workers keep together, nothing leaves without a reserved time; what is asked for is what can be used. Method: three
/// jobs, two times, and a refused request.
#[test]
fn a_submission_leaves_at_its_reserved_time() {
    let mut bench = paced(3);
    assert_eq!(bench.turn().actions, [reserve(3, 0)]);
    assert_eq!(bench.turn().actions, [], "the answer is awaited");
    let first = bench.now + Duration::from_millis(30);
    bench.handle(times(first, 2));
    assert_eq!(bench.turn().actions, [reserve(1, 2)], "one is missing");
    for (n, wait) in [(1, 30), (2, 100)] {
        let leaves = |bench: &mut Bench| bench.turn().actions.contains(&submit(n));
        bench.wait(Duration::from_millis(wait - 1));
        assert!(!leaves(&mut bench), "{n} is early");
        bench.wait(Duration::from_millis(1));
        assert!(leaves(&mut bench), "{n} is late");
        bench.submitted(n);
    }
    bench.handle(none(Duration::from_secs(7)));
    let asks = |bench: &mut Bench| bench.turn().actions.contains(&reserve(1, 0));
    bench.wait(Duration::from_millis(6999));
    assert!(!asks(&mut bench));
    bench.wait(Duration::from_millis(1));
    assert!(asks(&mut bench));
}

/// Goal: a worker asks for no time that it cannot use: not while the provider holds it back, nor without a free place, nor at the end.
#[test]
fn no_time_is_reserved_in_vain() {
    let mut bench = paced(12);
    bench.handle(Input::Hold(Duration::from_secs(40)));
    assert_eq!(bench.next().actions, [reserve(5, 0)], "half a second");
    assert_eq!(bench.now - START, Duration::from_secs(40));
    bench.handle(times(bench.now, 1));
    bench.handle(Input::Stop(StopReason::Elsewhere("enough".into())));
    assert_eq!(bench.turn().actions, []);
    let mut bench = Bench::with_pending(Limits { rate: "10/s".parse().ok(), is_shared: true, ..fixed(1) }, 2);
    assert_eq!(bench.turn().actions, [reserve(1, 0)]);
    bench.handle(times(bench.now, 1));
    assert_eq!(bench.turn().actions, [submit(1)], "and none for the second job, which has no place");
}

/// Goal: a rate that another worker was given counts from then on. Method: an engine without a rate, and one job that is left.
#[test]
fn the_rate_of_another_worker_counts() {
    let mut bench = Bench::with_pending(Limits { is_shared: true, ..Limits::default() }, 1);
    assert_eq!(bench.turn().actions, [submit(1)], "no rate is known");
    bench.submit_fault(1, FaultKind::Transient);
    bench.handle(Input::Rate("1/s".parse().unwrap()));
    let turn = bench.next();
    assert_eq!(turn.actions, [reserve(1, 0)]);
}

/// Goal: where the tasks in flight of all workers are limited, a submission needs a place, and what is not needed is given back. Method: two
/// places for one job, and an answer that is lost.
#[test]
fn a_place_is_asked_for_and_given_back() {
    let mut bench = Bench::with_pending(Limits { is_shared: true, ..fixed(2) }, 1);
    assert_eq!(bench.turn().actions, [reserve(1, 0)]);
    bench.handle(Input::Reserved(None));
    assert_eq!(bench.next().actions, [reserve(1, 0)]);
    assert_eq!(bench.now - START, Duration::from_secs(1));
    bench.handle(times(bench.now, 1));
    assert_eq!(bench.turn().actions, [submit(1)]);
    bench.submitted(1);
    assert_eq!(bench.turn().actions, [reserve(0, 0)], "the task is on record, and holds the place itself");
    bench.handle(none(Duration::ZERO));
    bench.handle(Input::Hold(Duration::from_secs(9)));
    assert!(!bench.turn().actions.iter().any(|action| matches!(action, Action::Reserve(_))));
}

/// Goal: a worker that the provider holds back keeps no place from others. Method: a hold, with a place that is reserved and not used.
#[test]
fn places_are_given_back_in_a_pause() {
    let mut bench = Bench::with_pending(Limits { is_shared: true, ..fixed(2) }, 2);
    assert_eq!(bench.turn().actions, [reserve(2, 0)]);
    bench.handle(Input::Hold(Duration::from_secs(9)));
    bench.handle(times(bench.now, 2));
    assert_eq!(bench.turn().actions, [reserve(0, 0)]);
}
