//! Access token, and its removal from all output in every encoding.

mod secret_encodings;

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::description::auth::Auth;
use crate::provider::http::token::secret_encodings::SecretEncodings;

/// Authorization scheme, which precedes the token in its header.
const SCHEME: &str = "Bearer ";

/// Longest token in bytes; a longer text is some other file.
pub(super) const BYTES_MAX: u64 = 4096;

/// Shortest token that is redacted, in bytes. A shorter token is no secret, and its letters occur in any word.
const SECRET_BYTES_MIN: usize = 8;

/// Replacement for a redacted token.
const HIDDEN: &str = "(the token)";

/// Access token. It is sent in one header of API requests and nowhere else.
#[derive(Clone)]
pub struct Token {
    /// `Bearer`, a space, and the token; only `Bearer` and a space if there is none.
    header: HeaderValue,
    /// Way to send it.
    auth: Auth,
    /// Forms of the token that are redacted; none for a token that is no secret.
    encodings: Arc<SecretEncodings>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl Token {
    /// Parses a token. `None` if the text is empty, too long, or has characters that no token has.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() as u64 > BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut value = HeaderValue::from_str(&format!("{SCHEME}{text}")).ok()?;
        value.set_sensitive(true);
        let is_secret = text.len() >= SECRET_BYTES_MIN;
        let encodings = if is_secret { SecretEncodings::new(text.as_bytes()) } else { SecretEncodings::none() };
        Some(Self { header: value, auth: Auth::Bearer, encodings: Arc::new(encodings) })
    }

    /// Returns a token of a service that needs none. Nothing is sent for it.
    pub(in crate::provider) fn none() -> Self {
        let encodings = Arc::new(SecretEncodings::none());
        Self { header: HeaderValue::from_static(SCHEME), auth: Auth::None, encodings }
    }

    /// Returns a public token, which is no secret: it is not hidden, because its letters may occur in any text.
    pub(in crate::provider) fn public(text: &str) -> Option<Self> {
        Some(Self { encodings: Arc::new(SecretEncodings::none()), ..Self::new(text)? })
    }

    /// Returns the token, to be sent in this way.
    #[must_use]
    pub(in crate::provider) fn sent_as(self, auth: &Auth) -> Self {
        // Basic authentication writes the token in base64, which is hidden like the token itself.
        Self { auth: auth.clone(), ..self }
    }

    /// Returns whether the token is sent at all.
    pub(in crate::provider) fn is_sent(&self) -> bool {
        self.auth != Auth::None
    }

    /// Returns the value of the `Authorization` header, marked so that no lower layer writes it to a log.
    #[cfg(test)]
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Adds the header with the token, marked so that no lower layer writes it to a log.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        let secret = &self.header.as_bytes()[SCHEME.len()..];
        let (name, value) = match &self.auth {
            Auth::None => return,
            Auth::Bearer => (AUTHORIZATION, Ok(self.header.clone())),
            Auth::Prefix(word) => (AUTHORIZATION, HeaderValue::from_bytes(&[word.as_bytes(), b" ", secret].concat())),
            Auth::Basic => (AUTHORIZATION, HeaderValue::try_from(format!("Basic {}", STANDARD.encode(secret)))),
            Auth::Header(name) => match HeaderName::try_from(name.as_str()) {
                Ok(name) => (name, HeaderValue::from_bytes(secret)),
                Err(_) => return,
            },
        };
        if let Ok(mut value) = value {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }

    /// Returns a hash of the token with this salt. It identifies the account and reveals nothing of the token.
    pub(crate) fn fingerprint(&self, salt: &str) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("promptbatch 2026 the account of a run");
        hasher.update(&(salt.len() as u64).to_le_bytes()).update(salt.as_bytes()).update(self.header.as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Redacts the token in these bytes. A server can repeat the token that it was sent, also in another encoding.
    pub(super) fn redact(&self, bytes: &[u8]) -> Vec<u8> {
        let mut hidden = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((at, n_bytes)) = self.encodings.find(rest) {
            hidden.extend_from_slice(&rest[..at]);
            hidden.extend_from_slice(HIDDEN.as_bytes());
            rest = &rest[at + n_bytes..];
        }
        hidden.extend_from_slice(rest);
        hidden
    }

    /// Redacts the token in this text.
    pub(super) fn redact_text(&self, text: &str) -> String {
        // Every form of the token is ASCII, so the rest of a text is still text.
        String::from_utf8(self.redact(text.as_bytes())).unwrap_or_else(|_| HIDDEN.to_owned())
    }

    /// Returns the longest length of the token in bytes, if it is written with the longest usual escapes.
    pub(super) fn n_bytes_written_max(&self) -> usize {
        secret_encodings::ESCAPE_BYTES_MAX * (self.header.len() - SCHEME.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_hidden_wherever_others_repeat_it() {
        let token = Token::new("geheim-4711").unwrap();
        let table = [
            ("", ""),
            ("no such model", "no such model"),
            ("geheim-4711", "(the token)"),
            ("Bearer geheim-4711geheim-4711, 猫", "Bearer (the token)(the token), 猫"),
            ("geheim-471", "geheim-471"),
            ("geheim-geheim-4711", "geheim-(the token)"),
        ];
        for (told, shown) in table {
            assert_eq!(token.redact(told.as_bytes()), shown.as_bytes());
        }
        assert_eq!(token.redact(b"\xffgeheim-4711\xfe"), b"\xff(the token)\xfe");
        assert_eq!(Token::new("x").unwrap().redact(b"example"), b"example", "no secret, and in every text");
    }

    #[test]
    fn a_fingerprint_tells_tokens_and_salts_apart() {
        let [one, other] = ["geheim-4711", "geheim-4712"].map(|text| Token::new(text).unwrap());
        let prints = [one.fingerprint("a"), one.fingerprint("b"), other.fingerprint("a"), one.fingerprint("")];
        let different: std::collections::BTreeSet<_> = prints.iter().collect();
        assert_eq!(different.len(), 4, "{prints:?}");
        assert_eq!(one.clone().fingerprint("a"), prints[0]);
        assert!(prints.iter().all(|print| print.len() == 32 && !print.contains("geheim")));
        assert_eq!(Token::new(" geheim-4711\n").unwrap().fingerprint("a"), prints[0], "white space is no part of it");
    }

    #[test]
    fn a_token_is_sent_as_its_api_wants_it() {
        let token = Token::new("user:geheim-4711").unwrap();
        for (auth, name, expected) in [
            ("bearer", "authorization", Some("Bearer user:geheim-4711")),
            ("prefix Key", "authorization", Some("Key user:geheim-4711")),
            ("basic", "authorization", Some("Basic dXNlcjpnZWhlaW0tNDcxMQ==")),
            ("header x-key", "x-key", Some("user:geheim-4711")),
            ("none", "authorization", None),
        ] {
            let mut headers = HeaderMap::new();
            token.clone().sent_as(&auth.parse().unwrap()).add_to(&mut headers);
            assert_eq!(headers.get(name).map(|value| value.to_str().unwrap()), expected, "{auth}");
            assert_eq!(headers.len(), usize::from(expected.is_some()), "{auth}");
            assert!(headers.values().all(HeaderValue::is_sensitive), "{auth}");
        }
        let mut headers = HeaderMap::new();
        Token::none().add_to(&mut headers);
        assert!(headers.is_empty() && Token::none().n_bytes_written_max() == 0);
    }

    #[test]
    fn the_token_is_not_shown() {
        let token = Token::new("secret").unwrap();
        assert_eq!(format!("{token:?} {:?}", token.header()), "Token(hidden) Sensitive");
    }
}
