//! Choice in the course of its evaluation: looks at every job, counts those that are chosen, and draws the sample.

use std::collections::{BTreeSet, BinaryHeap};

use crate::model::choice::condition::Condition;
use crate::model::choice::error::{ChoiceError, VALUES_SHOWN_MAX};
use crate::model::choice::job_view::{JobField, JobView, Target};
use crate::model::counts::StatusCounts;
use crate::model::job::JobId;

/// Choice whose columns are known, and what it has met so far.
#[derive(Clone, Debug)]
pub struct Chooser {
    pub(super) conditions: Vec<ResolvedCondition>,
    /// Jobs that met the conditions, by status.
    pub(super) counts: StatusCounts,
    pub(super) sample: Option<Sample>,
}

#[derive(Clone, Debug)]
pub(super) struct ResolvedCondition {
    condition: Condition,
    target: Target,
    n_met: u64,
    /// First different values of the column, at most one more than are shown.
    values: BTreeSet<String>,
}

impl ResolvedCondition {
    pub(super) const fn new(condition: Condition, target: Target) -> Self {
        Self { condition, target, n_met: 0, values: BTreeSet::new() }
    }

    fn is_met(&mut self, job: JobView<'_>) -> bool {
        let text = job.text(&self.target);
        let text = text.trim();
        if self.values.len() <= VALUES_SHOWN_MAX && !self.values.contains(text) {
            self.values.insert(text.to_owned());
        }
        let Condition { value, is_not, .. } = &self.condition;
        let is = |value: &str| self.target.is_same(text, value);
        // A text may hold commas of its own.
        let may_be_list = !matches!(
            self.target,
            Target::Field(JobField::Prompt | JobField::NegativePrompt | JobField::ImageUrl | JobField::Params)
        );
        let is_one = || value.split(',').map(str::trim).any(|part| !part.is_empty() && is(part));
        let is_met = (is(value) || may_be_list && is_one()) != *is_not;
        self.n_met += u64::from(is_met);
        is_met
    }
}

impl Chooser {
    /// Looks at a job with this status. If it meets the conditions, counts it and offers it to the sample.
    pub fn see(&mut self, job: JobView<'_>, status: StatusCounts) {
        if self.is_met(job) {
            self.counts += status;
            if let (Some(sample), Some(id)) = (&mut self.sample, job.id) {
                sample.add(id, status);
            }
        }
    }

    /// Returns whether a job is chosen, once all jobs have been seen.
    pub fn has(&mut self, job: JobView<'_>) -> bool {
        let is_drawn = self.sample.as_ref().is_none_or(|sample| job.id.is_some_and(|id| sample.has(id)));
        is_drawn && self.is_met(job)
    }

    // Each condition looks at every job, so that a message can say which of them no job meets.
    fn is_met(&mut self, job: JobView<'_>) -> bool {
        let mut is_chosen = true;
        for condition in &mut self.conditions {
            is_chosen &= condition.is_met(job);
        }
        is_chosen
    }

    /// Counts the chosen jobs by status, once all jobs have been seen. An error says why there are none. Ids that are not known yet
    /// are those of pending jobs.
    pub fn counts(&self) -> Result<StatusCounts, ChoiceError> {
        if self.counts.n_jobs() > 0 || self.conditions.is_empty() {
            return Ok(match &self.sample {
                None => self.counts,
                Some(sample) if sample.drawn.is_empty() => {
                    StatusCounts { n_pending: sample.max.min(self.counts.n_jobs()), ..StatusCounts::default() }
                }
                Some(sample) => sample.drawn.iter().fold(StatusCounts::default(), |sum, (.., status)| sum + *status),
            });
        }
        match self.conditions.iter().find(|condition| condition.n_met == 0) {
            Some(ResolvedCondition { condition, values, .. }) => {
                Err(ChoiceError::NoValue { condition: condition.clone(), values: values.iter().cloned().collect() })
            }
            None => Err(ChoiceError::NotTogether),
        }
    }
}

/// Sample of jobs: those with the lowest hashes of their ids.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    max: u64,
    seed: u64,
    /// Lowest hashes so far, with the highest of them first.
    drawn: BinaryHeap<(u64, JobId, StatusCounts)>,
}

impl Sample {
    pub(super) const fn new(max: u64, seed: u64) -> Self {
        Self { max, seed, drawn: BinaryHeap::new() }
    }

    pub(super) fn add(&mut self, id: JobId, status: StatusCounts) {
        self.drawn.push((self.hash(id), id, status));
        if self.drawn.len() as u64 > self.max {
            self.drawn.pop();
        }
    }

    pub(super) fn has(&self, id: JobId) -> bool {
        self.drawn.peek().is_some_and(|(hash, highest, _)| (self.hash(id), id) <= (*hash, *highest))
    }

    fn hash(&self, id: JobId) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"promptbatch sample 1").update(&self.seed.to_le_bytes()).update(id.bytes());
        let mut head = [0; 8];
        hasher.finalize_xof().fill(&mut head);
        u64::from_le_bytes(head)
    }
}
