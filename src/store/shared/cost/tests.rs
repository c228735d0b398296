//! Tests of the cost of a shared run: what each event changes.

use super::*;
use crate::model::money::Charge;
use crate::model::outcome::{Fault, FaultKind, Outcome, TaskId};
use crate::model::time::Timestamp;

/// Returns the cost after these events of one job, at this price.
fn cost(price: Option<&str>, kinds: &[EventKind]) -> CostTotals {
    let price: Option<Price> = price.map(|price| price.parse().unwrap());
    let request = Request { model: "a/b".into(), ..Request::default() };
    let (mut state, mut totals) = (JobState::default(), CostTotals::default());
    for kind in kinds {
        totals += CostTotals::of(&state, kind, RequestPrice::of(price.as_ref(), &request));
        state.apply(Timestamp::from_millis(0), kind);
    }
    totals
}

fn setback(kind: FaultKind) -> EventKind {
    EventKind::Setback(Stage::Submit, Fault::new(kind, "words"))
}

fn charged(submission: u32, money: &str) -> EventKind {
    EventKind::Charged(Charge { submission, money: money.parse().unwrap() })
}

fn accepted() -> EventKind {
    EventKind::Accepted(TaskId("t".into()))
}

/// Sure and possible cost, and the number of doubts.
type Sums = (f64, f64, u64);

/// Goal: a submission counts from its record on, as possible until its answer, and once. Method: every story of one submission.
#[test]
fn a_submission_counts_from_its_record_on() {
    use EventKind::SubmitStarted;
    let failed = EventKind::Finished(Outcome::Failed(Fault::new(FaultKind::InvalidRequest, "words")));
    let stories: [(&[EventKind], Sums); 10] = [
        (&[], (0.0, 0.0, 0)),
        (&[SubmitStarted], (0.0, 2.0, 1)),
        (&[SubmitStarted, accepted()], (2.0, 0.0, 0)),
        (&[SubmitStarted, setback(FaultKind::Transient)], (0.0, 0.0, 0)),
        (&[SubmitStarted, failed.clone()], (0.0, 0.0, 0)),
        (&[SubmitStarted, setback(FaultKind::InDoubt)], (0.0, 2.0, 1)),
        (&[SubmitStarted, setback(FaultKind::InDoubt), failed], (0.0, 2.0, 1)),
        (&[SubmitStarted, setback(FaultKind::InDoubt), accepted()], (2.0, 0.0, 0)),
        (&[SubmitStarted, setback(FaultKind::InDoubt), SubmitStarted, accepted()], (2.0, 2.0, 1)),
        (&[SubmitStarted, accepted(), charged(1, "3 usd"), charged(1, "2.5 USD"), charged(1, "9 EUR")], (2.5, 0.0, 0)),
    ];
    for (story, (sure, in_doubt, n_in_doubt)) in stories {
        let expected = Cost { sure: Amount::new(sure), in_doubt: Amount::new(in_doubt), n_in_doubt };
        assert_eq!(cost(Some("2 USD"), story).cost(), Some(expected), "{story:?}");
    }
}

/// Goal: a cost without a price is not known, and is known again when nothing unknown is left. Method: no price, and a price without an amount.
#[test]
fn a_cost_without_a_price_is_not_known() {
    let paid = [EventKind::SubmitStarted, accepted()];
    assert_eq!(cost(None, &paid).cost(), None);
    assert_eq!(cost(None, &[&paid[..], &[charged(1, "3 USD")]].concat()).cost(), None, "no unit is known");
    assert_eq!(cost(None, &[EventKind::SubmitStarted, setback(FaultKind::Transient)]).cost(), Some(Cost::default()));
    let unit = Price { per_image: None, .."1 USD".parse().unwrap() };
    let request = Request::default();
    let price = RequestPrice::of(Some(&unit), &request);
    let (mut state, mut totals) = (JobState::default(), CostTotals::default());
    for kind in [&paid[..], &[charged(1, "3 USD")]].concat() {
        totals += CostTotals::of(&state, &kind, price);
        state.apply(Timestamp::from_millis(0), &kind);
    }
    assert_eq!(totals.cost().map(|cost| cost.sure), Some(Amount::new(3.0)));
}

/// Goal: no price is too large to be added up.
#[test]
fn a_price_without_an_end_overflows_nothing() {
    let most = signed(Amount::new(f64::INFINITY));
    assert!(most > 0 && most.checked_mul(1 << 30).is_some());
    assert_eq!(signed(Amount::new(2.5)), 2_500_000_000);
}
