//! Promises about the cost of a run.

use EventKind::{Reopened, SubmitStarted};

use super::*;
use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::event::ReopenTarget;
use crate::model::money::Charge;
use crate::model::price::Price;

fn by_model(price: f64) -> Price {
    Price { per_image: None, by_model: [("a/b".to_owned(), price)].into(), .."1 USD".parse().unwrap() }
}

fn cost(sure: f64, in_doubt: f64, n_in_doubt: u64) -> Cost {
    Cost { sure: Amount::new(sure), in_doubt: Amount::new(in_doubt), n_in_doubt }
}

fn back(kind: FaultKind) -> EventKind {
    setback(if kind == FaultKind::TaskLost { Stage::Task } else { Stage::Submit }, kind)
}

/// Returns a run whose jobs have these events as their past.
fn with_past<P: TestPlace>(place: &P, past: &[(&str, Vec<EventKind>)]) -> Box<dyn RunWriter> {
    let (mut driven, jobs) = place.drive(&past.iter().map(|(prompt, _)| *prompt).collect::<Vec<_>>());
    for (record, (_, kinds)) in jobs.iter().zip(past) {
        driven.live(record, kinds.clone());
    }
    driven.close()
}

fn n_accepted(run: &dyn RunReader) -> Vec<u64> {
    run.prepare_acceptances().unwrap();
    all(run).iter().map(|record| run.n_accepted(record).unwrap()).collect()
}

/// Goal: every accepted task is paid for, and nothing else. Method: one job that loses a task, and one that is refused.
pub(super) fn every_accepted_task_is_paid_for<P: TestPlace>() {
    let past = [
        ("one", vec![SubmitStarted, accepted("1"), back(FaultKind::TaskLost), SubmitStarted, accepted("2")]),
        ("two", vec![SubmitStarted, accepted("3")]),
        ("three", vec![SubmitStarted, back(FaultKind::Transient)]),
    ];
    let place = P::new();
    let mut run = with_past(&place, &past);
    let price = by_model(2.5);
    assert_eq!(run.total_cost(&price).unwrap(), Some(cost(7.5, 0.0, 0)));
    let unknown = Price { by_model: [].into(), ..price.clone() };
    assert_eq!(run.total_cost(&unknown).unwrap(), None, "the price of that model is unknown");
    import(&mut *run, &["three"]);
    assert_eq!(run.total_cost(&price).unwrap(), Some(cost(7.5, 0.0, 0)), "dropped jobs were paid for too");
}

/// Goal: a submission in doubt counts once at most. A submission that is known to be accepted or refused does not count.
/// Method: each way into a doubt and out of it.
pub(super) fn a_submission_in_doubt_may_be_paid_for<P: TestPlace>() {
    let doubt = || back(FaultKind::InDoubt);
    let past = [
        ("held", vec![SubmitStarted, doubt()]),
        ("submitted again", vec![SubmitStarted, doubt(), SubmitStarted, accepted("1")]),
        ("rejected", vec![SubmitStarted, back(FaultKind::Rejected)]),
        ("the process died", vec![SubmitStarted]),
        ("died after a doubt", vec![SubmitStarted, doubt(), SubmitStarted]),
        ("accepted after all", vec![SubmitStarted, doubt(), accepted("2")]),
        ("refused after a doubt", vec![SubmitStarted, doubt(), SubmitStarted, back(FaultKind::Transient)]),
        ("never sent", vec![]),
    ];
    let place = P::new();
    let run = with_past(&place, &past);
    assert_eq!(run.total_cost(&by_model(2.0)).unwrap(), Some(cost(4.0, 14.0, 7)));
    assert_eq!(run.total_cost(&"2 USD".parse().unwrap()).unwrap(), Some(cost(4.0, 14.0, 7)), "one price for all");
    assert_eq!(run.total_cost(&"0 USD".parse().unwrap()).unwrap(), Some(cost(0.0, 0.0, 7)));
    assert_eq!(n_accepted(&*run), [0, 1, 0, 0, 0, 1, 0, 0]);
}

pub(super) fn a_job_costs_as_often_as_it_was_accepted<P: TestPlace>() {
    let past = [
        ("lost", vec![SubmitStarted, accepted("1"), back(FaultKind::TaskLost), SubmitStarted, accepted("2")]),
        ("once", vec![SubmitStarted, accepted("3")]),
        ("lost and left", vec![SubmitStarted, accepted("4"), back(FaultKind::TaskLost)]),
        ("throttled", vec![SubmitStarted, back(FaultKind::Transient), SubmitStarted, accepted("5")]),
        ("never accepted", vec![SubmitStarted, back(FaultKind::Transient)]),
        ("never sent", vec![]),
    ];
    let place = P::new();
    assert_eq!(n_accepted(&*with_past(&place, &past)), [2, 1, 1, 1, 0, 0]);
    // Reopened jobs were also paid for before their reopening.
    let again = Reopened(ReopenTarget::Submit);
    let moderated = || failed(FaultKind::Moderated);
    let past = [SubmitStarted, accepted("1"), moderated(), again, SubmitStarted, accepted("2"), moderated()];
    let place = P::new();
    let run = with_past(&place, &[("again", past.to_vec())]);
    assert_eq!(n_accepted(&*run), [2]);
    assert_eq!(run.total_cost(&by_model(1.0)).unwrap(), Some(cost(2.0, 0.0, 0)));
}

