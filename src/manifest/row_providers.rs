//! Providers that rows name: each is looked up once, and a row without a model gets that of its provider.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::Fields;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::{FieldEntry, FieldValue, Spanned};
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::value::{UnparsedValue, Value, shown_text};
use crate::model::request_limits::{FieldRanges, ProviderFacts, ProviderLookup, RequestDoubt, RequestLimits};

/// Providers that rows have named so far.
#[derive(Debug)]
pub(super) struct RowProviders {
    lookup: Option<ProviderLookup>,
    /// Folder below which descriptions are found.
    folder: PathBuf,
    known: BTreeMap<String, Option<ProviderFacts>>,
}

impl RowProviders {
    pub(super) const fn new(lookup: Option<ProviderLookup>, folder: PathBuf) -> Self {
        Self { lookup, folder, known: BTreeMap::new() }
    }

    /// Looks up the providers of an entry, and gives an entry without a model of its own that of its provider. `is_default` is true if its
    /// model is only the default of the run.
    pub(super) fn see(&mut self, fields: &mut Fields, is_default: bool) -> Result<(), Issue> {
        let Some(names) = fields.provider.clone() else { return Ok(()) };
        let mut default_model = None;
        for name in names.values() {
            default_model = self.facts(name)?.map(|facts| facts.default_model);
        }
        if !is_default {
            return Ok(());
        }
        fields.model = match (names.is_list(), default_model) {
            (false, Some(model)) if !model.is_empty() => Some(OneOrManyValues::One(model.to_owned())),
            (true, _) | (false, Some(_)) => {
                let what = "this entry names a provider and no `model`";
                return Err(wrong(what, "write the name that the provider has for the model"));
            }
            (false, None) => fields.model.take(),
        };
        Ok(())
    }

    /// Returns the ranges of the numbers beside these fields: those of the provider that they name, else of the shared one, else of the run's
    /// own. Among several providers, the widest count here, and each job is judged by those of its own.
    pub(super) fn ranges(
        &mut self,
        given: &[FieldEntry],
        shared: Option<&OneOrManyValues<String>>,
        own: FieldRanges,
    ) -> FieldRanges {
        let own_field = given.iter().find(|entry| entry.field == Field::Provider);
        let names: Vec<&str> = match own_field.map(|entry| &entry.said) {
            None => shared.into_iter().flat_map(OneOrManyValues::values).map(String::as_str).collect(),
            Some(FieldValue::One(name)) => text_of(name).into_iter().collect(),
            Some(FieldValue::Many(list)) => list.iter().filter_map(text_of).collect(),
            Some(FieldValue::Unreadable) => Vec::new(),
        };
        let ranges = |name: &&str| self.found(name).map(|facts| facts.limits.ranges);
        let ranges: Vec<_> = names.iter().filter_map(ranges).collect();
        let is_described =
            ranges.contains(&FieldRanges::Described) || (names.is_empty() && own == FieldRanges::Described);
        if is_described { FieldRanges::Described } else { FieldRanges::Usual }
    }

    /// Looks a provider up without reporting one that is unknown.
    fn found(&self, name: &str) -> Option<ProviderFacts> {
        let looked_up = || (self.lookup?.0)(name, &self.folder).ok();
        self.known.get(name).map_or_else(looked_up, |known| *known)
    }

    /// Returns the limits of a provider that a row names; `None` if it was refused.
    pub(super) fn limits(&self, name: &str) -> Option<&'static RequestLimits> {
        self.known.get(name).copied().flatten().map(|facts| facts.limits)
    }

    /// Looks a provider up. A name that is unknown is reported once.
    fn facts(&mut self, name: &str) -> Result<Option<ProviderFacts>, Issue> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let found = match self.lookup {
            Some(ProviderLookup(lookup)) => lookup(name, &self.folder),
            None => Err(RequestDoubt {
                what: format!(
                    "this entry names the provider {}, and only one provider can be used here",
                    shown_text(name)
                ),
                remedy: "remove `provider`, or keep a column of your own with --carry provider".into(),
            }),
        };
        self.known.insert(name.to_owned(), found.as_ref().ok().copied());
        found.map(Some).map_err(|RequestDoubt { what, remedy }| wrong(what, remedy))
    }
}

/// Returns the name of a provider as the later reading of the field finds it.
fn text_of(name: &Spanned) -> Option<&str> {
    match &name.raw {
        UnparsedValue::Cell(text) | UnparsedValue::Typed(Value::Text(text)) => Some(text.trim()),
        UnparsedValue::Typed(_) => None,
    }
}
