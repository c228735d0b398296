//! Choice of the jobs that a run works on: by the values of their fields and columns, and by a sample of those.

mod chooser;
mod condition;
mod error;
mod job_view;
#[cfg(test)]
mod tests;

pub use crate::model::choice::chooser::{Chooser, Chosen, NearValue};
pub use crate::model::choice::condition::{Condition, ConditionError};
pub use crate::model::choice::error::ChoiceError;
pub use crate::model::choice::job_view::JobView;

use crate::model::choice::chooser::{ResolvedCondition, Sample};
use crate::model::choice::job_view::{Target, fields, joined};
use crate::model::counts::StatusCounts;

/// Jobs that a run works on. All others stay outstanding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobChoice {
    /// Conditions that a job meets, all of them.
    pub conditions: Vec<Condition>,
    /// Size of a sample of the jobs that meet the conditions; `None` for all. A larger sample has the jobs of a smaller one.
    pub sample: Option<u64>,
    /// Seed of the sample: another seed draws other jobs.
    pub seed: u64,
    /// Columns of the manifest that are used as fields, as pairs of title and field.
    pub titles: Vec<(String, String)>,
}

impl JobChoice {
    /// Returns whether all jobs are chosen.
    pub const fn is_all(&self) -> bool {
        self.conditions.is_empty() && self.sample.is_none()
    }

    /// Finds the columns of the conditions among those that the manifest carries through, and the fields.
    pub fn among(&self, columns: &[String]) -> Result<Chooser, ChoiceError> {
        let conditions = self.conditions.iter().map(|condition| {
            let target = self.target(&condition.column, columns)?;
            Ok(ResolvedCondition::new(condition.clone(), target))
        });
        let conditions = conditions.collect::<Result<_, ChoiceError>>()?;
        let sample = self.sample.map(|max| Sample::new(max, self.seed));
        Ok(Chooser { conditions, counts: StatusCounts::default(), sample })
    }

    fn target(&self, name: &str, columns: &[String]) -> Result<Target, ChoiceError> {
        let field = |name: &str| fields().find(|(other, _)| joined(other) == joined(name)).map(|(_, field)| field);
        let used = || {
            let title = self.titles.iter().find(|(title, _)| joined(title) == joined(name));
            title.and_then(|(_, name)| field(name))
        };
        let column =
            |is: &dyn Fn(&String) -> bool| columns.iter().find(|column| is(column)).cloned().map(Target::Column);
        let found = column(&|column| column == name)
            .or_else(|| used().or_else(|| field(name)).map(Target::Field))
            .or_else(|| column(&|column| joined(column) == joined(name)));
        found.ok_or_else(|| {
            let fields = fields().map(|(name, _)| name.to_owned());
            let columns: Vec<_> = columns.iter().cloned().chain(fields).collect();
            let nearest =
                columns.iter().map(|column| (strsim::damerau_levenshtein(&joined(name), &joined(column)), column));
            let nearest = nearest.filter(|(slips, column)| *slips <= column.chars().count() / 3).min();
            ChoiceError::NoColumn { name: name.to_owned(), nearest: nearest.map(|(_, near)| near.clone()), columns }
        })
    }
}
