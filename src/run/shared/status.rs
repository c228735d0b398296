//! State of a shared run, as the server tells it.

use std::time::Duration;

use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::price::Price;
use crate::store::error::LedgerError;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::blocking::BlockingRun;
use crate::store::setting::Setting;

/// State of a shared run.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedRunStatus {
    /// Provider of the tasks.
    pub provider: String,
    /// Jobs by status.
    pub counts: StatusCounts,
    /// Incidents of all sessions.
    pub incidents: RunStats,
    /// Workers that have not ended, as far as the server knows: host, process and numbers of each.
    pub workers: Vec<SharedWorkerStatus>,
    /// Says whether the run was brought back into a run folder.
    pub is_merged: bool,
    /// Price at which the cost is counted; `None` if none is known.
    pub price: Option<Price>,
    /// Cost of the run, with submissions under way as in doubt; `None` if a price is unknown.
    pub cost: Option<Cost>,
    /// Limit on the cost of the run; `None` for no limit.
    pub cost_max: Option<Amount>,
}

/// State of a worker of a shared run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedWorkerStatus {
    /// Name of its machine.
    pub host: String,
    /// Id of its process there.
    pub pid: u64,
    /// Time since it joined.
    pub since: Duration,
    /// Jobs that it has ended.
    pub n_ended: u64,
}

/// Server of a shared run, asked repeatedly.
pub struct SharedRunWatch(BlockingRun);

impl std::fmt::Debug for SharedRunWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SharedRunWatch").field(self.0.address()).finish()
    }
}

impl SharedRunWatch {
    /// Prepares the access to a run.
    pub fn new(address: SharedAddress) -> Result<Self, LedgerError> {
        Ok(Self(BlockingRun::new(address)?))
    }

    /// Reads the state of the run. Costs the same for any number of jobs.
    pub fn status(&self) -> Result<SharedRunStatus, LedgerError> {
        let status = self.0.status()?;
        Ok(SharedRunStatus {
            provider: status.settings.get(Setting::Provider.key()).cloned().unwrap_or_default(),
            counts: status.counts,
            incidents: status.incidents,
            is_merged: status.is_merged,
            cost: status.cost.filter(|_| status.price.is_some()),
            price: status.price,
            cost_max: status.cost_max,
            workers: status
                .workers
                .into_iter()
                .map(|worker| SharedWorkerStatus {
                    host: worker.host,
                    pid: worker.pid,
                    since: worker.since,
                    n_ended: worker.n_ended,
                })
                .collect(),
        })
    }
}
