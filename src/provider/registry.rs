//! Registry of providers: maps a provider's name and settings to a client that is ready for requests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::provider::Provider;
use crate::provider::http::base_url::BaseUrl;
use crate::provider::http::client::HttpSettings;
use crate::provider::http::error::ClientError;
use crate::provider::http::token::Token;
use crate::provider::http::token_source::TokenError;
use crate::provider::modelscope;
use crate::provider::modelscope::client::ModelScope;
use crate::provider::modelscope::token::TOKEN;
use crate::simulator::config::SimulatorConfig;
use crate::simulator::http::{Simulator, SimulatorThread};

/// Selected provider and its connection settings.
#[derive(Clone, Debug)]
pub enum ProviderConfig {
    /// ModelScope's API-Inference, or any API with the same protocol.
    ModelScope {
        /// Base URL of the API.
        base_url: String,
        /// File that holds the token; `None` reads the token from the environment.
        token_file: Option<PathBuf>,
        /// Timeout of one request; for a download, the longest time without a byte.
        request_timeout: Duration,
    },
    /// Simulated API in this process, called over real HTTP. It needs no account and costs no money.
    Simulator(Box<SimulatorConfig>),
}

/// Reasons why a provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Token is missing or unusable.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Base URL is unusable, or HTTPS cannot be set up.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Provider that a ledger names and this program does not know. The value is its identity.
    #[error(
        "could not find the provider {0:?}, which has the tasks of this run; use the promptbatch version that made it"
    )]
    Unknown(String),
    /// Base URL that comes from a ledger and is not confirmed by the user.
    #[error(
        "could not resume a run whose tasks are at {place}: the token is sent there only if you say so; add --base-url {place}"
    )]
    Elsewhere {
        /// Base URL in the ledger.
        place: String,
    },
    /// Simulated API cannot be started.
    #[error("could not start the simulated API on this machine: {0}")]
    Simulator(#[from] std::io::Error),
}

/// Provider that is ready for requests, with the resources that must live as long.
#[derive(Clone)]
pub struct ProviderHandle {
    /// Client of the provider.
    pub provider: Arc<dyn Provider>,
    /// Simulated API behind the provider; `None` for a real API.
    pub simulator: Option<Arc<SimulatorThread>>,
}

impl ProviderConfig {
    /// Selects ModelScope at its default address, with the token from the environment.
    pub fn modelscope() -> Self {
        let (base_url, request_timeout) = (modelscope::BASE_URL.to_owned(), Duration::from_secs(60));
        Self::ModelScope { base_url, token_file: None, request_timeout }
    }

    /// Returns the provider's name in the results.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ModelScope { .. } => "modelscope",
            Self::Simulator(_) => "simulator",
        }
    }

    /// Returns the name and, for ModelScope, the base URL. The tasks of a run belong to this identity.
    pub fn identity(&self) -> Result<String, ConnectError> {
        match self {
            Self::ModelScope { base_url, .. } => {
                Ok(format!("modelscope {}", BaseUrl::parse(base_url, modelscope::BASE_URL)?))
            }
            Self::Simulator(_) => Ok("simulator".to_owned()),
        }
    }

    /// Returns the provider with this [identity](Self::identity), as a ledger stores it.
    pub fn named(identity: &str, token_file: Option<PathBuf>, request_timeout: Duration) -> Result<Self, ConnectError> {
        match identity.split_once(' ') {
            Some(("modelscope", base_url)) => {
                Ok(Self::ModelScope { base_url: base_url.to_owned(), token_file, request_timeout })
            }
            _ if identity == "simulator" => Ok(Self::Simulator(Box::default())),
            _ => Err(ConnectError::Unknown(identity.to_owned())),
        }
    }

    /// Checks that the token may be sent to the base URL of this provider.
    ///
    /// Allowed is the base URL that the user gives in `base_url`. Without it, the API's default address and this machine are allowed.
    pub fn check_place(&self, base_url: Option<&str>) -> Result<(), ConnectError> {
        let Self::ModelScope { base_url: place, .. } = self else { return Ok(()) };
        let said = base_url.map(parse).transpose()?;
        let at = parse(place)?;
        let is_meant = said.as_ref() == Some(&at);
        let is_known = said.is_none() && (place == modelscope::BASE_URL || at.is_loopback());
        if is_meant || is_known { Ok(()) } else { Err(ConnectError::Elsewhere { place: place.clone() }) }
    }

    /// Returns a salted hash that identifies the account of the token. `None` if there is no account, or if no token is found.
    /// [`connect`](Self::connect) then reports the missing token.
    pub fn account(&self, salt: &str) -> Option<String> {
        match self {
            Self::ModelScope { token_file, .. } => {
                let token = TOKEN.find(token_file.as_deref(), |name| std::env::var(name).ok());
                token.ok().map(|token| token.fingerprint(salt))
            }
            Self::Simulator(_) => None,
        }
    }

    /// Checks that there is a usable base URL and a token. Sends no request and starts nothing.
    pub fn check(&self) -> Result<(), ConnectError> {
        match self {
            Self::ModelScope { .. } => self.connect(u64::MAX).map(drop),
            Self::Simulator(_) => Ok(()),
        }
    }

    /// Returns the default model, for requests that name no model.
    pub const fn default_model(&self) -> &'static str {
        match self {
            Self::ModelScope { .. } | Self::Simulator(_) => modelscope::MODEL,
        }
    }

    /// Finds the token, creates the HTTP clients, and starts the simulator if it is the provider. Sends no request. An image that announces
    /// more than `image_bytes_max` bytes is not downloaded.
    pub fn connect(&self, image_bytes_max: u64) -> Result<ProviderHandle, ConnectError> {
        match self {
            Self::ModelScope { base_url, token_file, request_timeout } => {
                let token = TOKEN.find(token_file.as_deref(), |name| std::env::var(name).ok())?;
                let (base_url, request_timeout) = (parse(base_url)?, *request_timeout);
                let settings = HttpSettings { base_url, token, request_timeout, image_bytes_max };
                Ok(ProviderHandle { provider: Arc::new(ModelScope::new(&settings)?), simulator: None })
            }
            Self::Simulator(config) => {
                let simulator = Simulator::spawn_thread((**config).clone())?;
                let token = Token::new("simulated").expect("a valid token");
                let (base_url, request_timeout) = (parse(simulator.url())?, Duration::from_secs(30));
                let settings = HttpSettings { base_url, token, request_timeout, image_bytes_max };
                let provider = Arc::new(ModelScope::new(&settings)?);
                Ok(ProviderHandle { provider, simulator: Some(Arc::new(simulator)) })
            }
        }
    }
}

fn parse(base_url: &str) -> Result<BaseUrl, ClientError> {
    BaseUrl::parse(base_url, modelscope::BASE_URL)
}
