//! Single pass over a manifest in any format: from its bytes to checked jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::check::{EntryValidator, ValidationResult};
use crate::manifest::cross_checks::CrossChecks;
use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, PassDiagnostics, wrong};
use crate::manifest::error::ManifestError;
use crate::manifest::expand::job_limit::JOBS_MAX;
use crate::manifest::expand::jobs::JobIterator;
use crate::manifest::expand::options::ExpandOptions;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::{FieldEntry, FieldValue, Spanned};
use crate::manifest::fields::spread;
use crate::manifest::fields::synonyms::nearest;
use crate::manifest::fields::value::{UnparsedValue, shown_text};
use crate::manifest::formats::columns::{Column, ColumnOptions};
use crate::manifest::formats::format::{EntrySource, Format, FormatInput, ManifestHead, Opened};
use crate::manifest::input::encoding::Encoding;
use crate::manifest::input::path::is_nameless;
use crate::manifest::input::text::ManifestInput;
use crate::manifest::lints::entries::EntryLints;
use crate::manifest::lints::linted_format::LintedFormat;
use crate::manifest::lists::ListFiles;
use crate::manifest::row_providers::RowProviders;
use crate::manifest::settings::Settings;
use crate::manifest::shared_defaults::SharedDefaults;
use crate::manifest::source::Source;
use crate::manifest::syntax::Syntax;
use crate::model::job::JobSpec;
use crate::model::picture::SourcePicture;
use crate::model::request_limits::RequestLimits;

/// State of a pass in progress.
pub(super) struct ManifestReader {
    path: PathBuf,
    entries: Box<dyn EntrySource>,
    settings: Settings,
    lists: ListFiles,
    checker: EntryValidator,
    /// Remaining jobs of the current entry.
    jobs: Option<JobIterator>,
}

impl ManifestReader {
    /// Begins to read, in the encoding that an earlier pass detected. Mistakes go to `findings`. An unreadable file is an error.
    pub(super) fn start(
        source: &Source,
        encoding: Option<Encoding>,
        across: CrossChecks,
        findings: &mut PassDiagnostics,
    ) -> Result<Self, ManifestError> {
        let path = &source.path;
        let format = source.format();
        let format = format.ok_or_else(|| ManifestError::UnknownFormat { path: path.clone() })?;
        // Uses the working directory as the folder of a manifest without a name of its own.
        let folder = if path.is_dir() { Some(&**path) } else { path.parent().filter(|_| !is_nameless(path)) };
        let folder = folder.unwrap_or(Path::new(""));
        let mut lists = ListFiles::new(folder.to_owned(), &source.allowed_folders);
        let mut shared = SharedDefaults::default();
        let limits = source.limits.unwrap_or(&RequestLimits::NONE);
        let beside = source.path.parent().unwrap_or(Path::new("")).to_owned();
        let mut providers = RowProviders::new(source.providers, beside);
        let linted = LintedFormat {
            has_lines: format.is_one_prompt_per_line(),
            has_columns: format.instead_of_column(Field::Prompt).is_none(),
            has_null: format.has_null(),
        };
        let decided = [&source.carried_columns[..], &source.choosing_columns].concat();
        let mut entry_lints = EntryLints::new(source.is_verbatim, source.is_folding_seeds, linted, decided);
        if !source.mapped_columns.iter().any(|(_, field)| field == Field::N.name()) {
            entry_lints.seek_row_numbers();
        }
        let mut overrides = given_overrides(source, findings);
        entry_lints.fold_seeds(&mut overrides);
        let ranges = providers.ranges(&overrides, None, limits.ranges);
        shared.lay_under(overrides, ranges, &mut findings.mistakes);
        refuse_column_options(source, format, &mut findings.mistakes);
        if source.sheet.is_some() && !format.has_sheets() {
            let what = format!("--sheet names a sheet, and a {} manifest has none", format.name().to_uppercase());
            findings.mistakes.push(Location::CommandLine, wrong(what, "leave --sheet out"));
        }
        let columns = column_options(source, &mut findings.mistakes);
        let input = FormatInput {
            path,
            encoding: source.encoding,
            detected: encoding,
            is_verbatim: source.is_verbatim,
            sheet: source.sheet.as_deref(),
        };
        let opened = format.open(input, columns, &mut lists, findings);
        let Opened { head, entries } = opened.map_err(|source| ManifestError::Read { path: path.clone(), source })?;
        let ManifestHead { mut defaults, extras, ways, settings } = head;
        shared.ways = Arc::new(ExpandOptions { syntax: source.syntax.or(ways.syntax), ..ways });
        shared.extras = extras;
        entry_lints.fold_seeds(&mut defaults);
        let ranges = providers.ranges(&defaults, shared.fields.provider.as_ref(), limits.ranges);
        shared.lay_under(defaults, ranges, &mut findings.mistakes);
        shared.is_default_model = shared.fields.model.is_none();
        shared.lay_under(given_model(source), ranges, &mut findings.mistakes);
        shared.see(&mut entry_lints, findings);
        let of_source = (source.jobs_max.unwrap_or(JOBS_MAX), source.partition);
        let checker = EntryValidator::new((limits, providers), shared, across, of_source, entry_lints);
        Ok(Self { path: path.clone(), entries, settings, lists, checker, jobs: None })
    }

