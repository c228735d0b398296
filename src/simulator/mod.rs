//! Simulator of image APIs on this machine, with faults on request; needs no account and costs no money. It plays the API of ModelScope,
//! or any described one.
//!
//! [`server::Server`] is the API as one value, without I/O: deterministic tests call it directly, in virtual time. [`http::Simulator`]
//! serves it on a loopback socket, for any client.

mod admission;
mod bandwidth;
mod check;
pub mod config;
mod connection;
mod described;
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
