//! Manifest listing: writes each job as one row or line of a new manifest, without lists or vars.
//!
//! A listing that is read back gives the same jobs with the same ids. Values that a table cell or a line cannot hold under their own name
//! go into `meta`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::manifest::Manifest;
use crate::manifest::error::ManifestError;
use crate::manifest::expand::options::EXPAND;
use crate::manifest::fields::field::{Field, META};
use crate::manifest::formats::columns;
use crate::manifest::summary::ManifestSummary;
use crate::model::choice::{ChoiceError, Chooser, JobChoice, JobView};
use crate::model::counts::StatusCounts;
use crate::model::job::{JobId, JobSpec};
use crate::model::request::{ContentHash, Json, Lora, RequestValue};
use crate::model::request_field::REQUEST_FIELDS;

/// Format of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// CSV table with the columns that at least one job needs.
    Csv,
    /// JSON Lines: one JSON object per line.
    Jsonl,
}

/// Reason why a listing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// Manifest that cannot be read a second time.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Choice of jobs that no job meets.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// Write error of the output.
    #[error("could not write the list: {0}")]
    Write(#[from] io::Error),
}

/// Writes the chosen jobs in manifest order.
pub fn list(manifest: &Manifest, choice: &JobChoice, listing: Listing, out: impl Write) -> Result<(), ListingError> {
    let chooser = chooser::<ListingError>(manifest, choice)?;
    match listing {
        Listing::Csv => csv(manifest, || chosen(manifest, choice, &chooser), out),
        Listing::Jsonl => jsonl(chosen(manifest, choice, &chooser)?, out),
    }
}

/// Returns the summary of the chosen jobs.
pub fn summary<E: From<ManifestError> + From<ChoiceError>>(
    manifest: &Manifest,
    choice: &JobChoice,
) -> Result<ManifestSummary, E> {
    let mut summary = ManifestSummary::default();
    let chooser = chooser::<E>(manifest, choice)?;
    for draft in chosen(manifest, choice, &chooser)? {
        let draft = draft?;
        summary.count(&draft.request);
        summary.add(draft);
    }
    Ok(summary)
}

/// Returns the chooser after it has seen all jobs.
fn chooser<E: From<ManifestError> + From<ChoiceError>>(manifest: &Manifest, choice: &JobChoice) -> Result<Chooser, E> {
    let mut chooser = choice.among(manifest.columns())?;
    if !choice.is_all() {
        let pending = StatusCounts { n_pending: 1, ..StatusCounts::default() };
        for job in jobs(manifest, choice)? {
            let (index, id, draft) = job?;
            chooser.see(JobView::of_row(&draft, index, id), pending);
        }
        chooser.chosen()?;
    }
    Ok(chooser)
}

/// Yields the chosen jobs.
fn chosen(
    manifest: &Manifest,
    choice: &JobChoice,
    chooser: &Chooser,
) -> Result<impl Iterator<Item = Result<JobSpec, ManifestError>> + use<>, ManifestError> {
    let mut chooser = chooser.clone();
    let chosen = jobs(manifest, choice)?.filter(move |job| {
        job.as_ref().map_or(true, |(index, id, draft)| chooser.has(JobView::of_row(draft, *index, *id)))
    });
    Ok(chosen.map(|job| job.map(|(.., draft)| draft)))
}

/// Index, id if it is wanted, and job.
type IndexedJob = (u64, Option<JobId>, JobSpec);

/// Yields the jobs that are not to be left out, each with its index, and with its id if a sample needs it. Ids of a million jobs need 40 MB.
fn jobs(
    manifest: &Manifest,
    choice: &JobChoice,
) -> Result<impl Iterator<Item = Result<IndexedJob, ManifestError>> + use<>, ManifestError> {
    let has_ids = choice.sample.is_some();
    let mut n_equal: HashMap<ContentHash, u32> = HashMap::new();
    let jobs = (1..).zip(manifest.drafts()?).map(move |(index, draft)| {
        let draft = draft?;
        let id = has_ids.then(|| {
            let content = draft.request.content();
            let n = n_equal.entry(content).or_default();
            *n += 1;
            JobId::new(&content, *n - 1)
        });
        Ok((index, id, draft))
    });
    Ok(jobs.filter(|job| job.as_ref().map_or(true, |(.., draft)| !draft.row.is_skipped)))
}

