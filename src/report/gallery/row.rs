//! Job as JSON for the script of the page; fields without a value are left out.

use serde::Serialize;

use crate::model::escape::excerpt;
use crate::model::outcome::Artifact;
use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::report::results::fault;
use crate::report::value::hex;

/// Maximum length of a shown parameter, in characters: a source image may be a data URI.
const FURTHER_CHARS_MAX: usize = 200;

/// Data of one job. Times are milliseconds since 1970, dimensions are pixels, and sizes are bytes.
#[derive(Serialize)]
pub(super) struct PaceRow<'a> {
    index: u64,
    id: String,
    status: &'static str,
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    negative: Option<&'a str>,
    model: &'a str,
    /// Provider, if the row names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    /// Text, because a script keeps at most 53 bits of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
    /// Which of several equal requests; left out for the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guidance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    attempts: u32,
    #[serde(skip_serializing_if = "is_zero")]
    in_doubt: u32,
    #[serde(skip_serializing_if = "is_zero")]
    lost: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<i64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    code: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image<'a>>,
    /// Values in the order of the columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    columns: Vec<&'a str>,
    /// Names and values of parameters that few jobs have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    further: Vec<(&'a str, String)>,
}

#[derive(Serialize)]
struct Image<'a> {
    file: &'a str,
    sha256: String,
    width: u32,
    height: u32,
    bytes: u64,
}

impl<'a> PaceRow<'a> {
    pub(super) fn new(record: &'a JobRecord, columns: &[String]) -> Self {
        let (job, state) = (&record.job, &record.state);
        let request = &job.request;
        let (code, error) = fault(state);
        let (code, error) = (code.unwrap_or_default(), error.unwrap_or_default());
        let extra = |column: &String| job.extras.iter().find(|(name, _)| name == column).map_or("", |(_, text)| text);
        Self {
            index: job.index,
            id: job.label.clone().unwrap_or_else(|| job.id.to_string()),
            status: state.status(),
            prompt: &request.prompt,
            negative: request.negative_prompt.as_deref(),
            model: &request.model,
            provider: request.provider.as_deref(),
            size: request.size.map(|size| size.to_string()),
            seed: request.seed.map(|seed| seed.to_string()),
            n: job.copy().filter(|n| *n > 1),
            steps: request.steps,
            guidance: request.guidance,
            task: state.task.as_ref().map(|task| task.0.as_str()),
            attempts: state.n_submits,
            in_doubt: state.n_in_doubt,
            lost: state.n_lost,
            submitted: state.submitted_at.map(Timestamp::millis),
            finished: state.finished_at.map(Timestamp::millis),
            code,
            error,
            images: state.artifacts().iter().map(Image::new).collect(),
            columns: columns.iter().map(extra).collect(),
            further: further(record),
        }
    }
}

impl<'a> Image<'a> {
    fn new(artifact: &'a Artifact) -> Self {
        let Artifact { file_name, sha256, bytes, width, height, format: _ } = artifact;
        Self { file: file_name, sha256: hex(sha256), width: *width, height: *height, bytes: *bytes }
    }
}

fn further(record: &JobRecord) -> Vec<(&str, String)> {
    let request = &record.job.request;
    let loras = request.loras.iter().map(|lora| match lora.weight {
        Some(weight) => ("lora", format!("{} × {weight}", lora.repo)),
        None => ("lora", lora.repo.clone()),
    });
    let sources = request.image_url.iter().map(|url| ("image_url", excerpt(url, FURTHER_CHARS_MAX)));
    let params = request.params.iter().map(|(name, json)| (name.as_str(), excerpt(&json.0, FURTHER_CHARS_MAX)));
    loras.chain(sources).chain(params).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}
