//! The journal of a partial file: of which image it is, and how much of it is as it was written.
//!
//! It is a file beside it. Its first line says of which image the bytes are; each further line says how many bytes there were at a time,
//! and their BLAKE3 hash. Nothing of it is synced: what a power loss left of both is used as far as the hashes agree.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::driver::images::descriptors::patiently;
use crate::model::part::{Part, Validator};

/// What the name of a journal ends with, behind that of its file.
pub(super) const JOURNAL: &str = ".journal";

/// The longest journal that is read: more lines than any image within reason has.
const JOURNAL_BYTES_MAX: u64 = 4 << 20;

/// How much of a file is read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Of which image the bytes of a partial file are, and what was done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// The task that made the image.
    pub(super) task: Option<String>,
    /// What is made of images; a file that was begun for something else is of no use.
    pub(super) making: String,
    /// What the host calls it.
    pub(super) validator: Validator,
    /// How many bytes the whole image has, as it comes; `None` where that is not known.
    pub(super) bytes_total: Option<u64>,
    /// How many of the bytes in the file are ours and did not come.
    pub(super) n_own_bytes: u64,
}

impl Label {
    fn to_line(&self) -> String {
        let (kind, text) = match &self.validator {
            Validator::ETag(text) => ("etag", text),
            Validator::LastModified(text) => ("last_modified", text),
        };
        let (total, own) = (self.bytes_total, self.n_own_bytes);
        let line =
            json!({ "version": 1, "task": self.task, "making": self.making, kind: text, "total": total, "own": own });
        format!("{line}\n")
    }

    fn of_line(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
        let etag = text("etag").map(Validator::ETag);
        Some(Self {
            task: text("task"),
            making: text("making").filter(|_| line["version"] == 1)?,
            validator: etag.or_else(|| text("last_modified").map(Validator::LastModified))?,
            bytes_total: line["total"].as_u64(),
            n_own_bytes: line["own"].as_u64()?,
        })
    }
}

/// The journal of a partial file that is kept.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    path: PathBuf,
    pub(super) label: Label,
    /// Of all bytes of the file so far.
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl Journal {
    /// A journal of a file that is empty.
    pub(super) fn begin(file: &Path, label: Label) -> io::Result<Self> {
        let path = path_of(file);
        patiently(|| fs::write(&path, label.to_line()))?;
        Ok(Self { path, label, hasher: blake3::Hasher::new(), n_bytes: 0 })
    }

    /// These bytes were written behind the others.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.n_bytes += bytes.len() as u64;
        let line = format!("{} {}\n", self.n_bytes, self.hasher.finalize().to_hex());
        // It is not held open: a run may have many of them and few descriptors.
        let mut file = patiently(|| File::options().write(true).open(&self.path))?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(line.as_bytes())
    }

    /// Reads what was left of a file and its journal, and finds how much of the file is as it was written.
    pub(super) fn read(file: &Path) -> io::Result<Option<Self>> {
        let path = path_of(file);
        let mut text = String::new();
        patiently(|| File::open(&path))?.take(JOURNAL_BYTES_MAX).read_to_string(&mut text)?;
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let Some(label) = lines.next().and_then(Label::of_line) else { return Ok(None) };
        let marks = lines.map_while(|line| {
            let (n_bytes, hash) = line.split_once(' ')?;
            Some((n_bytes.parse::<u64>().ok()?, blake3::Hash::from_hex(hash).ok()?))
        });
        let mut reader = BufReader::with_capacity(PIECE_BYTES, patiently(|| File::open(file))?);
        let (mut hasher, mut n_bytes) = (blake3::Hasher::new(), 0);
        for (mark, hash) in marks {
            let Some(n_more) = mark.checked_sub(n_bytes) else { break };
            let mut longer = hasher.clone();
            let n_read = io::copy(&mut reader.by_ref().take(n_more), &mut longer)?;
            if n_read < n_more || longer.finalize() != hash {
                break;
            }
            (hasher, n_bytes) = (longer, mark);
        }
        let is_useful = n_bytes > label.n_own_bytes;
        Ok(is_useful.then_some(Self { path, label, hasher, n_bytes }))
    }

    /// How long the file is, as far as is known.
    pub(super) const fn file_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Removes it.
    pub(super) fn remove(self) {
        // What stays behind is cleared away at the end of the run, or by the next one.
        let _ = fs::remove_file(self.path);
    }

    /// How much of the image the file has.
    pub(super) fn part(&self) -> Part {
        let Label { validator, bytes_total, n_own_bytes, .. } = &self.label;
        let n_bytes = self.n_bytes.saturating_sub(*n_own_bytes);
        Part { n_bytes, bytes_total: *bytes_total, validator: validator.clone() }
    }
}

/// The path of the journal of this file.
pub(super) fn path_of(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(JOURNAL);
    path.into()
}
