//! Tests of resource limits: small files that would expand to a large size, and large files that only look similar.

use std::fmt::Write;

use super::*;

/// Concatenates numbered pieces of text.
fn numbered(n: usize, piece: impl Fn(usize) -> String) -> String {
    (0..n).map(piece).collect::<Vec<_>>().concat()
}

/// Goal: no small file needs much time or memory. Method: bombs of every kind. A bomb that is not stopped takes minutes and all memory.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn bombs_end_in_a_mistake() {
    let aliases = |n_levels: usize, width: usize| {
        let mut text = "- &a0 lol\n".to_owned();
        for level in 1..n_levels {
            let row = format!("*a{}, ", level - 1).repeat(width);
            writeln!(text, "- &a{level} [{row}]").expect("memory can be written");
        }
        text
    };
    let merged = format!("- &m {{prompt: a, meta: {{{}}}}}\n", numbered(999, |i| format!("k{i}: {i}, ")));
    for (what, text) in [
        ("billion laughs", aliases(12, 9)),
        ("three wide levels", aliases(4, 500)),
        ("a list in itself", "- &a [*a]\n".to_owned()),
        ("open brackets", "[".repeat(20_000)),
        ("open braces", "{a: ".repeat(2_000)),
        ("a hundred thousand open braces", format!("- b\n- {}", "{a: ".repeat(100_000))),
        (
            "one long text again and again",
            format!("a: &t \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), "*t,".repeat(100_000)),
        ),
        ("nothing but line ends", "\n".repeat(4_000_001)),
        ("dashes", "- ".repeat(50_000)),
        ("deep maps", numbered(300, |i| " ".repeat(i) + "a:\n")),
        ("merges", merged + &"- *m\n".repeat(20_000)),
    ] {
        assert!(yaml(&text).is_err(), "{what}");
    }
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn nesting_and_repetition_are_refused_in_words() {
    let deep = format!("- {}a{}\n", "[".repeat(200), "]".repeat(200));
    assert_eq!(
        yaml(&deep),
        Err(vec!["p:1: lists or maps are nested too deeply; write the prompts as one flat list".to_owned()])
    );
    let wide = format!("- &a [{}]\n- &b [{}]\n- [{}]\n", "x, ".repeat(400), "*a, ".repeat(400), "*b, ".repeat(400));
    let told = yaml(&wide).expect_err("it repeats too much");
    assert!(
        told[0].ends_with("aliases repeat too much; write the entries out, or share values under `defaults:`"),
        "{told:?}"
    );
}

#[test]
fn a_map_that_is_merged_into_every_entry_is_no_bomb() {
    let mut text = "- &base {prompt: a, size: 64x64, steps: 5, guidance: 2, meta: {a: 1, b: 2, c: 3}}\n".to_owned();
    for i in 0..2_000 {
        writeln!(text, "- {{<<: *base, seed: {i}}}").expect("memory can be written");
    }
    assert_eq!(requests(yaml(&text)).len(), 2_001);
}

#[test]
fn brackets_in_prompts_are_no_nesting() {
    let text = numbered(6_000, |i| format!("- \"[{{{i} cats\"\n"));
    assert_eq!(requests(yaml(&text)).len(), 6_000);
    let told = yaml(&format!("- a\n- \"b\"\n- {}", "{a: ".repeat(5_001))).expect_err("it is nested too deeply");
    assert_eq!(told, ["p:3: lists or maps are nested too deeply; write the prompts as one flat list"]);
}

#[test]
fn columns_are_limited() {
    let text = numbered(1_002, |i| format!("- {{prompt: a, meta: {{c{i}: x}}}}\n"));
    let mistake = "p:1001: the entries have more than 1000 columns to carry through; use the same names in all entries";
    assert_eq!(yaml(&text), Err(vec![mistake.to_owned()]));
    let long = format!("- {{prompt: a, meta: {{{}: x}}}}\n", "c".repeat(201));
    let table = format!("prompt,{}\na,x\n", "c".repeat(201));
    for told in [yaml(&long), csv(&table)] {
        let told = told.expect_err("the name is too long");
        assert!(told[0].ends_with("has 201 characters; shorten it to at most 200"), "{told:?}");
    }
}
