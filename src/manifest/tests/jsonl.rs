//! Tests of JSON Lines manifests.

use proptest::prelude::*;

use super::*;
use crate::model::request::{Json, Lora};

fn jsonl(text: &str) -> Result<Told, Vec<String>> {
    open_with("p.jsonl", text.as_bytes(), |_| ())
}

#[test]
fn every_field_is_read() {
    let told = jsonl(
        r#"{"prompt": "a cat", "Negative Prompt": "", "model": "a/b", "size": "1024x768", "seed": 7, "steps": 20.0, "guidance": 4,
            "image_url": ["https://a", "https://b"], "loras": {"a/b": 0.75, "c/d": 0.25}, "id": 42, "n": null,
            "params": {"eta": 0.5, "tiles": [1, {"x": null}]}, "meta": {"z": "text", "real": 1.50}}"#
            .replace('\n', " ")
            .as_str(),
    )
    .expect("the object is good");
    let request = Request {
        provider: None,
        prompt: "a cat".into(),
        model: "a/b".into(),
        negative_prompt: None,
        size: "1024x768".parse().ok(),
        seed: Some(7),
        steps: Some(20),
        guidance: Some(4.0),
        image_url: vec!["https://a".into(), "https://b".into()],
        loras: vec![Lora { repo: "a/b".into(), weight: Some(0.75) }, Lora { repo: "c/d".into(), weight: Some(0.25) }],
        params: [("eta".to_owned(), Json("0.5".into())), ("tiles".to_owned(), Json("[1,{\"x\":null}]".into()))].into(),
    };
    assert_eq!(told.drafts[0].request, request);
    assert_eq!(told.drafts[0].label.as_deref(), Some("42"));
    assert_eq!(told.columns, ["z", "real"]);
    assert_eq!(told.warnings, [""; 0]);
}

#[test]
fn what_is_unknown_is_carried_through_as_it_is_written() {
    let told = jsonl(
        "{\"tag\": \"two_object\", \"include\": [{\"class\": \"bench\", \"count\": 1}], \"prompt\": \"a photo of a bench\"}\r\n\n\
         \"just a prompt\"\n\
         {\"prompt\": \"b\", \"score\": 1.0, \"big\": 123456789012345678901234567890, \"on\": true, \"none\": null, \"\": \"x\", \
         \"text\\u0020\": \"\\u732b\\n\", \"list\": [ 1.50, \"a b\" ] }",
    )
    .expect("the lines are good");
    assert_eq!(told.columns, ["tag", "include", "score", "big", "on", "none", "column_6", "text", "list"]);
    let texts = |i: usize| told.drafts[i].extras.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>();
    assert_eq!(texts(0), ["two_object", "[{\"class\":\"bench\",\"count\":1}]"]);
    assert_eq!(told.drafts[1].request.prompt, "just a prompt");
    assert_eq!(texts(2), ["1.0", "123456789012345678901234567890", "true", "", "x", "猫\n", "[1.50,\"a b\"]"]);
    assert_eq!(told.warnings, [""; 0]);
}

#[test]
fn the_keys_of_prompt_and_id_can_be_named() {
    let text = b"{\"Caption\": \"a cat\", \"prompt\": \"not this\", \"key\": 7, \"id\": \"x\"}\n";
    let told = open_with("p.ndjson", text, |source| {
        source.prompt_column = Some("caption".into());
        source.id_column = Some("key".into());
    })
    .expect("the line is good");
    assert_eq!((told.drafts[0].request.prompt.as_str(), told.drafts[0].label.as_deref()), ("a cat", Some("7")));
    assert_eq!(told.columns, ["prompt", "id"]);
    let told = open_with("p.jsonl", b"{\"a\": 1}", |source| source.prompt_column = Some("b".into()));
    let mistake = "p:1: this object has no `b`, which --prompt-col names; describe the image, or remove the line";
    assert_eq!(told, Err(vec![mistake.to_owned()]));
}

#[test]
fn lines_that_cannot_be_used_are_all_told() {
    assert_mistakes(
        jsonl,
        &[
            (
                "\n \n",
                &[
                    "p: the file is empty; write one object per line, for example {\"prompt\": \"a golden cat in the snow\"}",
                ],
            ),
            (
                "{\"prompt\": \"a\", \"size\": \"5\"}\n{\"prompt\": null}\n{\"prompt\": 7}\n{\"caption\": \"d\"}\n{}\n7\n{'prompt': 'e'}\n\
                 {\"prompt\": \"f\"} {}\n{\"prompt\": \"g\"\n[1]\na cat\n{\"prompt\": \"h\",}\n",
                &[
                    "p:1: `size` is `5`, not WIDTHxHEIGHT; \
                     write width and height in pixels, from 64x64 to 2048x2048, for example 1024x768",
                    "p:2: `prompt` is null, not text; write the text, in quotes if it is meant to be the word null",
                    "p:3: `prompt` is the number 7, not text; put it in quotes: prompt: \"7\"",
                    "p:4: this object has no `prompt`; if it is `caption`, run with --prompt-col caption",
                    "p:5: this object has no `prompt`; describe the image, or name its key with --prompt-col NAME",
                    "p:6: this line is the number 7, not an object; \
                     write one object per line, for example {\"prompt\": \"a golden cat in the snow\"}",
                    "p:7: invalid JSON: key must be a string; put names and strings in double quotes",
                    "p:8: invalid JSON: trailing characters; write one object per line, and nothing after it",
                    "p:9: the line ends before its object does; write each object on one line: jq -c . OLD > NEW",
                    "p:10: this line is a list, not an object; write one object per line: jq -c '.[]' OLD > NEW; a file that is one JSON list is read with --format json",
                    "p:11: this line is not a JSON object: expected value; \
                     write one object per line, for example {\"prompt\": \"a golden cat in the snow\"}",
                    "p:12: invalid JSON: trailing comma; check the quotes and commas of this line",
                ],
            ),
            (
                "[\n  {\"prompt\": \"a\"},\n  {\"prompt\": \"b\"}\n]\n",
                &[
                    "p:1: this line is a list, not an object; write one object per line: jq -c '.[]' OLD > NEW; a file that is one JSON list is read with --format json",
                ],
            ),
            (
                "{\n  \"prompt\": \"a\"\n}\n",
                &["p:1: the line ends before its object does; write each object on one line: jq -c . OLD > NEW"],
            ),
            (
                "{\"prompt\": \"a\", \"meta\": [1], \"expand\": 7}\n{\"prompt\": \"a\", \"seed\": 99999999999999999999}\n{\"prompt\": \"a\", \"params\": {\"x\": 1, \"x\": 2}}\n",
                &[
                    "p:2: `seed` is 99999999999999999999, outside 0 to 2147483647; write a whole number from 0 to 2147483647, or `random` \
                     to have one drawn and recorded, or leave it out, or add --fold-seeds for a remainder",
                    "p:3: `params`: `x` is given twice; write another value",
                ],
            ),
        ],
    );
}

