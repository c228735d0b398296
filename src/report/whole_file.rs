//! A file that is replaced as a whole: whoever opens it sees all of the old one or all of the new one.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A file under way beside its place, which it takes at the end. Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct WholeFile {
    file: File,
    path: PathBuf,
    partial: Partial,
}

impl WholeFile {
    /// Begins what shall stand at this path.
    pub fn create(path: &Path) -> io::Result<Self> {
        let (partial, file) = Partial::beside(path)?;
        Ok(Self { file, path: path.to_owned(), partial })
    }

    /// Makes it last and puts it in its place.
    pub fn finish(self) -> io::Result<()> {
        let Self { file, path, partial } = self;
        file.sync_all()?;
        fs::rename(&partial.0, &path)?;
        sync_folder_of(&path)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file while it is written. It is gone with this value, unless it was given its name.
#[derive(Debug)]
struct Partial(PathBuf);

/// What a killed process left is cleared away when it is this old: nobody writes such a file for so long.
const STALE_AGE: Duration = Duration::from_secs(3600);

impl Partial {
    /// A file in the same folder, as a rename cannot leave the file system. Its name is no other writer's, in this process or in
    /// another: a run may end while its results are asked for.
    fn beside(path: &Path) -> io::Result<(Self, File)> {
        static N_MADE: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?.to_string_lossy();
        let begin = format!(".{name}.partial-");
        sweep(path, &begin)?;
        let n = N_MADE.fetch_add(1, Ordering::Relaxed);
        let partial = path.with_file_name(format!("{begin}{}-{n}", process::id()));
        // What has this name can only be left from a process that had our number. If it is a link, only the link goes.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let file = File::options().write(true).create_new(true).open(&partial)?;
        Ok((Self(partial), file))
    }
}

/// Removes the files of killed processes beside `path` whose names begin so.
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

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a rename last. Elsewhere than on Unix folders cannot be synced, nor need they be.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder_of(path))?.sync_all()?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What has to come before another try to write.
pub fn first(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space and ",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "allow writing there and ",
        _ => "",
    }
}
