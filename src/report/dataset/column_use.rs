//! Use of the columns of a dataset: which have values in which split, and how each is therefore written.
//!
//! Loaders infer the type of a column from its first values, once per split, and fail where two results differ.

use crate::report::dataset::column_form::ColumnForm;
use crate::report::dataset::metadata::TableFormat;
use crate::report::dataset::record::{Columns, Record};
use crate::report::dataset::timestamps::is_timestamp;
use crate::report::value::CellValue;

/// Rows of a split from which its types are certainly inferred. `datasets` reads 10 MB of a table for that.
const EARLY_ROWS: u64 = if cfg!(test) { 4 } else { 1_000 };

/// Kinds of values that were found in a column, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FoundKinds(u8);

impl FoundKinds {
    const MISSING: u8 = 1;
    /// Text without any character. It is text for loaders, and no value for people.
    const BLANK: u8 = 2;
    /// Text that loaders read as a time.
    const DATE: u8 = 4;
    /// Integer that needs 64 bits. Loaders read it as a floating-point number.
    const LARGE: u8 = 8;
    const OTHER: u8 = 16;

    fn of(value: &CellValue<'_>) -> Self {
        Self(match value {
            CellValue::None => Self::MISSING,
            CellValue::Text(text) if text.is_empty() => Self::BLANK,
            CellValue::Text(text) if is_timestamp(text) => Self::DATE,
            CellValue::Whole(number) if i64::try_from(*number).is_err() => Self::LARGE,
            _ => Self::OTHER,
        })
    }

    const fn has(self, kinds: u8) -> bool {
        self.0 & kinds != 0
    }

    /// Returns the type that loaders infer.
    const fn inferred(self) -> InferredType {
        match (self.has(Self::BLANK | Self::OTHER), self.has(Self::DATE), self.has(Self::LARGE)) {
            (_, _, true) => InferredType::Float,
            (true, ..) => InferredType::OfColumn,
            (false, true, _) => InferredType::Time,
            (false, false, false) => InferredType::Null,
        }
    }

    /// Reports whether loaders read the column as times although it is written as text.
    const fn is_dates_alone(self) -> bool {
        self.0 == Self::DATE
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InferredType {
    Null,
    Time,
    Float,
    OfColumn,
}

/// Kinds of values in one column of one split.
#[derive(Clone, Copy, Debug, Default)]
struct SplitColumn {
    /// Among the first rows.
    early: FoundKinds,
    /// In all rows.
    all: FoundKinds,
}

/// What the records of a dataset have in its columns.
#[derive(Debug)]
pub(crate) struct ColumnUse<'a> {
    columns: &'a Columns,
    /// Number of records, and the kinds in each column, of each split.
    splits: Vec<(u64, Vec<SplitColumn>)>,
}

impl<'a> ColumnUse<'a> {
    /// Creates the use of these columns in a dataset of `n_splits` splits, without any record.
    pub(crate) fn new(columns: &'a Columns, n_splits: usize) -> Self {
        Self { columns, splits: vec![(0, vec![SplitColumn::default(); columns.names().len()]); n_splits] }
    }

    /// Adds the next record of a split.
    pub(crate) fn add(&mut self, split: usize, record: &Record<'_>) {
        let (n_rows, columns) = &mut self.splits[split];
        *n_rows += 1;
        for (column, value) in columns.iter_mut().zip(record.values()) {
            let FoundKinds(kind) = FoundKinds::of(value);
            column.all.0 |= kind;
            if *n_rows <= EARLY_ROWS {
                column.early.0 |= kind;
            }
        }
    }

    fn of_column(&self, at: usize) -> impl Iterator<Item = SplitColumn> {
        self.splits.iter().filter(|(n_rows, _)| *n_rows > 0).map(move |(_, columns)| columns[at])
    }

    /// Returns the forms of the columns in a table that loaders read split by split.
    pub(crate) fn forms_of_table(&self, format: TableFormat) -> Vec<ColumnForm> {
        let form = |at: usize| {
            let has_value = |column: SplitColumn| column.all.has(!(FoundKinds::MISSING | FoundKinds::BLANK));
            // The first columns are the path and the caption, which loaders and trainers ask for by name.
            if at >= 2 && !self.of_column(at).any(has_value) {
                return ColumnForm::LeftOut;
            }
            let mut types = self.of_column(at).flat_map(|column| [column.early.inferred(), column.all.inferred()]);
            let first = types.next();
            if format == TableFormat::Csv || types.all(|inferred| Some(inferred) == first) {
                ColumnForm::Typed
            } else if self.of_column(at).any(|column| column.early.is_dates_alone()) {
                ColumnForm::DatesAsText
            } else {
                ColumnForm::Text
            }
        };
        (0..self.columns.names().len()).map(form).collect()
    }

