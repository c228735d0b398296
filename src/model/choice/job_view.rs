//! What a condition compares: the fields and columns of a job, or of a row before its job is known.

use std::iter;

use crate::model::job::{Job, JobId, JobSpec};
use crate::model::request::{Json, Lora, Request, RequestValue, Size};
use crate::model::request_field::{REQUEST_FIELDS, RequestFieldKind};

/// Returns the fields of a job that conditions may name, beside the columns of the manifest.
pub(super) fn fields() -> impl Iterator<Item = (&'static str, JobField)> {
    let of_request = REQUEST_FIELDS.iter().flat_map(|field| {
        let sides: &[_] = match field.kind {
            RequestFieldKind::Size => &[("width", JobField::Width), ("height", JobField::Height)],
            RequestFieldKind::Text
            | RequestFieldKind::Name
            | RequestFieldKind::Whole
            | RequestFieldKind::Real
            | RequestFieldKind::Urls
            | RequestFieldKind::Loras
            | RequestFieldKind::Params => &[],
        };
        iter::once((field.name, JobField::OfRequest(field.name, field.kind))).chain(sides.iter().copied())
    });
    of_request.chain([("id", JobField::Id), ("row", JobField::Row)])
}

/// Normalizes a name: lower case, without spaces, `-` and `_`.
pub(super) fn joined(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '_'], "")
}

/// Field of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobField {
    /// Field of the request, by its name and kind.
    OfRequest(&'static str, RequestFieldKind),
    Width,
    Height,
    Id,
    Row,
}

impl JobField {
    const fn is_number(self) -> bool {
        match self {
            Self::OfRequest(_, kind) => kind.is_number(),
            Self::Width | Self::Height | Self::Row => true,
            Self::Id => false,
        }
    }

    /// Returns whether the field holds whatever a user writes, so that a message cannot list its values.
    pub(super) const fn is_free_text(self) -> bool {
        match self {
            Self::OfRequest(_, kind) => {
                matches!(kind, RequestFieldKind::Text | RequestFieldKind::Urls | RequestFieldKind::Params)
            }
            Self::Width | Self::Height | Self::Id | Self::Row => false,
        }
    }
}

/// What a condition compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Column(String),
    Field(JobField),
}

/// Job, or row before its job is known, as conditions see it.
#[derive(Clone, Copy, Debug)]
pub struct JobView<'a> {
    label: Option<&'a str>,
    pub(super) id: Option<JobId>,
    request: &'a Request,
    extras: &'a [(String, String)],
    row: Option<u64>,
}

impl<'a> From<&'a Job> for JobView<'a> {
    fn from(job: &'a Job) -> Self {
        let Job { id, label, request, extras, .. } = job;
        Self { label: label.as_deref(), id: Some(*id), request, extras, row: job.row_number() }
    }
}

impl<'a> JobView<'a> {
    /// Returns the view of the row with this index. The id is `None` if it is not known.
    pub fn of_row(JobSpec { label, request, extras, row }: &'a JobSpec, index: u64, id: Option<JobId>) -> Self {
        Self { label: label.as_deref(), id, request, extras, row: row.number.or(Some(index)) }
    }

    pub(super) fn text(&self, target: &Target) -> String {
        let Self { label, id, request, extras, row } = *self;
        match target {
            Target::Column(name) => {
                extras.iter().find(|(column, _)| column == name).map_or_else(String::new, |(_, text)| text.clone())
            }
            Target::Field(field) => match field {
                JobField::OfRequest(name, _) => {
                    let given = request.given().find(|(given, _)| given == name);
                    given.map_or_else(String::new, |(_, value)| shown(value))
                }
                JobField::Width => text_of(request.size.map(|size| size.width)),
                JobField::Height => text_of(request.size.map(|size| size.height)),
                JobField::Id => label.map_or_else(|| text_of(id), str::to_owned),
                JobField::Row => text_of(row),
            },
        }
    }
}

/// Returns the text of a value, as conditions compare it.
fn shown(value: RequestValue<'_>) -> String {
    match value {
        RequestValue::Text(text) => text.into_owned(),
        RequestValue::Whole(number) => number.to_string(),
        RequestValue::Real(number) => number.to_string(),
        RequestValue::Urls(urls) => urls.join(" "),
        RequestValue::Loras(loras) => loras.iter().map(|Lora { repo, .. }| repo.as_str()).collect::<Vec<_>>().join(" "),
        RequestValue::Params(params) => {
            params.iter().map(|(name, Json(value))| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        }
    }
}

fn text_of<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

impl Target {
    /// Compares a value of a job with a written one. Numbers and sizes of fields have several spellings.
    pub(super) fn is_same(&self, text: &str, written: &str) -> bool {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let is_within = |text: f64| {
            let range = written.split_once("..").and_then(|(first, last)| Some(number(first)?..=number(last)?));
            range.is_some_and(|range| range.contains(&text))
        };
        text == written
            || match self {
                Self::Field(JobField::OfRequest(_, RequestFieldKind::Size)) => {
                    text.parse::<Size>().is_ok_and(|size| written.parse() == Ok(size))
                }
                Self::Field(field) if field.is_number() => {
                    number(text).is_some_and(|text| number(written) == Some(text) || is_within(text))
                }
                Self::Field(_) | Self::Column(_) => false,
            }
    }
}
