//! Hosts that images are downloaded from: each has its own queue, its own gate and its own outages.
//!
//! A host that refuses or is out of reach says nothing about the jobs whose images it has. Their tasks are paid for, so the jobs wait for
//! the host, as submissions wait for the API. A fault is the job's own if other jobs get their images meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::download_concurrency::DownloadConcurrency;
use crate::engine::downloads::DownloadQueue;
use crate::engine::pacer::Pacer;
use crate::engine::retry::Backoff;
use crate::engine::turn::Received;
use crate::model::job::JobId;
use crate::model::limits::Limits;
use crate::model::link;
use crate::model::outcome::{FaultKind, Url};
use crate::model::time::Moment;

/// Number of jobs that meet useless answers of a host, with no image in between, from which the host is the cause.
const SHARED_JOBS: usize = 3;

/// Consecutive faults of a host without which a long time between two of them is no outage.
const OUTAGE_FAULTS: u32 = 3;

/// Number of hosts above which those without any job are forgotten.
const HOSTS_MAX: usize = 256;

/// Image hosts of one provider.
#[derive(Debug)]
pub(super) struct ImageHosts {
    hosts: BTreeMap<String, ImageHost>,
    /// Jobs ever queued.
    n_pushed: u64,
    seed: u64,
    wait_max: Duration,
    has_delivered: bool,
    concurrency: DownloadConcurrency,
}

/// Queue and state of one host.
#[derive(Debug)]
struct ImageHost {
    gate: Pacer,
    queue: DownloadQueue,
    /// Jobs whose images are being downloaded.
    under_way: BTreeSet<JobId>,
    /// Jobs that have met a fault since the host last delivered an image.
    failing: BTreeSet<JobId>,
    /// Moment of the first of the consecutive faults, and their number.
    failing_since: Option<Moment>,
    n_faults: u32,
    /// Moment of the last image of this host; `None` before the first.
    delivered_at: Option<Moment>,
}

impl ImageHost {
    fn new(gate: Pacer) -> Self {
        Self {
            gate,
            queue: DownloadQueue::default(),
            under_way: BTreeSet::new(),
            failing: BTreeSet::new(),
            failing_since: None,
            n_faults: 0,
            delivered_at: None,
        }
    }

    /// Returns whether a download may begin now. One at a time probes a host that seems down.
    fn is_open(&self, now: Moment) -> bool {
        self.gate.hold(now).is_none() && (self.under_way.is_empty() || !self.gate.is_probing())
    }

    /// Takes the next job. A host that seems down is probed in turn by a job that has failed there and by one that has not: the former may be
    /// at fault itself, and so may the latter.
    fn next(&mut self) -> Option<JobId> {
        let (is_probing, is_again) = (self.gate.is_probing(), self.n_faults.is_multiple_of(2));
        let failing = &self.failing;
        self.queue.pop(|job| !is_probing || failing.contains(&job) == is_again)
    }

    fn has_jobs(&self) -> bool {
        !(self.queue.is_empty() && self.under_way.is_empty() && self.failing.is_empty())
    }

    fn failed(&mut self, now: Moment, job: JobId) {
        self.failing.insert(job);
        self.failing_since.get_or_insert(now);
        self.n_faults = self.n_faults.saturating_add(1);
    }

    fn failing_for(&self, now: Moment) -> Option<Duration> {
        self.failing_since.filter(|_| self.n_faults >= OUTAGE_FAULTS).map(|since| now - since)
    }
}

impl ImageHosts {
    /// Creates the state in which no host is known.
    pub(super) fn new(limits: &Limits) -> Self {
        let (seed, wait_max) = (limits.seed ^ 0x1a, limits.wait_max);
        let concurrency = DownloadConcurrency::new(limits.downloads_max);
        Self { hosts: BTreeMap::new(), n_pushed: 0, seed, wait_max, has_delivered: false, concurrency }
    }

    /// Queues a job whose images can be downloaded.
    pub(super) fn push(&mut self, now: Moment, job: JobId, urls: &[Url]) {
        if self.hosts.len() >= HOSTS_MAX {
            self.hosts.retain(|_, host| host.has_jobs());
        }
        let expires_at = urls.iter().filter_map(link::expires_at).min().map(|wall| now.at_wall(wall));
        let n_before = self.n_pushed;
        self.n_pushed += 1;
        self.host(urls).queue.push(now, job, expires_at, n_before);
    }

    /// Takes the next job to download from a host whose gate is open, if one more download may begin: it is then under way.
    pub(super) fn pop(&mut self, now: Moment) -> Option<JobId> {
        if !self.concurrency.has_room() {
            return None;
        }
        let open = self.hosts.values_mut().filter(|host| !host.queue.is_empty() && host.is_open(now));
        let host = open.min_by_key(|host| host.queue.next())?;
        // A gate without a rate lets everything through while it is open.
        host.gate.take(now).ok()?;
        let job = host.next()?;
        host.under_way.insert(job);
        self.concurrency.begin(now, job);
        Some(job)
    }

    /// Records that all downloads that may begin now have begun.
    pub(super) fn planned(&mut self) {
        self.concurrency.planned();
    }

    /// Processes a report of what the downloads under way have received, and of stalls.
    pub(super) fn received(&mut self, now: Moment, received: Received) {
        self.concurrency.received(now, received);
    }

    /// Returns the number of downloads under way.
    pub(super) fn n_out(&self) -> usize {
        self.concurrency.n_out()
    }

