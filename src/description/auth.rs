//! Ways to send the token, and the hosts that may see it.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// Way to send the token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Auth {
    /// `Authorization: Bearer TOKEN`.
    #[default]
    Bearer,
    /// Header of its own, whose value is the token.
    Header(String),
    /// `Authorization: WORD TOKEN`, with another word than `Bearer`.
    Prefix(String),
    /// HTTP basic authentication. The token is `USER:PASSWORD`.
    Basic,
    /// No token at all.
    None,
}

/// Error for a text that is not an [`Auth`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no way to send a token: write bearer, basic, none, `header NAME` or `prefix WORD`")]
pub struct AuthError(String);

impl FromStr for Auth {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        let mut words = text.split_ascii_whitespace();
        let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match (words.next(), words.next().filter(is_name), words.next()) {
            (Some("bearer"), None, None) => Ok(Self::Bearer),
            (Some("basic"), None, None) => Ok(Self::Basic),
            (Some("none"), None, None) => Ok(Self::None),
            (Some("header"), Some(name), None) => Ok(Self::Header(name.to_ascii_lowercase())),
            (Some("prefix"), Some(word), None) => Ok(Self::Prefix(word.to_owned())),
            _ => Err(AuthError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Auth {
    type Error = AuthError;

    fn try_from(text: String) -> Result<Self, AuthError> {
        text.parse()
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("bearer"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Prefix(word) => write!(f, "prefix {word}"),
            Self::Basic => f.write_str("basic"),
            Self::None => f.write_str("none"),
        }
    }
}

/// Host that may see the token: a name such as `api.bfl.ai`, or `*.bfl.ai` for every host below `bfl.ai`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TokenHost(String);

/// Error for a text that is not a [`TokenHost`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no host: write a name such as api.example.com, or *.example.com for the hosts below it")]
pub struct TokenHostError(String);

impl TryFrom<String> for TokenHost {
    type Error = TokenHostError;

    fn try_from(text: String) -> Result<Self, TokenHostError> {
        let name = text.strip_prefix("*.").unwrap_or(&text);
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        // A wildcard below a top-level domain would name hosts of anyone.
        if name.split('.').count() >= 2 && name.split('.').all(is_label) {
            Ok(Self(text))
        } else {
            Err(TokenHostError(text))
        }
    }
}

impl fmt::Display for TokenHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TokenHost {
    /// Returns whether this names the host, which is written in lower case as URLs have it.
    pub fn covers(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => self.0 == host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_send_a_token_are_read_as_they_are_written() {
        for text in ["bearer", "basic", "none", "header x-key", "prefix Key"] {
            assert_eq!(text.parse::<Auth>().unwrap().to_string(), text);
        }
        for text in ["", "Bearer", "header", "header a b", "prefix", "prefix Key:", "header a:b", "oauth", "bearer x"] {
            assert!(text.parse::<Auth>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_all_below_a_name() {
        let host = |text: &str| TokenHost::try_from(text.to_owned());
        let all = host("*.bfl.ai").unwrap();
        assert!(all.covers("api.us1.bfl.ai") && all.covers("api.bfl.ai"));
        for other in ["bfl.ai", "evilbfl.ai", "api.bfl.ai.evil.example", ".bfl.ai", ""] {
            assert!(!all.covers(other), "{other}");
        }
        let one = host("queue.fal.run").unwrap();
        assert!(one.covers("queue.fal.run") && !one.covers("a.queue.fal.run"));
        for text in
            ["", "*", "*.ai", "ai", "https://a.example", "a.example/x", "a..b", "*.*.ai", "A.example", "a.example:8080"]
        {
            assert!(host(text).is_err(), "{text}");
        }
    }
}
