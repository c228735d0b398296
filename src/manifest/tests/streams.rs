//! Tests of streams of YAML documents.

use super::*;

const TOO_LARGE: &str =
    "put a line of `---` between the prompts, or write them as CSV or JSONL: those are read one by one";

#[test]
fn documents_are_entries() {
    for text in [
        "- a cat\n---\n- a dog\n",
        "---\n- a cat\n--- # second\n- a dog\n...\n",
        "a cat\n---\na dog\n",
        "--- a cat\n--- a dog\n",
        "prompt: a cat\n---\nprompt: a dog\n",
        "prompts: [a cat]\n---\na dog\n",
        "defaults: {n: 1}\n---\n- a cat\n- prompt: a dog\n",
        "# first\n---\n# head\ndefaults: {n: 1}\n---\na cat\n---\n\n---\n# none\n---\n{prompt: a dog}\n---\n",
        "%YAML 1.2\n---\na cat\n...\n%YAML 1.2\n---\na dog\n",
        "a cat\n...\na dog\n",
        "a cat\r\n---\r\na dog\r\n",
        "a cat\r---\ra dog",
        "\u{feff}--- a cat\n---\ta dog",
    ] {
        assert_eq!(prompts(yaml(text)), ["a cat", "a dog"], "{text:?}");
    }
}

#[test]
fn texts_are_kept_whole_to_the_marker() {
    for (text, wanted) in [
        ("|\n  two\n  lines\n---\n|-\n  a\n  ---\n", &["two\nlines\n", "a\n---"][..]),
        ("- ---x\n- a --- b\n- \" ---\"\n", &["---x", "a --- b", " ---"]),
        ("- |\n  no end", &["no end"]),
        ("- |+\n  kept\n\n---\nb\n", &["kept\n\n", "b"]),
    ] {
        assert_eq!(prompts(yaml(text)), wanted, "{text:?}");
    }
}

#[test]
fn the_head_is_for_all() {
    let told =
        yaml("defaults: {size: 64x64, meta: {style: ink}}\nprompts: [a]\n---\nprompt: b\nsize: 128x128\n---\n- c\n")
            .expect("the stream is good");
    let sizes: Vec<_> =
        told.drafts.iter().filter_map(|draft| draft.request.size).map(|size| size.to_string()).collect();
    assert_eq!(sizes, ["64x64", "128x128", "64x64"]);
    assert!(told.drafts.iter().all(|draft| draft.extras == [("style".to_owned(), "ink".to_owned())]));
}

#[test]
fn mistakes_are_told_with_the_lines_of_the_file() {
    let size = "`size` is `5`, not WIDTHxHEIGHT; \
                write width and height in pixels, from 64x64 to 2048x2048, for example 1024x768";
    let empty = "the manifest is empty; write a list under `prompts:`, for example `- a golden cat in the snow`";
    assert_mistakes(
        yaml,
        &[
            (
                "# x\n---\nprompt: a\nsize: 5\n---\n\nprompt: b\nsize: 5\n---\n- {prompt: c, size: 5}\n- {}\n--- \n{}\n",
                &[
                    &format!("p:4: {size}"),
                    &format!("p:8: {size}"),
                    &format!("p:10: {size}"),
                    "p: entry 4: this entry has no prompt; describe the image, or remove the entry",
                    "p: entry 5: this entry has no prompt; describe the image, or remove the entry",
                ],
            ),
            (
                "a\n---\n- b: c: d\n---\nprompt: e\nseed: x\n",
                &[
                    "p:3: an unquoted text contains a second `: `; put the whole text in quotes, or check the indentation",
                    "p:6: `seed` is `x`, not a whole number; \
                     write a whole number from 0 to 2147483647, or `random` to have one drawn and recorded, or leave it out",
                ],
            ),
            (
                "a\n---\n~\n---\n42\n",
                &[
                    "p:3: `prompt` is null, not text; write the text, in quotes if it is meant to be the word null",
                    "p:5: `prompt` is the number 42, not text; put it in quotes: prompt: \"42\"",
                ],
            ),
            (
                "prompts: [a]\n---\ndefaults: {n: 2}\nprompts: [b]\n",
                &["p:3: this document is a manifest of its own; \
                     give `defaults` in the first document only, and make every later one a prompt"],
            ),
            (
                "defaults: {n: 2}\n---\n# nothing\n",
                &["p: there are no prompts; write a list under `prompts:`, for example `- a golden cat in the snow`"],
            ),
            ("---\n---\n...\n", &[&format!("p: {empty}")]),
            (
                "{prompt: a, id: x}\n---\n{prompt: b, id: x}\n",
                &["p:3: the id `x` is also used by line 1; give one of them another id"],
            ),
        ],
    );
}

/// Goal: a document above the limit is refused with a remedy, and the remedy works. Method: a list that is too large, and the same
/// prompts as documents.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn what_is_too_much_for_one_document_is_read_as_several() {
    let prompt = format!("- {}\n", "x".repeat(1_900));
    let list = prompt.repeat(18_000);
    assert_eq!(yaml(&list), Err(vec![format!("p: one document is larger than 32 MiB; {TOO_LARGE}")]));
    let lines = "\n".repeat(4_000_001);
    assert_eq!(yaml(&lines), Err(vec![format!("p: one document has more than 4000000 lines; {TOO_LARGE}")]));
    let parted = format!("{}---\n", prompt.repeat(1_000)).repeat(18);
    assert_eq!(prompts(yaml(&parted)).len(), 18_000);
}

/// Goal: a placeholder is warned of where it is sent as it is. Method: streams with vars in the head, with a syntax, and with neither.
#[test]
fn placeholders_are_warned_of_once_and_not_below_vars() {
    assert_eq!(prompts(yaml("vars: {a: cat}\n---\n- one {a}\n---\n- two {a}\n")), ["one cat", "two cat"]);
    assert_eq!(prompts(yaml("syntax: plain\n---\n- one {{a}}\n")), ["one {{a}}"]);
    let told = yaml("- one {a}\n---\n- two {b}\n").expect("the stream is good");
    assert_eq!(
        told.warnings,
        [
            "p:1: `{a}` is sent as it is: there are no vars; name it under `vars:`, or write `syntax: plain` if it is meant"
        ]
    );
}
