//! Access to the provider of a run that exists: the ledger names the provider, and the user gives the token.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::provider_identity::ProviderIdentity;
use crate::provider::config::ProviderConfig;
use crate::provider::registry;
use crate::provider::spec::{ConnectError, ProviderSettings, RowProviderSettings, TokenSource};
use crate::run::consent::Consent;
use crate::run::error::RunError;
use crate::store::RunReader;
use crate::store::settings::ReadSettings;

/// Access to the provider that a ledger names.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Source of the token.
    pub token: TokenSource,
    /// Provider of the caller's, which is not in the table of providers; `None` finds the provider in the table. It must be the
    /// provider that the ledger names.
    pub provider: Option<ProviderConfig>,
    /// Name of the provider according to the user; `None` if not given. It must be that of the provider that the ledger names.
    pub provider_name: Option<&'static str>,
    /// Address of the API according to the user; `None` if not given.
    pub base_url: Option<String>,
    /// Settings of the providers that rows name, by their names.
    pub of_rows: BTreeMap<String, RowProviderSettings>,
    /// Timeout of one request; `None` for the provider's default.
    pub request_timeout: Option<Duration>,
    /// Consent given by the user.
    pub consent: Consent,
}

impl Credentials {
    /// Returns the provider that the ledger names, with these settings and the base URL in the ledger.
    pub(super) fn provider_of(&self, run: &dyn RunReader) -> Result<ProviderConfig, RunError> {
        let identity = ProviderIdentity::parse(&run.provider()?);
        if let Some(own) = &self.provider {
            let is_it = own.identity()? == identity;
            return if is_it { Ok(own.clone()) } else { Err(ConnectError::Unknown(identity.to_string()).into()) };
        }
        if let Some(named) = self.provider_name.filter(|named| *named != identity.name) {
            return Err(ConnectError::Other { named, recorded: identity.name }.into());
        }
        let (request_timeout, of_rows) = (self.request_timeout, self.of_rows.clone());
        // A file for this provider by its name comes before one that names none.
        let named = of_rows.get(&identity.name).and_then(|settings| settings.token_file.clone());
        let token = named.map_or_else(|| self.token.clone(), TokenSource::File);
        let settings = ProviderSettings { token, request_timeout, of_rows, ..ProviderSettings::default() };
        Ok(registry::recorded(&identity, settings)?)
    }

    /// Checks that a token exists and may be sent to this provider, which a ledger names. A ledger may come from any source,
    /// and does not decide alone where the token is sent.
    pub(super) fn check(&self, provider: &ProviderConfig) -> Result<(), ConnectError> {
        provider.verify_base_url(self.base_url.as_deref())?;
        provider.check()
    }
}
