//! Batch job runner that sends the prompts of a manifest through an asynchronous image API.
//!
//! promptbatch keeps three promises:
//! **Nothing is paid for twice. Nothing finished is lost. Nothing is called done that is not on disk and verified.**
//!
//! This page is the map of the crate. The README is the manual of the program; `promptbatch run --help` lists the flags.
//!
//! # The idea
//!
//! A job's state is the fold of its events, in a live run and on a resume ([`model::phase::JobState::apply`]). A first run is a
//! resume without a past. Recovery from a crash is therefore no separate feature: it is the constructor.
//!
//! A pure engine decides, and one thin loop acts. One [`Event`](model::event::Event) enum is recorded by the ledger, shown by the
//! reporters and folded into results. Every turn of the program has five steps ([`driver::drive`]):
//!
//! ```text
//!    decide  ->  record  ->  show  ->  act  ->  wait
//!    engine      ledger      report    driver   clock, answers
//! ```
//!
//! # The layers
//!
//! ```text
//!    main
//!    cli                                            flags, exit codes, messages
//!    run                                            public API
//!    driver               plan                      acts; joins manifest and ledger
//!    provider store engine images report manifest   six peer modules that never import each other
//!    simulator                                      the simulated image API
//!    model                fsio                      domain types: no I/O, no clock, no async, no serde; files
//! ```
//!
//! A module imports from lower layers only. Code that two peer modules share goes down into `model`. Code that joins them goes up into
//! `driver`, `plan` or `run`. The test `tests/tidy.rs` enforces this.
//!
//! | module | purpose | begin with |
//! |---|---|---|
//! | [`model`] | jobs, phases, events, faults, limits, names, time | [`model::phase`] |
//! | [`manifest`] | reads and checks the user's manifest in any format; reports every mistake with its location | [`manifest::open`], and its table of files |
//! | [`engine`] | decides everything and performs nothing: lanes, rates, polls, retries | [`engine::Engine`] |
//! | [`provider`] | ModelScope over HTTP; classifies every fault | [`provider::Provider`] |
//! | [`simulator`] | a simulated image API, with the faults of real ones | [`simulator::http::Simulator`] |
//! | [`store`] | the durable state, one SQLite file per run | [`store::record`] |
//! | [`report`] | all output for people and scripts: progress on a terminal, log lines, JSON events, `results.csv`, CI reports, the gallery, datasets | [`report::Reporter`], [`report::dataset`] |
//! | [`images`] | images of a run: checked, post-processed, stored, verified | [`images::ImageStore`] |
//! | [`driver`] | the loop and the clock | [`driver::drive`] |
//! | [`plan`] | joins manifest and ledger: predicts what a run would do, imports a manifest | [`plan::plan`], [`plan::estimate`] |
//! | [`run`] | plan, resume, drive, results; retry, verification, gallery and export of finished jobs | [`run::batch`], [`run::run`], [`run::retry`], [`run::verify`], [`run::gallery`], [`run::export`] |
//! | `fsio` | durable and atomic file operations | `src/fsio/mod.rs` |
//! | `cli`, `main` | the program `promptbatch` | `src/cli/mod.rs` |
//!
//! # The vocabulary
//!
//! | word | meaning |
//! |---|---|
//! | Manifest | the user's list of prompts, checked |
//! | [Job](model::job::Job) | one wanted image request, immutable; its id comes from its content, not from its position |
//! | [Phase](model::phase::Phase) | pending, submitting, running, downloading or finished |
//! | [`TaskId`](model::outcome::TaskId) | the provider's own id of an accepted job |
//! | [Artifact](model::outcome::Artifact) | an image on the local disk: name, sha256, size, format |
//! | [Fault](model::outcome::Fault) | an external failure, classified by the provider |
//! | [Outcome](model::outcome::Outcome) | the final result of a job |
//! | [Event](model::event::Event) | one thing that happened to one job at one moment |
//! | [Ledger](store::Ledger) | jobs, their phases and their events, kept across processes |
//! | [History](model::history::History) | the pace of earlier processes, read from the end of the ledger |
//! | [Lane](engine::lane::Lane) | one provider's pace: submissions, tasks in flight, polls, downloads |
//! | [Turn](engine::turn::Turn) | one step of the engine: events to record, actions to perform, the time to wake up |
//!
//! # The guarantees
//!
//! 1. `SubmitStarted` is committed before the request leaves. If a resume finds it as the last event, that submission is *in doubt*: it
//!    may have been accepted. `--in-doubt` decides, and the job's record says so.
//! 2. A request that certainly never arrived (refused connection, unknown host, failed handshake) is not in doubt. A request whose
//!    answer was lost (reset, timeout, cut or unreadable answer) is in doubt. So is a request with any answer but the API's own
//!    envelope: the clear refusals are a closed list. An answer that names a task id is an acceptance, whatever its status.
//! 3. `Accepted` is committed as soon as it is known. From then on the job is polled. It is submitted again only if the provider itself
//!    reports the task as lost or failed. Repeated payments of a job, for doubts and losses together, are counted and limited
//!    (`--resubmits`). If many jobs need another payment, one goes first (`engine/resubmit_limiter.rs`). A task id belongs to one job.
//! 4. Failed downloads and expired links send a job back to *poll*, for fresh links; never to *submit*. An interrupted download first
//!    resumes where it stopped, in this process or a later one. This needs a host that can prove that the image is the same.
//! 5. An image is written to a temporary file, checked to its last byte and pixel, synced and renamed. Only then is `Finished`
//!    committed. A crash in between repeats one download: a file with the same bytes is accepted as the image itself.
//! 6. `results.csv` is a projection of the ledger, replaced atomically, never read back.
//! 7. The ledger is SQLite (WAL, `synchronous=FULL`), with one writing process at a time; the lock dies with its holder. A commit counts
//!    only while the files are in place, because OUT may be moved or deleted during a run.
//! 8. If the disk accepts no images, the run starts nothing more. It waits for the answers in flight, so that none of them is in doubt.
//! 9. No file leaves OUT: a link below it is refused or replaced, never followed. OUT itself may be a link.
//! 10. A missing answer proves nothing, and neither does the age of a task by a clock. A task is given up in two cases. In the first, the
//!     provider does not know the task. In the second, the provider has reported the task as running for as long as `--task-timeout`,
//!     to this process (`engine/listening.rs`). Besides, the task must not be waiting in a queue (`engine/fifo.rs`). An outage fails
//!     no job: the run waits, and stops when the outage lasts too long (`--max-outage`). The same holds for refusals that all jobs
//!     receive equally (`engine/refusals.rs`). Their cause is the address, the model or the token, and not the jobs.
//! 11. An exhausted quota stops submissions before one is refused, if the provider's headers report it. The run then stops, or waits
//!     for the reset and tries with one submission (`--on-quota`).
//! 12. Finished jobs resume only through a recorded [`Reopened`](model::event::EventKind::Reopened). `retry` and
//!     `verify --repair` send a job back to its paid task, wherever that task may still give the image.
//! 13. A ledger of an earlier version is migrated to the current one, all or nothing, when a run resumes it. Commands that only read
//!     leave it unchanged. `tests/ledgers` keeps one ledger of each version.
//!     Every row has a checksum. A watermark in the ledger's folder reveals a ledger that went back in time, which is refused. If the user
//!     accepts it, all that may have been submitted since is in doubt (`store/sqlite/watermark.rs`, `store/sqlite/older_ledger.rs`).
//!
//! 14. A name depends on the job and its task alone, and so does everything that is made from an image. A second download after a
//!     crash therefore gives the same file. The ledger keeps the name template and the rest of the style; later runs, retries and
//!     repairs follow it. No file is overwritten: an image whose name is in use gets its job's id appended ([`model::name`],
//!     `images/postprocess`).
//! 15. Pages, reports and datasets are projections too. They are made from the ledger and from images that were compared with their
//!     records. A crash leaves all of the old version or all of the new one.
//! 16. Hostile input has a limited reach. A manifest reads files of its own folder (`manifest/lists/folders`). An image link leads to
//!     public addresses or to the API's own host (`provider/http/address_policy.rs`). No page from elsewhere is quoted.
//! 17. If a task of several images gives only some, these are kept with its failure ([`model::outcome::Fault::kept`]). A retry
//!     fetches the others.
//! 18. One task belongs to one job: an acceptance with a task that is on record already is in doubt (`driver/task_owner.rs`).
//! 19. A limit on the cost (`--max-cost`) counts submissions in doubt, and tasks in flight, as paid. No lost answer and no crash
//!     makes the cost exceed it.
//!
//! Acting before recording does not compile: the driver performs only a [`Recorded`](store::Recorded), and only
//! [`store::record`] creates one.
//!
//! # Pace
//!
//! One place decides which submissions may leave, for all jobs ([`engine::lane`]). A rate set by the user is kept exactly and used fully
//! ([`engine::configured_rate`]). A restart counts the submissions of the previous process ([`model::history`]). If a limit is not set, it is
//! estimated. A refusal does not say which limit was met ([`engine::adaptive_limiter`]). The first refusal cuts both the rate and the tasks in
//! flight to the accepted level. The next acceptances and refusals show which limit it was. Each refusal is paid for with accepted
//! submissions, so that few submissions are refused as probes (`engine/concurrency_window.rs`). Single refusals count as random until they come close
//! together (`engine/random_refusals.rs`). No more submissions leave than the provider reports as remaining (`engine/quota_hint.rs`).
//!
//! A task is polled when that is worth a request ([`engine::schedule`]). The estimate of how long its kind of task takes is updated by
//! every answer. The times of the polls are the optimum for that estimate, found by dynamic programming. `benches/` compares all of this
//! with the best possible result.
//!
//! A million jobs cost the memory of those in flight. The ledger keeps totals, so no query has to count. It finds unfinished jobs without
//! reading finished ones. It compares an edited manifest with its jobs in one parallel pass, at one bit per job.
//!
//! # The manifest
//!
//! A manifest in any format is parsed into entries with their locations, and an entry becomes jobs. Its fields override the shared
//! defaults, and its lists are combined ([`manifest`]). All jobs are counted before any is made. Lists beyond `--max-jobs` are refused, and
//! the message shows the arithmetic. Any job is made by its number. A sample is a keyed permutation of these numbers. It is the same on
//! every machine, and its first draws stay when it grows. A file is read twice. It must have the same bytes both times, with all
//! lists that it names.
//!
//! Diagnostics carry the characters that they concern, and are all reported at once. A checked manifest is recognised by a hash
//! ([`manifest::fingerprint`]), and not read again.
//!
//! # Time
//!
//! A [`Moment`](model::time::Moment) is passed in. Only [`driver::clock`] reads the time, from tokio's clock. The tests in
//! `tests/simulation` therefore run a whole batch, with its crashes, in milliseconds and reproducibly.
//!
//! # From Rust
//!
//! [`run::batch::Batch`] is built from a manifest, observed as a stream of updates, and stopped at any moment. The program
//! `examples/embed.rs` uses one. Both it and the program call [`run::run`], which takes reporters and runs on the caller's runtime.
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

pub mod driver;
pub mod engine;
mod fsio;
pub mod images;
pub mod manifest;
pub mod model;
pub mod plan;
pub mod provider;
pub mod report;
pub mod run;
pub mod simulator;
pub mod store;
