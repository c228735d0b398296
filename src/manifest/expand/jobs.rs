//! Jobs of one entry, and their iterator.

use crate::manifest::diagnostics::{Issue, Location};
use crate::manifest::expand::grid::ParameterGrid;
use crate::model::job::JobSpec;

/// Jobs of an entry.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "only one exists at a time, and nearly all are of the large variant")]
pub(crate) enum EntryJobs {
    /// Identical jobs, or jobs whose seeds count up from the entry's seed.
    Alike { draft: JobSpec, n: u32 },
    /// Jobs of lists and templates.
    Of(Box<ParameterGrid>),
}

impl EntryJobs {
    pub(crate) const fn alike(draft: JobSpec, n: u32) -> Self {
        Self::Alike { draft, n }
    }

    pub(crate) fn of_grid(grid: ParameterGrid) -> Self {
        Self::Of(Box::new(grid))
    }

    /// Returns the number of jobs.
    pub(crate) fn n(&self) -> u64 {
        match self {
            Self::Alike { n, .. } => u64::from(*n),
            Self::Of(grid) => grid.n(),
        }
    }

    /// Returns the factors of the number of jobs, each with a label.
    pub(crate) fn factors(&self) -> Vec<(u64, String)> {
        match self {
            Self::Alike { n, .. } => vec![(u64::from(*n), "images each".to_owned())],
            Self::Of(grid) => grid.factors(),
        }
    }

    /// Returns the passthrough columns of the jobs.
    pub(crate) fn columns(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Alike { draft, .. } => Box::new(draft.extras.iter().map(|(column, _)| column.as_str())),
            Self::Of(grid) => Box::new(grid.columns()),
        }
    }

    /// Returns the id and the prompt of all jobs. `None` if the entry has no id, or if the jobs differ.
    pub(crate) fn only_id(&self) -> Option<(&str, &str)> {
        match self {
            Self::Alike { draft, .. } => draft.label.as_deref().map(|id| (id, draft.request.prompt.as_str())),
            Self::Of(_) => None,
        }
    }
}

/// Iterator over the jobs of one entry.
#[derive(Debug)]
pub(crate) struct JobIterator {
    jobs: EntryJobs,
    /// Location of the entry.
    place: Location,
    i: u64,
}

impl JobIterator {
    pub(crate) const fn new(jobs: EntryJobs, place: Location) -> Self {
        Self { jobs, place, i: 0 }
    }

    /// Returns the location of the entry.
    pub(crate) const fn place(&self) -> Location {
        self.place
    }

    /// Returns the location of the ids if each job has its own.
    pub(crate) fn place_of_ids(&self) -> Option<Location> {
        match &self.jobs {
            EntryJobs::Alike { .. } => None,
            EntryJobs::Of(grid) => Some(grid.place_of_ids().unwrap_or(self.place)),
        }
    }
}

impl Iterator for JobIterator {
    type Item = Result<JobSpec, (Location, Issue)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.i == self.jobs.n() {
            return None;
        }
        let i = self.i;
        self.i += 1;
        Some(match &mut self.jobs {
            EntryJobs::Alike { draft, .. } => Ok(next_alike(draft)),
            EntryJobs::Of(grid) => grid.draft(i),
        })
    }
}

fn next_alike(draft: &mut JobSpec) -> JobSpec {
    let next = draft.clone();
    if let Some(seed) = &mut draft.request.seed {
        *seed += 1;
    }
    next
}
