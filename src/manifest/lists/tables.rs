//! Table of texts for vars: the rows of a CSV or TSV file, or the items of a YAML or JSON list.

use serde_json::{Map, Value};

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::value::shown_text;

/// Columns with one text per row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextTable {
    /// Titles of the columns. Empty for a list of texts, which has one column without a title.
    pub(crate) titles: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Kind of a file with a table, by the extension of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableKind {
    Csv,
    Tsv,
    Json,
    JsonLines,
    Yaml,
}

impl TableKind {
    /// Returns the kind that the name of a file means. `None` for a list with one text per line.
    pub(crate) fn of(file: &str) -> Option<Self> {
        match file.rsplit_once('.')?.1.to_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

impl TextTable {
    /// Parses the text of a file. Rows without any character are skipped.
    pub(super) fn parse(file: &str, kind: TableKind, text: &str) -> Result<Self, Issue> {
        let bad = |problem: String| {
            let what = format!("the table {} could not be read: {problem}", shown_text(file));
            wrong(what, "correct the file")
        };
        let mut table = match kind {
            TableKind::Csv => Self::of_rows(text, delimiter_of(text)).map_err(|error| bad(error.to_string()))?,
            TableKind::Tsv => Self::of_rows(text, b'\t').map_err(|error| bad(error.to_string()))?,
            TableKind::Json => {
                Self::of_value(file, serde_json::from_str(text).map_err(|error| bad(error.to_string()))?)?
            }
            TableKind::JsonLines => {
                let lines = text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str);
                Self::of_items(file, lines.collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?)?
            }
            TableKind::Yaml => {
                Self::of_value(file, serde_yaml::from_str(text).map_err(|error| bad(error.to_string()))?)?
            }
        };
        table.rows.retain(|row| row.iter().any(|cell| !cell.trim().is_empty()));
        if table.rows.is_empty() {
            return Err(wrong(format!("the table {} has no rows", shown_text(file)), "write at least one"));
        }
        Ok(table)
    }

    fn of_rows(text: &str, delimiter: u8) -> Result<Self, ::csv::Error> {
        let mut reader = ::csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
        let titles = reader.headers()?.iter().map(|title| title.trim().to_owned()).collect();
        let rows = reader.records().map(|row| row.map(|row| row.iter().map(str::to_owned).collect()));
        Ok(Self { titles, rows: rows.collect::<Result<_, _>>()? })
    }

    fn of_value(file: &str, value: Value) -> Result<Self, Issue> {
        match value {
            Value::Array(items) => Self::of_items(file, items),
            Value::Object(columns) => Self::of_columns(file, columns),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(no_table(file)),
        }
    }

    /// Makes a table of texts, or of maps with the texts of a row.
    fn of_items(file: &str, items: Vec<Value>) -> Result<Self, Issue> {
        let mut titles: Vec<String> = Vec::new();
        for title in items.iter().filter_map(Value::as_object).flat_map(Map::keys) {
            if !titles.contains(title) {
                titles.push(title.clone());
            }
        }
        let row = |item: Value| match item {
            Value::Object(mut map) => {
                titles.iter().map(|title| text(map.remove(title).unwrap_or(Value::Null))).collect::<Option<Vec<_>>>()
            }
            value if titles.is_empty() => Some(vec![text(value)?]),
            _ => None,
        };
        let rows = items.into_iter().map(row).collect::<Option<_>>().ok_or_else(|| no_table(file))?;
        Ok(Self { titles, rows })
    }

    /// Makes a table of a map with a list for each column.
    fn of_columns(file: &str, columns: Map<String, Value>) -> Result<Self, Issue> {
        let mut titles = Vec::new();
        let mut rows: Vec<Vec<String>> = Vec::new();
        for (title, values) in columns {
            let Value::Array(values) = values else { return Err(no_table(file)) };
            if titles.is_empty() {
                rows.resize(values.len(), Vec::new());
            }
            if rows.len() != values.len() {
                let what = format!("the lists in {} have different lengths", shown_text(file));
                return Err(wrong(what, "give each of them one value per row"));
            }
            titles.push(title);
            for (row, value) in rows.iter_mut().zip(values) {
                row.push(text(value).ok_or_else(|| no_table(file))?);
            }
        }
        Ok(Self { titles, rows })
    }
}

/// Returns the text of a scalar. `None` for a list or a map.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn no_table(file: &str) -> Issue {
    let what = format!("the file {} holds no list of texts or rows", shown_text(file));
    wrong(what, "write a list of texts, or a list of maps with the texts of each row")
}

