//! Reads what the user wrote, checks all of it, and gives the wanted images one by one: in manifest order, as often as asked.
//!
//! A manifest is read twice. [`open`] reads it to the end and tells every mistake at once; [`Manifest::drafts`] reads it again and
//! gives the work. Rows, lines and documents are streamed both times, so a million of them cost no more memory than ten.
//! A file that is not the same the second time is an error, and never a different batch.
//!
//! On its way from bytes to jobs a manifest passes these files:
//!
//! | | |
//! |---|---|
//! | bytes to text | `input` (file, pipe, standard input, gzip), `encoding`, `guess`, `spool` |
//! | text to entries | `documents`, `yaml`, `tree` (YAML); `table`, `rows` (CSV), `tabs` (TSV), `columns`; `jsonl`; `texts` (TXT) |
//! | values | `field`, `read`, `parts`, `range`, `lists` (other files), `families`; `fields` holds the good ones |
//! | entries to jobs | `check`, `ways`, `sayings` and `template` (texts), `grid` and `draw` (lists), `expand`, `guard` |
//! | what is told | `mistake`, `complaint`, `source_lines`, `census`; `schema`, `listing` |

mod axis;
mod census;
mod check;
mod columns;
mod complaint;
mod documents;
mod draw;
mod encoding;
mod entry;
mod expand;
mod families;
mod field;
mod fields;
mod format;
mod grid;
mod guard;
mod guess;
mod hashed;
mod ids;
mod input;
mod json;
mod jsonl;
mod lines;
mod listing;
mod lists;
mod mistake;
mod parts;
mod pass;
mod range;
mod read;
mod rows;
mod sayings;
mod schema;
mod source_lines;
mod spool;
mod table;
mod tabs;
mod template;
#[cfg(test)]
mod tests;
mod text_lines;
mod texts;
mod tree;
mod value;
mod ways;
mod yaml;

use std::path::{Path, PathBuf};
use std::{env, io};

pub use self::census::Census;
use self::check::Checked;
pub use self::encoding::Encoding;
use self::encoding::Unreadable;
pub use self::format::{Format, is_nameless, stem};
use self::guess::Guess;
use self::ids::Ids;
pub use self::listing::{Listing, ListingError, list};
use self::mistake::{Findings, Found};
pub use self::mistake::{ManifestError, Mistake, Mistakes, Place, Span};
use self::pass::{End, Pass};
pub use self::schema::schema;
pub use self::source_lines::lines_of;
pub use self::spool::is_waiting;
use self::yaml::Settings;
use crate::model::job::Draft;
use crate::model::price::Price;
use crate::model::progress::{Chore, Meter, Progress, Unseen};

/// A manifest and the options that change what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The file, or `-` for standard input. It may be compressed by gzip.
    pub path: PathBuf,
    /// Its format, where the ending of its name does not tell.
    pub format: Option<Format>,
    /// Its encoding, where it is not UTF-8 and does not show what it is.
    pub encoding: Option<Encoding>,
    /// The column of a table, or the key of an object, that holds the prompts, where it is not called `prompt`.
    pub prompt_column: Option<String>,
    /// The column of a table that holds the ids, where it is not called `id`.
    pub id_column: Option<String>,
    /// Fields and values that beat the manifest's defaults, but not what an entry says itself; of one given twice the last.
    pub overrides: Vec<(String, String)>,
    /// The model of entries for which nothing else names one.
    pub default_model: Option<String>,
    /// How many jobs lists may make; 10,000 if nobody says more. Entries that are one job each are not limited.
    pub jobs_max: Option<u64>,
    /// The seed by which the order of the work is drawn, whatever the manifest says.
    pub shuffle: Option<u64>,
    /// Folders that the manifest may name files in, beside its own. Of a pipe or standard input its own is the current one.
    pub allowed_folders: Vec<PathBuf>,
}

