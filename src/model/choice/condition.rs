//! Condition on a field or column of a job, as the user writes it.

use std::fmt;
use std::str::FromStr;

/// Condition on one field or column: `category=birds,boats`, `status!=done` or `row=1..100`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Name of the field or column.
    pub column: String,
    /// Says whether the value must be another one.
    pub is_not: bool,
    /// Value as it is written, or several with commas between them.
    pub value: String,
}

/// Error for a text that is not a [`Condition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it as COLUMN=VALUE or COLUMN!=VALUE, such as category=birds,boats")]
pub struct ConditionError;

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let (column, value) = text.split_once('=').ok_or(ConditionError)?;
        let is_not = column.ends_with('!');
        let column = column.strip_suffix('!').unwrap_or(column).trim();
        // `==`, `>=` and `~=` of other languages would compare with another value than is meant.
        if column.is_empty() || value.starts_with('=') || column.ends_with(['<', '>', '~']) {
            return Err(ConditionError);
        }
        Ok(Self { column: column.to_owned(), is_not, value: value.trim().to_owned() })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_not { "!=" } else { "=" };
        write!(f, "{}{sign}{}", self.column, self.value)
    }
}
