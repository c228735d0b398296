//! Description of a provider: one row of the table of providers.
//!
//! All that other modules know of a provider is here: its name in flags and results, its help, its address, where its token comes from,
//! its defaults, its limits, and how its client is made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::description::auth::Auth;
use crate::description::format::Description;
use crate::model::limits::{Concurrency, Rate};
use crate::model::price::Price;
use crate::model::request_limits::RequestLimits;
use crate::provider::Provider;
use crate::provider::described::money;
use crate::provider::http::base_url::BaseUrl;
use crate::provider::http::client::HttpSettings;
use crate::provider::http::error::ClientError;
use crate::provider::http::token::Token;
use crate::provider::http::token_source::{TokenError, TokenSpec};
#[cfg(feature = "simulator")]
use crate::simulator::config::SimulatorConfig;

/// Default of the longest time without a byte of a download.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Description of a provider.
#[derive(Debug)]
pub struct ProviderSpec {
    /// Name in flags, results and ledgers, without spaces.
    pub name: &'static str,
    /// Help for the name, in one line.
    pub help: &'static str,
    /// API that is called over the network; `None` if the service runs in this process, without an address and an account.
    pub api: Option<ApiSpec>,
    /// Model of the requests that name none; empty if each must name its own.
    pub default_model: &'static str,
    /// Most tasks that one poll asks for.
    pub poll_batch_max: usize,
    /// Limits on the parameters of a request.
    pub limits: RequestLimits,
    /// Description that the client is made of; `None` for a provider whose client is code.
    pub description: Option<&'static Description>,
    /// Makes the client, and starts the service if it runs in this process. Sends no request. An image that announces more than the given
    /// number of bytes is not downloaded.
    pub connect: Connect,
}

impl ProviderSpec {
    /// Describes a provider with this name and without an address, an account, a default model and known limits.
    ///
    /// It connects only with [a client of the caller's](crate::provider::config::ProviderConfig::with_client). To set more, name
    /// the fields: `ProviderSpec { poll_batch_max: 20, ..ProviderSpec::new("acme") }`.
    ///
    /// # Panics
    ///
    /// Panics, in a `static` at compile time, if the name is not made of lower-case letters, digits and `-`.
    pub const fn new(name: &'static str) -> Self {
        let mut i = 0;
        assert!(!name.is_empty(), "a provider needs a name");
        while i < name.len() {
            let byte = name.as_bytes()[i];
            assert!(
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-',
                "the name of a provider is made of lower-case letters, digits and `-`"
            );
            i += 1;
        }
        Self {
            name,
            help: "",
            api: None,
            default_model: "",
            poll_batch_max: 1,
            limits: RequestLimits::NONE,
            description: None,
            connect: |_, _| Err(ConnectError::NoClient),
        }
    }
}

impl ProviderSpec {
    /// Returns the prices that the provider's description lists; `None` if it lists none.
    pub fn listed_price(&self) -> Option<Price> {
        self.description.and_then(money::listed)
    }
}

/// Makes a client from its settings and the most bytes of an image.
pub type Connect = fn(&ProviderSettings, u64) -> Result<Arc<dyn Provider>, ConnectError>;

/// API of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiSpec {
    /// Default base URL.
    pub base_url: &'static str,
    /// Sources of the token.
    pub token: TokenSpec,
    /// Default timeout of one request; for a download, the longest time without a byte.
    pub request_timeout: Duration,
    /// Way to send the token.
    pub auth: &'static Auth,
    /// Says what is sent without a token.
    pub without_token: WithoutToken,
    /// Environment variables with another base URL, in the order of lookup.
    pub base_url_variables: &'static [&'static str],
}

/// What is sent to an API if the user has no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutToken {
    /// Nothing: the API needs a token.
    Refuse,
    /// Requests without a token.
    Nothing,
    /// Public token of users without an account.
    Public(&'static str),
}

/// Settings of a provider. The default is what the provider's description gives.
#[derive(Clone, Debug, Default)]
pub struct ProviderSettings {
    /// Base URL of the API; `None` for the provider's own. A provider without an API ignores it.
    pub base_url: Option<String>,
    /// Source of the token.
    pub token: TokenSource,
    /// Timeout of one request; `None` for the provider's default.
    pub request_timeout: Option<Duration>,
    /// Folder for images that come inside answers, until they are saved; `None` for a folder that no later process finds.
    pub spool: Option<PathBuf>,
    /// Settings of the providers that rows of the manifest name, by their names.
    pub of_rows: BTreeMap<String, RowProviderSettings>,
    /// Behaviour of the simulated service; `None` for the default. Only the simulator reads it.
    #[cfg(feature = "simulator")]
    pub simulator: Option<Box<SimulatorConfig>>,
}

