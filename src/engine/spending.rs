//! Cost accounting: the certain and the maximum cost of the run's submissions, and the check of the user's limit.
//!
//! A submission reserves its price when it leaves, or what an answer said that the last such submission cost, if that was more. Its answer settles the reservation: accepted, in doubt, or refused and free. The limit
//! therefore holds for any number of submissions under way. Submissions in doubt count as paid against the limit.
//!
//! A limit that other processes keep too is checked by their server, where each process reserves what it may spend.

use std::collections::BTreeMap;

use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::limits::Limits;
use crate::model::money::Money;
use crate::model::price::Price;
use crate::model::request::{Request, Size};
use crate::model::shared_cost::CostReached;

/// Running cost of the run.
#[derive(Debug)]
pub(crate) struct Spending {
    price: Option<Price>,
    max: Option<Amount>,
    /// Limit that other processes keep too; `None` without one.
    shared_max: Option<Amount>,
    /// Cost so far; `None` if that of earlier processes is unknown, or no price is.
    cost: Option<Cost>,
    /// Submissions of this process that are or may be paid for, at a price that is unknown and that no answer has said.
    n_unknown: u64,
    /// Highest amounts that answers said, by model and size: the next submission may cost as much.
    dearest: BTreeMap<(String, Option<Size>), Amount>,
    /// Cost of other providers, paid, in doubt or reserved; `None` if a price is unknown.
    elsewhere: Option<Amount>,
    /// Amount reserved for submissions whose answer is awaited.
    reserved: Amount,
    /// Part of it beyond their prices.
    surplus: Amount,
}

/// Cost limit that keeps a submission from leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostLimitReached {
    /// Cost that is paid, and cost in doubt; `None` if a price is unknown.
    pub cost: Option<Cost>,
    /// Price of the next submission; `None` if it is unknown.
    pub next: Option<Amount>,
    /// Limit that the user set.
    pub max: Amount,
    /// Unit of all these amounts; empty without a price.
    pub unit: String,
}

/// Result of a submission, as far as its cost is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Acceptance: the submission is paid for.
    Paid,
    /// Doubt: the submission may have been accepted.
    InDoubt,
    /// Refusal: the submission is free.
    Free,
}

impl Spending {
    /// Creates an account without any cost.
    pub(crate) fn new(limits: &Limits) -> Self {
        let price = limits.price.clone();
        let cost = price.as_ref().map(|_| Cost::default());
        let max = limits.cost_max.as_ref().map(|limit| limit.amount);
        let (max, shared_max) = if limits.is_shared { (None, max) } else { (max, None) };
        Self {
            price,
            max,
            shared_max,
            cost,
            n_unknown: 0,
            dearest: BTreeMap::new(),
            elsewhere: Some(Amount::ZERO),
            reserved: Amount::ZERO,
            surplus: Amount::ZERO,
        }
    }

    /// Sets the limit that other processes keep too.
    pub(crate) const fn share(&mut self, max: Amount) {
        self.shared_max = Some(max);
    }

    /// Returns the amount reserved for submissions whose answer is awaited, beyond their prices.
    pub(crate) const fn surplus(&self) -> Amount {
        self.surplus
    }

