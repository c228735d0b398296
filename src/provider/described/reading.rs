//! Reader of an answer: its JSON, however damaged, its error envelope, and the ids in it.

use serde_json::{Deserializer, Value};

use crate::description::format::Description;
use crate::description::list::List;
use crate::description::pointer::{Pointer, first_said, says, scalar};
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
    /// True if the API itself surely wrote it.
    pub is_own: bool,
}

/// Result of the search for an id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IdSearch {
    /// No id.
    Nothing,
    /// Exactly one id.
    One(String),
    /// Value that is no id, or ids that contradict each other.
    Odd,
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

    /// Returns the error envelope.
    pub(crate) fn envelope(&self, api: &Description) -> Envelope {
        let Some(body) = self.whole() else { return Envelope::default() };
        let errors = &api.errors;
        let told = |pointers: &[Pointer]| first_said(pointers, body).map(words).unwrap_or_default();
        let (message, code) = (told(&errors.message), told(&errors.code));
        let has_own = errors.own.iter().all(|pointer| pointer.all(body).into_iter().any(says));
        let is_own = has_own && !(message.is_empty() && code.is_empty());
        Envelope { message, code, is_own }
    }

    /// Finds the id to which these pointers lead.
    pub(crate) fn id(&self, pointers: &List<Pointer>) -> IdSearch {
        let mut ids: Vec<Option<String>> = Vec::new();
        for text in &self.texts {
            if let Some(value) = first_said(pointers, text) {
                ids.push(id_text(value));
            }
        }
        ids.dedup();
        match ids.as_mut_slice() {
            [] => IdSearch::Nothing,
            [Some(id)] => IdSearch::One(std::mem::take(id)),
            _ => IdSearch::Odd,
        }
    }

    /// Returns the first scalar to which these pointers lead in a complete body.
    pub(crate) fn word(&self, pointers: &[Pointer]) -> Option<String> {
        let body = self.whole()?;
        pointers.iter().flat_map(|pointer| pointer.all(body)).find_map(scalar).filter(|word| !word.trim().is_empty())
    }
}

/// Returns a text or a whole number as an id. A number with a fraction may have been rounded.
fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
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

    fn id(body: &str) -> IdSearch {
        reading(body).id(&List(vec!["/output/task_id".parse().unwrap(), "/id".parse().unwrap()]))
    }

    #[test]
    fn an_id_is_found_wherever_it_can_be_read() {
        for body in [
            r#"{"id":"a"}"#,
            r#"{"x":[{"y":"}"}],"id":"a"}"#,
            r#"{"output":{"task_id":"a"},"id":"other"}"#,
            r#"{"id":"a","rest":"cut in the mid"#,
            r#"{"id":"a","rest":{"x":[1,2"#,
            r#"{"id":"a""#,
            r#"{"id":"a"}{"id":"a"}"#,
            r#"{"id":"a"} <html>"#,
            r#"{"output":{"task_id":"a","task_status":"PEN"#,
        ] {
            assert_eq!(id(body), IdSearch::One("a".into()), "{body}");
        }
        assert_eq!(id(r#"{"id":507}"#), IdSearch::One("507".into()));
    }

    #[test]
    fn what_is_no_id_or_contradicts_itself_is_odd() {
        for body in [r#"{"id":1.5}"#, r#"{"id":["a"]}"#, r#"{"id":true}"#, r#"{"id":"a"}{"id":"b"}"#] {
            assert_eq!(id(body), IdSearch::Odd, "{body}");
        }
        for body in [
            "",
            "{}",
            r#"{"id":""}"#,
            r#"{"id":null}"#,
            r#"{"id":"a"#,
            r#"{"id":50"#,
            r#""id""#,
            "<html>id</html>",
            r#"{"prompt":"{\"id\":\"a\"}"}"#,
            "]",
            "{]",
            r#"{"id"#,
        ] {
            assert_eq!(id(body), IdSearch::Nothing, "{body}");
        }
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
