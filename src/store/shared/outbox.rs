//! Numbered writes of one worker, in their order: those under way, and the last ones that were acknowledged.
//!
//! A write without an answer is sent again with its number, so that it happens once. If the server has forgotten writes that it had
//! acknowledged, as a standby that was behind may, they are sent again from here.

use std::collections::{BTreeSet, VecDeque};

use crate::model::outcome::TaskId;
use crate::model::time::Moment;
use crate::store::error::LedgerError;
use crate::store::shared::backend::{
    BackendError, BackendResult, BlockNumber, Claim, CommittedJob, Numbered, SharedBackend, SharedCommit, Testimony,
};
use crate::store::shared::link::{Link, Outage};

#[cfg(test)]
mod tests;

/// Rough size of one event, or of one state, in bytes.
const ITEM_BYTES: usize = 256;

/// Content of a numbered write.
#[expect(clippy::large_enum_variant, reason = "nearly all writes are commits")]
pub(super) enum SharedWrite {
    Commit(SharedCommit),
    Claim(Claim),
}

struct Entry {
    write: SharedWrite,
    bytes: usize,
    /// Moment of the first acknowledgement; `None` before it.
    acknowledged_at: Option<Moment>,
}

/// Numbered writes of one worker.
#[derive(Default)]
pub(super) struct Outbox {
    /// Writes up to the last one. Those before are no longer kept.
    entries: VecDeque<Entry>,
    /// Number of the last write.
    n_last: u64,
    /// Number of the last write that the server has, as far as is known.
    n_written: u64,
    /// Size of all entries, in bytes, roughly.
    bytes: usize,
    /// Blocks of this worker that are not done.
    owned: BTreeSet<BlockNumber>,
    /// Blocks that were claimed and not taken yet.
    claimed: Vec<BlockNumber>,
}

impl Outbox {
    /// Returns the number of the last write that the server has, as far as is known.
    pub(super) const fn n_written(&self) -> u64 {
        self.n_written
    }

    /// Sends a commit, and returns when the server has it.
    pub(super) async fn commit<B: SharedBackend + ?Sized>(
        &mut self,
        link: &Link<B>,
        commit: SharedCommit,
    ) -> Result<(), LedgerError> {
        for block in &commit.blocks_done {
            self.owned.remove(block);
        }
        let bytes = ITEM_BYTES * (1 + commit.events.len() + commit.jobs.len());
        self.push(SharedWrite::Commit(commit), bytes);
        self.flush(link).await
    }

    /// Claims at most so many blocks, and returns their numbers.
    pub(super) async fn claim<B: SharedBackend + ?Sized>(
        &mut self,
        link: &Link<B>,
        n_max: usize,
    ) -> Result<Vec<BlockNumber>, LedgerError> {
        self.push(SharedWrite::Claim(Claim::Next(n_max)), ITEM_BYTES);
        self.flush(link).await?;
        Ok(std::mem::take(&mut self.claimed))
    }

    fn push(&mut self, write: SharedWrite, bytes: usize) {
        self.n_last += 1;
        self.bytes += bytes;
        self.entries.push_back(Entry { write, bytes, acknowledged_at: None });
    }

    /// Takes note that the server has only this many writes, and sends it the others again.
    pub(super) async fn send_again<B: SharedBackend + ?Sized>(
        &mut self,
        link: &Link<B>,
        n_written: u64,
    ) -> Result<(), LedgerError> {
        self.n_written = self.n_written.min(n_written);
        self.flush(link).await
    }

    /// Sends what the server does not have, one write after the other.
    pub(super) async fn flush<B: SharedBackend + ?Sized>(&mut self, link: &Link<B>) -> Result<(), LedgerError> {
        let mut outage = Outage::new(link.now());
        while self.n_written < self.n_last {
            // The server may not know yet that others have the jobs of this worker.
            if link.is_fenced() {
                return Err(link.fenced());
            }
            let n = self.n_written + 1;
            let Some(place) = self.place(n) else {
                link.fence();
                return Err(LedgerError::Forgotten { path: link.options.location.clone() });
            };
            let sent_at = link.now();
            match send(&self.entries[place].write, link, n).await {
                Ok(Numbered::Written(blocks, flags)) => {
                    link.written(sent_at);
                    link.hear(flags);
                    self.check_claim(link, place, &blocks)?;
                    self.acknowledge(link, place, blocks);
                    outage = Outage::new(link.now());
                }
                // It happened before, and its answer was lost. When it happened is not known, so that it extends no lease.
                Ok(Numbered::LastIs(last)) if last >= n => match self.found(link, place).await {
                    Ok(blocks) => {
                        self.check_claim(link, place, &blocks)?;
                        self.acknowledge(link, place, blocks);
                    }
                    Err(error) => outage.wait(link, error).await?,
                },
                Ok(Numbered::LastIs(last)) if last < self.n_written => self.n_written = last,
                Ok(Numbered::LastIs(_)) => outage.wait(link, unavailable("the server refused a write")).await?,
                Ok(Numbered::Fenced) => return Err(link.fence()),
                Ok(Numbered::Unknown) => {
                    self.n_written = 0;
                    let joined = link.backend.join(link.worker, &link.profile).await;
                    outage
                        .wait(link, joined.err().unwrap_or_else(|| unavailable("the server forgot this worker")))
                        .await?;
                }
                Err(error) => outage.wait(link, error).await?,
            }
        }
        self.trim(link);
        Ok(())
    }

