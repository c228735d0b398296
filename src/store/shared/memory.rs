//! Server of a shared run in the memory of this process, for tests and simulations: the same promises without a database.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::model::amount::Amount;
use crate::model::event::{Event, EventKind};
use crate::model::job::{Job, JobId};
use crate::model::outcome::TaskId;
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::shared_rate::{ReserveRequest, SharedRate};
use crate::model::time::Moment;
use crate::store::TaskOwner;
use crate::store::shared::backend::{
    BackendResult, BlockNumber, Claim, Numbered, Outlook, Renewal, ReservedTimes, SharedBackend, SharedCommit,
    SharedFlags, SharedJob, Testimony, WorkerId, WorkerNumbers, WorkerProfile, WorkerRow,
};
use crate::store::shared::cost::CostTotals;
use crate::store::shared::memory_pace::{Pace, ReserveDemand};
use crate::store::shared::memory_rows::{BlockRow, WorkerEntry, outlook};
use crate::store::shared::options::ReadClock;
use crate::store::totals::Totals;

/// Difference of the server's clock to that of the workers, in microseconds: no two machines have the same.
const CLOCK_AHEAD: i64 = 7_654_321_000;

/// Number of writes that the server can be made to forget.
const PAST_MAX: usize = 64;

/// Server of a shared run in memory. Its owner keeps it, as a machine keeps a database.
pub struct MemoryServer {
    clock: ReadClock,
    data: Mutex<Data>,
    /// Contents before each of the last writes.
    past: Mutex<VecDeque<Data>>,
}

#[derive(Clone, Default)]
struct Data {
    /// Jobs by row, from 0, each with its block.
    jobs: Vec<(BlockNumber, JobRecord)>,
    rows: BTreeMap<JobId, usize>,
    blocks: BTreeMap<BlockNumber, BlockRow>,
    workers: BTreeMap<WorkerId, WorkerEntry>,
    events: Vec<Event>,
    owners: BTreeMap<TaskId, JobId>,
    testimonies: Vec<(i64, Testimony)>,
    held_until: Option<Moment>,
    stop: Option<String>,
    generation: u64,
    pace: Pace,
    /// Totals before the first worker joined.
    totals: Totals,
}

impl MemoryServer {
    /// Creates a run of these jobs, in blocks of so many.
    pub fn new(jobs: impl IntoIterator<Item = Job>, block_jobs: usize, clock: ReadClock) -> Self {
        let mut data = Data::default();
        for job in jobs {
            let row = data.jobs.len();
            let block = BlockNumber(i64::try_from(row / block_jobs).expect("few blocks"));
            data.blocks.entry(block).or_default();
            data.rows.insert(job.id, row);
            data.totals += Totals::of(&JobState::default());
            data.jobs.push((block, JobRecord { job: job.into(), state: JobState::default() }));
        }
        Self { clock, data: Mutex::new(data), past: Mutex::default() }
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the content, to be changed by a write that may be forgotten.
    fn write(&self) -> MutexGuard<'_, Data> {
        let data = self.data();
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.push_back(data.clone());
        if past.len() > PAST_MAX {
            past.pop_front();
        }
        data
    }

    /// Forgets the last writes of all workers, at most so many, as a standby does that was behind. Returns how many it forgot.
    pub fn forget(&self, n_writes: usize) -> usize {
        let mut data = self.data();
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let n_kept = past.len().saturating_sub(n_writes);
        let n_forgotten = past.len() - n_kept;
        if let Some(before) = past.get(n_kept) {
            *data = Data { generation: data.generation + 1, ..before.clone() };
            past.truncate(n_kept);
        }
        n_forgotten
    }

    /// Returns every job with its state, in the order of the rows.
    pub fn known(&self) -> Vec<JobRecord> {
        self.data().jobs.iter().map(|(_, record)| record.clone()).collect()
    }

