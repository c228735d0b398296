//! Single pass over a manifest in any format: from its bytes to checked jobs.

use std::io::{self, BufRead};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::Source;
use crate::manifest::check::{EntryValidator, SharedDefaults, ValidationResult};
use crate::manifest::columns::ColumnOptions;
use crate::manifest::diagnostic::{DiagnosticList, Location, ManifestError, PassDiagnostics, wrong};
use crate::manifest::documents::Documents;
use crate::manifest::duplicate_ids::IdCheck;
use crate::manifest::encoding::Encoding;
use crate::manifest::entry::{Entry, FieldEntry, UnparsedValue};
use crate::manifest::expand::JobIterator;
use crate::manifest::field::{Field, nearest};
use crate::manifest::format::{Format, is_nameless};
use crate::manifest::input::ManifestInput;
use crate::manifest::job_limit::JOBS_MAX;
use crate::manifest::jsonl::Jsonl;
use crate::manifest::lists::ListFiles;
use crate::manifest::read::shown_text;
use crate::manifest::table::Table;
use crate::manifest::txt::TxtEntries;
use crate::manifest::yaml::{self, Settings};
use crate::model::job::JobSpec;

/// State of a pass in progress.
pub(super) struct ManifestReader {
    path: PathBuf,
    /// `None` if there is nothing to read; the diagnostics say why.
    entries: Option<Box<dyn EntrySource>>,
    settings: Settings,
    lists: ListFiles,
    checker: EntryValidator,
    /// Remaining jobs of the current entry.
    jobs: Option<JobIterator>,
}

/// Entries of a manifest in any format, in file order.
pub(super) trait EntrySource {
    /// Returns the next entry. Problems before that entry go to `findings`. An entry may name list files in the manifest's folder.
    fn next_entry(&mut self, lists: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>>;

    /// Returns the input that the entries are read from.
    fn input(&self) -> &ManifestInput;
}

impl ManifestReader {
    /// Begins to read, in the encoding that an earlier pass detected. Mistakes go to `findings`. An unreadable file is an error.
    pub(super) fn start(
        source: &Source,
        encoding: Option<Encoding>,
        ids: IdCheck,
        findings: &mut PassDiagnostics,
    ) -> Result<Self, ManifestError> {
        let path = &source.path;
        let format = source.format.or_else(|| Format::of(path));
        let format = format.ok_or_else(|| ManifestError::UnknownFormat { path: path.clone() })?;
        // Uses the working directory as the folder of a manifest without a name of its own.
        let folder = path.parent().filter(|_| !is_nameless(path)).unwrap_or(Path::new(""));
        let mut lists = ListFiles::new(folder.to_owned(), &source.allowed_folders);
        let mut shared = SharedDefaults::default();
        let mut settings = Settings::default();
        shared.lay_under(given_overrides(source, &mut findings.mistakes), &mut findings.mistakes);
        refuse_column_options(source, format, &mut findings.mistakes);
        let input = ManifestInput::open(path, source.encoding.or(encoding));
        let entries = input.and_then(|input| {
            warn_of_encoding(source, &input, &mut findings.warnings);
            open(
                format,
                input,
                source,
                &mut HeadSettings { shared: &mut shared, settings: &mut settings, lists: &mut lists },
                findings,
            )
        });
        let entries = entries.map_err(|source| ManifestError::Read { path: path.clone(), source })?;
        shared.lay_under(given_model(source), &mut findings.mistakes);
        let checker = EntryValidator::new(shared, ids, source.jobs_max.unwrap_or(JOBS_MAX));
        Ok(Self { path: path.clone(), entries, settings, lists, checker, jobs: None })
    }

    /// Returns the next valid job. The mistakes of invalid jobs before it go to `findings`.
    pub(super) fn next_draft(&mut self, findings: &mut PassDiagnostics) -> Result<Option<JobSpec>, ManifestError> {
        loop {
            if let Some(draft) = self.jobs.as_mut().and_then(|jobs| jobs.next(&mut self.checker, findings)) {
                return Ok(Some(draft));
            }
            let Some(entries) = &mut self.entries else { return Ok(None) };
            let entry = entries.next_entry(&mut self.lists, findings);
            let entry = entry.map_err(|source| ManifestError::Read { path: self.path.clone(), source })?;
            let Some(entry) = entry else { return Ok(None) };
            let place = entry.place;
            self.jobs = self.checker.check(entry, &mut self.lists, findings).map(|jobs| JobIterator::new(jobs, place));
        }
    }

    /// Adds a job to the summary.
    pub(super) fn keep(&mut self, draft: JobSpec) {
        self.checker.keep(draft);
    }

    /// Returns how many bytes of the file have been read, before decompression.
    pub(super) fn n_bytes(&self) -> Option<u64> {
        self.entries.as_ref().map(|entries| entries.input().n_bytes())
    }

