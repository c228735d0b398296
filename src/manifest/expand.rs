//! The jobs of one entry, one after the other.

use crate::manifest::check::Checker;
use crate::manifest::grid::Grid;
use crate::manifest::mistake::{Findings, Place};
use crate::model::job::Draft;

/// All jobs of an entry.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nearly all are of the large kind")]
pub(super) enum Jobs {
    /// Equal ones, or with seeds that count up from the entry's own.
    Alike { draft: Draft, n: u32 },
    /// Those of lists and templates.
    Of(Box<Grid>),
}

impl Jobs {
    pub(super) const fn alike(draft: Draft, n: u32) -> Self {
        Self::Alike { draft, n }
    }

    pub(super) fn of_grid(grid: Grid) -> Self {
        Self::Of(Box::new(grid))
    }

    /// How many there are.
    pub(super) fn n(&self) -> u64 {
        match self {
            Self::Alike { n, .. } => u64::from(*n),
            Self::Of(grid) => grid.n(),
        }
    }

    /// The numbers whose product that is.
    pub(super) fn factors(&self) -> Vec<(u64, String)> {
        match self {
            Self::Alike { n, .. } => vec![(u64::from(*n), "images each".to_owned())],
            Self::Of(grid) => grid.factors(),
        }
    }

    /// The columns that they carry through.
    pub(super) fn columns(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Alike { draft, .. } => Box::new(draft.extras.iter().map(|(column, _)| column.as_str())),
            Self::Of(grid) => Box::new(grid.columns()),
        }
    }

    /// The id and the prompt that all of them have, if they are alike.
    pub(super) fn only_id(&self) -> Option<(&str, &str)> {
        match self {
            Self::Alike { draft, .. } => draft.label.as_deref().map(|id| (id, draft.request.prompt.as_str())),
            Self::Of(_) => None,
        }
    }
}

/// Gives jobs one by one.
#[derive(Debug)]
pub(super) struct Expand {
    jobs: Jobs,
    place: Place,
    i: u64,
}

impl Expand {
    pub(super) fn new(jobs: Jobs, place: Place) -> Self {
        Self { jobs, place, i: 0 }
    }

    /// The next good job; what is wrong with those before it goes to the findings.
    pub(super) fn next(&mut self, checker: &mut Checker, findings: &mut Findings) -> Option<Draft> {
        while self.i < self.jobs.n() {
            let made = match &mut self.jobs {
                Jobs::Alike { draft, .. } => Ok(next_alike(draft)),
                Jobs::Of(grid) => grid.draft(self.i),
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

    /// Jobs that are not alike have ids of their own.
    fn check_id(&self, draft: &Draft, checker: &mut Checker, findings: &mut Findings) {
        let (Jobs::Of(grid), Some(id)) = (&self.jobs, &draft.label) else { return };
        let place = grid.place_of_ids().unwrap_or(self.place);
        checker.check_id(id, &draft.request.prompt, place, &mut findings.mistakes);
    }
}

fn next_alike(draft: &mut Draft) -> Draft {
    let next = draft.clone();
    if let Some(seed) = &mut draft.request.seed {
        *seed += 1;
    }
    next
}
