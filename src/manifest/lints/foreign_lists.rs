//! Recognition of files that are no list of texts, by the endings of their names.

use std::path::Path;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::value::shown_text;

/// Endings, what such a file is, and the command that makes a list of it. `{}` stands for its name without the ending.
const KINDS: [(&str, &str, &str); 11] = [
    (
        "csv",
        "a table",
        "write one column to a text file, without its title: tail -n +2 {}.csv | cut -d , -f 1 > {}.txt",
    ),
    ("tsv", "a table", "write one column to a text file, without its title: tail -n +2 {}.tsv | cut -f 1 > {}.txt"),
    ("tab", "a table", "write one column to a text file, without its title: tail -n +2 {}.tab | cut -f 1 > {}.txt"),
    ("json", "JSON", "write its texts to a text file: jq -r '.[]' {}.json > {}.txt"),
    ("jsonl", "JSON", "write its texts to a text file: jq -r . {}.jsonl > {}.txt"),
    ("ndjson", "JSON", "write its texts to a text file: jq -r . {}.ndjson > {}.txt"),
    (
        "yaml",
        "YAML",
        "copy its list into this manifest, or write its texts to a text file: sed 's/^- *//' {}.yaml > {}.txt",
    ),
    (
        "yml",
        "YAML",
        "copy its list into this manifest, or write its texts to a text file: sed 's/^- *//' {}.yml > {}.txt",
    ),
    ("xlsx", "a workbook", "save one column as plain text, {}.txt"),
    ("md", "Markdown", "write its texts to a text file, {}.txt, one per line"),
    ("gz", "compressed", "unpack it: gunzip {}.gz"),
];

/// Returns the mistake for the name of a file that is no list. A list has one text per line.
pub(crate) fn found(file: &str) -> Option<Issue> {
    let path = Path::new(file);
    let ending = path.extension()?.to_str()?.to_lowercase();
    let (_, kind, remedy) = KINDS.iter().find(|(other, ..)| *other == ending)?;
    let stem = file.get(..file.len() - ending.len() - 1)?;
    let what = format!("the file {} is {kind}, and a list has one text per line", shown_text(file));
    Some(wrong(what, remedy.replace("{}", stem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_known_by_its_ending() {
        for (ending, ..) in KINDS {
            for file in [format!("a/b.{ending}"), format!("b.{}", ending.to_uppercase())] {
                let wrong = found(&file).expect("it is no list");
                assert!(!wrong.remedy.contains("{}") && wrong.remedy.contains('b'), "{wrong:?}");
            }
        }
        for file in ["animals.txt", "animals", "a.csv/animals.list", ".csv", "csv"] {
            assert_eq!(found(file), None, "{file}");
        }
    }
}