    /// Returns every recorded event, in the order of recording.
    pub fn events(&self) -> Vec<Event> {
        self.data().events.clone()
    }

    /// Returns the live worker that owns the block of a job; `None` if there is none.
    pub fn owner_of(&self, job: JobId) -> Option<WorkerId> {
        let data = self.data();
        let (block, _) = data.rows.get(&job).map(|row| &data.jobs[*row])?;
        data.blocks[block].owner.filter(|owner| data.workers.get(owner).is_some_and(|worker| worker.is_live))
    }

    /// Returns the totals of the run: those of all workers, and those before.
    pub fn totals(&self) -> Totals {
        let data = self.data();
        let mut totals = data.totals;
        for worker in data.workers.values() {
            totals += worker.totals;
        }
        totals
    }

    /// Returns the cost of the run, of all workers.
    pub fn cost(&self) -> CostTotals {
        let mut cost = CostTotals::default();
        self.data().workers.values().for_each(|worker| cost += worker.cost);
        cost
    }
}

impl Data {
    /// Takes the number `n` of a worker. Returns the answer if it cannot be taken.
    #[expect(clippy::result_large_err, reason = "the answer is passed on as it is")]
    fn take_number<T>(&mut self, worker: WorkerId, n: u64) -> Result<&mut WorkerEntry, Numbered<T>> {
        match self.workers.get_mut(&worker) {
            None => Err(Numbered::Unknown),
            Some(WorkerEntry { is_live: false, .. }) => Err(Numbered::Fenced),
            Some(worker) if worker.numbers.n_writes + 1 != n => Err(Numbered::LastIs(worker.numbers.n_writes)),
            Some(worker) => {
                worker.numbers.n_writes = n;
                Ok(worker)
            }
        }
    }

    fn flags(&self, now: Moment) -> SharedFlags {
        let hold_for = self.held_until.map(|until| until - now).filter(|span| !span.is_zero());
        SharedFlags {
            hold_for,
            stop: self.stop.clone(),
            rate: self.pace.rate,
            places: self.pace.places,
            cost_max: self.pace.cost_max,
            generation: self.generation,
        }
    }

    fn commit(&mut self, now: Moment, worker: WorkerId, n: u64, commit: &SharedCommit) -> Numbered<()> {
        match self.take_number(worker, n) {
            Ok(worker) => {
                worker.totals += commit.totals;
                worker.cost += commit.cost;
            }
            Err(answer) => return answer,
        }
        for job in &commit.jobs {
            let row = usize::try_from(job.row).expect("rows are told by this server");
            self.jobs[row].1.state = job.state.clone();
        }
        for event in commit.events.iter() {
            if let EventKind::Accepted(task) = &event.kind {
                self.owners.entry(task.clone()).or_insert(event.job);
            }
        }
        self.events.extend(commit.events.iter().cloned());
        for block in &commit.blocks_done {
            let block = self.blocks.get_mut(block).expect("blocks are told by this server");
            (block.owner, block.is_done) = (None, true);
        }
        Numbered::Written((), self.flags(now))
    }

    fn claim(&mut self, now: Moment, worker: WorkerId, n: u64, claim: &Claim) -> Numbered<Vec<BlockNumber>> {
        if let Err(answer) = self.take_number(worker, n) {
            return answer;
        }
        let is_begun = |jobs: &[(BlockNumber, JobRecord)], number: BlockNumber| {
            let mut jobs = jobs.iter().filter(|(block, _)| *block == number);
            jobs.any(|(_, record)| !matches!(record.state.phase, Phase::Pending | Phase::Finished(_)))
        };
        let numbers: Vec<BlockNumber> = match claim {
            Claim::Next(n_max) => {
                let free = self.blocks.iter().filter(|(_, block)| block.is_free() && block.rests_for(now).is_zero());
                let mut free: Vec<_> = free.map(|(number, _)| *number).collect();
                free.sort_by_key(|number| !is_begun(&self.jobs, *number));
                free.truncate(*n_max);
                free
            }
            Claim::These(numbers) => {
                let is_open = |block: &BlockRow| !block.is_done && block.owner.is_none_or(|owner| owner == worker);
                numbers.iter().filter(|number| is_open(&self.blocks[*number])).copied().collect()
            }
        };
        for number in &numbers {
            self.blocks.get_mut(number).expect("it was found").owner = Some(worker);
        }
        Numbered::Written(numbers, self.flags(now))
    }