impl Source {
    fn fingerprint(&self, digest: blake3::Hash, lists: Option<blake3::Hash>) -> [u8; 32] {
        // How many jobs are allowed, and which files, does not change what they are.
        let Self { path, format, encoding, prompt_column, id_column, overrides, default_model, .. } = self;
        let Self { jobs_max: _, shuffle, allowed_folders: _, .. } = self;
        let format = format.or_else(|| Format::of(path)).map_or("", Format::name);
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: Option<&str>| {
            // Every part carries its length, so that none can run into the next; an absent one has none.
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

/// A hash of the file's bytes and of every option that changes what they mean: where it is known, that very manifest was checked before.
/// Where the file lies does not matter. Only of a file proper, or of standard input: another pipe may have no end. And not of one that may name other files: which ones, and what they hold, is known when it has been read.
pub fn fingerprint(source: &Source) -> io::Result<[u8; 32]> {
    if input::n_bytes(&source.path).is_none() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if pass::may_name_lists(source)? {
        return Err(io::ErrorKind::Unsupported.into());
    }
    input::digest(&source.path).map(|digest| source.fingerprint(digest, None))
}

/// A checked manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    source: Source,
    /// What the file is in, if that was found out by a look at all of it.
    encoding: Option<Encoding>,
    /// The hash of the file's bytes.
    digest: blake3::Hash,
    /// The hash of all lists that it names, if it names any.
    lists: Option<blake3::Hash>,
    columns: Vec<String>,
    census: Census,
    settings: Settings,
    warnings: Found,
}

/// Reads and checks a whole manifest. All its mistakes are told at once.
pub fn open(source: Source) -> Result<Manifest, ManifestError> {
    open_watched(source, &mut Unseen)
}

/// The same, told step by step.
pub fn open_watched(source: Source, progress: &mut dyn Progress) -> Result<Manifest, ManifestError> {
    let (manifest, findings, ids) = read(&source, None, Ids::gathered(), progress)?;
    let temporary = |source| ManifestError::Read { path: env::temp_dir(), source };
    let findings = match ids.repeated().map_err(temporary)? {
        None => findings,
        // Which ones they are is told by reading it all again, for once.
        Some(ids) => {
            let (again, findings, _) = read(&source, manifest.encoding, ids, progress)?;
            if again.digest != manifest.digest {
                return Err(ManifestError::Changed { path: source.path });
            }
            findings
        }
    };
    if findings.mistakes.n() > 0 {
        return Err(ManifestError::Mistakes { mistakes: Mistakes::new(source.path, findings) });
    }
    Ok(Manifest { warnings: findings.warnings.sorted(), ..manifest })
}

/// Reads a manifest to its end, whatever is wrong with it.
fn read(
    source: &Source,
    encoding: Option<Encoding>,
    ids: Ids,
    progress: &mut dyn Progress,
) -> Result<(Manifest, Findings, Ids), ManifestError> {
    let mut meter = Meter::begin(progress, Chore::Check, input::n_bytes(&source.path));
    let mut findings = Findings::default();
    let read_all = || {
        let mut pass = Pass::start(source, encoding, ids, &mut findings)?;
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
        Ok((settings, End { checked: Checked { columns, ids, census }, digest, lists })) => {
            let (source, warnings) = (source.clone(), Found::default());
            let manifest = Manifest { source, encoding, digest, lists, columns, census, settings, warnings };
            return Ok((manifest, findings, ids));
        }
        Err(error) => error.into_unreadable()?,
    };
    let (place, wrong) = match unreadable {
        Unreadable::NotUtf8 => match guess::look(&source.path) {
            Ok(Guess::Certain(encoding)) => return read(source, Some(encoding), Ids::gathered(), progress),
            Ok(Guess::Doubtful { line, likely }) => guess::refusal(line, Some(likely)),
            Ok(Guess::Mixed { line }) => guess::refusal(line, None),
            Err(error) => ManifestError::Read { path: source.path.clone(), source: error }.into_unreadable()?.told(),
        },
        other => other.told(),
    };
    findings.mistakes.push(place, wrong);
    Err(ManifestError::Mistakes { mistakes: Mistakes::new(source.path.clone(), findings) })
}

impl Manifest {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// The file, and the options that change what it means.
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// How many images are wanted: every entry as often as its `n` says.
    pub const fn n_jobs(&self) -> u64 {
        self.census.n_jobs()
    }

    /// What an image costs, if the manifest says so.
    pub const fn price(&self) -> Option<&Price> {
        self.settings.price.as_ref()
    }

    /// The seed by which the order of the work is drawn, if the manifest or its source asks for that.
    pub fn shuffle(&self) -> Option<u64> {
        self.source.shuffle.or(self.settings.shuffle)
    }

    /// What it comes to: models, sizes, the first jobs and the last.
    pub const fn census(&self) -> &Census {
        &self.census
    }

    /// The columns that are carried through to the results, in the order in which the manifest first names them.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What is allowed and probably not meant: the first thousand, by line.
    pub fn warnings(&self) -> &[Mistake] {
        self.warnings.list()
    }

    /// How many warnings there are, those beyond the thousandth included.
    pub const fn n_warnings(&self) -> u64 {
        self.warnings.n()
    }

    /// The [fingerprint] of what was checked.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.source.fingerprint(self.digest, self.lists)
    }

    /// Reads the manifest again and gives a draft for each wanted image, in manifest order.
    ///
    /// Nothing is given when the file is not what [`open`] checked. Should it be changed while it is read, the last item is an
    /// error: what came before it belongs together only when no error came.
    pub fn drafts(&self) -> Result<impl Iterator<Item = Result<Draft, ManifestError>> + use<>, ManifestError> {
        let path = self.path();
        if input::digest(path).map_err(|source| ManifestError::Read { path: path.to_owned(), source })? != self.digest {
            return Err(ManifestError::Changed { path: path.to_owned() });
        }
        let mut findings = Findings::default();
        let pass = Pass::start(&self.source, self.encoding, Ids::Different, &mut findings)?;
        Ok(Drafts { path: path.to_owned(), digest: self.digest, lists: self.lists, pass: Some(pass), findings })
    }
}

/// The second pass.
struct Drafts {
    path: PathBuf,
    digest: blake3::Hash,
    lists: Option<blake3::Hash>,
    pass: Option<Pass>,
    findings: Findings,
}

impl Iterator for Drafts {
    type Item = Result<Draft, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.pass.as_mut()?.next_draft(&mut self.findings) {
            Ok(Some(draft)) => Some(Ok(draft)),
            Ok(None) => {
                let End { digest, lists, .. } = self.pass.take()?.finish(&mut self.findings);
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
