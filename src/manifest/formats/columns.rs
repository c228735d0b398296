//! Column mapping: assigns the columns of a table, or the keys of an object, to fields by their names.

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::{Field, misspelt};
use crate::manifest::fields::option_titles::{as_option, as_word, listed};
use crate::manifest::fields::slips;
use crate::manifest::fields::synonyms::{self, Meaning, nearest};
use crate::manifest::fields::title_chars::joined;
use crate::manifest::fields::value::shown_text;
use crate::manifest::formats::nested;
use crate::manifest::formats::sides::Side;
use crate::model::escape::excerpt;

/// Columns that the user named.
#[derive(Clone, Debug, Default)]
pub struct ColumnOptions {
    /// Name of the prompt column. `None` if the user gave none.
    pub(crate) prompt: Option<String>,
    /// Name of the id column. `None` if the user gave none.
    pub(crate) id: Option<String>,
    /// Columns with a meaning that the user gave.
    pub(crate) maps: Vec<(String, Column)>,
    /// Columns that are passed through whatever their name means.
    pub(crate) carried: Vec<String>,
}

impl ColumnOptions {
    /// Returns the name that the user gave for the prompt column.
    pub(crate) fn prompt_name(&self) -> Option<&str> {
        let mapped = || self.maps.iter().find(|(_, column)| *column == Column::Known(Field::Prompt));
        self.prompt.as_deref().or_else(|| mapped().map(|(name, _)| name.as_str()))
    }

    /// Returns every column that the user named, with the option that names it.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let prompt = self.prompt.iter().map(|name| ("--prompt-col", name.as_str()));
        let id = self.id.iter().map(|name| ("--id-col", name.as_str()));
        let maps = self.maps.iter().map(|(name, _)| ("--map", name.as_str()));
        prompt.chain(id).chain(maps).chain(self.carried.iter().map(|name| ("--carry", name.as_str())))
    }

    /// Returns whether the user wants the column with this title, or the object around it, to be carried through.
    pub(crate) fn carries(&self, title: &str) -> bool {
        let is_inside = |name: &str| title.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.carried.iter().any(|name| joined(name) == joined(title) || is_inside(name))
    }

    /// Returns whether the other titles of the table or object decide what this title means.
    pub(crate) fn depends_on_others(&self, title: &str) -> bool {
        [&self.prompt, &self.id].into_iter().flatten().any(|name| title != name.trim() && joined(title) == joined(name))
    }

    /// Returns whether the user named another column for this field.
    fn has_another(&self, field: Field) -> bool {
        match field {
            Field::Prompt if self.prompt.is_some() => true,
            Field::Id if self.id.is_some() => true,
            _ => self.maps.iter().any(|(_, column)| *column == Column::Known(field)),
        }
    }
}

/// Column that is reported when all values were seen, because they decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecided {
    Side(Side),
    Field(Field),
}

/// Meaning of a column: a known field, a side of the size, or passed through.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Column {
    Known(Field),
    Side(Side),
    Extra(String),
}

impl Column {
    /// Returns the field with this name, or the side of the size.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "width" => Some(Self::Side(Side::Width)),
            "height" => Some(Self::Side(Side::Height)),
            _ => Field::named(name).map(Self::Known),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Known(field) => field.name(),
            Self::Side(side) => side.name(),
            Self::Extra(title) => title,
        }
    }

    /// Returns the name of the field. `None` for a passthrough column.
    pub(crate) fn field_name(&self) -> Option<&str> {
        match self {
            Self::Known(_) | Self::Side(_) => Some(self.name()),
            Self::Extra(_) => None,
        }
    }

    /// Maps the column with this title. `titles` are all titles of the table or object.
    pub(crate) fn of<'a>(title: &str, names: &ColumnOptions, titles: &(impl Iterator<Item = &'a str> + Clone)) -> Self {
        let is_name = |name: &str| is_meant(title, name, titles.clone());
        let is = |name: &Option<String>| name.as_ref().is_some_and(|name| is_name(name));
        let extra = || Self::Extra(title.to_owned());
        if names.carried.iter().any(|name| is_name(name)) {
            return extra();
        }
        if let Some((_, column)) = names.maps.iter().find(|(name, _)| is_name(name)) {
            return column.clone();
        }
        match Field::titled(title) {
            _ if is(&names.prompt) => Self::Known(Field::Prompt),
            _ if is(&names.id) => Self::Known(Field::Id),
            Some(field) if !names.has_another(field) => Self::Known(field),
            Some(_) | None => extra(),
        }
    }
}

