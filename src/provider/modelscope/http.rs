//! HTTP clients for the API and for images, their limits, and the meaning of a request without a response.

use std::error::Error;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, Url};

use crate::model::escape::excerpt;
use crate::model::link;
use crate::model::outcome::{Fault, FaultKind, TaskId, Url as Link};
use crate::provider::modelscope::address_policy::{AddressPolicy, ForbiddenAddress};
use crate::provider::modelscope::answer::{self, ApiResponse};
use crate::provider::modelscope::rate_limit_headers::RateLimitHeaders;
use crate::provider::modelscope::request_limiter::limit;
use crate::provider::modelscope::retry_after::server_date;
use crate::provider::modelscope::{body_decoding, ids};

/// Longest body of an API response that is read, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Idle connections that are kept per host.
const IDLE_MAX: usize = 256;

/// Lifetime of an idle connection. Servers usually keep connections longer, so a request seldom meets a closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Headers with the remaining quota: of all models together, and of this model.
const REMAINING: [&str; 2] =
    ["modelscope-ratelimit-requests-remaining", "modelscope-ratelimit-model-requests-remaining"];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

const REDIRECTS_MAX: usize = 5;

/// Reasons why no client could be created.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Base URL of the API is invalid.
    #[error(
        "could not use {text:?} as the address of the API: {why}; give one like https://api-inference.modelscope.cn (--base-url)"
    )]
    BaseUrl {
        /// Given text, without parts that may be secret.
        text: String,
        /// Description of the error.
        why: String,
    },
    /// TLS settings of the system are unusable.
    #[error("could not set up HTTPS: {0}")]
    Setup(#[from] reqwest::Error),
}

/// Request without a complete response.
#[derive(Debug)]
pub struct NoResponse {
    /// True if the request may have reached the server.
    pub was_sent: bool,
    /// Description of the failure.
    pub words: String,
    /// True if the request would have gone to an address that images must not be fetched from.
    pub is_refused: bool,
}

impl NoResponse {}

impl From<reqwest::Error> for NoResponse {
    fn from(error: reqwest::Error) -> Self {
        if let Some(refused) = ForbiddenAddress::among(&error) {
            return Self { was_sent: false, words: refused.to_string(), is_refused: true };
        }
        // Refused connections, unknown hosts and failed handshakes all occur before the first byte of a request is sent.
        let was_sent = !(error.is_connect() || error.is_builder());
        let words = if error.is_timeout() { "timed out".to_owned() } else { chain(&error.without_url()) };
        Self { was_sent, words, is_refused: false }
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

/// Parses and checks the base URL of the API; removes a trailing `/v1`.
pub fn base(text: &str) -> Result<Url, ClientError> {
    let refuse = |why: String| ClientError::BaseUrl { text: link::shown(text), why };
    let trimmed = text.trim().trim_end_matches('/');
    let trimmed = trimmed.strip_suffix("/v1").unwrap_or(trimmed);
    let url = Url::parse(trimmed).map_err(|error| refuse(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse("it does not begin with https://".into()));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it holds more than a host and a path".into()));
    }
    Ok(url)
}

/// Returns the URL of an endpoint: `path` below the base URL.
pub fn below(base: &Url, path: &str) -> Result<Url, ClientError> {
    let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(|error| ClientError::BaseUrl { text: link::shown(&text), why: error.to_string() })
}

/// Returns the URL of a task. The id stays one path segment, whatever characters it has.
pub fn task_url(tasks: &Url, task: &TaskId) -> Result<Url, Fault> {
    let odd = || {
        let words = format!("the task id {} cannot be used in a request", excerpt(&task.0, 80));
        Fault::new(FaultKind::TaskLost, words)
    };
    if !ids::is_usable(task) {
        return Err(odd());
    }
    let mut url = tasks.clone();
    url.path_segments_mut().map_err(|()| odd())?.push(&task.0);
    Ok(url)
}

/// Parses an image link. Only `http` and `https` links are allowed.
pub fn image_url(link: &Link) -> Result<Url, Fault> {
    let url = Url::parse(&link.0).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        let words = format!("the link {} is not a web address; the task may give a better one", answer::shown(link));
        Fault::new(FaultKind::BadOutput, words)
    })
}

