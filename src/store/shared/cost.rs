//! Cost of a shared run, as a sum of what each event changes: exact, and the same whoever records the events.
//!
//! A submission counts at its price from its record on, first as a possible cost. Its answer makes it certain, or free.

use std::ops::AddAssign;

use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::event::{EventKind, Stage};
use crate::model::phase::{JobState, Phase};
use crate::model::price::Price;
use crate::model::request::Request;

/// Cost, or a change of the cost, in billionths of the unit of the price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostTotals {
    /// Certain cost.
    pub sure: i128,
    /// Cost of the submissions that have no answer, or whose answer was lost.
    pub possible: i128,
    /// Number of those submissions.
    pub n_possible: i128,
    /// Number of submissions that are or may be paid for, at a price that is unknown.
    pub n_unknown: i128,
}

/// Price of one request, in the unit of the run's price.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct RequestPrice<'a> {
    price: Option<&'a Price>,
    amount: Option<Amount>,
}

impl<'a> RequestPrice<'a> {
    /// Returns the price of a request; that of a run without a price is unknown.
    pub(in crate::store) fn of(price: Option<&'a Price>, request: &Request) -> Self {
        Self { price, amount: price.and_then(|price| price.amount_for(request)) }
    }

    /// Returns this price, which was determined before.
    pub(super) const fn known(price: Option<&'a Price>, amount: Option<Amount>) -> Self {
        Self { price, amount }
    }

    /// Returns the amount; `None` if it is unknown.
    pub(super) const fn amount(self) -> Option<Amount> {
        self.amount
    }
}

impl CostTotals {
    /// Returns what an event changes, for a job that was in this state.
    pub(in crate::store) fn of(before: &JobState, kind: &EventKind, price: RequestPrice<'_>) -> Self {
        let is_open = before.phase == Phase::Submitting && !before.is_doubt_counted();
        match kind {
            EventKind::SubmitStarted => Self::submitted(price, 1),
            EventKind::Accepted(_) if before.phase == Phase::Submitting => Self::accepted(price),
            // A submission without an answer of which no event says more was not paid for, as far as is known.
            EventKind::Setback(Stage::Submit, fault) if is_open && !fault.kind.leaves_doubt() => {
                Self::submitted(price, -1)
            }
            EventKind::Finished(_) | EventKind::Reopened(_) | EventKind::Redone(_) | EventKind::Restored(_)
                if is_open =>
            {
                Self::submitted(price, -1)
            }
            EventKind::Charged(charge) if charge.submission == before.n_submits => {
                let in_unit = |money: &crate::model::money::Money| money.amount_in(&price.price?.unit);
                let Some(amount) = in_unit(&charge.money) else { return Self::default() };
                let told = before.charge.as_ref().and_then(in_unit);
                match told.or(price.amount) {
                    Some(counted) => Self { sure: signed(amount) - signed(counted), ..Self::default() },
                    None => Self { sure: signed(amount), n_unknown: -1, ..Self::default() },
                }
            }
            EventKind::Accepted(_)
            | EventKind::Setback(..)
            | EventKind::Finished(_)
            | EventKind::Reopened(_)
            | EventKind::Redone(_)
            | EventKind::Restored(_)
            | EventKind::Charged(_)
            | EventKind::Ready(_) => Self::default(),
        }
    }

    const fn submitted(price: RequestPrice<'_>, n: i128) -> Self {
        let none = Self { sure: 0, possible: 0, n_possible: 0, n_unknown: 0 };
        match price.amount {
            Some(amount) => Self { possible: n * signed(amount), n_possible: n, ..none },
            None => Self { n_unknown: n, ..none },
        }
    }

    fn accepted(price: RequestPrice<'_>) -> Self {
        let Some(amount) = price.amount else { return Self::default() };
        Self { sure: signed(amount), ..Self::submitted(price, -1) }
    }

    /// Returns the cost; `None` if a price is unknown.
    pub fn cost(&self) -> Option<Cost> {
        let Self { sure, possible, n_possible, n_unknown } = *self;
        let amount = |billionths: i128| Amount::from_billionths(u128::try_from(billionths).unwrap_or(0));
        let n_in_doubt = u64::try_from(n_possible).unwrap_or(0);
        (n_unknown <= 0).then(|| Cost { sure: amount(sure), in_doubt: amount(possible), n_in_doubt })
    }

    /// Returns the numbers in the order of their declaration.
    pub(in crate::store) const fn numbers(&self) -> [i128; 4] {
        [self.sure, self.possible, self.n_possible, self.n_unknown]
    }

    /// Makes totals of these numbers.
    pub(in crate::store) const fn from_numbers([sure, possible, n_possible, n_unknown]: [i128; 4]) -> Self {
        Self { sure, possible, n_possible, n_unknown }
    }
}

/// Returns an amount as a number that can be subtracted.
pub(in crate::store) const fn signed(amount: Amount) -> i128 {
    let billionths = amount.billionths();
    // Sums of amounts must not overflow either.
    if billionths > AMOUNT_MAX { AMOUNT_MAX.cast_signed() } else { billionths.cast_signed() }
}

/// Largest amount that is told apart from larger ones, in billionths.
const AMOUNT_MAX: u128 = 1 << 96;

impl AddAssign for CostTotals {
    fn add_assign(&mut self, other: Self) {
        let (own, other) = (self.numbers(), other.numbers());
        *self = Self::from_numbers(std::array::from_fn(|i| own[i].saturating_add(other[i])));
    }
}

#[cfg(test)]
mod tests;
