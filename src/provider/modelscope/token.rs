//! The token: where it is found, and that it is never shown, however others write it.

mod spelling;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::header::HeaderValue;

use crate::provider::modelscope::token::spelling::Spelling;

/// The variables that hold the token, in the order in which they are tried: the API's documentation, its MCP server, its
/// samples and its users have each their own.
pub const VARIABLES: [&str; 4] =
    ["MODELSCOPE_API_KEY", "MODELSCOPE_API_TOKEN", "MODELSCOPE_SDK_TOKEN", "MODELSCOPE_TOKEN"];

/// Where a token is made and renewed.
pub const PAGE: &str = "https://modelscope.cn/my/myaccesstoken";

/// What stands before the token in its header.
const SCHEME: &str = "Bearer ";

/// The longest token; what is longer is some other file.
const BYTES_MAX: u64 = 4096;

/// The shortest token that is kept out of what others say: a shorter one is no secret, and its letters are those of any word.
const SECRET_BYTES_MIN: usize = 8;

/// What stands in its place there.
const HIDDEN: &str = "(the token)";

/// An access token. It goes into one header of requests to the API and nowhere else.
#[derive(Clone)]
pub struct Token {
    header: HeaderValue,
    /// What others may write in its place; none of a token that is no secret.
    spellings: Arc<[Spelling]>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody gave one.
    #[error(
        "could not find a token: set {} (or name a file with --token-file); make one at {PAGE}, \
         or try without one: --provider simulator", VARIABLES[0]
    )]
    Missing,
    /// The file cannot be read.
    #[error("could not read the token file {path}: {source}; name a file that holds the token and nothing else", path = .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds characters that no token has.
    #[error(
        "could not use the token from {from}: it is empty, too long, or holds characters that no token has; copy it again from {PAGE}"
    )]
    Malformed {
        /// The variable or the file.
        from: String,
    },
}

impl Token {
    /// The token in this text; `from` says where it was found.
    pub fn new(text: &str, from: &str) -> Result<Self, TokenError> {
        let malformed = || TokenError::Malformed { from: from.to_owned() };
        let text = text.trim();
        if text.is_empty() || text.len() as u64 > BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed());
        }
        let mut value = HeaderValue::from_str(&format!("{SCHEME}{text}")).map_err(|_| malformed())?;
        value.set_sensitive(true);
        let is_secret = text.len() >= SECRET_BYTES_MIN;
        let spellings = if is_secret { Spelling::all(text.as_bytes()).into() } else { Arc::default() };
        Ok(Self { header: value, spellings })
    }

    /// The token from this file, or else from the environment, which `variable` looks up.
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

    /// The value of the `Authorization` header, marked so that no layer below writes it into a log.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// A hash of the token with this salt: tells accounts apart, and gives nothing of the token away.
    pub(crate) fn fingerprint(&self, salt: &str) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("promptbatch 2026 the account of a run");
        hasher.update(&(salt.len() as u64).to_le_bytes()).update(salt.as_bytes()).update(self.header.as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// The same bytes without the token: what the other side was sent, it can repeat, also encoded.
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

    /// The same text without the token.
    pub(super) fn hide_in_text(&self, text: &str) -> String {
        // A spelling is ASCII, so what is left of a text is text.
        String::from_utf8(self.hide(text.as_bytes())).unwrap_or_else(|_| HIDDEN.to_owned())
    }

    /// How many bytes a token may take where it is written with the longest escapes that are usual.
    pub(super) fn n_bytes_written_max(&self) -> usize {
        spelling::ESCAPE_BYTES_MAX * (self.header.len() - SCHEME.len())
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
