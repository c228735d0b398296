//! The two HTTP clients of a provider: one for its API, with the token, and one for images, without it.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

use crate::provider::http::address_policy::AddressPolicy;
use crate::provider::http::base_url::BaseUrl;
use crate::provider::http::error::{ClientError, NoResponse};
use crate::provider::http::request_limiter::descriptors_max;

/// Idle connections that are kept per host.
const IDLE_MAX: usize = 256;

/// Lifetime of an idle connection. Servers usually keep connections longer, so a request seldom meets a closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

const REDIRECTS_MAX: usize = 5;

/// Creates the client that carries the token: HTTP/1.1, no redirects, and no automatic retries of a paid request.
pub(super) fn api_client(
    base: &BaseUrl,
    headers: HeaderMap,
    timeout: Duration,
    reach: &AddressPolicy,
) -> Result<Client, ClientError> {
    let builder = builder(base, timeout).default_headers(headers).redirect(Policy::none()).timeout(timeout);
    built(builder.dns_resolver(reach.api_resolver()))
}

/// Creates the client for images. It has no token and never follows a redirect from HTTPS to HTTP. Every hop must be allowed by `reach`.
pub(super) fn image_client(base: &BaseUrl, timeout: Duration, reach: &AddressPolicy) -> Result<Client, ClientError> {
    let within = reach.clone();
    let policy = Policy::custom(move |attempt| match refused_redirect(attempt.previous(), attempt.url()) {
        Some(why) => attempt.error(why),
        None => match within.check(attempt.url()) {
            Err(refused) => attempt.error(refused),
            Ok(()) => attempt.follow(),
        },
    });
    let builder = builder(base, timeout).redirect(policy).referer(false).dns_resolver(reach.image_resolver());
    // The timeout applies to each read. A large image may take long in total, as long as bytes arrive.
    built(builder.read_timeout(timeout))
}

/// Returns the reason why a redirect of an image link is not followed; `None` if it is followed.
fn refused_redirect(previous: &[Url], next: &Url) -> Option<&'static str> {
    let was_https = previous.iter().any(|url| url.scheme() == "https");
    match next.scheme() {
        "http" if was_https => Some("a redirect from https to http"),
        "http" | "https" if previous.len() > REDIRECTS_MAX => Some("too many redirects"),
        "http" | "https" => None,
        _ => Some("a redirect to an address outside the web"),
    }
}

fn builder(base: &BaseUrl, timeout: Duration) -> ClientBuilder {
    // Another part of the program may have installed a crypto provider before; that provider works as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .user_agent(concat!("promptbatch/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .retry(reqwest::retry::never())
        // The connect timeout is shorter than that of the whole request. A request that found no connection was then surely not sent.
        .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
        .pool_max_idle_per_host(descriptors_max().map_or(IDLE_MAX, |limit| IDLE_MAX.min(limit / 8)))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true);
    if base.is_loopback() { builder.no_proxy() } else { builder }
}

fn built(builder: ClientBuilder) -> Result<Client, ClientError> {
    builder.build().map_err(|error| ClientError::Setup(NoResponse::from(error).words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_limited_and_never_lead_to_something_weaker() {
        let refused = |previous: &[&str], next: &str| {
            let previous: Vec<Url> = previous.iter().map(|url| Url::parse(url).unwrap()).collect();
            refused_redirect(&previous, &Url::parse(next).unwrap())
        };
        assert_eq!(refused(&["http://a.example"], "https://a.example"), None);
        assert_eq!(refused(&["https://a.example"], "https://b.example"), None);
        assert_eq!(refused(&["http://a.example"; 5], "http://a.example"), None);
        assert_eq!(refused(&["http://a.example"; 6], "http://a.example"), Some("too many redirects"));
        assert_eq!(refused(&["https://a.example"], "http://a.example"), Some("a redirect from https to http"));
        for odd in ["file:///etc/passwd", "data:image/png,x", "ftp://a.example/x"] {
            assert_eq!(refused(&["http://a.example"], odd), Some("a redirect to an address outside the web"));
        }
    }
}
