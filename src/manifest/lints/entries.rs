//! Lints of the entries of a manifest, one after the other, and of all of them together at the end.

use crate::manifest::diagnostics::{Location, PassDiagnostics};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::{Fields, Text};
use crate::manifest::lints::foreign_texts::ForeignTexts;
use crate::manifest::lints::placeholders::Placeholders;
use crate::manifest::lints::seeds::SeedCounts;
use crate::manifest::lints::{damage, guards, infotext, words};

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

/// State of the lints in one pass over a manifest.
#[derive(Debug, Default)]
pub(crate) struct EntryLints {
    /// `None` if texts are read as they are.
    texts: Option<ForeignTexts>,
    placeholders: Placeholders,
    seeds: SeedCounts,
    format: LintedFormat,
}

impl EntryLints {
    pub(crate) fn new(is_verbatim: bool, format: LintedFormat) -> Self {
        let texts = (!is_verbatim).then(ForeignTexts::default);
        Self { texts, format, ..Self::default() }
    }

    /// Returns whether texts are read as they are.
    pub(crate) const fn is_verbatim(&self) -> bool {
        self.texts.is_none()
    }

    /// Returns whether entries have columns or keys with free names.
    pub(crate) const fn has_columns(&self) -> bool {
        self.format.has_columns
    }

    /// Removes the seeds above the limit from the fields of an entry. They are reported at the end.
    pub(crate) fn take_large_seed(&mut self, given: &mut Vec<FieldEntry>) {
        self.seeds.take_large(given);
    }

    /// Counts a seed of -1.
    pub(crate) fn add_random_seed(&mut self, place: Location) {
        self.seeds.add_random(place);
    }

    /// Checks the prompts of an entry for placeholders. Its texts are no templates.
    pub(crate) fn see_literal(&mut self, fields: &Fields, columns: &[(String, String)]) {
        let LintedFormat { has_lines, has_columns, .. } = self.format;
        if self.is_verbatim() || !has_lines && !has_columns {
            return;
        }
        for Text { text, place } in fields.prompt.iter().flat_map(OneOrManyValues::values) {
            self.placeholders.see(text, columns, *place);
        }
    }

    /// Checks the texts of an entry, or of the defaults.
    pub(crate) fn see(&mut self, fields: &Fields, model: Location, findings: &mut PassDiagnostics) {
        let Some(foreign) = &mut self.texts else { return };
        let Fields { prompt, negative_prompt, id, model: models, .. } = fields;
        for Text { text, place } in prompt.iter().flat_map(OneOrManyValues::values) {
            foreign.see(text, self.format.has_lines, self.format.has_null, *place);
        }
        for Text { text, place } in negative_prompt.iter().flat_map(OneOrManyValues::values) {
            if let Some(wrong) = infotext::below_negative(text) {
                findings.mistakes.push(*place, wrong);
            }
        }
        let texts = [(Field::Prompt, prompt), (Field::NegativePrompt, negative_prompt), (Field::Id, id)];
        for (field, values) in texts {
            for Text { text, place } in values.iter().flat_map(OneOrManyValues::values) {
                if !(self.format.has_null && text.eq_ignore_ascii_case("null")) {
                    words::report(field, text, *place, findings);
                }
                report(field, text, *place, findings);
            }
        }
        for text in models.iter().flat_map(OneOrManyValues::values) {
            words::report(Field::Model, text, model, findings);
            report(Field::Model, text, model, findings);
        }
    }

    /// Reports what is known only at the end.
    pub(crate) fn finish(self, findings: &mut PassDiagnostics) {
        self.seeds.finish(findings);
        self.placeholders.finish(self.format.has_columns, findings);
        if let Some(texts) = self.texts {
            texts.finish(findings);
        }
    }
}

fn report(field: Field, text: &str, place: Location, findings: &mut PassDiagnostics) {
    damage::report(field, text, place, findings);
    guards::report(field, text, place, findings);
}
