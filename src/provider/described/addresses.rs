//! Addresses of a described API: those below its base URL, and those that its answers name. No other address gets the token.

use reqwest::Url;

use crate::description::auth::TokenHost;
use crate::description::format::Description;
use crate::model::escape::excerpt;
use crate::model::link;
use crate::model::outcome::{Fault, FaultKind};
use crate::provider::http::base_url::BaseUrl;
use crate::provider::http::client::HttpSettings;
use crate::provider::http::error::ClientError;

/// Addresses that requests with the token may go to.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    name: &'static str,
    base_url: BaseUrl,
    token_hosts: &'static [TokenHost],
}

impl Addresses {
    /// Creates the addresses. Fails if a token would be sent without encryption to another machine.
    pub(crate) fn new(api: &'static Description, settings: &HttpSettings) -> Result<Self, ClientError> {
        let base_url = settings.base_url.clone();
        let text = base_url.to_string();
        let is_private = text.starts_with("https://") || base_url.is_loopback() || !settings.token.is_sent();
        // The user names such an address: that of the description begins with https.
        if !is_private && !api.token.over_http {
            let why = "a token is sent over https only, or to this machine".to_owned();
            return Err(ClientError::BaseUrl { text, why, example: &api.base_url });
        }
        Ok(Self { name: &api.name, base_url, token_hosts: &api.token_hosts })
    }

    /// Returns whether the base URL is this one, and not one that the user chose.
    pub(crate) fn is_usual(&self, base_url: &str) -> bool {
        self.base_url.to_string().trim_end_matches('/') == base_url.trim_end_matches('/')
    }

    /// Returns the address of a path below the base URL.
    pub(crate) fn below(&self, path: &str) -> Result<Url, Fault> {
        let text = format!("{}{path}", self.base_url);
        let url = Url::parse(&text).ok().filter(|url| same_origin(url, &self.base_url));
        url.ok_or_else(|| {
            Fault::new(FaultKind::InvalidRequest, format!("{} gives no address of a request", excerpt(path, 80)))
        })
    }

    /// Returns an address that an answer or a description names, if it may see the token.
    pub(crate) fn given(&self, address: &str) -> Result<Url, Fault> {
        let refuse = |why: &str| {
            let words = format!(
                "could not ask {}: {why}; if it belongs to {}, add its host to `token_hosts` of the description",
                excerpt(&link::shown(address), 120),
                self.name
            );
            Err(Fault::new(FaultKind::Transient, words))
        };
        let Ok(url) = Url::parse(address) else { return refuse("it is no address") };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it names a user");
        }
        if same_origin(&url, &self.base_url) {
            return Ok(url);
        }
        let host = url.host_str().unwrap_or_default();
        let is_named = self.token_hosts.iter().any(|named| named.covers(host));
        match (is_named, url.scheme(), url.port()) {
            (true, "https", None) => Ok(url),
            (true, ..) => refuse("the token is sent over https only"),
            (false, ..) => refuse("the token is not sent to this host"),
        }
    }
}

/// Returns whether an address has the scheme, the host and the port of the base URL.
fn same_origin(url: &Url, base_url: &BaseUrl) -> bool {
    let base = base_url.below("/");
    url.origin() == base.origin() && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::description::parse::parse;
    use crate::provider::builtin::text;
    use crate::provider::http::token::Token;

    fn addresses(base: &str) -> Addresses {
        let hosts = vec![TokenHost::try_from("*.bfl.ai".to_owned()).unwrap()];
        Addresses {
            name: "x",
            base_url: BaseUrl::parse(base, "https://a.example").unwrap(),
            token_hosts: Box::leak(hosts.into_boxed_slice()),
        }
    }

    #[test]
    fn the_token_goes_to_the_api_and_to_the_hosts_that_are_named() {
        let addresses = addresses("https://api.bfl.ai");
        for address in ["https://api.bfl.ai/v1/x", "https://api.us1.bfl.ai/v1/get_result?id=a"] {
            assert!(addresses.given(address).is_ok(), "{address}");
        }
        for address in [
            "http://api.us1.bfl.ai/x",
            "http://api.bfl.ai/x",
            "https://api.us1.bfl.ai:8443/x",
            "https://bfl.ai.evil.example/x",
            "https://evilbfl.ai/x",
            "https://api.bfl.ai@evil.example/x",
            "https://user:pw@api.us1.bfl.ai/x",
            "file:///etc/passwd",
            "/v1/x",
            "",
        ] {
            let fault = addresses.given(address).unwrap_err();
            assert!(fault.message.contains("token_hosts") && !fault.message.contains("pw"), "{address}: {fault}");
        }
    }

    /// Goal: a token travels unencrypted only where the description allows it, to an address that the user names.
    #[test]
    fn a_token_is_sent_over_http_only_where_the_description_allows_it() {
        let settings = |base_url: &str| HttpSettings {
            base_url: BaseUrl::parse(base_url, "https://a.example").unwrap(),
            token: Token::new("geheim").unwrap(),
            request_timeout: Duration::from_secs(1),
            download_timeout: Duration::from_secs(1),
            image_bytes_max: 1,
        };
        for (name, base_url, is_allowed) in [
            ("openai", "http://10.0.0.7:8080", false),
            ("openai", "http://127.0.0.1:8080", true),
            ("openai", "https://relay.example", true),
            ("modelscope", "http://10.0.0.7:8080", true),
        ] {
            let api = Box::leak(Box::new(parse(name, text(name).unwrap(), &text).unwrap()));
            assert_eq!(Addresses::new(api, &settings(base_url)).is_ok(), is_allowed, "{name} {base_url}");
        }
    }

    #[test]
    fn another_port_of_this_machine_is_another_host() {
        let addresses = addresses("http://127.0.0.1:8080");
        assert!(addresses.given("http://127.0.0.1:8080/x").is_ok());
        assert!(addresses.given("http://127.0.0.1:8081/x").is_err());
        assert!(addresses.below("/v1/x?y=1").is_ok());
        assert!(addresses.below("@evil.example/x").is_err());
    }
}
