//! Atomic file replacement: a reader sees the whole old file or the whole new file.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::fsio::folder;
use crate::fsio::temp_file::TempFile;

/// Age at which the temporary file of a killed process is removed: no process writes such a file for so long.
const STALE_AGE: Duration = Duration::from_secs(3600);

/// Temporary file that replaces its target at the end. Dropped earlier, it leaves no file.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    temp: TempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Creates the temporary file for this path, in the same folder, because a rename cannot leave the file system. Its
    /// name is unique among all writers, in this process and in others. A run may end while another process writes its
    /// results.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        static N_MADE: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?.to_string_lossy();
        let begin = format!(".{name}.partial-");
        sweep(path, &begin)?;
        let n = N_MADE.fetch_add(1, Ordering::Relaxed);
        // A file of this name can only come from an earlier process with our process id.
        let temp = TempFile::create_anew(path.with_file_name(format!("{begin}{}-{n}", process::id())))?;
        Ok(Self { temp, path: path.to_owned() })
    }

    /// Syncs the temporary file, renames it into place, and syncs the folder.
    pub(crate) fn finish(self) -> io::Result<()> {
        let Self { mut temp, path } = self;
        temp.sync()?;
        temp.rename_over(&path)?;
        folder::sync(folder::of(&path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}

/// Removes stale files of killed processes next to `path`, whose names start with `begin`.
fn sweep(path: &Path, begin: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder::of(path))? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(begin);
        if is_ours && entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > STALE_AGE) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Returns what the user has to do before the next attempt to write. Empty if nothing is known.
pub(crate) fn first(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space and ",
        ErrorKind::AlreadyExists => "move or rename that file and ",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "allow writing there and ",
        _ => "",
    }
}
