//! Defaults that all entries share: fields, expansion options and passthrough values, in layers of precedence.

use std::mem;
use std::sync::Arc;

use crate::manifest::diagnostics::{DiagnosticList, Location, PassDiagnostics};
use crate::manifest::expand::options::ExpandOptions;
use crate::manifest::fields::Fields;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::lints::entries::EntryLints;
use crate::manifest::lints::seeds;
use crate::model::request_limits::FieldRanges;

/// Defaults of all entries, used where an entry gives no own value.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedDefaults {
    pub(super) fields: Fields,
    /// Expansion options: how lists combine, the vars and the syntax.
    pub(super) ways: Arc<ExpandOptions>,
    /// Passthrough values of the manifest's defaults.
    pub(super) extras: Vec<(String, String)>,
    /// Location of the shared model, in the layer with the highest precedence.
    pub(super) model_place: Option<Location>,
    /// Says whether the shared model is only the default of the run, which no layer names.
    pub(super) is_default_model: bool,
    /// Location of a shared seed of -1, if no layer of higher precedence has another seed.
    random_seed: Option<Location>,
}

impl SharedDefaults {
    /// Adds a layer of fields with a lower precedence than the existing ones.
    pub(super) fn lay_under(&mut self, mut given: Vec<FieldEntry>, ranges: FieldRanges, mistakes: &mut DiagnosticList) {
        if let Some(place) = seeds::take_random(&mut given)
            && self.fields.seed.is_none()
        {
            self.random_seed.get_or_insert(place);
        }
        let model = given.iter().find(|given| given.field == Field::Model);
        self.model_place = self.model_place.or(model.map(|given| given.place));
        let texts = self.ways.text_mode();
        let mut lower = Fields::read(given, texts, ranges, mistakes);
        if self.random_seed.is_some() {
            lower.seed = None;
        }
        self.fields = mem::take(&mut self.fields).or(&lower);
    }

    /// Checks the texts of all layers.
    pub(super) fn see(&self, lints: &mut EntryLints, findings: &mut PassDiagnostics) {
        lints.see(&self.fields, None, self.model_place.unwrap_or(Location::CommandLine), findings);
        lints.add_random_seeds(self.random_seed);
    }
}

/// Merges the passthrough values of the defaults and of the entry. The entry's own texts win; its other columns come last.
pub(super) fn with_shared(shared: &[(String, String)], mut own: Vec<(String, String)>) -> Vec<(String, String)> {
    if shared.is_empty() {
        return own;
    }
    let mut extras = shared.to_vec();
    for (column, text) in &mut extras {
        if let Some(i) = own.iter().position(|(name, _)| name == column) {
            *text = own.remove(i).1;
        }
    }
    extras.append(&mut own);
    extras
}
