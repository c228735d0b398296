//! One pass over a manifest in any format: from its bytes to checked entries.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{mem, vec};

use crate::manifest::Source;
use crate::manifest::check::{Checked, Checker, Shared};
use crate::manifest::entry::{Entry, Given, Raw};
use crate::manifest::expand::Expand;
use crate::manifest::field::{Field, nearest};
use crate::manifest::guard::JOBS_MAX;
use crate::manifest::hashed::Hashed;
use crate::manifest::ids::Ids;
use crate::manifest::lists::Lists;
use crate::manifest::mistake::{Findings, Found, ManifestError, Place, wrong};
use crate::manifest::read::shown_text;
use crate::manifest::table::{Names, Table};
use crate::manifest::yaml::{self, Parsed, Settings};
use crate::model::job::Draft;

/// The largest YAML file: it is held in memory, many times its size.
const YAML_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The most lines of a YAML file: the place of each is held in memory too.
const YAML_LINES_MAX: usize = 4_000_000;

/// A pass that is under way.
pub(super) struct Pass {
    path: PathBuf,
    entries: Entries,
    settings: Settings,
    lists: Lists,
    checker: Checker,
    /// What is left of the present entry.
    jobs: Option<Expand>,
}

/// Where the entries come from.
enum Entries {
    /// From memory, and the hash of the file that they were read from.
    List(vec::IntoIter<Entry>, blake3::Hash),
    /// From disk, row by row.
    Table(Box<Table<BufReader<Hashed<File>>>>),
}

impl Pass {
    /// Begins to read. Mistakes that are found go to the findings; what cannot be read at all is an error.
    pub(super) fn start(source: &Source, ids: Ids, findings: &mut Findings) -> Result<Self, ManifestError> {
        let path = &source.path;
        let read_error = |source| ManifestError::Read { path: path.clone(), source };
        let mut lists = Lists::new(path.parent().unwrap_or(Path::new("")).to_owned());
        let mut shared = Shared::default();
        let mut settings = Settings::default();
        shared.lay_under(given_overrides(source, &mut findings.mistakes), &mut findings.mistakes);
        let entries = match Format::of(path)? {
            Format::Yaml => {
                refuse_column_options(source, &mut findings.mistakes);
                let bytes = bytes_of(path).map_err(read_error)?;
                let parsed = if is_too_large(&bytes, &mut findings.mistakes) {
                    Parsed::default()
                } else {
                    yaml::parse(&bytes, &mut lists, findings)
                };
                shared.ways = Arc::new(parsed.ways);
                shared.lay_under(parsed.defaults, &mut findings.mistakes);
                shared.extras = parsed.extras;
                settings = parsed.settings;
                Entries::List(parsed.entries.into_iter(), blake3::hash(&bytes))
            }
            Format::Csv => {
                let input = BufReader::new(Hashed::new(File::open(path).map_err(read_error)?));
                let names = Names { prompt: source.prompt_column.as_deref(), id: source.id_column.as_deref() };
                match Table::open(input, b',', names, findings).map_err(read_error)? {
                    Some(table) => Entries::Table(Box::new(table)),
                    None => Entries::List(Vec::new().into_iter(), blake3::hash(&[])),
                }
            }
        };
        shared.lay_under(given_model(source), &mut findings.mistakes);
        let checker = Checker::new(shared, ids, source.jobs_max.unwrap_or(JOBS_MAX));
        Ok(Self { path: path.clone(), entries, settings, lists, checker, jobs: None })
    }

    /// The next good job; the mistakes of those before it go to the findings.
    pub(super) fn next_draft(&mut self, findings: &mut Findings) -> Result<Option<Draft>, ManifestError> {
        loop {
            if let Some(draft) = self.jobs.as_mut().and_then(|jobs| jobs.next(&mut self.checker, findings)) {
                return Ok(Some(draft));
            }
            let entry = match &mut self.entries {
                Entries::List(entries, _) => Ok(entries.next()),
                Entries::Table(table) => table.next_entry(&mut findings.mistakes),
            };
            let entry = entry.map_err(|source| ManifestError::Read { path: self.path.clone(), source })?;
            let Some(entry) = entry else { return Ok(None) };
            let place = entry.place;
            self.jobs = self.checker.check(entry, &mut self.lists, findings).map(|jobs| Expand::new(jobs, place));
        }
    }

