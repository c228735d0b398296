//! Lock file of a ledger: one process writes at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::store::error::LedgerError;

/// Attempts to take a lock that is held, and the pause between them.
const LOCK_TRIES: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Longest process id that is read from a lock file, in bytes. Any program may have written that file.
const PID_BYTES_MAX: u64 = 20;

/// Takes the lock file, or reports the process that holds it. A dead process holds no lock, whatever the file says.
pub(super) fn lock(path: &Path, ledger: &Path) -> Result<File, LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
    match acquire(&file) {
        Ok(()) => {
            file.set_len(0).map_err(io)?;
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            write!(file, "{}", std::process::id()).map_err(io)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let is_read = file.take(PID_BYTES_MAX).read_to_string(&mut pid).is_ok();
            let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
            let pid = if is_read && is_number { pid } else { "(unknown)".to_owned() };
            Err(LedgerError::Locked { path: ledger.to_owned(), pid })
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Takes the lock. Retries, because a process that only tests the lock may hold it at this moment.
fn acquire(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            taken => return taken,
        }
    }
    file.try_lock()
}

/// Returns the id of the process that writes to the ledger in the folder `out`; `None` if no process does.
pub(super) fn lock_owner(out: &Path) -> Option<String> {
    let file = File::open(out.join("run.lock")).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.take(PID_BYTES_MAX).read_to_string(&mut pid).ok()?;
            Some(pid.trim().to_owned())
        }
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}
