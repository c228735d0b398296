//! Tests of single field values: the accepted ones, and the messages for the others.

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::parse::*;
use crate::manifest::fields::value::UnparsedValue;
use crate::manifest::fields::value::Value;
use crate::model::request::Size;
use crate::model::request_limits::FieldRanges;

fn size(raw: &UnparsedValue) -> Result<Size, Issue> {
    crate::manifest::fields::parse::size(raw, FieldRanges::Usual)
}

fn steps(raw: &UnparsedValue) -> Result<u32, Issue> {
    crate::manifest::fields::parse::steps(raw, FieldRanges::Usual)
}

fn guidance(raw: &UnparsedValue) -> Result<f64, Issue> {
    crate::manifest::fields::parse::guidance(raw, FieldRanges::Usual)
}

fn cell(text: &str) -> UnparsedValue {
    UnparsedValue::Cell(text.to_owned())
}

fn typed(text: &str) -> UnparsedValue {
    UnparsedValue::Typed(Value::Text(text.to_owned()))
}

fn int(number: i64) -> UnparsedValue {
    UnparsedValue::Typed(Value::Int(number))
}

fn float(number: f64) -> UnparsedValue {
    UnparsedValue::Typed(Value::Float(number))
}

const SIZE_REMEDY: &str = "write width and height in pixels, from 64x64 to 2048x2048, for example 1024x768";

/// Checks that `read` refuses each value with the given message.
fn assert_refused<T: std::fmt::Debug>(
    read: impl Fn(UnparsedValue) -> Result<T, Issue>,
    cases: &[(UnparsedValue, &str)],
) {
    for (raw, words) in cases {
        let wrong = read(raw.clone()).expect_err("the value is wrong");
        assert_eq!(format!("{}; {}", wrong.what, wrong.remedy), *words, "{raw:?}");
    }
}

#[test]
fn texts_stay_as_they_are_written() {
    for text in [
        "a cat",
        " a cat ",
        "two\nlines\tand a tab\n",
        "一只金色的猫 🐈",
        "null",
        "42",
        "\u{200e}x",
        &"猫".repeat(1_999),
    ] {
        assert_eq!(prompt(cell(text)).as_deref(), Ok(text));
        assert_eq!(prompt(typed(text)).as_deref(), Ok(text));
        assert_eq!(negative_prompt(typed(text)).as_deref(), Ok(text));
    }
}

#[test]
fn a_negative_prompt_may_be_empty() {
    assert_eq!(negative_prompt(typed("")).as_deref(), Ok(""));
}

#[test]
fn prompts_that_cannot_be_drawn_are_refused() {
    let empty = "`prompt` is empty; describe the image, or remove the entry";
    assert_refused(
        prompt,
        &[
            (cell(""), empty),
            (typed(" \t\n"), empty),
            (typed("\u{3000}"), empty),
            (cell(&"a".repeat(2_000)), "`prompt` has 2000 characters; shorten it to at most 1999"),
            (typed(&"猫".repeat(2_500)), "`prompt` has 2500 characters; shorten it to at most 1999"),
            (cell("a\0b"), "`prompt` holds the control character U+0000; remove it"),
            (cell("a\rb"), "`prompt` holds the control character U+000D; remove it"),
            (typed("\x1b[31m"), "`prompt` holds the control character U+001B; remove it"),
            (typed("a\u{85}"), "`prompt` holds the control character U+0085; remove it"),
            (
                UnparsedValue::Typed(Value::Null),
                "`prompt` is null, not text; write the text, in quotes if it is meant to be the word null",
            ),
            (int(42), "`prompt` is the number 42, not text; put it in quotes: prompt: \"42\""),
            (float(1.5), "`prompt` is the number 1.5, not text; put it in quotes: prompt: \"1.5\""),
            (
                UnparsedValue::Typed(Value::Bool(true)),
                "`prompt` is `true`, not text; put it in quotes: prompt: \"true\"",
            ),
            (
                UnparsedValue::Typed(Value::List(Vec::new())),
                "`prompt` is a list, not text; write one text; put it in quotes if it begins with a bracket or holds a colon",
            ),
        ],
    );
}

#[test]
fn short_texts_lose_the_space_around_them() {
    assert_eq!(model(cell(" Qwen/Qwen-Image\t")).as_deref(), Ok("Qwen/Qwen-Image"));
    assert_eq!(id(typed("hero ")).as_deref(), Ok("hero"));
    assert_eq!(id(int(7)).as_deref(), Ok("7"));
    assert_eq!(id(cell(&"猫".repeat(200))).map(|id| id.chars().count()), Ok(200));
}

#[test]
fn short_texts_that_are_none_are_refused() {
    assert_refused(
        model,
        &[
            (typed("  "), "`model` is empty; write its value, or leave `model` out"),
            (typed("a/b\nc"), "`model` holds the control character U+000A; remove it"),
            (int(1), "`model` is the number 1, not text; put it in quotes: model: \"1\""),
        ],
    );
    assert_refused(
        id,
        &[
            (cell(&"x".repeat(201)), "`id` has 201 characters; shorten it to at most 200"),
            (float(1.1), "`id` is the number 1.1, not text; put it in quotes: id: \"1.1\""),
        ],
    );
}

