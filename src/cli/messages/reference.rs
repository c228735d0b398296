//! Command reference in Markdown, generated from the flags: the page `docs/commands.md`.

use std::fmt::Write;

use clap::{Arg, Command};

const HEAD: &str = "\
# Command reference

This page is generated from the program; `promptbatch run --help` prints the same for `run`. Data goes to stdout, progress and messages go
to stderr. Every flag of a run has an environment variable. A flag is stronger than its variable, the variable is stronger than the
manifest, and the manifest is stronger than the default. A variable that is empty counts as unset.

";

const EXIT_CODES: &str = "
## Exit codes

| code | meaning | then |
|---|---|---|
| 0 | every job has its image, even if there was nothing to do | |
| 1 | unexpected error, such as a full disk | do what the message says, and run the same command again |
| 2 | the usage or the manifest is wrong, or the folder belongs to another run; nothing was sent | do what the message says |
| 3 | the token is missing or refused, or every job is refused for the same reason | correct the token, the address or the model, and run the same command again |
| 4 | another process is running this batch | wait for its end; `status` shows how far it is |
| 5 | this part is done, and other jobs are outstanding (`--limit`, `--where`, `--sample`, or a merge with unfinished jobs) | run the same command again for more |
| 75 | stopped before the end: quota, outage, or a limit on cost, time or failures | run the same command again, when the message says so |
| 100 | finished, and some jobs have no image, or no other one after `redo`, or images on record are not on the disk | `retry`, or `verify` with `--repair` |
| 129, 130, 143 | interrupted by SIGHUP, SIGINT or SIGTERM | run the same command again |
";

/// Formats the reference of all commands.
pub(crate) fn markdown(top: &Command) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| command | |\n|---|---|\n");
    for command in top.get_subcommands() {
        let name = command.get_name();
        line(&mut page, format_args!("| [`{name}`](#promptbatch-{name}) | {} |", about(command)));
    }
    page.push_str(EXIT_CODES);
    for command in top.get_subcommands() {
        describe(&mut page, "promptbatch", command);
    }
    page
}

fn line(page: &mut String, words: std::fmt::Arguments<'_>) {
    writeln!(page, "{words}").expect("a string takes every text");
}

fn about(command: &Command) -> String {
    command.get_about().map(|about| cell(&about.to_string())).unwrap_or_default()
}

/// Describes a command and its subcommands. `above` are the words before its name.
fn describe(page: &mut String, above: &str, command: &Command) {
    let name = format!("{above} {}", command.get_name());
    let level = "#".repeat(name.split(' ').count());
    let usage = command.clone().bin_name(&name).render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    line(page, format_args!("\n{level} {name}\n\n{}\n\n```text\n{usage}\n```", about(command)));
    let shown: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help").collect();
    let mut headings: Vec<Option<&str>> = vec![];
    for arg in &shown {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    for heading in headings {
        if let Some(heading) = heading {
            line(page, format_args!("\n### {heading} (`{}`)", command.get_name()));
        }
        page.push_str("\n| | meaning | default | variable |\n|---|---|---|---|\n");
        for arg in shown.iter().filter(|arg| arg.get_help_heading() == heading) {
            row(page, arg);
        }
    }
    if let Some(text) = command.get_after_help() {
        line(page, format_args!("\n```text\n{}\n```", text.to_string().trim_end()));
    }
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        describe(page, &name, below);
    }
}

fn row(page: &mut String, arg: &Arg) {
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(|help| cell(&help.to_string())).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && arg.get_action().takes_values())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({})", value.get_name(), cell(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    let values = if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) };
    // Help texts name the defaults that clap does not know.
    let (help, own) = match help.split_once(" [default: ") {
        Some((help, own)) if own.contains('`') => (help.to_owned(), own.trim_end_matches(']').to_owned()),
        Some((help, own)) => (help.to_owned(), format!("`{}`", own.trim_end_matches(']'))),
        None => (help, String::new()),
    };
    let default = if arg.get_action().takes_values() { arg.get_default_values() } else { &[] };
    let default = default.first().map_or(own, |value| format!("`{}`", value.to_string_lossy()));
    let variable = arg.get_env().map_or_else(String::new, |name| format!("`{}`", name.to_string_lossy()));
    line(page, format_args!("| `{}` | {help}{values} | {default} | {variable} |", cell(&flag(arg))));
}

/// Formats how an argument is written: `-o, --out <OUT>`.
fn flag(arg: &Arg) -> String {
    let names: Vec<_> = arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let value = if arg.get_action().takes_values() { names.join(" ") } else { String::new() };
    let Some(long) = arg.get_long() else { return value };
    let short = arg.get_short().map_or_else(String::new, |short| format!("-{short}, "));
    let value = match (value.is_empty(), arg.is_require_equals_set()) {
        (true, _) => value,
        (false, true) => format!("[={value}]"),
        (false, false) => format!(" {value}"),
    };
    format!("{short}--{long}{value}")
}

/// Formats a text as part of a table: on one line, with its bars escaped.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
