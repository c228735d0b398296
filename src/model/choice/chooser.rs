//! Choice in the course of its evaluation: looks at every job, counts those that are chosen, and draws the sample.

use std::collections::{BTreeSet, BinaryHeap};
use std::fmt;

use crate::model::choice::condition::Condition;
use crate::model::choice::error::{ChoiceError, VALUES_SHOWN_MAX, shown};
use crate::model::choice::job_view::{JobView, Target};
use crate::model::counts::StatusCounts;
use crate::model::escape::{escape, grouped};
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
    /// Written value, and behind it the parts of a list, each with the number of jobs that have it.
    parts: Vec<(String, u64)>,
    n_met: u64,
    /// First different values of the column, at most one more than are shown.
    values: BTreeSet<String>,
    /// First value that differs from a written one in case only, and the number of jobs with such a value.
    near: Option<(String, u64)>,
}

impl ResolvedCondition {
    pub(super) fn new(condition: Condition, target: Target) -> Self {
        // These texts often hold commas.
        let is_text = matches!(
            target,
            Target::Field(field) if field.is_free_text()
        );
        let value = condition.value.as_str();
        let list = value.split(',').map(str::trim).filter(|part| !is_text && value.contains(',') && !part.is_empty());
        let parts = std::iter::once(value).chain(list).map(|part| (part.to_owned(), 0)).collect();
        Self { condition, target, parts, n_met: 0, values: BTreeSet::new(), near: None }
    }

    fn is_met(&mut self, job: JobView<'_>) -> bool {
        let text = job.text(&self.target);
        let text = text.trim();
        if self.values.len() <= VALUES_SHOWN_MAX && !self.values.contains(text) {
            self.values.insert(text.to_owned());
        }
        let mut is_one = false;
        for (part, n) in &mut self.parts {
            let is_same = self.target.is_same(text, part);
            *n += u64::from(is_same);
            is_one |= is_same;
        }
        if !is_one && self.parts.iter().any(|(part, _)| part.eq_ignore_ascii_case(text)) {
            self.near.get_or_insert_with(|| (text.to_owned(), 0)).1 += 1;
        }
        let is_met = is_one != self.condition.is_not;
        self.n_met += u64::from(is_met);
        is_met
    }

    /// Returns the condition, or the part of a list, that no job meets.
    fn unmet(&self) -> Option<Condition> {
        let with = |value: &String| Condition { value: value.clone(), ..self.condition.clone() };
        match self.parts.as_slice() {
            _ if self.n_met == 0 => Some(self.condition.clone()),
            // A list of what is not wanted may name more than there is.
            [(_, 0), list @ ..] if !self.condition.is_not => {
                list.iter().find(|(_, n)| *n == 0).map(|(part, _)| with(part))
            }
            _ => None,
        }
    }
}

/// Jobs that are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Chosen jobs by status.
    pub counts: StatusCounts,
    /// Values that are probably meant too.
    pub near: Vec<NearValue>,
}

/// Value that differs from the one in a condition in case only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearValue {
    /// Condition.
    pub condition: Condition,
    /// Value, as the first such job has it.
    pub value: String,
    /// Number of jobs with such a value.
    pub n_jobs: u64,
}

impl fmt::Display for NearValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { condition, value, n_jobs } = self;
        let jobs = if *n_jobs == 1 { "1 job has".to_owned() } else { format!("{} jobs have", grouped(*n_jobs)) };
        let condition = escape(&condition.to_string());
        write!(f, "{jobs} {}, which differs in case from --where {condition}", shown(value))
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

    /// Returns the chosen jobs, once all jobs have been seen. An error says why there are none. Ids that are not known yet are those
    /// of pending jobs.
    pub fn chosen(&self) -> Result<Chosen, ChoiceError> {
        if let Some((unmet, condition)) =
            self.conditions.iter().find_map(|condition| Some((condition.unmet()?, condition)))
        {
            let values = condition.values.iter().cloned().collect();
            return Err(ChoiceError::NoValue { condition: unmet, values });
        }
        if self.counts.n_jobs() == 0 && !self.conditions.is_empty() {
            return Err(ChoiceError::NotTogether);
        }
        let counts = match &self.sample {
            None => self.counts,
            Some(sample) if sample.drawn.is_empty() => {
                StatusCounts { n_pending: sample.max.min(self.counts.n_jobs()), ..StatusCounts::default() }
            }
            Some(sample) => sample.drawn.iter().fold(StatusCounts::default(), |sum, (.., status)| sum + *status),
        };
        let near = self.conditions.iter().filter_map(|ResolvedCondition { condition, near, .. }| {
            let (value, n_jobs) = near.clone()?;
            Some(NearValue { condition: condition.clone(), value, n_jobs })
        });
        Ok(Chosen { counts, near: near.collect() })
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