fn charged(submission: u32, money: &str) -> EventKind {
    EventKind::Charged(Charge { submission, money: money.parse().unwrap() })
}

/// Goal: what an answer says counts in place of the price, once for each submission, and in the unit of the price only.
/// Method: charges that repeat, change, come in another unit, and for a submission whose task was lost.
pub(super) fn what_an_answer_says_counts_in_place_of_the_price<P: TestPlace>() {
    let done = || succeeded(&["a"]);
    let past = [
        ("said twice", vec![SubmitStarted, accepted("1"), charged(1, "0.5 USD"), charged(1, "0.5 USD"), done()]),
        ("changed", vec![SubmitStarted, accepted("2"), charged(1, "0.5 USD"), charged(1, "0.75 USD")]),
        (
            "two submissions",
            vec![
                SubmitStarted,
                accepted("3"),
                charged(1, "1 usd"),
                back(FaultKind::TaskLost),
                SubmitStarted,
                accepted("4"),
                charged(2, "0.000000001 USD"),
            ],
        ),
        ("another unit", vec![SubmitStarted, accepted("5"), charged(1, "9 magicube")]),
        ("never said", vec![SubmitStarted, accepted("6")]),
        ("in doubt", vec![SubmitStarted, back(FaultKind::InDoubt)]),
    ];
    let place = P::new();
    let run = with_past(&place, &past);
    for price in [by_model(2.0), "2 USD".parse().unwrap()] {
        assert_eq!(run.total_cost(&price).unwrap(), Some(cost(6.250_000_001, 2.0, 1)), "{price}");
    }
    let unknown = Price { by_model: [].into(), ..by_model(2.0) };
    assert_eq!(run.total_cost(&unknown).unwrap(), None, "not every answer said its cost");
    run.prepare_acceptances().unwrap();
    let of_jobs: Vec<_> = all(&*run)
        .iter()
        .map(|record| {
            let charges = run.charges(record).unwrap();
            let cost = by_model(2.0).settled(&record.job.request, run.n_accepted(record).unwrap(), &charges);
            (charges.len(), cost.unwrap().number())
        })
        .collect();
    assert_eq!(of_jobs, [(1, 0.5), (1, 0.75), (2, 1.000_000_001), (1, 2.0), (0, 2.0), (0, 0.0)]);
}

/// Goal: a process that goes on with a task knows what earlier answers said, so that the same cost is not counted twice.
pub(super) fn a_job_under_way_is_handed_out_with_its_charge<P: TestPlace>() {
    let past = [
        ("known", vec![SubmitStarted, accepted("1"), charged(1, "0.5 USD")]),
        (
            "of an earlier submission",
            vec![
                SubmitStarted,
                accepted("2"),
                charged(1, "0.5 USD"),
                back(FaultKind::TaskLost),
                SubmitStarted,
                accepted("3"),
            ],
        ),
        ("none", vec![SubmitStarted, accepted("4")]),
    ];
    let place = P::new();
    let mut driven = Driven::start(with_past(&place, &past), JobScope::Unfinished);
    let charges: Vec<_> = driven.load(9).jobs.iter().map(|record| record.state.charge.clone()).collect();
    assert_eq!(charges, [Some("0.5 USD".parse().unwrap()), None, None]);
}

pub(super) fn a_model_without_a_price_is_found_with_its_first_job<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["one", "two"]);
    assert_eq!(place.read().first_without_price(&by_model(2.0)).unwrap(), None);
    let other = Price { by_model: [("c/d".to_owned(), 1.0)].into(), ..by_model(2.0) };
    assert_eq!(place.read().first_without_price(&other).unwrap(), Some(("a/b".to_owned(), 1)));
    let of_all = Price { per_image: Some(0.0), ..other.clone() };
    assert_eq!(place.read().first_without_price(&of_all).unwrap(), None);
    driven.live(&jobs[0], [SubmitStarted]);
    let mut run = driven.close();
    import(&mut *run, &[]);
    assert_eq!(run.first_without_price(&other).unwrap(), Some(("a/b".to_owned(), 0)), "it was submitted");
}
