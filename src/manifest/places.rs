//! Places of a manifest with something in common: their number, and the first ones by name.

use crate::manifest::diagnostics::{Location, Span};
use crate::model::escape::grouped;

/// Number of places that are named.
const NAMED_MAX: usize = 10;

/// List of places, of which the first are kept and all are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceList {
    n: u64,
    first: Vec<Location>,
}

impl PlaceList {
    pub(super) fn add(&mut self, place: Location) {
        self.n += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(place);
        }
    }

    /// Returns the number of places.
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// Returns the first place. `None` if there are none.
    pub fn first(&self) -> Option<Location> {
        self.first.first().copied()
    }

    /// Formats the places, such as `lines 3, 4 and 12 more`. Entries without a known line are named by their number.
    pub fn words(&self) -> String {
        let line = |place: &Location| place.line();
        let has_lines = self.first.iter().all(|place| line(place).is_some());
        let number = |place: &Location| match place {
            Location::Entry(number) => *number,
            place => line(place).unwrap_or_default(),
        };
        let kind = match (has_lines, self.n) {
            (true, 1) => "line",
            (true, _) => "lines",
            (false, 1) => "entry",
            (false, _) => "entries",
        };
        let named: Vec<_> = self.first.iter().map(|place| number(place).to_string()).collect();
        let more = match self.n - named.len() as u64 {
            0 => String::new(),
            n => format!(" and {} more", grouped(n)),
        };
        format!("{kind} {}{more}", named.join(", "))
    }
}

/// Names a place of the same manifest, for a message about another one.
pub(super) fn other_place(place: Location) -> String {
    match place {
        Location::Line(line) | Location::Span(Span { line, .. }) => format!("line {line}"),
        Location::Entry(entry) => format!("entry {entry}"),
        Location::Cell { row, .. } => format!("row {row}"),
        Location::Text(_) => "another file".to_owned(),
        Location::File | Location::CommandLine => "another entry".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(places: impl IntoIterator<Item = Location>) -> String {
        let mut list = PlaceList::default();
        places.into_iter().for_each(|place| list.add(place));
        list.words()
    }

    #[test]
    fn the_first_places_are_named_and_the_rest_is_counted() {
        assert_eq!(words([Location::Line(3)]), "line 3");
        assert_eq!(words([Location::Line(3), Location::Line(9)]), "lines 3, 9");
        assert_eq!(words([Location::Entry(2), Location::Entry(4)]), "entries 2, 4");
        assert_eq!(words((1..=1_012).map(Location::Line)), "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 1,002 more");
    }
}
