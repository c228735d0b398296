//! Manifest summary: the number of jobs per model and size, and the first and last jobs.

use std::collections::{BTreeMap, VecDeque};

use crate::model::job::JobSpec;
use crate::model::request::{Request, Size};

/// Number of jobs that are kept at each end.
const ENDS_MAX: usize = 3;

/// Limit on the pairs of model and size that are counted separately.
const KINDS_MAX: usize = 10_000;

/// Counts of the jobs in a manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManifestSummary {
    n_jobs: u64,
    /// Jobs so far, with those that are left out.
    n_indexes: u64,
    kinds: BTreeMap<String, BTreeMap<Option<Size>, u64>>,
    n_kinds: usize,
    n_others: u64,
    /// Size of the pictures on this disk that all requests send, in bytes.
    pub(super) n_picture_bytes: u64,
    first: Vec<JobSpec>,
    last: VecDeque<(u64, JobSpec)>,
}

impl ManifestSummary {
    /// Adds the next job. One that is left out only takes an index.
    pub(super) fn add(&mut self, draft: JobSpec) {
        self.n_indexes += 1;
        if draft.row.is_skipped {
            return;
        }
        self.n_jobs += 1;
        if self.first.len() < ENDS_MAX {
            self.first.push(draft);
        } else {
            if self.last.len() == ENDS_MAX {
                self.last.pop_front();
            }
            self.last.push_back((self.n_indexes, draft));
        }
    }

    /// Counts the model and the size of a job. Returns whether this pair is new.
    pub(super) fn count(&mut self, request: &Request) -> bool {
        if let Some(sizes) = self.kinds.get_mut(&request.model)
            && let Some(n) = sizes.get_mut(&request.size)
        {
            *n += 1;
            return false;
        }
        if self.n_kinds == KINDS_MAX {
            self.n_others += 1;
            return false;
        }
        self.n_kinds += 1;
        self.kinds.entry(request.model.clone()).or_default().insert(request.size, 1);
        true
    }

    /// Returns the size of the pictures on this disk that all requests send together, in bytes.
    pub const fn n_picture_bytes(&self) -> u64 {
        self.n_picture_bytes
    }

    /// Returns the number of jobs.
    pub const fn n_jobs(&self) -> u64 {
        self.n_jobs
    }

    /// Returns each model and size with its number of jobs. Models are sorted by name, and sizes from small to large.
    /// A size of `None` means the provider's default size and comes first.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, Option<Size>, u64)> {
        self.kinds.iter().flat_map(|(model, sizes)| sizes.iter().map(|(size, n)| (model.as_str(), *size, *n)))
    }

    /// Returns the number of jobs of further models and sizes, beyond the limit of 10,000 pairs.
    pub const fn n_others(&self) -> u64 {
        self.n_others
    }

    /// Returns the first jobs, up to three.
    pub fn first(&self) -> &[JobSpec] {
        &self.first
    }

    /// Returns the last jobs with their indexes, up to three, without those in `first`.
    pub fn last(&self) -> impl Iterator<Item = (u64, &JobSpec)> {
        self.last.iter().map(|(index, draft)| (*index, draft))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(prompt: usize, model: &str, size: Option<Size>) -> JobSpec {
        let request = Request { prompt: prompt.to_string(), model: model.into(), size, ..Request::default() };
        JobSpec::from(request)
    }

    /// Returns the prompts of the first and of the last jobs in a summary of `n` jobs.
    fn ends(n: usize) -> (Vec<String>, Vec<String>) {
        let mut census = ManifestSummary::default();
        for i in 1..=n {
            census.add(draft(i, "m", None));
        }
        assert_eq!(census.n_jobs(), n as u64);
        let prompt = |draft: &JobSpec| draft.request.prompt.clone();
        (census.first().iter().map(prompt).collect(), census.last().map(|(_, draft)| prompt(draft)).collect())
    }

    #[test]
    fn the_first_and_the_last_are_kept() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(ends(2), (texts(&["1", "2"]), texts(&[])));
        assert_eq!(ends(5), (texts(&["1", "2", "3"]), texts(&["4", "5"])));
        assert_eq!(ends(50), (texts(&["1", "2", "3"]), texts(&["48", "49", "50"])));
    }

    #[test]
    fn kinds_are_counted_by_model_and_size() {
        let mut census = ManifestSummary::default();
        let small = Some(Size { width: 64, height: 64 });
        let new: Vec<bool> = [("b", small), ("a", None), ("b", None), ("b", small)]
            .into_iter()
            .map(|(model, size)| census.count(&draft(1, model, size).request))
            .collect();
        assert_eq!(new, [true, true, true, false]);
        assert_eq!(census.kinds().collect::<Vec<_>>(), [("a", None, 1), ("b", None, 1), ("b", small, 2)]);
    }

    #[test]
    fn what_has_too_many_kinds_is_counted_still() {
        let mut census = ManifestSummary::default();
        for i in 0..KINDS_MAX + 5 {
            census.count(&draft(1, &i.to_string(), None).request);
        }
        assert_eq!((census.kinds().count(), census.n_others()), (KINDS_MAX, 5));
    }
}
