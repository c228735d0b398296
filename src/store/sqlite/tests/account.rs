//! Tests of the account that a run belongs to.

use super::*;
use crate::store::settings::AccountCheck;

#[test]
fn the_first_account_is_kept_until_another_is_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = file(folder.path(), &["cat"]);
    let salt = file.account_salt().unwrap();
    assert_eq!((salt.len(), file.account_salt().unwrap()), (32, salt.clone()));
    let check = |file: &mut SqliteStore, hash| file.settle_account(hash).unwrap();
    assert_eq!(check(&mut file, "one"), AccountCheck::First);
    assert_eq!(check(&mut file, "one"), AccountCheck::Same);
    assert_eq!(check(&mut file, "two"), AccountCheck::Different);
    assert_eq!(check(&mut file, "one"), AccountCheck::Same, "what was recorded stays");
    file.adopt_account("two").unwrap();
    drop(file);
    let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
    assert_eq!((check(&mut file, "two"), check(&mut file, "one")), (AccountCheck::Same, AccountCheck::Different));
    assert_eq!(file.account_salt().unwrap(), salt);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(self::file(other.path(), &["cat"]).account_salt().unwrap(), salt);
}
