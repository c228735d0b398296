//! Batch job runner that sends the prompts of a manifest to an image API.
//!
//! **An accepted task is never paid for again. Nothing finished is lost. Nothing counts as done until it is on disk and verified.**
//! A submission whose answer was lost is in doubt, and the caller chooses what happens.
//!
//! This page is for programs that embed the library. The manual of the program `promptbatch` is in the folder `docs` of the
//! repository, and `ARCHITECTURE.md` says how everything is built: the idea, the layers, what survives what, and how to add to it.
//!
//! # A batch
//!
//! [`run::batch::Batch`] is built from a manifest, observed as a stream of updates, and stopped at any moment. It runs on a
//! thread of its own, prints nothing, and installs no signal handlers. Starting the same batch again resumes it.
//!
//! ```no_run
//! use promptbatch::run::batch::Batch;
//!
//! # async fn batch() -> Result<(), Box<dyn std::error::Error>> {
//! let summary = Batch::new("prompts.yaml").limits(|limits| limits.rate = "30/m".parse().ok()).start()?.summary().await?;
//! println!("{} images", summary.counts.n_succeeded);
//! # Ok(())
//! # }
//! ```
//!
//! [`Batch::from_jobs`](run::batch::Batch::from_jobs) takes requests that the program makes, without a manifest.
//!
//! `examples/embed.rs` is a whole program: it watches a batch, stops it in the middle, and resumes it, against the simulator.
//! For a run on the caller's own runtime, with reporters of its own, call [`run::run`], as the program does.
//!
//! # What is where
//!
//! | to | use |
//! |---|---|
//! | run, resume, watch, stop | [`run::batch`], [`run::run`] |
//! | run parts on several machines, and merge them | [`manifest::source::Source::partition`], [`run::merge`] |
//! | share one run among machines (feature `postgres`) | `run::shared` |
//! | retry, redo, verify, make a gallery, export a dataset | [`run::retry`], [`run::redo`], [`run::verify`], [`run::gallery`], [`run::export`] |
//! | set rates, limits and policies | [`model::limits::Limits`] |
//! | choose the provider, or the simulator | [`provider::registry`], [`provider::config::ProviderConfig`] |
//! | bring a provider, a format, a report or a display of its own | [`provider::Provider`], [`manifest::formats::format::Format`], [`report::ci::ReportWriter`], [`report::Reporter`] |
//! | read a manifest, and its mistakes | [`manifest::open`] |
//! | know what a run would do | [`plan::plan`], [`plan::estimate`] |
//! | read a ledger, also beside a live run | [`store`] |
//!
//! # The modules
//!
//! Each imports lower layers only; the modules of one line never import each other. `tests/tidy.rs` enforces it.
//!
//! | layer | modules |
//! |---|---|
//! | program | `main`, and below it `cli`: commands, flags, exit codes, messages (feature `cli`) |
//! | public API | [`run`] |
//! | loop | `driver`, which acts; [`plan`], which joins manifest and ledger |
//! | ports | [`provider`], [`store`], `engine`, [`images`], [`manifest`], [`report`] |
//! | provider descriptions | [`description`]: the format of the files that describe an image API |
//! | simulated service | [`simulator`] (feature `simulator`) |
//! | tests of this crate | `internals`: what they need besides the API; no part of the API. `test_effort`: how many cases they play |
//! | domain | [`model`]: no I/O, no clock, no async, no serde; `fsio`: durable and atomic files |
//!
//! # What to rely on
//!
//! - Every event of a job is recorded before anything follows from it ([`store::record`], [`store::Recorded`]).
//! - A [`Fault`](model::outcome::Fault) is a failure outside the program, and ends at most a job. An `Err` ends the run.
//! - The program's flags are fields of [`run::options::Options`] and [`model::limits::Limits`], with the same defaults.
//! - Before version 1.0, this interface may change with a minor version; the changelog says how.

#![warn(unnameable_types, unreachable_pub)]

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod description;
mod driver;
mod engine;
mod fsio;
pub mod images;
#[doc(hidden)]
pub mod internals;
pub mod manifest;
pub mod model;
pub mod plan;
pub mod provider;
pub mod report;
pub mod run;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod store;
mod test_effort;

/// Compiles the examples of the manual's page about the library.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct Manual;
