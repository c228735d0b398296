//! Values of flags that may be for one provider: `30/m` for all, `fal=30/m` for one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;

use clap::ArgMatches;

use crate::model::limits::{Concurrency, Rate};
use crate::provider::spec::{RowProviderSettings, TokenSource};

/// Value of a flag, for one provider or for all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedValue<T> {
    /// Name of the provider; `None` for all, or for the run's own.
    pub provider: Option<String>,
    /// Value.
    pub value: T,
}

impl From<PathBuf> for NamedValue<PathBuf> {
    /// Reads a file of a token. A file that exists is meant as a whole, whatever its name looks like.
    fn from(path: PathBuf) -> Self {
        let (provider, value) = match path.to_str().map(split) {
            Some((Some(name), file)) if !path.exists() => (Some(name.to_owned()), PathBuf::from(file)),
            Some(_) | None => (None, path),
        };
        Self { provider, value }
    }
}

impl<T: FromStr> FromStr for NamedValue<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        let (provider, value) = split(text);
        Ok(Self { provider: provider.map(str::to_owned), value: value.parse()? })
    }
}

/// Splits a text into the provider that it names, if any, and the value.
fn split(text: &str) -> (Option<&str>, &str) {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = |name: &str| !name.is_empty() && name.chars().all(is_word);
    match text.split_once('=') {
        Some((name, value)) if is_name(name.trim()) => (Some(name.trim()), value),
        Some(_) | None => (None, text),
    }
}

/// Refuses a second value for the same provider, of which only one could hold. Returns the explanation.
pub(crate) fn check_repeated(matches: &ArgMatches) -> Result<(), String> {
    let flags = ["base_url", "token_file", "rate", "concurrency"];
    for (id, flag) in flags.into_iter().zip(["--base-url", "--token-file", "--rate", "--concurrency"]) {
        let mut names = BTreeSet::new();
        for value in matches.try_get_raw(id).ok().flatten().into_iter().flatten() {
            let name = match id {
                "token_file" => NamedValue::from(PathBuf::from(value)).provider,
                _ => split(&value.to_string_lossy()).0.map(str::to_owned),
            };
            let of = name.as_ref().map(|name| format!(" for `{name}`")).unwrap_or_default();
            if !names.insert(name) {
                return Err(format!("the argument '{flag}' is given more than once{of}; give it once{of}"));
            }
        }
    }
    Ok(())
}

/// Returns the value that names this provider, or else the one that names none.
pub(crate) fn for_own<T: Clone>(values: &[NamedValue<T>], own: &str) -> Option<T> {
    let of = |name: Option<&str>| values.iter().rev().find(|value| value.provider.as_deref() == name);
    of(Some(own)).or_else(|| of(None)).map(|value| value.value.clone())
}

/// Returns the source of the token of the run's own provider.
pub(crate) fn own_token(files: &[NamedValue<PathBuf>], own: &str) -> TokenSource {
    for_own(files, own).map_or(TokenSource::Environment, TokenSource::File)
}

/// Gathers the values that name a provider other than the run's own.
pub(crate) fn of_rows(
    own: &str,
    base_urls: &[NamedValue<String>],
    token_files: &[NamedValue<PathBuf>],
    rates: &[NamedValue<Rate>],
    concurrency: &[NamedValue<Concurrency>],
) -> BTreeMap<String, RowProviderSettings> {
    let mut all: BTreeMap<String, RowProviderSettings> = BTreeMap::new();
    let mut at = |name: &Option<String>, set: &dyn Fn(&mut RowProviderSettings)| {
        if let Some(name) = name.as_ref().filter(|name| *name != own) {
            set(all.entry(name.clone()).or_default());
        }
    };
    for NamedValue { provider, value } in base_urls {
        at(provider, &|settings| settings.base_url = Some(value.clone()));
    }
    for NamedValue { provider, value } in token_files {
        at(provider, &|settings| settings.token_file = Some(value.clone()));
    }
    for NamedValue { provider, value } in rates {
        at(provider, &|settings| settings.rate = Some(*value));
    }
    for NamedValue { provider, value } in concurrency {
        at(provider, &|settings| settings.concurrency = Some(*value));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_for_all_or_for_the_provider_that_it_names() {
        let urls: Vec<NamedValue<String>> = ["http://a", "fal=https://b/x=1", "https://c/?q=1", "my-relay = http://d"]
            .map(|text| text.parse().unwrap())
            .into();
        let pairs: Vec<_> = urls.iter().map(|url| (url.provider.as_deref(), url.value.as_str())).collect();
        assert_eq!(pairs[..3], [(None, "http://a"), (Some("fal"), "https://b/x=1"), (None, "https://c/?q=1")]);
        assert_eq!(pairs[3].0, Some("my-relay"));
        assert_eq!(for_own(&urls, "fal").as_deref(), Some("https://b/x=1"), "the name comes first");
        assert_eq!(for_own(&urls, "openai").as_deref(), Some("https://c/?q=1"));
        let rates: Vec<NamedValue<Rate>> = ["30/m", "fal=5/s"].map(|text| text.parse().unwrap()).into();
        let settings = of_rows("openai", &urls, &[], &rates, &[]);
        assert_eq!(settings.keys().collect::<Vec<_>>(), ["fal", "my-relay"]);
        assert_eq!(settings["fal"].rate, "5/s".parse().ok());
        assert!(!of_rows("fal", &urls, &[], &rates, &[]).contains_key("fal"), "that is the run's own");
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("fal=x");
        std::fs::write(&odd, "t").unwrap();
        let files = ["fal=a/key", "b/key", odd.to_str().unwrap()].map(|text| NamedValue::from(PathBuf::from(text)));
        assert_eq!(files.each_ref().map(|file| file.provider.as_deref()), [Some("fal"), None, None]);
        assert_eq!((&files[0].value, &files[2].value), (&PathBuf::from("a/key"), &odd));
        assert!("fal=fast".parse::<NamedValue<Rate>>().is_err());
    }
}
