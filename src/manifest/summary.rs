//! Manifest summary: the number of jobs per provider, model and size, and the first and last jobs.

use std::collections::{BTreeMap, VecDeque};

use crate::model::job::JobSpec;
use crate::model::request::{Request, Size};

/// Number of jobs that are kept at each end.
const ENDS_MAX: usize = 3;

/// Limit on the kinds of jobs that are counted separately.
const KINDS_MAX: usize = 10_000;

/// Kind of jobs, with their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobKind<'a> {
    /// Provider, as the rows name it; `None` for the run's own.
    pub provider: Option<&'a str>,
    /// Model.
    pub model: &'a str,
    /// Size; `None` means the provider's default size.
    pub size: Option<Size>,
    /// Number of jobs.
    pub n: u64,
}

/// Numbers of jobs by size; `None` is the provider's default.
type CountBySize = BTreeMap<Option<Size>, u64>;

/// Counts of the jobs in a manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManifestSummary {
    n_jobs: u64,
    /// Jobs so far, with those that are left out.
    n_indexes: u64,
    /// By provider, model and size.
    kinds: BTreeMap<Option<String>, BTreeMap<String, CountBySize>>,
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

    /// Counts the provider, the model and the size of a job. Returns whether this kind is new.
    pub(super) fn count(&mut self, request: &Request) -> bool {
        if let Some(models) = self.kinds.get_mut(&request.provider)
            && let Some(sizes) = models.get_mut(&request.model)
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
        let models = self.kinds.entry(request.provider.clone()).or_default();
        models.entry(request.model.clone()).or_default().insert(request.size, 1);
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

    /// Returns each kind of jobs. Providers and models are sorted by name, and sizes from small to large; what is `None` comes first.
    pub fn kinds(&self) -> impl Iterator<Item = JobKind<'_>> {
        self.kinds.iter().flat_map(|(provider, models)| {
            models.iter().flat_map(move |(model, sizes)| {
                let (provider, model) = (provider.as_deref(), model.as_str());
                sizes.iter().map(move |(size, n)| JobKind { provider, model, size: *size, n: *n })
            })
        })
    }

    /// Returns the number of jobs of further kinds, beyond the limit of 10,000 kinds.
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
        let kind = |provider, model, size, n| JobKind { provider, model, size, n };
        let own = [kind(None, "a", None, 1), kind(None, "b", None, 1), kind(None, "b", small, 2)];
        assert_eq!(census.kinds().collect::<Vec<_>>(), own);
        // The same model and size at another provider is another kind, with other limits.
        for is_new in [true, false] {
            let mut job = draft(1, "b", small);
            job.request.provider = Some("fal".into());
            assert_eq!(census.count(&job.request), is_new);
        }
        assert_eq!(census.kinds().last(), Some(kind(Some("fal"), "b", small, 2)));
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