    /// Takes a job as one of those that are shown.
    pub(super) fn keep(&mut self, draft: Draft) {
        self.checker.keep(draft);
    }

    /// How many bytes of the file have been read; a list is read as a whole.
    pub(super) fn n_bytes(&self) -> Option<u64> {
        match &self.entries {
            Entries::List(..) => None,
            Entries::Table(table) => Some(table.input().get_ref().n_bytes()),
        }
    }

    /// What the manifest says of the run as a whole.
    pub(super) fn take_settings(&mut self) -> Settings {
        mem::take(&mut self.settings)
    }

    /// What is known at the end.
    pub(super) fn finish(self, findings: &mut Findings) -> End {
        let digest = match &self.entries {
            Entries::List(_, digest) => *digest,
            Entries::Table(table) => table.input().get_ref().digest(),
        };
        End { checked: self.checker.finish(findings), digest, lists: self.lists.digest() }
    }
}

/// What is known when a manifest has been read to its end.
pub(super) struct End {
    pub(super) checked: Checked,
    /// The hash of all bytes of the file.
    pub(super) digest: blake3::Hash,
    /// The hash of all lists that were read beside it, if there were any.
    pub(super) lists: Option<blake3::Hash>,
}

/// Whether the manifest may name other files, as far as a look at its words can tell.
pub(super) fn may_name_lists(path: &Path) -> io::Result<bool> {
    if !matches!(Format::of(path), Ok(Format::Yaml)) {
        return Ok(false);
    }
    let bytes = bytes_of(path)?;
    Ok(yaml::WORDS_OF_OTHER_FILES.iter().any(|word| bytes.windows(word.len()).any(|part| part == word.as_bytes())))
}

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Yaml,
    Csv,
}

impl Format {
    fn of(path: &Path) -> Result<Self, ManifestError> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("yaml" | "yml") => Ok(Self::Yaml),
            Some("csv") => Ok(Self::Csv),
            Some(_) | None => Err(ManifestError::UnknownFormat { path: path.to_owned() }),
        }
    }
}

/// The bytes of a file, but no more than show that it is too large.
fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(YAML_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_too_large(bytes: &[u8], mistakes: &mut Found) -> bool {
    let n_lines = || bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let what = if bytes.len() as u64 > YAML_BYTES_MAX {
        format!("the file is larger than {} MiB", YAML_BYTES_MAX / (1024 * 1024))
    } else if n_lines() > YAML_LINES_MAX {
        format!("the file has more than {YAML_LINES_MAX} lines")
    } else {
        return false;
    };
    mistakes.push(Place::File, wrong(what, "write it as CSV, which is read row by row"));
    true
}

fn given_overrides(source: &Source, mistakes: &mut Found) -> Vec<Given> {
    let place = Place::CommandLine;
    let mut given = Vec::new();
    for (name, value) in &source.overrides {
        match Field::named(name) {
            Some(field) if field.is_of_one_entry() => {
                let what = format!("--set {name} would give all entries the same `{name}`");
                mistakes.push(place, wrong(what, "write it in the manifest, entry by entry"));
            }
            Some(field) => given.push(Given::one(field, Raw::Cell(value.clone()), place)),
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

fn given_model(source: &Source) -> Vec<Given> {
    let raw = source.default_model.clone().map(Raw::Cell);
    raw.into_iter().map(|raw| Given::one(Field::Model, raw, Place::CommandLine)).collect()
}

/// Only tables have columns to name.
fn refuse_column_options(source: &Source, mistakes: &mut Found) {
    for (option, column, field) in
        [("--prompt-col", &source.prompt_column, Field::Prompt), ("--id-col", &source.id_column, Field::Id)]
    {
        if column.is_some() {
            let what = format!("{option} names a column, and a YAML manifest has none");
            let remedy = format!("call the field `{}` in the manifest, and leave {option} out", field.name());
            mistakes.push(Place::CommandLine, wrong(what, remedy));
        }
    }
}
