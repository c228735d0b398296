//! Table of all providers, and the lookup of a provider by its name or by its identity in a ledger.

use crate::model::provider_identity::ProviderIdentity;
use crate::provider::config::ProviderConfig;
use crate::provider::modelscope;
#[cfg(feature = "simulator")]
use crate::provider::simulator;
use crate::provider::spec::{ConnectError, ProviderSettings, ProviderSpec};

/// All providers. The first is the default.
pub static PROVIDERS: &[&ProviderSpec] = &[
    &modelscope::SPEC,
    #[cfg(feature = "simulator")]
    &simulator::SPEC,
];

/// Provider of a run that names none.
pub static DEFAULT: &ProviderSpec = PROVIDERS[0];

/// Returns the provider with this name; `None` if there is none.
pub fn find(name: &str) -> Option<&'static ProviderSpec> {
    PROVIDERS.iter().copied().find(|spec| spec.name == name)
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
        Self::new(DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_can_stand_in_flags_results_and_ledgers() {
        let names: BTreeSet<_> = PROVIDERS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), PROVIDERS.len());
        for spec in PROVIDERS {
            let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(!spec.name.is_empty() && spec.name.chars().all(is_word), "{:?}", spec.name);
            assert!(!spec.help.is_empty() && !spec.help.contains('\n'), "{}", spec.name);
            assert!(spec.poll_batch_max >= 1, "{}", spec.name);
            if let Some(api) = spec.api {
                assert!(!api.token.variables.is_empty() && api.token.page.starts_with("https://"), "{}", spec.name);
                let normalized = api.base_url(&ProviderSettings::default()).unwrap().to_string();
                assert_eq!(normalized, api.base_url, "the default is compared with what a ledger records");
            }
        }
    }

    /// Goal: a user finds every provider in the manual, with the token that it needs.
    #[test]
    fn the_manual_names_every_provider() {
        let manual = include_str!("../../docs/providers.md");
        for spec in PROVIDERS {
            assert!(manual.contains(spec.name), "{}", spec.name);
            for text in spec.api.iter().flat_map(|api| api.token.variables.iter().chain([&api.token.page])) {
                let text = text.trim_start_matches("https://");
                assert!(manual.contains(text), "{}: {text}", spec.name);
            }
        }
    }

    #[test]
    fn an_identity_leads_back_to_its_provider() {
        for spec in PROVIDERS {
            let identity = ProviderConfig::new(spec).identity().unwrap();
            let again = recorded(&identity, ProviderSettings::default()).unwrap();
            assert_eq!((again.spec().name, again.identity().unwrap()), (spec.name, identity));
        }
        for text in ["midjourney", "midjourney https://a.example", "modelscope", "simulator https://a.example"] {
            let error = recorded(&ProviderIdentity::parse(text), ProviderSettings::default()).unwrap_err();
            assert!(matches!(&error, ConnectError::Unknown(named) if named == text), "{error}");
        }
    }

    /// Goal: a ledger from elsewhere does not decide where the token is sent.
    #[test]
    fn the_token_goes_to_the_default_address_and_this_machine_unless_the_user_says_more() {
        let at = |base_url: &str| {
            let identity = ProviderIdentity { name: "modelscope".into(), base_url: Some(base_url.into()) };
            recorded(&identity, ProviderSettings::default()).unwrap()
        };
        let default = modelscope::API.base_url;
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
