//! Verification of a saved image against its record, as every store does it.

use std::fmt;
use std::io::{self, Read};
use std::path::{Component, Path};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::outcome::{Artifact, TaskId};

/// Folder of images that were put aside because they are damaged, in every store.
pub(super) const QUARANTINE: &str = "damaged";

/// Folder of images that were replaced by others because the user had their jobs made again, in every store.
pub(super) const REPLACED: &str = "replaced";

/// Reason why a file is not the recorded image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// Missing file: the recorded name does not exist.
    Missing,
    /// Folder or link in place of a regular file.
    NotAFile,
    /// File of another length than recorded.
    Length {
        /// Actual length in bytes.
        bytes: u64,
        /// Recorded length in bytes.
        recorded: u64,
    },
    /// File of the recorded length with other bytes.
    Content,
    /// File that the system does not allow to be read, with the system's message.
    Unreadable(String),
    /// Recorded name that leads out of the output folder.
    Outside,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::NotAFile => f.write_str("not a file"),
            Self::Length { bytes, recorded } => write!(f, "{bytes} bytes long instead of {recorded}"),
            Self::Content => f.write_str("changed: its sha256 differs"),
            Self::Unreadable(why) => write!(f, "unreadable: {why}"),
            Self::Outside => f.write_str("recorded under a name outside the output folder"),
        }
    }
}

/// Copies the bytes of an image from `reader` to `copy`, and compares them with the record. `bytes` is their length, as the
/// store knows it before it reads them. The outer error is the reader's own.
pub(super) fn compare<R: Read>(
    artifact: &Artifact,
    bytes: u64,
    open: impl FnOnce() -> io::Result<R>,
    copy: impl io::Write,
) -> io::Result<Result<(), Damage>> {
    if bytes != artifact.bytes {
        return Ok(Err(Damage::Length { bytes, recorded: artifact.bytes }));
    }
    let mut hasher = HashingWriter { sha256: Sha256::new(), copy };
    // A file that grows during the read differs from its record, so at most one further byte is read.
    io::copy(&mut open()?.take(artifact.bytes + 1), &mut hasher)?;
    let sha256: [u8; 32] = hasher.sha256.finalize().into();
    Ok(if sha256 == artifact.sha256 { Ok(()) } else { Err(Damage::Content) })
}

struct HashingWriter<W> {
    sha256: Sha256,
    copy: W,
}

impl<W: io::Write> io::Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        self.copy.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns whether a recorded name stays inside the store.
pub(super) fn is_inside(file_name: &str) -> bool {
    let is_plain = |component| matches!(component, Component::Normal(_));
    !file_name.is_empty() && Path::new(file_name).components().all(is_plain)
}

/// Returns the names under which a replaced image may be kept, best first. They have its extension, so that it can be opened.
pub(super) fn kept_names(file_name: &str) -> impl Iterator<Item = String> {
    let (stem, extension) = file_name.rsplit_once('.').unwrap_or((file_name, ""));
    let (stem, extension) = (format!("{REPLACED}/{stem}"), extension.to_owned());
    (1_u64..).map(move |n| if n == 1 { format!("{stem}.{extension}") } else { format!("{stem}.{n}.{extension}") })
}

/// Returns whether a JSON sidecar belongs to the image of this task.
pub(super) fn is_of_task(sidecar: &[u8], task: Option<&TaskId>) -> bool {
    let Ok(Value::Object(fields)) = serde_json::from_slice(sidecar) else { return false };
    task.is_some() && fields.get("task_id").and_then(Value::as_str) == task.map(|task| task.0.as_str())
}

/// Returns the names to which a damaged image may be moved, best first.
pub(super) fn quarantine_names(file_name: &str) -> impl Iterator<Item = String> {
    let name = format!("{QUARANTINE}/{file_name}");
    let numbered = (2_u64..).map({
        let name = name.clone();
        move |n| format!("{name}.{n}")
    });
    std::iter::once(name).chain(numbered)
}
