//! Configuration of the simulated service: latency, limits and faults.

use std::sync::Arc;
use std::time::Duration;

use crate::description::format::Description;
use crate::model::limits::Rate;
use crate::model::request::Size;
use crate::simulator::faults::FaultPlan;

/// Behaviour of a simulated service.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatorConfig {
    /// Described API to play; `None`, the default, plays that of ModelScope.
    pub api: Option<Arc<Description>>,
    /// Time until an accepted submission is found by a question for it, of APIs that answer such questions.
    pub list_delay: Duration,
    /// Median latency of a task; latencies have a lognormal distribution.
    pub latency: Duration,
    /// Standard deviation of the latency's logarithm. 0 gives all tasks the same latency. With 0.3, nineteen in twenty tasks take between a
    /// little over half and a little under twice the median.
    pub latency_sigma: f64,
    /// Delay of every response, in place of the network delay that loopback lacks.
    pub answer_delay: Duration,
    /// Rate limit of submissions, with bursts of one second's worth; excess submissions get 429. `None` means no limit.
    pub rate: Option<Rate>,
    /// Limit of unfinished tasks; excess submissions get 429. A stuck task counts as finished after its planned end. `None` means no limit.
    pub concurrency: Option<u32>,
    /// `Retry-After` header of a 429, in whole seconds, rounded up. `None` sends no header, like the real service.
    pub retry_after: Option<Duration>,
    /// Submissions accepted per day of Asia/Shanghai; further ones get 429 until midnight there. `None` means no quota.
    pub quota: Option<u32>,
    /// Submissions accepted per model and day, besides `quota`. `None` means no quota of models.
    pub model_quota: Option<u32>,
    /// Share of requests that end FAILED 422 as inappropriate, from 0 to 1. Equal requests always have the same end.
    pub fail_rate: f64,
    /// Faults that are injected, with their probabilities.
    pub faults: FaultPlan,
    /// Seed of all random decisions.
    pub seed: u64,
    /// Size of all pictures, whatever size is requested; `None` uses the requested size.
    pub image_size: Option<Size>,
    /// Size of the cache for drawn pictures, in bytes. The default is 0, because a run requests each picture once.
    pub pictures_bytes_max: usize,
    /// Lifetime of an image link, from the poll that returned it, rounded down to a second. `None`, the default, means that links never
    /// expire.
    pub link_lifetime: Option<Duration>,
    /// Bandwidth of all images together, in bytes per second; `None` means as fast as this machine can.
    pub line: Option<u64>,
    /// Only token that is accepted; `None`, the default, accepts any token that is not empty.
    pub token: Option<String>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            api: None,
            list_delay: Duration::ZERO,
            latency: Duration::from_secs(2),
            latency_sigma: 0.3,
            answer_delay: Duration::ZERO,
            rate: None,
            concurrency: None,
            retry_after: None,
            quota: None,
            model_quota: None,
            fail_rate: 0.0,
            faults: FaultPlan::default(),
            seed: 0,
            image_size: None,
            pictures_bytes_max: 0,
            link_lifetime: None,
            line: None,
            token: None,
        }
    }
}