#[test]
fn repository_ids_have_two_parts() {
    for id in ["Qwen/Qwen-Image", "Tongyi-MAI/Z-Image-Turbo", "a/b", "通义/万相"] {
        assert!(is_repo_id(id), "{id}");
    }
    for id in ["", "qwen", "/", "a/", "/b", "a/b/c", "a b/c", "https://a/b"] {
        assert!(!is_repo_id(id), "{id}");
    }
}

#[test]
fn sizes_are_read() {
    for text in ["64x64", "2048x2048", "1024X768", " 512x512 "] {
        assert_eq!(size(&cell(text)), text.parse().map_err(|_| wrong("", "")), "{text}");
    }
}

#[test]
fn a_size_in_another_spelling_is_refused_with_the_right_one() {
    for (raw, what, right) in [
        (cell("1024"), "`1024`", "1024x1024"),
        (int(768), "`768`", "768x768"),
        (typed("1024*768"), "`1024*768`", "1024x768"),
        (typed("1024×768"), "`1024×768`", "1024x768"),
        (typed("1024 x 768"), "`1024 x 768`", "1024x768"),
        (typed("1024, 768"), "`1024, 768`", "1024x768"),
        (cell("1024px x 768px"), "`1024px x 768px`", "1024x768"),
        (UnparsedValue::Typed(Value::List(vec![Value::Int(1024), Value::Int(768)])), "`1024, 768`", "1024x768"),
    ] {
        let words = format!("`size` is {what}, not WIDTHxHEIGHT; write {right}");
        assert_refused(|raw| size(&raw), &[(raw, words.as_str())]);
    }
}

#[test]
fn other_sizes_are_refused_with_an_example() {
    let range = |size| format!("`size` is {size}, and a side is outside 64 to 2048 pixels; {SIZE_REMEDY}");
    let shape = |size| format!("`size` is {size}; {SIZE_REMEDY}");
    for (raw, words) in [
        (cell("63x64"), range("63x64")),
        (cell("64x2049"), range("64x2049")),
        (cell("1x1"), range("1x1")),
        (cell("16:9"), shape("`16:9`, not WIDTHxHEIGHT")),
        (
            cell("large"),
            format!(
                "`size` is `large`, not WIDTHxHEIGHT; {SIZE_REMEDY}, or keep a column of your own with --carry size"
            ),
        ),
        (cell("nan"), "`size` is `nan`, not WIDTHxHEIGHT; leave the cell empty".to_owned()),
        (cell("1024x"), "`size` is `1024x`, not WIDTHxHEIGHT; write 1024x1024".to_owned()),
        (cell("512x512x3"), shape("`512x512x3`, not WIDTHxHEIGHT")),
        (cell("99999999999x64"), shape("`99999999999x64`, not WIDTHxHEIGHT")),
        (cell("0x64"), shape("`0x64`, not WIDTHxHEIGHT")),
        (typed(""), shape("``, not WIDTHxHEIGHT")),
        (int(-1024), "`size` is `-1024`, not WIDTHxHEIGHT; write 1024x1024".to_owned()),
        (UnparsedValue::Typed(Value::Null), shape("null")),
        (float(1.5), shape("the number 1.5")),
    ] {
        assert_refused(|raw| size(&raw), &[(raw, words.as_str())]);
    }
}

#[test]
fn whole_numbers_are_read_to_their_bounds() {
    for (raw, number) in
        [(cell("0"), 0), (cell(" 42 "), 42), (cell("42.0"), 42), (cell("+7"), 7), (int(2_147_483_647), 2_147_483_647)]
    {
        assert_eq!(seed(&raw), Ok(number), "{raw:?}");
    }
    assert_eq!([steps(&int(1)), steps(&cell("100"))], [Ok(1), Ok(100)]);
    assert_eq!([n(&int(1)), n(&cell("10000"))], [Ok(1), Ok(10_000)]);
}

/// Goal: whoever writes a range as another program does is shown the notation. Neighbours: dates, signs and words.
#[test]
fn ranges_in_other_notations_have_a_remedy() {
    for text in ["1-5", "1–5", "1 — 5", "1 to 5", "1~5", "1～5", "1至5", "1到5"] {
        for raw in [typed(text), cell(text)] {
            let what = format!("`seed` is `{text}`, not a whole number; for all numbers from 1 to 5, write `1..5`");
            assert_refused(|raw| seed(&raw), &[(raw, what.as_str())]);
        }
    }
    let what = "`guidance` is `3.5-5`, not a number; for all numbers from 3.5 to 5, write `3.5..5`";
    assert_refused(|raw| guidance(&raw), &[(typed("3.5-5"), what)]);
    for text in ["1-", "-1-5", "2026-01-05", "a-b", "to", "1 to", "x 1-5", "12:30"] {
        let what = format!(
            "`seed` is `{text}`, not a whole number; write a whole number from 0 to 2147483647, or `random` to have one drawn and \
             recorded, or leave it out"
        );
        assert_refused(|raw| seed(&raw), &[(typed(text), what.as_str())]);
    }
    let what = "`n` is `1-5`, not a whole number; write a whole number from 1 to 10000";
    assert_refused(|raw| n(&raw), &[(typed("1-5"), what)]);
}

