//! Errors of HTTP: settings from which no client can be made, and requests without a complete response.

use std::error::Error;

use crate::model::outcome::{Fault, FaultKind};
use crate::provider::http::address_policy::ForbiddenAddress;

/// Reasons why no client could be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Base URL of the API is invalid.
    #[error("could not use {text:?} as the address of the API: {why}; give one like {example} (--base-url)")]
    BaseUrl {
        /// Given text, without parts that may be secret.
        text: String,
        /// Description of the error.
        why: String,
        /// Valid base URL.
        example: &'static str,
    },
    /// Proxy in the environment cannot be used.
    #[error(
        "could not use the proxy in {variable}: {why}; write http://HOST:PORT or socks5h://HOST:PORT, or unset the variable"
    )]
    Proxy {
        /// Name of the environment variable.
        variable: &'static str,
        /// Description of the error, without the value of the variable.
        why: String,
    },
    /// TLS settings of the system are unusable; the text is the error of the TLS library.
    #[error("could not set up HTTPS: {0}")]
    Setup(String),
}

/// Request without a complete response.
#[derive(Debug)]
pub(crate) struct NoResponse {
    /// True if the request may have reached the server.
    pub was_sent: bool,
    /// Description of the failure.
    pub words: String,
    /// True if the request cannot succeed with this link: it leads to an address that images must not be fetched from, or in circles.
    pub is_refused: bool,
}

impl NoResponse {
    /// Returns the fault of a submission without a response. It is in doubt if it may have reached the server.
    pub(in crate::provider) fn of_submission(self) -> Fault {
        let words = self.words;
        if self.was_sent {
            let words = format!("the response to the submission was lost ({words}): it may have been accepted");
            Fault::new(FaultKind::InDoubt, words)
        } else {
            Fault::new(FaultKind::Transient, format!("could not reach the API: {words}"))
        }
    }

    /// Adds the variable with the proxy to the words about a failed connection.
    pub(super) fn through(mut self, proxy: Option<&'static str>) -> Self {
        if let Some(variable) = proxy.filter(|_| !self.was_sent) {
            self.words = format!("{} (through the proxy in {variable})", self.words);
        }
        self
    }
}

impl From<reqwest::Error> for NoResponse {
    fn from(error: reqwest::Error) -> Self {
        if let Some(refused) = ForbiddenAddress::among(&error) {
            return Self { was_sent: false, words: refused.to_string(), is_refused: true };
        }
        // Refused connections, unknown hosts and failed handshakes all occur before the first byte of a request is sent.
        let was_sent = !(error.is_connect() || error.is_builder());
        let is_refused = error.is_redirect();
        let words = if error.is_timeout() { "timed out".to_owned() } else { chain(&error.without_url()) };
        Self { was_sent, words, is_refused }
    }
}

/// Joins an error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.dedup();
    words.join(": ")
}
