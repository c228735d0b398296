//! Job iterator of one entry.

use crate::manifest::check::EntryValidator;
use crate::manifest::diagnostic::{Location, PassDiagnostics};
use crate::manifest::grid::ParameterGrid;
use crate::model::job::JobSpec;

/// Jobs of an entry.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "only one exists at a time, and nearly all are of the large variant")]
pub(super) enum EntryJobs {
    /// Identical jobs, or jobs whose seeds count up from the entry's seed.
    Alike { draft: JobSpec, n: u32 },
    /// Jobs of lists and templates.
    Of(Box<ParameterGrid>),
}

impl EntryJobs {
    pub(super) const fn alike(draft: JobSpec, n: u32) -> Self {
        Self::Alike { draft, n }
    }

    pub(super) fn of_grid(grid: ParameterGrid) -> Self {
        Self::Of(Box::new(grid))
    }

    /// Returns the number of jobs.
    pub(super) fn n(&self) -> u64 {
        match self {
            Self::Alike { n, .. } => u64::from(*n),
            Self::Of(grid) => grid.n(),
        }
    }

    /// Returns the factors of the number of jobs, each with a label.
    pub(super) fn factors(&self) -> Vec<(u64, String)> {
        match self {
            Self::Alike { n, .. } => vec![(u64::from(*n), "images each".to_owned())],
            Self::Of(grid) => grid.factors(),
        }
    }

    /// Returns the passthrough columns of the jobs.
    pub(super) fn columns(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Alike { draft, .. } => Box::new(draft.extras.iter().map(|(column, _)| column.as_str())),
            Self::Of(grid) => Box::new(grid.columns()),
        }
    }

    /// Returns the id and the prompt of all jobs. `None` if the entry has no id, or if the jobs differ.
    pub(super) fn only_id(&self) -> Option<(&str, &str)> {
        match self {
            Self::Alike { draft, .. } => draft.label.as_deref().map(|id| (id, draft.request.prompt.as_str())),
            Self::Of(_) => None,
        }
    }
}

/// Iterator over the jobs.
#[derive(Debug)]
pub(super) struct JobIterator {
    jobs: EntryJobs,
    place: Location,
    i: u64,
}

impl JobIterator {
    pub(super) fn new(jobs: EntryJobs, place: Location) -> Self {
        Self { jobs, place, i: 0 }
    }

    /// Returns the next valid job. The mistakes of jobs before it go to `findings`.
    pub(super) fn next(&mut self, checker: &mut EntryValidator, findings: &mut PassDiagnostics) -> Option<JobSpec> {
        while self.i < self.jobs.n() {
            let made = match &mut self.jobs {
                EntryJobs::Alike { draft, .. } => Ok(next_alike(draft)),
                EntryJobs::Of(grid) => grid.draft(self.i),
            };
            self.i += 1;
            match made {
                Ok(draft) => {
                    checker.count(&draft.request, self.place, &mut findings.warnings);
                    self.check_id(&draft, checker, findings);
                    return Some(draft);
                }
                Err((place, wrong)) => findings.mistakes.push(place, wrong),
            }
        }
        None
    }

    /// Records the id of a job from a grid, because each of these jobs has its own id.
    fn check_id(&self, draft: &JobSpec, checker: &mut EntryValidator, findings: &mut PassDiagnostics) {
        let (EntryJobs::Of(grid), Some(id)) = (&self.jobs, &draft.label) else { return };
        let place = grid.place_of_ids().unwrap_or(self.place);
        checker.check_id(id, &draft.request.prompt, place, &mut findings.mistakes);
    }
}

fn next_alike(draft: &mut JobSpec) -> JobSpec {
    let next = draft.clone();
    if let Some(seed) = &mut draft.request.seed {
        *seed += 1;
    }
    next
}
