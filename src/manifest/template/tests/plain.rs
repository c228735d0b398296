//! Tests of the plain syntax.

use super::*;

fn text(written: &str) -> String {
    let template = parse(Syntax::Plain, written).expect("it has no flaw");
    assert_eq!(template.n(), 1);
    template.text(0, &value)
}

#[test]
fn vars_are_replaced_and_doubled_braces_are_braces() {
    for (written, meant) in [
        ("", ""),
        ("a cat", "a cat"),
        ("an {animal}", "an <owl>"),
        ("{animal}{place}{animal}", "<owl><bay><owl>"),
        ("{{animal}}", "{animal}"),
        ("{{{animal}}}", "{<owl>}"),
        ("}}{{", "}{"),
        ("一只{animal}。", "一只<owl>。"),
        ("a|b __c__ $x #1 \\n", "a|b __c__ $x #1 \\n"),
    ] {
        assert_eq!(text(written), meant, "{written}");
    }
}

#[test]
fn vars_are_told_once_each_in_the_order_of_their_first_mention() {
    let template = parse(Syntax::Plain, "{place} {animal} {place}").expect("it has no flaw");
    assert_eq!(template.vars(), ["place", "animal"]);
}

#[test]
fn every_flaw_is_told_with_its_place() {
    assert_eq!(
        flaws(Syntax::Plain, "an {animl} 在 {the bay} } { {hat} {}"),
        [
            "{animl}: no var is called `animl`; did you mean `animal`? write `{{animl}}` for literal braces",
            "{the bay}: `the bay` in braces is not the name of a var; write `{animal}`, `{place}`, or `{{the bay}}` for literal braces",
            "}: a `}` closes nothing; write `}}` for a literal brace",
            "{: a `{` is never closed; write `{{` for a literal brace",
            "{hat}: no var is called `hat`; write `{animal}`, `{place}`, or `{{hat}}` for literal braces",
            "{}: `` in braces is not the name of a var; write `{animal}`, `{place}`, or `{{}}` for literal braces",
        ]
    );
}

#[test]
fn what_is_long_or_strange_is_shown_in_part_and_escaped() {
    let flaws = parse(Syntax::Plain, &format!("{{{}}}", "猫\u{7}".repeat(1_000))).expect_err("it names no var");
    let Issue { what, remedy } = &flaws[0].wrong;
    assert!(what.starts_with("`猫\\u{7}") && what.chars().count() < 80, "{what}");
    assert!(remedy.contains("`{{猫\\u{7}") && remedy.chars().count() < 120, "{remedy}");
    let flaws = parse(Syntax::Plain, "{anim\u{7}al}").expect_err("it names no var");
    assert!(!flaws[0].wrong.what.contains('\u{7}') && !flaws[0].wrong.remedy.contains('\u{7}'), "{flaws:?}");
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_text_of_braces_is_read_to_its_end() {
    for text in ["{ ".repeat(200_000), "} ".repeat(200_000), "{x".repeat(200_000), "{x}".repeat(200_000)] {
        assert_eq!(flaws(Syntax::Plain, &text).len(), FLAWS_MAX);
    }
    assert_eq!(text(&"{{}}".repeat(200_000)).len(), 400_000);
}
