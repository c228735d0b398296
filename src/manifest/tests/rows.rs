//! Tests of CSV rows: their cells and lines, compared with the `csv` crate.

use std::io::{self, BufReader, Read};

use proptest::prelude::*;

use crate::manifest::diagnostics::Span;
use crate::manifest::formats::cells::Row;
use crate::manifest::formats::csv_rows::CsvRows;
use crate::manifest::input::line_ends::LineEnds;

type Told = Result<(u64, Vec<String>), (u64, String)>;

/// Returns the text as the input of a manifest passes it on.
fn unified(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    LineEnds::default().unify(&mut text);
    text
}

/// Returns all rows of a text: the line and the cells, or the line and the mistake.
fn rows(text: &[u8]) -> Vec<Told> {
    let text = unified(text);
    let mut rows = CsvRows::new(text.as_slice(), b',', 1);
    let mut told = Vec::new();
    while let Some(row) = rows.next_row().expect("memory can be read") {
        let texts = |row: Row| row.cells.into_iter().map(|cell| cell.text).collect();
        told.push(row.map(|row| (row.line, texts(row))).map_err(|bad| (bad.line, bad.wrong.what)));
    }
    assert_eq!(rows.next_row().expect("memory can be read"), None, "the end is the end");
    told
}

#[expect(clippy::unnecessary_wraps, reason = "the tests put it in one list with the results of `bad`")]
fn row(line: u64, cells: &[&str]) -> Told {
    Ok((line, cells.iter().map(ToString::to_string).collect()))
}

fn bad(line: u64, what: &str) -> Told {
    Err((line, what.to_owned()))
}

#[test]
fn cells_are_split_and_unquoted() {
    for (text, cells) in [
        ("a", &["a"][..]),
        ("a,b", &["a", "b"]),
        (",", &["", ""]),
        ("a,,c,", &["a", "", "c", ""]),
        ("\"\"", &[""]),
        ("\"a,b\",c", &["a,b", "c"]),
        ("\"say \"\"hi\"\"\"", &["say \"hi\""]),
        ("\"\"\"\"", &["\""]),
        ("5\" nail,x", &["5\" nail", "x"]),
        (" a , b ", &[" a ", " b "]),
        ("猫,\"一,二\"", &["猫", "一,二"]),
        ("\"a\nb\"", &["a\nb"]),
        ("\"a\r\nb\rc\"", &["a\nb\nc"]),
    ] {
        for end in ["", "\n", "\r\n", "\r", "\n\n\r\n"] {
            assert_eq!(rows(format!("{text}{end}").as_bytes()), [row(1, cells)], "{text:?} {end:?}");
        }
    }
}

#[test]
fn every_row_knows_its_line() {
    for end in ["\n", "\r\n", "\r"] {
        let text = "a\n\n\n\"b\n\nc\",d\ne\n\n\"\"\n\"f\n\"\ng".replace('\n', end);
        let lines = [
            row(1, &["a"]),
            row(4, &["b\n\nc", "d"]),
            row(7, &["e"]),
            row(9, &[""]),
            row(10, &["f\n"]),
            row(12, &["g"]),
        ];
        assert_eq!(rows(text.as_bytes()), lines, "{end:?}");
    }
}

#[test]
fn nothing_has_no_rows() {
    for text in ["", "\n", "\r\n\r\n", "\r\r"] {
        assert_eq!(rows(text.as_bytes()), [], "{text:?}");
    }
}

/// Goal: the span of every cell is right and includes the quotes. Method: cut the file at the span.
#[test]
fn every_cell_knows_its_place() {
    for end in ["\n", "\r\n", "\r"] {
        let text = "猫,\"b \"\"c\"\"\",,d\n\n\"eee\nf\",\"g\"\n".replace('\n', end);
        let lines: Vec<&str> = text.split(end).collect();
        let unified = unified(text.as_bytes());
        let mut rows = CsvRows::new(unified.as_slice(), b',', 1);
        let mut told = Vec::new();
        while let Some(row) = rows.next_row().expect("memory can be read") {
            for Span { line, begin, end } in row.expect("it is good").cells.into_iter().map(|cell| cell.place) {
                let line = lines[usize::try_from(line - 1).expect("few lines")];
                told.push(line[begin as usize..end as usize].to_owned());
            }
        }
        assert_eq!(told, ["猫", "\"b \"\"c\"\"\"", "", "d", "\"eee", "\"g\""], "{end:?}");
    }
}

#[test]
fn an_open_quote_is_told_where_it_opens() {
    let what = "a quote is opened here and never closed";
    assert_eq!(rows(b"a,b\nc,\"d\ne,f\ng,h\n"), [row(1, &["a", "b"]), bad(2, what)]);
    assert_eq!(rows(b"\"a\nb\",\"c\n"), [bad(2, what)]);
    assert_eq!(rows(b"\"a\"\""), [bad(1, what)]);
}