    /// Returns the most that a submission of these requests may cost; `None` if the price of one is unknown.
    pub(crate) fn most<'a>(&self, mut requests: impl Iterator<Item = &'a Request>) -> Option<Amount> {
        if self.dearest.is_empty() && self.price.as_ref().is_some_and(Price::is_one) {
            return self.reservation(requests.next()?);
        }
        requests.try_fold(Amount::ZERO, |most, request| Some(most.max(self.reservation(request)?)))
    }

    /// Returns what stops the run once a submission of this request does not fit under the limit of all processes.
    pub(crate) fn reached(&self, reached: CostReached, request: &Request) -> Box<CostLimitReached> {
        let CostReached { cost, max } = reached;
        let next = self.reservation(request);
        Box::new(CostLimitReached { cost, next, max, unit: self.unit() })
    }

    fn unit(&self) -> String {
        self.price.as_ref().map_or_else(String::new, |price| price.unit.clone())
    }

    /// Sets the cost of earlier processes, from which this one continues; `None` if a price is unknown.
    pub(crate) const fn remember(&mut self, cost: Option<Cost>) {
        self.cost = cost;
    }

    /// Returns the cost so far, paid and in doubt; `None` if a price is unknown.
    pub(crate) fn cost(&self) -> Option<Cost> {
        self.cost.filter(|_| self.n_unknown == 0)
    }

    /// Returns the cost with what is reserved and in doubt; `None` if a price is unknown.
    pub(crate) fn committed(&self) -> Option<Amount> {
        self.cost().map(|cost| cost.most() + self.reserved)
    }

    /// Sets what other providers cost, which counts against the limit.
    pub(crate) const fn look_elsewhere(&mut self, cost: Option<Amount>) {
        self.elsewhere = cost;
    }

    /// Checks whether a submission of this request may leave. Under a limit, a submission with an unknown price may not.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Box<CostLimitReached>> {
        if let Some(max) = self.shared_max
            && self.reservation(request).is_none()
        {
            return Err(self.reached(CostReached { cost: None, max }, request));
        }
        let Some(max) = self.max else { return Ok(()) };
        let next = self.reservation(request);
        let after = self.committed().zip(self.elsewhere).zip(next).map(|((own, others), next)| own + others + next);
        if after.is_some_and(|after| after <= max) {
            return Ok(());
        }
        let unit = self.unit();
        let all = self.cost().zip(self.elsewhere).map(|(cost, others)| Cost { sure: cost.sure + others, ..cost });
        Err(Box::new(CostLimitReached { cost: all, next, max, unit }))
    }

    /// Reserves what a submission of this request may cost, which leaves now. Returns the amount, to be settled.
    pub(crate) fn reserve(&mut self, request: &Request) -> Amount {
        let reserved = self.reservation(request).unwrap_or_default();
        self.reserved += reserved;
        self.surplus += reserved.without(self.price_of(request).unwrap_or_default());
        reserved
    }

    /// Settles a submission of this request that was answered, or never will be. `reserved` is what [`reserve`](Self::reserve) returned.
    pub(crate) fn settle(&mut self, request: &Request, reserved: Amount, settled: Settled) {
        let price = self.price_of(request);
        self.reserved = self.reserved.without(reserved);
        self.surplus = self.surplus.without(reserved.without(price.unwrap_or_default()));
        match (settled, &mut self.cost, price) {
            (Settled::Free, _, _) => (),
            // One unknown price makes the sum unknown.
            (Settled::Paid | Settled::InDoubt, _, None) => self.n_unknown += 1,
            (Settled::Paid | Settled::InDoubt, None, Some(_)) => (),
            (Settled::Paid, Some(cost), Some(price)) => cost.sure += price,
            (Settled::InDoubt, Some(cost), Some(price)) => {
                cost.in_doubt += price;
                cost.n_in_doubt += 1;
            }
        }
    }

    /// Counts what an answer says that an accepted submission of this request cost, in place of what counted so far: the price, or
    /// `before` of an earlier answer.
    pub(crate) fn charge(&mut self, request: &Request, before: Option<&Money>, money: &Money) {
        let Some(price) = &self.price else { return };
        let Some(amount) = money.amount_in(&price.unit) else { return };
        let before = before.and_then(|money| money.amount_in(&price.unit)).or_else(|| price.amount_for(request));
        match (&mut self.cost, before) {
            (Some(cost), Some(before)) => cost.sure = cost.sure.without(before) + amount,
            // The submission was accepted here, at an unknown price.
            (Some(cost), None) => {
                cost.sure += amount;
                self.n_unknown = self.n_unknown.saturating_sub(1);
            }
            // What earlier processes paid is unknown.
            (None, _) => (),
        }
        let dearest = self.dearest.entry((request.model.clone(), request.size)).or_default();
        *dearest = amount.max(*dearest);
    }

    /// Settles a submission of an earlier process that counted as in doubt.
    pub(crate) fn clarify(&mut self, request: &Request, settled: Settled) {
        let price = self.price_of(request);
        let (Some(cost), Some(price)) = (&mut self.cost, price) else { return };
        match settled {
            Settled::InDoubt => return,
            Settled::Paid => cost.sure += price,
            Settled::Free => (),
        }
        cost.in_doubt = cost.in_doubt.without(price);
        cost.n_in_doubt = cost.n_in_doubt.saturating_sub(1);
    }

    fn price_of(&self, request: &Request) -> Option<Amount> {
        self.price.as_ref()?.amount_for(request)
    }

    /// Returns what a submission of this request may cost: its price, or more if an answer said more before. `None` without a price.
    pub(crate) fn reservation(&self, request: &Request) -> Option<Amount> {
        let price = self.price_of(request)?;
        if self.dearest.is_empty() {
            return Some(price);
        }
        let dearest = self.dearest.get(&(request.model.clone(), request.size)).copied();
        Some(price.max(dearest.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spending(price: &str, max: &str) -> Spending {
        Spending::new(&Limits { cost_max: max.parse().ok(), price: price.parse().ok(), ..Limits::default() })
    }

    fn to(model: &str) -> Request {
        Request { model: model.into(), ..Request::default() }
    }

    /// Returns how many submissions may leave at once.
    fn n_leaving(spending: &mut Spending) -> usize {
        (0..1000)
            .take_while(|_| spending.check(&to("a/b")).is_ok().then(|| spending.reserve(&to("a/b"))).is_some())
            .count()
    }

    #[test]
    fn a_limit_is_reached_to_the_last_decimal_and_never_exceeded() {
        for (price, max, expected) in [
            ("0.1 USD", "0.3", 3),
            ("2", "20", 10),
            ("2", "19.999999999", 9),
            ("2", "1.5", 0),
            ("0.7", "0.7", 1),
            ("3", "0", 0),
            ("0", "0", 1000),
            ("0 USD", "5 USD", 1000),
        ] {
            assert_eq!(n_leaving(&mut spending(price, max)), expected, "{price} under {max}");
        }
    }

    #[test]
    fn a_refusal_frees_what_was_reserved_and_a_doubt_does_not() {
        let mut spending = spending("2", "6");
        assert_eq!(n_leaving(&mut spending), 3);
        spending.settle(&to("a/b"), Amount::new(2.0), Settled::Free);
        assert_eq!(n_leaving(&mut spending), 1);
        spending.settle(&to("a/b"), Amount::new(2.0), Settled::InDoubt);
        spending.settle(&to("a/b"), Amount::new(2.0), Settled::Paid);
        assert_eq!(n_leaving(&mut spending), 0);
        let two = Amount::new(2.0);
        assert_eq!(spending.cost(), Some(Cost { sure: two, in_doubt: two, n_in_doubt: 1 }));
        let capped = spending.check(&to("a/b")).unwrap_err();
        assert_eq!((capped.next, capped.max), (Some(two), Amount::new(6.0)));
    }

    #[test]
    fn what_earlier_processes_paid_counts_and_so_does_what_they_left_in_doubt() {
        let mut spending = spending("2", "10");
        spending.remember(Some(Cost { sure: Amount::new(4.0), in_doubt: Amount::new(4.0), n_in_doubt: 2 }));
        assert_eq!(n_leaving(&mut spending), 1);
    }

    #[test]
    fn without_a_price_nothing_leaves_under_a_limit() {
        let by_model =
            Price { per_image: None, by_model: [("a/b".to_owned(), 1.0)].into(), .."1 USD".parse().unwrap() };
        let limits = Limits { price: Some(by_model), cost_max: "5".parse().ok(), ..Limits::default() };
        let mut spending = Spending::new(&limits);
        assert!(
            spending.check(&to("a/b")).is_ok() && spending.check(&to("c/d")).is_err_and(|capped| capped.next.is_none())
        );
        spending.settle(&to("c/d"), Amount::new(2.0), Settled::Paid);
        assert!(spending.cost().is_none() && spending.check(&to("a/b")).is_err(), "the sum is no longer known");
        let mut spending = Spending::new(&Limits { price: None, ..limits });
        assert_eq!(n_leaving(&mut spending), 0);
        let unlimited = Limits::default();
        assert_eq!(n_leaving(&mut Spending::new(&unlimited)), 1000);
    }

    fn usd(amount: f64) -> Money {
        Money { amount: Amount::new(amount), unit: "USD".into() }
    }

    /// Goal: what an answer says replaces the price, once, however often it is said; and the next submission reserves as much.
    #[test]
    fn an_answer_settles_what_its_submission_cost() {
        let request = to("a/b");
        let mut spending = spending("2 USD", "10");
        let reserved = [spending.reserve(&request), spending.reserve(&request)];
        spending.settle(&request, reserved[0], Settled::Paid);
        spending.charge(&request, None, &usd(1.5));
        spending.charge(&request, Some(&usd(1.5)), &usd(1.5));
        assert_eq!(spending.cost().unwrap().sure, Amount::new(1.5));
        spending.charge(&request, Some(&usd(1.5)), &usd(3.0));
        assert_eq!(spending.cost().unwrap().sure, Amount::new(3.0));
        spending.charge(&request, Some(&usd(3.0)), &Money { unit: "EUR".into(), ..usd(9.0) });
        assert_eq!(spending.cost().unwrap().sure, Amount::new(3.0), "another unit cannot be added");
        // Reserved before the dearer answer: 2. Paid: 3. One more at 3 fits under 10, and no second one.
        assert_eq!(n_leaving(&mut spending), 1);
        spending.settle(&request, reserved[1], Settled::Free);
        assert_eq!(n_leaving(&mut spending), 1);
    }

    /// Goal: an answer makes an unknown price known, and nothing else does.
    #[test]
    fn an_unknown_price_is_known_once_the_answer_says_the_cost() {
        let price = Price { per_image: None, .."1 USD".parse().unwrap() };
        let mut spending = Spending::new(&Limits { price: Some(price), ..Limits::default() });
        let request = to("a/b");
        for _ in 0..2 {
            let reserved = spending.reserve(&request);
            spending.settle(&request, reserved, Settled::Paid);
        }
        assert_eq!(spending.cost(), None);
        spending.charge(&request, None, &usd(0.25));
        assert_eq!(spending.cost(), None, "one of two is known");
        spending.charge(&request, None, &usd(0.5));
        assert_eq!(spending.cost().unwrap().sure, Amount::new(0.75));
    }
}
