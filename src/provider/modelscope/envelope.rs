//! Parser of error envelopes that separates those of the API from those of gateways and frameworks.

use serde_json::Value;

/// Longest stored error message, in characters. The API may send a message of any length, and each job stores its message.
const MESSAGE_CHARS_MAX: usize = 1000;

/// Error envelope in a JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorEnvelope {
    /// Error code; `None` if absent or unreadable.
    pub code: Option<u16>,
    /// Error message; empty if absent or unreadable.
    pub message: String,
    /// True if the envelope has the form that only the API itself produces.
    pub is_own: bool,
}

impl ErrorEnvelope {
    /// Returns the error in the body of a response with this status; `None` if the body holds no error.
    ///
    /// The API's own form is an object `errors` with a `message`. It also has a `request_id` next to `errors`, or the status as its `code`.
    /// The chat API sends an object `error` with a `message`, a `code` or `http_code`, and a `request_id` next to `error`. Gateways and
    /// frameworks send a bare `message`, or an `error` without a `request_id`. Others send `errors` as a list or as a map of fields.
    pub(crate) fn read(status: u16, body: &Value) -> Option<Self> {
        let names = ["errors", "error"].into_iter();
        let (name, errors) =
            names.filter_map(|name| Some((name, body.get(name)?))).find(|(_, errors)| !says_nothing(errors))?;
        let code = errors.get("code").or_else(|| errors.get("http_code")).and_then(number);
        let words = errors.get("message").and_then(Value::as_str).filter(|words| !words.trim().is_empty());
        let has_request_id =
            body.get("request_id").and_then(Value::as_str).is_some_and(|request_id| !request_id.trim().is_empty());
        let is_own = words.is_some()
            && match name {
                "errors" => has_request_id || code == Some(status),
                _ => has_request_id && code.is_some(),
            };
        let message = words.or_else(|| errors.as_str()).unwrap_or_default();
        Some(Self { code, message: message.chars().take(MESSAGE_CHARS_MAX).collect(), is_own })
    }
}

/// Returns true for an empty error field. Some services send this field with every success.
fn says_nothing(errors: &Value) -> bool {
    match errors {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Parses a whole number, written as a JSON number or as a string.
fn number(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, text: &str) -> Option<ErrorEnvelope> {
        ErrorEnvelope::read(status, &serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_envelopes_of_the_api_are_its_own() {
        for (status, text, code) in [
            (400, r#"{"errors":{"code":400,"message":"m"},"request_id":"r"}"#, Some(400)),
            (400, r#"{"errors":{"message":"m"},"request_id":"r"}"#, None),
            (400, r#"{"errors":{"code":1008,"message":"m"},"request_id":"r"}"#, Some(1008)),
            (400, r#"{"errors":{"code":"400","message":"m"}}"#, Some(400)),
            (429, r#"{"error":{"http_code":"429","message":"m","type":"t"},"request_id":"r"}"#, Some(429)),
            (429, r#"{"errors":null,"error":{"code":"429","message":"m"},"request_id":"r"}"#, Some(429)),
        ] {
            assert_eq!(read(status, text), Some(ErrorEnvelope { code, message: "m".into(), is_own: true }), "{text}");
        }
    }

    #[test]
    fn those_of_others_are_not() {
        for text in [
            r#"{"errors":{"message":"no Route matched"}}"#,
            r#"{"errors":{"message":"m"},"request_id":""}"#,
            r#"{"errors":{"message":"m"},"request_id":7}"#,
            r#"{"errors":{"code":404,"message":"m"}}"#,
            r#"{"errors":{"code":400,"message":" "},"request_id":"r"}"#,
            r#"{"errors":{"code":400},"request_id":"r"}"#,
            r#"{"errors":{"Prompt":["is required"]},"status":400,"request_id":"r"}"#,
            r#"{"errors":[{"code":400,"message":"m"}],"request_id":"r"}"#,
            r#"{"errors":"m","request_id":"r"}"#,
            r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}"#,
            r#"{"error":{"message":"m","type":"invalid_request_error"},"request_id":"r"}"#,
            r#"{"error":"Bad Request","status":400,"request_id":"r"}"#,
        ] {
            assert!(read(400, text).is_some_and(|envelope| !envelope.is_own), "{text}");
        }
        for text in [
            r#"{"message":"m","request_id":"r"}"#,
            r#"{"detail":"Not Found"}"#,
            r#"{"errors":{},"error":""}"#,
            r#"{"errors":[],"request_id":"r"}"#,
            "[]",
        ] {
            assert_eq!(read(400, text), None, "{text}");
        }
    }

    #[test]
    fn words_are_kept_within_bounds() {
        let text = format!(r#"{{"errors":{{"code":401,"message":"{}"}}}}"#, "猫".repeat(300_000));
        assert_eq!(read(401, &text).unwrap().message.chars().count(), MESSAGE_CHARS_MAX);
        assert_eq!(read(200, r#"{"error":"plain"}"#).unwrap().message, "plain");
    }
}
