//! `results.csv`: one line an image and one for every job without, so that no row of the manifest is missing from it.

mod file;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::num::NonZeroU8;

use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

pub use crate::report::results::file::{ResultsError, ResultsWriter};

use crate::model::outcome::{Artifact, FaultKind, Outcome};
use crate::model::phase::{JobState, Known, Phase};
use crate::model::time::Timestamp;

/// Our own columns, on which scripts rely: add behind the last, and change nothing.
pub const COLUMNS: [&str; 26] = [
    "index",
    "id",
    "status",
    "file_name",
    "prompt",
    "negative_prompt",
    "model",
    "size",
    "seed",
    "steps",
    "guidance",
    "provider",
    "task_id",
    "attempts",
    "submitted_at",
    "finished_at",
    "seconds",
    "width",
    "height",
    "bytes",
    "format",
    "sha256",
    "error_code",
    "error",
    "submits_in_doubt",
    "tasks_lost",
];

/// The results as CSV, written to anything. [`ResultsWriter`] writes them to a file.
pub struct Results<W: Write> {
    csv: csv::Writer<W>,
    provider: String,
    /// The manifest's further columns, as jobs call them.
    columns: Vec<String>,
}

impl<W: Write> Results<W> {
    /// Writes the header: our columns and then the manifest's further ones.
    pub fn new(out: W, provider: &str, columns: &[String]) -> io::Result<Self> {
        let columns = distinct(columns);
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(COLUMNS.into_iter().map(str::to_owned).chain(headings(&columns)))?;
        Ok(Self { csv, provider: provider.to_owned(), columns })
    }

    /// Writes the lines of one job.
    pub fn write(&mut self, known: &Known) -> io::Result<()> {
        let artifacts = match &known.state.phase {
            Phase::Finished(Outcome::Succeeded(artifacts)) => artifacts.as_slice(),
            Phase::Finished(Outcome::Failed(_))
            | Phase::Pending
            | Phase::Submitting
            | Phase::Running(_)
            | Phase::Downloading(_) => &[],
        };
        if artifacts.is_empty() {
            return self.write_line(known, None);
        }
        artifacts.iter().try_for_each(|artifact| self.write_line(known, Some(artifact)))
    }

    /// Writes out what is still gathered and gives back what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.csv.flush()?;
        self.csv.into_inner().map_err(|error| io::Error::from(error.error().kind()))
    }

    fn write_line(&mut self, known: &Known, artifact: Option<&Artifact>) -> io::Result<()> {
        let ours = fields(known, artifact, &self.provider);
        let further = self.columns.iter().map(|column| {
            let extra = known.job.extras.iter().find(|(name, _)| name == column);
            Cow::from(extra.map_or("", |(_, text)| text))
        });
        for field in ours.into_iter().chain(further) {
            self.csv.write_field(field.as_bytes())?;
        }
        Ok(self.csv.write_record(None::<&[u8]>)?)
    }
}

/// The fields of one line in the order of [`COLUMNS`].
fn fields<'a>(known: &'a Known, artifact: Option<&'a Artifact>, provider: &'a str) -> [Cow<'a, str>; COLUMNS.len()] {
    let (job, state) = (&known.job, &known.state);
    let request = &job.request;
    let (error_code, error) = fault(state);
    [
        show((job.index > 0).then_some(job.index)),
        job.label.as_deref().map_or_else(|| job.id.to_string().into(), Cow::from),
        state.status().into(),
        artifact.map_or("", |artifact| &artifact.file_name).into(),
        request.prompt.as_str().into(),
        request.negative_prompt.as_deref().unwrap_or_default().into(),
        request.model.as_str().into(),
        show(request.size),
        show(request.seed),
        show(request.steps),
        show(request.guidance),
        provider.into(),
        state.task.as_ref().map_or("", |task| &task.0).into(),
        state.n_submits.to_string().into(),
        show(state.submitted_at.map(rfc3339)),
        show(state.finished_at.map(rfc3339)),
        show(state.duration().map(|span| format!("{:.3}", span.as_secs_f64()))),
        show(artifact.map(|artifact| artifact.width)),
        show(artifact.map(|artifact| artifact.height)),
        show(artifact.map(|artifact| artifact.bytes)),
        artifact.map_or("", |artifact| artifact.format.extension()).into(),
        show(artifact.map(|artifact| hex(&artifact.sha256))),
        error_code.into(),
        error.into(),
        state.n_in_doubt.to_string().into(),
        state.n_lost.to_string().into(),
    ]
}

/// What a field without a value says is nothing.
fn show<T: ToString>(value: Option<T>) -> Cow<'static, str> {
    value.map_or(Cow::Borrowed(""), |value| value.to_string().into())
}

/// The code and the words of what ended a job, or of what keeps it in doubt.
pub fn fault(state: &JobState) -> (&str, &str) {
    const IN_DOUBT: &str = "the answer to the submission was lost: the request may have been accepted and paid for";
    match &state.phase {
        Phase::Finished(Outcome::Failed(fault)) => (fault.kind.code(), &fault.message),
        // An older fault, of a submission before this one, explains nothing here.
        Phase::Submitting => {
            let fault = state.last_fault.as_ref().filter(|fault| fault.kind == FaultKind::InDoubt);
            (FaultKind::InDoubt.code(), fault.map_or(IN_DOUBT, |fault| &fault.message))
        }
        Phase::Finished(Outcome::Succeeded(_)) | Phase::Pending | Phase::Running(_) | Phase::Downloading(_) => ("", ""),
    }
}

/// Each name once, in the order of its first appearance.
fn distinct(columns: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    columns.iter().filter(|column| seen.insert(*column)).cloned().collect()
}

/// What the manifest's further columns are called in the header: `input_` goes in front, again if need be, until a name is neither
/// ours nor another column's.
fn headings(columns: &[String]) -> Vec<String> {
    let is_ours = |name: &str| COLUMNS.contains(&name);
    let mut taken: Vec<String> = columns.iter().filter(|column| !is_ours(column)).cloned().collect();
    let mut heading = |column: &String| {
        if !is_ours(column) {
            return column.clone();
        }
        let mut name = format!("input_{column}");
        while taken.contains(&name) {
            name.insert_str(0, "input_");
        }
        taken.push(name.clone());
        name
    };
    columns.iter().map(&mut heading).collect()
}

const MILLIS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// A time as RFC 3339 writes it, in UTC and to the millisecond. Nothing for a year of five digits, which it cannot write.
pub fn rfc3339(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.millis()) * 1_000_000);
    time.ok().and_then(|time| time.format(&Iso8601::<MILLIS>).ok()).unwrap_or_default()
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes any text");
        hex
    })
}
