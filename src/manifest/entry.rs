//! What one entry of a manifest says before it is checked: where the formats meet.

use crate::manifest::field::Field;
use crate::manifest::mistake::Place;
use crate::manifest::value::Value;
use crate::manifest::ways::Ways;

/// One prompt with its fields, as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) given: Vec<Given>,
    /// What is carried through to the results: column and text.
    pub(super) extras: Vec<(String, String)>,
    /// What it says about lists, vars and syntax, if anything.
    pub(super) ways: Option<Box<Ways>>,
}

impl Entry {
    /// Where the entry gives this field, or else where it begins.
    pub(super) fn place_of(&self, field: Field) -> Place {
        self.given.iter().find(|given| given.field == field).map_or(self.place, |given| given.place)
    }
}

/// One field and its value, or the values that are to be tried in turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) field: Field,
    /// Where it is named.
    pub(super) place: Place,
    pub(super) said: Said,
}

impl Given {
    /// A field with one value, at one place.
    pub(super) const fn one(field: Field, raw: Raw, place: Place) -> Self {
        Self { field, place, said: Said::One(Located { raw, place }) }
    }
}

/// What is said of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    One(Located),
    /// Values that are to be tried in turn.
    Many(Vec<Located>),
    /// Something that could not be read, which has been told.
    Unreadable,
}

/// What an item of a list is, as far as it tells whether the list is one value or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    WholeNumber,
    List,
    Other,
}

/// Whether a list holds values to be tried in turn, and is not one value that has parts.
pub(super) fn is_axis(field: Field, items: &[Item]) -> bool {
    match field {
        // Several source images of one request.
        Field::ImageUrl => !items.is_empty() && items.iter().all(|item| *item == Item::List),
        // Width and height, as they are not written here.
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

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Located {
    pub(super) raw: Raw,
    pub(super) place: Place,
}

/// A value before it is known to be a good one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    /// The cell of a table or the value of a flag: text that may stand for anything.
    Cell(String),
    /// A value whose format has types.
    Typed(Value),
}
