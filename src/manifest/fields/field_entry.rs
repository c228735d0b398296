//! Fields of an entry as written: one value or a list of values, each with its location.

use crate::manifest::diagnostics::Location;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::value::UnparsedValue;

/// Field with its value, or with its list of values to expand.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldEntry {
    pub(crate) field: Field,
    /// Location of the field's name.
    pub(crate) place: Location,
    pub(crate) said: FieldValue,
}

impl FieldEntry {
    /// Creates a field with one value at one location.
    pub const fn one(field: Field, raw: UnparsedValue, place: Location) -> Self {
        Self { field, place, said: FieldValue::One(Spanned { raw, place }) }
    }
}

/// Value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// One value.
    One(Spanned),
    /// List of values to expand.
    Many(Vec<Spanned>),
    /// Value that could not be read. The mistake was reported.
    Unreadable,
}

/// Type of a list item, for the decision whether the list is one value or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    WholeNumber,
    List,
    Other,
}

/// Returns whether a list contains values to expand, and is not one composite value.
pub(crate) fn is_axis(field: Field, items: &[Item]) -> bool {
    match field {
        // Source images in one list belong to one request.
        Field::ImageUrl => !items.is_empty() && items.iter().all(|item| *item == Item::List),
        // Width and height are not written as a list here; a list of two numbers is one wrong size.
        Field::Size => items != [Item::WholeNumber, Item::WholeNumber],
        Field::Prompt
        | Field::NegativePrompt
        | Field::Provider
        | Field::Model
        | Field::Seed
        | Field::Steps
        | Field::Guidance
        | Field::Loras
        | Field::Id
        | Field::N
        | Field::Params
        | Field::Skip => true,
    }
}

/// Value and its location.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned {
    pub(crate) raw: UnparsedValue,
    pub(crate) place: Location,
}
