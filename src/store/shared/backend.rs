//! Port of a shared run to the server that keeps it: each method is one atomic statement of a real database.
//!
//! # What the server keeps
//!
//! - *Workers*: for each, its id, whether it is live, the number of its last write, the number of its renewals, and its share of the totals.
//!   Rows of workers that are no longer live stay.
//! - *Jobs*, and for each that has begun its state, which is the fold of its events. A job belongs to one block.
//! - *Blocks*: for each, its owner, whether it is done, and the moment until which it rests.
//! - *Events* with their order, *owners of tasks*, *testimonies*, and the *flags* that every worker must hear.
//! - The *rate* of all workers together, and the times that they have reserved for their submissions.
//! - The *cost* of the run: that of the run when it was shared, and each worker's share, as its commits change it; and a limit on it.
//!
//! # Numbered writes
//!
//! The writes of a worker are numbered from 1. A numbered write happens only if its worker is live and the last number is one less; it
//! then changes that number and everything else, or nothing. It is therefore fence, lease and idempotency key in one. Sent twice, it
//! happens once. Sent after a takeover, it does not happen. A write that races a takeover happens before it or not at all.
//!
//! # Time
//!
//! The server's clock says when blocks rest, and at which times submissions may leave. No method compares a time of one machine with that of
//! another.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::model::amount::Amount;
use crate::model::event::Event;
use crate::model::job::JobId;
use crate::model::outcome::TaskId;
use crate::model::phase::{JobRecord, JobState};
use crate::model::shared_cost::CostReached;
use crate::model::shared_rate::{ReserveRequest, SharedRate};
use crate::store::TaskOwner;
use crate::store::error::LedgerError;
use crate::store::shared::cost::CostTotals;
use crate::store::totals::Totals;

/// Identity of a worker: a random number above 0, which the worker draws itself. A join that is sent again is therefore the same join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub i64);

/// Number of a block of jobs, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockNumber(pub i64);

/// What a worker tells of itself, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerProfile {
    /// Name of its machine.
    pub host: String,
    /// Id of its process there.
    pub pid: u32,
    /// Version of the program.
    pub version: String,
}

/// Flags that every worker must hear, as an answer of the server tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedFlags {
    /// Time from now until which no worker submits; `None` for no such time.
    pub hold_for: Option<Duration>,
    /// Reason why all workers stop, in words; `None` as long as there is none.
    pub stop: Option<String>,
    /// Rate of all workers together; `None` as long as none was set.
    pub rate: Option<SharedRate>,
    /// Maximum number of tasks in flight of all workers together; `None` as long as none was set.
    pub places: Option<NonZeroU32>,
    /// Limit on the cost of all workers together; `None` as long as none was set.
    pub cost_max: Option<Amount>,
    /// Generation of the server's past. It changes whenever acknowledged writes may have been forgotten, as the timeline of a database
    /// server does with a promotion. 0 if the server cannot tell.
    pub generation: u64,
}

/// Answer to a numbered write.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbered<T> {
    /// The write happened now.
    Written(T, SharedFlags),
    /// Nothing was written. The worker is live, and this is the number of its last write.
    ///
    /// If it is the number sent, that write happened before, and its answer was lost. If it is less than the number sent minus one, the
    /// server has forgotten writes.
    LastIs(u64),
    /// Nothing was written: the worker is no longer live.
    Fenced,
    /// Nothing was written: there is no such worker. The server has forgotten that it joined.
    Unknown,
}

/// Job whose state a commit replaces.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedJob {
    /// Row of the job, as [`SharedJob::row`] told it.
    pub row: i64,
    /// Id of the job.
    pub id: JobId,
    /// State after all events of the commit.
    pub state: JobState,
}

/// Content of a numbered commit.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedCommit {
    /// Events, in their order. All are of jobs in `jobs`.
    pub events: Arc<[Event]>,
    /// Each job of these events, once.
    pub jobs: Vec<CommittedJob>,
    /// Blocks of this worker of which no job is left to drive.
    pub blocks_done: Vec<BlockNumber>,
    /// Change of the worker's share of the totals.
    pub totals: Totals,
    /// Change of the worker's share of the cost.
    pub cost: CostTotals,
}

/// Blocks that a worker wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// At most so many blocks that have no owner, are not done and do not rest: those with jobs under way first, then in their order.
    Next(usize),
    /// Those of these blocks that are not done, and have no owner or this worker as their owner. Whether they rest does not count: the
    /// server has forgotten that this worker claimed them.
    These(Vec<BlockNumber>),
}

