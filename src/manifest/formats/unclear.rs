//! Columns whose names may mean a field, as in other programs, or be the user's own: their values decide.

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::parse::is_repo_id;
use crate::manifest::fields::value::shown_text;
use crate::manifest::formats::columns::Undecided;
use crate::manifest::formats::nested;
use crate::manifest::formats::sides::{UnusedSides, is_size_of_image};

/// Column that the user neither mapped nor carried.
#[derive(Debug)]
struct Unclear {
    /// Field that its name may mean.
    field: Field,
    title: String,
    /// The title as an option.
    option: String,
    place: Location,
    n_fitting: u64,
    /// Records that a row has a value that the field cannot have.
    has_others: bool,
}

/// Columns of one table, or keys of one file of objects.
#[derive(Debug, Default)]
pub(crate) struct UnclearColumns {
    sides: UnusedSides,
    columns: Vec<Unclear>,
}

impl UnclearColumns {
    /// Adds a column, with its title as an option.
    pub(crate) fn add(&mut self, undecided: Undecided, title: &str, option: String, place: Location) {
        match undecided {
            Undecided::Side(side) => self.sides.add(side, title, option, place),
            Undecided::Field(field) => {
                let title = title.to_owned();
                self.columns.push(Unclear { field, title, option, place, n_fitting: 0, has_others: false });
            }
        }
    }

    /// Looks at the values of an entry. `value` returns the text of a column, which is empty for none.
    pub(crate) fn see<'a>(&mut self, value: impl Fn(&str) -> &'a str) {
        if let Some((width, height)) = self.sides.titles() {
            let (width, height) = (value(width), value(height));
            self.sides.see(width, height);
        }
        for column in &mut self.columns {
            let text = value(&column.title).trim();
            if fits(column.field, text) {
                column.n_fitting += 1;
            } else {
                column.has_others |= !text.is_empty();
            }
        }
    }

    /// Reports the columns: a mistake for each whose values are plainly those of the field, otherwise a warning.
    pub(crate) fn finish(&self, kind: &str, findings: &mut PassDiagnostics) {
        self.sides.finish(kind, findings);
        for Unclear { field, title, option, place, n_fitting, has_others } in &self.columns {
            let (shown, name) = (shown_text(title), field.name());
            let remedy = format!("add --map {option}={name} if it is meant so, or --carry {option} if it is not");
            if *n_fitting > 0 && !has_others {
                let what = format!("the {kind} {shown} holds the {name} of each image, and would not be sent");
                findings.mistakes.push(*place, wrong(what, remedy));
            } else {
                let what = format!("the {kind} {shown} is carried through and not sent");
                findings.warnings.push(*place, wrong(what, remedy));
            }
        }
    }
}

/// Returns whether only this field has such values.
fn fits(field: Field, text: &str) -> bool {
    match field {
        Field::Size => is_size_of_image(text),
        Field::Model => is_repo_id(text),
        Field::Params => nested::has_parameters(text),
        // A number may be a number of anything, and an address the picture that a caption describes.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of mistakes and of warnings about a column with these values.
    fn reported(field: Field, values: &[&str]) -> [u64; 2] {
        let (mut columns, mut findings) = (UnclearColumns::default(), PassDiagnostics::default());
        columns.add(Undecided::Field(field), "column", "column".to_owned(), Location::Line(1));
        for value in values {
            columns.see(|_| value);
        }
        columns.finish("column", &mut findings);
        [findings.mistakes.n(), findings.warnings.n()]
    }

    /// Goal: what is plainly a size or a model is not dropped, and what may be something else is left alone.
    #[test]
    fn values_decide_what_a_column_means() {
        for values in [&["1024x768"][..], &["1024*1024", "", "768×512"], &["1024 x 1024 px"], &["1328*1328"]] {
            assert_eq!(reported(Field::Size, values), [1, 0], "{values:?}");
        }
        for values in [
            &["30x40"][..],
            &["120*200"],
            &["1024x768", "hd"],
            &["hd"],
            &["1024"],
            &["1024x768x3"],
            &["1024x768", "L"],
            &["", ""],
            &[],
        ] {
            assert_eq!(reported(Field::Size, values), [0, 1], "{values:?}");
        }
        assert_eq!(reported(Field::Model, &["Qwen/Qwen-Image", ""]), [1, 0]);
        for values in [&["XPS 13"][..], &["a/b", "XPS 13"], &["1/2 inch"], &[""]] {
            assert_eq!(reported(Field::Model, values), [0, 1], "{values:?}");
        }
        for field in [Field::N, Field::ImageUrl, Field::Steps] {
            assert_eq!(reported(field, &["2"]), [0, 1], "{field:?}");
        }
    }
}
