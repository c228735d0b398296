//! Typed settings of a run, the same for every store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::model::output_options::OutputOptions;
use crate::model::partition::Partition;
use crate::model::picture::SourcePicture;
use crate::model::price::Price;
use crate::model::provider_identity::ProviderIdentity;
use crate::model::storage_url::StorageUrl;
use crate::store::error::LedgerError;
use crate::store::price::{price_from, price_text};
use crate::store::setting::Setting;
use crate::store::style::{style_from, style_text};
use crate::store::{RunReader, RunWriter};

/// Settings of a run, to read.
pub trait ReadSettings: RunReader {
    /// Returns the provider of the run's tasks, as its name and, if it matters, its address.
    fn provider(&self) -> Result<String, LedgerError> {
        self.setting(Setting::Provider)?.ok_or_else(|| damaged(self, "it names no provider"))
    }

    /// Returns the name of that provider. Ledgers of earlier releases have it only in [`provider`](Self::provider).
    fn provider_name(&self) -> Result<String, LedgerError> {
        let recorded = self.setting(Setting::ProviderName)?;
        recorded.map_or_else(|| Ok(ProviderIdentity::parse(&self.provider()?).name), Ok)
    }

    /// Returns the manifest's further columns, in its order.
    fn columns(&self) -> Result<Vec<String>, LedgerError> {
        let Some(text) = self.setting(Setting::Columns)? else { return Ok(Vec::new()) };
        serde_json::from_str(&text).map_err(|_| damaged(self, "its list of columns is not a list"))
    }

    /// Returns the further columns of this manifest and of earlier ones.
    fn results_columns(&self) -> Result<Vec<String>, LedgerError> {
        let text = self.setting(Setting::ResultsColumns)?.unwrap_or_else(|| "[]".to_owned());
        let earlier: Vec<String> =
            serde_json::from_str(&text).map_err(|_| damaged(self, "its list of columns is not a list"))?;
        Ok(self.columns()?.into_iter().chain(earlier).collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Returns the fingerprint of the last imported manifest; `None` before the first import.
    fn manifest_fingerprint(&self) -> Result<Option<String>, LedgerError> {
        self.setting(Setting::ManifestFingerprint)
    }

    /// Returns the part of a manifest that the jobs are, and the fingerprint of the whole; `None` for a whole.
    fn part(&self) -> Result<Option<(Partition, String)>, LedgerError> {
        let Some(text) = self.setting(Setting::Part)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let part = text.split_once(' ').and_then(|(part, whole)| Some((part.parse().ok()?, whole.to_owned())));
        part.map(Some).ok_or_else(|| damaged(self, "its entry about the part of a manifest is unreadable"))
    }

    /// Returns whether the ledger has the number of the row that made each job.
    fn has_rows(&self) -> Result<bool, LedgerError> {
        Ok(self.setting(Setting::Rows)?.is_some())
    }

    /// Returns the identities of the providers that rows name, by their names.
    fn row_identities(&self) -> Result<BTreeMap<String, String>, LedgerError> {
        let Some(text) = self.setting(Setting::RowProviders)? else { return Ok(BTreeMap::new()) };
        serde_json::from_str(&text).map_err(|_| damaged(self, "its list of providers is unreadable"))
    }

    /// Returns the accounts of the parts that were merged into this run, each as the salt and the hash of a token; none once one token is known
    /// to be that of all.
    fn part_accounts(&self) -> Result<Vec<(String, String)>, LedgerError> {
        let Some(text) = self.setting(Setting::PartAccounts)?.filter(|text| !text.is_empty()) else {
            return Ok(vec![]);
        };
        serde_json::from_str(&text).map_err(|_| damaged(self, "its list of accounts is unreadable"))
    }

    /// Returns the output style of the images; `None` if none was recorded.
    fn style(&self) -> Result<Option<OutputOptions>, LedgerError> {
        let Some(text) = self.setting(Setting::OutputStyle)? else { return Ok(None) };
        style_from(&text).map(Some).ok_or_else(|| damaged(self, "its entry about the images is unreadable"))
    }

    /// Returns the address of the images in object storage; `None` if they are in the output folder.
    fn images(&self) -> Result<Option<StorageUrl>, LedgerError> {
        let Some(text) = self.setting(Setting::Images)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| damaged(self, "its address of the images is unreadable"))
    }

    /// Returns the path of that manifest, absolute; `-` for standard input or a pipe. `None` before the first import, and for
    /// imports by earlier releases.
    fn manifest_path(&self) -> Result<Option<String>, LedgerError> {
        self.setting(Setting::ManifestPath)
    }

    /// Returns the pictures on this disk that requests name, by their names.
    fn pictures(&self) -> Result<BTreeMap<String, SourcePicture>, LedgerError> {
        let Some(text) = self.setting(Setting::Pictures)? else { return Ok(BTreeMap::new()) };
        let pictures: BTreeMap<String, (PathBuf, String, u64)> =
            serde_json::from_str(&text).map_err(|_| damaged(self, "its list of pictures is unreadable"))?;
        let picture = |(path, sha256, n_bytes)| SourcePicture { path, sha256, n_bytes };
        Ok(pictures.into_iter().map(|(name, parts)| (name, picture(parts))).collect())
    }

    /// Returns the price of the last imported manifest; `None` if it named none.
    fn manifest_price(&self) -> Result<Option<Price>, LedgerError> {
        Ok(self.setting(Setting::ManifestPrice)?.and_then(|text| price_from(&text)))
    }

    /// Returns the price that the last run used; `None` if it had none.
    fn price_used(&self) -> Result<Option<Price>, LedgerError> {
        Ok(self.setting(Setting::PriceUsed)?.and_then(|text| price_from(&text)))
    }

    /// Returns the run's revision at the last write of the results; `None` before the first write.
    fn results_revision(&self) -> Result<Option<String>, LedgerError> {
        self.setting(Setting::ResultsRevision)
    }
}

impl<R: RunReader + ?Sized> ReadSettings for R {}

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

/// Settings of a run, to change.
pub trait WriteSettings: RunWriter {
    /// Sets the provider of the run's tasks.
    fn set_provider(&mut self, provider: &str) -> Result<(), LedgerError> {
        self.set_setting(Setting::ProviderName, &ProviderIdentity::parse(provider).name)?;
        self.set_setting(Setting::Provider, provider)
    }

