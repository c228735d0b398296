//! Lints of the entries of a manifest, one after the other, and of all of them together at the end.

use crate::manifest::diagnostics::{Location, PassDiagnostics};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::{Fields, Text};
use crate::manifest::lints::foreign_texts::ForeignTexts;
use crate::manifest::lints::seeds::SeedCounts;
use crate::manifest::lints::{damage, guards, words};

/// State of the lints in one pass over a manifest.
#[derive(Debug, Default)]
pub(crate) struct EntryLints {
    /// `None` if texts are taken as they are.
    texts: Option<ForeignTexts>,
    seeds: SeedCounts,
    /// Records that every line of the manifest is a prompt.
    has_lines: bool,
    /// Records that the text `null` is meant.
    has_null: bool,
}

impl EntryLints {
    pub(crate) fn new(is_verbatim: bool, has_lines: bool, has_null: bool) -> Self {
        let texts = (!is_verbatim).then(ForeignTexts::default);
        Self { texts, seeds: SeedCounts::default(), has_lines, has_null }
    }

    /// Returns whether texts are taken as they are.
    pub(crate) const fn is_verbatim(&self) -> bool {
        self.texts.is_none()
    }

    /// Removes the seeds above the limit from the fields of an entry. They are reported at the end.
    pub(crate) fn take_large_seed(&mut self, given: &mut Vec<FieldEntry>) {
        self.seeds.take_large(given);
    }

    /// Counts a seed of -1.
    pub(crate) fn add_random_seed(&mut self, place: Location) {
        self.seeds.add_random(place);
    }

    /// Checks the texts of an entry, or of the defaults.
    pub(crate) fn see(&mut self, fields: &Fields, model: Location, findings: &mut PassDiagnostics) {
        let Some(foreign) = &mut self.texts else { return };
        let Fields { prompt, negative_prompt, id, model: models, .. } = fields;
        for Text { text, place } in prompt.iter().flat_map(OneOrManyValues::values) {
            foreign.see(text, self.has_lines, *place);
        }
        let texts = [(Field::Prompt, prompt), (Field::NegativePrompt, negative_prompt), (Field::Id, id)];
        for (field, values) in texts {
            for Text { text, place } in values.iter().flat_map(OneOrManyValues::values) {
                if !(self.has_null && text.eq_ignore_ascii_case("null")) {
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
        if let Some(texts) = self.texts {
            texts.finish(findings);
        }
    }
}

fn report(field: Field, text: &str, place: Location, findings: &mut PassDiagnostics) {
    damage::report(field, text, place, findings);
    guards::report(field, text, place, findings);
}