    fn reserve(&mut self, now: Moment, worker: WorkerId, n: u64, request: ReserveRequest) -> ReservedTimes {
        let flags = self.flags(now);
        let now = now.micros() + CLOCK_AHEAD;
        let asked = ReserveDemand::of(&self.workers, worker, self.totals, request);
        let own = self.workers.get_mut(&worker).filter(|worker| worker.is_live && worker.n_requests < n);
        let times = self.pace.reserve(now, self.generation, own.is_some().then_some(&asked), flags);
        if let Some(own) = own {
            own.reserved(n, request, times.count);
        }
        times
    }

    /// Ends a worker, and lets its blocks rest until this moment.
    fn end(&mut self, worker: WorkerId, rests_until: Moment) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.is_live = false;
        }
        for block in self.blocks.values_mut().filter(|block| block.owner == Some(worker)) {
            (block.owner, block.rests_until) = (None, Some(rests_until));
        }
    }

    fn owner(&self, task: &TaskId) -> Option<TaskOwner> {
        let job = *self.owners.get(task)?;
        let index = self.rows.get(&job).map(|row| self.jobs[*row].1.job.index).filter(|index| *index > 0);
        Some(TaskOwner { job, index })
    }

    fn load(&self, blocks: &[BlockNumber]) -> Vec<SharedJob> {
        let blocks: BTreeSet<_> = blocks.iter().collect();
        let jobs = (0..).zip(&self.jobs).filter(|(_, (block, _))| blocks.contains(block));
        let shared = jobs.map(|(row, (block, record))| {
            let testimonies = self.testimonies.iter().filter(|(of, _)| *of == row).map(|(_, found)| found.clone());
            SharedJob { block: *block, row, record: record.clone(), testimonies: testimonies.collect() }
        });
        shared.collect()
    }
}

/// Returns a future that is ready with this answer.
fn answer<'a, T: Send + 'a>(answer: T) -> BoxFuture<'a, BackendResult<T>> {
    ready(Ok(answer)).boxed()
}

impl SharedBackend for MemoryServer {
    fn join<'a>(&'a self, worker: WorkerId, _profile: &'a WorkerProfile) -> BoxFuture<'a, BackendResult<()>> {
        let mut data = self.write();
        if !data.workers.contains_key(&worker) {
            if !data.workers.values().any(|worker| worker.is_live) {
                data.stop = None;
            }
            data.workers.insert(worker, WorkerEntry { is_live: true, ..WorkerEntry::default() });
        }
        answer(())
    }

