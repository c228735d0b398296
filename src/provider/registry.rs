//! The providers by name, and how to get from a name to one that can be asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::provider::Provider;
use crate::provider::modelscope::ClientError;
use crate::provider::modelscope::token::{Token, TokenError};
use crate::provider::modelscope::{self, ModelScope, Settings};
use crate::provider::simulator::config::Config;
use crate::provider::simulator::http::{Simulator, SimulatorThread};

/// Which provider, and how to reach it.
#[derive(Clone, Debug)]
pub enum Choice {
    /// ModelScope's API-Inference, or whatever speaks like it.
    ModelScope {
        /// Where it is.
        base_url: String,
        /// Where the token is, if not in the environment.
        token_file: Option<PathBuf>,
        /// How long one request may take.
        request_timeout: Duration,
    },
    /// A simulated API in this very process, asked over real HTTP: no account, no money.
    Simulator(Box<Config>),
}

/// Why a provider cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no usable token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// There is no usable address, or no HTTPS.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A ledger names a provider that this program does not know.
    #[error("could not find the provider {0:?}, where the tasks of this run are; use the promptbatch that made it")]
    Unknown(String),
    /// A ledger names an address that the user does not.
    #[error(
        "could not go on with a run whose tasks are at {place}: the token goes there only if you say so; add --base-url {place}"
    )]
    Elsewhere {
        /// The address.
        place: String,
    },
    /// The simulated API cannot be started.
    #[error("could not start the simulated API on this machine: {0}")]
    Simulator(#[from] std::io::Error),
}

/// A provider that can be asked, and what has to live as long.
#[derive(Clone)]
pub struct Connected {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// The simulated API behind it, if it is one.
    pub simulator: Option<Arc<SimulatorThread>>,
}

impl Choice {
    /// ModelScope at its own address, with the token from the environment.
    pub fn modelscope() -> Self {
        let (base_url, request_timeout) = (modelscope::BASE_URL.to_owned(), Duration::from_secs(60));
        Self::ModelScope { base_url, token_file: None, request_timeout }
    }

    /// The word for it in the results.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ModelScope { .. } => "modelscope",
            Self::Simulator(_) => "simulator",
        }
    }

    /// The name and, where it matters, the place: what the tasks of a run belong to.
    pub fn identity(&self) -> Result<String, ConnectError> {
        match self {
            Self::ModelScope { base_url, .. } => Ok(format!("modelscope {}", modelscope::base_url(base_url)?)),
            Self::Simulator(_) => Ok("simulator".to_owned()),
        }
    }

    /// The provider with this [identity](Self::identity), as a ledger keeps it.
    pub fn named(identity: &str, token_file: Option<PathBuf>, request_timeout: Duration) -> Result<Self, ConnectError> {
        match identity.split_once(' ') {
            Some(("modelscope", base_url)) => {
                Ok(Self::ModelScope { base_url: base_url.to_owned(), token_file, request_timeout })
            }
            _ if identity == "simulator" => Ok(Self::Simulator(Box::default())),
            _ => Err(ConnectError::Unknown(identity.to_owned())),
        }
    }

    /// Whether a token may be sent there: to the API's own address, to this machine, or to where the user says.
    pub fn check_place(&self, base_url: Option<&str>) -> Result<(), ConnectError> {
        let Self::ModelScope { base_url: place, .. } = self else { return Ok(()) };
        let said = base_url.map(modelscope::base_url).transpose()?;
        let is_meant = said.as_ref() == Some(place);
        let is_known = said.is_none() && (place == modelscope::BASE_URL || modelscope::is_here(place)?);
        if is_meant || is_known { Ok(()) } else { Err(ConnectError::Elsewhere { place: place.clone() }) }
    }

    /// What tells the account of the token from others: a salted hash. `None` where there is no account, or no token to be found, which
    /// [`connect`](Self::connect) then tells.
    pub fn account(&self, salt: &str) -> Option<String> {
        match self {
            Self::ModelScope { token_file, .. } => {
                let token = Token::find(token_file.as_deref(), |name| std::env::var(name).ok());
                token.ok().map(|token| token.fingerprint(salt))
            }
            Self::Simulator(_) => None,
        }
    }

    /// Whether there is a usable address and a token. Sends nothing, and starts nothing.
    pub fn check(&self) -> Result<(), ConnectError> {
        match self {
            Self::ModelScope { .. } => self.connect(u64::MAX).map(drop),
            Self::Simulator(_) => Ok(()),
        }
    }

    /// The model that is asked for when nobody names one.
    pub const fn default_model(&self) -> &'static str {
        match self {
            Self::ModelScope { .. } | Self::Simulator(_) => modelscope::MODEL,
        }
    }

    /// Finds the token and makes the clients. Sends nothing. Images that say that they are longer are not begun.
    pub fn connect(&self, image_bytes_max: u64) -> Result<Connected, ConnectError> {
        match self {
            Self::ModelScope { base_url, token_file, request_timeout } => {
                let token = Token::find(token_file.as_deref(), |name| std::env::var(name).ok())?;
                let (base_url, request_timeout) = (base_url.clone(), *request_timeout);
                let settings = Settings { base_url, token, request_timeout, image_bytes_max };
                Ok(Connected { provider: Arc::new(ModelScope::new(&settings)?), simulator: None })
            }
            Self::Simulator(config) => {
                let simulator = Simulator::spawn_thread((**config).clone())?;
                let token = Token::new("simulated", "the simulator")?;
                let (base_url, request_timeout) = (simulator.url().to_owned(), Duration::from_secs(30));
                let settings = Settings { base_url, token, request_timeout, image_bytes_max };
                let provider = Arc::new(ModelScope::new(&settings)?);
                Ok(Connected { provider, simulator: Some(Arc::new(simulator)) })
            }
        }
    }
}