fn csv<J: Iterator<Item = Result<JobSpec, ManifestError>>>(
    manifest: &Manifest,
    wanted: impl Fn() -> Result<J, ManifestError>,
    out: impl Write,
) -> Result<(), ListingError> {
    let mut needs = Needs::default();
    for draft in wanted()? {
        needs.add(&draft?);
    }
    let plain: Vec<&String> = manifest.columns().iter().filter(|name| needs.is_plain(name)).collect();
    let fields: Vec<_> = names().filter(|name| needs.fields.contains(name)).collect();
    let mut writer = ::csv::Writer::from_writer(out);
    let meta = needs.has_meta.then_some(META);
    let names = fields.iter().copied().chain(plain.iter().map(|name| name.as_str())).chain(meta);
    writer.write_record(names).map_err(io::Error::from)?;
    for draft in wanted()? {
        let draft = draft?;
        let given: BTreeMap<_, _> = given(&draft).collect();
        let cells = fields.iter().map(|name| given.get(name).map_or_else(String::new, cell));
        let extra = |name: &str| draft.extras.iter().find(|(column, _)| column == name).map(|(_, text)| text.clone());
        let extras = plain.iter().map(|name| extra(name).unwrap_or_default());
        let meta = meta.map(|_| in_meta(&draft, |name| needs.is_plain(name)));
        writer.write_record(cells.chain(extras).chain(meta)).map_err(io::Error::from)?;
    }
    writer.flush()?;
    Ok(())
}

fn jsonl(wanted: impl Iterator<Item = Result<JobSpec, ManifestError>>, out: impl Write) -> Result<(), ListingError> {
    let mut out = io::BufWriter::new(out);
    for draft in wanted {
        let draft = draft?;
        let mut object = Map::new();
        object.extend(given(&draft).map(|(name, value)| (name.to_owned(), value)));
        let mut meta = Map::new();
        for (name, text) in &draft.extras {
            let place = if is_free(name) { &mut object } else { &mut meta };
            place.insert(name.clone(), Value::from(text.as_str()));
        }
        if !meta.is_empty() {
            object.insert(META.to_owned(), meta.into());
        }
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Returns the names of a job's fields. `n` is not among them, because every job has its own line, nor is `skip`, because only wanted jobs
/// have one.
fn names() -> impl Iterator<Item = &'static str> {
    REQUEST_FIELDS.iter().map(|field| field.name).chain([Field::Id.name()])
}

/// Columns that a table of all jobs needs.
#[derive(Default)]
struct Needs {
    fields: BTreeSet<&'static str>,
    /// Passthrough columns that a cell cannot hold.
    not_plain: BTreeSet<String>,
    has_meta: bool,
}

impl Needs {
    fn add(&mut self, draft: &JobSpec) {
        self.fields.extend(given(draft).map(|(name, _)| name));
        for (name, text) in &draft.extras {
            // Excludes text with a carriage return, which a reader would take for a line end.
            if !is_free(name) || text.contains('\r') {
                self.has_meta = true;
                if !self.not_plain.contains(name) {
                    self.not_plain.insert(name.clone());
                }
            }
        }
    }

    fn is_plain(&self, name: &str) -> bool {
        !self.not_plain.contains(name)
    }
}

/// Returns whether a passthrough column can keep its name and is read back as a passthrough column.
fn is_free(name: &str) -> bool {
    let is_ours = Field::titled(name).is_some() || name == META || name == EXPAND || columns::is_refused(name);
    let is_name = name == name.trim() && !name.is_empty() && !name.contains(char::is_control);
    is_name && !is_ours && !name.starts_with('\u{feff}')
}

fn in_meta(draft: &JobSpec, is_plain: impl Fn(&str) -> bool) -> String {
    let extras = draft.extras.iter().filter(|(name, _)| !is_plain(name));
    let meta: Map<String, Value> = extras.map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect();
    if meta.is_empty() { String::new() } else { Value::from(meta).to_string() }
}

/// Formats a value as the text of a cell.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns the fields that a job has, as JSON.
fn given(JobSpec { label, request, extras: _, row: _ }: &JobSpec) -> impl Iterator<Item = (&'static str, Value)> {
    let label = label.as_ref().map(|label| (Field::Id.name(), json!(label)));
    request.given().map(|(name, given)| (name, value(given))).chain(label)
}

/// Converts a value to JSON, in the form that a manifest has it.
fn value(given: RequestValue<'_>) -> Value {
    match given {
        RequestValue::Text(text) => json!(text),
        RequestValue::Whole(number) => json!(number),
        RequestValue::Real(number) => json!(number),
        RequestValue::Urls(urls) => json!(urls),
        RequestValue::Loras([Lora { repo, weight: None }]) => json!(repo),
        RequestValue::Loras(loras) => loras.iter().map(|lora| (lora.repo.clone(), json!(lora.weight))).collect(),
        RequestValue::Params(params) => params
            .iter()
            .map(|(name, Json(text))| (name.clone(), serde_json::from_str(text).unwrap_or(Value::Null)))
            .collect(),
    }
}