    /// Returns the next valid job. The mistakes of invalid jobs before it go to `findings`.
    pub(super) fn next_draft(&mut self, findings: &mut PassDiagnostics) -> Result<Option<JobSpec>, ManifestError> {
        loop {
            if let Some(draft) = self.jobs.as_mut().and_then(|jobs| self.checker.next_job(jobs, findings)) {
                return Ok(Some(draft));
            }
            let entry = self.entries.next_entry(&mut self.lists, findings);
            let entry = entry.map_err(|source| ManifestError::Read { path: self.path.clone(), source })?;
            let Some(entry) = entry else { return Ok(None) };
            self.jobs = self.checker.check(entry, &mut self.lists, findings);
        }
    }

    /// Adds a job to the summary.
    pub(super) fn keep(&mut self, draft: JobSpec) {
        let n_bytes = self.lists.n_picture_bytes(&draft.request.image_url);
        self.checker.keep(draft, n_bytes);
    }

    /// Returns how many bytes of the file have been read, before decompression.
    pub(super) fn n_bytes(&self) -> u64 {
        self.entries.bytes().n_bytes()
    }

    /// Takes the settings of the whole run.
    pub(super) fn take_settings(&mut self) -> Settings {
        mem::take(&mut self.settings)
    }

    pub(super) fn finish(mut self, findings: &mut PassDiagnostics) -> ReadSummary {
        self.lists.finish(&mut findings.warnings);
        let digest = self.entries.bytes().digest();
        let used = self.entries.used_columns();
        ReadSummary {
            checked: self.checker.finish(findings),
            digest,
            lists: self.lists.digest(),
            pictures: self.lists.pictures(),
            used,
        }
    }
}

/// Results that are known at the end of a manifest.
pub(super) struct ReadSummary {
    pub(super) checked: ValidationResult,
    /// Hash of all bytes of the file.
    pub(super) digest: blake3::Hash,
    /// Hash of all list files that were read. `None` if there were none.
    pub(super) lists: Option<blake3::Hash>,
    /// Pictures that requests name, by their names as written.
    pub(super) pictures: BTreeMap<String, SourcePicture>,
    /// Columns that are used, as pairs of title and field.
    pub(super) used: Vec<(String, String)>,
}

/// Parts of the names of pictures, in most of their spellings. A search that finds none saves a check of the whole manifest.
const PICTURES: &[&str] = &[".png", ".PNG", ".jp", ".JP", ".webp", ".gif", ".bmp", ".tif", "file:"];

/// Returns whether the manifest may name other files. A search for two words decides.
pub(super) fn may_name_lists(source: &Source) -> io::Result<bool> {
    let format = source.format();
    if source.syntax == Some(Syntax::Dynamic) {
        return Ok(true);
    }
    // A workbook is compressed.
    if format.is_some_and(Format::has_sheets) {
        return Ok(true);
    }
    if source.path.is_dir() {
        return Ok(false);
    }
    let words = format.map_or(&[][..], |format| format.words_of_other_files());
    let words = [words, PICTURES].concat();
    let n_kept = words.iter().map(|word| word.len()).max().unwrap_or(0);
    let mut input = ManifestInput::open(&source.path, source.encoding)?;
    let mut held = Vec::new();
    loop {
        // Keeps the end of the last piece, because a word may begin there and end in the next piece.
        held.drain(..held.len().saturating_sub(n_kept));
        let piece = input.fill_buf()?;
        let n_bytes = piece.len();
        held.extend_from_slice(piece);
        input.consume(n_bytes);
        if words.iter().any(|word| held.windows(word.len()).any(|part| part == word.as_bytes())) {
            return Ok(true);
        }
        if n_bytes == 0 {
            return Ok(false);
        }
    }
}

