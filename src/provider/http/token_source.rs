//! Sources of an access token: a file, or environment variables.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::provider::http::token::{BYTES_MAX, Token};

/// Environment variables of a provider's token, and the page that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSpec {
    /// Environment variables that hold the token, in the order of lookup; never empty.
    pub variables: &'static [&'static str],
    /// Page on which a token is created and renewed.
    pub page: &'static str,
}

/// Reasons why there is no usable token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Token is missing: neither a file nor an environment variable gives one.
    #[error(
        "could not find a token: set {variable} (or name a file with --token-file); make one at {page}, \
         or try without one: --provider simulator"
    )]
    Missing {
        /// First environment variable that is looked up.
        variable: &'static str,
        /// Page that makes a token.
        page: &'static str,
    },
    /// Token file cannot be read.
    #[error("could not read the token file {path}: {source}; name a file that holds the token and nothing else", path = .path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Text that is no token.
    #[error("could not use the token from {from}: it {what}; copy it again from {page}")]
    Malformed {
        /// Environment variable or file that the token comes from.
        from: String,
        /// What is wrong with it, without the text itself.
        what: &'static str,
        /// Page that shows the token.
        page: &'static str,
    },
}

impl TokenSpec {
    /// Reads the token from this file, or else from the environment, which `variable` looks up.
    pub fn find(&self, file: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Result<Token, TokenError> {
        let Self { variables, page } = *self;
        let (text, from) = if let Some(path) = file {
            let mut bytes = Vec::new();
            let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
            read.map_err(|source| TokenError::File { path: path.to_owned(), source })?;
            let from = path.display().to_string();
            if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
                return Err(TokenError::Malformed { from, what: "is UTF-16 text: save the file as UTF-8", page });
            }
            // Other bytes become characters that no token has.
            (String::from_utf8_lossy(&bytes).into_owned(), from)
        } else {
            let given = |name: &str| variable(name).filter(|text| !text.is_empty());
            let found = variables.iter().find_map(|name| Some((given(name)?, (*name).to_owned())));
            found.ok_or_else(|| TokenError::Missing { variable: variables.first().unwrap_or(&""), page })?
        };
        // Editors add a byte order mark, which is no part of the token.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
        let malformed = |what| TokenError::Malformed { from: from.clone(), what, page };
        match mistake(text) {
            Some(what) => Err(malformed(what)),
            None => Token::new(text).ok_or_else(|| malformed("holds characters that no token has")),
        }
    }
}

/// Quotes that people put around a token.
const QUOTES: [char; 6] = ['"', '\'', '“', '”', '‘', '’'];

/// Returns what is wrong with a text that is not a token alone. `None` if no usual mistake is found.
fn mistake(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() as u64 > BYTES_MAX {
        return Some("is longer than any token");
    }
    if names_variable(text.strip_prefix("export ").unwrap_or(text)) {
        return Some("names a variable: write the token alone");
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        return Some("has quotes around it: write the token alone");
    }
    if text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("Bearer ")) {
        return Some("begins with Bearer: write the token alone");
    }
    text.contains(char::is_whitespace).then_some("holds a space or a line break: write the token alone")
}

/// Returns whether a text begins as `NAME=`, with a name as environment variables have, and a value. A token may end in `=`.
fn names_variable(text: &str) -> bool {
    let Some((name, value)) = text.split_once('=') else { return false };
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(is_name)
        && value.starts_with(|c: char| c != '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: TokenSpec =
        TokenSpec { variables: &["EXAMPLE_API_KEY", "EXAMPLE_TOKEN"], page: "https://example.org/tokens" };

    #[test]
    fn every_variable_is_tried_in_order() {
        for (i, name) in TOKEN.variables.iter().enumerate() {
            let later = &TOKEN.variables[i..];
            let token = TOKEN
                .find(None, |request_kind| later.contains(&request_kind).then(|| format!("t-{request_kind}")))
                .unwrap();
            assert_eq!(token.header(), format!("Bearer t-{name}").as_str());
        }
    }

    #[test]
    fn an_empty_variable_counts_as_none() {
        let found = TOKEN.find(None, |name| Some(if name == TOKEN.variables[1] { "t".into() } else { String::new() }));
        assert_eq!(found.unwrap().header(), "Bearer t");
    }

    #[test]
    fn a_file_comes_before_the_environment_and_may_end_in_a_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "from-file\r\n").unwrap();
        assert_eq!(TOKEN.find(Some(&path), |_| Some("env".into())).unwrap().header(), "Bearer from-file");
    }

    /// Goal: each usual mistake is named, from a file and from a variable, and the token is not repeated. Method: one text for each mistake, and
    /// texts that look like one and are tokens.
    #[test]
    fn a_malformed_token_says_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for (text, words) in [
            (" \n", "it is empty;"),
            ("\u{feff}\r\n", "it is empty;"),
            ("\"ms-geheim\"\n", "it has quotes around it: write the token alone;"),
            ("'ms-geheim'", "it has quotes around it"),
            ("“ms-geheim”", "it has quotes around it"),
            ("ms-geheim\"", "it has quotes around it"),
            ("MODELSCOPE_API_KEY=ms-geheim", "it names a variable: write the token alone;"),
            ("export KEY=\"ms-geheim\"", "it names a variable"),
            ("Bearer ms-geheim", "it begins with Bearer: write the token alone;"),
            ("bearer  ms-geheim", "it begins with Bearer"),
            ("ms-geheim\nms-other", "it holds a space or a line break: write the token alone;"),
            ("ms-geheim\u{1}", "it holds characters that no token has;"),
            ("ms-geheim-ключ", "it holds characters that no token has;"),
        ] {
            std::fs::write(&path, text).unwrap();
            let of_file = TOKEN.find(Some(&path), |_| None).unwrap_err().to_string();
            let of_variable = TOKEN.find(None, |_| Some(text.into())).unwrap_err().to_string();
            for error in [of_file, of_variable] {
                assert!(error.contains(words) && !error.contains("geheim"), "{text:?}: {error}");
            }
        }
        std::fs::write(&path, b"\xff\xfem\0s\0").unwrap();
        let words = TOKEN.find(Some(&path), |_| None).unwrap_err().to_string();
        assert!(words.contains("it is UTF-16 text: save the file as UTF-8;"), "{words}");
        for text in ["\u{feff}ms-geheim\n", "QUJD==", "ABC=", "user:A=b", "ms-a=b", "sk_1=2"] {
            std::fs::write(&path, text).unwrap();
            assert!(TOKEN.find(Some(&path), |_| None).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_missing_token_says_where_to_get_one() {
        let words = TOKEN.find(None, |_| None).unwrap_err().to_string();
        assert!(
            words.contains("EXAMPLE_API_KEY") && words.contains(TOKEN.page) && words.contains("simulator"),
            "{words}"
        );
    }

    #[test]
    fn an_error_never_repeats_the_token() {
        let words = TOKEN.find(None, |_| Some("secret with spaces".into())).unwrap_err().to_string();
        assert!(words.contains("EXAMPLE_API_KEY") && !words.contains("secret"), "{words}");
        assert!(Token::new(" \n").is_none() && Token::new("geheim\u{1}").is_none());
    }

    #[test]
    fn what_is_too_long_for_a_token_is_not_read_to_its_end() {
        let words = TOKEN.find(Some(Path::new("/dev/zero")), |_| None).unwrap_err().to_string();
        assert!(words.contains("copy it again"), "{words}");
        assert!(Token::new(&"t".repeat(4096)).is_some() && Token::new(&"t".repeat(4097)).is_none());
    }
}
