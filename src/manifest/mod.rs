//! Manifest reader: parses and checks the whole manifest, then yields its jobs one by one in manifest order.
//!
//! A manifest is read twice. [`open`] reads it to the end and reports every mistake at once. [`Manifest::drafts`] reads it again and
//! yields the jobs. Both passes stream rows, lines and documents, so a million of them need no more memory than ten.
//! A file that differs in the second pass is an error; it never yields a different batch.
//!
//! Stages from bytes to jobs, and the modules of each stage, from the bottom up:
//!
//! | stage | modules |
//! |---|---|
//! | mistakes and warnings, each with its location | `diagnostics` |
//! | bytes to text: file, pipe, standard input, gzip, encodings; files that are no manifest | `input`, `foreign_files` |
//! | values and fields of an entry, checked; the syntax of texts | `fields`, `syntax` |
//! | texts that are damaged, or made for other programs | `lints` |
//! | templates of texts; lists in other files; the jobs of lists and vars | `template`, `lists`, `expand` |
//! | text to entries, one file or folder for each format | `formats`, which is a table |
//! | entries to jobs, with the checks across entries | `shared_defaults`, `row_providers`, `check`, `part`, `places`, `hash_runs`, `duplicate_ids`, `entry_set`, `repeats_within`, `repeats`, `cross_checks`, `model_limits`, `summary`, `reader` |
//! | output | `listing`, `schema` |

mod check;
mod columns_as_vars;
mod cross_checks;
pub mod diagnostics;
mod duplicate_ids;
pub mod entry;
mod entry_set;
pub mod error;
mod expand;
pub mod fields;
mod foreign_files;
pub mod formats;
mod hash_runs;
pub mod input;
mod lints;
pub mod listing;
pub mod lists;
mod part;
pub mod places;
mod reader;
pub mod repeats;
mod repeats_within;
mod row_providers;
pub mod schema;
mod schema_names;
pub mod settings;
mod shared_defaults;
pub mod source;
pub mod summary;
pub mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod var_use;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, io};

use crate::manifest::check::ValidationResult;
use crate::manifest::cross_checks::CrossChecks;
use crate::manifest::diagnostics::{Diagnostic, DiagnosticList, DiagnosticReport, Location, PassDiagnostics};
use crate::manifest::duplicate_ids::IdCheck;
use crate::manifest::error::ManifestError;
use crate::manifest::input::detect::DetectedEncoding;
use crate::manifest::input::encoding::{Encoding, Unreadable};
use crate::manifest::input::{bytes, detect};
use crate::manifest::places::PlaceList;
use crate::manifest::reader::{ManifestReader, ReadSummary};
use crate::manifest::repeats::{RepeatCheck, Repeats};
use crate::manifest::settings::Settings;
use crate::manifest::source::Source;
use crate::manifest::summary::ManifestSummary;
use crate::model::job::JobSpec;
use crate::model::partition::Partition;
use crate::model::picture::SourcePicture;
use crate::model::price::Price;
use crate::model::progress::{Meter, NoProgress, Operation, Progress};

/// Computes a hash of the file's bytes and of every option that changes their meaning. The location of the file does not count.
/// A known fingerprint means that exactly this manifest was checked before.
///
/// Returns an `Unsupported` error for a pipe other than standard input, because that pipe may have no end.
/// The same error is returned for a manifest that may name other files. Their names and contents are known only after the read.
pub fn fingerprint(source: &Source) -> io::Result<[u8; 32]> {
    if bytes::n_bytes(&source.path).is_none() && !source.path.is_dir() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if reader::may_name_lists(source)? {
        return Err(io::ErrorKind::Unsupported.into());
    }
    bytes::digest(&source.path).map(|digest| source.fingerprint(digest, None))
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
    /// Columns that are used, as pairs of title and field.
    used: Vec<(String, String)>,
    census: ManifestSummary,
    /// Entries that are left out.
    skipped: PlaceList,
    repeats: Arc<Repeats>,
    settings: Settings,
    warnings: DiagnosticList,
    /// Pictures that requests name, by their names as written.
    pictures: Arc<BTreeMap<String, SourcePicture>>,
}

/// Reads and checks a whole manifest. Reports all its mistakes at once.
pub fn open(source: Source) -> Result<Manifest, ManifestError> {
    open_watched(source, &mut NoProgress)
}

/// Reads and checks a whole manifest like `open`, and reports the progress of the read.
pub fn open_watched(source: Source, progress: &mut dyn Progress) -> Result<Manifest, ManifestError> {
    let is_text = source.format().is_none_or(|format| !format.has_sheets());
    if let Some(wrong) = foreign_files::found(&source.path, source.is_verbatim).filter(|_| is_text) {
        let mut findings = PassDiagnostics::default();
        findings.mistakes.push(Location::File, wrong);
        return Err(ManifestError::Mistakes { mistakes: DiagnosticReport::new(source.path, findings) });
    }
    let (manifest, mut findings, CrossChecks { ids, repeats }) =
        read(&source, None, CrossChecks::gathered(&source), progress)?;
    let temporary = |source| ManifestError::Read { path: env::temp_dir(), source };
    let (ids, repeats) = (ids.repeated().map_err(temporary)?, repeats.found().map_err(temporary)?);
    let mut manifest = manifest;
    if ids.is_some() || repeats.changes_jobs() {
        // Reads the manifest again to find where the repeated ids are, and which jobs repeated requests make.
        let across =
            CrossChecks { ids: ids.unwrap_or(IdCheck::Different), repeats: RepeatCheck::known(Arc::clone(&repeats)) };
        let (again, found, _) = read(&source, manifest.encoding, across, progress)?;
        if again.digest != manifest.digest {
            return Err(ManifestError::Changed { path: source.path });
        }
        (manifest, findings) = (again, found);
    }
    for (place, wrong) in repeats.warnings(source.is_unique) {
        findings.warnings.push(place, wrong);
    }
    if findings.mistakes.n() > 0 {
        return Err(ManifestError::Mistakes { mistakes: DiagnosticReport::new(source.path, findings) });
    }
    Ok(Manifest { warnings: findings.warnings.sorted(&findings.parts), repeats, ..manifest })
}

