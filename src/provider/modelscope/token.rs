//! Access token: its sources, and its removal from all output in every encoding.

mod secret_encodings;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::header::HeaderValue;

use crate::provider::modelscope::token::secret_encodings::SecretEncoding;

/// Environment variables that hold the token, in the order of lookup. The API's documentation, its MCP server, its samples and its users
/// each have their own variable.
pub const VARIABLES: [&str; 4] =
    ["MODELSCOPE_API_KEY", "MODELSCOPE_API_TOKEN", "MODELSCOPE_SDK_TOKEN", "MODELSCOPE_TOKEN"];

/// Page on which a token is created and renewed.
pub const PAGE: &str = "https://modelscope.cn/my/myaccesstoken";

/// Authorization scheme, which precedes the token in its header.
const SCHEME: &str = "Bearer ";

/// Longest token in bytes; a longer text is some other file.
const BYTES_MAX: u64 = 4096;

/// Shortest token that is redacted, in bytes. A shorter token is no secret, and its letters occur in any word.
const SECRET_BYTES_MIN: usize = 8;

/// Replacement for a redacted token.
const HIDDEN: &str = "(the token)";

/// Access token. It is sent in one header of API requests and nowhere else.
#[derive(Clone)]
pub struct Token {
    header: HeaderValue,
    /// Forms of the token that are redacted; empty for a token that is no secret.
    spellings: Arc<[SecretEncoding]>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Reasons why there is no usable token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Token is missing: neither a file nor an environment variable gives one.
    #[error(
        "could not find a token: set {} (or name a file with --token-file); make one at {PAGE}, \
         or try without one: --provider simulator", VARIABLES[0]
    )]
    Missing,
    /// Token file cannot be read.
    #[error("could not read the token file {path}: {source}; name a file that holds the token and nothing else", path = .path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Token is empty, too long, or has characters that no token has.
    #[error(
        "could not use the token from {from}: it is empty, too long, or holds characters that no token has; copy it again from {PAGE}"
    )]
    Malformed {
        /// Environment variable or file that the token comes from.
        from: String,
    },
}

