//! Mark of a run folder whose jobs are in a shared run at present.

use serde_json::{Value, json};

use crate::store::RunReader;
use crate::store::error::LedgerError;
use crate::store::setting::Setting;

/// Shared run that has the jobs of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lent {
    /// Address of the shared run, without a password.
    pub place: String,
    /// Number of the last commit at the server that is in the folder. `None` as long as it is unknown whether the jobs arrived there.
    pub commit: Option<i64>,
}

impl Lent {
    /// Returns the mark of a run; `None` if the folder has its jobs to itself.
    pub fn of(run: &(impl RunReader + ?Sized)) -> Result<Option<Self>, LedgerError> {
        let Some(text) = run.setting(Setting::Lent)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let mark = || {
            let parts: Value = serde_json::from_str(&text).ok()?;
            Some(Self { place: parts.get("place")?.as_str()?.to_owned(), commit: parts.get("commit")?.as_i64() })
        };
        let damaged = || LedgerError::Damaged {
            path: run.location().to_owned(),
            what: "its entry about a shared run is unreadable".to_owned(),
        };
        mark().map(Some).ok_or_else(damaged)
    }

    /// Writes the mark as the text of its setting.
    pub fn text(&self) -> String {
        json!({ "place": self.place, "commit": self.commit }).to_string()
    }

    /// Refuses a run whose jobs are in a shared run.
    pub fn refuse(run: &(impl RunReader + ?Sized)) -> Result<(), LedgerError> {
        match Self::of(run)? {
            None => Ok(()),
            Some(Self { place, .. }) => {
                let path = run.location();
                Err(LedgerError::Lent { path: path.parent().unwrap_or(path).to_owned(), place })
            }
        }
    }
}
