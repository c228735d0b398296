//! Pages that follow the program: the command reference, the table of JSON events, and the messages with their remedies.

use std::fs;
use std::path::Path;

use crate::bench::{output, stdout};
use crate::markdown::{root, spans, text};
use crate::page::parses;

/// Goal: the command reference is never older than the program. Method: the program generates it. With `UPDATE_DOCS=1`
/// the page is written.
#[test]
fn the_command_reference_is_generated() {
    let generated = stdout(&output(&["man", "--markdown"]));
    let page = root().join("docs/commands.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, &generated).unwrap();
    }
    let is_current = fs::read_to_string(&page).is_ok_and(|text| text == generated);
    assert!(is_current, "docs/commands.md is stale: UPDATE_DOCS=1 cargo test --test docs");
}

/// Goal: a reader who copies an example of the help is not refused. Method: parse every example.
#[test]
fn the_examples_of_the_help_parse() {
    let page = Path::new("docs/commands.md");
    let text = text(page);
    let examples = text.lines().filter(|line| line.starts_with("  promptbatch "));
    // A comment follows after two spaces or more.
    let commands: Vec<&str> = examples.map(|line| line.trim().split("  ").next().unwrap()).collect();
    assert!(commands.len() > 30, "only {} examples found", commands.len());
    for command in commands {
        parses(page, command);
    }
}

/// Goal: the page about CI shows the event table of the code.
#[test]
fn the_table_of_events_is_that_of_the_code() {
    let code = fs::read_to_string(root().join("src/report/stream.rs")).unwrap();
    let table: Vec<_> =
        code.lines().filter_map(|line| line.strip_prefix("//! |")).map(|row| format!("|{row}\n")).collect();
    assert!(table.len() > 10, "no table found");
    assert!(
        text(Path::new("docs/ci.md")).contains(&table.concat()),
        "copy the table of src/report/stream.rs to docs/ci.md"
    );
}

/// Returns the messages of the troubleshooting page: the first code span of every row.
fn patterns() -> Vec<String> {
    let page = text(Path::new("docs/troubleshooting.md"));
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| spans(row).remove(0)).collect()
}

/// Whether a message is of this pattern, in which `...` stands for any text.
fn matches(pattern: &str, message: &str) -> bool {
    let mut rest = Some(message);
    for part in pattern.split("...") {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, rest)| rest);
    }
    rest.is_some()
}

/// Goal: a user who meets an error finds its cause and its remedy. Method: the snapshot of every error.
#[test]
fn every_error_has_a_remedy_in_the_documentation() {
    let patterns = patterns();
    let errors = text(Path::new("tests/process/snapshots/process__errors__every-error.snap"));
    let messages = errors.lines().filter_map(|line| Some(line.split_once("error: ")?.1));
    let messages: Vec<_> = messages.collect();
    assert!(messages.len() > 100, "only {} errors found", messages.len());
    let unknown: Vec<_> =
        messages.iter().filter(|message| !patterns.iter().any(|pattern| matches(pattern, message))).collect();
    assert!(unknown.is_empty(), "docs/troubleshooting.md has no row for\n{unknown:#?}");
}

/// Goal: no row is about a message of the past. Method: every part of a pattern occurs in the sources, or in a snapshot
/// of the output.
#[test]
fn every_message_in_the_documentation_exists() {
    let mut known = String::new();
    let mut folders: Vec<_> =
        ["src", "python", "tests/process/snapshots", "tests/snapshots"].map(|folder| root().join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                // A string that continues on the next line of the code.
                let lines =
                    text.split("\\\n").enumerate().map(|(i, part)| if i == 0 { part } else { part.trim_start() });
                known.extend(lines);
            }
        }
    }
    let patterns = patterns();
    for part in patterns.iter().flat_map(|pattern| pattern.split("...")) {
        assert!(known.contains(part.trim()), "no message says `{part}`");
    }
}
