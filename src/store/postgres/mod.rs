//! Shared run in PostgreSQL: the server is the source of truth, and any number of workers on any number of machines drive the jobs.
//!
//! A run has a schema of its own. It comes from a run folder, by `push`, and goes back into one, through `blocking`. In between each worker drives
//! the jobs of the blocks that it has claimed, through [`SharedBackend`](crate::store::shared::backend::SharedBackend).
//!
//! No statement is prepared, no setting of a session is relied on, and there are no triggers, functions or notifications: what the server
//! needs is a database in which a user may create a schema.

pub mod address;
mod backend;
pub(crate) mod blocking;
mod client;
mod encode;
mod pace;
pub(crate) mod push;
pub(crate) mod run;
mod statements;
#[cfg(test)]
mod tests;
mod tls;
