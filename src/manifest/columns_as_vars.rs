//! Passthrough columns as vars of the texts, for the syntax that names columns.

use std::sync::Arc;

use crate::manifest::diagnostics::Location;
use crate::manifest::expand::options::{ExpandOptions, Var};
use crate::manifest::fields::Text;

/// Adds the passthrough columns as vars. The vars of the manifest win.
pub(super) fn with_columns(ways: &ExpandOptions, extras: &[(String, String)], place: Location) -> ExpandOptions {
    let var = |text: &str| Var { place, texts: vec![Text { text: text.to_owned(), place }], table: None };
    let vars = extras.iter().map(|(column, text)| (column.clone(), var(text)));
    let columns = ExpandOptions { vars: Arc::new(vars.collect()), ..ExpandOptions::default() };
    ways.clone().or(&columns)
}
