//! Consent of the user that a run may need: to an older ledger, and to another account.

use std::path::Path;

use crate::model::time::Timestamp;
use crate::provider::registry::ProviderConfig;
use crate::store::error::LedgerError;
use crate::store::sqlite::{AccountCheck, SqliteStore};

/// Consent given by the user; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Accepts a ledger that is older than its watermark: jobs that may have been submitted since are in doubt.
    pub is_older_accepted: bool,
    /// Accepts a token of another account than the batch began with. Tasks that the new account does not know are lost.
    pub is_account_new: bool,
}

impl Consent {
    /// Opens the ledger in the folder `out` for writing. `None` uses the provider that the ledger names.
    pub(super) fn open(self, out: &Path, provider: Option<&str>, at: Timestamp) -> Result<SqliteStore, LedgerError> {
        match (provider, self.is_older_accepted) {
            (Some(provider), false) => SqliteStore::open(out, provider),
            (Some(provider), true) => SqliteStore::open_accepting_older(out, provider, at),
            (None, false) => SqliteStore::open_existing(out),
            (None, true) => SqliteStore::open_existing_accepting_older(out, at),
        }
    }

    /// Returns whether the token is of the account that owns the tasks of this run. The first account used becomes the run's.
    pub(super) fn is_same_account(self, file: &SqliteStore, provider: &ProviderConfig) -> Result<bool, LedgerError> {
        let Some(account) = provider.account(&file.account_salt()?) else { return Ok(true) };
        match file.settle_account(&account)? {
            AccountCheck::Same | AccountCheck::First => Ok(true),
            AccountCheck::Different if self.is_account_new => {
                file.adopt_account(&account)?;
                Ok(true)
            }
            AccountCheck::Different => Ok(false),
        }
    }
}
