//! Descriptor of a store: its name, and the ways to open a run in it.

use std::path::Path;

use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::{RunReader, RunWriter};

/// Store, as a row of the table [`STORES`](crate::store::stores::STORES).
#[derive(Debug)]
pub struct StoreSpec {
    /// Name of the store.
    pub name: &'static str,
    /// Description in one line.
    pub help: &'static str,
    /// Returns whether this store keeps the run in the folder `out`.
    pub has_run: fn(out: &Path) -> bool,
    /// Opens a run for writing, and creates the folder and the ledger if they are missing.
    pub open: Open,
    /// Opens a run for reading, also while another process writes.
    pub open_for_reading: fn(out: &Path) -> Result<Box<dyn RunReader>, LedgerError>,
    /// Passes a snapshot of a run to a closure, and writes nothing. May call it again: only the last call counts.
    pub read_snapshot: ReadSnapshot,
    /// Returns the id of the process that writes to a run; `None` if no process does.
    pub lock_owner: fn(out: &Path) -> Option<String>,
    /// Returns the reason why a ledger went back in time: it lacks records that it once had. `None` if it did not. Works during
    /// a live run.
    pub find_rollback: fn(out: &Path) -> Result<Option<LedgerError>, LedgerError>,
    /// Removes the ledger of a run, if the closure says so while no other process can write to it. Returns whether it did.
    pub discard: Discard,
}

/// Opens the run in a folder for writing.
pub type Open = fn(out: &Path, options: OpenOptions<'_>) -> Result<Box<dyn RunWriter>, LedgerError>;

/// Removes the ledger of the run in a folder, if a closure says so.
pub type Discard = fn(
    out: &Path,
    is_unwanted: &mut dyn FnMut(&dyn RunReader) -> Result<bool, LedgerError>,
) -> Result<bool, LedgerError>;

/// Passes a snapshot of the run in a folder to a closure.
pub type ReadSnapshot = fn(out: &Path, read: &mut dyn FnMut(&dyn RunReader)) -> Result<(), LedgerError>;

/// Options of opening a run for writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions<'a> {
    /// Identity of the provider of the run's tasks. `None` opens only a run that exists, with the provider that it names.
    ///
    /// A run never changes its provider: task ids mean nothing elsewhere.
    pub provider: Option<&'a str>,
    /// Accepts a ledger that went back in time. Jobs that may have been submitted since are recorded as in doubt, at this time.
    /// `None` refuses such a ledger.
    pub accepts_older: Option<Timestamp>,
}
