//! List files in the manifest's folder: the values of a field or a var, and wildcards.
//!
//! A list has one text per line, exactly as written. For vars, it may also be a column of a table. Blank lines are skipped, and so are comments, which begin with `#` and
//! white space. Each file is read once and hashed, so a change in a list file changes the manifest's fingerprint.

mod folders;
mod pictures;
pub(crate) mod tables;
mod wildcards;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, Span, wrong};
use crate::manifest::fields::Fields;
use crate::manifest::fields::field::misspelt;
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::value::shown_text;
use crate::manifest::input::detect;
use crate::manifest::lists::folders::{AllowedFolders, FolderError, outside};
use crate::manifest::lists::pictures::PictureNames;
use crate::manifest::lists::tables::{TableKind, TextTable};
use crate::manifest::lists::wildcards::{PATTERN_CHARS_MAX, WILDCARDS};
use crate::manifest::template::wildcards::Wildcards;
use crate::model::escape::escape;
use crate::model::picture::{SourcePicture, is_local};

/// Limit on the size of one list in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Limit on the size of all lists of a manifest in bytes. All of them are kept in memory.
const ALL_BYTES_MAX: u64 = 256 << 20;

/// Limit on the texts of one list.
const TEXTS_MAX: usize = 1_000_000;

/// Limit on the names in a folder that are compared with a misspelt name.
const NEIGHBOURS_MAX: usize = 10_000;

type ListTexts = Arc<[String]>;

/// List files of one manifest.
#[derive(Debug)]
pub struct ListFiles {
    /// Folder of the manifest.
    folder: PathBuf,
    /// Folders in which list files are allowed.
    folders: AllowedFolders,
    read: BTreeMap<String, Result<ListTexts, Issue>>,
    /// Names of the existing wildcards. `None` before they are first needed.
    names: Option<Result<Arc<[String]>, Issue>>,
    pictures: PictureNames,
    /// Warnings about the files that were read.
    warnings: Vec<Issue>,
    n_bytes: u64,
    hasher: blake3::Hasher,
}

impl ListFiles {
    /// Creates the lists of a manifest in this folder. `allowed` are further folders for list files.
    pub(crate) fn new(folder: PathBuf, allowed: &[PathBuf]) -> Self {
        let folders = AllowedFolders::new(&folder, allowed);
        let (read, pictures) = (BTreeMap::new(), PictureNames::default());
        let (warnings, hasher) = (Vec::new(), blake3::Hasher::new());
        Self { folder, folders, read, names: None, pictures, warnings, n_bytes: 0, hasher }
    }

    /// Returns the texts of a file, at least one. `name` is relative to the manifest's folder.
    pub(crate) fn of_file(&mut self, name: &str) -> Result<ListTexts, Issue> {
        if let Some(known) = self.read.get(name) {
            return known.clone();
        }
        let result = self.read(name);
        self.read.insert(name.to_owned(), result.clone());
        result
    }

    /// Returns the picture with this name, which is relative to the manifest's folder.
    pub(crate) fn picture(&mut self, name: &str) -> Result<SourcePicture, Issue> {
        let (found, is_new) = self.pictures.find(name, &self.folder, &self.folders);
        if let (Ok(picture), true) = (&found, is_new) {
            let sha256 = picture.sha256.clone();
            self.note(name, sha256.as_bytes());
        }
        found
    }

    /// Looks up the pictures on this disk that an entry names. Mistakes are at `place`.
    pub(crate) fn check_pictures(&mut self, fields: &Fields, place: Location, mistakes: &mut DiagnosticList) {
        for source in fields.image_url.iter().flat_map(OneOrManyValues::values).flatten().filter(|url| is_local(url)) {
            self.picture(source).map_or_else(|wrong| mistakes.push(place, wrong), drop);
        }
    }

    /// Returns the pictures that were found, by their names as written.
    pub(crate) fn pictures(&self) -> BTreeMap<String, SourcePicture> {
        self.pictures.found()
    }

    /// Returns the size of the pictures of a request in bytes.
    pub(crate) fn n_picture_bytes(&mut self, sources: &[String]) -> u64 {
        let local = sources.iter().filter(|source| is_local(source));
        local.map(|name| self.picture(name).map_or(0, |picture| picture.n_bytes)).sum()
    }