#[test]
fn what_is_stray_is_told_and_reading_goes_on() {
    let after = |line| format!("text follows the closing quote of a cell that is opened on line {line}");
    let before = "there is a space before an opening quote";
    assert_eq!(rows(b"\"a\" ,b\nc,d"), [bad(1, &after(1)), row(2, &["c", "d"])]);
    assert_eq!(rows(b"x\n\"a,1\n\"b\",2\nc,3"), [row(1, &["x"]), bad(3, &after(2)), row(4, &["c", "3"])]);
    assert_eq!(rows(b"a, \"b\"\nc"), [bad(1, before), row(2, &["c"])]);
    assert_eq!(rows(b"a \"b\",c"), [row(1, &["a \"b\"", "c"])]);
}

#[test]
fn a_row_is_limited() {
    let limited = |text: &'static [u8]| {
        let endless = BufReader::new(text.chain(io::repeat(b'd')));
        let mut rows = CsvRows::new(endless, b',', 1).with_row_bytes_max(100);

        rows.next_row().expect("memory can be read");
        let Ok(Some(Err(bad))) = rows.next_row() else { panic!("an endless row is no row") };
        assert_eq!(rows.next_row().expect("memory can be read"), None);
        (bad.line, bad.wrong.what, bad.wrong.remedy)
    };
    let what = || "the row that begins here is longer than 100 bytes".to_owned();
    assert_eq!(limited(b"a\n\nb"), (3, what(), "split it".to_owned()));
    let remedy = "close the quote that is opened on line 3".to_owned();
    assert_eq!(limited(b"a\n\"b\nc\",\"\n"), (2, what(), remedy));
}

/// Goal: the number of cells is limited even if they are empty, because the end of each cell needs memory.
#[test]
fn the_cells_of_a_row_are_limited() {
    let mut rows = CsvRows::new(BufReader::new(b"a\n".chain(io::repeat(b','))), b',', 1);
    rows.next_row().expect("memory can be read");
    let Ok(Some(Err(bad))) = rows.next_row() else { panic!("an endless row is no row") };
    assert_eq!((bad.line, bad.wrong.what.as_str()), (2, "the row that begins here has more than 10000 cells"));
    assert_eq!(rows.next_row().expect("memory can be read"), None);
}

/// Goal: a megabyte of spaces before a megabyte of quotes takes no longer than a megabyte of letters.
#[test]
fn quotes_behind_many_spaces_are_not_compared_with_each_of_them() {
    let text = format!("{}x{}", " ".repeat(1 << 20), "\"".repeat(1 << 20));
    assert_eq!(rows(text.as_bytes()), [row(1, &[&text])]);
}

/// Generates texts with frequent quotes, commas and line ends.
fn nasty() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("\""),
            Just("\"\""),
            Just(","),
            Just("\n"),
            Just("\r\n"),
            Just(" "),
            Just("a"),
            Just("猫"),
            Just("\"b\""),
            Just("\",\""),
        ],
        0..40,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    /// Goal: our rows equal those of the `csv` crate. Method: read the same text with both. Our reader treats each line end as one
    /// character, so the text contains only such line ends.
    #[test]
    fn rows_are_those_of_the_csv_crate(text in nasty()) {
        let text = text.replace("\r\n", "\n");
        let ours = rows(text.as_bytes());
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let theirs: Vec<Vec<String>> = reader.deserialize().collect::<Result<_, _>>().expect("it is text");
        prop_assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            // Allows our mistakes, because the `csv` crate reads such a row without an error.
            prop_assert!(ours.is_err() || ours.is_ok_and(|(_, cells)| cells == theirs));
        }
    }

    /// Goal: the line of a row is the line of its beginning. Method: cut the text before that line; the row is then the first.
    #[test]
    fn a_text_cut_at_the_line_of_a_row_begins_with_that_row(text in nasty()) {
        let text = text.replace("\r\n", "\n");
        for row in rows(text.as_bytes()).into_iter().flatten() {
            let lines = usize::try_from(row.0).expect("few lines");
            let rest: String = text.split_inclusive('\n').skip(lines - 1).collect();
            let first = rows(rest.as_bytes()).remove(0);
            prop_assert_eq!(first, Ok((1, row.1)));
        }
    }

    #[test]
    fn any_text_ends_and_stays_within_the_file(text in any::<String>()) {
        let n_lines = 1 + text.matches(['\n', '\r']).count() as u64;
        for row in rows(text.as_bytes()) {
            let line = row.map_or_else(|bad| bad.0, |row| row.0);
            prop_assert!((1..=n_lines).contains(&line));
        }
    }
}
