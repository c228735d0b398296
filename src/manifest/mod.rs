//! Manifest reader: parses and checks the whole manifest, then yields its jobs one by one in manifest order.
//!
//! A manifest is read twice. [`open`] reads it to the end and reports every mistake at once. [`Manifest::drafts`] reads it again and
//! yields the jobs. Both passes stream rows, lines and documents, so a million of them need no more memory than ten.
//! A file that differs in the second pass is an error; it never yields a different batch.
//!
//! Stages from bytes to jobs, and the files of each stage:
//!
//! | stage | files |
//! |---|---|
//! | bytes to text | `input` (file, pipe, standard input, gzip), `encoding`, `guess`, `spool` |
//! | text to entries | `documents`, `yaml`, `tree` (YAML); `table`, `rows` (CSV), `tabs` (TSV), `columns`; `jsonl`; `texts` (TXT) |
//! | values | `field`, `read`, `parts`, `range`, `lists` (other files), `families`; `fields` holds the valid ones |
//! | entries to jobs | `check`, `ways`, `sayings` and `template` (texts), `grid` and `draw` (lists), `expand`, `guard` |
//! | diagnostics and output | `mistake`, `complaint`, `source_lines`, `census`; `schema`, `listing` |

mod check;
mod columns;
mod composite_fields;
mod detect;
mod diagnostic;
mod documents;
mod duplicate_ids;
mod encoding;
mod entry;
mod expand;
mod expand_options;
mod field;
mod fields;
mod format;
mod grid;
mod hashing_reader;
mod input;
mod job_limit;
mod json;
mod jsonl;
mod line_index;
mod listing;
mod lists;
mod model_limits;
mod one_or_many;
mod permutation;
mod range;
mod read;
mod reader;
mod schema;
mod source_lines;
mod spanned;
mod spool;
mod summary;
mod table;
mod template;
mod templates;
#[cfg(test)]
mod tests;
mod text_lines;
mod tokenizer;
mod tsv;
mod txt;
mod value;
mod yaml;
mod yaml_errors;

use std::path::{Path, PathBuf};
use std::{env, io};

use self::check::ValidationResult;
use self::detect::DetectedEncoding;
pub use self::diagnostic::{Diagnostic, DiagnosticReport, Location, ManifestError, Span};
use self::diagnostic::{DiagnosticList, PassDiagnostics};
use self::duplicate_ids::IdCheck;
pub use self::encoding::Encoding;
use self::encoding::Unreadable;
pub use self::format::{Format, is_nameless, stem};
pub use self::listing::{Listing, ListingError, list};
use self::reader::{ManifestReader, ReadSummary};
pub use self::schema::schema;
pub use self::source_lines::lines_of;
pub use self::spool::is_waiting;
pub use self::summary::ManifestSummary;
use self::yaml::Settings;
use crate::model::job::JobSpec;
use crate::model::price::Price;
use crate::model::progress::{Meter, NoProgress, Operation, Progress};

/// Manifest file and the options that change its meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Path of the file, or `-` for standard input. The file may be compressed with gzip.
    pub path: PathBuf,
    /// Format of the file. `None` means the format that the file extension names.
    pub format: Option<Format>,
    /// Encoding of the file. `None` means UTF-8, or the encoding that is detected from the file's bytes.
    pub encoding: Option<Encoding>,
    /// Name of the table column or object key that holds the prompt. `None` means `prompt`.
    pub prompt_column: Option<String>,
    /// Name of the table column or object key that holds the id. `None` means `id`.
    pub id_column: Option<String>,
    /// Pairs of field and value. They override the manifest's defaults, but not an entry's own fields. The last pair of a field wins.
    pub overrides: Vec<(String, String)>,
    /// Model of the entries for which nothing else names a model. `None` means no default.
    pub default_model: Option<String>,
    /// Limit on the jobs that lists make. `None` means 10,000. Entries that make one job each are not limited.
    pub jobs_max: Option<u64>,
    /// Seed of the shuffled work order. It replaces the seed in the manifest. `None` keeps the manifest's setting.
    pub shuffle: Option<u64>,
    /// Folders whose files the manifest may name, in addition to its own folder.
    /// The own folder of a pipe or of standard input is the working directory.
    pub allowed_folders: Vec<PathBuf>,
}