    /// Returns a hash of the names and bytes of all files, in the order in which they were read. `None` if no file was read.
    pub(crate) fn digest(&self) -> Option<blake3::Hash> {
        (self.n_bytes > 0).then(|| self.hasher.finalize())
    }

    /// Reads a table, whose kind the name of the file tells. `name` is relative to the manifest's folder.
    pub(crate) fn table(&mut self, name: &str, kind: TableKind) -> Result<TextTable, Issue> {
        let shown = shown_text(name);
        let bytes = self.bytes_of(name)?;
        let table = TextTable::parse(name, kind, &decoded(&shown, &bytes)?)?;
        if table.rows.len() > TEXTS_MAX {
            return Err(wrong(format!("the table {shown} has more than {TEXTS_MAX} rows"), too_many()));
        }
        self.note(name, &bytes);
        Ok(table)
    }

    fn read(&mut self, name: &str) -> Result<ListTexts, Issue> {
        let bytes = self.bytes_of(name)?;
        let shown = shown_text(name);
        let text = decoded(&shown, &bytes)?;
        let texts = texts(&shown, &text)?;
        self.warnings.extend(text_with_hash(&shown, &text));
        self.note(name, &bytes);
        Ok(texts)
    }

    /// Reports what is doubtful in the files that were read.
    pub(crate) fn finish(&mut self, warnings: &mut DiagnosticList) {
        self.warnings.drain(..).for_each(|wrong| warnings.push(Location::File, wrong));
    }

    /// Returns the mistake for a file of the manifest's folder that a link leads out of it.
    pub(crate) fn refusal(&self, what: &str, name: &str) -> Option<Issue> {
        match self.folders.find(&self.folder.join(name)) {
            Err(FolderError::Outside(real)) => Some(outside(what, real.as_deref())),
            Ok(_) | Err(FolderError::Unreadable(_)) => None,
        }
    }

    /// Reads a file within the limits.
    fn bytes_of(&self, name: &str) -> Result<Vec<u8>, Issue> {
        let shown = shown_text(name);
        let path = self.folder.join(name);
        let bytes = match self.folders.find(&path).and_then(|real| bytes(&real).map_err(FolderError::Unreadable)) {
            Ok(bytes) => bytes,
            Err(FolderError::Outside(real)) => return Err(outside(&format!("the list {shown}"), real.as_deref())),
            Err(FolderError::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(missing(&path, name));
            }
            Err(FolderError::Unreadable(error)) => {
                return Err(wrong(format!("the list {shown} could not be read: {error}"), "name a readable file"));
            }
        };
        let n_bytes = bytes.len() as u64;
        if n_bytes > FILE_BYTES_MAX || self.n_bytes + n_bytes > ALL_BYTES_MAX {
            let [each, all] = [FILE_BYTES_MAX, ALL_BYTES_MAX].map(|bytes| bytes >> 20);
            let what =
                format!("the list {shown} is too long: lists have at most {each} MiB each, and {all} MiB together");
            return Err(wrong(what, "shorten it"));
        }
        Ok(bytes)
    }

