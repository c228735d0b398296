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
pub mod http;
pub mod message;
pub mod pages;
pub mod picture;
mod picture_cache;
pub mod range;
pub mod refusal;
pub mod server;
pub mod stats;
pub mod task;
