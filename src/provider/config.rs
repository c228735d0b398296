//! Selected provider with its settings: its identity, whether it can be used, and its client.

use std::fmt;
use std::sync::Arc;

use crate::description::auth::Auth;
use crate::model::provider_identity::ProviderIdentity;
use crate::provider::Provider;
use crate::provider::described::client::DescribedProvider;
use crate::provider::http::base_url::BaseUrl;
use crate::provider::http::token::Token;
use crate::provider::spec::{ConnectError, ProviderSettings, ProviderSpec};

/// Selected provider with its settings, or with a client of the caller's.
#[derive(Clone)]
pub struct ProviderConfig {
    spec: &'static ProviderSpec,
    settings: ProviderSettings,
    client: Option<Arc<dyn Provider>>,
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spec, settings, client } = self;
        f.debug_tuple("ProviderConfig").field(&spec.name).field(settings).field(&client.is_some()).finish()
    }
}

impl ProviderConfig {
    /// Selects a provider with its default settings.
    pub fn new(spec: &'static ProviderSpec) -> Self {
        Self { spec, settings: ProviderSettings::default(), client: None }
    }

    /// Selects a provider of the caller's: its description, and the client that every run uses. The provider need not be in the
    /// table.
    ///
    /// The tasks of a run belong to the name of the provider. A run continues only with a provider of the same name, so another
    /// service needs another name.
    pub fn with_client(spec: &'static ProviderSpec, client: Arc<dyn Provider>) -> Self {
        Self { client: Some(client), ..Self::new(spec) }
    }

    /// Changes settings.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut ProviderSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Returns the settings.
    pub const fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// Returns the description of the provider.
    pub const fn spec(&self) -> &'static ProviderSpec {
        self.spec
    }

    /// Returns the name and, for an API, the base URL. The tasks of a run belong to this identity.
    pub fn identity(&self) -> Result<ProviderIdentity, ConnectError> {
        let base_url = self.spec.api.as_ref().map(|api| api.base_url(&self.settings)).transpose()?;
        Ok(ProviderIdentity {
            name: self.spec.name.to_owned(),
            base_url: base_url.map(|base_url| base_url.to_string()),
        })
    }

    /// Checks that the token may be sent to the base URL of this provider.
    ///
    /// Allowed is the base URL that the user gives in `said`. Without it, the API's default address and this machine are allowed.
    pub fn verify_base_url(&self, said: Option<&str>) -> Result<(), ConnectError> {
        let Some(api) = &self.spec.api else { return Ok(()) };
        let place = api.base_url(&self.settings)?;
        let is = |said: String| BaseUrl::parse(&said, api.base_url).map(|said| said == place);
        let of_environment = || api.base_url_of_environment().map(is).transpose().map(Option::unwrap_or_default);
        let is_allowed = if let Some(said) = said {
            is(said.to_owned())?
        } else {
            place.to_string() == api.base_url || place.is_loopback() || of_environment()?
        };
        if is_allowed { Ok(()) } else { Err(ConnectError::UntrustedBaseUrl { place: place.to_string() }) }
    }

    /// Returns the address to which a token would go; `None` if it goes nowhere but to this machine, or if there is no token.
    pub(crate) fn token_address(&self) -> Result<Option<String>, ConnectError> {
        let Some(api) = self.spec.api.filter(|api| *api.auth != Auth::None) else { return Ok(None) };
        let place = api.base_url(&self.settings)?;
        Ok((!place.is_loopback()).then(|| place.to_string()))
    }

    /// Returns a salted hash that identifies the account of the token. `None` if there is no account, or if no token is found.
    /// [`connect`](Self::connect) then reports the missing token.
    pub fn account(&self, salt: &str) -> Option<String> {
        let token = self.spec.api?.token(&self.settings).ok().filter(Token::is_sent)?;
        Some(token.fingerprint(salt))
    }

    /// Checks that there is a usable base URL and a token. Sends no request and starts nothing.
    pub fn check(&self) -> Result<(), ConnectError> {
        match self.spec.api {
            Some(_) => self.connect(u64::MAX).map(drop),
            None => Ok(()),
        }
    }

    /// Finds the token, creates the HTTP clients, and starts the service if it runs in this process. Sends no request. An image that
    /// announces more than `image_bytes_max` bytes is not downloaded.
    pub fn connect(&self, image_bytes_max: u64) -> Result<Arc<dyn Provider>, ConnectError> {
        match (&self.client, self.spec.description, self.spec.api) {
            (Some(client), ..) => Ok(client.clone()),
            (None, Some(api), Some(address)) => {
                let http = address.http(&self.settings, image_bytes_max)?;
                Ok(Arc::new(DescribedProvider::new(api, &http, self.settings.spool.clone())?))
            }
            (None, ..) => (self.spec.connect)(&self.settings, image_bytes_max),
        }
    }
}
