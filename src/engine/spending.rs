//! Cost accounting: the certain and the maximum cost of the run's submissions, and the check of the user's limit.
//!
//! A submission reserves its price when it leaves. Its answer settles the reservation: accepted, in doubt, or refused and free. The limit
//! therefore holds for any number of submissions under way. Submissions in doubt count as paid against the limit.

use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::limits::Limits;
use crate::model::price::Price;

/// Running cost of the run.
#[derive(Debug)]
pub struct Spending {
    price: Option<Price>,
    max: Option<Amount>,
    /// Cost so far; `None` if a price is unknown.
    cost: Option<Cost>,
    /// Amount reserved for submissions whose answer is awaited.
    reserved: Amount,
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
pub enum Settled {
    /// Acceptance: the submission is paid for.
    Paid,
    /// Doubt: the submission may have been accepted.
    InDoubt,
    /// Refusal: the submission is free.
    Free,
}

impl Spending {
    /// Creates an account without any cost.
    pub fn new(limits: &Limits) -> Self {
        let price = limits.price.clone();
        let cost = price.as_ref().map(|_| Cost::default());
        Self { price, max: limits.cost_max.as_ref().map(|limit| limit.amount), cost, reserved: Amount::ZERO }
    }

    /// Sets the cost of earlier processes, from which this one continues; `None` if a price is unknown.
    pub const fn remember(&mut self, cost: Option<Cost>) {
        self.cost = cost;
    }

    /// Returns the cost so far, paid and in doubt; `None` if a price is unknown.
    pub const fn cost(&self) -> Option<Cost> {
        self.cost
    }

    /// Checks whether a submission to this model may leave. Under a limit, a submission with an unknown price may not.
    pub fn check(&self, model: &str) -> Result<(), Box<CostLimitReached>> {
        let Some(max) = self.max else { return Ok(()) };
        let next = self.price_of(model);
        let after = self.cost.zip(next).map(|(cost, next)| cost.most() + self.reserved + next);
        if after.is_some_and(|after| after <= max) {
            return Ok(());
        }
        let unit = self.price.as_ref().map_or_else(String::new, |price| price.unit.clone());
        Err(Box::new(CostLimitReached { cost: self.cost, next, max, unit }))
    }

    /// Reserves the price of a submission to this model, which leaves now.
    pub fn reserve(&mut self, model: &str) {
        self.reserved += self.price_of(model).unwrap_or_default();
    }

    /// Settles a submission to this model that was answered, or never will be.
    pub fn settle(&mut self, model: &str, settled: Settled) {
        let price = self.price_of(model);
        self.reserved = self.reserved.without(price.unwrap_or_default());
        match (settled, &mut self.cost, price) {
            (Settled::Free, _, _) => (),
            // One unknown price makes the sum unknown.
            (Settled::Paid | Settled::InDoubt, _, None) => self.cost = None,
            (Settled::Paid | Settled::InDoubt, None, Some(_)) => (),
            (Settled::Paid, Some(cost), Some(price)) => cost.sure += price,
            (Settled::InDoubt, Some(cost), Some(price)) => {
                cost.in_doubt += price;
                cost.n_in_doubt += 1;
            }
        }
    }

    /// Settles a submission of an earlier process that counted as in doubt.
    pub fn clarify(&mut self, model: &str, settled: Settled) {
        let price = self.price_of(model);
        let (Some(cost), Some(price)) = (&mut self.cost, price) else { return };
        match settled {
            Settled::InDoubt => return,
            Settled::Paid => cost.sure += price,
            Settled::Free => (),
        }
        cost.in_doubt = cost.in_doubt.without(price);
        cost.n_in_doubt = cost.n_in_doubt.saturating_sub(1);
    }

    fn price_of(&self, model: &str) -> Option<Amount> {
        self.price.as_ref()?.amount_of(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spending(price: &str, max: &str) -> Spending {
        Spending::new(&Limits { cost_max: max.parse().ok(), price: price.parse().ok(), ..Limits::default() })
    }

    /// Returns how many submissions may leave at once.
    fn n_leaving(spending: &mut Spending) -> usize {
        (0..1000).take_while(|_| spending.check("a/b").is_ok().then(|| spending.reserve("a/b")).is_some()).count()
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
        spending.settle("a/b", Settled::Free);
        assert_eq!(n_leaving(&mut spending), 1);
        spending.settle("a/b", Settled::InDoubt);
        spending.settle("a/b", Settled::Paid);
        assert_eq!(n_leaving(&mut spending), 0);
        let two = Amount::new(2.0);
        assert_eq!(spending.cost(), Some(Cost { sure: two, in_doubt: two, n_in_doubt: 1 }));
        let capped = spending.check("a/b").unwrap_err();
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
        let by_model = Price { unit: "USD".into(), per_image: None, by_model: [("a/b".to_owned(), 1.0)].into() };
        let limits = Limits { price: Some(by_model), cost_max: "5".parse().ok(), ..Limits::default() };
        let mut spending = Spending::new(&limits);
        assert!(spending.check("a/b").is_ok() && spending.check("c/d").is_err_and(|capped| capped.next.is_none()));
        spending.settle("c/d", Settled::Paid);
        assert!(spending.cost().is_none() && spending.check("a/b").is_err(), "the sum is no longer known");
        let mut spending = Spending::new(&Limits { price: None, ..limits });
        assert_eq!(n_leaving(&mut spending), 0);
        let unlimited = Limits::default();
        assert_eq!(n_leaving(&mut Spending::new(&unlimited)), 1000);
    }
}