#[test]
fn keys_that_are_given_twice_are_refused() {
    let twice = |name: &str| vec![format!("p:1: `{name}` is given twice; keep one of them")];
    for (line, name) in [
        (r#"{"prompt": "a", "prompt": "b"}"#, "prompt"),
        (r#"{"prompt": "a", "Prompt": "b"}"#, "prompt"),
        (r#"{"prompt": "a", "x": 1, "x": 2}"#, "x"),
        (r#"{"prompt": "a", "x": 1, "x ": 2}"#, "x"),
        (r#"{"prompt": "a", "x": 1, "meta": {"x": 2}}"#, "x"),
        (r#"{"prompt": "a", "meta": {"x": 2, "x": 3}}"#, "x"),
    ] {
        assert_eq!(jsonl(line), Err(twice(name)), "{line}");
    }
}

#[test]
fn keys_that_were_probably_meant_to_be_sent_are_warned_of_once() {
    let told =
        jsonl("{\"prompt\": \"a\", \"step\": 1}\n{\"prompt\": \"b\", \"step\": 2}\n").expect("the lines are good");
    assert_eq!(
        told.warnings,
        [
            "p:1: the key `step` is carried through and not sent; add --map step=steps if it is meant so, or --carry step if it is not"
        ]
    );
}

/// Goal: the span covers the value. Method: cut the line at the span.
#[test]
fn a_mistake_knows_its_place() {
    let line = "{\"prompt\": \"猫\", \"seed\": -12 , \"n\": \"x\"}";
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("p.jsonl");
    fs::write(&path, line).expect("a file can be written there");
    let error = open(Source { path, default_model: Some(MODEL.into()), ..Source::default() }).expect_err("it is wrong");
    let told: Vec<&str> = error
        .mistakes()
        .iter()
        .map(|mistake| match mistake.place {
            Location::Span(Span { begin, end, .. }) => &line[begin as usize..end as usize],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["-12", "\"x\""]);
}

#[test]
fn an_object_is_limited() {
    let keys = (0..10_001).map(|i| format!(", \"k{i}\": 1")).collect::<Vec<_>>().concat();
    let told = jsonl(&format!("{{\"prompt\": \"a\"{keys}}}")).expect_err("it has too many keys");
    assert!(told[0].starts_with("p:1: invalid JSON: an object has more than 10000 keys"), "{told:?}");
    let deep = format!("{{\"prompt\": \"a\", \"x\": {}}}", "[".repeat(100_000));
    assert!(jsonl(&deep).is_err());
}

proptest! {
    /// Goal: output of `serde_json` is read without any change, for all contents.
    #[test]
    fn texts_that_serde_json_writes_are_read_char_for_char(texts in prop::collection::vec("\\PC{0,20}", 1..10)) {
        let lines: String = texts
            .iter()
            .map(|text| serde_json::json!({"prompt": format!("a{text}"), "note": text}).to_string() + "\n")
            .collect();
        let told = verbatim("p.jsonl", lines.as_bytes()).map_err(|mistakes| TestCaseError::fail(format!("{mistakes:?}")))?;
        for (draft, text) in told.drafts.iter().zip(&texts) {
            prop_assert_eq!(&draft.request.prompt, &format!("a{text}"));
            prop_assert_eq!(&draft.extras[0].1, text);
        }
    }
}

/// Goal: each object says by itself what its keys mean. Method: the key that the option names exactly is present, absent and present.
#[test]
fn an_exact_key_wins_in_its_own_object_only() {
    let text = "{\"Text\": \"a\", \"text\": \"b\"}\n{\"text\": \"c\"}\n{\"Text\": \"d\", \"text\": \"e\"}\n";
    let told = open_with("p.jsonl", text.as_bytes(), |source| source.prompt_column = Some("Text".into()));
    let told = told.expect("each object has a prompt");
    assert_eq!(told.drafts.iter().map(|draft| draft.request.prompt.as_str()).collect::<Vec<_>>(), ["a", "c", "d"]);
    assert_eq!(told.columns, ["text"]);
}
