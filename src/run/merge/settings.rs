//! Settings of a merged run, made of those of its parts.

use std::path::Path;

use serde_json::{Map, Value};

use crate::model::price::Price;
use crate::run::merge::error::MergeError;
use crate::store::RunReader;
use crate::store::error::LedgerError;
use crate::store::setting::{Setting, SettingScope};
use crate::store::settings::{ReadSettings, part_accounts_text};

/// Part: its folder and its run.
pub(super) type Part<'a> = (&'a Path, &'a dyn RunReader);

/// Returns the settings of the merged run. Settings that an import makes, or that belong to a folder, are not among them.
pub(super) fn joined(parts: &[Part<'_>]) -> Result<Vec<(Setting, String)>, MergeError> {
    let mut joined = accounts(parts)?;
    for setting in Setting::ALL {
        let value = match setting.scope() {
            SettingScope::Folder | SettingScope::Manifest | SettingScope::Account => None,
            SettingScope::Run => values(setting, parts)?.into_iter().next().map(|(_, value)| value),
            SettingScope::Price => price(setting, parts)?,
            SettingScope::Jobs => {
                let ids: Vec<_> = values(setting, parts)?.into_iter().map(|(_, ids)| ids).collect();
                (!ids.is_empty()).then(|| ids.join(" "))
            }
            SettingScope::Names => names(setting, parts)?,
            SettingScope::Time => {
                let times = values(setting, parts)?.into_iter().filter_map(|(_, time)| time.parse::<i64>().ok());
                times.max().map(|time| time.to_string())
            }
        };
        joined.extend(value.map(|value| (setting, value)));
    }
    Ok(joined)
}

/// Returns the values of the parts that have one.
fn values<'a>(setting: Setting, parts: &[Part<'a>]) -> Result<Vec<(Part<'a>, String)>, LedgerError> {
    let mut values = Vec::new();
    for part in parts {
        values.extend(part.1.setting(setting)?.filter(|value| !value.is_empty()).map(|value| (*part, value)));
    }
    Ok(values)
}

/// Returns the one price of all parts that have submitted anything. Of listed prices it is the newest one.
fn price(setting: Setting, parts: &[Part<'_>]) -> Result<Option<String>, MergeError> {
    let mut chosen: Option<(&Path, Option<Price>, Option<String>)> = None;
    for (folder, run) in parts {
        if run.incidents()?.n_submits == 0 {
            continue;
        }
        let (other, text) = (run.price_used()?, run.setting(setting)?);
        let Some((one, price, _)) = &chosen else {
            chosen = Some((folder, other, text));
            continue;
        };
        let day = |price: &Option<Price>| price.as_ref().and_then(|price| price.listed_on.clone());
        match (day(price), day(&other)) {
            (Some(before), Some(now)) => {
                if now > before {
                    chosen = Some((folder, other, text));
                }
            }
            _ if *price == other => (),
            _ => {
                return Err(MergeError::Different {
                    one: (*one).to_owned(),
                    other: (*folder).to_owned(),
                    what: "they have different prices, or only one has a price; run both once more with the same --price: finished \
                           jobs are not submitted again",
                });
            }
        }
    }
    match chosen {
        Some((_, _, text)) => Ok(text),
        None => Ok(values(setting, parts)?.into_iter().next().map(|(_, text)| text)),
    }
}

/// Returns the entries of all parts. Providers must be at one address; of pictures, which may be anywhere, the first place counts.
fn names(setting: Setting, parts: &[Part<'_>]) -> Result<Option<String>, MergeError> {
    let mut all: Map<String, Value> = Map::new();
    let mut first = None;
    for ((folder, _), text) in values(setting, parts)? {
        let entries: Map<String, Value> = serde_json::from_str(&text).map_err(|_| LedgerError::Damaged {
            path: folder.to_owned(),
            what: format!("its entry `{}` is unreadable", setting.key()),
        })?;
        let one = *first.get_or_insert(folder);
        for (name, value) in entries {
            match all.get(&name) {
                None => drop(all.insert(name, value)),
                Some(known) if setting == Setting::RowProviders && *known != value => {
                    return Err(MergeError::Different {
                        one: one.to_owned(),
                        other: folder.to_owned(),
                        what: "the providers that rows name are at different addresses",
                    });
                }
                Some(_) => (),
            }
        }
    }
    Ok(first.map(|_| Value::Object(all).to_string()))
}

/// Returns the account of the parts. Each part has a salt of its own, so that nothing shows whether the accounts of several are the same: all
/// of them are kept, until a token is compared with each.
fn accounts(parts: &[Part<'_>]) -> Result<Vec<(Setting, String)>, LedgerError> {
    let (mut salts, mut accounts) = (Vec::new(), Vec::new());
    for (_, run) in parts {
        let salt = run.setting(Setting::AccountSalt)?;
        let account = run.setting(Setting::Account)?.filter(|account| !account.is_empty());
        accounts.extend(salt.clone().zip(account));
        salts.extend(salt);
    }
    let salt_of = |salt: &str| (Setting::AccountSalt, salt.to_owned());
    Ok(match &accounts[..] {
        [] => salts.first().map(|salt| salt_of(salt)).into_iter().collect(),
        [(salt, account)] => vec![salt_of(salt), (Setting::Account, account.clone())],
        [(salt, _), ..] => vec![salt_of(salt), (Setting::PartAccounts, part_accounts_text(&accounts))],
    })
}
