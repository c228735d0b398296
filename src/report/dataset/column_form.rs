//! Forms in which the values of a column are written, so that loaders infer one type for it.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::report::dataset::record::{ColumnType, Columns, Record};
use crate::report::dataset::timestamps::is_timestamp;
use crate::report::value::CellValue;

/// Form in which the values of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnForm {
    /// Values of the column's type; a missing one is null.
    Typed,
    /// Text. A number becomes its digits, and a missing value becomes an empty text.
    Text,
    /// Text in which a space follows each date, so that no loader reads it as a time.
    DatesAsText,
    /// Nothing: the column is left out, because it has no value in any row.
    LeftOut,
}

impl ColumnForm {
    /// Returns the value in this form, or `None` in a column that is left out.
    pub(crate) fn apply<'a>(self, value: &'a CellValue<'_>) -> Option<CellValue<'a>> {
        let text = match self {
            Self::LeftOut => return None,
            Self::Typed => return Some(value.clone()),
            Self::Text => value.text(),
            Self::DatesAsText => match value.text() {
                text if is_timestamp(&text) => Cow::Owned(format!("{text} ")),
                text => text,
            },
        };
        Some(CellValue::Text(text))
    }
}

/// Returns the forms of the columns in shards, to which later exports add rows. No text is null there, and the named numbers are
/// text.
pub(crate) fn forms_of_shards(columns: &Columns, numbers_as_text: &[&str]) -> Vec<ColumnForm> {
    let form = |(name, kind): (&String, &ColumnType)| match kind {
        ColumnType::Whole | ColumnType::Real if !numbers_as_text.contains(&name.as_str()) => ColumnForm::Typed,
        ColumnType::Whole | ColumnType::Real | ColumnType::Text | ColumnType::Time => ColumnForm::Text,
    };
    columns.names().iter().zip(columns.kinds()).map(form).collect()
}

/// Record that serializes as one JSON object, with each value in the form of its column.
pub(crate) struct FormedRecord<'a>(pub &'a Record<'a>, pub &'a [ColumnForm]);

impl Serialize for FormedRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(record, forms) = self;
        let mut map = serializer.serialize_map(None)?;
        for ((name, value), form) in record.names().iter().zip(record.values()).zip(*forms) {
            if let Some(value) = form.apply(value) {
                map.serialize_entry(name, &value)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_keeps_every_character_of_a_text() {
        let text = |text: &'static str| CellValue::Text(text.into());
        let table = [
            (ColumnForm::LeftOut, text(" 猫 "), None),
            (ColumnForm::Typed, CellValue::Whole(7), Some(CellValue::Whole(7))),
            (ColumnForm::Typed, CellValue::None, Some(CellValue::None)),
            (ColumnForm::Text, CellValue::Whole(7), Some(text("7"))),
            (ColumnForm::Text, CellValue::None, Some(text(""))),
            (ColumnForm::Text, text("2027-01-15"), Some(text("2027-01-15"))),
            (ColumnForm::DatesAsText, text("2027-01-15"), Some(text("2027-01-15 "))),
            (ColumnForm::DatesAsText, text(" 猫 "), Some(text(" 猫 "))),
        ];
        for (form, value, expected) in table {
            assert_eq!(form.apply(&value), expected, "{form:?} of {value:?}");
        }
    }
}
