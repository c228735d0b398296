//! Jobs of the blocks that a worker owns: those to hand out, those handed out, and how many of each block have not ended.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::model::amount::Amount;
use crate::model::event::Event;
use crate::model::job::JobId;
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::price::Price;
use crate::store::shared::backend::{BlockNumber, CommittedJob, SharedJob};
use crate::store::shared::cost::{CostTotals, RequestPrice};
use crate::store::totals::Totals;

/// Job that has not ended.
#[derive(Clone, Debug)]
struct Held {
    block: BlockNumber,
    row: i64,
    state: JobState,
    /// Price of a submission; `None` if it is unknown.
    price: Option<Amount>,
}

/// Jobs of the blocks of one worker.
#[derive(Debug, Default)]
pub(super) struct HeldJobs {
    /// Jobs to hand out, those under way first.
    queue: VecDeque<JobRecord>,
    /// Jobs that are in the queue or handed out, and have not ended.
    jobs: HashMap<JobId, Held>,
    /// Jobs of each block that have not ended.
    n_open: BTreeMap<BlockNumber, usize>,
    /// Price at which the cost is counted; `None` if it is unknown.
    price: Option<Price>,
}

/// New states of jobs, before they are recorded.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) jobs: Vec<CommittedJob>,
    pub(super) blocks_done: Vec<BlockNumber>,
    pub(super) totals: Totals,
    pub(super) cost: CostTotals,
}

impl HeldJobs {
    /// Creates an empty collection, whose cost is counted at this price.
    pub(super) fn at(price: Option<Price>) -> Self {
        Self { price, ..Self::default() }
    }

    /// Returns how many jobs can be handed out.
    pub(super) fn n_queued(&self) -> usize {
        self.queue.len()
    }

    /// Adds the jobs of claimed blocks, and returns the blocks in which all have ended.
    pub(super) fn add(&mut self, blocks: &[BlockNumber], jobs: Vec<SharedJob>) -> Vec<BlockNumber> {
        self.n_open.extend(blocks.iter().map(|block| (*block, 0)));
        for SharedJob { block, row, record, .. } in jobs {
            if matches!(record.state.phase, Phase::Finished(_)) {
                continue;
            }
            *self.n_open.entry(block).or_default() += 1;
            let price = RequestPrice::of(self.price.as_ref(), &record.job.request).amount();
            self.jobs.insert(record.job.id, Held { block, row, state: record.state.clone(), price });
            self.queue.push_back(record);
        }
        self.queue.make_contiguous().sort_by_key(|record| record.state.phase == Phase::Pending);
        self.take_done()
    }

    /// Hands out at most `max` jobs, in the states that are recorded by now.
    pub(super) fn hand_out(&mut self, max: usize) -> Vec<JobRecord> {
        let page = self.queue.drain(..max.min(self.queue.len()));
        let current = |mut record: JobRecord| {
            if let Some(held) = self.jobs.get(&record.job.id) {
                record.state = held.state.clone();
            }
            record
        };
        page.map(current).collect()
    }

    /// Returns the row of a job, and the number of its submissions that have left; `None` if it is not held.
    pub(super) fn find(&self, job: JobId) -> Option<(i64, u32)> {
        self.jobs.get(&job).map(|held| (held.row, held.state.n_submits))
    }

    /// Returns the states of the jobs after these events, without changing any. The error is the first job that is not held.
    pub(super) fn fold(&self, events: &[Event]) -> Result<Folded, JobId> {
        let mut folded = Folded::default();
        let mut places: HashMap<JobId, usize> = HashMap::new();
        for event in events {
            let place = match places.entry(event.job) {
                Entry::Occupied(place) => *place.get(),
                Entry::Vacant(place) => {
                    let held = self.jobs.get(&event.job).ok_or(event.job)?;
                    folded.jobs.push(CommittedJob { row: held.row, id: event.job, state: held.state.clone() });
                    *place.insert(folded.jobs.len() - 1)
                }
            };
            let price = RequestPrice::known(self.price.as_ref(), self.jobs[&event.job].price);
            let state = &mut folded.jobs[place].state;
            folded.cost += CostTotals::of(state, &event.kind, price);
            state.apply(event.at, &event.kind);
        }
        let mut n_ended: BTreeMap<BlockNumber, usize> = BTreeMap::new();
        for job in &folded.jobs {
            let held = &self.jobs[&job.id];
            folded.totals += Totals::of(&job.state) - Totals::of(&held.state);
            if matches!(job.state.phase, Phase::Finished(_)) {
                *n_ended.entry(held.block).or_default() += 1;
            }
        }
        let is_done = |(block, n): &(BlockNumber, usize)| self.n_open.get(block) == Some(n);
        folded.blocks_done = n_ended.into_iter().filter(is_done).map(|(block, _)| block).collect();
        Ok(folded)
    }

    /// Takes states that are recorded.
    pub(super) fn apply(&mut self, jobs: Vec<CommittedJob>) {
        for CommittedJob { id, state, .. } in jobs {
            if matches!(state.phase, Phase::Finished(_)) {
                self.end(id);
            } else if let Some(held) = self.jobs.get_mut(&id) {
                held.state = state;
            }
        }
        self.take_done();
    }

    /// Gives up the jobs that were handed out and have not ended. Returns the blocks of which no other job is left.
    pub(super) fn set_aside(&mut self) -> Vec<BlockNumber> {
        let queued: BTreeSet<JobId> = self.queue.iter().map(|record| record.job.id).collect();
        let left: Vec<JobId> = self.jobs.keys().filter(|job| !queued.contains(*job)).copied().collect();
        for job in left {
            self.end(job);
        }
        self.take_done()
    }

    fn end(&mut self, job: JobId) {
        if let Some(held) = self.jobs.remove(&job)
            && let Some(n) = self.n_open.get_mut(&held.block)
        {
            *n -= 1;
        }
    }

    /// Returns the blocks without an open job, once.
    fn take_done(&mut self) -> Vec<BlockNumber> {
        let done: Vec<_> = self.n_open.iter().filter(|(_, n)| **n == 0).map(|(block, _)| *block).collect();
        self.n_open.retain(|_, n| *n > 0);
        done
    }
}
