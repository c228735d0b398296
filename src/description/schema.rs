//! JSON Schema (draft 2020-12) of a description, which editors use for completion and validation.

use schemars::SchemaGenerator;

use crate::description::format::Description;

/// Returns the schema as JSON text.
pub fn schema() -> String {
    let schema = SchemaGenerator::default().into_root_schema_for::<Description>();
    format!("{:#}\n", schema.as_value())
}
