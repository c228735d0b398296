//! Lints of the entries of a manifest, one after the other, and of all of them together at the end.

use std::collections::BTreeMap;

use crate::manifest::diagnostics::{Location, PassDiagnostics};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::title_chars::joined;
use crate::manifest::fields::{Fields, Text};
use crate::manifest::lints::choices::ChoiceColumns;
use crate::manifest::lints::foreign_texts::ForeignTexts;
use crate::manifest::lints::linted_format::LintedFormat;
use crate::manifest::lints::placeholders::Placeholders;
use crate::manifest::lints::row_numbers::RowNumbers;
use crate::manifest::lints::seeds::SeedCounts;
use crate::manifest::lints::signs::Signs;
use crate::manifest::lints::totals::TotalRows;
use crate::manifest::lints::{damage, fills, guards, infotext, words};

/// State of the lints in one pass over a manifest.
#[derive(Debug, Default)]
pub(crate) struct EntryLints {
    /// `None` if texts are read as they are.
    texts: Option<ForeignTexts>,
    placeholders: Placeholders,
    seeds: SeedCounts,
    choices: ChoiceColumns,
    totals: TotalRows,
    /// `None` if the user has said what `n` means.
    row_numbers: Option<RowNumbers>,
    /// Columns that are filled into prompts and are empty in some entries: the first of these, and their number.
    empty: BTreeMap<String, (Location, u64)>,
    /// Columns about which the user has decided.
    decided: Vec<String>,
    format: LintedFormat,
}

impl EntryLints {
    /// Creates the lints of a manifest in this format. The columns `decided` are those about which the user has said what they mean.
    pub(crate) fn new(is_verbatim: bool, is_folding_seeds: bool, format: LintedFormat, decided: Vec<String>) -> Self {
        let texts = (!is_verbatim).then(ForeignTexts::default);
        Self { texts, seeds: SeedCounts::new(is_folding_seeds), decided, format, ..Self::default() }
    }

    /// Looks for a column `n` that numbers the rows.
    pub(crate) fn seek_row_numbers(&mut self) {
        self.row_numbers = self.format.has_columns.then(RowNumbers::default);
    }

    /// Looks at the number of images of an entry.
    pub(crate) fn see_number(&mut self, n: Option<u32>, place: Location) {
        if let Some(numbers) = &mut self.row_numbers {
            numbers.see(n, place);
        }
    }

    /// Looks at a column that is filled into the prompt of an entry.
    pub(crate) fn see_fill(&mut self, name: &str, text: &str, entry: Location, findings: &mut PassDiagnostics) {
        if !self.is_verbatim() && fills::report_column(name, text, entry, findings) {
            self.empty.entry(name.to_owned()).or_insert((entry, 0)).1 += 1;
        }
    }

    /// Returns whether texts are read as they are.
    pub(crate) const fn is_verbatim(&self) -> bool {
        self.texts.is_none()
    }

    /// Returns whether entries have columns or keys with free names.
    pub(crate) const fn has_columns(&self) -> bool {
        self.format.has_columns
    }

    /// Folds the seeds above the limit, if the user wants that. They are reported at the end.
    pub(crate) fn fold_seeds(&mut self, given: &mut [FieldEntry]) {
        self.seeds.fold(given);
    }

    /// Folds or removes the seeds above the limit in the fields of an entry. They are reported at the end. One that is left out has its own
    /// mistakes.
    pub(crate) fn take_large_seed(&mut self, given: &mut Vec<FieldEntry>, is_skipped: bool) {
        self.seeds.fold(given);
        if !is_skipped {
            self.seeds.take_large(given);
        }
    }

    /// Counts a seed of -1. `None` is another seed.
    pub(crate) fn add_random_seeds(&mut self, place: Option<Location>) {
        if let Some(place) = place {
            self.seeds.add_random(place);
        }
    }

    /// Looks at the name of a passthrough column.
    pub(crate) fn see_column(&mut self, title: &str) {
        if self.format.has_columns && !self.decided.iter().any(|name| joined(name) == joined(title)) {
            self.choices.add(title, Location::File);
        }
    }

    /// Looks at the values that say whether an entry is wanted.
    pub(crate) fn see_choice(&mut self, extras: &[(String, String)]) {
        self.choices.see(extras);
    }

    /// Checks the texts of an entry, or of the defaults. `columns` are the other columns of an entry whose texts are no templates.
    pub(crate) fn see(
        &mut self,
        fields: &Fields,
        columns: Option<&[(String, String)]>,
        model: Location,
        findings: &mut PassDiagnostics,
    ) {
        let Some(foreign) = &mut self.texts else { return };
        let LintedFormat { has_lines, has_columns, has_null } = self.format;
        let columns = columns.filter(|_| has_lines || has_columns);
        if let Some(columns) = columns.filter(|_| has_columns) {
            self.totals.see(fields, columns, model, findings);
        }
        let Fields { prompt, negative_prompt, id, model: models, .. } = fields;
        for Text { text, place } in prompt.iter().flat_map(OneOrManyValues::values) {
            let signs = Signs::of(text);
            foreign.see(text, self.format, signs, *place);
            if let Some(columns) = columns.filter(|_| signs.has(Signs::PLACEHOLDER)) {
                self.placeholders.see(text, columns, *place);
            }
            report(Field::Prompt, text, signs, has_null, *place, findings);
        }
        for Text { text, place } in negative_prompt.iter().flat_map(OneOrManyValues::values) {
            let signs = Signs::of(text);
            if let Some(wrong) = infotext::below_negative(text) {
                findings.mistakes.push(*place, wrong);
            }
            report(Field::NegativePrompt, text, signs, has_null, *place, findings);
        }
        for Text { text, place } in id.iter().flat_map(OneOrManyValues::values) {
            report(Field::Id, text, Signs::of(text), has_null, *place, findings);
        }
        for text in models.iter().flat_map(OneOrManyValues::values) {
            report(Field::Model, text, Signs::of(text), false, model, findings);
        }
    }

    /// Reports what is known only at the end.
    pub(crate) fn finish(self, findings: &mut PassDiagnostics) {
        self.seeds.finish(findings);
        self.choices.finish(findings);
        if let Some(numbers) = &self.row_numbers {
            numbers.finish(findings);
        }
        for (name, (place, n)) in &self.empty {
            findings.warnings.push(*place, fills::empty_column(name, *n));
        }
        self.placeholders.finish(self.format.has_columns, findings);
        self.totals.finish(findings);
        if let Some(texts) = self.texts {
            texts.finish(findings);
        }
    }
}

/// Reports a text that is damaged, guarded or means nothing.
fn report(field: Field, text: &str, signs: Signs, has_null: bool, place: Location, findings: &mut PassDiagnostics) {
    if !(has_null && text.eq_ignore_ascii_case("null")) {
        words::report(field, text, place, findings);
    }
    if signs.has(Signs::DAMAGE) {
        damage::report(field, text, place, findings);
    }
    if matches!(text.as_bytes().first(), Some(b'=' | b'\'')) {
        guards::report(field, text, place, findings);
    }
}
