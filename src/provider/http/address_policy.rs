//! Guard against server-side request forgery (SSRF) through image links.
//! A link may lead to a public address, or to the network in which the API itself is.
//!
//! Links and redirects come from the API. A hostile link could make this machine send requests to its own services. An IP address in a link
//! is checked before anything is sent. A host name is checked when it is resolved, for that very connection. A name that resolves
//! differently the next time therefore gains nothing. With an HTTP proxy, the proxy resolves names, so only IP addresses in links are
//! checked here.

use std::env;
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

use crate::provider::http::address_realm::{Realm, is_metadata, realm};

/// Policy for the addresses that a client may connect to. Clones are cheap and share the information about the API.
#[derive(Clone, Debug)]
pub(crate) struct AddressPolicy {
    /// Host of the API, as written in its base URL.
    api_host: Arc<str>,
    /// Realms in which the API was found, one bit each. An IP address in the base URL is known at once. A host name adds realms with each
    /// resolution.
    api_realms: Arc<AtomicU8>,
    /// Hosts of the HTTP proxies of this process. Their names are resolved without any check.
    proxies: Arc<[String]>,
}

/// Address that no image is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForbiddenAddress {
    /// Host as written in the link.
    host: String,
    /// Resolved address; `None` if the host was refused before its resolution.
    address: Option<IpAddr>,
    /// Description of the kind of address.
    why: &'static str,
}

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, why } = self;
        let at = address.map_or(String::new(), |address| format!(" at {address}"));
        write!(
            f,
            "images are not fetched from {host}{at}, {why}: the API itself is not at such an address; ask its operator for public links"
        )
    }
}

impl Error for ForbiddenAddress {}

impl ForbiddenAddress {
    /// Returns the refusal among the causes of an error; `None` if there is none.
    pub(crate) fn among<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
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

impl AddressPolicy {
    /// Creates the policy for image links of an API with this base URL.
    pub(crate) fn of_api(base: &Url) -> Self {
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

    /// Records the realm of an address of the API.
    fn note_api(&self, address: IpAddr) {
        self.api_realms.fetch_or(realm(address).bit(), Ordering::Relaxed);
    }

    fn is_api_in(&self, there: Realm) -> bool {
        self.api_realms.load(Ordering::Relaxed) & there.bit() != 0
    }

    /// Returns true if the API is on the internet. One public address is enough. An API without a known address, as behind a proxy, counts
    /// as public.
    fn is_api_public(&self) -> bool {
        let is_found = self.api_realms.load(Ordering::Relaxed) != 0;
        !is_found || self.is_api_in(Realm::Public) || self.is_api_in(Realm::Benchmark)
    }

    /// Returns true if links may lead to this realm because the API itself is in it.
    fn is_at_home(&self, there: Realm) -> bool {
        !self.is_api_public() && self.is_api_in(there)
    }

    /// Returns true if messages may quote the responses of image hosts. Responses from a network that is not public are never quoted.
    pub(crate) fn is_quotable(&self) -> bool {
        self.is_api_public()
    }

    /// Checks the host of a link before anything is sent. A host name is checked again when it is resolved.
    pub(crate) fn check(&self, url: &Url) -> Result<(), ForbiddenAddress> {
        let host = url.host_str().unwrap_or_default();
        let refused = |why| ForbiddenAddress { host: host.to_owned(), address: None, why };
        match written(url) {
            Some(address) => self.judge(address, true).map_err(refused),
            None if *host != *self.api_host && self.is_proxy(host) => Err(refused("the proxy of this machine")),
            None => Ok(()),
        }
    }

    /// Checks an address, which `is_written` in the link or was resolved from a name. The error describes the kind of address.
    fn judge(&self, address: IpAddr, is_written: bool) -> Result<(), &'static str> {
        if is_metadata(address) {
            return Err("the metadata service of cloud machines");
        }
        let there = realm(address);
        let is_open = match there {
            Realm::Public => true,
            // Local proxies that tunnel all traffic resolve every name to such an address.
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

    /// Returns the resolved addresses that may be connected to. Fails if all of them are refused.
    fn filter(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ForbiddenAddress> {
        if self.is_proxy(host) {
            return Ok(found);
        }
        let mut refused = None;
        let is_open = |address: &SocketAddr| match self.judge(address.ip(), false) {
            Ok(()) => true,
            Err(why) => {
                refused.get_or_insert(ForbiddenAddress { host: host.to_owned(), address: Some(address.ip()), why });
                false
            }
        };
        let open: Vec<_> = found.into_iter().filter(is_open).collect();
        match refused {
            Some(refused) if open.is_empty() => Err(refused),
            Some(_) | None => Ok(open),
        }
    }

    /// Returns the resolver of the API client. It allows every address and records the realms of the API.
    pub(crate) fn api_resolver(&self) -> impl Resolve + use<> {
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

    /// Returns the resolver of the image client, which allows only addresses that pass the check.
    pub(crate) fn image_resolver(&self) -> impl Resolve + use<> {
        let reach = self.clone();
        Resolver(Arc::new(move |host: &str, found| reach.filter(host, found)))
    }
}

/// Function that checks the resolved addresses of a host name.
type Judge = dyn Fn(&str, Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ForbiddenAddress> + Send + Sync;

/// System resolver with a check of its results.
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

/// Returns the IP address that a URL has as its host, in any notation. The URL parser has already converted decimal, octal and hexadecimal
/// numbers.
fn written(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// Returns the host in the address of a proxy. The scheme may be missing.
fn host_of_proxy(text: &str) -> Option<String> {
    let text = text.trim();
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    url.ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
