//! Tests of the body of a submission.

use super::*;
use crate::model::request::{Json, Lora, Request};
use crate::provider::described::request::submit_body;

fn sent(request: &Request) -> Value {
    submit_body(api(), request, "the-submission").unwrap()
}

#[test]
fn only_what_was_given_is_sent() {
    let request = Request { prompt: "一只猫".into(), model: "a/b".into(), ..Request::default() };
    assert_eq!(sent(&request), json!({"prompt": "一只猫", "model": "a/b"}));
}

#[test]
fn every_field_has_its_name() {
    let request = Request {
        provider: Some("fal".into()),
        prompt: "p".into(),
        model: "a/b".into(),
        negative_prompt: Some("n".into()),
        size: "64x32".parse().ok(),
        seed: Some(1),
        steps: Some(30),
        guidance: Some(3.5),
        image_url: vec!["u".into()],
        loras: vec![Lora { repo: "x/y".into(), weight: None }],
        params: [("style".to_owned(), Json("{\"a\":1}".into()))].into(),
    };
    let expected = json!({
        "prompt": "p", "model": "a/b", "negative_prompt": "n", "size": "64x32", "seed": 1, "steps": 30,
        "guidance": 3.5, "image_url": "u", "loras": "x/y", "style": {"a": 1},
    });
    assert_eq!(sent(&request), expected);
}

#[test]
fn several_sources_and_adapters_are_a_list_and_a_map() {
    let lora = |repo: &str, weight| Lora { repo: repo.into(), weight: Some(weight) };
    let request = Request {
        image_url: vec!["u".into(), "v".into()],
        loras: vec![lora("x", 0.25), lora("y", 0.75)],
        ..Request::default()
    };
    let body = sent(&request);
    assert_eq!((&body["image_url"], &body["loras"]), (&json!(["u", "v"]), &json!({"x": 0.25, "y": 0.75})));
}

/// Goal: a parameter with the name of a field is never sent in its place. Nothing is sent then.
#[test]
fn a_free_parameter_cannot_replace_the_prompt() {
    let request = Request {
        prompt: "p".into(),
        params: [("prompt".to_owned(), Json("\"other\"".into()))].into(),
        ..Request::default()
    };
    let fault = submit_body(api(), &request, "the-submission").unwrap_err();
    assert!(fault.kind == FaultKind::InvalidRequest && fault.message.contains("prompt would replace"), "{fault}");
}

/// Goal: the bytes of a body are those that were always sent: names in the order of the alphabet.
#[test]
fn the_bytes_of_a_body_do_not_change() {
    let request = Request {
        prompt: "一只猫".into(),
        model: "a/b".into(),
        size: "64x32".parse().ok(),
        seed: Some(u64::MAX),
        guidance: Some(3.0),
        params: [("style".to_owned(), Json("[1.50]".into()))].into(),
        ..Request::default()
    };
    let text = submit_body(api(), &request, "the-submission").unwrap().to_string();
    let expected =
        r#"{"guidance":3.0,"model":"a/b","prompt":"一只猫","seed":18446744073709551615,"size":"64x32","style":[1.5]}"#;
    assert_eq!(text, expected);
}
