//! Unchecked entry of a manifest: the common output of all format parsers.

use crate::manifest::diagnostics::Location;
use crate::manifest::expand::options::ExpandOptions;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;

/// Entry with its fields, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Location of the entry.
    pub place: Location,
    /// Fields of the entry.
    pub given: Vec<FieldEntry>,
    /// Passthrough values, as pairs of column and text.
    pub extras: Vec<(String, String)>,
    /// Expansion options of the entry: how lists combine, vars and syntax. `None` if the entry gives none.
    pub(crate) ways: Option<Box<ExpandOptions>>,
}

impl Entry {
    /// Creates an entry without fields at this location.
    pub const fn new(place: Location) -> Self {
        Self { place, given: Vec::new(), extras: Vec::new(), ways: None }
    }

    /// Returns the location of this field, or else of the entry.
    pub(crate) fn place_of(&self, field: Field) -> Location {
        self.given.iter().find(|given| given.field == field).map_or(self.place, |given| given.place)
    }
}
