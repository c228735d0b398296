//! Client of any described API, and the judgement of its answers. No file here knows an API: all that differs is in its description.
//!
//! The files that judge answers do no I/O, so that a description's examples are judged by the same code.

pub(crate) mod acceptance;
pub(crate) mod addresses;
pub(crate) mod answered;
#[cfg(any(feature = "cli", test))]
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod fault;
pub(crate) mod find;
pub(crate) mod ids;
pub(crate) mod images;
pub(crate) mod limits;
pub(crate) mod money;
#[cfg(all(test, feature = "simulator"))]
mod played;
pub(crate) mod polled;
pub(crate) mod reading;
pub(crate) mod request;
pub(crate) mod spec;
pub(crate) mod submitted;

#[cfg(test)]
mod tests;
