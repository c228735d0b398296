//! Tests of the documentation: its commands run, its links and files exist, and what is generated from the program is
//! current.
//!
//! A comment before a fenced block says how it is tested:
//!
//! | comment | meaning |
//! |---|---|
//! | `<!-- file: NAME -->` | the block is written to this file in the folder of the page |
//! | `<!-- manifest: NAME -->` | the same, and `validate` accepts the file |
//! | `<!-- exit: N -->` | the last command of the block ends with this exit code, and not with 0 |
//! | `<!-- not run: WHY -->` | the commands are parsed only |
//! | `<!-- schema: SYSTEM -->` | the block is a file for another system, and is held against the schema of that system |
//! | `<!-- example -->` | the block is no file and no command |
//!
//! The commands of a page run in order in one folder, which holds a copy of `examples/`. Lines below a command are its
//! output; `...` stands for further lines, and times do not count.

mod bench;
mod launchers;
mod markdown;
mod page;
mod reference;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use markdown::{links, pages, root, slugs, spans, text};

/// Goal: a reader who copies a command gets what the page says. Method: run every command of every page against a
/// simulated API, each page in a folder of its own.
#[test]
fn every_command_of_the_documentation_runs() {
    let pages: Vec<PathBuf> = pages().into_iter().filter(|page| !page.starts_with("benches")).collect();
    let n_commands: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = pages.iter().map(|page| scope.spawn(move || page::run(page, &text(page)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panic!("see above"))).sum()
    });
    assert!(n_commands > 10, "only {n_commands} commands ran: is the test looking for the right thing?");
}

/// Goal: the program accepts what a text mentions. Method: every code span that begins with the program's name is
/// parsed with `--help` at its end, and every span that begins with a flag is looked up in the command reference.
#[test]
fn commands_and_flags_in_the_text_exist() {
    let reference = text(Path::new("docs/commands.md"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let known: BTreeSet<&str> = reference.split(|c| !is_name(c)).chain(["--help", "--version"]).collect();
    let mut checked = BTreeSet::new();
    for page in pages().into_iter().filter(|page| !page.starts_with("benches")) {
        for span in spans(&text(&page)) {
            if span.starts_with("promptbatch ") && checked.insert(span.clone()) {
                page::parses(&page, &span);
            }
            let name = span.split(|c| !is_name(c)).next().unwrap();
            let is_flag = name.strip_prefix("--").is_some_and(|word| word.starts_with(char::is_alphabetic));
            let is_variable = name.starts_with("PROMPTBATCH_") && !name.contains("TEST");
            let is_there = !(is_flag || is_variable) || known.contains(name);
            assert!(is_there, "{}: the command reference has no `{name}`", page.display());
        }
    }
    assert!(checked.len() > 10, "only {} commands found", checked.len());
}

#[test]
fn links_and_files_in_the_text_exist() {
    let folders = ["src/", "tests/", "docs/", "examples/", "benches/", ".ci/", ".github/"];
    let mut n_links = 0;
    for page in pages() {
        let text = text(&page);
        let folder = root().join(&page).parent().unwrap().to_owned();
        for link in links(&text).filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(&page) } else { folder.join(file) };
            assert!(target.exists(), "{}: there is no {file}", page.display());
            let is_there = anchor.is_empty() || slugs(&fs::read_to_string(&target).unwrap()).any(|slug| slug == anchor);
            assert!(is_there, "{}: {link} names no heading", page.display());
            n_links += 1;
        }
        for span in spans(&text) {
            let is_path = folders.iter().any(|folder| span.starts_with(folder)) && !span.contains(['*', '<', ' ', ':']);
            assert!(!is_path || root().join(&span).exists(), "{}: there is no {span}", page.display());
        }
    }
    assert!(n_links > 20, "only {n_links} links found");
}

#[test]
fn the_summary_lists_every_page_once() {
    let summary = text(Path::new("docs/SUMMARY.md"));
    let mut listed: Vec<_> = links(&summary).map(str::to_owned).collect();
    listed.sort();
    let all = pages().into_iter().filter_map(|page| Some(page.strip_prefix("docs").ok()?.to_str().unwrap().to_owned()));
    let all: Vec<_> = all.filter(|page| page != "SUMMARY.md").collect();
    assert_eq!(listed, all);
}

/// Goal: a newcomer reads the whole README.
#[test]
fn the_readme_is_short() {
    for page in ["README.md", "README.zh-CN.md"] {
        let n_lines = text(Path::new(page)).lines().count();
        assert!(n_lines <= 180, "{page} has {n_lines} lines");
    }
}
