//! CSV: a table with a header; commas between the cells, or else semicolons or tabs.

use std::io;

use crate::manifest::diagnostics::PassDiagnostics;
use crate::manifest::fields::field::Field;
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{Format, FormatInput, Opened};
use crate::manifest::formats::table::Table;
use crate::manifest::lists::ListFiles;

/// Table with commas between the cells, or else semicolons or tabs. Cells that need it are quoted.
pub(crate) struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn help(&self) -> &'static str {
        "A table with a header"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["csv"]
    }

    fn instead_of_column(&self, _: Field) -> Option<String> {
        None
    }

    fn open(
        &self,
        input: FormatInput,
        columns: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        Ok(Opened::entries(Table::open_csv(input.text(findings)?.with_quotes(), &columns, findings)?))
    }
}
