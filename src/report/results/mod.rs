//! Results table (`results.csv` or JSON Lines): one line per image, and one line per job without an image.
//!
//! So no row of the manifest is missing.

pub(crate) mod file;
mod guard;
pub(crate) mod own_columns;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::fsio::owned_file;
use crate::model::money::Money;
use crate::model::outcome::{Artifact, FaultKind, Outcome};
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::storage_url::StorageUrl;
use crate::report::results::guard::guarded;
use crate::report::value::{CellValue, NESTED, NamedValues, hex, nested};

/// Names of our own columns, on which scripts rely. Change none, and add none here: new columns go behind the
/// manifest's own.
pub(crate) const COLUMNS: [&str; 26] = [
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

/// Place of the name of the image among them.
const FILE_NAME: usize = 3;

/// Names of our columns behind the manifest's own. `cost` is the certain cost of all submissions of a job, in the unit `currency`.
/// Only the first line of a job has them, so that the column adds up. `row` is the number of the manifest's row.
pub(crate) const LAST_COLUMNS: [&str; 3] = ["cost", "row", "currency"];

/// Number of the first of these columns, which gives way to no column of the manifest. The others do, to one with the same name.
const N_KEPT: usize = 1;

/// Format of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResultsFileFormat {
    /// CSV table with a header, in which everything is text.
    #[default]
    Csv,
    /// CSV table for spreadsheets, in which no text is read as a formula.
    GuardedCsv,
    /// JSON Lines with the same columns: one object per line. Numbers are numbers, missing values are null, and the
    /// lists and objects of a request are included.
    Jsonl,
}

impl ResultsFileFormat {
    /// Returns the file extension, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv | Self::GuardedCsv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Mark by which spreadsheets recognise UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Checks that the file at this path may be replaced by results: it is missing, empty, or begins like results.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    owned_file::check(path, is_head_of_results)
}

