//! Proxy settings in the environment: which variable applies to an API, and whether its value can be used.
//!
//! The HTTP client reads the variables itself, and ignores values that it cannot use. A user behind a proxy would then wait for an API that
//! cannot be reached directly.

use reqwest::Url;

use crate::provider::http::error::ClientError;

/// Schemes of proxies. Names are resolved by the proxy with `socks4a` and `socks5h`, and here with `socks4` and `socks5`.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// Returns the name of the variable that sets the proxy of this address; `None` if there is none. Fails if its value cannot be used.
/// A variable that holds only spaces counts as unset.
pub(super) fn variable_for(
    api: &Url,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<&'static str>, ClientError> {
    let own = if api.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let names = own.into_iter().chain(["ALL_PROXY", "all_proxy"]);
    let mut set = names.filter_map(|name| Some((name, variable(name).filter(|text| !text.trim().is_empty())?)));
    let Some((name, text)) = set.next() else { return Ok(None) };
    match problem(text.trim()) {
        None => Ok(Some(name)),
        Some(why) => Err(ClientError::Proxy { variable: name, why }),
    }
}

/// Returns what is wrong with the address of a proxy, without a part of it that may be secret.
fn problem(text: &str) -> Option<String> {
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    match url {
        Err(error) => Some(format!("it is not an address ({error})")),
        Ok(url) if !SCHEMES.contains(&url.scheme()) => {
            Some(format!("{}:// is not the scheme of a proxy", url.scheme()))
        }
        Ok(url) if url.host_str().is_none_or(str::is_empty) => Some("it names no host".to_owned()),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(api: &str, variables: &[(&str, &str)]) -> Result<Option<&'static str>, String> {
        let value = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned());
        variable_for(&Url::parse(api).unwrap(), value).map_err(|error| error.to_string())
    }

    #[test]
    fn the_variable_of_the_scheme_comes_first() {
        let all = [("ALL_PROXY", "http://a:1"), ("https_proxy", "http://b:1"), ("HTTP_PROXY", "http://c:1")];
        assert_eq!(found("https://api.example", &all), Ok(Some("https_proxy")));
        assert_eq!(found("http://api.example", &all), Ok(Some("HTTP_PROXY")));
        assert_eq!(found("https://api.example", &all[..1]), Ok(Some("ALL_PROXY")));
        assert_eq!(found("https://api.example", &[("HTTPS_PROXY", " "), ("HTTP_PROXY", "socks:")]), Ok(None));
    }

    #[test]
    fn every_usual_address_of_a_proxy_is_accepted() {
        for text in [
            "127.0.0.1:7890",
            "proxy.example",
            "http://127.0.0.1:7890",
            "https://user:secret@proxy.example:3128/",
            "socks5h://127.0.0.1:7890",
            "socks5://[::1]:1080",
            "socks4a://localhost:1080",
            " socks4://10.0.0.1:1080 ",
        ] {
            assert_eq!(found("https://api.example", &[("ALL_PROXY", text)]), Ok(Some("ALL_PROXY")), "{text}");
        }
    }

    #[test]
    fn an_unusable_address_is_refused_without_its_secrets() {
        for text in [
            "socks://u:geheim@127.0.0.1:1080",
            "ftp://u:geheim@h:1",
            "http://u:geheim@h:port",
            "http://",
            "socks5h:///x",
        ] {
            let words = found("https://api.example", &[("ALL_PROXY", text)]).unwrap_err();
            assert!(words.starts_with("could not use the proxy in ALL_PROXY: "), "{words}");
            assert!(words.ends_with("write http://HOST:PORT or socks5h://HOST:PORT, or unset the variable"), "{words}");
            assert!(!words.contains("geheim"), "{words}");
        }
    }
}
