//! Account that owns the tasks of a run, as a salted hash of the token used for submissions.
//!
//! The token itself is never stored here.

use crate::store::error::LedgerError;
use crate::store::sqlite::SqliteStore;

const ACCOUNT: &str = "account";
const SALT: &str = "account_salt";

/// Result of comparing an account with the account of a run's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountCheck {
    /// Account equal to the recorded one.
    Same,
    /// First account of the run: none was recorded before, and this one is recorded now.
    First,
    /// Account different from the recorded one, which stays recorded.
    Different,
}

impl SqliteStore {
    /// Returns the salt for hashing the tokens of this run. It is random and drawn once, so hashes of two runs cannot be
    /// compared.
    pub fn account_salt(&self) -> Result<String, LedgerError> {
        if let Some(salt) = self.meta(SALT)? {
            return Ok(salt);
        }
        let salt = format!("{:032x}", fastrand::u128(..));
        self.set_meta(SALT, &salt)?;
        Ok(salt)
    }

    /// Compares the salted hash of a token with the one recorded first, and records it if there is none.
    pub fn settle_account(&self, hash: &str) -> Result<AccountCheck, LedgerError> {
        match self.meta(ACCOUNT)? {
            Some(known) if known == hash => Ok(AccountCheck::Same),
            Some(_) => Ok(AccountCheck::Different),
            None => {
                self.adopt_account(hash)?;
                Ok(AccountCheck::First)
            }
        }
    }

    /// Records this account in place of the recorded one.
    pub fn adopt_account(&self, hash: &str) -> Result<(), LedgerError> {
        self.set_meta(ACCOUNT, hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::tests::file;

    #[test]
    fn the_first_account_is_kept_until_another_is_adopted() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), &["cat"]);
        let salt = file.account_salt().unwrap();
        assert_eq!((salt.len(), file.account_salt().unwrap()), (32, salt.clone()));
        let check = |file: &SqliteStore, hash| file.settle_account(hash).unwrap();
        assert_eq!(check(&file, "one"), AccountCheck::First);
        assert_eq!(check(&file, "one"), AccountCheck::Same);
        assert_eq!(check(&file, "two"), AccountCheck::Different);
        assert_eq!(check(&file, "one"), AccountCheck::Same, "what was recorded stays");
        file.adopt_account("two").unwrap();
        drop(file);
        let file = SqliteStore::open(folder.path(), "simulator").unwrap();
        assert_eq!((check(&file, "two"), check(&file, "one")), (AccountCheck::Same, AccountCheck::Different));
        assert_eq!(file.account_salt().unwrap(), salt);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(crate::store::sqlite::tests::file(other.path(), &["cat"]).account_salt().unwrap(), salt);
    }
}
