//! Atomic file replacement: a reader sees the whole old file or the whole new file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Temporary file that replaces its target at the end. Dropped earlier, it leaves no file.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    path: PathBuf,
    partial: AtomicFileTemp,
}

impl AtomicFile {
    /// Creates the temporary file for this path.
    pub fn create(path: &Path) -> io::Result<Self> {
        let (partial, file) = AtomicFileTemp::beside(path)?;
        Ok(Self { file, path: path.to_owned(), partial })
    }

    /// Syncs the temporary file, renames it into place, and syncs the folder.
    pub fn finish(self) -> io::Result<()> {
        let Self { file, path, partial } = self;
        file.sync_all()?;
        fs::rename(&partial.0, &path)?;
        sync_folder_of(&path)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Path of the temporary file. Dropping this value removes the file, unless it was renamed.
#[derive(Debug)]
struct AtomicFileTemp(PathBuf);

/// Age at which the temporary file of a killed process is removed: no process writes such a file for so long.
const STALE_AGE: Duration = Duration::from_secs(3600);

impl AtomicFileTemp {
    /// Creates the file in the same folder, because a rename cannot leave the file system. Its name is unique among all
    /// writers, in this process and in others. A run may end while another process writes its results.
    fn beside(path: &Path) -> io::Result<(Self, File)> {
        static N_MADE: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?.to_string_lossy();
        let begin = format!(".{name}.partial-");
        sweep(path, &begin)?;
        let n = N_MADE.fetch_add(1, Ordering::Relaxed);
        let partial = path.with_file_name(format!("{begin}{}-{n}", process::id()));
        // A file of this name can only come from an earlier process with our process id. If the file is a link, only
        // the link is removed.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let file = File::options().write(true).create_new(true).open(&partial)?;
        Ok((Self(partial), file))
    }
}

/// Removes stale files of killed processes next to `path`, whose names start with `begin`.
fn sweep(path: &Path, begin: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder_of(path))? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(begin);
        if is_ours && entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > STALE_AGE) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Drop for AtomicFileTemp {
    fn drop(&mut self) {
        // After the rename, no file is left to remove.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a rename durable. On systems other than Unix, folders cannot be synced and need not be.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder_of(path))?.sync_all()?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns what the user has to do before the next attempt to write. Empty if nothing is known.
pub fn first(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space and ",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "allow writing there and ",
        _ => "",
    }
}
