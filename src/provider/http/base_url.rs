//! Base URL of an API: parsed, checked and normalized.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::model::link;
use crate::provider::http::error::ClientError;

/// Paths of endpoints with which users give the address of an API, as other programs want it.
const ENDPOINTS: [&str; 3] = ["/images/generations", "/images/edits", "/chat/completions"];

/// Base URL of an API, without a trailing `/`, `/v1` or endpoint. Equal values are the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl(Url);

impl BaseUrl {
    /// Parses and checks a base URL. The error shows `example` as a valid one.
    pub(crate) fn parse(text: &str, example: &'static str) -> Result<Self, ClientError> {
        let refuse = |why: String| ClientError::BaseUrl { text: link::shown(text), why, example };
        let trimmed = text.trim().trim_end_matches('/');
        let below = ENDPOINTS.iter().find_map(|endpoint| trimmed.strip_suffix(endpoint)).unwrap_or(trimmed);
        let trimmed = below.strip_suffix("/v1").unwrap_or(below);
        let url = Url::parse(trimmed).map_err(|error| refuse(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refuse("it does not begin with https://".into()));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it holds more than a host and a path".into()));
        }
        Ok(Self(url))
    }

    /// Returns the URL of an endpoint: `path`, which begins with a `/`, below the base URL.
    pub(in crate::provider) fn below(&self, path: &str) -> Url {
        Url::parse(&format!("{self}{path}")).expect("a path below a valid URL gives a valid URL")
    }

    /// Returns true for an address of this machine, which a proxy cannot reach.
    pub(crate) fn is_loopback(&self) -> bool {
        self.0.host_str().is_some_and(|host| {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        })
    }

    pub(super) const fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "https://api.example";

    fn parse(text: &str) -> Result<BaseUrl, ClientError> {
        BaseUrl::parse(text, EXAMPLE)
    }

    #[test]
    fn an_address_may_end_in_a_slash_in_v1_or_in_an_endpoint() {
        for text in ["https://a.example", "https://a.example/", "https://a.example/v1", " https://a.example/v1/ "] {
            let base = parse(text).unwrap();
            assert_eq!(base.to_string(), "https://a.example", "{text}");
            assert_eq!(base.below("/v1/tasks").as_str(), "https://a.example/v1/tasks", "{text}");
        }
        for text in ["https://a.example/v1/images/generations", "https://a.example/v1/chat/completions/"] {
            assert_eq!(parse(text).unwrap().to_string(), "https://a.example", "{text}");
        }
        assert_eq!(parse("http://127.0.0.1:8080/proxy/v1").unwrap().to_string(), "http://127.0.0.1:8080/proxy");
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in
            ["", "a.example", "ftp://a.example", "https://", "https://user:pw@a.example", "https://a.example/?x=1"]
        {
            let words = parse(text).unwrap_err().to_string();
            assert!(words.contains("--base-url") && words.contains(EXAMPLE), "{text}: {words}");
            assert!(!words.contains("pw"), "{words}");
        }
    }

    #[test]
    fn what_runs_here_is_not_reached_through_a_proxy() {
        let is_here = |text: &str| parse(text).unwrap().is_loopback();
        assert!(is_here("http://127.0.0.1:1") && is_here("http://[::1]:1") && is_here("http://localhost"));
        assert!(!is_here("https://a.example") && !is_here("http://10.0.0.1"));
    }
}