impl Source {
    fn fingerprint(&self, digest: blake3::Hash, lists: Option<blake3::Hash>) -> [u8; 32] {
        // Leaves out the job limit and the allowed folders, because they do not change what the jobs are.
        let Self { path, format, encoding, prompt_column, id_column, overrides, default_model, .. } = self;
        let Self { jobs_max: _, shuffle, allowed_folders: _, .. } = self;
        let format = format.or_else(|| Format::of(path)).map_or("", Format::name);
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: Option<&str>| {
            // Length of each part precedes the part, so that two adjacent parts cannot be confused. `u64::MAX` marks an absent part.
            hasher.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
            hasher.update(text.unwrap_or_default().as_bytes());
        };
        add(Some("promptbatch manifest 2"));
        add(Some(format));
        add(encoding.map(Encoding::name));
        add(prompt_column.as_deref());
        add(id_column.as_deref());
        add(default_model.as_deref());
        for (field, value) in overrides {
            add(Some(field));
            add(Some(value));
        }
        if let Some(seed) = shuffle {
            add(Some("shuffle"));
            add(Some(&seed.to_string()));
        }
        hasher.update(digest.as_bytes());
        if let Some(lists) = lists {
            hasher.update(lists.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

/// Computes a hash of the file's bytes and of every option that changes their meaning. The location of the file does not count.
/// A known fingerprint means that exactly this manifest was checked before.
///
/// Returns an `Unsupported` error for a pipe other than standard input, because that pipe may have no end.
/// The same error is returned for a manifest that may name other files. Their names and contents are known only after the read.
pub fn fingerprint(source: &Source) -> io::Result<[u8; 32]> {
    if input::n_bytes(&source.path).is_none() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if reader::may_name_lists(source)? {
        return Err(io::ErrorKind::Unsupported.into());
    }
    input::digest(&source.path).map(|digest| source.fingerprint(digest, None))
}

/// Manifest that passed all checks.
#[derive(Clone, Debug)]
pub struct Manifest {
    source: Source,
    /// Encoding that was detected from the whole file. `None` if no detection was needed.
    encoding: Option<Encoding>,
    /// Hash of the file's bytes as they are on disk.
    digest: blake3::Hash,
    /// Hash of all list files that the manifest names. `None` if it names none.
    lists: Option<blake3::Hash>,
    columns: Vec<String>,
    census: ManifestSummary,
    settings: Settings,
    warnings: DiagnosticList,
}

/// Reads and checks a whole manifest. Reports all its mistakes at once.
pub fn open(source: Source) -> Result<Manifest, ManifestError> {
    open_watched(source, &mut NoProgress)
}

/// Reads and checks a whole manifest like `open`, and reports the progress of the read.
pub fn open_watched(source: Source, progress: &mut dyn Progress) -> Result<Manifest, ManifestError> {
    let (manifest, findings, ids) = read(&source, None, IdCheck::gathered(), progress)?;
    let temporary = |source| ManifestError::Read { path: env::temp_dir(), source };
    let findings = match ids.repeated().map_err(temporary)? {
        None => findings,
        // Reads the manifest again to find where the repeated ids are.
        Some(ids) => {
            let (again, findings, _) = read(&source, manifest.encoding, ids, progress)?;
            if again.digest != manifest.digest {
                return Err(ManifestError::Changed { path: source.path });
            }
            findings
        }
    };
    if findings.mistakes.n() > 0 {
        return Err(ManifestError::Mistakes { mistakes: DiagnosticReport::new(source.path, findings) });
    }
    Ok(Manifest { warnings: findings.warnings.sorted(), ..manifest })
}

/// Reads a manifest to its end, even if it has mistakes.
fn read(
    source: &Source,
    encoding: Option<Encoding>,
    ids: IdCheck,
    progress: &mut dyn Progress,
) -> Result<(Manifest, PassDiagnostics, IdCheck), ManifestError> {
    let mut meter = Meter::begin(progress, Operation::Check, input::n_bytes(&source.path));
    let mut findings = PassDiagnostics::default();
    let read_all = || {
        let mut pass = ManifestReader::start(source, encoding, ids, &mut findings)?;
        while let Some(draft) = pass.next_draft(&mut findings)? {
            pass.keep(draft);
            pass.n_bytes().into_iter().for_each(|n_bytes| meter.at(n_bytes));
        }
        let settings = pass.take_settings();
        Ok::<_, ManifestError>((settings, pass.finish(&mut findings)))
    };
    let ended = read_all();
    drop(meter);
    let unreadable = match ended {
        Ok((settings, ReadSummary { checked: ValidationResult { columns, ids, census }, digest, lists })) => {
            let (source, warnings) = (source.clone(), DiagnosticList::default());
            let manifest = Manifest { source, encoding, digest, lists, columns, census, settings, warnings };
            return Ok((manifest, findings, ids));
        }
        Err(error) => error.into_unreadable()?,
    };
    let (place, wrong) = match unreadable {
        Unreadable::NotUtf8 => match detect::look(&source.path) {
            Ok(DetectedEncoding::Certain(encoding)) if source.encoding.is_none() => {
                return read(source, Some(encoding), IdCheck::gathered(), progress);
            }
            // The encoding that the user named decides, although another one is detected.
            Ok(DetectedEncoding::Certain(_)) => {
                (Location::File, diagnostic::wrong(Unreadable::NotUtf8.to_string(), "omit --encoding"))
            }
            Ok(DetectedEncoding::Doubtful { line, likely }) => detect::refusal(line, Some(likely)),
            Ok(DetectedEncoding::Mixed { line }) => detect::refusal(line, None),
            Err(error) => ManifestError::Read { path: source.path.clone(), source: error }.into_unreadable()?.told(),
        },
        other => other.told(),
    };
    findings.mistakes.push(place, wrong);
    Err(ManifestError::Mistakes { mistakes: DiagnosticReport::new(source.path.clone(), findings) })
}

impl Manifest {
    /// Returns the path of the file, or `-` for standard input.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Returns the file and the options that change its meaning.
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the number of requested images. Each entry counts as often as its `n` says.
    pub const fn n_jobs(&self) -> u64 {
        self.census.n_jobs()
    }

    /// Returns the price of an image. `None` if the manifest states none.
    pub const fn price(&self) -> Option<&Price> {
        self.settings.price.as_ref()
    }

    /// Returns the seed of the shuffled work order: that of the source, else that of the manifest. `None` means manifest order.
    pub fn shuffle(&self) -> Option<u64> {
        self.source.shuffle.or(self.settings.shuffle)
    }

    /// Returns the summary of the jobs: models, sizes, the first jobs and the last.
    pub const fn census(&self) -> &ManifestSummary {
        &self.census
    }

    /// Returns the passthrough columns, in the order in which the manifest first names them. The results contain them unchanged.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the warnings: input that is allowed and probably not intended. At most the first thousand, sorted by line.
    pub fn warnings(&self) -> &[Diagnostic] {
        self.warnings.list()
    }

    /// Returns the number of warnings, those beyond the thousandth included.
    pub const fn n_warnings(&self) -> u64 {
        self.warnings.n()
    }

    /// Returns the [fingerprint] of the checked manifest.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.source.fingerprint(self.digest, self.lists)
    }

    /// Reads the manifest again and yields one job specification for each requested image, in manifest order.
    ///
    /// Yields nothing if the file is not the one that [`open`] checked. If the file changes during the read, the last item is an
    /// error. The items form one consistent batch only if no error follows them.
    pub fn drafts(&self) -> Result<impl Iterator<Item = Result<JobSpec, ManifestError>> + use<>, ManifestError> {
        let path = self.path();
        if input::digest(path).map_err(|source| ManifestError::Read { path: path.to_owned(), source })? != self.digest {
            return Err(ManifestError::Changed { path: path.to_owned() });
        }
        let mut findings = PassDiagnostics::default();
        let pass = ManifestReader::start(&self.source, self.encoding, IdCheck::Different, &mut findings)?;
        Ok(JobSpecs { path: path.to_owned(), digest: self.digest, lists: self.lists, pass: Some(pass), findings })
    }
}

/// Iterator over the jobs of the second pass.
struct JobSpecs {
    path: PathBuf,
    digest: blake3::Hash,
    lists: Option<blake3::Hash>,
    pass: Option<ManifestReader>,
    findings: PassDiagnostics,
}

impl Iterator for JobSpecs {
    type Item = Result<JobSpec, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.pass.as_mut()?.next_draft(&mut self.findings) {
            Ok(Some(draft)) => Some(Ok(draft)),
            Ok(None) => {
                let ReadSummary { digest, lists, .. } = self.pass.take()?.finish(&mut self.findings);
                let is_same = digest == self.digest && lists == self.lists && self.findings.mistakes.n() == 0;
                (!is_same).then(|| Err(ManifestError::Changed { path: self.path.clone() }))
            }
            Err(error) => {
                self.pass = None;
                Some(Err(error))
            }
        }
    }
}
