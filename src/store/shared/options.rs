//! Settings of a worker of a shared run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::price::Price;
use crate::model::time::Moment;

/// Reads the clock of this machine, which goes on while the machine is suspended.
pub type ReadClock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// Settings of a worker. All workers of a run have the same.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedOptions {
    /// Name of the ledger in messages, without a secret.
    pub location: PathBuf,
    /// Silence after which a worker is taken over. A worker sends nothing after two thirds of it without an acknowledged write.
    pub ttl: Duration,
    /// Longest time without an answer of the server, after which the worker gives up.
    pub outage_max: Duration,
    /// Time for which acknowledged writes are kept, to send them again to a server that has forgotten them.
    pub kept_for: Duration,
    /// Maximum size of those writes, in bytes, roughly.
    pub kept_bytes_max: usize,
    /// Price at which the cost of the run is counted; `None` if none is known.
    pub price: Option<Price>,
}

impl SharedOptions {
    /// Returns the usual settings for the ledger with this name.
    pub fn new(location: PathBuf) -> Self {
        Self {
            location,
            ttl: Duration::from_secs(30),
            outage_max: Duration::from_secs(24 * 3600),
            kept_for: Duration::from_secs(60),
            kept_bytes_max: 64 << 20,
            price: None,
        }
    }

    /// Returns the time for which an acknowledged write proves that no other worker has the jobs of this one.
    pub fn lease_term(&self) -> Duration {
        self.ttl * 2 / 3
    }

    /// Returns the time between two renewals of a worker without commits, which is also the time between two looks at the others.
    pub fn renewed_every(&self) -> Duration {
        self.ttl / 6
    }
}