    fn commit<'a>(
        &'a self,
        worker: WorkerId,
        n: u64,
        commit: &'a SharedCommit,
    ) -> BoxFuture<'a, BackendResult<Numbered<()>>> {
        let now = (self.clock)();
        answer(self.write().commit(now, worker, n, commit))
    }

    fn claim<'a>(
        &'a self,
        worker: WorkerId,
        n: u64,
        claim: &'a Claim,
    ) -> BoxFuture<'a, BackendResult<Numbered<Vec<BlockNumber>>>> {
        let now = (self.clock)();
        answer(self.write().claim(now, worker, n, claim))
    }

    fn owned(&self, worker: WorkerId) -> BoxFuture<'_, BackendResult<Vec<BlockNumber>>> {
        let data = self.data();
        let owned = data.blocks.iter().filter(|(_, block)| block.owner == Some(worker));
        answer(owned.map(|(number, _)| *number).collect())
    }

    fn load<'a>(&'a self, blocks: &'a [BlockNumber]) -> BoxFuture<'a, BackendResult<Vec<SharedJob>>> {
        answer(self.data().load(blocks))
    }

    fn renew(&self, worker: WorkerId) -> BoxFuture<'_, BackendResult<Renewal>> {
        let now = (self.clock)();
        let mut data = self.write();
        let flags = data.flags(now);
        answer(match data.workers.get_mut(&worker) {
            None => Renewal::Unknown,
            Some(WorkerEntry { is_live: false, .. }) => Renewal::Fenced,
            Some(WorkerEntry { numbers, .. }) => {
                numbers.n_renewals += 1;
                Renewal::Renewed { n_writes: numbers.n_writes, flags }
            }
        })
    }

    fn workers(&self) -> BoxFuture<'_, BackendResult<Vec<WorkerRow>>> {
        let data = self.data();
        let live = data.workers.iter().filter(|(_, worker)| worker.is_live);
        answer(live.map(|(id, worker)| worker.row(*id)).collect())
    }

    fn take_over(&self, worker: WorkerId, seen: WorkerNumbers, rest: Duration) -> BoxFuture<'_, BackendResult<bool>> {
        let rests_until = (self.clock)() + rest;
        let mut data = self.write();
        let is_silent = data.workers.get(&worker).is_some_and(|worker| worker.is_live && worker.numbers == seen);
        if is_silent {
            data.end(worker, rests_until);
        }
        answer(is_silent)
    }

    fn leave(&self, worker: WorkerId, rest: Duration) -> BoxFuture<'_, BackendResult<()>> {
        let rests_until = (self.clock)() + rest;
        let mut data = self.write();
        if data.workers.get(&worker).is_some_and(|worker| worker.is_live) {
            data.end(worker, rests_until);
        }
        answer(())
    }

    fn testify<'a>(
        &'a self,
        _worker: WorkerId,
        testimonies: &'a [(i64, Testimony)],
    ) -> BoxFuture<'a, BackendResult<()>> {
        let mut data = self.write();
        for testimony in testimonies {
            if !data.testimonies.contains(testimony) {
                data.testimonies.push(testimony.clone());
            }
        }
        answer(())
    }

    fn owners<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, BackendResult<Vec<Option<TaskOwner>>>> {
        let data = self.data();
        answer(tasks.iter().map(|task| data.owner(task)).collect())
    }

    fn outlook(&self) -> BoxFuture<'_, BackendResult<Outlook>> {
        answer(outlook(&self.data().blocks.values(), (self.clock)()))
    }

    fn raise<'a>(&'a self, flags: &'a SharedFlags) -> BoxFuture<'a, BackendResult<()>> {
        let now = (self.clock)();
        let mut data = self.write();
        data.held_until = data.held_until.max(flags.hold_for.map(|span| now + span));
        if data.stop.is_none() {
            data.stop.clone_from(&flags.stop);
        }
        answer(())
    }

    fn share_rate(&self, rate: SharedRate) -> BoxFuture<'_, BackendResult<Option<SharedRate>>> {
        answer(self.write().pace.rate.replace(rate))
    }

    fn share_places(&self, max: NonZeroU32) -> BoxFuture<'_, BackendResult<Option<NonZeroU32>>> {
        answer(self.write().pace.places.replace(max))
    }

    fn share_cost_max(&self, max: Amount) -> BoxFuture<'_, BackendResult<Option<Amount>>> {
        answer(self.write().pace.cost_max.replace(max))
    }

    fn reserve(
        &self,
        worker: WorkerId,
        n: u64,
        request: ReserveRequest,
    ) -> BoxFuture<'_, BackendResult<ReservedTimes>> {
        let now = (self.clock)();
        answer(self.write().reserve(now, worker, n, request))
    }
}
