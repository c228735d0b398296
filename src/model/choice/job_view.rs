//! What a condition compares: the fields and columns of a job, or of a row before its job is known.

use crate::model::job::{Job, JobId, JobSpec};
use crate::model::request::{Json, Lora, Request, Size};

/// Fields of a job that conditions may name, beside the columns of the manifest.
pub(super) const FIELDS: [(&str, JobField); 15] = [
    ("prompt", JobField::Prompt),
    ("negative_prompt", JobField::NegativePrompt),
    ("provider", JobField::Provider),
    ("model", JobField::Model),
    ("size", JobField::Size),
    ("width", JobField::Width),
    ("height", JobField::Height),
    ("seed", JobField::Seed),
    ("steps", JobField::Steps),
    ("guidance", JobField::Guidance),
    ("image_url", JobField::ImageUrl),
    ("loras", JobField::Loras),
    ("params", JobField::Params),
    ("id", JobField::Id),
    ("row", JobField::Row),
];

/// Normalizes a name: lower case, without spaces, `-` and `_`.
pub(super) fn joined(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '_'], "")
}

/// Field of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobField {
    Prompt,
    NegativePrompt,
    Provider,
    Model,
    Size,
    Width,
    Height,
    Seed,
    Steps,
    Guidance,
    ImageUrl,
    Loras,
    Params,
    Id,
    Row,
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
                JobField::Prompt => request.prompt.clone(),
                JobField::NegativePrompt => request.negative_prompt.clone().unwrap_or_default(),
                JobField::Provider => request.provider.clone().unwrap_or_default(),
                JobField::Model => request.model.clone(),
                JobField::Size => text_of(request.size),
                JobField::Width => text_of(request.size.map(|size| size.width)),
                JobField::Height => text_of(request.size.map(|size| size.height)),
                JobField::Seed => text_of(request.seed),
                JobField::Steps => text_of(request.steps),
                JobField::Guidance => text_of(request.guidance),
                JobField::ImageUrl => request.image_url.join(" "),
                JobField::Loras => {
                    request.loras.iter().map(|Lora { repo, .. }| repo.as_str()).collect::<Vec<_>>().join(" ")
                }
                JobField::Params => {
                    let params = request.params.iter().map(|(name, Json(value))| format!("{name}={value}"));
                    params.collect::<Vec<_>>().join(" ")
                }
                JobField::Id => label.map_or_else(|| text_of(id), str::to_owned),
                JobField::Row => text_of(row),
            },
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
                Self::Field(JobField::Size) => text.parse::<Size>().is_ok_and(|size| written.parse() == Ok(size)),
                Self::Field(
                    JobField::Width
                    | JobField::Height
                    | JobField::Seed
                    | JobField::Steps
                    | JobField::Guidance
                    | JobField::Row,
                ) => number(text).is_some_and(|text| number(written) == Some(text) || is_within(text)),
                Self::Field(_) | Self::Column(_) => false,
            }
    }
}
