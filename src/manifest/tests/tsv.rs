//! Tests of TSV tables: quotes that are part of the text, and quotes around a cell.

use proptest::prelude::*;

use super::*;

fn tsv(text: &str) -> Result<Told, Vec<String>> {
    open_with("p.tsv", text.as_bytes(), |_| ())
}

/// Returns the prompts of a table with two columns, and the warnings.
fn read(rows: &str) -> (Vec<String>, Vec<String>) {
    let told = tsv(&format!("Prompt\tNote\n{rows}")).unwrap_or_else(|mistakes| panic!("{rows:?}: {mistakes:?}"));
    let prompts = told.drafts.into_iter().map(|draft| draft.request.prompt).collect();
    (prompts, told.warnings)
}

const LITERAL: &str = "this cell begins with a quote and does not end with one, so it is read verbatim; \
                       if the quote is meant to enclose the whole cell, double those inside it";

#[test]
fn cells_are_what_stands_between_tabs() {
    for (rows, prompts) in [
        ("a cat\tx\n", &["a cat"][..]),
        ("  a cat \t x\r\n", &["  a cat "]),
        ("a \"red\" cat\t\"x\"\n", &["a \"red\" cat"]),
        ("5\" nail\tx", &["5\" nail"]),
        ("it's\t\n", &["it's"]),
        ("\"a cat\"\tx\n", &["a cat"]),
        ("\"say \"\"hi\"\"\"\tx\n", &["say \"hi\""]),
        ("\"a\tcat\"\tx\n", &["a\tcat"]),
        ("\"two\nlines\"\tx\n", &["two\nlines"]),
        ("\"two\r\n\r\nlines\"\tx\r\nb\ty", &["two\n\nlines", "b"]),
        ("x\ty\n\n\nz\t\n", &["x", "z"]),
    ] {
        assert_eq!(read(rows), (prompts.iter().map(ToString::to_string).collect(), vec![]), "{rows:?}");
    }
}

/// Goal: a prompt that begins with a literal quote is sent with that quote.
#[test]
fn quotes_that_are_said_are_kept_and_told_once() {
    for (rows, prompts) in [
        ("\"Hello\" said the cat\tx\n", &["\"Hello\" said the cat"][..]),
        ("\"Hello\" said\tx\n\"Bye\" said\ty\n", &["\"Hello\" said", "\"Bye\" said"]),
        ("\"never closed\tx\nb\ty\n", &["\"never closed", "b"]),
        ("\"never closed\tx\nhe said \"hi\" to me\ty\n", &["\"never closed", "he said \"hi\" to me"]),
        ("\"\ty\n", &["\""]),
    ] {
        let warnings = vec![format!("p:2: {LITERAL}")];
        assert_eq!(read(rows), (prompts.iter().map(ToString::to_string).collect(), warnings), "{rows:?}");
    }
}

#[test]
fn a_row_that_a_quote_swallows_is_told() {
    let (prompts, warnings) = read("\"open\tx\nanother\ty\n5\"\tz\n");
    assert_eq!(prompts, ["open\tx\nanother\ty\n5"]);
    assert_eq!(
        warnings,
        ["p:2: line 3 is part of a quoted cell that begins on line 2; \
          if that quote is part of the text, put the whole cell in quotes and double it"]
    );
}

#[test]
fn rows_that_cannot_be_used_are_all_told() {
    assert_mistakes(
        tsv,
        &[
            (
                "prompt\tsize\na\nb\t5\tc\nd\t64x64\n\"e\tf\tg\n",
                &[
                    "p:2: this row has 1 cell and the header 2; add the missing cells, even if they are empty",
                    "p:3: this row has 3 cells and the header 2; put a cell that holds a tab in quotes",
                    "p:5: a quote is opened here and never closed; close it, or double it to mean a quote",
                ],
            ),
            ("", &["p: the table is empty; write a header row with a column `prompt`, then one row for each image"]),
            ("prompt\tx\n", &["p: the table has a header and no rows; write one row for each image below the header"]),
            (
                "a\tb\nc\td\n",
                &["p:1: no column is called `prompt`; name it with --prompt-col NAME; the header has `a`, `b`"],
            ),
        ],
    );
}

/// Goal: a benchmark of this form is read without options, and its columns are passed through.
#[test]
fn the_columns_of_a_public_benchmark_are_carried_through() {
    let told = tsv("Prompt\tCategory\tChallenge\tNote\n\"Brick\"\tAbstract\tBasic\t\n\
                    \"Fear\" written in fog\tAbstract\tWriting & Symbols\tquoted \"word\"\n")
    .expect("the table is good");
    assert_eq!(told.columns, ["Category", "Challenge", "Note"]);
    assert_eq!(told.drafts[0].request.prompt, "Brick");
    assert_eq!(told.drafts[1].request.prompt, "\"Fear\" written in fog");
    assert_eq!(told.drafts[1].extras[2].1, "quoted \"word\"");
    assert_eq!(told.warnings, [format!("p:3: {LITERAL}")]);
}

/// Goal: many open quotes take no longer than many lines. Method: every line opens a quote, and the last one could close all of them.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn open_quotes_are_not_looked_for_again_and_again() {
    let text = format!("prompt\tx\n{}\"a\t{}", "\"a\tb\n".repeat(20_000), "b\n".repeat(1_000_000));
    let told = tsv(&text).expect_err("there are lines of one cell");
    assert!(told[0].starts_with("p:20003: this row has 1 cell and the header 2"), "{}", told[0]);
}

proptest! {
    /// Goal: a quote inside a cell stays as it is. Method: cells without tabs and with any quotes, of which the first is closed
    /// on its line or is none.
    #[test]
    fn cells_that_cannot_be_quoted_are_read_as_they_stand(cells in prop::collection::vec("[a\" ]{0,6}a", 1..6)) {
        let rows = cells.iter().map(|cell| format!("x{cell}\ty\n")).collect::<Vec<_>>().concat();
        let wanted: Vec<String> = cells.iter().map(|cell| format!("x{cell}")).collect();
        prop_assert_eq!(read(&rows), (wanted, vec![]));
    }
}
