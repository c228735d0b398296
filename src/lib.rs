//! promptbatch runs image prompts from a manifest through an asynchronous image API, and keeps three promises:
//! **nothing is paid for twice, nothing finished is lost, and nothing is called done that is not on disk and verified.**
//!
//! This page is the map of the house. The program's manual is the README; `promptbatch run --help` lists the flags.
//!
//! # The idea
//!
//! A job's state is the fold of its events, live and on a resume alike ([`model::phase::JobState::apply`]). A first run is a
//! resume with no past, so recovery from a crash is no feature beside the others: it is the constructor.
//!
//! A pure engine decides; one thin loop acts; one [`Event`](model::event::Event) enum is recorded by the ledger, shown by the
//! reporters and folded into results. Every beat of the program is five verbs ([`driver::drive`]):
//!
//! ```text
//!    decide  ->  record  ->  show  ->  act  ->  wait
//!    engine      ledger      report    driver   clock, answers
//! ```
//!
//! # The floors
//!
//! ```text
//!    main
//!    cli                                            flags, exit codes, words
//!    run                                            the front door
//!    driver               plan                      acts; joins manifest and ledger
//!    provider   ledger   engine   report   manifest five columns that never import each other
//!    model                                          the words: no I/O, no clock, no async, no serde
//! ```
//!
//! A room imports lower floors only. What two columns share goes down into `model`; what joins them goes up into `driver`,
//! `plan` or `run`. `tests/tidy.rs` keeps it so.
//!
//! | room | what it is for | begin with |
//! |---|---|---|
//! | [`model`] | jobs, phases, events, faults, limits, names, time | [`model::phase`] |
//! | [`manifest`] | reads and checks what the user wrote, in any format; every mistake with its place | [`manifest::open`], and its table of files |
//! | [`engine`] | decides everything, does nothing: lanes, rates, polls, retries | [`engine::Engine`] |
//! | [`provider`] | ModelScope over HTTP, and a simulator of it; classifies every fault | [`provider::Provider`] |
//! | [`ledger`] | the durable state, one SQLite file a run | [`ledger::record`] |
//! | [`report`] | what people and scripts see: the block on a terminal, lines, JSON events, `results.csv`, reports for CI, the gallery, datasets | [`report::Reporter`], [`report::dataset`] |
//! | [`driver`] | the loop, the clock, and images on their way to disk | [`driver::drive`] |
//! | [`plan`] | joins manifest and ledger: says what a run would do and take, takes a manifest in | [`plan::plan`], [`plan::estimate`] |
//! | [`run`] | plan, resume, drive, results; going back to what has ended, looking at it, datasets of it | [`run::batch`], [`run::run`], [`run::retry`], [`run::verify`], [`run::gallery`], [`run::export`] |
//! | `cli`, `main` | the program `promptbatch` | `src/cli/mod.rs` |
//!
//! # The words
//!
//! | word | meaning |
//! |---|---|
//! | Manifest | what the user wrote, checked |
//! | [Job](model::job::Job) | one wanted image request, immutable; its id comes from its content, not from its place |
//! | [Phase](model::phase::Phase) | pending, submitting, running, downloading or finished |
//! | [`TaskId`](model::outcome::TaskId) | the provider's own id of an accepted job |
//! | [Artifact](model::outcome::Artifact) | an image on our disk: name, sha256, size, format |
//! | [Fault](model::outcome::Fault) | what went wrong out there, classified by the provider |
//! | [Outcome](model::outcome::Outcome) | how a job ended |
//! | [Event](model::event::Event) | one thing that happened to one job at one moment |
//! | [Ledger](ledger::Ledger) | jobs, their phase, their events, kept across processes |
//! | [History](model::history::History) | what the end of a ledger tells a new process of the pace |
//! | [Lane](engine::lane::Lane) | one provider's pace: submissions, tasks in flight, polls, downloads |
//! | [Turn](engine::turn::Turn) | one beat of the engine: events to record, actions to do, when to wake |
//!
//! # What survives what
//!
//! 1. `SubmitStarted` is committed before the request leaves. Found last on a resume, that submission is *in doubt*: it may
//!    have been accepted. `--in-doubt` decides, and the job's record says so.
//! 2. A request that surely never arrived (refused connection, unknown host, failed handshake) is not in doubt. One whose
//!    answer was lost (reset, timeout, cut or unreadable answer) is, and so is one that was answered by anything but the API's own
//!    envelope: what counts as a clear refusal is a closed list. An answer that names a task id is an acceptance, whatever its status.
//! 3. `Accepted` is committed as soon as it is known. From then on the job is polled and never submitted again, unless the
//!    provider itself says that the task is lost or failed. Repeated payments of a job, for doubts and losses together, are counted and
//!    limited (`--resubmits`), and when many jobs want to be paid for again, one goes first ([`engine`], `brake`). A task id belongs to one job.
//! 4. Failed downloads and expired links go back to *poll*, for fresh links; never to *submit*. A download that breaks off
//!    goes on where it stopped first, in this process or a later one, if the host can tell that it is the same image.
//! 5. An image is written aside, checked to its last byte and pixel, synced and renamed, and only then is `Finished` committed. A crash
//!    in between repeats one download: the same bytes are taken for the image itself.
//! 6. `results.csv` is a projection of the ledger, replaced atomically, never read back.
//! 7. The ledger is SQLite (WAL, `synchronous=FULL`), with one writing process at a time; the lock dies with its holder. Nothing
//!    counts as committed unless the files are still in their place: OUT may be moved or deleted under a run.
//! 8. A disk that takes no images starts nothing more and waits for the answers under way, so that none of them is in doubt.
//! 9. No file leaves OUT: a link below it is refused or replaced, never followed. OUT itself may be a link.
//! 10. Silence is no answer, and the age of a task by a clock is no evidence. A task is given up when the provider does not know it, or has
//!     been heard to say for `--task-timeout`, by this process, that it still runs, and it is not waiting in a queue (`engine/listening.rs`,
//!     `engine/fifo.rs`). And an outage fails no job: the run waits, and stops when that lasts too long (`--max-outage`). The same holds for refusals that
//!     all jobs meet alike (`engine/refusals.rs`): they are the address's, the model's or the token's, and not the jobs'.
//! 11. A used-up allowance stops submissions before one is refused, if the provider's headers say so. The run then stops, or waits
//!     for the reset and tries with one submission (`--on-quota`).
//! 12. Jobs that have ended are gone on with only by a recorded [`Reopened`](model::event::EventKind::Reopened): `retry` and
//!     `verify --repair` send a job back to the task that is paid for, wherever that may still give the image.
//! 13. A ledger of an earlier version is brought to the present one, all or nothing, when a run goes on with it, and read as it is
//!     by those that only look. `tests/ledgers` keeps one of each version.
//!     Every row has a checksum. A mark beside the ledger shows one that went back in time, which is refused; accepted, all that may
//!     have been submitted since is in doubt (`ledger/sqlite/watermark.rs`, `ledger/sqlite/older.rs`).
//!
//! 14. A name depends on the job and its task alone, and so does all that is made of an image: what is fetched again after a crash is the
//!     same file. The ledger keeps the template and the rest of the style, and later runs, retries and repairs follow it. No file is
//!     written over: an image whose name is taken gets its job's id behind it ([`model::name`], `driver/images/making`).
//! 15. Pages, reports and datasets are projections too: made from the ledger, of images that were held against their records, and
//!     replaced or added to so that a crash leaves all of the old or all of the new.
//! 16. Hostile inputs reach only so far: a manifest reads files of its own folder (`manifest/lists/folders`), an image link leads to public
//!     addresses or to where the API itself is (`provider/modelscope/reach`), and no page from elsewhere is quoted.
//! 17. A task of several images that gives only some keeps these with its failure ([`model::outcome::Fault::kept`]), and a retry fetches
//!     the others.
//! 18. One task belongs to one job: an acceptance with a task that is on record already is in doubt (`driver/owners.rs`).
//! 19. A limit on the cost (`--max-cost`) counts what is in doubt, and what is under way, as paid: no lost answer and no crash makes it exceed.
//!
//! Acting before recording does not compile: the driver performs a [`Recorded`](ledger::Recorded) only, and
//! [`ledger::record`] is what makes one.
//!
//! # Pace
//!
//! What may leave is decided in one place ([`engine::lane`]), for everybody. A rate that the user tells is kept exactly and used to the full
//! ([`engine::known_rate`]); a restart counts what the process before has sent ([`model::history`]). Of limits that nobody tells, a refusal does
//! not say which one it met ([`engine::learner`]): the first one cuts both the rate and the tasks in flight to what was taken, and what is
//! taken or refused next tells which it was. Each refusal is paid for with submissions that are taken, so that few are refused for the sake of
//! knowing more (`engine/window.rs`); single refusals are chance until they come close together (`engine/chance.rs`), and no more leave than the provider says
//! remain (`engine/remaining.rs`).
//!
//! A task is asked for when that is worth a poll ([`engine::schedule`]): what is believed about how long its kind takes is learnt from every answer,
//! and the moments of the polls are the optimum for what is believed, found by dynamic programming. `benches/` holds all of it against what is
//! possible.
//!
//! A million jobs cost the memory of those in flight. The ledger keeps totals, so that nobody counts; finds what is unfinished without a
//! look at what is finished; and compares an edited manifest with its jobs side by side, a bit a job.
//!
//! # The manifest
//!
//! A manifest in any format becomes entries with their places, an entry becomes jobs: its fields are laid over what all share, and its lists
//! are combined ([`manifest`]). All of it is counted before any of it is made, so that lists beyond `--max-jobs` are refused with the
//! arithmetic; any job is made by its number, and what a sample draws is a keyed permutation of these numbers, so it is the same on every machine
//! and its first draws stay when it grows. A file is read twice, and must be the same bytes both times, with all lists that it names.
//!
//! Mistakes carry the characters they are about, and are all told at once. What was checked is known again by a hash
//! ([`manifest::fingerprint`]), and not read again.
//!
//! # Time
//!
//! A [`Moment`](model::time::Moment) is passed in. Only [`driver::clock`] asks what time it is, on tokio's clock, so that the
//! tests in `tests/simulation` run a whole batch, with its crashes, in milliseconds and always the same way.
//!
//! # From Rust
//!
//! [`run::batch::Batch`] is built up from a manifest, watched as a stream of what happens, and stopped at any moment; `examples/embed.rs` is a
//! program around one. [`run::run`] is what it and the program call, for those who bring reporters and a runtime of their own.
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
pub mod ledger;
pub mod manifest;
pub mod model;
pub mod plan;
pub mod provider;
pub mod report;
pub mod run;