    /// Returns the names of the numbers that some record lacks, or that are too large for loaders.
    pub(crate) fn partial_numbers(&self) -> Vec<&str> {
        let is_partial = |at| self.of_column(at).any(|column| column.all.has(FoundKinds::MISSING | FoundKinds::LARGE));
        let numbers = self.columns.kinds().iter().enumerate().filter(|(_, kind)| kind.is_number());
        numbers.filter(|(at, _)| is_partial(*at)).map(|(at, _)| self.columns.names()[at].as_str()).collect()
    }

    /// Reports whether there is no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.splits.iter().all(|(n_rows, _)| *n_rows == 0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::report::fixtures::{artifact, known};

    /// Returns the form of the manifest's column `x` that has these values in its splits. `-` stands for a missing one.
    fn form(splits: &[&[&str]]) -> ColumnForm {
        let columns = Columns::new("modelscope", &["x".to_owned()], "prompt").unwrap();
        let mut used = ColumnUse::new(&columns, splits.len());
        let image = artifact("images/1.png");
        for (split, values) in splits.iter().enumerate() {
            for value in *values {
                let extras: &[(&str, &str)] = if *value == "-" { &[] } else { &[("x", *value)] };
                used.add(split, &columns.record(&known("a cat", extras), &image));
            }
        }
        let forms = used.forms_of_table(TableFormat::Jsonl);
        assert_eq!(forms[..3], [ColumnForm::Typed; 3]);
        *forms.last().unwrap()
    }

    /// Goal: loaders infer one type in all splits and all parts of a table. Method: columns by their values in two splits.
    #[test]
    fn a_column_of_two_types_is_text_everywhere() {
        use ColumnForm::{DatesAsText, LeftOut, Text, Typed};
        let date = "2027-01-15";
        let table: [(&[&[&str]], ColumnForm); 16] = [
            (&[&["a"], &["b"]], Typed),
            (&[&["a", "-"], &["-", "b"]], Typed),
            (&[&["a"], &["-"]], Text),
            (&[&["-"], &["a"]], Text),
            (&[&["-"], &["-"]], LeftOut),
            (&[&["-", ""], &[""]], LeftOut),
            (&[&["-"], &[]], LeftOut),
            (&[&["a"], &[]], Typed),
            (&[&[date], &[date]], Typed),
            (&[&[date, "soon"], &[date, "-"]], Text),
            (&[&[date, "soon"], &[date]], DatesAsText),
            (&[&[date], &["-"]], DatesAsText),
            (&[&[date], &[""]], DatesAsText),
            // The value is behind the rows from which the type is inferred.
            (&[&["-", "-", "-", "-", "a"]], Text),
            (&[&["-", "-", "-", "a"]], Typed),
            (&[&[date, date, date, date, "soon"]], DatesAsText),
        ];
        for (splits, expected) in table {
            assert_eq!(form(splits), expected, "{splits:?}");
        }
    }

    #[test]
    fn a_number_that_an_image_lacks_is_named() {
        let columns = Columns::new("modelscope", &[], "prompt").unwrap();
        let image = artifact("images/1.png");
        let mut used = ColumnUse::new(&columns, 1);
        assert!(used.is_empty());
        let mut job = known("a cat", &[]);
        used.add(0, &columns.record(&job, &image));
        assert!(used.partial_numbers().is_empty() && !used.is_empty());
        Arc::make_mut(&mut job.job).request.seed = None;
        Arc::make_mut(&mut job.job).request.size = None;
        used.add(0, &columns.record(&job, &image));
        assert_eq!(used.partial_numbers(), ["seed"]);
        Arc::make_mut(&mut job.job).request.seed = Some(u64::MAX);
        let mut used = ColumnUse::new(&columns, 1);
        used.add(0, &columns.record(&job, &image));
        assert_eq!(used.partial_numbers(), ["seed"]);
    }
}
