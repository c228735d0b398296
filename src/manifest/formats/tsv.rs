//! TSV: a table with a header and tabs between the cells, in which most quotes are part of the text.

use std::io;

use crate::manifest::diagnostics::PassDiagnostics;
use crate::manifest::fields::field::Field;
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{Format, FormatInput, Opened};
use crate::manifest::formats::table::Table;
use crate::manifest::lists::ListFiles;

/// Table with tabs between the cells. A quote is usually part of the text.
pub(crate) struct Tsv;

impl Format for Tsv {
    fn name(&self) -> &'static str {
        "tsv"
    }

    fn help(&self) -> &'static str {
        "A table with tabs, where most quotes are just part of the text"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["tsv", "tab"]
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
        Ok(Opened::entries(Table::open_tsv(input.text(findings)?, &columns, findings)?))
    }
}
