//! Simulator of the ModelScope API on this machine, with faults on request; needs no account and costs no money.
//!
//! [`server::Server`] is the API as one value, without I/O: deterministic tests call it directly, in virtual time. [`http::Simulator`]
//! serves it on a loopback socket, for any client.

mod admission;
mod bandwidth;
mod check;
pub mod config;
mod connection;
pub mod faults;
pub(crate) mod http;
pub(crate) mod message;
pub(crate) mod pages;
pub(crate) mod picture;
mod picture_cache;
pub(crate) mod range;
pub(crate) mod refusal;
pub(crate) mod server;
pub(crate) mod stats;
pub(crate) mod task;