/// Job of a claimed block.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedJob {
    /// Block of the job.
    pub block: BlockNumber,
    /// Row of the job at the server.
    pub row: i64,
    /// Job with its state.
    pub record: JobRecord,
    /// Testimonies about its submissions, in any order.
    pub testimonies: Vec<Testimony>,
}

/// Testimony of a worker that could not record an answer in time: a submission of a job was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testimony {
    /// Number of submissions that had left, with this one ([`JobState::n_submits`]).
    pub n_submits: u32,
    /// Task that the provider answered with.
    pub task: TaskId,
}

/// Row of a worker, as every worker reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerRow {
    /// Id of the worker.
    pub id: WorkerId,
    /// Whether it is live: neither taken over nor gone.
    pub is_live: bool,
    /// Numbers that move as long as the worker is heard of.
    pub numbers: WorkerNumbers,
    /// Its share of the totals.
    pub totals: Totals,
}

/// Numbers of a worker's row that move with every write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerNumbers {
    /// Number of its last numbered write.
    pub n_writes: u64,
    /// Number of its renewals.
    pub n_renewals: u64,
}

/// Answer to a renewal.
#[derive(Clone, Debug, PartialEq)]
pub enum Renewal {
    /// The row was renewed. `n_writes` shows whether the server has forgotten writes.
    Renewed {
        /// Number of the worker's last numbered write.
        n_writes: u64,
        /// Flags that every worker must hear.
        flags: SharedFlags,
    },
    /// The worker is no longer live.
    Fenced,
    /// There is no such worker.
    Unknown,
}

/// Longest time from now to a time that a worker reserves. What a worker that dies had reserved is lost.
pub(crate) const RESERVED_AHEAD: Duration = Duration::from_secs(1);

/// Time after a change of the generation in which no amount is reserved: until then, living workers have sent again what the server has
/// forgotten, and others are taken over.
pub(crate) const AMOUNTS_REST: Duration = Duration::from_secs(30);

/// Times that a worker has reserved for its submissions, in microseconds of the server's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedTimes {
    /// First of them.
    pub first: i64,
    /// Microseconds between two of them.
    pub interval: u64,
    /// Number of times.
    pub count: u32,
    /// Earliest time that no worker has reserved.
    pub next: i64,
    /// Time of the answer.
    pub now: i64,
    /// Says whether the limit on the cost leaves room for fewer than were asked for.
    pub is_short: bool,
    /// Limit on the cost, if not one submission fits even if all that are under way, or that other workers may still send, are free.
    pub reached: Option<CostReached>,
    /// Flags that every worker must hear.
    pub flags: SharedFlags,
}

/// What is left of the run beyond the blocks of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// All blocks are done.
    Done,
    /// Blocks without an owner can be claimed now.
    Free,
    /// Blocks without an owner rest. The earliest can be claimed after this time.
    Resting(Duration),
    /// Every block that is not done has an owner.
    Owned,
}

/// Reason why a call of a backend has no answer.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No answer in time, or none over a connection that broke. The statement may have happened, or may still happen. A later call may
    /// succeed.
    #[error("{0}")]
    Unavailable(String),
    /// Error that no repetition changes.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Result of a call of a backend.
pub type BackendResult<T> = Result<T, BackendError>;

/// Server that keeps a shared run.
///
/// Every call has a deadline of its own, of a few seconds, and connects again by itself after a failure. A call that is dropped may happen
/// all the same.
pub trait SharedBackend: Send + Sync {
    /// Adds the row of a live worker, with all numbers 0. If no worker is live, the reason for a stop that was raised before is removed
    /// first: it was for the workers of that time. Changes nothing if a row with this id exists, live or not.
    fn join<'a>(&'a self, worker: WorkerId, profile: &'a WorkerProfile) -> BoxFuture<'a, BackendResult<()>>;