/// Settings of a provider that rows of the manifest name. Without one, that of the whole run counts, except for the address and the token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowProviderSettings {
    /// Base URL of the API; `None` for the provider's own.
    pub base_url: Option<String>,
    /// File that holds the token; `None` for the provider's own environment variables.
    pub token_file: Option<PathBuf>,
    /// Maximum submission rate.
    pub rate: Option<Rate>,
    /// Maximum number of tasks in flight.
    pub concurrency: Option<Concurrency>,
}

/// Source of a token.
#[derive(Clone, Debug, Default)]
pub enum TokenSource {
    /// The provider's own environment variables.
    #[default]
    Environment,
    /// File that holds the token and nothing else.
    File(PathBuf),
    /// The token itself.
    Given(Token),
}

/// Reasons why a provider cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Token is missing or unusable.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Base URL is unusable, or HTTPS cannot be set up.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Provider that a ledger names and this program does not know. The value is its identity.
    #[error(
        "could not find the provider {0:?}, which has the tasks of this run; if a file describes it, name the file with \
         --provider FILE.yaml, or else use the promptbatch version that made it"
    )]
    Unknown(String),
    /// Provider that the user names, and that does not have the tasks of the run.
    #[error(
        "could not use the provider {named}: the tasks of this run are at {recorded}; name that one, or leave --provider out"
    )]
    Other {
        /// Provider that the user names.
        named: &'static str,
        /// Provider in the ledger.
        recorded: String,
    },
    /// Base URL that comes from a ledger and is not confirmed by the user.
    #[error(
        "could not resume a run whose tasks are at {place}: the token is sent there only if you say so; add --base-url {place}"
    )]
    UntrustedBaseUrl {
        /// Base URL in the ledger.
        place: String,
    },
    /// Description without a way to connect, and no client of the caller's.
    #[error(
        "could not connect to the provider: its description makes no client; give one with ProviderConfig::with_client"
    )]
    NoClient,
    /// Service in this process cannot be started.
    #[error("could not start {what} on this machine: {source}")]
    Start {
        /// Description of the service.
        what: &'static str,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

impl ApiSpec {
    /// Returns the base URL in use.
    pub(crate) fn base_url(&self, settings: &ProviderSettings) -> Result<BaseUrl, ClientError> {
        let said = settings.base_url.clone().or_else(|| self.base_url_of_environment());
        BaseUrl::parse(said.as_deref().unwrap_or(self.base_url), self.base_url)
    }

    /// Returns the base URL that an environment variable gives.
    pub(crate) fn base_url_of_environment(&self) -> Option<String> {
        let given = |name: &&str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
        self.base_url_variables.iter().find_map(given)
    }

    /// Finds the token.
    pub fn token(&self, settings: &ProviderSettings) -> Result<Token, TokenError> {
        let variable = |name: &str| std::env::var(name).ok();
        let found = match &settings.token {
            _ if *self.auth == Auth::None => return Ok(Token::none()),
            TokenSource::Given(token) => Ok(token.clone()),
            TokenSource::File(path) => self.token.find(Some(path), variable),
            TokenSource::Environment => self.token.find(None, variable),
        };
        match (found, self.without_token) {
            (Ok(token), _) => Ok(token.sent_as(self.auth)),
            (Err(TokenError::Missing { .. }), WithoutToken::Nothing) => Ok(Token::none()),
            (Err(TokenError::Missing { .. }), WithoutToken::Public(text)) => {
                Ok(Token::public(text).map_or_else(Token::none, |token| token.sent_as(self.auth)))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Returns the settings of an HTTP client of this API. An image that announces more than `image_bytes_max` bytes is not downloaded.
    pub(crate) fn http(&self, settings: &ProviderSettings, image_bytes_max: u64) -> Result<HttpSettings, ConnectError> {
        Ok(HttpSettings {
            token: self.token(settings)?,
            base_url: self.base_url(settings)?,
            request_timeout: settings.request_timeout.unwrap_or(self.request_timeout),
            // An answer may take minutes, and a download that sends nothing for a minute is broken.
            download_timeout: settings.request_timeout.unwrap_or(self.request_timeout.min(DOWNLOAD_TIMEOUT)),
            image_bytes_max,
        })
    }
}
