//! Server-side request forgery guard: image links lead to public addresses, or to the network in which the API itself is.
//!
//! Links and redirects come from the API, and a hostile one could have this machine ask its own services. An address written in a link is
//! judged before anything is sent. A name is judged where it is resolved, for that very connection, so that a name which resolves
//! differently the next time gains nothing. Through an HTTP proxy the proxy resolves names: then only written addresses are judged here.

use std::env;
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

use crate::provider::modelscope::realm::{Realm, is_metadata, realm};

/// Where a client may connect to. Cheap to clone: all clones share what is known of the API.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The host of the API, as its address writes it.
    api_host: Arc<str>,
    /// The realms in which the API was found, a bit each: known at once of a written address, else from each resolution of its name.
    api_realms: Arc<AtomicU8>,
    /// The hosts of the HTTP proxies of this process. Their names are resolved as they are for any program.
    proxies: Arc<[String]>,
}

/// An address that no image is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The host as the link writes it.
    host: String,
    /// What that comes to, where `host` is a name.
    address: Option<IpAddr>,
    /// What kind of address it is.
    why: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, why } = self;
        let at = address.map_or(String::new(), |address| format!(" at {address}"));
        write!(
            f,
            "images are not fetched from {host}{at}, {why}: the API itself is not there; ask its operator for public links"
        )
    }
}

impl Error for Refused {}

impl Refused {
    /// The refusal among the causes of an error, if it is one.
    pub fn among<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(refused) = error.downcast_ref() {
                return Some(refused);
            }
            cause = error.source();
        }
        None
    }
}

impl Reach {
    /// What may be reached by links of an API at this address.
    pub fn of_api(base: &Url) -> Self {
        let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        let proxies = proxies.into_iter().filter_map(|name| host_of_proxy(&env::var(name).ok()?)).collect();
        Self::with_proxies(base, proxies)
    }

    fn with_proxies(base: &Url, proxies: Arc<[String]>) -> Self {
        let api_host: Arc<str> = base.host_str().unwrap_or_default().into();
        let reach = Self { api_host, api_realms: Arc::default(), proxies };
        if let Some(address) = written(base) {
            reach.note_api(address);
        }
        reach
    }

    /// Notes that the API is at this address.
    fn note_api(&self, address: IpAddr) {
        self.api_realms.fetch_or(realm(address).bit(), Ordering::Relaxed);
    }

    /// Whether the API was found in this realm.
    fn is_api_in(&self, there: Realm) -> bool {
        self.api_realms.load(Ordering::Relaxed) & there.bit() != 0
    }

    /// Whether the API is in the internet. One that was ever found there counts, and one that was not found yet, as behind a proxy.
    fn is_api_public(&self) -> bool {
        let is_found = self.api_realms.load(Ordering::Relaxed) != 0;
        !is_found || self.is_api_in(Realm::Public) || self.is_api_in(Realm::Benchmark)
    }

    /// Whether links may lead to this realm because the API itself is in it.
    fn is_at_home(&self, there: Realm) -> bool {
        !self.is_api_public() && self.is_api_in(there)
    }

    /// Whether the answers of image hosts may be quoted: not where they come from a network that is not public.
    pub fn is_quotable(&self) -> bool {
        self.is_api_public()
    }

    /// Judges what a link writes, before anything is sent. A name is judged again when it is resolved.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        let host = url.host_str().unwrap_or_default();
        let refused = |why| Refused { host: host.to_owned(), address: None, why };
        match written(url) {
            Some(address) => self.judge(address, true).map_err(refused),
            None if *host != *self.api_host && self.is_proxy(host) => Err(refused("the proxy of this machine")),
            None => Ok(()),
        }
    }

    /// What is wrong with an address, which `is_written` in the link or was resolved from a name.
    fn judge(&self, address: IpAddr, is_written: bool) -> Result<(), &'static str> {
        if is_metadata(address) {
            return Err("the metadata service of cloud machines");
        }
        let there = realm(address);
        let is_open = match there {
            Realm::Public => true,
            // Local proxies that tunnel everything answer every name with such an address.
            Realm::Benchmark => !is_written || self.is_api_in(there),
            Realm::Loopback | Realm::Private | Realm::Shared | Realm::LinkLocal | Realm::Reserved => {
                self.is_at_home(there)
            }
        };
        if is_open { Ok(()) } else { Err(there.words()) }
    }

    fn is_proxy(&self, host: &str) -> bool {
        self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(host))
    }

    /// Of the addresses of a name those that may be connected to; an error where there is none left.
    fn filter(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        if self.is_proxy(host) {
            return Ok(found);
        }
        let mut refused = None;
        let is_open = |address: &SocketAddr| match self.judge(address.ip(), false) {
            Ok(()) => true,
            Err(why) => {
                refused.get_or_insert(Refused { host: host.to_owned(), address: Some(address.ip()), why });
                false
            }
        };
        let open: Vec<_> = found.into_iter().filter(is_open).collect();
        match refused {
            Some(refused) if open.is_empty() => Err(refused),
            Some(_) | None => Ok(open),
        }
    }

    /// The resolver for the API's own client, which is connected to wherever it is, and learns where that is.
    pub fn api_resolver(&self) -> impl Resolve + use<> {
        let reach = self.clone();
        Resolver(Arc::new(move |host: &str, found: Vec<SocketAddr>| {
            if host.eq_ignore_ascii_case(&reach.api_host) {
                for address in &found {
                    reach.note_api(address.ip());
                }
            }
            Ok(found)
        }))
    }

    /// The resolver for the client of images.
    pub fn image_resolver(&self) -> impl Resolve + use<> {
        let reach = self.clone();
        Resolver(Arc::new(move |host: &str, found| reach.filter(host, found)))
    }
}

/// Judges the addresses of a name.
type Judge = dyn Fn(&str, Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> + Send + Sync;

/// The system's resolver, and a judge of what it finds.
struct Resolver(Arc<Judge>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let judge = Arc::clone(&self.0);
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?.collect();
            let open = judge(name.as_str(), found)?;
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// The address that is written as the host, in whatever spelling: a URL's parser has read decimal, octal and hexadecimal numbers.
fn written(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// The host in the address of a proxy, which may have no scheme.
fn host_of_proxy(text: &str) -> Option<String> {
    let text = text.trim();
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    url.ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
