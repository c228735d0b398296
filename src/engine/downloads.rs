//! Download queue: jobs whose links expire soonest come first, then all others in order of arrival.

use std::collections::{BTreeMap, VecDeque};

use crate::model::job::JobId;
use crate::model::link;
use crate::model::outcome::Url;
use crate::model::time::Moment;

/// Minimum backlog of jobs, with ended tasks and images still to fetch, at which submissions stop. It keeps every download busy while the
/// next tasks run.
pub const BACKLOG_MIN: usize = 1000;

/// Queue of jobs whose images can be downloaded.
#[derive(Debug, Default)]
pub struct DownloadQueue {
    /// Jobs whose links name an expiry time, numbered in order of arrival.
    expiring: BTreeMap<(Moment, u64), JobId>,
    others: VecDeque<JobId>,
    n_pushed: u64,
}

impl DownloadQueue {
    /// Adds a job with its links.
    ///
    /// A link that seems expired on arrival counts as a link without expiry. The local clock may be wrong, and a useless request costs less
    /// than a task that counts as lost.
    pub fn push(&mut self, now: Moment, job: JobId, urls: &[Url]) {
        let expires_at = urls.iter().filter_map(link::expires_at).min().map(|wall| now.at_wall(wall));
        match expires_at {
            Some(moment) if moment > now => drop(self.expiring.insert((moment, self.n_pushed), job)),
            Some(_) | None => self.others.push_back(job),
        }
        self.n_pushed += 1;
    }

    /// Takes the next job to download.
    pub fn pop(&mut self) -> Option<JobId> {
        let soonest = self.expiring.pop_first().map(|(_, job)| job);
        soonest.or_else(|| self.others.pop_front())
    }

    /// Takes a job whose links expired while it waited. The job needs fresh links.
    pub fn pop_expired(&mut self, now: Moment) -> Option<JobId> {
        let soonest = self.expiring.first_entry()?;
        (soonest.key().0 <= now).then(|| soonest.remove())
    }

    /// Returns the number of waiting jobs.
    pub fn len(&self) -> usize {
        self.expiring.len() + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn at(secs: i64) -> Moment {
        Moment::new(secs * 1_000_000, Timestamp::from_millis((1_790_000_000 + secs) * 1000))
    }

    fn id(n: u8) -> JobId {
        JobId::from_bytes([n; 10])
    }

    /// Builds links that expire at these seconds after the start; `None` means without a known expiry.
    fn links(secs: &[Option<i64>]) -> Vec<Url> {
        let query =
            |secs: &Option<i64>| secs.map_or(String::new(), |secs| format!("?Expires={}", 1_790_000_000 + secs));
        secs.iter().map(|secs| Url(format!("https://images/a.png{}", query(secs)))).collect()
    }

    fn popped(downloads: &mut DownloadQueue) -> Vec<JobId> {
        std::iter::from_fn(|| downloads.pop()).collect()
    }

    #[test]
    fn what_expires_first_goes_first_and_the_unknown_last_as_they_came() {
        let mut downloads = DownloadQueue::default();
        let jobs = [(9, None), (1, Some(60)), (8, None), (2, Some(30)), (3, Some(60)), (7, None)];
        for (n, secs) in jobs {
            downloads.push(at(0), id(n), &links(&[secs]));
        }
        assert_eq!(downloads.len(), 6);
        assert_eq!(popped(&mut downloads), [2, 1, 3, 9, 8, 7].map(id));
        assert_eq!(downloads.len(), 0);
    }

    #[test]
    fn of_several_links_the_soonest_counts() {
        let mut downloads = DownloadQueue::default();
        downloads.push(at(0), id(1), &links(&[Some(50), None]));
        downloads.push(at(0), id(2), &links(&[None, Some(90), Some(40)]));
        assert_eq!(popped(&mut downloads), [2, 1].map(id));
    }

    #[test]
    fn a_link_that_expires_while_it_waits_is_told_apart() {
        let mut downloads = DownloadQueue::default();
        for (n, secs) in [(1, Some(10)), (2, Some(20)), (3, None)] {
            downloads.push(at(0), id(n), &links(&[secs]));
        }
        assert_eq!(downloads.pop_expired(at(9)), None);
        assert_eq!(downloads.pop_expired(at(10)), Some(id(1)));
        assert_eq!(downloads.pop_expired(at(10)), None);
        assert_eq!(popped(&mut downloads), [2, 3].map(id));
    }

    /// A fast local clock, or a link that means something else by `Expires`, must not prevent a download for ever.
    #[test]
    fn a_link_that_came_expired_is_fetched_all_the_same() {
        let mut downloads = DownloadQueue::default();
        downloads.push(at(100), id(1), &links(&[Some(10)]));
        assert_eq!(downloads.pop_expired(at(200)), None);
        assert_eq!(downloads.pop(), Some(id(1)));
    }
}
