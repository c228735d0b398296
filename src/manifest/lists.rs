//! Lists of texts in files of the manifest's folder: those that a field takes its values from, and wildcards.
//!
//! One text a line, exactly as it stands there; blank lines and lines that begin with `#` are none. Each file is read once, and what was
//! read is hashed, so that a manifest is another one as soon as one of its lists is.

mod folders;
mod names;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::field::misspelt;
use crate::manifest::guess;
use crate::manifest::lists::folders::{Folders, Missed, outside};
use crate::manifest::mistake::{Place, Span, Wrong, wrong};
use crate::manifest::read::shown_text;
use crate::manifest::template::Wildcards;
use crate::model::text::escape;

/// Bytes of one list.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of all lists of a manifest, which are kept.
const ALL_BYTES_MAX: u64 = 256 << 20;

/// Texts of one list.
const TEXTS_MAX: usize = 1_000_000;

/// Names in a folder among which a misspelt one is looked for.
const NEIGHBOURS_MAX: usize = 10_000;

/// Where the wildcards lie, beside the manifest.
const WILDCARDS: &str = "wildcards";

type Texts = Arc<[String]>;

/// The lists of one manifest.
#[derive(Debug)]
pub(super) struct Lists {
    /// The manifest's.
    folder: PathBuf,
    /// Where they may lie.
    folders: Folders,
    read: BTreeMap<String, Result<Texts, Wrong>>,
    /// The names of the wildcards that there are, once they were asked for.
    names: Option<Result<Arc<[String]>, Wrong>>,
    n_bytes: u64,
    hasher: blake3::Hasher,
}

impl Lists {
    /// The lists of a manifest in this folder; `allowed` are further folders that they may lie in.
    pub(super) fn new(folder: PathBuf, allowed: &[PathBuf]) -> Self {
        let folders = Folders::new(&folder, allowed);
        Self { folder, folders, read: BTreeMap::new(), names: None, n_bytes: 0, hasher: blake3::Hasher::new() }
    }

    /// The texts of a file, at least one, by its name as seen from the manifest's folder.
    pub(super) fn of_file(&mut self, name: &str) -> Result<Texts, Wrong> {
        if let Some(known) = self.read.get(name) {
            return known.clone();
        }
        let result = self.read(name);
        self.read.insert(name.to_owned(), result.clone());
        result
    }

    /// A hash of the names and bytes of all files in the order in which they were read; none where none was.
    pub(super) fn digest(&self) -> Option<blake3::Hash> {
        (self.n_bytes > 0).then(|| self.hasher.finalize())
    }

