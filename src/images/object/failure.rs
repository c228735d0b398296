//! Failures of object storage: what each proves, and its words without keys.

use std::error::Error as _;

use object_store::Error;

use crate::model::escape::excerpt;

/// Variables of the environment whose values are never shown.
const SECRETS: [&str; 9] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
];

/// Longest explanation, in characters.
const WORDS_MAX: usize = 300;

/// What a failure of a request proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no such object; or no such bucket, if an object was to be written.
    Missing,
    /// There is an object with this name. Racing writers may also get this answer (409), and there is no object yet.
    Exists,
    /// The storage does not know the condition of the request.
    Unsupported,
    /// A repetition would fail in the same way.
    Refused,
    /// A repetition may succeed: no answer, or a service that is overloaded.
    Passing,
}

impl Failure {
    /// Classifies an error.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::NotFound { .. } => Self::Missing,
            Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => Self::Exists,
            Error::NotImplemented { .. } | Error::NotSupported { .. } => Self::Unsupported,
            Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::InvalidPath { .. }
            | Error::UnknownConfigurationKey { .. } => Self::Refused,
            Error::Generic { source, .. } if source.downcast_ref::<std::io::Error>().is_some() => Self::Refused,
            error => match status(&error.to_string()) {
                Some(501) => Self::Unsupported,
                Some(408 | 425 | 429 | 500..) | None => Self::Passing,
                Some(_) => Self::Refused,
            },
        }
    }
}

/// Returns the HTTP status that an error names.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// Returns the explanation of an error: one line without keys and without the addresses of signed requests.
pub(super) fn words(error: &Error) -> String {
    let secrets = SECRETS.iter().filter_map(|name| std::env::var(name).ok());
    words_without(&whole(error), &secrets.collect::<Vec<_>>())
}

/// Joins the words of an error with those of its causes that it does not repeat.
fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

fn words_without(text: &str, secrets: &[String]) -> String {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0.trim())
    };
    let mut said = match (status(text), element("Code"), element("Message")) {
        (Some(status), Some(code), message) => {
            format!("the answer was {status} {code}{}", message.map_or_else(String::new, |said| format!(" ({said})")))
        }
        (Some(status), None, _) => format!("the answer was {status}"),
        // The beginning names the request, which the message does already.
        (None, _, _) => text.split_once(" - ").map_or(text, |(_, cause)| cause).to_owned(),
    };
    for secret in secrets.iter().filter(|secret| secret.len() > 3) {
        said = said.replace(secret.as_str(), "(hidden)");
    }
    // Queries of signed addresses have signatures.
    let said: Vec<_> =
        said.split_whitespace().map(|word| word.split_once('?').map_or(word, |(word, _)| word)).collect();
    excerpt(&said.join(" "), WORDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[test]
    fn an_answer_is_repeated_only_if_that_may_help() {
        let of = |status: u16| Failure::of(&generic(&format!("Server returned non-2xx status code: {status}: x")));
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(of(status), Failure::Passing, "{status}");
        }
        for status in [301, 400, 405, 411, 413] {
            assert_eq!(of(status), Failure::Refused, "{status}");
        }
        assert_eq!(of(501), Failure::Unsupported);
        assert_eq!(Failure::of(&generic("connection reset")), Failure::Passing);
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Failure::of(&Error::Generic { store: "local", source: Box::new(full) }), Failure::Refused);
    }

    #[test]
    fn what_is_shown_has_no_key_and_no_signature() {
        let body = "Error performing PUT https://a.example/c/1.png?sv=1&sig=hunter2 in 1ms - Server returned non-2xx status code: \
             403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code><Message>check hunter2 and key</Message>\
             <AWSAccessKeyId>hunter2</AWSAccessKeyId></Error>";
        let secrets = ["hunter2".to_owned(), "key".to_owned(), String::new()];
        assert_eq!(words_without(body, &secrets), "the answer was 403 SignatureDoesNotMatch (check (hidden) and key)");
        let broken = "error sending request for url (https://a.example/c/1.png?sv=1&sig=other): reset";
        assert_eq!(words_without(broken, &[]), "error sending request for url (https://a.example/c/1.png reset");
        let refused = "Generic S3 error: Error performing PUT http://a/b in 1ms - HTTP error: Connection refused";
        assert_eq!(words_without(refused, &[]), "HTTP error: Connection refused");
        assert_eq!(words_without("status code: 503 Slow Down: ", &[]), "the answer was 503");
    }
}