#[test]
fn other_numbers_are_refused() {
    const SEEDS: &str =
        "write a whole number from 0 to 2147483647, or `random` to have one drawn and recorded, or leave it out";
    for (raw, what) in [
        (int(-1), "`seed` is -1, outside 0 to 2147483647"),
        (cell("1.5"), "`seed` is `1.5`, not a whole number"),
        (cell("1.0.0"), "`seed` is `1.0.0`, not a whole number"),
        (cell("abc"), "`seed` is `abc`, not a whole number"),
        (cell("٤٢"), "`seed` is `٤٢`, not a whole number"),
        (cell(""), "`seed` is ``, not a whole number"),
        (typed("abc"), "`seed` is `abc`, not a whole number"),
        (float(42.0), "`seed` is the number 42.0, not a whole number"),
        (float(f64::NAN), "`seed` is the number NaN, not a whole number"),
        (UnparsedValue::Typed(Value::Bool(true)), "`seed` is `true`, not a whole number"),
        (UnparsedValue::Typed(Value::Null), "`seed` is null, not a whole number"),
    ] {
        assert_refused(|raw| seed(&raw), &[(raw, format!("{what}; {SEEDS}").as_str())]);
    }
    for (raw, what) in [
        (int(2_147_483_648), "2147483648"),
        (cell("18446744073709551616"), "18446744073709551616"),
        (UnparsedValue::Typed(Value::BigInt("9223372036854775808".to_owned())), "9223372036854775808"),
    ] {
        let words = format!("`seed` is {what}, outside 0 to 2147483647; {SEEDS}, or add --fold-seeds for a remainder");
        assert_refused(|raw| seed(&raw), &[(raw, words.as_str())]);
    }
    assert_refused(
        |raw| steps(&raw),
        &[
            (int(0), "`steps` is 0, outside 1 to 100; write a whole number from 1 to 100"),
            (int(101), "`steps` is 101, outside 1 to 100; write a whole number from 1 to 100"),
            (typed("20"), "`steps` is the text `20`, not a number; write it without quotes"),
        ],
    );
    assert_refused(
        |raw| n(&raw),
        &[
            (
                int(0),
                "`n` is 0, outside 1 to 10000; write a whole number from 1 to 10000; to leave the entry out, write `skip: yes`",
            ),
            (cell("10001"), "`n` is 10001, outside 1 to 10000; write a whole number from 1 to 10000"),
        ],
    );
}

#[test]
fn guidance_is_any_number_in_its_range() {
    for (raw, number) in [(int(2), 2.0), (float(1.5), 1.5), (cell(" 7.5 "), 7.5), (cell("20"), 20.0)] {
        assert_eq!(guidance(&raw), Ok(number), "{raw:?}");
    }
    for (raw, what) in [
        (float(1.4), "1.4, outside 1.5 to 20"),
        (int(21), "21, outside 1.5 to 20"),
        (int(-7), "-7, outside 1.5 to 20"),
        (float(f64::INFINITY), "inf, outside 1.5 to 20"),
        (cell("7:5"), "`7:5`, not a number"),
        (UnparsedValue::Typed(Value::Null), "null, not a number"),
    ] {
        let words = format!("`guidance` is {what}; write a number from 1.5 to 20");
        assert_refused(|raw| guidance(&raw), &[(raw, words.as_str())]);
    }
    for (text, remedy) in [
        ("7,5", "write 7.5"),
        ("７．５", "write 7.5"),
        ("NaN", "leave the cell empty"),
        ("#N/A", "leave the cell empty"),
        ("7;5", "write \"[7, 5]\" for one image of each"),
    ] {
        let words = format!("`guidance` is `{text}`, not a number; {remedy}");
        assert_refused(|raw| guidance(&raw), &[(cell(text), words.as_str())]);
    }
    let words = "`guidance` is the text `7.5`, not a number; write it without quotes";
    assert_refused(|raw| guidance(&raw), &[(typed("7.5"), words)]);
}

#[test]
fn wrong_values_are_shown_short_and_harmless() {
    let wrong = seed(&cell(&format!("\x1b[2J{}", "x".repeat(500)))).expect_err("it is no number");
    assert!(wrong.what.starts_with("`seed` is `\\u{1b}[2Jxxx"), "{}", wrong.what);
    assert!(wrong.what.chars().count() < 100, "{}", wrong.what);
}