    /// Adds a file that was read to the hash.
    fn note(&mut self, name: &str, bytes: &[u8]) {
        self.n_bytes += bytes.len() as u64;
        for part in [name.as_bytes(), bytes] {
            // Length of each part precedes the part, so that two adjacent parts cannot be confused.
            self.hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
    }

    fn names(&mut self) -> Result<Arc<[String]>, Issue> {
        let folder = self.folder.join(WILDCARDS);
        self.names.get_or_insert_with(|| wildcards::all(&folder, &self.folders)).clone()
    }
}

impl Wildcards for ListFiles {
    /// Returns the texts of a wildcard: `a/b` means `wildcards/a/b.txt`. A name with `*` means all matching files, in name order.
    fn values(&mut self, name: &str) -> Result<ListTexts, Issue> {
        let shown = shown_text(&format!("__{name}__"));
        let name = name.trim_matches('/');
        if !wildcards::is_within(name) {
            let what = format!("the wildcard {shown} is not in the folder `{WILDCARDS}`");
            return Err(wrong(what, "name a list inside it, as in `__animals/birds__`"));
        }
        let file = |name: &str| format!("{WILDCARDS}/{name}.txt");
        if !name.contains('*') {
            if let Some(known) = self.read.get(&file(name)) {
                return known.clone();
            }
            let names = self.names()?;
            if !names.iter().any(|other| other == name) {
                return Err(wildcards::missing(&shown, name, &names));
            }
            return self.of_file(&file(name));
        }
        if name.chars().count() > PATTERN_CHARS_MAX {
            let what = format!("the wildcard {shown} has more than {PATTERN_CHARS_MAX} characters");
            return Err(wrong(what, "shorten it, for example with `**`"));
        }
        let names = self.names()?;
        let mut texts = Vec::new();
        for name in names.iter().filter(|other| wildcards::fits(name, other)) {
            texts.extend_from_slice(&self.of_file(&file(name))?);
        }
        if texts.len() > TEXTS_MAX {
            return Err(wrong(format!("the wildcard {shown} has {} texts", texts.len()), too_many()));
        }
        if texts.is_empty() { Err(wildcards::missing(&shown, name, &names)) } else { Ok(texts.into()) }
    }
}

/// Reads a file, up to one byte more than the limit.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Rejects a pipe: it may have no end, and would be empty in the second read.
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

/// Decodes the text of a list.
fn decoded<'a>(shown: &str, bytes: &'a [u8]) -> Result<Cow<'a, str>, Issue> {
    detect::text(bytes, None).map(|(text, _)| text).map_err(|(place, Issue { what, remedy })| match place {
        Location::Line(line) | Location::Span(Span { line, .. }) => {
            wrong(format!("in line {line} of the list {shown}, {what}"), remedy)
        }
        Location::File | Location::Entry(_) | Location::Cell { .. } | Location::Text(_) | Location::CommandLine => {
            wrong(format!("in the list {shown}, {what}"), remedy)
        }
    })
}

/// Splits a list into its lines. A line end may be that of Windows.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// Returns whether a line is a comment: `#` and white space, or nothing but `#`. A colour or a hashtag is a text.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') && line.trim_start_matches('#').chars().next().is_none_or(char::is_whitespace)
}

fn texts(shown: &str, text: &str) -> Result<ListTexts, Issue> {
    let is_text = |line: &&str| !line.trim().is_empty() && !is_comment(line);
    let texts: Vec<_> = lines(text).filter(is_text).take(TEXTS_MAX + 1).map(str::to_owned).collect();
    match texts.len() {
        0 => Err(wrong(format!("the list {shown} has no texts"), "write one per line")),
        n if n > TEXTS_MAX => Err(wrong(format!("the list {shown} has more than {TEXTS_MAX} texts"), too_many())),
        _ => Ok(texts.into()),
    }
}

/// Returns the warning about the first text that begins with `#`, and that other programs may read as a comment. Colours are none.
fn text_with_hash(shown: &str, text: &str) -> Option<Issue> {
    let is_colour =
        |text: &str| matches!(text.len(), 3 | 4 | 6 | 8) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_doubtful = |line: &str| {
        line.trim_start().strip_prefix('#').is_some_and(|rest| !is_comment(line) && !is_colour(rest.trim_end()))
    };
    let (number, line) = (1..).zip(lines(text)).find(|(_, line)| is_doubtful(line))?;
    let what =
        format!("line {number} of the list {shown}, {}, is a text, although it begins with `#`", shown_text(line));
    Some(wrong(what, "write a space after the `#` if it is meant as a comment"))
}

fn too_many() -> String {
    format!("shorten it to {TEXTS_MAX}")
}

/// Creates the mistake for a missing file, with the name of a similar file as the remedy.
fn missing(path: &Path, name: &str) -> Issue {
    let what = format!("list not found: {}", shown_text(name));
    let neighbours = path.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten();
    let neighbours: Vec<_> =
        neighbours.take(NEIGHBOURS_MAX).flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let Some(written) = path.file_name().and_then(|name| name.to_str()) else {
        return wrong(what, "name a file, relative to the manifest");
    };
    let with_ending = format!("{written}.txt");
    let nearly = neighbours.iter().find(|other| **other == with_ending).map(String::as_str);
    let nearly = nearly.or_else(|| misspelt(written, neighbours.iter().map(String::as_str)));
    let remedy = match nearly {
        Some(nearly) => format!("did you mean `{}`?", escape(&name.replace(written, nearly))),
        None => "create it, with one text per line, or correct the path, which is relative to the manifest".to_owned(),
    };
    wrong(what, remedy)
}

#[cfg(test)]
mod tests;