/// Returns the name of a column. Data frames leave the title of their index empty; such a column is named by its number.
pub(crate) fn title(i: usize, written: &str) -> String {
    // Removes the mark of a file that was appended to another one. It cannot be seen, so no option could name such a column.
    match written.trim().trim_start_matches('\u{feff}').trim() {
        "" => format!("column_{}", i + 1),
        title => title.to_owned(),
    }
}

/// Returns whether an option's `name` means this title. An exact match wins. Without one, case, width, and what separates the words do not count.
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
    if let [title] = titles
        && let Some(cells) = title.strip_prefix('|')
    {
        let cells: Vec<&str> = cells.trim_end_matches('|').split('|').map(str::trim).collect();
        let remedy =
            format!("write it as CSV, without the bars and the row of dashes: {}", excerpt(&cells.join(","), 80));
        return wrong("this is a Markdown table", remedy);
    }
    if let [title] = titles
        && let Some(wrong) = other_separator(title)
    {
        return wrong;
    }
    let remedy = match meant_for_prompt(titles.iter().map(String::as_str)) {
        Some(title) => {
            format!("if it is {}, rename that column or run with --prompt-col {}", shown_text(title), as_word(title))
        }
        None => format!("name it with --prompt-col NAME; the header has {}", listed(titles)),
    };
    wrong("no column is called `prompt`", remedy)
}

/// Separators that a table may have between its cells instead of commas, what is there, and the remedy.
const SEPARATORS: [(char, &str, &str); 6] = [
    (',', "quotes around each whole line", "remove them: sed -E 's/^\"(.*)\"$/\\1/' OLD > NEW"),
    ('，', "full-width commas between the cells", "write commas: sed 's/，/,/g' OLD > NEW"),
    ('、', "ideographic commas between the cells", "write commas: sed 's/、/,/g' OLD > NEW"),
    ('；', "full-width semicolons between the cells", "write semicolons: sed 's/；/;/g' OLD > NEW"),
    ('|', "bars between the cells", "write commas: sed 's/|/,/g' OLD > NEW, with quotes around cells that hold commas"),
    (';', "semicolons between the cells", "name the file .csv, or write tabs: sed 's/;/\\t/g' OLD > NEW"),
];

/// Returns the mistake for a header whose only title is several, of which one is that of the prompt.
fn other_separator(title: &str) -> Option<Issue> {
    let is_prompt = |part: &str| {
        Field::titled(part) == Some(Field::Prompt)
            || matches!(synonyms::of(part), Some((Meaning::Field(Field::Prompt), true)))
    };
    let (_, what, remedy) =
        SEPARATORS.iter().find(|(sign, ..)| title.contains(*sign) && title.split(*sign).any(is_prompt))?;
    Some(wrong(format!("the table has one column, {}: there are {what}", shown_text(title)), *remedy))
}

/// Finds a title that probably means the prompt.
pub(crate) fn meant_for_prompt<'a>(mut titles: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = |title: &'a str| nested::inner(title, None).unwrap_or(title);
    titles.find(|title| nearest(name(title), [Field::Prompt.name()]).is_some())
}

