//! Spool of a manifest from a pipe or standard input, which can be read only once.
//!
//! A manifest is read more than once. So the data is copied to an unnamed temporary file as it is read. The first reader waits for the
//! writer; later readers use the file. A pipe is opened once per process, so no reader waits for a second writer that never comes.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::manifest::input::path::STANDARD_INPUT;

/// Bytes per read from a pipe.
const CHUNK: usize = 64 * 1024;

/// Reader of a pipe's data from the beginning.
#[derive(Debug)]
pub(crate) struct SpoolReader {
    spool: Arc<Mutex<Spool>>,
    offset: u64,
}

/// Data that was read from a pipe so far, and the pipe itself.
#[derive(Default)]
struct Spool {
    file: Option<File>,
    n_bytes: u64,
    /// `None` before the pipe is opened and after its end.
    pipe: Option<Box<dyn Read + Send>>,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("n_bytes", &self.n_bytes).finish_non_exhaustive()
    }
}

/// Spools by path, because the data of a pipe can be read only once per process.
static SPOOLS: Mutex<BTreeMap<PathBuf, Arc<Mutex<Spool>>>> = Mutex::new(BTreeMap::new());

/// Number of readers that wait for a writer now.
static N_WAITING: AtomicUsize = AtomicUsize::new(0);

/// Returns whether a reader waits for a manifest from a pipe. A process that is asked to stop then has nothing else to wait for.
pub fn is_waiting() -> bool {
    N_WAITING.load(Ordering::SeqCst) > 0
}

/// Runs `work`, which may block until the writer of a pipe sends data.
fn waiting<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    N_WAITING.fetch_add(1, Ordering::SeqCst);
    let result = work();
    N_WAITING.fetch_sub(1, Ordering::SeqCst);
    result
}

impl SpoolReader {
    /// Opens a reader of the pipe at this path, or of standard input. The first call for a pipe waits for a writer.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let spool = Arc::clone(locked(&SPOOLS).entry(path.to_owned()).or_default());
        let reader = Self { spool, offset: 0 };
        reader.locked().begin(path)?;
        Ok(reader)
    }

    /// Returns the length of the data in bytes. Waits for the end of the pipe.
    pub(crate) fn n_bytes(&self) -> io::Result<u64> {
        let mut spool = self.locked();
        while spool.take_more()? > 0 {}
        Ok(spool.n_bytes)
    }

    fn locked(&self) -> MutexGuard<'_, Spool> {
        locked(&self.spool)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spool {
    fn begin(&mut self, path: &Path) -> io::Result<()> {
        if self.file.is_none() {
            // Comes first: a pipe that was opened and dropped would have to be opened again, and wait for a second writer.
            let file = tempfile::tempfile().map_err(|error| not_kept(&error))?;
            let pipe: Box<dyn Read + Send> = if path == Path::new(STANDARD_INPUT) {
                Box::new(io::stdin())
            } else {
                Box::new(waiting(|| File::open(path))?)
            };
            self.pipe = Some(pipe);
            self.file = Some(file);
        }
        Ok(())
    }

    /// Reads the next chunk from the pipe and returns its length in bytes. Returns 0 at the end.
    fn take_more(&mut self) -> io::Result<usize> {
        let (Some(pipe), Some(file)) = (&mut self.pipe, &mut self.file) else { return Ok(0) };
        let mut chunk = vec![0; CHUNK];
        let n_bytes = waiting(|| pipe.read(&mut chunk))?;
        file.write_all(&chunk[..n_bytes]).map_err(|error| not_kept(&error))?;
        self.n_bytes += n_bytes as u64;
        if n_bytes == 0 {
            self.pipe = None;
        }
        Ok(n_bytes)
    }
}

fn not_kept(error: &io::Error) -> io::Error {
    let folder = env::temp_dir();
    io::Error::new(
        error.kind(),
        format!(
            "it could not be buffered in {} while it is read: {error}; set TMPDIR to a folder with enough space",
            folder.display()
        ),
    )
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut spool = self.locked();
        while self.offset >= spool.n_bytes && !buffer.is_empty() {
            if spool.take_more()? == 0 {
                return Ok(0);
            }
        }
        let Some(file) = &spool.file else { return Ok(0) };
        let n_bytes = file.read_at(buffer, self.offset)?;
        drop(spool);
        self.offset += n_bytes as u64;
        Ok(n_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spooled(pipe: impl Read + Send + 'static) -> impl Fn() -> SpoolReader {
        let file = Some(tempfile::tempfile().expect("a temporary file can be made"));
        let spool = Arc::new(Mutex::new(Spool { file, n_bytes: 0, pipe: Some(Box::new(pipe)) }));
        move || SpoolReader { spool: Arc::clone(&spool), offset: 0 }
    }

    /// Goal: two readers have independent offsets. Method: read with the second one in the middle of the first.
    #[test]
    fn what_is_spooled_is_read_as_often_as_wanted() {
        let said = "prompt\n猫\n".repeat(10_000);
        let reader = spooled(io::Cursor::new(said.clone()));
        let (mut first, mut read) = (reader(), String::new());
        let mut head = [0; 6];
        first.read_exact(&mut head).expect("there is that much");
        assert_eq!(io::read_to_string(reader()).expect("it can be read"), said);
        first.read_to_string(&mut read).expect("it can be read");
        assert_eq!(format!("prompt{read}"), said);
        assert_eq!(reader().n_bytes().ok(), Some(said.len() as u64));
    }

    /// Goal: a pipe is not read further than its reader requests. Method: a pipe that fails after its first bytes, which are read twice.
    #[test]
    fn only_what_is_wanted_is_waited_for() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("it was asked for more"))
            }
        }
        let reader = spooled(io::Cursor::new("prompt\n").chain(Failing));
        for _ in 0..2 {
            let (mut reader, mut head) = (reader(), [0; 7]);
            reader.read_exact(&mut head).expect("it was said");
            assert_eq!(&head, b"prompt\n");
            assert_eq!(reader.read(&mut head).unwrap_err().to_string(), "it was asked for more");
        }
        assert!(reader().n_bytes().is_err());
    }
}
