//! Table of all providers, and the lookup of a provider by its name, by a file that describes it, or by its identity in a ledger.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path};
use std::sync::{Mutex, PoisonError};

use crate::description::error::DescriptionError;
use crate::description::format::Description;
use crate::description::parse::{BYTES_MAX, parse};
use crate::model::provider_identity::ProviderIdentity;
use crate::model::request_limits::{ProviderFacts, RequestDoubt};
use crate::provider::builtin::{self, BUILT_IN, BuiltIn};
use crate::provider::config::ProviderConfig;
use crate::provider::default_provider::{self, DEFAULT};
use crate::provider::described::spec::spec;
#[cfg(feature = "simulator")]
use crate::provider::simulator;
use crate::provider::spec::{ConnectError, ProviderSettings, ProviderSpec};

/// Providers whose client is code. Those that are described are rows of another table.
pub static PROVIDERS: &[&ProviderSpec] = &[
    #[cfg(feature = "simulator")]
    &simulator::SPEC,
];

/// Described providers that this process uses.
static DESCRIBED: Mutex<BTreeMap<&'static str, &'static ProviderSpec>> = Mutex::new(BTreeMap::new());

/// Returns the names of all providers with their help, in the order of lists. Parses nothing.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let in_code = PROVIDERS.iter().map(|spec| (spec.name, spec.help));
    let described = |rows: &'static [BuiltIn]| rows.iter().map(|row| (row.name, row.help()));
    let (default, others) = BUILT_IN.split_at(1);
    described(default).chain(in_code).chain(described(others))
}

/// Returns the provider with this name; `None` if there is none. A description is parsed when its provider is first named.
pub fn find(name: &str) -> Option<&'static ProviderSpec> {
    if let Some(spec) = PROVIDERS.iter().copied().find(|spec| spec.name == name) {
        return Some(spec);
    }
    if name == default_provider::NAME {
        return Some(*DEFAULT);
    }
    let mut described = DESCRIBED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(spec) = described.get(name) {
        return Some(spec);
    }
    let row = BUILT_IN.iter().find(|row| row.name == name)?;
    let api = parse(row.name, row.text, &builtin::text).expect("a test parses every built-in description");
    let spec = spec(api);
    described.insert(spec.name, spec);
    Some(spec)
}

/// Reads the description of a provider from a file. From then on [`find`] knows the provider, so that a run with its tasks continues.
pub fn from_file(path: &Path) -> Result<&'static ProviderSpec, DescriptionError> {
    let api = read_file(path)?;
    let mut described = DESCRIBED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = described.get(&*api.name).filter(|known| known.description == Some(&api)) {
        return Ok(known);
    }
    let spec = spec(api);
    described.insert(spec.name, spec);
    Ok(spec)
}

/// Returns the provider that a row of a manifest names: by its name, or by the path of a description below this folder.
pub fn named_below(text: &str, folder: &Path) -> Result<&'static ProviderSpec, NamedProviderError> {
    if !is_file(text) {
        return named(text);
    }
    let path = Path::new(text);
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let whole = folder.join(path);
    // A link may lead out of the folder. What does not exist is reported by the reader.
    let real = |path: &Path| fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok();
    let leads_out = real(&whole).zip(real(folder)).is_some_and(|(file, folder)| !file.starts_with(folder));
    if !is_below || leads_out {
        return Err(NamedProviderError::Outside(text.to_owned()));
    }
    Ok(from_file(&whole)?)
}

/// Returns what a manifest needs to know of the provider that a row names.
pub fn facts_of_row(text: &str, folder: &Path) -> Result<ProviderFacts, RequestDoubt> {
    match named_below(text, folder) {
        Ok(spec) => Ok(ProviderFacts { limits: &spec.limits, default_model: spec.default_model }),
        Err(error) => Err(RequestDoubt {
            what: format!("could not use the provider of this entry: {error}"),
            remedy: "or keep a column of your own with --carry provider".into(),
        }),
    }
}

/// Returns whether a text is the path of a description, and not the name of a provider.
pub fn is_file(text: &str) -> bool {
    let ending = Path::new(text).extension().map(OsStr::to_ascii_lowercase);
    ending.is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// Returns the provider that a user names: by its name, or by the path of a description that ends in `.yaml` or `.yml`.
pub fn named(text: &str) -> Result<&'static ProviderSpec, NamedProviderError> {
    if is_file(text) {
        return Ok(from_file(Path::new(text))?);
    }
    find(text).ok_or_else(|| NamedProviderError::Unknown(text.to_owned()))
}

/// Reasons why a name gives no provider.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamedProviderError {
    /// Description with mistakes.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// Path that leads out of the folder of the manifest.
    #[error("{0:?} is not below the folder of the manifest; put the description there")]
    Outside(String),
    /// Name that no provider has.
    #[error(
        "there is no provider {0:?}; `promptbatch providers` lists them, and the file of a description ends in .yaml"
    )]
    Unknown(String),
}

/// Reads and checks the description in a file.
pub fn read_file(path: &Path) -> Result<Description, DescriptionError> {
    let file = path.display().to_string();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX as u64 + 1).read_to_string(&mut text));
    read.map_err(|error| DescriptionError::one(&file, None, format!("could not read it: {error}; check the path")))?;
    let api = parse(&file, &text, &builtin::text)?;
    // The name stands in ledgers, where it must not mean two things.
    if names().any(|(name, _)| name == api.name) {
        let line = text.lines().position(|line| line.starts_with("name:")).map(|i| i as u64 + 1);
        let what = format!("`name`: {:?} is a provider of the program; choose another name", api.name);
        return Err(DescriptionError::one(&file, line, what));
    }
    Ok(api)
}