/// Returns whether these are the first bytes of results. Other programs may have added a byte order mark.
fn is_head_of_results(head: &[u8]) -> bool {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let is_object = head.strip_prefix(b"{").is_some_and(|head| head.starts_with(br#""index":"#));
    is_object && contains(head, br#","status":""#) || head.starts_with(COLUMNS.join(",").as_bytes())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Writes the results to any writer. [`file::ResultsWriter`] writes them to a file.
pub(crate) struct Results<W: Write> {
    lines: RowEncoder<W>,
    provider: String,
    /// Further columns of the manifest, by their names in the jobs.
    columns: Vec<String>,
    /// Our last columns, by their places in [`LAST_COLUMNS`].
    last: Vec<usize>,
    /// Records that the ledger has the rows of the jobs.
    has_rows: bool,
    /// Place of the images; `None` for the output folder.
    place: Option<StorageUrl>,
}

enum RowEncoder<W: Write> {
    Csv { csv: Box<csv::Writer<W>>, is_guarded: bool },
    Jsonl { out: BufWriter<W>, names: Vec<String> },
}

impl<W: Write> Results<W> {
    /// Creates a table with our columns first, followed by the manifest's further ones.
    pub(crate) fn new(
        out: W,
        format: ResultsFileFormat,
        provider: &str,
        columns: &[String],
        has_rows: bool,
    ) -> io::Result<Self> {
        let columns = distinct(columns);
        let gives_way = |i: &usize| *i >= N_KEPT && columns.iter().any(|column| column == LAST_COLUMNS[*i]);
        let places: Vec<usize> = (0..LAST_COLUMNS.len()).filter(|i| !gives_way(i)).collect();
        let last: Vec<&str> = places.iter().map(|i| LAST_COLUMNS[*i]).collect();
        let lines = match format {
            ResultsFileFormat::Csv | ResultsFileFormat::GuardedCsv => {
                let (mut csv, is_guarded) =
                    (Box::new(csv::Writer::from_writer(out)), format == ResultsFileFormat::GuardedCsv);
                let further = headings(&columns, &[&COLUMNS[..], &last].concat()).into_iter();
                let further = further.map(|name| if is_guarded { guarded(name.into()).into_owned() } else { name });
                let names = COLUMNS.into_iter().map(str::to_owned).chain(further);
                csv.write_record(names.chain(last.iter().map(|name| (*name).to_owned())))?;
                RowEncoder::Csv { csv, is_guarded }
            }
            ResultsFileFormat::Jsonl => {
                let ours = [&COLUMNS[..], &NESTED].concat();
                let further = headings(&columns, &[&ours[..], &last].concat());
                let last = last.iter().map(|name| (*name).to_owned());
                let names = ours.into_iter().map(str::to_owned).chain(further).chain(last).collect();
                RowEncoder::Jsonl { out: BufWriter::new(out), names }
            }
        };
        Ok(Self { lines, provider: provider.to_owned(), columns, last: places, has_rows, place: None })
    }

    /// Names the images by their addresses at this place.
    pub(crate) fn placed(self, place: Option<StorageUrl>) -> Self {
        Self { place, ..self }
    }

    /// Writes the lines of one job. `cost` is `None` if its price is unknown.
    pub(crate) fn write(&mut self, record: &JobRecord, cost: Option<&Money>) -> io::Result<()> {
        let artifacts = record.state.artifacts();
        if artifacts.is_empty() {
            return self.write_line(record, None, cost);
        }
        let costs = std::iter::once(cost).chain(std::iter::repeat(None));
        artifacts.iter().zip(costs).try_for_each(|(artifact, cost)| self.write_line(record, Some(artifact), cost))
    }

    fn write_line(&mut self, record: &JobRecord, artifact: Option<&Artifact>, cost: Option<&Money>) -> io::Result<()> {
        let mut own = fields(record, artifact, &self.provider);
        if let (Some(place), Some(artifact)) = (&self.place, artifact) {
            own[FILE_NAME] = CellValue::Text(place.of(&artifact.file_name).into());
        }
        let carried = |column| record.job.extras.iter().find(|(name, _)| name == column).map(|(_, text)| text.as_str());
        let further = self.columns.iter().map(|column| CellValue::text_of(carried(column)));
        let last = self.last.iter().map(|i| match i {
            0 => cost.map_or(CellValue::None, |cost| CellValue::Real(cost.amount.number())),
            1 => CellValue::whole_of(record.job.row_number().filter(|_| self.has_rows)),
            _ => CellValue::text_of(cost.map(|cost| cost.unit.as_str()).filter(|unit| !unit.is_empty())),
        });
        match &mut self.lines {
            RowEncoder::Csv { csv, is_guarded } => {
                for value in own.into_iter().chain(further).chain(last) {
                    // A negative number is a number, not a formula.
                    let is_text = matches!(value, CellValue::Text(_) | CellValue::Nested(_));
                    let text = if *is_guarded && is_text { guarded(value.text()) } else { value.text() };
                    csv.write_field(text.as_bytes())?;
                }
                csv.write_record(None::<&[u8]>)?;
            }
            RowEncoder::Jsonl { out, names } => {
                let own = own.into_iter().chain(nested(&record.job.request));
                let values: Vec<_> = own.chain(further).chain(last).collect();
                serde_json::to_writer(&mut *out, &NamedValues(names, &values))?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    /// Flushes the buffer, and returns the writer.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self.lines {
            RowEncoder::Csv { mut csv, .. } => {
                csv.flush()?;
                csv.into_inner().map_err(|error| io::Error::from(error.error().kind()))
            }
            RowEncoder::Jsonl { out, .. } => out.into_inner().map_err(io::IntoInnerError::into_error),
        }
    }
}

/// Returns the values of one line, for a job and one of its images, in the order of [`COLUMNS`].
pub(super) fn fields<'a>(
    record: &'a JobRecord,
    artifact: Option<&'a Artifact>,
    provider: &'a str,
) -> [CellValue<'a>; COLUMNS.len()] {
    let (job, state) = (&record.job, &record.state);
    let request = &job.request;
    let (error_code, error) = fault(state);
    [
        CellValue::whole_of((job.index > 0).then_some(job.index)),
        job.label
            .as_deref()
            .map_or_else(|| CellValue::Text(job.id.to_string().into()), |label| CellValue::Text(label.into())),
        CellValue::Text(state.status().into()),
        CellValue::text_of(artifact.map(|artifact| artifact.file_name.as_str())),
        CellValue::Text(request.prompt.as_str().into()),
        CellValue::text_of(request.negative_prompt.as_deref()),
        CellValue::Text(request.model.as_str().into()),
        request.size.map_or(CellValue::None, |size| CellValue::Text(size.to_string().into())),
        CellValue::whole_of(request.seed),
        CellValue::whole_of(request.steps),
        request.guidance.map_or(CellValue::None, CellValue::Real),
        CellValue::Text(request.provider.as_deref().unwrap_or(provider).into()),
        CellValue::text_of(state.task.as_ref().map(|task| task.0.as_str())),
        CellValue::Whole(state.n_submits.into()),
        state.submitted_at.map_or(CellValue::None, CellValue::Time),
        state.finished_at.map_or(CellValue::None, CellValue::Time),
        state.duration().map_or(CellValue::None, CellValue::Span),
        CellValue::whole_of(artifact.map(|artifact| artifact.width)),
        CellValue::whole_of(artifact.map(|artifact| artifact.height)),
        CellValue::whole_of(artifact.map(|artifact| artifact.bytes)),
        CellValue::text_of(artifact.map(|artifact| artifact.format.extension())),
        artifact.map_or(CellValue::None, |artifact| CellValue::Text(hex(&artifact.sha256).into())),
        CellValue::text_of(error_code),
        CellValue::text_of(error),
        CellValue::Whole(state.n_in_doubt.into()),
        CellValue::Whole(state.n_lost.into()),
    ]
}

/// Returns the code and the message of the fault that ended a job, or that keeps it in doubt.
pub(crate) fn fault(state: &JobState) -> (Option<&str>, Option<&str>) {
    const IN_DOUBT: &str = "the response to the submission was lost: the request may have been accepted and paid for";
    match &state.phase {
        Phase::Finished(Outcome::Failed(fault)) => (Some(fault.kind.code()), Some(&fault.message)),
        // An older fault, from an earlier submission, explains nothing here.
        Phase::Submitting => {
            let fault = state.last_fault.as_ref().filter(|fault| fault.kind.leaves_doubt());
            (Some(FaultKind::InDoubt.code()), Some(fault.map_or(IN_DOUBT, |fault| &fault.message)))
        }
        // The job keeps a task that seems lost, or that is about to be declared lost.
        Phase::Running(_) => {
            let fault = state.last_fault.as_ref().filter(|fault| fault.kind == FaultKind::TaskLost);
            (fault.map(|fault| fault.kind.code()), fault.map(|fault| fault.message.as_str()))
        }
        Phase::Finished(Outcome::Succeeded(_)) | Phase::Pending | Phase::Downloading(_) => (None, None),
    }
}

/// Returns each name once, in the order of first appearance.
pub(super) fn distinct(columns: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    columns.iter().filter(|column| seen.insert(*column)).cloned().collect()
}

/// Returns the header names of the manifest's further columns. A name equal to one of ours gets the prefix `input_`,
/// repeated until no other column has the name.
pub(super) fn headings(columns: &[String], ours: &[&str]) -> Vec<String> {
    let is_ours = |name: &str| ours.contains(&name);
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
