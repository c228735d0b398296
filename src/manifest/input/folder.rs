//! Folder with a text file for each prompt: its files in natural order, and what it has besides them.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::vec;

use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::path::ending;

/// Limit on the texts of a folder. All their names are kept in memory.
pub(crate) const TEXTS_MAX: usize = 100_000;

/// Limit on the names that are read from a folder.
const NAMES_MAX: usize = 1_000_000;

/// Limit on a text in bytes. No provider accepts a prompt of this length.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;

/// Names in a folder. Hidden files are left out.
#[derive(Debug, Default)]
pub(crate) struct FolderListing {
    /// Files that end in `.txt`, in natural order.
    pub(crate) texts: Vec<OsString>,
    /// Other files, in natural order.
    pub(crate) others: Vec<OsString>,
    /// Subfolders that have texts, in natural order.
    pub(crate) folders: Vec<OsString>,
}

impl FolderListing {
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        for (i, entry) in fs::read_dir(folder)?.enumerate() {
            let name = entry?.file_name();
            if i == NAMES_MAX || listing.texts.len() > TEXTS_MAX {
                let what = format!("it has more than {TEXTS_MAX} texts, or {NAMES_MAX} files");
                return Err(io::Error::other(what));
            }
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = folder.join(&name);
            let list = match is_text(&name) {
                _ if path.is_dir() => {
                    if has_texts(&path) {
                        listing.folders.push(name);
                    }
                    continue;
                }
                true => &mut listing.texts,
                false => &mut listing.others,
            };
            list.push(name);
        }
        for list in [&mut listing.texts, &mut listing.others, &mut listing.folders] {
            list.sort_by(|one, other| natural(one, other));
        }
        Ok(listing)
    }
}

fn is_text(name: &OsStr) -> bool {
    ending(Path::new(name)).as_deref() == Some("txt")
}

/// Returns whether one of the first thousand files of a folder is a text.
fn has_texts(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| entries.take(1_000).flatten().any(|entry| is_text(&entry.file_name())))
}

/// Compares two names as people count: `2.txt` is before `10.txt`.
fn natural(one: &OsStr, other: &OsStr) -> Ordering {
    let names = [one, other].map(OsStr::as_encoded_bytes);
    let mut rest = names;
    while rest.iter().all(|rest| !rest.is_empty()) {
        let lens = rest.map(n_digits);
        let order = if lens.contains(&0) {
            rest[0][0].cmp(&rest[1][0])
        } else {
            let [one, other] = [0, 1].map(|i| &rest[i][n_zeros(rest[i])..lens[i]]);
            one.len().cmp(&other.len()).then_with(|| one.cmp(other))
        };
        if order != Ordering::Equal {
            return order;
        }
        let is_number = !lens.contains(&0);
        rest = [0, 1].map(|i| &rest[i][if is_number { lens[i] } else { 1 }..]);
    }
    rest[0].len().cmp(&rest[1].len()).then_with(|| names[0].cmp(names[1]))
}

fn n_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn n_zeros(digits: &[u8]) -> usize {
    digits.iter().take_while(|byte| **byte == b'0').count()
}

/// Reader of the texts of a folder, one after the other.
pub(crate) struct FolderTexts {
    folder: PathBuf,
    names: vec::IntoIter<OsString>,
    hashed: HashingReader,
}

/// Text file, of which at most one byte more than the limit is read.
pub(crate) struct TextFile {
    pub(crate) name: OsString,
    pub(crate) bytes: io::Result<Vec<u8>>,
}

impl FolderTexts {
    pub(crate) fn new(folder: &Path, names: Vec<OsString>) -> Self {
        let hashed = HashingReader::new(Box::new(io::empty()));
        Self { folder: folder.to_owned(), names: names.into_iter(), hashed }
    }

    /// Returns the names and contents that have been read, hashed.
    pub(crate) const fn hashed(&self) -> &HashingReader {
        &self.hashed
    }
}

impl Iterator for FolderTexts {
    type Item = TextFile;

    fn next(&mut self) -> Option<TextFile> {
        let name = self.names.next()?;
        let bytes = read(&self.folder.join(&name));
        self.hashed.add(name.as_encoded_bytes());
        self.hashed.add(bytes.as_deref().unwrap_or_default());
        Some(TextFile { name, bytes })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe may have no end, and would be empty in the second read.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file, but a pipe, a socket or a device"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Computes the hash of all names and contents.
pub(crate) fn digest(folder: &Path) -> io::Result<blake3::Hash> {
    let mut texts = FolderTexts::new(folder, FolderListing::read(folder)?.texts);
    texts.by_ref().for_each(drop);
    Ok(texts.hashed.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names are in the order in which people count them, which is total. Method: names in order, each compared with each.
    #[test]
    fn names_are_in_natural_order() {
        let names = [
            "",
            "0",
            "00",
            "1",
            "1a",
            "2",
            "02",
            "10",
            "99999999999999999998",
            "99999999999999999999",
            "A",
            "a",
            "a-2",
            "a1b",
            "a1b1",
            "a1b02",
            "a01c",
            "a2",
            "a10",
            "b",
            "猫1",
            "猫12",
            "猫 2",
        ];
        let mut sorted = names.map(OsString::from).to_vec();
        sorted.sort_by(|one, other| natural(one, other));
        let place = |name: &str| sorted.iter().position(|other| *other == *name).expect("it is there");
        for pair in ["0 00", "1 2", "02 2", "02 10", "2 10", "1 1a", "a1b1 a1b02", "a2 a10", "猫1 猫12"] {
            let (one, other) = pair.split_once(' ').expect("there are two");
            assert!(place(one) < place(other), "{pair}: {sorted:?}");
        }
        for (i, one) in sorted.iter().enumerate() {
            for (j, other) in sorted.iter().enumerate() {
                assert_eq!(natural(one, other), i.cmp(&j), "{one:?} {other:?}");
            }
        }
    }
}
