//! Tests that separate the errors of the API from those of gateways and frameworks.

use super::*;
use crate::provider::described::reading::{Envelope, JsonReading};

/// Longest stored error message, in characters.
const MESSAGE_CHARS_MAX: usize = 1000;

fn read(status: u16, text: &str) -> Envelope {
    JsonReading::of(&answer(status, text)).envelope(api(), status)
}

#[test]
fn the_envelopes_of_the_api_are_its_own() {
    for (http_status, text, status) in [
        (400, r#"{"errors":{"code":400,"message":"m"},"request_id":"r"}"#, Some(400)),
        (400, r#"{"errors":{"message":"m"},"request_id":"r"}"#, None),
        (400, r#"{"errors":{"code":1008,"message":"m"},"request_id":"r"}"#, Some(1008)),
        (400, r#"{"errors":{"code":"400","message":"m"}}"#, Some(400)),
        (429, r#"{"error":{"http_code":"429","message":"m","type":"t"},"request_id":"r"}"#, Some(429)),
        (429, r#"{"errors":null,"error":{"code":"429","message":"m"},"request_id":"r"}"#, Some(429)),
    ] {
        let expected = Envelope { status, message: "m".into(), code: String::new(), is_own: true };
        assert_eq!(read(http_status, text), expected, "{text}");
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
        let envelope = read(400, text);
        assert!(!envelope.is_own && !envelope.message.is_empty(), "{text}: {envelope:?}");
    }
    for text in [
        r#"{"message":"m","request_id":"r"}"#,
        r#"{"detail":"Not Found"}"#,
        r#"{"errors":{},"error":""}"#,
        r#"{"errors":[],"request_id":"r"}"#,
        "[]",
    ] {
        assert_eq!(read(400, text), Envelope::default(), "{text}");
    }
}

#[test]
fn words_are_kept_within_bounds() {
    let text = format!(r#"{{"errors":{{"code":401,"message":"{}"}}}}"#, "猫".repeat(300_000));
    assert_eq!(read(401, &text).message.chars().count(), MESSAGE_CHARS_MAX);
    assert_eq!(read(200, r#"{"error":"plain"}"#).message, "plain");
}
