//! Record of one image in a dataset: its columns and values.
//!
//! The columns describe the request and its result, as in the results table. They also contain the caption as `text`,
//! and the manifest's own columns.

use std::borrow::Cow;

use crate::model::outcome::Artifact;
use crate::model::phase::JobRecord;
use crate::report::dataset::caption::{CaptionError, CaptionTemplate};
use crate::report::dataset::column_names::loadable;
use crate::report::results::{self, distinct, fields, headings};
use crate::report::value::{CellValue, NESTED, nested};

/// Type of the values in a column, the same in every row of every export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    /// Unicode text.
    Text,
    /// Integers.
    Whole,
    /// Floating-point numbers.
    Real,
    /// Points in time.
    Time,
}

impl ColumnType {
    /// Reports whether the values are numbers.
    pub(crate) const fn is_number(self) -> bool {
        match self {
            Self::Whole | Self::Real => true,
            Self::Text | Self::Time => false,
        }
    }
}

/// Names and kinds of our own columns behind `file_name` and `text`. The index of a job in its manifest is not among
/// them, because every edit changes it.
const OWN: [(&str, ColumnType); 19] = [
    ("id", ColumnType::Text),
    ("prompt", ColumnType::Text),
    ("negative_prompt", ColumnType::Text),
    ("model", ColumnType::Text),
    ("size", ColumnType::Text),
    ("seed", ColumnType::Whole),
    ("steps", ColumnType::Whole),
    ("guidance", ColumnType::Real),
    ("provider", ColumnType::Text),
    ("task_id", ColumnType::Text),
    ("attempts", ColumnType::Whole),
    ("submitted_at", ColumnType::Time),
    ("finished_at", ColumnType::Time),
    ("seconds", ColumnType::Real),
    ("width", ColumnType::Whole),
    ("height", ColumnType::Whole),
    ("bytes", ColumnType::Whole),
    ("format", ColumnType::Text),
    ("sha256", ColumnType::Text),
];

/// Names that no column of the manifest has in a dataset. Loaders put the pixels into `image`.
const RESERVED: [&str; 3] = ["file_name", "text", "image"];

/// Columns that alone do not make a record different: a repair downloads the same image again.
const PASSING: [&str; 5] = ["task_id", "attempts", "submitted_at", "finished_at", "seconds"];

/// Columns of a dataset, with their names and kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    names: Vec<String>,
    kinds: Vec<ColumnType>,
    /// Further columns of the manifest, by their names in the jobs.
    further: Vec<String>,
    /// Source of the column `text`.
    caption: CaptionTemplate,
    provider: String,
}

impl Columns {
    /// Creates the columns for a run with this provider and these further columns of the manifest. `caption` names the
    /// column of the captions, by its name in the dataset, in the results or in the manifest, or is a template of such names.
    pub(crate) fn new(provider: &str, further: &[String], caption: &str) -> Result<Self, CaptionError> {
        let further = distinct(further);
        let own = OWN.iter().map(|(name, _)| *name).chain(NESTED);
        let taken: Vec<&str> = own.clone().chain(RESERVED).collect();
        let own: Vec<String> = own.map(str::to_owned).collect();
        let in_results = headings(&further, &taken);
        let in_dataset = loadable(in_results.clone(), &taken);
        let names: Vec<String> =
            ["file_name", "text"].map(str::to_owned).into_iter().chain(own).chain(in_dataset).collect();
        let first = names.len() - further.len();
        let find = |name: &str| {
            let in_dataset = names.iter().skip(2).position(|known| known == name).map(|at| at + 2);
            let by_manifest = |known: &[String]| known.iter().position(|known| known == name).map(|at| first + at);
            in_dataset.or_else(|| by_manifest(&in_results)).or_else(|| by_manifest(&further))
        };
        let caption = CaptionTemplate::new(caption, find, &names[2..])?;
        let own = [ColumnType::Text; 2].into_iter().chain(OWN.map(|(_, kind)| kind));
        let kinds = own.chain(names.iter().skip(2 + OWN.len()).map(|_| ColumnType::Text)).collect();
        Ok(Self { names, kinds, further, caption, provider: provider.to_owned() })
    }

    /// Returns the names of the columns: `file_name` first, `text` second.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the kinds of the columns, in the order of their names.
    pub(crate) fn kinds(&self) -> &[ColumnType] {
        &self.kinds
    }

    /// Returns the record of one image of a job.
    pub(crate) fn record<'a>(&'a self, known: &'a JobRecord, artifact: &'a Artifact) -> Record<'a> {
        let all = fields(known, Some(artifact), &self.provider);
        let mut values = vec![CellValue::Text(artifact.file_name.as_str().into()), CellValue::None];
        let is_ours = |name: &str| OWN.iter().any(|(own, _)| *own == name);
        values.extend(results::COLUMNS.iter().zip(all).filter(|(name, _)| is_ours(name)).map(|(_, value)| value));
        // Lists and objects become text. Their content differs from row to row, which no typed table accepts.
        values.extend(nested(&known.job.request).map(|value| match value {
            CellValue::Nested(json) => CellValue::Text(json.to_string().into()),
            other => other,
        }));
        let carried = |column| known.job.extras.iter().find(|(name, _)| name == column).map(|(_, text)| text.as_str());
        values.extend(self.further.iter().map(|column| CellValue::text_of(carried(column))));
        values[1] = CellValue::Text(self.caption.fill(&values).into());
        Record { names: &self.names, values }
    }
}

