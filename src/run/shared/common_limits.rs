//! Limits that all workers of a shared run keep together, as they are when a worker begins: those that it was given, or else those of the run.

use std::num::NonZeroU32;

use crate::model::cost::CostLimit;
use crate::model::limits::{Concurrency, Limits};
use crate::model::price::Price;
use crate::model::shared_rate::SharedRate;
use crate::run::error::RunError;
use crate::run::money::check_price;
use crate::run::shared::error::SharedRunError;
use crate::run::shared::patience::{PATIENCE_FIRST, patiently};
use crate::run::shared::start_limit::StartLimit;
use crate::store::RunWriter;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::run::{PostgresRun, SharedStatus};
use crate::store::settings::WriteSettings;

/// Limits of all workers together.
#[derive(Clone, Debug)]
pub(super) struct CommonLimits {
    pub(super) rate: Option<StartLimit<SharedRate>>,
    /// Maximum number of tasks in flight.
    pub(super) places: Option<StartLimit<NonZeroU32>>,
    pub(super) cost: Option<StartLimit<CostLimit>>,
    /// Price at which the cost is counted; `None` if none is known.
    pub(super) price: Option<Price>,
}

impl CommonLimits {
    /// Determines the limits of all workers together. The run has one price; a worker that was given another one is refused.
    pub(super) async fn settle(
        (server, status): (&PostgresRun, &SharedStatus),
        limits: &Limits,
        settings: &mut dyn RunWriter,
        listed: Option<Price>,
    ) -> Result<Self, SharedRunError> {
        let price = if let Some(price) = &status.price {
            Some(price.clone())
        } else {
            let price = settings.settle_price(limits.price.clone(), listed)?;
            patiently(PATIENCE_FIRST, || server.settle_price(price.as_ref())).await?
        };
        let told = (limits.price.as_ref(), limits.cost_max.as_ref());
        check(server.address(), status, price.as_ref(), told)?;
        let rate = limits.rate.map(|rate| SharedRate { rate, burst: limits.burst });
        let places = match limits.concurrency {
            Concurrency::Fixed(max) => Some(max),
            Concurrency::Auto => None,
        };
        let unit = price.as_ref().map(|price| price.unit.clone()).filter(|unit| !unit.is_empty());
        let in_unit = |amount| CostLimit { amount, unit: unit.clone() };
        let cost = limits.cost_max.as_ref().map(|max| max.amount);
        let rate_before = patiently(PATIENCE_FIRST, || server.settle_rate(rate)).await?;
        let places_before = patiently(PATIENCE_FIRST, || server.settle_places(places)).await?;
        let cost_before = patiently(PATIENCE_FIRST, || server.settle_cost_max(cost)).await?;
        Ok(Self {
            rate: StartLimit::of(rate, rate_before),
            places: StartLimit::of(places, places_before),
            cost: StartLimit::of(cost.map(in_unit), cost_before.map(in_unit)),
            price,
        })
    }

    /// Returns the limits of the engine of a worker.
    pub(super) fn of_worker(&self, limits: &Limits, is_same_account: bool) -> Limits {
        let (rate, burst) =
            self.rate.as_ref().map_or((None, None), |start| (Some(start.limit.rate), start.limit.burst));
        let concurrency = self.places.as_ref().map_or(Concurrency::Auto, |start| Concurrency::Fixed(start.limit));
        Limits {
            is_same_account,
            is_shared: true,
            price: self.price.clone(),
            rate,
            burst,
            concurrency,
            cost_max: self.cost.as_ref().map(|start| start.limit.clone()),
            ..limits.clone()
        }
    }
}

/// Checks that the cost of a run with this price can be counted and limited as a command says, by a price and a limit.
pub(super) fn check(
    address: &SharedAddress,
    status: &SharedStatus,
    price: Option<&Price>,
    (told, max): (Option<&Price>, Option<&CostLimit>),
) -> Result<(), SharedRunError> {
    let refused = |what, remedy| Err(SharedRunError::Other { place: address.to_string(), what, remedy });
    if let Some((told, known)) = told.zip(price).filter(|(told, known)| !is_same(told, known)) {
        let what = format!("its cost is counted at {known}, and --price says {told}");
        return refused(what, "leave --price out, or bring the run back with `promptbatch merge` and share it again");
    }
    check_price(max, price).map_err(RunError::from)?;
    if max.is_some() && status.cost.is_none() {
        let what = "its cost so far is not known, so that --max-cost cannot be kept".to_owned();
        let remedy = "leave --max-cost out, or bring the run back with `promptbatch merge` and share it with --price";
        return refused(what, remedy);
    }
    Ok(())
}

/// Returns whether two prices say the same, whoever says it.
fn is_same(one: &Price, other: &Price) -> bool {
    let said = |price: &Price| Price { listed_on: None, unit: price.unit.to_lowercase(), ..price.clone() };
    said(one) == said(other)
}