    fn read(&mut self, name: &str) -> Result<Texts, Wrong> {
        let shown = shown_text(name);
        let path = self.folder.join(name);
        let bytes = match self.folders.find(&path).and_then(|real| bytes(&real).map_err(Missed::Unreadable)) {
            Ok(bytes) => bytes,
            Err(Missed::Outside(real)) => return Err(outside(&format!("the list {shown}"), real.as_deref())),
            Err(Missed::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(missing(&path, name));
            }
            Err(Missed::Unreadable(error)) => {
                return Err(wrong(format!("the list {shown} could not be read: {error}"), "name a file that can be"));
            }
        };
        let n_bytes = bytes.len() as u64;
        if n_bytes > FILE_BYTES_MAX || self.n_bytes + n_bytes > ALL_BYTES_MAX {
            let [each, all] = [FILE_BYTES_MAX, ALL_BYTES_MAX].map(|bytes| bytes >> 20);
            let what =
                format!("the list {shown} is too long: lists have at most {each} MiB each, and {all} MiB together");
            return Err(wrong(what, "shorten it"));
        }
        let texts = texts(&shown, &bytes)?;
        self.n_bytes += n_bytes;
        for part in [name.as_bytes(), &bytes] {
            // Every part carries its length, so that none can run into the next.
            self.hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Ok(texts)
    }

    /// The names of all wildcards.
    fn names(&mut self) -> Result<Arc<[String]>, Wrong> {
        let folder = self.folder.join(WILDCARDS);
        self.names.get_or_insert_with(|| names::all(&folder, &self.folders)).clone()
    }
}

impl Wildcards for Lists {
    /// `a/b` is `wildcards/a/b.txt`; of a name with `*` all files that it fits follow each other in the order of their names.
    fn values(&mut self, name: &str) -> Result<Texts, Wrong> {
        let shown = shown_text(&format!("__{name}__"));
        let name = name.trim_matches('/');
        if !names::is_within(name) {
            let what = format!("the wildcard {shown} does not lie in the folder `{WILDCARDS}`");
            return Err(wrong(what, "name a list below it, as in `__animals/birds__`"));
        }
        let file = |name: &str| format!("{WILDCARDS}/{name}.txt");
        if !name.contains('*') {
            if let Some(known) = self.read.get(&file(name)) {
                return known.clone();
            }
            let names = self.names()?;
            if !names.iter().any(|other| other == name) {
                return Err(names::missing(&shown, name, &names));
            }
            return self.of_file(&file(name));
        }
        let names = self.names()?;
        let mut texts = Vec::new();
        for name in names.iter().filter(|other| names::fits(name, other)) {
            texts.extend_from_slice(&self.of_file(&file(name))?);
        }
        if texts.len() > TEXTS_MAX {
            return Err(wrong(format!("the wildcard {shown} has {} texts", texts.len()), too_many()));
        }
        if texts.is_empty() { Err(names::missing(&shown, name, &names)) } else { Ok(texts.into()) }
    }
}

/// The file's bytes, and of a file that is too long one more than it may have.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe may have no end, and would be empty the second time.
    let kind = fs::metadata(path)?.file_type();
    let what = match kind {
        _ if kind.is_file() => None,
        _ if kind.is_dir() => Some("it is a folder"),
        _ if kind.is_fifo() => Some("it is a pipe, which cannot be read twice"),
        _ if kind.is_socket() => Some("it is a socket"),
        _ => Some("it is a device"),
    };
    if let Some(what) = what {
        return Err(io::Error::other(what));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn texts(shown: &str, bytes: &[u8]) -> Result<Texts, Wrong> {
    let text = guess::text(bytes).map_err(|(place, Wrong { what, remedy })| match place {
        Place::Line(line) | Place::Span(Span { line, .. }) => {
            wrong(format!("in line {line} of the list {shown}, {what}"), remedy)
        }
        Place::File | Place::Entry(_) | Place::CommandLine => wrong(format!("in the list {shown}, {what}"), remedy),
    })?;
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let is_text = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let texts: Vec<_> = lines.filter(is_text).take(TEXTS_MAX + 1).map(str::to_owned).collect();
    match texts.len() {
        0 => Err(wrong(format!("the list {shown} has no texts"), "write one a line")),
        n if n > TEXTS_MAX => Err(wrong(format!("the list {shown} has more than {TEXTS_MAX} texts"), too_many())),
        _ => Ok(texts.into()),
    }
}

fn too_many() -> String {
    format!("shorten it to {TEXTS_MAX}")
}

/// What is wrong with a name that is no file's, and whose name it nearly is.
fn missing(path: &Path, name: &str) -> Wrong {
    let what = format!("there is no list {}", shown_text(name));
    let neighbours = path.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten();
    let neighbours: Vec<_> =
        neighbours.take(NEIGHBOURS_MAX).flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let Some(written) = path.file_name().and_then(|name| name.to_str()) else {
        return wrong(what, "name a file, as seen from the manifest");
    };
    let with_ending = format!("{written}.txt");
    let nearly = neighbours.iter().find(|other| **other == with_ending).map(String::as_str);
    let nearly = nearly.or_else(|| misspelt(written, neighbours.iter().map(String::as_str)));
    let remedy = match nearly {
        Some(nearly) => format!("did you mean `{}`?", escape(&name.replace(written, nearly))),
        None => "write it, one text a line, or correct the name, which is as seen from the manifest".to_owned(),
    };
    wrong(what, remedy)
}

#[cfg(test)]
mod tests;