/// Values of one image in the columns of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record<'a> {
    names: &'a [String],
    values: Vec<CellValue<'a>>,
}

impl<'a> Record<'a> {
    /// Returns the names of the columns.
    pub(crate) fn names(&self) -> &[String] {
        self.names
    }

    /// Returns the values, one per column.
    pub(crate) fn values(&self) -> &[CellValue<'a>] {
        &self.values
    }

    /// Returns the caption, which is the value of `text`.
    pub(crate) fn caption(&self) -> Cow<'_, str> {
        self.values[1].text()
    }

    /// Sets the path of the image in the dataset.
    #[must_use]
    pub(crate) fn at(mut self, file_name: &'a str) -> Self {
        self.values[0] = CellValue::Text(file_name.into());
        self
    }

    /// Returns a hash that changes when the image or its record changes, except in the columns `PASSING`.
    pub(crate) fn mark(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        let lasting = self.names.iter().zip(&self.values).filter(|(name, _)| !PASSING.contains(&name.as_str()));
        for (name, value) in lasting {
            let text = value.text();
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        let mut mark = [0; 8];
        mark.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{artifact, known};

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn columns(further: &[&str], caption: &str) -> Result<Columns, CaptionError> {
        Columns::new("modelscope", &strings(further), caption)
    }

    /// Goal: every value has the kind of its column. Method: check a record with a value everywhere, column by column.
    #[test]
    fn every_column_has_values_of_its_kind() {
        let columns = columns(&["style"], "prompt").unwrap();
        let (known, artifact) = (known("a cat", &[("style", "ink")]), artifact("images/1.png"));
        let record = columns.record(&known, &artifact);
        assert_eq!((columns.names().len(), columns.kinds().len()), (record.values().len(), record.values().len()));
        for ((name, kind), value) in columns.names().iter().zip(columns.kinds()).zip(record.values()) {
            let found = match value {
                CellValue::Text(_) => Some(ColumnType::Text),
                CellValue::Whole(_) => Some(ColumnType::Whole),
                CellValue::Real(_) | CellValue::Span(_) => Some(ColumnType::Real),
                CellValue::Time(_) => Some(ColumnType::Time),
                CellValue::None => None,
                CellValue::Nested(_) => panic!("{name} is nested"),
            };
            assert_eq!(found.unwrap_or(*kind), *kind, "{name}");
            let is_given = !NESTED.contains(&name.as_str()) && name != "negative_prompt";
            assert_eq!(found.is_some(), is_given, "{name}");
        }
        for (name, _) in OWN {
            assert!(results::COLUMNS.contains(&name), "{name}");
        }
    }

    #[test]
    fn captions_are_taken_from_any_column_of_ours_or_the_manifest() {
        let (known, artifact) =
            (known("a cat", &[("style", "ink"), ("text", "mine"), ("width", "wide")]), artifact("1.png"));
        for (caption, expected) in [
            ("prompt", "a cat"),
            ("style", "ink"),
            ("text", "mine"),
            ("seed", "7"),
            ("width", "64"),
            ("ohwx {prompt}, {text} at {seed}", "ohwx a cat, mine at 7"),
            ("{{{style}}}", "{ink}"),
            ("{absent}{ style }", "ink"),
        ] {
            let columns = columns(&["style", "text", "width", "absent"], caption).unwrap();
            assert_eq!(columns.record(&known, &artifact).caption(), expected, "{caption}");
        }
        assert_eq!(columns(&["absent"], "absent").unwrap().record(&known, &artifact).caption(), "");
        let error = columns(&["style"], "stile").unwrap_err().to_string();
        assert!(error.starts_with("no column \"stile\" to take captions from"), "{error}");
        assert!(error.ends_with(", style"), "{error}");
    }

    #[test]
    fn no_column_of_the_manifest_takes_the_place_of_ours() {
        let columns = columns(&["text", "image", "file_name", "sha256", "params", "error"], "prompt").unwrap();
        let further = &columns.names()[columns.names().len() - 6..];
        assert_eq!(further, ["input_text", "input_image", "input_filename", "input_sha256", "input_params", "error"]);
    }

    #[test]
    fn a_mark_is_another_when_what_is_said_is_another() {
        let columns = columns(&["style"], "prompt").unwrap();
        let (first, image) = (known("a cat", &[("style", "ink")]), artifact("images/1.png"));
        let mark = |known: &JobRecord, artifact: &Artifact| columns.record(known, artifact).mark();
        let mut fetched_again = first.clone();
        fetched_again.state.n_submits += 1;
        fetched_again.state.finished_at = None;
        assert_eq!(mark(&first, &image), mark(&fetched_again, &image));
        assert_ne!(mark(&first, &image), mark(&known("a cat", &[("style", "oil")]), &image));
        assert_ne!(mark(&first, &image), mark(&first, &Artifact { sha256: [1; 32], ..image.clone() }));
    }
}