    /// Keeps the columns of the manifest in mind, before another one is imported.
    fn keep_columns(&mut self) -> Result<(), LedgerError> {
        let columns = self.results_columns()?;
        let text = serde_json::json!(columns).to_string();
        let is_kept = columns.is_empty() || self.setting(Setting::ResultsColumns)?.as_deref() == Some(&text);
        if is_kept { Ok(()) } else { self.set_setting(Setting::ResultsColumns, &text) }
    }

    /// Sets the output style of the images.
    fn set_style(&mut self, style: &OutputOptions) -> Result<(), LedgerError> {
        self.set_setting(Setting::OutputStyle, &style_text(style))
    }

    /// Sets the address of the images.
    fn set_images(&mut self, place: Option<&StorageUrl>) -> Result<(), LedgerError> {
        self.set_setting(Setting::Images, &place.map(ToString::to_string).unwrap_or_default())
    }

    /// Records the pictures on this disk that requests name, by their names.
    fn set_pictures(&mut self, pictures: &BTreeMap<String, SourcePicture>) -> Result<(), LedgerError> {
        let parts =
            pictures.iter().map(|(name, SourcePicture { path, sha256, n_bytes })| (name, (path, sha256, n_bytes)));
        let text = serde_json::to_string(&parts.collect::<BTreeMap<_, _>>());
        self.set_setting(Setting::Pictures, &text.map_err(|_| damaged(self, "a path of a picture is not UTF-8"))?)
    }

