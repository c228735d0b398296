//! Tests of TXT manifests: one prompt per line.

use super::*;

fn txt(text: &str) -> Result<Told, Vec<String>> {
    open_with("p.txt", text.as_bytes(), |_| ())
}

#[test]
fn every_line_is_a_prompt_as_it_stands() {
    let lines = ["a cat", "  \"quoted\", 'single' ", "a\tb", "#tag first", "一只猫 ", "- a: b", "{\"a\": 1}"];
    for end in ["\n", "\r\n", "\r", "\n\n", "\r\n \t \r\n"] {
        assert_eq!(prompts(verbatim("p.txt", lines.join(end).as_bytes())), lines, "{end:?}");
        let spread = format!("{end}\u{3000}{end}{}{end}", lines.join(end));
        assert_eq!(prompts(verbatim("p.txt", spread.as_bytes())), lines, "{end:?}");
    }
}

#[test]
fn nothing_is_a_comment_which_is_told_once() {
    let told = txt("# my prompts\na cat\n# second part\n#hashtag\n").expect("the text is good");
    assert_eq!(told.drafts.len(), 4);
    assert_eq!(
        told.warnings,
        ["p:1: this line is a prompt too, although it begins with `# `; \
          remove it if it is meant as a comment: TXT manifests have no comments"]
    );
}

#[test]
fn texts_that_cannot_be_used_are_refused() {
    let long = "x".repeat(2_000);
    assert_mistakes(
        txt,
        &[
            ("", &["p: the text is empty; write one prompt per line"]),
            ("\n \r\n", &["p: the text is empty; write one prompt per line"]),
            ("a\nb\0c\n", &["p:2: `prompt` holds the control character U+0000; remove it"]),
            (&format!("a\n{long}\n"), &["p:2: `prompt` has 2000 characters; shorten it to at most 1999"]),
        ],
    );
    let told = open_with("p.txt", b"a\n", |source| source.prompt_column = Some("key".into()));
    let mistake = "command line: --prompt-col names a column, and a TXT manifest has none; \
                   every line is a prompt, and leave --prompt-col out";
    assert_eq!(told, Err(vec![mistake.to_owned()]));
}