    /// Takes the settings of the whole run.
    pub(super) fn take_settings(&mut self) -> Settings {
        mem::take(&mut self.settings)
    }

    pub(super) fn finish(self, findings: &mut PassDiagnostics) -> ReadSummary {
        let digest = self.entries.map_or(blake3::hash(&[]), |entries| entries.input().digest());
        ReadSummary { checked: self.checker.finish(findings), digest, lists: self.lists.digest() }
    }
}

/// Results that are known at the end of a manifest.
pub(super) struct ReadSummary {
    pub(super) checked: ValidationResult,
    /// Hash of all bytes of the file.
    pub(super) digest: blake3::Hash,
    /// Hash of all list files that were read. `None` if there were none.
    pub(super) lists: Option<blake3::Hash>,
}

/// Returns whether the manifest may name other files. A search for two words decides.
pub(super) fn may_name_lists(source: &Source) -> io::Result<bool> {
    if source.format.or_else(|| Format::of(&source.path)) != Some(Format::Yaml) {
        return Ok(false);
    }
    let words = yaml::WORDS_OF_OTHER_FILES;
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

/// Settings that a manifest gives before its entries.
struct HeadSettings<'a> {
    shared: &'a mut SharedDefaults,
    settings: &'a mut Settings,
    lists: &'a mut ListFiles,
}

/// Opens the entries of a file in this format. The file's own defaults go below the shared fields that exist already.
fn open(
    format: Format,
    input: ManifestInput,
    source: &Source,
    head: &mut HeadSettings,
    findings: &mut PassDiagnostics,
) -> io::Result<Option<Box<dyn EntrySource>>> {
    let names = ColumnOptions { prompt: source.prompt_column.clone(), id: source.id_column.clone() };
    let boxed = |table: Option<Table>| table.map(|table| Box::new(table) as Box<dyn EntrySource>);
    Ok(match format {
        Format::Yaml => {
            let (documents, parsed) = Documents::open(input, head.lists, findings)?;
            head.shared.ways = Arc::new(parsed.ways);
            head.shared.lay_under(parsed.defaults, &mut findings.mistakes);
            head.shared.extras = parsed.extras;
            *head.settings = parsed.settings;
            Some(Box::new(documents))
        }
        Format::Csv => boxed(Table::open_csv(input, &names, findings)?),
        Format::Tsv => boxed(Table::open_tsv(input, &names, findings)?),
        Format::Jsonl => Some(Box::new(Jsonl::new(input, names))),
        Format::Txt => Some(Box::new(TxtEntries::new(input))),
    })
}

/// Warns if the file is not read as UTF-8 and the user did not name an encoding.
fn warn_of_encoding(source: &Source, input: &ManifestInput, warnings: &mut DiagnosticList) {
    let encoding = input.encoding();
    if encoding != Encoding::UTF8 && source.encoding.is_none() {
        let what = format!("the file is not UTF-8 and is read as {encoding}");
        let remedy = format!("check the prompts; confirm with --encoding {encoding}");
        warnings.push(Location::File, wrong(what, remedy));
    }
}

fn given_overrides(source: &Source, mistakes: &mut DiagnosticList) -> Vec<FieldEntry> {
    let place = Location::CommandLine;
    let mut given = Vec::new();
    for (name, value) in &source.overrides {
        match Field::named(name) {
            Some(field) if field.is_of_one_entry() => {
                let what = format!("--set {name} would give all entries the same `{name}`");
                mistakes.push(place, wrong(what, "write it in the manifest, entry by entry"));
            }
            Some(field) => given.push(FieldEntry::one(field, UnparsedValue::Cell(value.clone()), place)),
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

fn given_model(source: &Source) -> Vec<FieldEntry> {
    let raw = source.default_model.clone().map(UnparsedValue::Cell);
    raw.into_iter().map(|raw| FieldEntry::one(Field::Model, raw, Location::CommandLine)).collect()
}

/// Reports options that name a column, for formats without columns.
fn refuse_column_options(source: &Source, format: Format, mistakes: &mut DiagnosticList) {
    let remedy = match format {
        Format::Csv | Format::Tsv | Format::Jsonl => return,
        Format::Yaml => |field: Field| format!("name the field `{}` in the manifest", field.name()),
        Format::Txt => |_| "every line is a prompt".to_owned(),
    };
    for (option, column, field) in
        [("--prompt-col", &source.prompt_column, Field::Prompt), ("--id-col", &source.id_column, Field::Id)]
    {
        if column.is_some() {
            let name = format.name().to_uppercase();
            let what = format!("{option} names a column, and a {name} manifest has none");
            mistakes.push(Location::CommandLine, wrong(what, format!("{}, and leave {option} out", remedy(field))));
        }
    }
}
