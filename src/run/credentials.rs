//! Access to the provider of a run that exists: the ledger names the provider, and the user gives the token.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::provider_identity::ProviderIdentity;
use crate::provider::config::ProviderConfig;
use crate::provider::registry;
use crate::provider::spec::{ConnectError, ProviderSettings, TokenSource};
use crate::run::consent::Consent;
use crate::run::error::RunError;
use crate::store::RunReader;
use crate::store::settings::ReadSettings;

/// Access to the provider that a ledger names.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// File with the token; `None` reads the token from the environment.
    pub token_file: Option<PathBuf>,
    /// Address of the API according to the user; `None` if not given.
    pub base_url: Option<String>,
    /// Timeout of one request; `None` for the provider's default.
    pub request_timeout: Option<Duration>,
    /// Consent given by the user.
    pub consent: Consent,
}

impl Credentials {
    /// Returns the provider that the ledger names, with these settings and the base URL in the ledger.
    pub(super) fn provider_of(&self, run: &dyn RunReader) -> Result<ProviderConfig, RunError> {
        let token = self.token_file.clone().map_or(TokenSource::Environment, TokenSource::File);
        let settings = ProviderSettings { token, request_timeout: self.request_timeout, ..ProviderSettings::default() };
        Ok(registry::recorded(&ProviderIdentity::parse(&run.provider()?), settings)?)
    }

    /// Checks that a token exists and may be sent to this provider, which a ledger names. A ledger may come from any source,
    /// and does not decide alone where the token is sent.
    pub(super) fn check(&self, provider: &ProviderConfig) -> Result<(), ConnectError> {
        provider.check_place(self.base_url.as_deref())?;
        provider.check()
    }
}
