//! Reader of an answer: its JSON, however damaged, and its error envelope.

use serde_json::{Deserializer, Value};

use crate::description::answers::OwnForm;
use crate::description::format::Description;
use crate::description::pointer::{Pointer, first_said, says, scalar};
use crate::description::words::StatusMark;
use crate::provider::http::api_response::ApiResponse;

/// Longest stored error message, in characters. The API may send a message of any length, and each job stores its message.
const MESSAGE_CHARS_MAX: usize = 1000;

/// Number of JSON texts in one body that are read. A gateway may join several answers.
const TEXTS_MAX: usize = 8;

/// JSON of an answer.
#[derive(Debug, Default)]
pub(crate) struct JsonReading {
    /// Complete JSON texts in the body, and the readable beginning of an incomplete last one.
    texts: Vec<Value>,
    /// True if the body is exactly one complete JSON text.
    is_whole: bool,
}

/// Error envelope of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Message; empty if there is none.
    pub message: String,
    /// Code or type; empty if there is none.
    pub code: String,
    /// HTTP status that the error names; `None` if it names none.
    pub status: Option<u16>,
    /// True if the API itself surely wrote it.
    pub is_own: bool,
}

impl JsonReading {
    /// Reads the JSON of an answer.
    pub(crate) fn of(answer: &ApiResponse) -> Self {
        let mut texts = Vec::new();
        let mut stream = Deserializer::from_slice(&answer.body).into_iter::<Value>();
        let mut is_broken = false;
        let mut end = 0;
        while texts.len() < TEXTS_MAX {
            match stream.next() {
                Some(Ok(value)) => texts.push(value),
                Some(Err(_)) => {
                    is_broken = true;
                    break;
                }
                None => break,
            }
            end = stream.byte_offset();
        }
        let is_structured = |value: &Value| value.is_object() || value.is_array();
        let is_whole = !is_broken && answer.cut.is_none() && texts.len() == 1 && is_structured(&texts[0]);
        if is_broken {
            texts.extend(beginning(&answer.body[end..]));
        }
        Self { texts, is_whole }
    }

    /// Returns the body if it is exactly one complete JSON text.
    pub(crate) fn whole(&self) -> Option<&Value> {
        self.texts.first().filter(|_| self.is_whole)
    }

    /// Returns everything in the body that can be read, complete or not.
    pub(crate) fn texts(&self) -> &[Value] {
        &self.texts
    }

    /// Returns the error envelope of an answer with this HTTP status.
    pub(crate) fn envelope(&self, api: &Description, http_status: u16) -> Envelope {
        let Some(body) = self.whole() else { return Envelope::default() };
        let errors = &api.errors;
        let told = |pointers: &[Pointer]| first_said(pointers, body).map(words).unwrap_or_default();
        let (message, code) = (told(&errors.message), told(&errors.code));
        let status = first_said(&errors.status, body).and_then(scalar).and_then(|text| text.trim().parse().ok());
        let has_own = errors.own.iter().all(|pointer| pointer.all(body).into_iter().any(says));
        let has_form =
            errors.forms.is_empty() || errors.forms.iter().any(|form| has_form(form, body, status, http_status));
        let is_own = has_own && has_form && !(message.is_empty() && code.is_empty());
        Envelope { message, code, status, is_own }
    }

    /// Returns the first scalar to which these pointers lead in a complete body; a blank text only if there is no other.
    pub(crate) fn word(&self, pointers: &[Pointer]) -> Option<String> {
        let body = self.whole()?;
        let mut words = pointers.iter().flat_map(|pointer| pointer.all(body)).filter_map(scalar);
        let first = words.next()?;
        if first.trim().is_empty() { words.find(|word| !word.trim().is_empty()).or(Some(first)) } else { Some(first) }
    }
}

/// Returns whether a body has a form that only the API itself sends.
fn has_form(form: &OwnForm, body: &Value, status: Option<u16>, http_status: u16) -> bool {
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let has_status = match form.status {
        None => true,
        Some(StatusMark::Given) => status.is_some(),
        Some(StatusMark::Same) => status == Some(http_status),
    };
    has_status
        && form.texts.iter().all(|pointer| pointer.all(body).into_iter().any(is_text))
        && form.empty.iter().all(|pointer| !pointer.all(body).into_iter().any(says))
}

/// Returns a value as a message: a text unchanged, everything else as JSON, and nothing beyond a thousand characters.
pub(crate) fn words(value: &Value) -> String {
    let text = scalar(value).unwrap_or_else(|| value.to_string());
    text.trim().chars().take(MESSAGE_CHARS_MAX).collect()
}

