//! Reasons why no job can be chosen.

use crate::model::choice::condition::Condition;
use crate::model::escape::{escape, excerpt};

/// Values of a column that a message lists.
pub(super) const VALUES_SHOWN_MAX: usize = 8;

/// Columns that a message lists.
const COLUMNS_SHOWN_MAX: usize = 20;

/// Longest value in a message, in characters.
const VALUE_CHARS_MAX: usize = 40;

/// Reason why no job can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// Condition on a column that does not exist.
    #[error(
        "could not choose jobs by --where: there is no column {}{}; the columns are {}",
        shown(.name),
        .nearest.as_ref().map_or_else(String::new, |near| format!(", perhaps {}", shown(near))),
        listed(.columns, COLUMNS_SHOWN_MAX)
    )]
    NoColumn {
        /// Name as it was written.
        name: String,
        /// Name that was probably meant; `None` if no name is close.
        nearest: Option<String>,
        /// Names that are possible.
        columns: Vec<String>,
    },
    /// Condition that no job meets.
    #[error(
        "could not choose jobs by --where: no job has {}; the values of {} are {}",
        escape(&.condition.to_string()),
        shown(&.condition.column),
        listed(.values, VALUES_SHOWN_MAX)
    )]
    NoValue {
        /// Condition.
        condition: Condition,
        /// First different values of the column, and one more if there are further ones.
        values: Vec<String>,
    },
    /// Conditions that no job meets together.
    #[error(
        "could not choose jobs by --where: each condition is met by some jobs, and no job meets them all; leave one out"
    )]
    NotTogether,
}

pub(super) fn shown(text: &str) -> String {
    format!("`{}`", excerpt(text, VALUE_CHARS_MAX))
}

fn listed(texts: &[String], max: usize) -> String {
    let listed: Vec<_> = texts.iter().take(max).map(|text| shown(text)).collect();
    let more = if texts.len() > max { ", ..." } else { "" };
    format!("{}{more}", listed.join(", "))
}
