//! Tests of complete YAML manifests.

use super::*;
use crate::model::request::{Json, Lora};

#[test]
fn all_three_shapes_are_read() {
    for text in [
        "- a cat\n- a dog\n",
        "- prompt: a cat\n- {prompt: a dog}\n",
        "- a cat\n- prompt: a dog\n",
        "prompts:\n- a cat\n- prompt: a dog\n",
        "prompts:\n  - a cat\n  - a dog\ndefaults:\n  n: 1\n",
        "{defaults: {}, prompts: [a cat, {prompt: a dog}]}",
        "[\"a cat\", 'a dog']",
        "---\n- a cat\n- a dog\n...\n",
        "%YAML 1.2\n---\n- a cat\n- a dog\n",
        "\u{feff}- a cat\r\n- a dog\r\n",
        "# first\n\n- a cat   # a comment\n\n- a dog # another",
    ] {
        assert_eq!(prompts(yaml(text)), ["a cat", "a dog"], "{text:?}");
    }
}

#[test]
fn every_way_to_write_a_text_is_read() {
    for (text, prompt) in [
        ("- |\n  two\n  lines\n", "two\nlines\n"),
        ("- |-\n  two\n  lines\n", "two\nlines"),
        ("- >-\n  one\n  line\n", "one line"),
        ("- one\n  line\n", "one line"),
        ("- \"quoted: yes # no comment\"\n", "quoted: yes # no comment"),
        ("- 'it''s'\n", "it's"),
        ("- \"\\u732b \\t\"\n", "猫 \t"),
        ("- cat#1\n", "cat#1"),
        ("- ' kept '\n", " kept "),
        ("- \"null\"\n", "null"),
        ("- \"42\"\n", "42"),
        ("- !!str 42\n", "42"),
        ("- 007\n", "007"),
        ("- 2026-01-02\n", "2026-01-02"),
        ("- 一只金色的猫，水墨画\n", "一只金色的猫，水墨画"),
    ] {
        assert_eq!(prompts(yaml(text)), [prompt], "{text:?}");
    }
}

#[test]
fn every_field_is_read() {
    let told = yaml(
        "- prompt: a cat\n  negative_prompt: ''\n  model: a/b\n  size: 1024x768\n  seed: 7\n  steps: 20\n  guidance: 4\n  \
         image_url: [https://a, https://b]\n  loras: {c/d: 0.25, a/b: 0.75}\n  id: 42\n  n: 1\n  \
         params: {eta: 0.5, tiles: [1, {x: null}], on: true}\n  \
         meta: {z: text, 1: 2, list: [1, 二], map: {b: 1.5, a: ~}, none: ~, on: true, real: 1.50}\n",
    )
    .expect("the manifest is good");
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
        params: [
            ("eta".to_owned(), Json("0.5".into())),
            ("on".to_owned(), Json("true".into())),
            ("tiles".to_owned(), Json("[1,{\"x\":null}]".into())),
        ]
        .into(),
    };
    assert_eq!(told.drafts.len(), 1);
    assert_eq!(told.drafts[0].request, request);
    assert_eq!(told.drafts[0].label.as_deref(), Some("42"));
    assert_eq!(told.columns, ["z", "1", "list", "map", "none", "on", "real"]);
    let texts: Vec<&str> = told.drafts[0].extras.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["text", "2", "[1,\"二\"]", "{\"a\":null,\"b\":1.5}", "", "true", "1.50"]);
}

#[test]
fn merge_keys_are_merged_and_own_fields_win() {
    let told = requests(yaml(
        "- &base {prompt: a, size: 64x64, steps: 5}\n\
         - &other {prompt: b, seed: 3, steps: 9}\n\
         - {prompt: c, <<: *base}\n\
         - {<<: [*base, *other], prompt: d}\n\
         - *base\n",
    ));
    let fields: Vec<_> = told.iter().map(|r| (r.prompt.as_str(), r.size.is_some(), r.seed, r.steps)).collect();
    assert_eq!(
        fields,
        [
            ("a", true, None, Some(5)),
            ("b", false, Some(3), Some(9)),
            ("c", true, None, Some(5)),
            ("d", true, Some(3), Some(5)),
            ("a", true, None, Some(5)),
        ]
    );
}

#[test]
fn a_prompt_that_loses_its_end_to_a_comment_is_warned_of() {
    let told = yaml(
        "- prompt: cat #1\n- prompt: \"cat #2\"\n- cat #3\n- cat # three\n- |\n  cat #4\n- prompt: a\n  negative_prompt: b #5\n\
         - a very long prompt that goes on for quite some time about a cat #6\n",
    )
    .expect("comments are allowed");
    let warning = |line, end| {
        format!(
            "p:{line}: the prompt ends at `{end}`, because ` #` begins a comment; put the prompt in quotes if `#` belongs to it"
        )
    };
    assert_eq!(
        told.warnings,
        [warning(1, "cat"), warning(3, "cat"), warning(8, "b"), warning(9, "some time about a cat")]
    );
    assert_eq!(told.drafts[0].request.prompt, "cat");
    assert_eq!(told.drafts[1].request.prompt, "cat #2");
}