    /// Takes a job whose links expired while it waited, if its host would be asked now. The job needs fresh links.
    pub(super) fn pop_expired(&mut self, now: Moment) -> Option<JobId> {
        self.hosts.values_mut().filter(|host| host.is_open(now)).find_map(|host| host.queue.pop_expired(now))
    }

    /// Returns the number of waiting jobs.
    pub(super) fn n_waiting(&self) -> usize {
        self.hosts.values().map(|host| host.queue.len()).sum()
    }

    /// Returns when the first closed gate opens behind which jobs wait.
    pub(super) fn wake_at(&self, now: Moment) -> Option<Moment> {
        let waiting = self.hosts.values().filter(|host| !host.queue.is_empty());
        waiting.filter_map(|host| host.gate.hold(now)).map(|hold| hold.until).min()
    }

    /// Records the end of a download; `is_home` says whether its images arrived.
    pub(super) fn ended(&mut self, now: Moment, job: JobId, urls: &[Url], is_home: bool) {
        self.concurrency.end(now, job, is_home);
        self.host(urls).under_way.remove(&job);
    }

    /// Records an image that arrived: its host works.
    pub(super) fn delivered(&mut self, now: Moment, urls: &[Url]) {
        self.has_delivered = true;
        let host = self.host(urls);
        host.gate.succeeded(now);
        host.failing.clear();
        (host.failing_since, host.n_faults, host.delivered_at) = (None, 0, Some(now));
    }

    /// Records a refusal for too many requests: the host is asked again after the wait that it names, or after a backoff.
    pub(super) fn throttled(&mut self, now: Moment, job: JobId, urls: &[Url], retry_after: Option<Duration>) {
        self.concurrency.throttled(now);
        let host = self.host(urls);
        host.failed(now, job);
        let is_first = host.gate.hold(now).is_none();
        host.gate.refused(now, retry_after, is_first);
    }

    /// Records a download without an image.
    pub(super) fn failed(&mut self, now: Moment, job: JobId, urls: &[Url]) {
        let host = self.host(urls);
        host.failed(now, job);
        host.gate.faltered(now, false);
    }

    /// Removes a job that no longer waits for its images.
    pub(super) fn forget(&mut self, job: JobId) {
        for host in self.hosts.values_mut().filter(|host| !host.failing.is_empty()) {
            host.failing.remove(&job);
        }
    }

    /// Returns whether the host, and not the job, is the cause of this fault.
    pub(super) fn is_to_blame(&self, urls: &[Url], fault: FaultKind) -> bool {
        let name = host_name(urls);
        let Some(host) = self.hosts.get(&name) else { return false };
        let Some(since) = host.failing_since else { return false };
        // A host that is silent or busy is so for any job. One that answers without an image may have lost a single one.
        let is_shared = fault == FaultKind::Transient || fault.is_limit() || host.failing.len() >= SHARED_JOBS;
        let others = self.hosts.iter().filter(|(other, _)| **other != name);
        let works_elsewhere = others.filter_map(|(_, other)| other.delivered_at).any(|at| at >= since);
        is_shared && (host.delivered_at.is_some() || !works_elsewhere)
    }

    /// Returns how long the host of these links has delivered no image, but faults; `None` if there were too few for an outage.
    pub(super) fn failing_for(&self, now: Moment, urls: &[Url]) -> Option<Duration> {
        self.hosts.get(&host_name(urls))?.failing_for(now)
    }

    /// Returns the moment of the first of the consecutive faults of this host.
    pub(super) fn failing_since(&self, urls: &[Url]) -> Option<Moment> {
        self.hosts.get(&host_name(urls))?.failing_since
    }

    /// Returns the number of consecutive faults of this host.
    pub(super) fn n_faults(&self, urls: &[Url]) -> u32 {
        self.hosts.get(&host_name(urls)).map_or(0, |host| host.n_faults)
    }

    /// Allows a probe at this moment, if the gate of a host that seems down would open later.
    pub(super) fn probe_by(&mut self, moment: Moment, urls: &[Url]) {
        self.host(urls).gate.probe_by(moment);
    }

    /// Returns whether any host has delivered an image to this process.
    pub(super) const fn has_delivered(&self) -> bool {
        self.has_delivered
    }

    /// Returns whether every host that jobs wait for fails, and one seems down. Another task would only add to the images that cannot be
    /// downloaded.
    pub(super) fn are_down(&self) -> bool {
        let mut waited_for = self.hosts.values().filter(|host| host.has_jobs());
        let is_one_down = self.hosts.values().any(|host| host.gate.is_down() && !host.failing.is_empty());
        is_one_down && waited_for.all(|host| !host.failing.is_empty())
    }

    /// Returns the longest time for which a host has seemed down; `None` if none does.
    pub(super) fn down_for(&self, now: Moment) -> Option<Duration> {
        let down = self.hosts.values().filter(|host| host.gate.is_down() && !host.failing.is_empty());
        down.filter_map(|host| host.failing_for(now)).max()
    }

    fn host(&mut self, urls: &[Url]) -> &mut ImageHost {
        let (seed, wait_max) = (self.seed, self.wait_max);
        let gate = || Pacer::new(None, None, Backoff::new(seed), wait_max);
        self.hosts.entry(host_name(urls)).or_insert_with(|| ImageHost::new(gate()))
    }
}

/// Returns the host of a job's first image. All images of a task are mostly at one host.
fn host_name(urls: &[Url]) -> String {
    urls.first().map(link::host).unwrap_or_default()
}

#[cfg(test)]
mod tests;
