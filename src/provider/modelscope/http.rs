//! The two HTTP clients, their limits, and what a request that brought no answer means.

use std::error::Error;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, Url};

use crate::model::link;
use crate::model::outcome::{Fault, FaultKind, TaskId, Url as Link};
use crate::model::text::excerpt;
use crate::provider::modelscope::answer::{self, Answer};
use crate::provider::modelscope::rate::RateTold;
use crate::provider::modelscope::reach::{Reach, Refused};
use crate::provider::modelscope::sockets::limit;
use crate::provider::modelscope::waits::server_date;
use crate::provider::modelscope::{ids, plain};

/// The longest answer of the API that is read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Connections that wait for the next request, a host.
const IDLE_MAX: usize = 256;

/// How long they wait: shorter than servers usually do, so that a request seldom meets a closing connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The headers that say how much is left of an allowance: all models together, and this one.
const REMAINING: [&str; 2] =
    ["modelscope-ratelimit-requests-remaining", "modelscope-ratelimit-model-requests-remaining"];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

const REDIRECTS_MAX: usize = 5;

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address of the API is none.
    #[error(
        "could not use {text:?} as the address of the API: {why}; give one like https://api-inference.modelscope.cn (--base-url)"
    )]
    BaseUrl {
        /// What was given, without what may be secret.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The system's TLS settings are unusable.
    #[error("could not set up HTTPS: {0}")]
    Setup(#[from] reqwest::Error),
}

/// A request that brought no whole answer.
#[derive(Debug)]
pub struct Lost {
    /// Whether it may have reached the other side.
    pub was_sent: bool,
    /// What happened.
    pub words: String,
    /// Whether it would have gone to an address that images are not fetched from.
    pub is_refused: bool,
}

impl Lost {}

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        if let Some(refused) = Refused::among(&error) {
            return Self { was_sent: false, words: refused.to_string(), is_refused: true };
        }
        // Refused connections, unknown hosts and failed handshakes all come before the first byte of a request.
        let was_sent = !(error.is_connect() || error.is_builder());
        let words = if error.is_timeout() { "timed out".to_owned() } else { chain(&error.without_url()) };
        Self { was_sent, words, is_refused: false }
    }
}

/// An error and its causes in one line.
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

/// The address of the API, checked, without `/v1`.
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

/// Where one kind of request goes, below the address of the API.
pub fn below(base: &Url, path: &str) -> Result<Url, ClientError> {
    let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(|error| ClientError::BaseUrl { text: link::shown(&text), why: error.to_string() })
}

/// Where to ask for a task, however odd its id is.
pub fn task_url(tasks: &Url, task: &TaskId) -> Result<Url, Fault> {
    let odd = || {
        let words = format!("the task id {} cannot be asked for", excerpt(&task.0, 80));
        Fault::new(FaultKind::TaskLost, words)
    };
    if !ids::is_usable(task) {
        return Err(odd());
    }
    let mut url = tasks.clone();
    url.path_segments_mut().map_err(|()| odd())?.push(&task.0);
    Ok(url)
}

/// Where to fetch an image: nowhere but from the web.
pub fn image_url(link: &Link) -> Result<Url, Fault> {
    let url = Url::parse(&link.0).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        let words = format!("the link {} is no web address; the task may give a better one", answer::shown(link));
        Fault::new(FaultKind::BadOutput, words)
    })
}

/// The client that carries the token: HTTP/1.1, no redirects, and no retries of its own under a paid request.
pub fn api_client(base: &Url, headers: HeaderMap, timeout: Duration, reach: &Reach) -> Result<Client, ClientError> {
    let builder = builder(base, timeout).default_headers(headers).redirect(Policy::none()).timeout(timeout);
    Ok(builder.dns_resolver(reach.api_resolver()).build()?)
}

/// The client for images: no token, redirects that never lead from HTTPS to HTTP, and every hop within `reach`.
pub fn image_client(base: &Url, timeout: Duration, reach: &Reach) -> Result<Client, ClientError> {
    let within = reach.clone();
    let policy = Policy::custom(move |attempt| match refused_redirect(attempt.previous(), attempt.url()) {
        Some(why) => attempt.error(why),
        None => match within.check(attempt.url()) {
            Err(refused) => attempt.error(refused),
            Ok(()) => attempt.follow(),
        },
    });
    let builder = builder(base, timeout).redirect(policy).referer(false).dns_resolver(reach.image_resolver());
    // A large image may take its time, as long as it does not fall silent.
    Ok(builder.read_timeout(timeout).build()?)
}

/// Why a redirect of an image link is not followed, if it is not.
fn refused_redirect(previous: &[Url], next: &Url) -> Option<&'static str> {
    let was_https = previous.iter().any(|url| url.scheme() == "https");
    match next.scheme() {
        "http" if was_https => Some("a redirect from https to http"),
        "http" | "https" if previous.len() > REDIRECTS_MAX => Some("too many redirects"),
        "http" | "https" => None,
        _ => Some("a redirect that leads out of the web"),
    }
}

fn builder(base: &Url, timeout: Duration) -> ClientBuilder {
    // Another part of the program may have chosen a provider before: that one serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .user_agent(concat!("promptbatch/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .retry(reqwest::retry::never())
        // Before the time for the whole request is over: one that found no connection was surely not sent.
        .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
        .pool_max_idle_per_host(limit().map_or(IDLE_MAX, |limit| IDLE_MAX.min(limit / 8)))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true);
    if is_loopback(base) { builder.no_proxy() } else { builder }
}

/// A proxy cannot reach what runs on this machine.
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// Reads an answer, within bounds. Of a body that breaks off or is too long, the beginning is kept: it may hold a task id.
pub async fn answer(mut response: Response) -> Answer {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header("retry-after").map(str::to_owned);
    let date = header("date").and_then(server_date);
    let remaining = REMAINING.into_iter().filter_map(|name| header(name)?.trim().parse().ok()).min();
    let rate = RateTold::read(header, date);
    let mut body = Vec::new();
    let cut = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_BYTES_MAX => {
                break Some(format!("an answer of more than {BODY_BYTES_MAX} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break None,
            Err(error) => break Some(Lost::from(error).words),
        }
        // A million chunks of one byte must not keep everybody else waiting.
        tokio::task::consume_budget().await;
    };
    Answer { status, retry_after, date, remaining, rate, body: plain::bytes(body), cut }
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
            assert_eq!(refused(&["http://a.example"], odd), Some("a redirect that leads out of the web"));
        }
    }

    #[test]
    fn what_runs_here_is_not_reached_through_a_proxy() {
        let is_here = |text: &str| is_loopback(&Url::parse(text).unwrap());
        assert!(is_here("http://127.0.0.1:1") && is_here("http://[::1]:1") && is_here("http://localhost"));
        assert!(!is_here("https://a.example") && !is_here("http://10.0.0.1"));
    }
}
