//! Providers that rows name: each is looked up once, and a row without a model gets that of its provider.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::Fields;
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::value::shown_text;
use crate::model::request_limits::{ProviderFacts, ProviderLookup, RequestDoubt, RequestLimits};

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
