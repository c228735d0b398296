//! Jobs of one entry, and their iterator.

use crate::manifest::diagnostics::{Issue, Location};
use crate::manifest::expand::grid::ParameterGrid;
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::parse::RANDOM_SEED;
use crate::manifest::fields::{Fields, Text, parse};
use crate::model::job::{JobSpec, ManifestRow};
use crate::model::request::Request;

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
    /// Builds the jobs of an entry with one value per field. They are identical except for their seeds.
    pub(crate) fn of_fields(fields: Fields, extras: Vec<(String, String)>) -> Option<Self> {
        let text = |text: Option<OneOrManyValues<Text>>| text.map(|axis| axis.into_first().text);
        let request = Request {
            prompt: text(fields.prompt)?,
            provider: fields.provider.map(OneOrManyValues::into_first),
            model: fields.model?.into_first(),
            negative_prompt: text(fields.negative_prompt).filter(|text| !text.is_empty()),
            size: fields.size.map(OneOrManyValues::into_first),
            seed: fields.seed.map(OneOrManyValues::into_first),
            steps: fields.steps.map(OneOrManyValues::into_first),
            guidance: fields.guidance.map(OneOrManyValues::into_first),
            image_url: fields.image_url.map(OneOrManyValues::into_first).unwrap_or_default(),
            loras: fields.loras.map(OneOrManyValues::into_first).unwrap_or_default(),
            params: fields.params.map(|params| parse::sent(params.at(0))).unwrap_or_default(),
        };
        let draft = JobSpec { label: text(fields.id), request, extras, ..JobSpec::default() };
        Some(Self::Alike { draft, n: fields.n.unwrap_or(1) })
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
    row: ManifestRow,
    /// Location of the entry.
    place: Location,
    i: u64,
}

impl JobIterator {
    pub(crate) const fn new(jobs: EntryJobs, row: ManifestRow, place: Location) -> Self {
        Self { jobs, row, place, i: 0 }
    }

    /// Returns whether the entry is left out.
    pub(crate) const fn is_skipped(&self) -> bool {
        self.row.is_skipped
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
        let draft = match &mut self.jobs {
            EntryJobs::Alike { draft, .. } => Ok(next_alike(draft)),
            EntryJobs::Of(grid) => grid.draft(i),
        };
        Some(draft.map(|draft| JobSpec { row: self.row, ..draft }))
    }
}

fn next_alike(draft: &mut JobSpec) -> JobSpec {
    let next = draft.clone();
    if let Some(seed) = draft.request.seed.as_mut().filter(|seed| **seed != RANDOM_SEED) {
        *seed += 1;
    }
    next
}