/// Returns the provider with this identity, as a ledger records it, with these settings and the base URL of the identity.
pub fn recorded(identity: &ProviderIdentity, settings: ProviderSettings) -> Result<ProviderConfig, ConnectError> {
    let spec = find(&identity.name).filter(|spec| spec.api.is_some() == identity.base_url.is_some());
    let spec = spec.ok_or_else(|| ConnectError::Unknown(identity.to_string()))?;
    let base_url = identity.base_url.clone();
    Ok(ProviderConfig::new(spec).with(|mine| *mine = ProviderSettings { base_url, ..settings }))
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self::new(*DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::description::auth::Auth;
    use crate::provider::http::base_url::BaseUrl;

    fn all() -> impl Iterator<Item = &'static ProviderSpec> {
        names().map(|(name, _)| find(name).expect("every name leads to its row"))
    }

    #[test]
    fn every_row_can_stand_in_flags_results_and_ledgers() {
        let listed: BTreeSet<_> = names().map(|(name, _)| name).collect();
        assert_eq!(listed.len(), names().count());
        for spec in all() {
            let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(!spec.name.is_empty() && spec.name.chars().all(is_word), "{:?}", spec.name);
            assert!(!spec.help.is_empty() && !spec.help.contains('\n'), "{}", spec.name);
            assert!(spec.poll_batch_max >= 1, "{}", spec.name);
            if let Some(api) = spec.api {
                let is_open = *api.auth == Auth::None;
                assert_eq!(api.token.variables.is_empty(), is_open, "{}", spec.name);
                let normalized = BaseUrl::parse(api.base_url, api.base_url).unwrap().to_string();
                assert_eq!(normalized, api.base_url, "the default is compared with what a ledger records");
            }
        }
    }

    /// Goal: a user finds every provider in the manual, with the token that it needs.
    #[test]
    fn the_manual_names_every_provider() {
        let manual = include_str!("../../docs/providers.md");
        for spec in all() {
            assert!(manual.contains(&format!("`{}`", spec.name)), "{}", spec.name);
            let variable = spec.api.as_ref().and_then(|api| api.token.variables.first());
            assert!(variable.is_none_or(|text| manual.contains(text)), "{}: {variable:?}", spec.name);
        }
    }

    #[test]
    fn an_identity_leads_back_to_its_provider() {
        for spec in all() {
            let identity = ProviderConfig::new(spec).identity().unwrap();
            let again = recorded(&identity, ProviderSettings::default()).unwrap();
            assert_eq!((again.spec().name, again.identity().unwrap()), (spec.name, identity));
        }
        for text in
            ["midjourney", "midjourney https://a.example", "modelscope", "simulator https://a.example", "openai"]
        {
            let error = recorded(&ProviderIdentity::parse(text), ProviderSettings::default()).unwrap_err();
            assert!(matches!(&error, ConnectError::Unknown(named) if named == text), "{error}");
        }
    }

    /// Goal: a run of a described provider continues if its file is given again, and a file cannot take the name of another provider.
    #[test]
    fn a_file_describes_a_provider() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.yaml");
        let text = "name: relay-of-a-file\nhelp: A relay\nextends: openai\nbase_url: https://relay.example\n\
                    token: {env: [RELAY_KEY], page: 'https://relay.example'}\n";
        fs::write(&path, text).unwrap();
        let identity = ProviderIdentity::parse("relay-of-a-file https://relay.example");
        let error = recorded(&identity, ProviderSettings::default()).unwrap_err().to_string();
        assert!(error.contains("--provider FILE.yaml"), "{error}");
        let spec = from_file(&path).unwrap();
        assert_eq!(recorded(&identity, ProviderSettings::default()).unwrap().spec().name, "relay-of-a-file");
        assert!(std::ptr::eq(from_file(&path).unwrap(), spec), "the same file gives the same row");
        for name in ["openai", "modelscope", "simulator"] {
            fs::write(&path, text.replace("relay-of-a-file", name)).unwrap();
            let told = from_file(&path).unwrap_err().to_string();
            assert!(told.contains("relay.yaml:1: ") && told.contains("choose another name"), "{told}");
        }
        let told = from_file(&folder.path().join("missing.yaml")).unwrap_err().to_string();
        assert!(told.contains("missing.yaml: could not read it"), "{told}");
    }

    /// Goal: a ledger from elsewhere does not decide where the token is sent.
    #[test]
    fn the_token_goes_to_the_default_address_and_this_machine_unless_the_user_says_more() {
        let at = |base_url: &str| {
            let identity = ProviderIdentity { name: "modelscope".into(), base_url: Some(base_url.into()) };
            recorded(&identity, ProviderSettings::default()).unwrap()
        };
        let default = DEFAULT.api.unwrap().base_url;
        for base_url in [default, "http://127.0.0.1:8080", "http://localhost:1"] {
            assert!(at(base_url).verify_base_url(None).is_ok(), "{base_url}");
        }
        let elsewhere = at("https://a.example");
        assert!(elsewhere.verify_base_url(Some("https://a.example/v1/")).is_ok());
        for said in [None, Some(default), Some("https://b.example")] {
            assert!(matches!(elsewhere.verify_base_url(said), Err(ConnectError::UntrustedBaseUrl { .. })), "{said:?}");
        }
        assert!(at(default).verify_base_url(Some("https://a.example")).is_err());
    }
}
