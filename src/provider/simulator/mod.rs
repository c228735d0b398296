//! A whole ModelScope-shaped API on this machine: no account, no money, with faults on request.
//!
//! [`server::Server`] is the API as one value, with no input or output: deterministic tests call it directly, in
//! virtual time. [`http::Simulator`] puts it on a loopback socket, for any client.

mod check;
pub mod config;
mod connection;
pub mod faults;
mod gallery;
mod gate;
pub mod http;
mod line;
pub mod message;
pub mod pages;
pub mod picture;
pub mod range;
pub mod refusal;
pub mod server;
pub mod stats;
pub mod task;
