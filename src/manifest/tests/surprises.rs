//! Tests of the YAML lints: misread values are reported as written, or accepted as written.

use super::*;

#[test]
fn numbers_in_odd_spellings_are_refused_as_they_are_written() {
    assert_mistakes(
        yaml,
        &[
            ("- {prompt: x, seed: 1e3}", &["p:1: `seed` is `1e3`, which is read as the number 1000.0; write 1000"]),
            ("- {prompt: x, steps: 20.0}", &["p:1: `steps` is `20.0`, which is read as the number 20.0; write 20"]),
            ("- {prompt: x, seed: 012}", &["p:1: `seed` is `012`, which is read as text; write 12"]),
            ("- {prompt: x, n: 1_000}", &["p:1: `n` is `1_000`, which is read as text; write 1000"]),
            ("- prompt: x\n  seed: 1,000 # many", &["p:2: `seed` is `1,000`, which is read as text; write 1000"]),
            (
                "- prompt: x\n  seed: 1,2,3",
                &["p:2: `seed` is `1,2,3`, not a whole number; write [1, 2, 3] for one image of each"],
            ),
            (
                "- prompt: x\n  steps: 20;30",
                &["p:2: `steps` is `20;30`, not a whole number; write [20, 30] for one image of each"],
            ),
            (
                "- prompt: x\n  guidance: 4,5,6",
                &["p:2: `guidance` is `4,5,6`, not a number; write [4, 5, 6] for one image of each"],
            ),
            ("- prompt: x\n  guidance: 4,5", &["p:2: `guidance` is `4,5`, which is read as text; write 4.5"]),
            (
                "- {prompt: x, guidance: .5}",
                &["p:1: `guidance` is 0.5, outside 1.5 to 20; write a number from 1.5 to 20"],
            ),
            (
                "- {prompt: x, seed: [1, 1e3, 007]}",
                &[
                    "p:1: `seed` is `1e3`, which is read as the number 1000.0; write 1000",
                    "p:1: `seed` is `007`, which is read as text; write 7",
                ],
            ),
            (
                "- {prompt: x, seed: 12:30}",
                &[
                    "p:1: `seed` is `12:30`, not a whole number; write a whole number from 0 to 2147483647, or `random` to have one drawn and recorded, or leave it out",
                ],
            ),
            ("- {prompt: x, seed: \"012\"}", &["p:1: `seed` is the text `012`, not a number; write it without quotes"]),
            (
                "- {prompt: x, seed: yes}",
                &[
                    "p:1: `seed` is `yes`, not a whole number; write a whole number from 0 to 2147483647, or `random` to have one drawn and recorded, or leave it out",
                ],
            ),
        ],
    );
}

#[test]
fn texts_that_are_no_texts_are_refused_as_they_are_written() {
    for (written, read) in [
        ("1e3", "the number 1000.0"),
        ("0x1F", "the number 31"),
        ("0o17", "the number 15"),
        (".5", "the number 0.5"),
        ("1.10", "the number 1.1"),
        ("+5", "the number 5"),
        (".inf", "the number inf"),
        ("True", "`true`"),
        ("FALSE", "`false`"),
    ] {
        for text in
            [format!("- {written}"), format!("- prompt: {written} # x"), format!("- {{prompt: [y, {written}]}}")]
        {
            let expected = format!(
                "p:1: `prompt` is `{written}`, which is read as {read}; put it in quotes: prompt: \"{written}\""
            );
            assert_eq!(yaml(&text), Err(vec![expected]), "{text}");
        }
    }
    assert_mistakes(
        yaml,
        &[
            ("- 5", &["p:1: `prompt` is the number 5, not text; put it in quotes: prompt: \"5\""]),
            ("- true", &["p:1: `prompt` is `true`, not text; put it in quotes: prompt: \"true\""]),
            (
                "- {prompt: x, id: 0x1F}",
                &["p:1: `id` is `0x1F`, which is read as the number 31; put it in quotes: id: \"0x1F\""],
            ),
            (
                "- {prompt: x, model: 1.0}",
                &["p:1: `model` is the number 1.0, not text; put it in quotes: model: \"1.0\""],
            ),
        ],
    );
}

#[test]
fn texts_that_only_look_like_something_else_stay() {
    for text in ["012", "1_000", "2024-01-01", "12:30", "0b2", "1.2.3", "nope", "a\tb", "1e3 cats"] {
        assert_eq!(prompts(yaml(&format!("- {text}"))), [text]);
        assert_eq!(prompts(yaml(&format!("- \"{text}\""))), [text]);
    }
    let ids = yaml("- {prompt: x, id: 012}\n- {prompt: y, id: 7}").expect("it is good").drafts;
    assert_eq!(ids.iter().map(|draft| draft.label.as_deref()).collect::<Vec<_>>(), [Some("012"), Some("7")]);
}

#[test]
fn words_that_are_true_or_false_elsewhere_are_warned_of() {
    let remark = |line: u64, word: &str| {
        format!(
            "p:{line}: `{word}` is text here, but true or false to other YAML parsers; put it in quotes: \"{word}\""
        )
    };
    let told = yaml("vars: {a: [yes, Off, \"no\"]}\nprompts:\n- No\n- 'on'\n- {prompt: [off, '{a} b']}");
    assert_eq!(
        told.expect("it is good").warnings,
        [remark(1, "yes"), remark(1, "Off"), remark(3, "No"), remark(5, "off")]
    );
}

#[test]
fn ends_that_are_lost_to_comments_are_warned_of_in_lists_too() {
    let warned = |text: &str| yaml(text).expect("it is good").warnings.len();
    assert_eq!(warned("- prompt:\n  - cat #1\n  - dog #2\n"), 2);
    assert_eq!(warned("vars:\n  a:\n  - cat #1\nprompts: ['{a}']\n"), 1);
    assert_eq!(warned("- prompt:\n  - 'cat #1'\n  - dog # two\n"), 0);
}

#[test]
fn names_in_braces_are_warned_of_once_where_there_are_no_vars() {
    let warnings = |text: &str| yaml(text).expect("it is good").warnings;
    assert_eq!(
        warnings("- a cat\n- a {animal} and a {bird}\n- \"{other}\""),
        [
            "p:2: `{animal}` is sent as it is: there are no vars; name it under `vars:`, or write `syntax: plain` if it is meant"
        ]
    );
    assert_eq!(warnings("- {prompt: [a, 'b {c}']}").len(), 1);
    for text in [
        "- '{\"a\": 1} {} { b } {c d}'",
        "syntax: plain\nprompts: ['{a}']",
        "- {prompt: '{a}', syntax: plain}",
        "- {prompt: '{a}', vars: {a: x}}",
        "- {prompt: x, negative_prompt: y, meta: {z: '{a}'}}",
    ] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}

#[test]
fn numbers_are_carried_through_as_they_are_written() {
    let told =
        yaml("- {prompt: x, meta: {version: 1.10, hex: 0x1F, many: 1e3, plain: 5, anchored: &a 2.50, again: *a}}");
    let extras = told.expect("it is good").drafts.remove(0).extras;
    let texts: Vec<&str> = extras.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["1.10", "0x1F", "1e3", "5", "2.5", "2.5"], "but for anchors, whose place is not known");
}