/// Returns what is complete in an incomplete JSON text: every list and map is closed after its last complete value.
fn beginning(body: &[u8]) -> Option<Value> {
    let mut open = Vec::new();
    // End of the last complete value, and the brackets that are open there.
    let mut kept: Option<(usize, Vec<u8>)> = None;
    let (mut is_text, mut is_escaped, mut is_value) = (false, false, false);
    for (i, byte) in body.iter().enumerate() {
        if is_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => {
                    is_text = false;
                    if is_value {
                        kept = Some((i + 1, open.clone()));
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => is_text = true,
            b'{' | b'[' if open.len() >= DEPTH_MAX => break,
            b'{' => {
                open.push(b'}');
                is_value = false;
            }
            b'[' => {
                open.push(b']');
                is_value = true;
            }
            b'}' | b']' => {
                if open.pop() != Some(*byte) {
                    break;
                }
                kept = Some((i + 1, open.clone()));
            }
            b':' => is_value = true,
            b',' => {
                kept = Some((i, open.clone()));
                is_value = open.last() == Some(&b']');
            }
            _ => {}
        }
    }
    let (end, open) = kept?;
    let text: Vec<u8> = body[..end].iter().copied().chain(open.into_iter().rev()).collect();
    serde_json::from_slice(&text).ok()
}

/// Depth to which an incomplete JSON text is read.
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(body: &str) -> JsonReading {
        JsonReading::of(&ApiResponse { status: 200, body: body.into(), ..ApiResponse::default() })
    }

    /// Goal: only the API's own form counts, and the forms are those of the description.
    #[test]
    fn a_form_of_an_error_is_told_from_those_of_others() {
        let api: Description = serde_yaml::from_str(
            "errors: {message: [/errors/message, /error/message], status: [/errors/code, /error/code], forms: [\
             {texts: [/errors/message, /request_id]}, {texts: /errors/message, status: same}, \
             {texts: [/error/message, /request_id], empty: /errors, status: given}]}",
        )
        .unwrap();
        let is_own = |body: &str| reading(body).envelope(&api, 400).is_own;
        for body in [
            r#"{"errors":{"message":"m"},"request_id":"r"}"#,
            r#"{"errors":{"code":"400","message":"m"}}"#,
            r#"{"errors":null,"error":{"code":7,"message":"m"},"request_id":"r"}"#,
        ] {
            assert!(is_own(body), "{body}");
        }
        for body in [
            r#"{"errors":{"message":"m"},"request_id":" "}"#,
            r#"{"errors":{"message":"m"},"request_id":7}"#,
            r#"{"errors":{"code":404,"message":"m"}}"#,
            r#"{"errors":{"code":400,"message":7},"request_id":"r"}"#,
            r#"{"errors":["m"],"error":{"code":7,"message":"m"},"request_id":"r"}"#,
            r#"{"error":{"code":"x","message":"m"},"request_id":"r"}"#,
        ] {
            assert!(!is_own(body), "{body}");
        }
        let envelope = reading(r#"{"errors":{"code":"422","message":"m"}}"#).envelope(&api, 200);
        assert_eq!((envelope.status, envelope.message.as_str(), envelope.code.as_str()), (Some(422), "m", ""));
    }

    #[test]
    fn a_blank_word_is_one_only_if_there_is_no_other() {
        let word = |body: &str| reading(body).word(&["/a".parse().unwrap(), "/b".parse().unwrap()]);
        assert_eq!(word(r#"{"a":"","b":"done"}"#).as_deref(), Some("done"));
        assert_eq!((word(r#"{"a":""}"#).as_deref(), word(r#"{"a":null}"#)), (Some(""), None));
    }

    #[test]
    fn a_deep_body_is_read_within_bounds() {
        let deep = "[".repeat(1_000_000);
        assert!(reading(&deep).texts().is_empty());
        assert!(reading(&format!("{{\"a\":{deep}")).whole().is_none());
    }

    #[test]
    fn only_a_whole_body_is_whole() {
        assert!(reading(r#"{"a":1}"#).whole().is_some() && reading("[1]").whole().is_some());
        for body in [r#"{"a":1}{"b":1}"#, r#"{"a":1} x"#, r#"{"a":1"#, "1", "\"a\"", "", "null"] {
            assert!(reading(body).whole().is_none(), "{body}");
        }
        let cut = ApiResponse { body: b"{}".to_vec(), cut: Some("timed out".into()), ..ApiResponse::default() };
        assert!(JsonReading::of(&cut).whole().is_none());
    }
}
