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
    /// Token is empty, too long, or has characters that no token has.
    #[error(
        "could not use the token from {from}: it is empty, too long, or holds characters that no token has; copy it again from {page}"
    )]
    Malformed {
        /// Environment variable or file that the token comes from.
        from: String,
        /// Page that shows the token.
        page: &'static str,
    },
}

impl TokenSpec {
    /// Reads the token from this file, or else from the environment, which `variable` looks up.
    pub fn find(&self, file: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Result<Token, TokenError> {
        let Self { variables, page } = *self;
        let (text, from) = if let Some(path) = file {
            let mut text = String::new();
            let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text));
            read.map_err(|source| TokenError::File { path: path.to_owned(), source })?;
            (text, path.display().to_string())
        } else {
            let given = |name: &str| variable(name).filter(|text| !text.is_empty());
            let found = variables.iter().find_map(|name| Some((given(name)?, (*name).to_owned())));
            found.ok_or_else(|| TokenError::Missing { variable: variables.first().unwrap_or(&""), page })?
        };
        Token::new(&text).ok_or(TokenError::Malformed { from, page })
    }
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
