//! Tests of a limit on the cost that other processes keep too: what is asked for, what leaves, and when the run stops.

use super::*;
use crate::engine::spending::CostLimitReached;
use crate::engine::turn::StopReason;
use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::shared_cost::{CostReached, CostRequest};
use crate::model::shared_rate::{Reservation, ReserveRequest};

/// Returns an engine with pending jobs at 2 USD each, under a limit that other processes keep too.
fn bench(n_jobs: u64) -> Bench {
    let (price, cost_max) = ("2 USD".parse().ok(), "100".parse().ok());
    Bench::with_pending(Limits { price, cost_max, is_shared: true, ..Limits::default() }, n_jobs)
}

fn usd(amount: f64) -> Amount {
    Amount::new(amount)
}

/// Returns the request for so many submissions of this price, of an engine that holds these.
fn ask(max: u32, each: f64, (held, amount): (u32, f64)) -> Action {
    Action::Reserve(ReserveRequest { max, held, cost: CostRequest { each: Some(usd(each)), held: usd(amount) } })
}

fn answer(count: u32, each: f64) -> Reservation {
    let (interval, usable_for, again_in) = (Duration::ZERO, Duration::MAX, Duration::from_millis(250));
    let (each, is_short, reached) = (usd(each), false, None);
    Reservation { first: START, interval, count, usable_for, again_in, each, is_short, reached }
}

fn submits(turn: &Turn) -> usize {
    turn.actions.iter().filter(|action| matches!(action, Action::Submit(..))).count()
}

/// Goal: a submission leaves only with an amount, and what is recorded is no longer held. Method: three jobs, two amounts, and one that is not used.
#[test]
fn a_submission_needs_an_amount() {
    let mut bench = bench(3);
    assert_eq!(bench.turn().actions, [ask(3, 2.0, (0, 0.0))]);
    assert_eq!(bench.turn().actions, [], "the answer is awaited");
    bench.handle(Input::Reserved(Some(Reservation { is_short: true, ..answer(2, 2.0) })));
    assert_eq!(bench.turn().actions, [submit(1), submit(2), ask(1, 2.0, (2, 0.0))]);
    bench.handle(Input::Reserved(Some(Reservation { is_short: true, ..answer(0, 2.0) })));
    bench.handle(Input::Unsent(id(1)));
    bench.wait(Duration::from_millis(250));
    assert_eq!(bench.turn().actions, [ask(1, 2.0, (1, 0.0))], "one was not sent, and one is under way");
}

/// Goal: the run stops when no answer can make room, and not before. Method: the same answer while a submission is under way, and after it.
#[test]
fn the_run_stops_when_nothing_fits_any_more() {
    let mut bench = bench(3);
    bench.turn();
    bench.handle(Input::Reserved(Some(answer(1, 2.0))));
    assert_eq!(submits(&bench.turn()), 1);
    let cost = Some(Cost { sure: usd(99.0), ..Cost::default() });
    let reached =
        Reservation { reached: Some(CostReached { cost, max: usd(100.0) }), is_short: true, ..answer(0, 2.0) };
    bench.handle(Input::Reserved(Some(reached)));
    assert_eq!(bench.engine.stop(), None, "its answer may make room");
    bench.submitted(1);
    bench.wait(Duration::from_millis(250));
    assert!(bench.turn().actions.contains(&ask(1, 2.0, (0, 0.0))));
    bench.handle(Input::Reserved(Some(reached)));
    let unit = "USD".to_owned();
    let capped = CostLimitReached { cost, next: Some(usd(2.0)), max: usd(100.0), unit };
    assert_eq!(bench.engine.stop(), Some(&StopReason::Cost(capped.into())));
}

/// Goal: an amount is as large as an answer said that such a submission costs, and smaller ones are given up. Method: two amounts, of which one
/// is spent, and an answer that says more.
#[test]
fn an_amount_that_is_too_small_is_given_up() {
    let mut bench = bench(3);
    bench.turn();
    bench.handle(Input::Reserved(Some(answer(1, 2.0))));
    assert_eq!(submits(&bench.turn()), 1);
    bench.handle(Input::Reserved(Some(answer(2, 2.0))));
    let accepted = Acceptance { cost: "3 USD".parse().ok(), ..task(1).into() };
    bench.handle(Input::Submitted(id(1), Ok(accepted)));
    assert_eq!(bench.turn().actions, [ask(2, 3.0, (0, 0.0))]);
    bench.handle(Input::Reserved(Some(answer(1, 3.0))));
    let turn = bench.turn();
    assert_eq!((submits(&turn), turn.actions.contains(&ask(1, 3.0, (1, 1.0)))), (1, true), "{turn:?}");
}

/// Goal: a dear job keeps no cheaper one back that comes before it. Method: three cheap jobs and a dear one, and answers that are short.
#[test]
fn a_cheap_job_does_not_wait_for_a_dear_one() {
    let mut jobs: Vec<_> = (1..=4).map(pending).collect();
    Arc::make_mut(&mut jobs[3].job).request.model = "dear".into();
    let price = crate::model::price::Price { by_model: [("dear".to_owned(), 50.0)].into(), .."2 USD".parse().unwrap() };
    let limits = Limits { price: Some(price), cost_max: "100".parse().ok(), is_shared: true, ..Limits::default() };
    let mut bench = Bench::new(limits, jobs);
    assert_eq!(bench.turn().actions, [ask(4, 50.0, (0, 0.0))]);
    let reached = Some(CostReached { cost: None, max: usd(100.0) });
    bench.handle(Input::Reserved(Some(Reservation { is_short: true, reached, ..answer(0, 50.0) })));
    assert_eq!(bench.engine.stop(), None);
    bench.wait(Duration::from_millis(250));
    assert_eq!(bench.turn().actions, [ask(1, 2.0, (0, 0.0))]);
}

/// Goal: a limit that another process was given counts from then on; what a server may have forgotten is asked for again; and a process that
/// has stopped gives back what it holds. Method: an engine without a limit, and one job after the other.
#[test]
fn amounts_are_given_up_when_they_do_not_count_any_more() {
    let mut bench = Bench::with_pending(Limits { price: "2 USD".parse().ok(), is_shared: true, ..fixed(1) }, 2);
    bench.handle(Input::CostMax(usd(100.0)));
    assert_eq!(bench.turn().actions, [ask(1, 2.0, (0, 0.0))]);
    bench.handle(Input::Reserved(Some(answer(1, 2.0))));
    bench.handle(Input::Forgotten);
    assert_eq!(bench.turn().actions, [ask(1, 2.0, (0, 0.0))]);
    bench.handle(Input::Reserved(Some(answer(1, 2.0))));
    bench.handle(Input::Stop(StopReason::Elsewhere("enough".into())));
    bench.wait(Duration::from_secs(1));
    let turn = bench.turn();
    let Some(Action::Reserve(told)) = turn.actions.first() else { panic!("{turn:?}") };
    assert_eq!((told.max, told.held, told.cost.held), (0, 0, Amount::ZERO));
}

/// Goal: without a price nothing leaves under the limit, and the run says so.
#[test]
fn a_job_without_a_price_stops_the_run() {
    let limits = Limits { cost_max: "100".parse().ok(), is_shared: true, ..fixed(1) };
    let mut bench = Bench::with_pending(limits, 1);
    assert_eq!(submits(&bench.turn()), 0);
    let stop = bench.engine.stop();
    assert!(matches!(stop, Some(StopReason::Cost(capped)) if capped.next.is_none()), "{stop:?}");
}
