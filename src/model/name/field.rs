//! Fields of a name template, and their value for a job.

use time::OffsetDateTime;

use crate::model::name::slug::{SLUG_CHARS_MAX, STEM_BYTES_MAX, clean, cut, slug};
use crate::model::provenance::Provenance;

/// Field whose value differs from job to job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NameField {
    Index,
    /// Number of the manifest's row, unless the manifest has a column `row`.
    Row,
    Id,
    TaskId,
    Slug,
    Prompt,
    Time,
    Date,
    Provider,
    Model,
    Size,
    Seed,
    Steps,
    Guidance,
    N,
    /// Column that the manifest carries through.
    Column(String),
}

const ROW: &str = "row";

/// Built-in fields, by name.
const OURS: [(&str, NameField); 15] = [
    ("index", NameField::Index),
    (ROW, NameField::Row),
    ("id", NameField::Id),
    ("task_id", NameField::TaskId),
    ("slug", NameField::Slug),
    ("prompt", NameField::Prompt),
    ("time", NameField::Time),
    ("date", NameField::Date),
    ("provider", NameField::Provider),
    ("model", NameField::Model),
    ("size", NameField::Size),
    ("seed", NameField::Seed),
    ("steps", NameField::Steps),
    ("guidance", NameField::Guidance),
    ("n", NameField::N),
];

impl NameField {
    /// Returns the names of the built-in fields.
    pub(super) fn words() -> String {
        OURS.map(|(name, _)| format!("{{{name}}}")).join(" ")
    }

    /// Returns the field that was probably meant; `None` if no name is close.
    pub(super) fn nearest(written: &str, columns: &[String]) -> Option<String> {
        let names = OURS.iter().map(|(name, _)| *name).chain(columns.iter().map(String::as_str));
        let close =
            names.map(|name| (strsim::damerau_levenshtein(written, name), name)).filter(|(slips, _)| *slips < 3);
        close.min().map(|(_, name)| name.to_owned())
    }
}

/// Field as written in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldRef {
    pub(super) field: NameField,
    /// Minimum number of digits of a number, or maximum number of characters of a text; `None` means no limit.
    width: Option<usize>,
}

impl FieldRef {
    /// Parses the text between the braces: `index:06`. Returns `None` if the text after the colon is not a width.
    pub(super) fn parse(inside: &str) -> Option<Self> {
        let (name, width) = match inside.split_once(':') {
            None => (inside, None),
            Some((name, width)) => {
                let digits = width.len() <= 3 && width.bytes().all(|byte| byte.is_ascii_digit());
                let width = width.parse().ok().filter(|width| digits && (1..=200).contains(width));
                (name, Some(width?))
            }
        };
        let ours = OURS.into_iter().find(|(ours, _)| *ours == name);
        Some(Self { field: ours.map_or_else(|| NameField::Column(name.to_owned()), |(_, field)| field), width })
    }

    /// Returns the value for a job, in characters that a file name may contain.
    pub(super) fn of(&self, origin: &Provenance) -> String {
        let text = raw(&self.field, origin);
        let text = clean(text.chars(), |c| c == '_', STEM_BYTES_MAX);
        match self.width {
            Some(width) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{text:0>width$}")
            }
            Some(width) => cut(&text, width, STEM_BYTES_MAX).to_owned(),
            None => text,
        }
    }
}

fn raw(field: &NameField, origin: &Provenance) -> String {
    let (job, request) = (&origin.job, &origin.job.request);
    let carried = |name: &str| job.extras.iter().find(|(column, _)| column == name).map(|(_, text)| text.clone());
    match field {
        NameField::Index => job.index.to_string(),
        NameField::Id => job.label.clone().unwrap_or_else(|| job.id.to_string()),
        NameField::TaskId => show(origin.task.as_ref()),
        NameField::Slug => slug(&request.prompt),
        NameField::Prompt => {
            let whole = clean(request.prompt.chars(), |c| c == '_', STEM_BYTES_MAX);
            cut(&whole, SLUG_CHARS_MAX, STEM_BYTES_MAX).to_owned()
        }
        NameField::Time => time_of(origin).map_or_else(String::new, |at| {
            let (date, clock) = (date(at, ""), (at.hour(), at.minute(), at.second()));
            format!("{date}-{:02}{:02}{:02}", clock.0, clock.1, clock.2)
        }),
        NameField::Date => time_of(origin).map_or_else(String::new, |at| date(at, "-")),
        NameField::Provider => request.provider.clone().unwrap_or_else(|| carried("provider").unwrap_or_default()),
        NameField::Model => request.model.clone(),
        NameField::Size => show(request.size),
        NameField::Seed => show(request.seed),
        NameField::Steps => show(request.steps),
        NameField::Guidance => show(request.guidance),
        NameField::N => show(job.copy()),
        NameField::Row => carried(ROW).unwrap_or_else(|| show(job.row_number())),
        NameField::Column(name) => carried(name).unwrap_or_default(),
    }
}

fn show<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Returns the submission time of the task, in UTC: the same on any machine, whenever the image is fetched.
fn time_of(origin: &Provenance) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(origin.submitted_at?.millis().div_euclid(1000)).ok()
}

fn date(at: OffsetDateTime, between: &str) -> String {
    format!("{:04}{between}{:02}{between}{:02}", at.year(), u8::from(at.month()), at.day())
}
