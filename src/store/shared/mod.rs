//! Ledger of a run that several processes work on, on one machine or on many.
//!
//! A server keeps the truth. Every process is a worker, with a row of its own, and drives the jobs of the blocks that it has claimed.
//! Nothing passes from worker to worker but through the server.

pub(crate) mod backend;
#[cfg(test)]
pub(in crate::store) mod conformance;
#[cfg(test)]
mod conformance_cost;
#[cfg(test)]
mod conformance_jobs;
#[cfg(test)]
mod conformance_pace;
pub(crate) mod cost;
mod held;
mod keeper;
pub(crate) mod ledger;
mod link;
pub(crate) mod memory;
mod memory_pace;
mod memory_rows;
mod observer;
pub(crate) mod options;
mod outbox;
pub(crate) mod recent_testimonies;
mod reserve;
mod server_clock;
