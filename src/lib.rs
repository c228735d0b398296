//! promptbatch

pub mod engine;
pub mod ledger;
pub mod model;
pub mod provider;
