//! Properties of a manifest's format that the lints depend on.

/// What the format of a manifest says about its texts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LintedFormat {
    /// Records that every line of the manifest is a prompt.
    pub(crate) has_lines: bool,
    /// Records that entries have columns or keys with free names.
    pub(crate) has_columns: bool,
    /// Records that the text `null` is meant.
    pub(crate) has_null: bool,
}
