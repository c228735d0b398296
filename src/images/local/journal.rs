//! Journal of a temporary file: identifies the image, and records how many bytes of the file are valid.
//!
//! The journal is a second file in the same folder. Its first line identifies the image. Each further line gives a
//! number of bytes and their BLAKE3 hash. Neither file is synced: after a power loss, bytes are used as far as the hashes match.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fsio::descriptors::patiently;
use crate::model::partial_download::{PartialDownload, Validator};

/// Suffix of the journal's file name, appended to the name of the temporary file.
pub(super) const JOURNAL: &str = ".journal";

/// Maximum number of bytes read from a journal. No image of reasonable size has a longer journal.
const JOURNAL_BYTES_MAX: u64 = 4 << 20;

/// Bytes of a file read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Identity of the image in a temporary file, and the processing of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartialLabel {
    /// Id of the task that made the image; `None` if unknown.
    pub(super) task: Option<String>,
    /// Post-processing settings. A file begun with other settings cannot be used.
    pub(super) postprocess: String,
    /// HTTP validator of the image at its host.
    pub(super) validator: Validator,
    /// Length of the whole image in bytes, as its host sends it; `None` if unknown.
    pub(super) bytes_total: Option<u64>,
    /// Number of bytes in the file that were added by this program, not received.
    pub(super) n_own_bytes: u64,
}

impl PartialLabel {
    fn to_line(&self) -> String {
        let (kind, text) = match &self.validator {
            Validator::ETag(text) => ("etag", text),
            Validator::LastModified(text) => ("last_modified", text),
        };
        let (total, own) = (self.bytes_total, self.n_own_bytes);
        let line = json!({ "version": 1, "task": self.task, "making": self.postprocess, kind: text, "total": total, "own": own });
        format!("{line}\n")
    }

    fn of_line(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
        let etag = text("etag").map(Validator::ETag);
        Some(Self {
            task: text("task"),
            postprocess: text("making").filter(|_| line["version"] == 1)?,
            validator: etag.or_else(|| text("last_modified").map(Validator::LastModified))?,
            bytes_total: line["total"].as_u64(),
            n_own_bytes: line["own"].as_u64()?,
        })
    }
}

/// Journal of a temporary file that is kept.
#[derive(Clone, Debug)]
pub(super) struct ResumeJournal {
    path: PathBuf,
    pub(super) label: PartialLabel,
    /// Hash of all bytes of the file so far.
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl ResumeJournal {
    /// Creates the journal of an empty file.
    pub(super) fn begin(file: &Path, label: PartialLabel) -> io::Result<Self> {
        let path = path_of(file);
        patiently(|| fs::write(&path, label.to_line()))?;
        Ok(Self { path, label, hasher: blake3::Hasher::new(), n_bytes: 0 })
    }

    /// Records that `bytes` were appended to the file.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.n_bytes += bytes.len() as u64;
        let line = format!("{} {}\n", self.n_bytes, self.hasher.finalize().to_hex());
        // The journal is not kept open: a run may have many journals and few file descriptors.
        let mut file = patiently(|| File::options().write(true).open(&self.path))?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(line.as_bytes())
    }

    /// Reads a temporary file and its journal from an earlier process, and finds how many bytes are valid. `None` if no
    /// received byte is valid.
    pub(super) fn read(file: &Path) -> io::Result<Option<Self>> {
        let path = path_of(file);
        let mut text = String::new();
        patiently(|| File::open(&path))?.take(JOURNAL_BYTES_MAX).read_to_string(&mut text)?;
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let Some(label) = lines.next().and_then(PartialLabel::of_line) else { return Ok(None) };
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

    /// Returns the length of the file in bytes, as far as known.
    pub(super) const fn file_bytes(&self) -> u64 {
        self.n_bytes
    }

    pub(super) fn remove(self) {
        // A file that cannot be removed here is removed later: at the end of the run, or by the next.
        let _ = fs::remove_file(self.path);
    }

    /// Returns how much of the image the file contains.
    pub(super) fn part(&self) -> PartialDownload {
        let PartialLabel { validator, bytes_total, n_own_bytes, .. } = &self.label;
        let n_bytes = self.n_bytes.saturating_sub(*n_own_bytes);
        PartialDownload { n_bytes, bytes_total: *bytes_total, validator: validator.clone() }
    }
}

/// Returns the path of the journal of a temporary file.
pub(super) fn path_of(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(JOURNAL);
    path.into()
}
