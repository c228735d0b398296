//! Token of a request to a described API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::description::auth::Auth;
use crate::description::format::Description;
use crate::simulator::message::HttpRequest;

/// Returns the token of a request as the API expects it; `None` if there is none.
fn token(auth: &Auth, request: &HttpRequest) -> Option<String> {
    let after = |word: &str| {
        let value = request.header("authorization")?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case(word).then(|| token.trim().to_owned())
    };
    match auth {
        Auth::Bearer => after("Bearer"),
        Auth::Prefix(word) => after(word),
        Auth::Header(name) => request.header(name).map(|value| value.trim().to_owned()),
        Auth::Basic => STANDARD.decode(after("Basic")?).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        Auth::None => None,
    }
}

/// Returns whether a request may come in. `right` is the only token that is accepted; `None` accepts any token that is not empty.
pub(in crate::simulator) fn is_allowed(api: &Description, request: &HttpRequest, right: Option<&str>) -> bool {
    match (token(&api.auth, request).filter(|token| !token.is_empty()), right) {
        _ if api.auth == Auth::None => true,
        (Some(token), Some(right)) => token == right,
        (Some(_), None) => true,
        (None, _) => api.token.optional,
    }
}

/// Returns whether a request carries a token, which an image host must never receive.
pub(in crate::simulator) fn has_token(api: &Description, request: &HttpRequest) -> bool {
    request.header("authorization").is_some() || token(&api.auth, request).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(auth: &str, header: (&str, &str), right: Option<&str>) -> bool {
        let api = Description { auth: auth.parse().unwrap(), ..Description::default() };
        is_allowed(&api, &HttpRequest::get("/").with(header.0, header.1), right)
    }

    #[test]
    fn the_token_is_where_the_description_says() {
        for (auth, name, value) in [
            ("bearer", "authorization", "Bearer k"),
            ("prefix Key", "authorization", "Key k"),
            ("header x-key", "x-key", "k"),
            ("basic", "authorization", "Basic aw=="),
        ] {
            assert!(is_in(auth, (name, value), None) && is_in(auth, (name, value), Some("k")), "{auth}");
            assert!(!is_in(auth, (name, value), Some("other")), "{auth}");
            assert!(!is_in(auth, (name, ""), None), "{auth}");
            assert!(!is_in(auth, ("x-other", value), None), "{auth}");
        }
        assert!(!is_in("prefix Key", ("authorization", "Bearer k"), None));
        assert!(is_in("none", ("x-other", ""), Some("k")));
        let api = Description { auth: Auth::Header("x-key".into()), ..Description::default() };
        assert!(has_token(&api, &HttpRequest::get("/").with("x-key", "k")));
        assert!(!has_token(&api, &HttpRequest::get("/")));
    }
}
