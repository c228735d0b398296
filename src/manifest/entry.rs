//! Unchecked entry of a manifest: the common output of all format parsers.

use crate::manifest::diagnostic::Location;
use crate::manifest::expand_options::ExpandOptions;
use crate::manifest::field::Field;
use crate::manifest::value::Value;

/// Entry with its fields, as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) place: Location,
    pub(super) given: Vec<FieldEntry>,
    /// Passthrough values, as pairs of column and text.
    pub(super) extras: Vec<(String, String)>,
    /// Expansion options of the entry: how lists combine, vars and syntax. `None` if the entry gives none.
    pub(super) ways: Option<Box<ExpandOptions>>,
}

impl Entry {
    /// Returns the location of this field, or else of the entry.
    pub(super) fn place_of(&self, field: Field) -> Location {
        self.given.iter().find(|given| given.field == field).map_or(self.place, |given| given.place)
    }
}

/// Field with its value, or with its list of values to expand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldEntry {
    pub(super) field: Field,
    /// Location of the field's name.
    pub(super) place: Location,
    pub(super) said: FieldValue,
}

impl FieldEntry {
    /// Creates a field with one value at one location.
    pub(super) const fn one(field: Field, raw: UnparsedValue, place: Location) -> Self {
        Self { field, place, said: FieldValue::One(Spanned { raw, place }) }
    }
}

/// Value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldValue {
    One(Spanned),
    /// List of values to expand.
    Many(Vec<Spanned>),
    /// Value that could not be read. The mistake was reported.
    Unreadable,
}

/// Type of a list item, for the decision whether the list is one value or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    WholeNumber,
    List,
    Other,
}

/// Returns whether a list contains values to expand, and is not one composite value.
pub(super) fn is_axis(field: Field, items: &[Item]) -> bool {
    match field {
        // Source images in one list belong to one request.
        Field::ImageUrl => !items.is_empty() && items.iter().all(|item| *item == Item::List),
        // Width and height are not written as a list here; a list of two numbers is one wrong size.
        Field::Size => items != [Item::WholeNumber, Item::WholeNumber],
        Field::Prompt
        | Field::NegativePrompt
        | Field::Model
        | Field::Seed
        | Field::Steps
        | Field::Guidance
        | Field::Loras
        | Field::Id
        | Field::N
        | Field::Params => true,
    }
}

/// Value and its location.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned {
    pub(super) raw: UnparsedValue,
    pub(super) place: Location,
}

/// Unchecked value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum UnparsedValue {
    /// Untyped text: the cell of a table or the value of a flag. The text may mean a value of any type.
    Cell(String),
    /// Value from a format with types.
    Typed(Value),
}
