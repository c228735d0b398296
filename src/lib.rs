//! promptbatch

pub mod driver;
pub mod engine;
pub mod ledger;
pub mod manifest;
pub mod model;
pub mod provider;
pub mod report;