/// Reports a passthrough column whose name means a parameter elsewhere, or looks like a misspelt field.
/// `is_given` returns whether another column has this meaning. Returns what is reported at the end, by the values.
pub(crate) fn lint(
    kind: &str,
    (title, place): (&str, Location),
    names: &ColumnOptions,
    is_given: impl Fn(&Column) -> bool,
    findings: &mut PassDiagnostics,
) -> Option<Undecided> {
    if names.carries(title) {
        return None;
    }
    let shown = shown_text(title);
    let carried = format!("the {kind} {shown} is carried through and not sent");
    let option = as_option(title);
    let map_or_carry =
        |field: &str| format!("add --map {option}={field} if it is meant so, or --carry {option} if it is not");
    let inner = nested::inner(title, names.prompt_name());
    let name = inner.unwrap_or(title);
    let ours = || inner.and_then(nested::field).map(|field| (Meaning::Field(field), true));
    let slip = || slips::meaning(name).map(|means| (means, true));
    // A slip is never a name that another program has.
    let known = synonyms::of(name).or_else(ours);
    let is_slip = known.is_none();
    let Some((means, is_certain)) = known.or_else(slip) else {
        if let Some(near) = near_field(title) {
            findings.warnings.push(place, wrong(carried, map_or_carry(near)));
        }
        return None;
    };
    let has_size = || is_given(&Column::Known(Field::Size));
    let keep = format!("--carry {option} if it is not");
    let (is_given, ours, remedy) = match means {
        // A missing prompt is reported for the table or object as a whole.
        Meaning::Field(Field::Prompt) if !is_slip || !is_given(&Column::Known(Field::Prompt)) => return None,
        Meaning::Meta => return None,
        Meaning::Field(field) => {
            let is_given = is_given(&Column::Known(field));
            if !is_certain {
                return (!is_given).then_some(Undecided::Field(field));
            }
            (is_given, field.name(), map_or_carry(field.name()))
        }
        Meaning::Width | Meaning::Height => {
            let side = if means == Meaning::Width { Side::Width } else { Side::Height };
            let is_given = has_size() || is_given(&Column::Side(side));
            return (!is_given).then_some(Undecided::Side(side));
        }
        Meaning::AspectRatio => {
            let remedy = format!("write a column `size` in pixels, such as 1664x928 for 16:9, or add {keep} meant so");
            (has_size(), "size", remedy)
        }
        Meaning::Parameter => {
            let remedy = format!("write it in a column `params`, as {{\"{name}\": ..}}, or add {keep} meant so");
            (is_given(&Column::Known(Field::Params)), "params", remedy)
        }
    };
    match (is_certain, is_given) {
        (true, false) => {
            let what = if is_slip {
                format!("the {kind} {shown} looks like a misspelt name of `{ours}`, and would not be sent")
            } else {
                format!("the {kind} {shown} means `{ours}` in other programs, and would not be sent")
            };
            findings.mistakes.push(place, wrong(what, remedy));
        }
        (false, false) | (true, true) => findings.warnings.push(place, wrong(carried, remedy)),
        (false, true) => {}
    }
    None
}

/// Returns the field that a title is near, although the title may be a word of its own, such as `models` or `seen`.
fn near_field(title: &str) -> Option<&'static str> {
    // `ship`, `skin` and `slip` are common names of columns.
    let known = Field::ALL.into_iter().filter(|field| *field != Field::Skip).map(Field::name);
    misspelt(title, known).filter(|near| joined(near) != joined(title))
}

/// Returns whether a passthrough column of this name may be refused, because it means a parameter in other programs, or is a misspelt field.
pub(crate) fn is_refused(title: &str) -> bool {
    let inner = nested::inner(title, None);
    let name = inner.unwrap_or(title);
    let ours = || inner.and_then(nested::field).map(|field| (Meaning::Field(field), true));
    let slip = || slips::meaning(name).map(|means| (means, true));
    match synonyms::of(name).or_else(ours).or_else(slip) {
        None | Some((Meaning::Field(Field::Prompt), _)) => false,
        Some((Meaning::Width | Meaning::Height, _)) => true,
        Some((_, is_certain)) => is_certain,
    }
}