/// Returns the delimiter that the header has most often.
fn delimiter_of(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let n = |delimiter: u8| header.bytes().filter(|byte| *byte == delimiter).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|delimiter| n(*delimiter)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(file: &str, text: &str) -> Result<TextTable, String> {
        let kind = TableKind::of(file).expect("it is a table");
        TextTable::parse(file, kind, text).map_err(|wrong| wrong.what)
    }

    fn of(titles: &[&str], rows: &[&[&str]]) -> TextTable {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        TextTable { titles: texts(titles), rows: rows.iter().map(|row| texts(row)).collect() }
    }

    #[test]
    fn tables_are_read_by_the_extension() {
        let animals = of(&["animal", "place"], &[&["heron", "reeds"], &["hare", "a, field"]]);
        for (file, text) in [
            ("a.csv", "animal,place\nheron,reeds\n,\nhare,\"a, field\"\n"),
            ("a.CSV", "animal;place\r\nheron;reeds\r\nhare;a, field\r\n"),
            ("a.tsv", "animal\tplace\nheron\treeds\nhare\ta, field\n"),
            ("a.json", "[{\"animal\":\"heron\",\"place\":\"reeds\"},{\"place\":\"a, field\",\"animal\":\"hare\"}]"),
            ("a.json", "{\"animal\":[\"heron\",\"hare\"],\"place\":[\"reeds\",\"a, field\"]}"),
            ("a.jsonl", "{\"animal\":\"heron\",\"place\":\"reeds\"}\n\n{\"animal\":\"hare\",\"place\":\"a, field\"}\n"),
            ("a.yaml", "- {animal: heron, place: reeds}\n- animal: hare\n  place: a, field\n"),
            ("a.yml", "animal: [heron, hare]\nplace: [reeds, 'a, field']\n"),
        ] {
            assert_eq!(table(file, text).as_ref(), Ok(&animals), "{file}: {text}");
        }
        for (file, text) in [("a.json", "[\"heron\", 7, true]"), ("a.yaml", "- heron\n- 7\n- true\n")] {
            assert_eq!(table(file, text), Ok(of(&[], &[&["heron"], &["7"], &["true"]])), "{file}");
        }
        assert_eq!(table("a.json", "[{\"a\":1},{\"b\":null}]"), Ok(of(&["a", "b"], &[&["1", ""]])));
    }

    #[test]
    fn other_files_are_no_tables() {
        for (file, text, what) in [
            ("a.json", "7", "the file `a.json` holds no list of texts or rows"),
            ("a.json", "[[1]]", "the file `a.json` holds no list of texts or rows"),
            ("a.yaml", "- a\n- {b: c}\n", "the file `a.yaml` holds no list of texts or rows"),
            ("a.yaml", "a: [1]\nb: [1, 2]\n", "the lists in `a.yaml` have different lengths"),
            ("a.csv", "a,b\n", "the table `a.csv` has no rows"),
        ] {
            assert_eq!(table(file, text), Err(what.to_owned()), "{text}");
        }
        assert!(
            table("a.csv", "a,b\nc\n").is_err_and(|what| what.starts_with("the table `a.csv` could not be read: "))
        );
        for file in ["a.txt", "csv", "a.list"] {
            assert_eq!(TableKind::of(file), None, "{file}");
        }
    }
}