impl Token {
    /// Parses a token; `from` names its source.
    pub fn new(text: &str, from: &str) -> Result<Self, TokenError> {
        let malformed = || TokenError::Malformed { from: from.to_owned() };
        let text = text.trim();
        if text.is_empty() || text.len() as u64 > BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed());
        }
        let mut value = HeaderValue::from_str(&format!("{SCHEME}{text}")).map_err(|_| malformed())?;
        value.set_sensitive(true);
        let is_secret = text.len() >= SECRET_BYTES_MIN;
        let spellings = if is_secret { SecretEncoding::all(text.as_bytes()).into() } else { Arc::default() };
        Ok(Self { header: value, spellings })
    }

    /// Reads the token from this file, or else from the environment, which `variable` looks up.
    pub fn find(file: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, TokenError> {
        if let Some(path) = file {
            let mut text = String::new();
            let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text));
            read.map_err(|source| TokenError::File { path: path.to_owned(), source })?;
            return Self::new(&text, &path.display().to_string());
        }
        let found =
            VARIABLES.into_iter().find_map(|name| Some((name, variable(name).filter(|text| !text.is_empty())?)));
        let (name, text) = found.ok_or(TokenError::Missing)?;
        Self::new(&text, name)
    }

    /// Returns the value of the `Authorization` header, marked so that no lower layer writes it to a log.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Returns a hash of the token with this salt. It identifies the account and reveals nothing of the token.
    pub(crate) fn fingerprint(&self, salt: &str) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("promptbatch 2026 the account of a run");
        hasher.update(&(salt.len() as u64).to_le_bytes()).update(salt.as_bytes()).update(self.header.as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Redacts the token in these bytes. A server can repeat the token that it was sent, also in another encoding.
    pub(super) fn hide(&self, bytes: &[u8]) -> Vec<u8> {
        let mut hidden = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let n_bytes = self.spellings.iter().filter_map(|spelling| spelling.n_bytes_at(rest)).max();
            if n_bytes.is_some() {
                hidden.extend_from_slice(HIDDEN.as_bytes());
            } else {
                hidden.push(*first);
            }
            rest = &rest[n_bytes.unwrap_or(1)..];
        }
        hidden
    }

    /// Redacts the token in this text.
    pub(super) fn hide_in_text(&self, text: &str) -> String {
        // Every form of the token is ASCII, so the rest of a text is still text.
        String::from_utf8(self.hide(text.as_bytes())).unwrap_or_else(|_| HIDDEN.to_owned())
    }

    /// Returns the longest length of the token in bytes, if it is written with the longest usual escapes.
    pub(super) fn n_bytes_written_max(&self) -> usize {
        secret_encodings::ESCAPE_BYTES_MAX * (self.header.len() - SCHEME.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(token: &Token) -> &str {
        token.header.to_str().unwrap()
    }

    #[test]
    fn every_variable_is_tried_in_order() {
        for (i, name) in VARIABLES.into_iter().enumerate() {
            let later = &VARIABLES[i..];
            let token = Token::find(None, |asked| later.contains(&asked).then(|| format!("t-{asked}"))).unwrap();
            assert_eq!(value(&token), format!("Bearer t-{name}"));
        }
    }

    #[test]
    fn an_empty_variable_counts_as_none() {
        let found = Token::find(None, |name| Some(if name == VARIABLES[1] { "t".into() } else { String::new() }));
        assert_eq!(value(&found.unwrap()), "Bearer t");
    }

    #[test]
    fn a_file_comes_before_the_environment_and_may_end_in_a_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "from-file\r\n").unwrap();
        assert_eq!(value(&Token::find(Some(&path), |_| Some("env".into())).unwrap()), "Bearer from-file");
    }

    #[test]
    fn a_missing_token_says_where_to_get_one() {
        let words = Token::find(None, |_| None).unwrap_err().to_string();
        assert!(words.contains("MODELSCOPE_API_KEY") && words.contains(PAGE) && words.contains("simulator"), "{words}");
    }

    #[test]
    fn an_error_never_repeats_the_token() {
        let words = Token::new("secret with spaces", "MODELSCOPE_API_KEY").unwrap_err().to_string();
        assert!(!words.contains("secret"), "{words}");
        assert!(Token::new(" \n", "x").is_err() && Token::new("geheim\u{1}", "x").is_err());
    }

    #[test]
    fn what_is_too_long_for_a_token_is_not_read_to_its_end() {
        let words = Token::find(Some(Path::new("/dev/zero")), |_| None).unwrap_err().to_string();
        assert!(words.contains("copy it again"), "{words}");
        assert!(Token::new(&"t".repeat(4096), "x").is_ok() && Token::new(&"t".repeat(4097), "x").is_err());
    }

    #[test]
    fn the_token_is_hidden_wherever_others_repeat_it() {
        let token = Token::new("geheim-4711", "x").unwrap();
        let table = [
            ("", ""),
            ("no such model", "no such model"),
            ("geheim-4711", "(the token)"),
            ("Bearer geheim-4711geheim-4711, 猫", "Bearer (the token)(the token), 猫"),
            ("geheim-471", "geheim-471"),
            ("geheim-geheim-4711", "geheim-(the token)"),
        ];
        for (told, shown) in table {
            assert_eq!(token.hide(told.as_bytes()), shown.as_bytes());
        }
        assert_eq!(token.hide(b"\xffgeheim-4711\xfe"), b"\xff(the token)\xfe");
        assert_eq!(Token::new("x", "x").unwrap().hide(b"example"), b"example", "no secret, and in every text");
    }

    #[test]
    fn a_fingerprint_tells_tokens_and_salts_apart() {
        let [one, other] = ["geheim-4711", "geheim-4712"].map(|text| Token::new(text, "x").unwrap());
        let prints = [one.fingerprint("a"), one.fingerprint("b"), other.fingerprint("a"), one.fingerprint("")];
        let different: std::collections::BTreeSet<_> = prints.iter().collect();
        assert_eq!(different.len(), 4, "{prints:?}");
        assert_eq!(one.clone().fingerprint("a"), prints[0]);
        assert!(prints.iter().all(|print| print.len() == 32 && !print.contains("geheim")));
        assert_eq!(
            Token::new(" geheim-4711\n", "x").unwrap().fingerprint("a"),
            prints[0],
            "white space is no part of it"
        );
    }

    #[test]
    fn the_token_is_not_shown() {
        let token = Token::new("secret", "x").unwrap();
        assert_eq!(format!("{token:?} {:?}", token.header()), "Token(hidden) Sensitive");
    }
}