/// Reads a manifest to its end, even if it has mistakes.
fn read(
    source: &Source,
    encoding: Option<Encoding>,
    across: CrossChecks,
    progress: &mut dyn Progress,
) -> Result<(Manifest, PassDiagnostics, CrossChecks), ManifestError> {
    let mut meter = Meter::begin(progress, Operation::Check, bytes::n_bytes(&source.path));
    let mut findings = PassDiagnostics::default();
    let read_all = || {
        let mut pass = ManifestReader::start(source, encoding, across, &mut findings)?;
        while let Some(draft) = pass.next_draft(&mut findings)? {
            pass.keep(draft);
            meter.at(pass.n_bytes());
        }
        let settings = pass.take_settings();
        Ok::<_, ManifestError>((settings, pass.finish(&mut findings)))
    };
    let ended = read_all();
    drop(meter);
    let unreadable = match ended {
        Ok((settings, summary)) => {
            let ReadSummary { checked, digest, lists, pictures, used } = summary;
            let ValidationResult { columns, across, census, skipped } = checked;
            let (source, warnings, repeats) = (source.clone(), DiagnosticList::default(), Arc::default());
            let pictures = Arc::new(pictures);
            let manifest = Manifest {
                source,
                encoding,
                digest,
                lists,
                columns,
                used,
                census,
                skipped,
                repeats,
                settings,
                warnings,
                pictures,
            };
            return Ok((manifest, findings, across));
        }
        Err(error) => error.into_unreadable()?,
    };
    let (place, wrong) = match unreadable {
        Unreadable::NotUtf8 => match detect::look(&source.path) {
            Ok(DetectedEncoding::Certain(encoding)) if source.encoding.is_none() => {
                return read(source, Some(encoding), CrossChecks::gathered(source), progress);
            }
            // The encoding that the user named decides, although another one is detected.
            Ok(DetectedEncoding::Certain(_)) => {
                (Location::File, diagnostics::wrong(Unreadable::NotUtf8.to_string(), "omit --encoding"))
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

    /// Returns the pictures on this disk that requests name as their source images, by their names as written.
    pub fn pictures(&self) -> &BTreeMap<String, SourcePicture> {
        &self.pictures
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

    /// Returns the entries that are left out because their `skip` says so.
    pub const fn skipped(&self) -> &PlaceList {
        &self.skipped
    }

    /// Returns the requests that several entries have.
    pub fn repeats(&self) -> &Repeats {
        &self.repeats
    }

    /// Returns the passthrough columns, in the order in which the manifest first names them. The results contain them unchanged.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Returns the columns that are used, as pairs of title and field, in the order of the table. Empty for a format without columns.
    pub fn used_columns(&self) -> &[(String, String)] {
        &self.used
    }

    /// Returns the warnings: input that is allowed and probably not intended. At most the first thousand, sorted by line.
    pub fn warnings(&self) -> &[Diagnostic] {
        self.warnings.list()
    }

    /// Returns the number of warnings, those beyond the thousandth included.
    pub const fn n_warnings(&self) -> u64 {
        self.warnings.n()
    }

    /// Returns the part that was read, and the [fingerprint] of the whole manifest; `None` for the whole.
    pub fn partition(&self) -> Option<(Partition, [u8; 32])> {
        let whole = Source { partition: None, ..self.source.clone() };
        Some((self.source.partition?, whole.fingerprint(self.digest, self.lists)))
    }

    /// Returns the [fingerprint] of the checked manifest.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.source.fingerprint(self.digest, self.lists)
    }

    /// Reads the manifest again and yields one job specification for each requested image, in manifest order. Those of
    /// skipped entries are among them, so that the index and the id of a job do not depend on what is skipped.
    ///
    /// Yields nothing if the file is not the one that [`open`] checked. If the file changes during the read, the last item is an
    /// error. The items form one consistent batch only if no error follows them.
    pub fn drafts(&self) -> Result<impl Iterator<Item = Result<JobSpec, ManifestError>> + use<>, ManifestError> {
        let path = self.path();
        if bytes::digest(path).map_err(|source| ManifestError::Read { path: path.to_owned(), source })? != self.digest {
            return Err(ManifestError::Changed { path: path.to_owned() });
        }
        let mut findings = PassDiagnostics::default();
        let across = CrossChecks { ids: IdCheck::Different, repeats: RepeatCheck::known(Arc::clone(&self.repeats)) };
        let pass = ManifestReader::start(&self.source, self.encoding, across, &mut findings)?;
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