    /// Returns the place of a write; `None` if it is no longer kept.
    fn place(&self, n: u64) -> Option<usize> {
        let n_behind = usize::try_from(self.n_last.checked_sub(n)?).ok()?;
        (self.entries.len()).checked_sub(n_behind + 1)
    }

    /// Returns the blocks that a claim has brought whose answer was lost; none for a commit.
    async fn found<B: SharedBackend + ?Sized>(&self, link: &Link<B>, place: usize) -> BackendResult<Vec<BlockNumber>> {
        match &self.entries[place].write {
            SharedWrite::Commit(_) => Ok(Vec::new()),
            SharedWrite::Claim(claim) => {
                let owned = link.backend.owned(link.worker).await?;
                let is_of_it = |block: &BlockNumber| match claim {
                    Claim::Next(_) => !self.owned.contains(block),
                    Claim::These(blocks) => blocks.contains(block),
                };
                Ok(owned.into_iter().filter(is_of_it).collect())
            }
        }
    }

    /// Checks that a claim which the server had forgotten brings the same blocks again. If other workers have some of them, this one ends.
    fn check_claim<B: SharedBackend + ?Sized>(
        &self,
        link: &Link<B>,
        place: usize,
        blocks: &[BlockNumber],
    ) -> Result<(), LedgerError> {
        match &self.entries[place].write {
            SharedWrite::Claim(Claim::These(before)) if before.iter().any(|block| !blocks.contains(block)) => {
                Err(link.fence())
            }
            SharedWrite::Claim(_) | SharedWrite::Commit(_) => Ok(()),
        }
    }

    /// Takes note that the server has this write.
    fn acknowledge<B: SharedBackend + ?Sized>(&mut self, link: &Link<B>, place: usize, blocks: Vec<BlockNumber>) {
        self.n_written += 1;
        let entry = &mut self.entries[place];
        entry.acknowledged_at.get_or_insert(link.now());
        if let SharedWrite::Claim(claim @ Claim::Next(_)) = &mut entry.write {
            self.owned.extend(&blocks);
            self.claimed.extend(&blocks);
            // The server may forget this claim. Other blocks would then be no help.
            *claim = Claim::These(blocks);
        }
    }

    /// Drops acknowledged writes that are old, or too many.
    fn trim<B: SharedBackend + ?Sized>(&mut self, link: &Link<B>) {
        let now = link.now();
        let is_dropped = |entry: &Entry, bytes| {
            let is_old = |at| now - at > link.options.kept_for || bytes > link.options.kept_bytes_max;
            entry.acknowledged_at.is_some_and(is_old)
        };
        while let Some(entry) = self.entries.pop_front_if(|entry| is_dropped(entry, self.bytes)) {
            self.bytes -= entry.bytes;
        }
    }

    /// Returns what writes that the server does not have say about accepted submissions, by row.
    pub(super) fn evidence(&self) -> Vec<(i64, Testimony)> {
        evidence_of(self.entries.iter().skip(self.n_acknowledged())).collect()
    }

    /// Returns what acknowledged writes say about accepted submissions, by row, as far as they are still kept.
    pub(super) fn written_evidence(&self) -> impl Iterator<Item = (i64, Testimony)> {
        evidence_of(self.entries.iter().take(self.n_acknowledged()))
    }

    /// Returns how many of the writes that are kept the server has, as far as is known.
    fn n_acknowledged(&self) -> usize {
        let n_missing = usize::try_from(self.n_last - self.n_written).unwrap_or(usize::MAX);
        self.entries.len().saturating_sub(n_missing)
    }
}

fn evidence_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> impl Iterator<Item = (i64, Testimony)> {
    let commits = entries.filter_map(|entry| match &entry.write {
        SharedWrite::Commit(commit) => Some(commit),
        SharedWrite::Claim(_) => None,
    });
    commits.flat_map(|commit| &commit.jobs).filter_map(evidence)
}

/// Returns the testimony about the last submission of a job; `None` if it is not known to be accepted.
fn evidence(CommittedJob { row, state, .. }: &CommittedJob) -> Option<(i64, Testimony)> {
    let task: TaskId = state.task.clone()?;
    Some((*row, Testimony { n_submits: state.n_submits, task }))
}

fn unavailable(what: &str) -> BackendError {
    BackendError::Unavailable(what.to_owned())
}

async fn send<B: SharedBackend + ?Sized>(
    write: &SharedWrite,
    link: &Link<B>,
    n: u64,
) -> BackendResult<Numbered<Vec<BlockNumber>>> {
    let without_blocks = |answer| match answer {
        Numbered::Written((), flags) => Numbered::Written(Vec::<BlockNumber>::new(), flags),
        Numbered::LastIs(last) => Numbered::LastIs(last),
        Numbered::Fenced => Numbered::Fenced,
        Numbered::Unknown => Numbered::Unknown,
    };
    match write {
        SharedWrite::Commit(commit) => link.backend.commit(link.worker, n, commit).await.map(without_blocks),
        SharedWrite::Claim(claim) => link.backend.claim(link.worker, n, claim).await,
    }
}
