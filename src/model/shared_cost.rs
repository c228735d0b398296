//! Limit on the cost that several processes keep together: what one of them asks for, and what it hears.
//!
//! A process reserves the price of a submission together with the time at which it leaves. The record of a submission counts its price from
//! then on, so that reserved amounts and recorded ones together are at least what was spent.

use crate::model::amount::Amount;
use crate::model::cost::Cost;

/// Amounts in a request for times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostRequest {
    /// Most that one of the submissions may cost; `None` if a price is unknown.
    pub each: Option<Amount>,
    /// Amount that the process may spend beyond the prices of its recorded submissions.
    pub held: Amount,
}

/// Limit on the cost of all processes together at which no further submission fits, whatever becomes of those under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostReached {
    /// Cost of all processes that is paid, and cost in doubt; `None` if a price is unknown.
    pub cost: Option<Cost>,
    /// Limit.
    pub max: Amount,
}
