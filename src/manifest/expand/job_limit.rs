//! Job limit: prevents a short manifest with long lists from making a million paid jobs unnoticed, and shows the arithmetic.

use crate::manifest::diagnostics::{Issue, Location, wrong};
use crate::model::escape::grouped;

/// Default limit on the jobs that lists may make.
pub(crate) const JOBS_MAX: u64 = 10_000;

/// Limit on the products that are recorded. Further products count as different without being recorded.
const SHAPES_MAX: usize = 64;

/// Counter of the jobs that lists have made. Entries with one job each do not count, because their author wrote each of them.
#[derive(Debug)]
pub(crate) struct ExpansionLimit {
    jobs_max: u64,
    n_jobs: u64,
    n_entries: u64,
    shapes: Vec<JobProduct>,
}

/// Entries with lists of the same lengths.
#[derive(Debug)]
struct JobProduct {
    factors: Vec<(u64, String)>,
    n_entries: u64,
    n_jobs: u64,
    /// Location of the first of these entries.
    place: Location,
}

impl ExpansionLimit {
    pub(crate) const fn new(jobs_max: u64) -> Self {
        Self { jobs_max, n_jobs: 0, n_entries: 0, shapes: Vec::new() }
    }

    /// Counts an entry with lists. Returns whether all jobs so far are within the limit.
    pub(crate) fn allows(
        &mut self,
        n_jobs: u64,
        factors: impl FnOnce() -> Vec<(u64, String)>,
        place: Location,
    ) -> bool {
        if n_jobs <= 1 {
            return true;
        }
        self.n_jobs = self.n_jobs.saturating_add(n_jobs);
        self.n_entries += 1;
        let factors = factors();
        if let Some(shape) = self.shapes.iter_mut().find(|shape| shape.factors == factors) {
            shape.n_entries += 1;
            shape.n_jobs = shape.n_jobs.saturating_add(n_jobs);
        } else if self.shapes.len() < SHAPES_MAX {
            self.shapes.push(JobProduct { factors, n_entries: 1, n_jobs, place });
        }
        self.n_jobs <= self.jobs_max
    }

    /// Returns the mistake and its location if there are too many jobs.
    pub(crate) fn refusal(&self) -> Option<(Location, Issue)> {
        if self.n_jobs <= self.jobs_max {
            return None;
        }
        let most = self.shapes.iter().max_by_key(|shape| shape.n_jobs)?;
        let max = grouped(self.jobs_max);
        let what = if self.shapes.len() == 1 {
            format!("{}, and --max-jobs allows {max}", most.arithmetic())
        } else {
            format!(
                "the lists of {} entries make {}, and --max-jobs allows {max}; most are made here: {}",
                grouped(self.n_entries),
                counted(self.n_jobs),
                most.arithmetic()
            )
        };
        let remedy = if self.n_jobs == u64::MAX {
            "shorten the lists, or sample some of the combinations with `expand: {sample: 100, seed: 1}`".to_owned()
        } else {
            format!(
                "run with --max-jobs {} if you mean it, or sample some of them with `expand: {{sample: 100, seed: 1}}`",
                self.n_jobs
            )
        };
        Some((most.place, wrong(what, remedy)))
    }
}

impl JobProduct {
    /// Formats the product, such as `3 prompts x 4 models x 100 seeds = 1,200 jobs`.
    fn arithmetic(&self) -> String {
        let has_prompts = self.factors.first().is_some_and(|(_, name)| name == "prompts");
        let entries = (self.n_entries, if has_prompts { "entries" } else { "prompts" }.to_owned());
        let factors: Vec<String> = std::iter::once(&entries)
            .chain(&self.factors)
            .filter(|(n, _)| *n > 1)
            .map(|(n, name)| format!("{} {name}", grouped(*n)))
            .collect();
        format!("{} = {}", factors.join(" x "), counted(self.n_jobs))
    }
}

fn counted(n: u64) -> String {
    if n == u64::MAX { "more jobs than can be counted".to_owned() } else { format!("{} jobs", grouped(n)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(list: &[(u64, &str)]) -> Vec<(u64, String)> {
        list.iter().map(|(n, name)| (*n, (*name).to_owned())).collect()
    }

    fn refusal(guard: &ExpansionLimit) -> Option<(Location, String)> {
        guard.refusal().map(|(place, wrong)| (place, wrong.what))
    }

    #[test]
    fn the_arithmetic_of_equal_entries_is_one_product() {
        let mut guard = ExpansionLimit::new(1_000);
        let list = || factors(&[(4, "models"), (100, "seeds")]);
        assert!(guard.allows(400, list, Location::Line(1)) && guard.allows(400, list, Location::Line(2)));
        assert_eq!(refusal(&guard), None);
        assert!(!guard.allows(400, list, Location::Line(3)));
        let what = "3 prompts x 4 models x 100 seeds = 1,200 jobs, and --max-jobs allows 1,000";
        assert_eq!(refusal(&guard), Some((Location::Line(1), what.to_owned())));
        assert!(guard.refusal().is_some_and(|(_, wrong)| wrong.remedy.contains("--max-jobs 1200 ")));
    }

    #[test]
    fn of_different_entries_the_largest_is_shown() {
        let mut guard = ExpansionLimit::new(10);
        guard.allows(4, || factors(&[(4, "models")]), Location::Line(1));
        guard.allows(12, || factors(&[(3, "prompts"), (4, "seeds")]), Location::Line(2));
        let what = "the lists of 2 entries make 16 jobs, and --max-jobs allows 10; most are made here: 3 prompts x 4 seeds = 12 jobs";
        assert_eq!(refusal(&guard), Some((Location::Line(2), what.to_owned())));
    }

    #[test]
    fn single_jobs_are_not_counted() {
        let mut guard = ExpansionLimit::new(1);
        for line in 1..100 {
            assert!(guard.allows(1, Vec::new, Location::Line(line)));
        }
        assert_eq!(refusal(&guard), None);
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let mut guard = ExpansionLimit::new(u64::MAX - 1);
        assert!(!guard.allows(u64::MAX, || factors(&[(1 << 40, "seeds"), (1 << 40, "models")]), Location::File));
        let (_, what) = refusal(&guard).unwrap();
        assert!(what.contains("= more jobs than can be counted"), "{what}");
    }
}
