//! Column mapping: assigns the columns of a table, or the keys of an object, to fields by their names.

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::{Field, joined, misspelt, nearest};
use crate::manifest::fields::value::shown_text;

/// Names of the prompt column and the id column, if the user gave them.
#[derive(Clone, Debug, Default)]
pub struct ColumnOptions {
    pub(crate) prompt: Option<String>,
    pub(crate) id: Option<String>,
}

/// Meaning of a column: a known field or a passthrough column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Column {
    Known(Field),
    Extra(String),
}

impl Column {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Known(field) => field.name(),
            Self::Extra(title) => title,
        }
    }

    /// Maps the column with this title. `titles` are all titles of the table or object.
    pub(crate) fn of<'a>(title: &str, names: &ColumnOptions, titles: &(impl Iterator<Item = &'a str> + Clone)) -> Self {
        let is = |name: &Option<String>| name.as_ref().is_some_and(|name| is_meant(title, name, titles.clone()));
        match Field::titled(title) {
            _ if is(&names.prompt) => Self::Known(Field::Prompt),
            _ if is(&names.id) => Self::Known(Field::Id),
            Some(Field::Prompt) if names.prompt.is_some() => Self::Extra(title.to_owned()),
            Some(Field::Id) if names.id.is_some() => Self::Extra(title.to_owned()),
            Some(field) => Self::Known(field),
            None => Self::Extra(title.to_owned()),
        }
    }
}

impl ColumnOptions {
    /// Returns whether the other titles of the table or object decide what this title means.
    pub(crate) fn depends_on_others(&self, title: &str) -> bool {
        [&self.prompt, &self.id].into_iter().flatten().any(|name| title != name.trim() && joined(title) == joined(name))
    }
}

/// Returns the name of a column. Data frames leave the title of their index empty; such a column is named by its number.
pub(crate) fn title(i: usize, written: &str) -> String {
    match written.trim() {
        "" => format!("column_{}", i + 1),
        title => title.to_owned(),
    }
}

/// Returns whether an option's `name` means this title. An exact match wins. Without one, case, spaces, `-` and `_` do not count.
fn is_meant<'a>(title: &str, name: &str, mut titles: impl Iterator<Item = &'a str>) -> bool {
    let name = name.trim();
    title == name || joined(title) == joined(name) && titles.all(|title| title != name)
}

/// Returns whether one of the titles matches the name in an option.
pub(crate) fn has(titles: &[String], name: &str) -> bool {
    titles.iter().any(|title| joined(title) == joined(name))
}

pub(crate) fn no_such_column(option: &str, name: &str, titles: &[String]) -> Issue {
    let remedy = match misspelt(name, titles.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {}?", shown_text(near)),
        None => format!("the header has {}", listed(titles)),
    };
    wrong(format!("no column is called {}, which {option} names", shown_text(name)), remedy)
}

pub(crate) fn no_prompt_column(titles: &[String]) -> Issue {
    let remedy = match meant_for_prompt(titles.iter().map(String::as_str)) {
        Some(title) => format!("if it is {}, rename that column or run with --prompt-col {title:?}", shown_text(title)),
        None => format!("name it with --prompt-col NAME; the header has {}", listed(titles)),
    };
    wrong("no column is called `prompt`", remedy)
}

/// Finds a title that probably means the prompt.
pub(crate) fn meant_for_prompt<'a>(mut titles: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    titles.find(|title| nearest(title, [Field::Prompt.name()]).is_some())
}

/// Lists the first few titles for a message.
fn listed(titles: &[String]) -> String {
    const SHOWN_MAX: usize = 8;
    let shown: Vec<String> = titles.iter().take(SHOWN_MAX).map(|title| shown_text(title)).collect();
    let more = if titles.len() > SHOWN_MAX { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Warns about a passthrough column whose name looks like a misspelt field.
pub(crate) fn warn_of_slip(kind: &str, title: &str, place: Location, findings: &mut PassDiagnostics) {
    let known = Field::ALL.into_iter().map(Field::name);
    if let Some(near) = misspelt(title, known).filter(|near| joined(near) != joined(title)) {
        let what = format!("the {kind} {} is carried through and not sent", shown_text(title));
        findings.warnings.push(place, wrong(what, format!("rename it if you meant `{near}`")));
    }
}
