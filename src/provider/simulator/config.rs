//! How a simulated service behaves: its pace, its limits, its faults.

use std::time::Duration;

use crate::model::limits::Rate;
use crate::model::request::Size;
use crate::provider::simulator::faults::FaultPlan;

/// How a simulated service behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How long half of the tasks take at most: the median of a lognormal distribution.
    pub latency: Duration,
    /// How far the others are from it: the standard deviation of the latency's logarithm. 0 makes all tasks alike; with
    /// 0.3, nineteen in twenty take between a little over half the median and a little under twice the median.
    pub latency_sigma: f64,
    /// How long every answer is held back, for the network that loopback is not.
    pub answer_delay: Duration,
    /// Submissions that are taken, with bursts of one second's worth; the rest get 429.
    pub rate: Option<Rate>,
    /// Unfinished tasks beyond which submissions get 429. A stuck task counts as finished when it should have been.
    pub concurrency: Option<u32>,
    /// The Retry-After that goes with a 429, in whole seconds. The real service sends none.
    pub retry_after: Option<Duration>,
    /// Submissions taken in a day of Asia/Shanghai, after which they get 429 until midnight there.
    pub quota: Option<u32>,
    /// The share of requests that end FAILED 422 as inappropriate, from 0 to 1; the same ones every time they are
    /// asked.
    pub fail_rate: f64,
    /// What goes wrong, and how often.
    pub faults: FaultPlan,
    /// Seed of all that is drawn by lot.
    pub seed: u64,
    /// Draw all pictures at this size, whatever is asked.
    pub image_size: Option<Size>,
    /// Drawn pictures that are kept to be sent again, in bytes; by default none, as a run asks for each once.
    pub pictures_bytes_max: usize,
    /// How long a link leads to its image, from the poll that gave it, to the second below; by default for ever.
    pub link_lifetime: Option<Duration>,
    /// Bytes a second that all images together are sent at; none means as fast as this machine can.
    pub line: Option<u64>,
    /// The one token that is accepted; by default any is that is not empty.
    pub token: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            latency: Duration::from_secs(2),
            latency_sigma: 0.3,
            answer_delay: Duration::ZERO,
            rate: None,
            concurrency: None,
            retry_after: None,
            quota: None,
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
