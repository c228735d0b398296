//! Reads what the user wrote, checks all of it, and gives the wanted images one by one: in manifest order, as often as asked.
//!
//! A manifest is read twice. [`open`] reads it to the end and tells every mistake at once; [`Manifest::drafts`] reads it again and
//! gives the work. Tables are streamed both times, so a million rows cost no more memory than ten.
//! A file that is not the same the second time is an error, and never a different batch.

mod check;
mod complaint;
#[cfg(test)]
mod draw;
mod encoding;
mod entry;
mod expand;
#[cfg(test)]
mod families;
mod field;
mod hashed;
mod ids;
mod json;
mod lines;
#[cfg(test)]
mod lists;
mod mistake;
mod parts;
mod pass;
#[cfg(test)]
mod range;
mod read;
mod rows;
mod table;
#[cfg(test)]
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod yaml;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use self::expand::Expand;
use self::ids::Ids;
use self::mistake::Findings;
pub use self::mistake::{ManifestError, Mistake, Mistakes, Place};
use self::pass::Pass;
use crate::model::job::Draft;
use crate::model::progress::{Chore, Meter, Progress, Unseen};

/// A manifest and the options that change what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The file; the ending of its name tells the format: `.yaml`, `.yml` or `.csv`.
    pub path: PathBuf,
    /// The column of a table that holds the prompts, where it is not called `prompt`.
    pub prompt_column: Option<String>,
    /// The column of a table that holds the ids, where it is not called `id`.
    pub id_column: Option<String>,
    /// Fields and values that beat the manifest's defaults, but not what an entry says itself; of one given twice the last.
    pub overrides: Vec<(String, String)>,
    /// The model of entries for which nothing else names one.
    pub default_model: Option<String>,
}

impl Source {
    fn fingerprint(&self, digest: blake3::Hash) -> [u8; 32] {
        let Self { path, prompt_column, id_column, overrides, default_model } = self;
        let format = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: Option<&str>| {
            // Every part carries its length, so that none can run into the next; an absent one has none.
            hasher.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
            hasher.update(text.unwrap_or_default().as_bytes());
        };
        add(Some("promptbatch manifest 1"));
        add(Some(&format));
        add(prompt_column.as_deref());
        add(id_column.as_deref());
        add(default_model.as_deref());
        for (field, value) in overrides {
            add(Some(field));
            add(Some(value));
        }
        *hasher.update(digest.as_bytes()).finalize().as_bytes()
    }
}

/// A hash of the file's bytes and of every option that changes what they mean: where it is known, that very manifest was checked before.
/// Where the file lies does not matter. Only of a file proper: a pipe may have no end, and cannot be read twice.
pub fn fingerprint(source: &Source) -> io::Result<[u8; 32]> {
    if !fs::metadata(&source.path)?.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    hashed::of_file(&source.path).map(|digest| source.fingerprint(digest))
}

/// A checked manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    source: Source,
    /// The hash of the file's bytes.
    digest: blake3::Hash,
    n_jobs: u64,
    columns: Vec<String>,
    warnings: Vec<Mistake>,
}

/// Reads and checks a whole manifest. All its mistakes are told at once.
pub fn open(source: Source) -> Result<Manifest, ManifestError> {
    open_watched(source, &mut Unseen)
}

/// The same, told step by step.
pub fn open_watched(source: Source, progress: &mut dyn Progress) -> Result<Manifest, ManifestError> {
    let (manifest, findings, ids) = read(&source, Ids::gathered(), progress)?;
    let temporary = |source| ManifestError::Read { path: env::temp_dir(), source };
    let findings = match ids.repeated().map_err(temporary)? {
        None => findings,
        // Which ones they are is told by reading it all again, for once.
        Some(ids) => {
            let (again, findings, _) = read(&source, ids, progress)?;
            if again.digest != manifest.digest {
                return Err(ManifestError::Changed { path: source.path });
            }
            findings
        }
    };
    if findings.mistakes.n() > 0 {
        return Err(ManifestError::Mistakes { mistakes: Mistakes::new(source.path, findings.mistakes) });
    }
    Ok(Manifest { warnings: findings.warnings.into_list(), ..manifest })
}

/// Reads a manifest to its end, whatever is wrong with it.
fn read(source: &Source, ids: Ids, progress: &mut dyn Progress) -> Result<(Manifest, Findings, Ids), ManifestError> {
    let n_bytes = fs::metadata(&source.path).ok().filter(fs::Metadata::is_file).map(|file| file.len());
    let mut meter = Meter::begin(progress, Chore::Check, n_bytes);
    let mut findings = Findings::default();
    let mut pass = Pass::start(source, ids, &mut findings)?;
    let mut n_jobs: u64 = 0;
    while let Some(checked) = pass.next_checked(&mut findings)? {
        n_jobs += u64::from(checked.n);
        pass.n_bytes().into_iter().for_each(|n_bytes| meter.at(n_bytes));
    }
    let (columns, digest, ids) = pass.finish(&mut findings);
    Ok((Manifest { source: source.clone(), digest, n_jobs, columns, warnings: Vec::new() }, findings, ids))
}

impl Manifest {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// How many images are wanted: every entry as often as its `n` says.
    pub const fn n_jobs(&self) -> u64 {
        self.n_jobs
    }

    /// The columns that are carried through to the results, in the order in which the manifest first names them.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What is allowed and probably not meant: the first thousand, by line.
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// The [fingerprint] of what was checked.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.source.fingerprint(self.digest)
    }

    /// Reads the manifest again and gives a draft for each wanted image, in manifest order.
    ///
    /// Nothing is given when the file is not what [`open`] checked. Should it be changed while it is read, the last item is an
    /// error: what came before it belongs together only when no error came.
    pub fn drafts(&self) -> Result<impl Iterator<Item = Result<Draft, ManifestError>> + use<>, ManifestError> {
        let path = self.path();
        if hashed::of_file(path).map_err(|source| ManifestError::Read { path: path.to_owned(), source })? != self.digest
        {
            return Err(ManifestError::Changed { path: path.to_owned() });
        }
        let mut findings = Findings::default();
        let pass = Pass::start(&self.source, Ids::Different, &mut findings)?;
        Ok(Drafts { path: path.to_owned(), digest: self.digest, pass: Some(pass), findings, images: None })
    }
}

/// The second pass.
struct Drafts {
    path: PathBuf,
    digest: blake3::Hash,
    pass: Option<Pass>,
    findings: Findings,
    /// What is left of the present entry.
    images: Option<Expand>,
}

impl Iterator for Drafts {
    type Item = Result<Draft, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(draft) = self.images.as_mut().and_then(Iterator::next) {
                return Some(Ok(draft));
            }
            match self.pass.as_mut()?.next_checked(&mut self.findings) {
                Ok(Some(checked)) => self.images = Some(Expand::new(checked)),
                Ok(None) => {
                    let (_, digest, _) = self.pass.take()?.finish(&mut self.findings);
                    let is_same = digest == self.digest && self.findings.mistakes.n() == 0;
                    return (!is_same).then(|| Err(ManifestError::Changed { path: self.path.clone() }));
                }
                Err(error) => {
                    self.pass = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