    /// Writes a commit as the worker's write with the number `n`: appends the events, replaces the states of the jobs, adds the owners of
    /// accepted tasks, marks the blocks as done and removes their owner, and adds the change of the totals.
    ///
    /// An owner of a task that is known stays.
    fn commit<'a>(
        &'a self,
        worker: WorkerId,
        n: u64,
        commit: &'a SharedCommit,
    ) -> BoxFuture<'a, BackendResult<Numbered<()>>>;

    /// Makes the worker the owner of blocks, as its write with the number `n`, and returns their numbers. No block has two owners. Blocks
    /// that another statement has locked are passed over by [`Claim::Next`].
    fn claim<'a>(
        &'a self,
        worker: WorkerId,
        n: u64,
        claim: &'a Claim,
    ) -> BoxFuture<'a, BackendResult<Numbered<Vec<BlockNumber>>>>;

    /// Returns the blocks that the worker owns, in their order.
    fn owned(&self, worker: WorkerId) -> BoxFuture<'_, BackendResult<Vec<BlockNumber>>>;

    /// Returns all jobs of these blocks, ended ones as well, each with its state and the testimonies about it, in the order of their rows.
    fn load<'a>(&'a self, blocks: &'a [BlockNumber]) -> BoxFuture<'a, BackendResult<Vec<SharedJob>>>;

    /// Adds one to the worker's renewals, if it is live. Sent twice, it adds two, which does no harm.
    fn renew(&self, worker: WorkerId) -> BoxFuture<'_, BackendResult<Renewal>>;

    /// Returns the rows of all live workers, as of one moment. Reads the server that takes the writes, never a replica.
    fn workers(&self) -> BoxFuture<'_, BackendResult<Vec<WorkerRow>>>;

    /// Ends a worker that is live and whose numbers are still those that were seen. Its blocks lose their owner, and rest for `rest` from
    /// now by the server's clock. Returns whether that happened.
    fn take_over(&self, worker: WorkerId, seen: WorkerNumbers, rest: Duration) -> BoxFuture<'_, BackendResult<bool>>;

    /// Ends a worker at its own wish, if it is live. Its blocks lose their owner, and rest for `rest` from now. Sent twice, it happens once.
    fn leave(&self, worker: WorkerId, rest: Duration) -> BoxFuture<'_, BackendResult<()>>;

    /// Adds testimonies about jobs, by row. A testimony that is there already is not added again. The worker need not be live.
    fn testify<'a>(&'a self, worker: WorkerId, testimonies: &'a [(i64, Testimony)])
    -> BoxFuture<'a, BackendResult<()>>;

    /// Finds the owner of each task, in the order of `tasks`; see [`Ledger::owners`](crate::store::Ledger::owners).
    fn owners<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, BackendResult<Vec<Option<TaskOwner>>>>;

    /// Returns what is left of the run.
    fn outlook(&self) -> BoxFuture<'_, BackendResult<Outlook>>;

    /// Raises flags for all workers: the hold lasts at least so long from now, and the first reason for a stop stays. The generation is not
    /// used, and neither are the rate, the places and the limit on the cost.
    fn raise<'a>(&'a self, flags: &'a SharedFlags) -> BoxFuture<'a, BackendResult<()>>;

    /// Sets the rate of all workers together, in place of any other. Returns the one before.
    fn share_rate(&self, rate: SharedRate) -> BoxFuture<'_, BackendResult<Option<SharedRate>>>;

    /// Sets the maximum number of tasks in flight of all workers together, in place of any other. Returns the one before.
    fn share_places(&self, max: NonZeroU32) -> BoxFuture<'_, BackendResult<Option<NonZeroU32>>>;

    /// Sets the limit on the cost of all workers together, in place of any other. Returns the one before.
    fn share_cost_max(&self, max: Amount) -> BoxFuture<'_, BackendResult<Option<Amount>>>;

    /// Reserves times for submissions of a worker, as its request with the number `n`, and takes note of what it holds. A request with a number
    /// that is not above that of its last one changes nothing, and reserves none.
    ///
    /// No time is reserved twice, and consecutive times are at least the
    /// [interval](SharedRate::interval) of the rate apart, whoever reserves them. None is more than a second from now, and
    /// none further back than a [burst](SharedRate::reach_back). After a change of the generation, none is reserved that a worker may have
    /// reserved before it.
    ///
    /// Without a rate, all times are now. A worker that is not live reserves none.
    ///
    /// The tasks that are running, and what all live workers hold and have reserved since they last told it, are together at most the
    /// [places](SharedFlags::places), unless these were reduced.
    ///
    /// With a limit on the cost, each time has the amount that the request names. The cost of the run, and what all live workers hold and have
    /// reserved since they last told it, are together at most the limit, unless it was reduced. Nothing is reserved as long as a price is unknown,
    /// nor for 30 s after a change of the generation.
    fn reserve(&self, worker: WorkerId, n: u64, request: ReserveRequest)
    -> BoxFuture<'_, BackendResult<ReservedTimes>>;
}