    /// Determines the price of a run: the user's, else the manifest's, else the user's last one, else the `listed` one of the provider's
    /// description. Stores it for later runs and for the results. Returns `None` if no price is known.
    fn settle_price(&mut self, told: Option<Price>, listed: Option<Price>) -> Result<Option<Price>, LedgerError> {
        let before = self.price_used()?;
        let price = match told.map_or_else(|| self.manifest_price(), |price| Ok(Some(price)))? {
            None => preferred(before.clone(), listed),
            price => price,
        };
        if price != before {
            self.set_setting(Setting::PriceUsed, &price.as_ref().map(price_text).unwrap_or_default())?;
        }
        Ok(price)
    }

    /// Records the description of the provider, as the hashes of its fields. Returns the fields that have changed since the last session;
    /// none if it is the first one.
    fn settle_description(
        &mut self,
        name: &str,
        hashes: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, LedgerError> {
        let text = serde_json::json!([name, hashes]).to_string();
        let before = self.setting(Setting::Description)?;
        if before.as_ref() == Some(&text) {
            return Ok(Vec::new());
        }
        self.set_setting(Setting::Description, &text)?;
        let Some(before) = before else { return Ok(Vec::new()) };
        let (_, known): (String, BTreeMap<String, String>) =
            serde_json::from_str(&before).map_err(|_| damaged(self, "its entry about the provider is unreadable"))?;
        let fields: BTreeSet<&String> = known.keys().chain(hashes.keys()).collect();
        Ok(fields.into_iter().filter(|field| known.get(*field) != hashes.get(*field)).cloned().collect())
    }

    /// Records the identities of the providers that rows name.
    fn set_row_identities(&mut self, identities: &BTreeMap<String, String>) -> Result<(), LedgerError> {
        self.set_setting(Setting::RowProviders, &serde_json::json!(identities).to_string())
    }

    /// Records that the results were written at this revision.
    fn set_results_revision(&mut self, revision: &str) -> Result<(), LedgerError> {
        self.set_setting(Setting::ResultsRevision, revision)
    }

    /// Returns the salt for hashing the tokens of this run. It is random and drawn once, so hashes of two runs cannot be
    /// compared.
    fn account_salt(&mut self) -> Result<String, LedgerError> {
        if let Some(salt) = self.setting(Setting::AccountSalt)? {
            return Ok(salt);
        }
        let salt = format!("{:032x}", fastrand::u128(..));
        self.set_setting(Setting::AccountSalt, &salt)?;
        Ok(salt)
    }

    /// Compares the salted hash of a token with the one recorded first, and records it if there is none. The token itself is
    /// never stored.
    fn settle_account(&mut self, hash: &str) -> Result<AccountCheck, LedgerError> {
        match self.setting(Setting::Account)? {
            Some(known) if known == hash => Ok(AccountCheck::Same),
            Some(_) => Ok(AccountCheck::Different),
            None => {
                self.adopt_account(hash)?;
                Ok(AccountCheck::First)
            }
        }
    }

    /// Records this account in place of the recorded one, and of those of merged parts.
    fn adopt_account(&mut self, hash: &str) -> Result<(), LedgerError> {
        self.set_setting(Setting::Account, hash)?;
        if self.part_accounts()?.is_empty() { Ok(()) } else { self.set_setting(Setting::PartAccounts, "") }
    }
}

impl<W: RunWriter + ?Sized> WriteSettings for W {}

/// Returns the price of a run whose user gives none: that of the last run, or the listed one, which may have changed since.
pub fn preferred(used: Option<Price>, listed: Option<Price>) -> Option<Price> {
    let is_users = used.as_ref().is_some_and(|price| price.listed_on.is_none());
    if is_users { used } else { listed.or(used) }
}

/// Returns the entry of the accounts of merged parts, each as a salt and a hash.
pub(crate) fn part_accounts_text(accounts: &[(String, String)]) -> String {
    serde_json::json!(accounts).to_string()
}

fn damaged<R: RunReader + ?Sized>(reader: &R, what: &str) -> LedgerError {
    LedgerError::Damaged { path: reader.location().to_owned(), what: what.to_owned() }
}