/// Creates the client that carries the token: HTTP/1.1, no redirects, and no automatic retries of a paid request.
pub fn api_client(
    base: &Url,
    headers: HeaderMap,
    timeout: Duration,
    reach: &AddressPolicy,
) -> Result<Client, ClientError> {
    let builder = builder(base, timeout).default_headers(headers).redirect(Policy::none()).timeout(timeout);
    Ok(builder.dns_resolver(reach.api_resolver()).build()?)
}

/// Creates the client for images. It has no token and never follows a redirect from HTTPS to HTTP. Every hop must be allowed by `reach`.
pub fn image_client(base: &Url, timeout: Duration, reach: &AddressPolicy) -> Result<Client, ClientError> {
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
    Ok(builder.read_timeout(timeout).build()?)
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

fn builder(base: &Url, timeout: Duration) -> ClientBuilder {
    // Another part of the program may have installed a crypto provider before; that provider works as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .user_agent(concat!("promptbatch/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .retry(reqwest::retry::never())
        // The connect timeout is shorter than that of the whole request. A request that found no connection was then surely not sent.
        .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
        .pool_max_idle_per_host(limit().map_or(IDLE_MAX, |limit| IDLE_MAX.min(limit / 8)))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true);
    if is_loopback(base) { builder.no_proxy() } else { builder }
}

/// Returns true for an address of this machine, which a proxy cannot reach.
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// Reads a response within the size limit. The beginning of an incomplete or too long body is kept: it may hold a task id.
pub async fn answer(mut response: Response) -> ApiResponse {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header("retry-after").map(str::to_owned);
    let date = header("date").and_then(server_date);
    let remaining = REMAINING.into_iter().filter_map(|name| header(name)?.trim().parse().ok()).min();
    let rate = RateLimitHeaders::read(header, date);
    let mut body = Vec::new();
    let cut = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_BYTES_MAX => {
                break Some(format!("a response of more than {BODY_BYTES_MAX} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break None,
            Err(error) => break Some(NoResponse::from(error).words),
        }
        // A million chunks of one byte must not block all other tasks.
        tokio::task::consume_budget().await;
    };
    ApiResponse { status, retry_after, date, remaining, rate, body: body_decoding::bytes(body), cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_end_in_a_slash_or_in_v1() {
        for text in ["https://a.example", "https://a.example/", "https://a.example/v1", " https://a.example/v1/ "] {
            assert_eq!(base(text).unwrap().as_str(), "https://a.example/", "{text}");
        }
        assert_eq!(base("http://127.0.0.1:8080/proxy/v1").unwrap().as_str(), "http://127.0.0.1:8080/proxy");
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in
            ["", "a.example", "ftp://a.example", "https://", "https://user:pw@a.example", "https://a.example/?x=1"]
        {
            let words = base(text).unwrap_err().to_string();
            assert!(words.contains("--base-url"), "{text}: {words}");
        }
    }

    #[test]
    fn a_task_id_cannot_leave_its_place_in_the_path() {
        let tasks = below(&base("https://a.example/").unwrap(), "/v1/tasks").unwrap();
        let url = |id: &str| task_url(&tasks, &TaskId(id.into())).map(|url| url.to_string());
        assert_eq!(url("5075521"), Ok("https://a.example/v1/tasks/5075521".into()));
        assert_eq!(url("a/../b?c#d"), Ok("https://a.example/v1/tasks/a%2F..%2Fb%3Fc%23d".into()));
        assert!(url("..").is_err() && url(".").is_err() && url(&"9".repeat(1000)).is_err());
    }

    #[test]
    fn only_images_on_the_web_are_fetched() {
        let is_taken = |link: &str| image_url(&Link(link.into())).is_ok();
        assert!(is_taken("https://a.example/x.png") && is_taken("http://127.0.0.1:1/x"));
        for link in
            ["", "x.png", "//a.example/x", "file:///etc/passwd", "data:image/png;base64,AA", "ftp://a.example/x"]
        {
            assert!(!is_taken(link), "{link}");
        }
    }

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

    #[test]
    fn what_runs_here_is_not_reached_through_a_proxy() {
        let is_here = |text: &str| is_loopback(&Url::parse(text).unwrap());
        assert!(is_here("http://127.0.0.1:1") && is_here("http://[::1]:1") && is_here("http://localhost"));
        assert!(!is_here("https://a.example") && !is_here("http://10.0.0.1"));
    }
}
