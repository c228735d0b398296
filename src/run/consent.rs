//! What a user must agree to before a run goes on: an older ledger, and another account.

use std::path::Path;

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::{AccountCheck, RunFile};
use crate::model::time::Timestamp;
use crate::provider::registry::Choice;

/// What the user agrees to. Nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// To go on with a ledger that is older than the mark beside it: what may have been submitted since is in doubt.
    pub is_older_accepted: bool,
    /// That the account of the token takes the place of the one that the batch was begun with: tasks that it does not know are lost.
    pub is_account_new: bool,
}

impl Consent {
    /// Opens the ledger in the folder `out` for writing. Without a provider it goes on with the one that the ledger names.
    pub(super) fn open(self, out: &Path, provider: Option<&str>, at: Timestamp) -> Result<RunFile, LedgerError> {
        match (provider, self.is_older_accepted) {
            (Some(provider), false) => RunFile::open(out, provider),
            (Some(provider), true) => RunFile::open_accepting_older(out, provider, at),
            (None, false) => RunFile::open_existing(out),
            (None, true) => RunFile::open_existing_accepting_older(out, at),
        }
    }

    /// Whether the token is of the account that the tasks of this run are in. The first one that is used is the run's.
    pub(super) fn is_same_account(self, file: &RunFile, provider: &Choice) -> Result<bool, LedgerError> {
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