fn given_overrides(
    source: &Source,
    PassDiagnostics { mistakes, warnings, .. }: &mut PassDiagnostics,
) -> Vec<FieldEntry> {
    let place = Location::CommandLine;
    let mut given = Vec::new();
    let mut names = BTreeSet::new();
    for (name, value) in &source.overrides {
        if !names.insert(name) {
            let what = format!("--set {} is given more than once, and only the last value counts", shown_text(name));
            warnings.push(place, wrong(what, "write several values in one: --set seed=1,2"));
        }
        match Field::named(name) {
            Some(field) if field.is_of_one_entry() => {
                let what = format!("--set {name} would give all entries the same `{name}`");
                mistakes.push(place, wrong(what, "write it in the manifest, entry by entry"));
            }
            Some(field) => {
                if let Some(wrong) = doubtful_list(field, value) {
                    warnings.push(place, wrong);
                }
                match values(field, value) {
                    Ok(said) => given.push(FieldEntry { field, place, said }),
                    Err((place, wrong)) => mistakes.push(place, wrong),
                }
            }
            None => {
                let known = Field::ALL.into_iter().filter(|field| !field.is_of_one_entry()).map(Field::name);
                let remedy = match nearest(name, known.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the fields are {}", known.collect::<Vec<_>>().join(", ")),
                };
                mistakes.push(place, wrong(format!("--set names the unknown field {}", shown_text(name)), remedy));
            }
        }
    }
    given
}

/// Returns the value of an option, or its values: commas separate those of fields whose values hold none.
fn values(field: Field, text: &str) -> Result<FieldValue, (Location, Issue)> {
    let one = |text: &str| {
        FieldValue::One(Spanned { raw: UnparsedValue::Cell(text.to_owned()), place: Location::CommandLine })
    };
    let is_list =
        matches!(field, Field::Provider | Field::Model | Field::Size | Field::Seed | Field::Steps | Field::Guidance)
            && text.contains(',')
            && !text.trim_start().starts_with('[');
    if !is_list {
        return Ok(one(text));
    }
    let mut values = Vec::new();
    for part in text.split(',') {
        match spread(field, one(part.trim()))? {
            FieldValue::One(value) => values.push(value),
            FieldValue::Many(range) => values.extend(range),
            FieldValue::Unreadable => return Ok(FieldValue::Unreadable),
        }
    }
    Ok(FieldValue::Many(values))
}

/// Returns the warning about a text that may be one number with a decimal comma, or with commas between thousands.
fn doubtful_list(field: Field, text: &str) -> Option<Issue> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let are_digits = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let meant = match (field, parts.as_slice()) {
        (Field::Guidance, [whole, fraction]) if are_digits => format!("{whole}.{fraction}"),
        (Field::Seed | Field::Steps, [_, rest @ ..]) if are_digits && rest.iter().all(|part| part.len() == 3) => {
            parts.concat()
        }
        _ => return None,
    };
    (parts.len() > 1).then(|| {
        let (name, n, list) = (field.name(), parts.len(), parts.join(", "));
        let remedy = format!("write --set {name}={meant} for one, or --set '{name}=[{list}]' if they are meant");
        wrong(format!("--set {name}={text} is {n} values"), remedy)
    })
}

fn given_model(source: &Source) -> Vec<FieldEntry> {
    let raw = source.default_model.clone().map(UnparsedValue::Cell);
    raw.into_iter().map(|raw| FieldEntry::one(Field::Model, raw, Location::CommandLine)).collect()
}

/// Reads the options that name columns. Reports a target that is no field.
fn column_options(source: &Source, mistakes: &mut DiagnosticList) -> ColumnOptions {
    let mut maps = Vec::new();
    for (title, target) in &source.mapped_columns {
        if let Some(column) = Column::named(target) {
            maps.push((title.clone(), column));
            continue;
        }
        let known = Field::ALL.into_iter().map(Field::name).chain(["width", "height"]);
        let remedy = match nearest(target, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the fields are {}", known.collect::<Vec<_>>().join(", ")),
        };
        mistakes.push(
            Location::CommandLine,
            wrong(format!("--map names the unknown field {}", shown_text(target)), remedy),
        );
    }
    let (prompt, id) = (source.prompt_column.clone(), source.id_column.clone());
    ColumnOptions { prompt, id, maps, carried: source.carried_columns.clone() }
}

/// Reports options that name a column, for formats without columns.
fn refuse_column_options(source: &Source, format: &dyn Format, mistakes: &mut DiagnosticList) {
    let options = [
        ("--prompt-col", source.prompt_column.is_some(), Field::Prompt),
        ("--id-col", source.id_column.is_some(), Field::Id),
        ("--map", !source.mapped_columns.is_empty(), Field::Prompt),
        ("--carry", !source.carried_columns.is_empty(), Field::Prompt),
    ];
    for (option, _, field) in options.into_iter().filter(|(_, is_given, _)| *is_given) {
        if let Some(remedy) = format.instead_of_column(field) {
            let name = format.name().to_uppercase();
            let what = format!("{option} names a column, and a {name} manifest has none");
            mistakes.push(Location::CommandLine, wrong(what, format!("{remedy}, and leave {option} out")));
        }
    }
}
