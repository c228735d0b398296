//! Table of the stores, and the one place where a run is opened.

use std::path::Path;

use crate::store::error::LedgerError;
use crate::store::spec::{OpenOptions, StoreSpec};
use crate::store::{RunReader, RunWriter, memory, sqlite, typed};

/// All stores. The first one keeps new runs.
pub static STORES: [&StoreSpec; 2] = [&sqlite::STORE, &memory::STORE];

/// Returns the store that keeps the run in the folder `out`, or that will keep a new one there.
pub(crate) fn store_of(out: &Path) -> &'static StoreSpec {
    STORES.into_iter().find(|store| (store.has_run)(out)).unwrap_or(STORES[0])
}

/// Opens the run in the folder `out` for writing. Creates the folder and the ledger if they are missing and a provider is given.
pub fn open(out: &Path, options: OpenOptions<'_>) -> Result<Box<dyn RunWriter>, LedgerError> {
    (store_of(out).open)(out, options)
}

/// Opens the run in the folder `out` for reading, also while another process writes.
pub fn open_for_reading(out: &Path) -> Result<Box<dyn RunReader>, LedgerError> {
    (store_of(out).open_for_reading)(out)
}

/// Passes a snapshot of the run in the folder `out` to `read`, and writes nothing.
///
/// `read` may be called again: its result for a ledger that changed meanwhile is discarded.
pub fn read_snapshot<T, E: From<LedgerError>>(
    out: &Path,
    read: impl FnMut(&dyn RunReader) -> Result<T, E>,
) -> Result<T, E> {
    typed::read_snapshot(store_of(out), out, read)
}

/// Returns the id of the process that writes to the run in the folder `out`; `None` if no process does.
pub fn lock_owner(out: &Path) -> Option<String> {
    (store_of(out).lock_owner)(out)
}

/// Returns the reason why the ledger of the run in the folder `out` went back in time; `None` if it did not.
pub(crate) fn find_rollback(out: &Path) -> Result<Option<LedgerError>, LedgerError> {
    (store_of(out).find_rollback)(out)
}

/// Removes the ledger of the run in the folder `out`, if `is_unwanted` says so while no other process can write to it. Returns whether it did.
pub(crate) fn discard(
    out: &Path,
    mut is_unwanted: impl FnMut(&dyn RunReader) -> Result<bool, LedgerError>,
) -> Result<bool, LedgerError> {
    (store_of(out).discard)(out, &mut is_unwanted)
}
