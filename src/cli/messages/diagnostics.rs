//! Diagnostics for mistakes in a manifest, like those of a compiler: the line, carets, the problem and a remedy.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::{env, io};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use crate::cli::exit::Exit;
use crate::cli::output::{fail, is_json, print_message};
use crate::manifest::Manifest;
use crate::manifest::diagnostics::{Diagnostic, Location, Span};
use crate::manifest::error::ManifestError;
use crate::manifest::input::source_lines::lines_of;
use crate::manifest::source::Source;
use crate::model::escape::escape;

/// Maximum number of mistakes, and of warnings, that are printed. The rest is counted.
const SHOWN_MAX: usize = 20;

/// Width of a common terminal, in columns. Longer lines are cut around the span.
const COLUMNS: usize = 80;

/// Maximum number of characters with carets under them. They fit on a terminal even if each is two columns wide.
const CARETS_MAX: usize = 30;

/// Maximum number of characters read from the start of the span: a terminal shows no more, and a file may be one line.
const BEHIND_MAX: usize = 200;

/// Prints why a manifest cannot be run.
pub(crate) fn refuse(error: &ManifestError, source: &Source) -> Exit {
    let ManifestError::Mistakes { mistakes } = error else { return fail(Exit::Usage, error) };
    show(source, Severity::Warning, mistakes.warnings());
    show(source, Severity::Error, mistakes.list());
    let n = mistakes.n();
    let first = if n > SHOWN_MAX as u64 { format!(", the first {SHOWN_MAX} above") } else { String::new() };
    let s = if n == 1 { "" } else { "s" };
    print_message(&format!("error: could not use {}: {n} mistake{s}{first}", source.path.display()));
    Exit::Usage
}

/// Prints warnings about text that a manifest allows, but that is probably unintended.
pub(crate) fn warn(manifest: &Manifest) {
    show(manifest.source(), Severity::Warning, manifest.warnings());
    let n = manifest.n_warnings();
    if n > SHOWN_MAX as u64 {
        print_message(&format!("warning: {}: {n} warnings, the first {SHOWN_MAX} above", manifest.path().display()));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

fn show(source: &Source, severity: Severity, mistakes: &[Diagnostic]) {
    let mistakes = &mistakes[..mistakes.len().min(SHOWN_MAX)];
    let lines = lines(source, mistakes);
    if is_json() {
        let render = |mistake| render(&Renderer::plain(), &group(source, severity, mistake, &lines));
        return mistakes.iter().for_each(|mistake| print_message(render(mistake).trim_end()));
    }
    let renderer = if is_coloured() { Renderer::styled() } else { Renderer::plain() };
    let mut told = String::new();
    for mistake in mistakes {
        told.push_str(&render(&renderer, &group(source, severity, mistake, &lines)));
        told.push_str("\n\n");
    }
    // Every part of the text is already escaped, and the colours must not be. Write errors are ignored, because no
    // reader is left.
    drop(io::stderr().write_all(told.as_bytes()));
}

/// Renders a mistake as text, slightly narrower than the terminal: accents and similar characters are not counted
/// exactly.
fn render(renderer: &Renderer, group: &Group<'_>) -> String {
    renderer.clone().decor_style(DecorStyle::Ascii).term_width(COLUMNS - 2).render(std::slice::from_ref(group))
}

fn lines(source: &Source, mistakes: &[Diagnostic]) -> BTreeMap<u64, String> {
    let numbers: BTreeSet<u64> = mistakes.iter().filter_map(Diagnostic::line).collect();
    lines_of(&source.path, source.encoding, &numbers)
}

/// Reports whether colours are used: only on terminals that show them, and not if the user switched them off.
fn is_coloured() -> bool {
    let is_unset = |name: &str| env::var_os(name).is_none_or(|value| value.is_empty());
    io::stderr().is_terminal() && is_unset("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn group(source: &Source, severity: Severity, mistake: &Diagnostic, lines: &BTreeMap<u64, String>) -> Group<'static> {
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let path = mistake.file(&source.path);
    let text = mistake.line().and_then(|line| lines.get(&line));
    let title = |what: &str| Group::with_title(level.clone().primary_title(escape(what)));
    let group = match (mistake.place, text) {
        (Location::CommandLine, _) => title(&format!("command line: {}", mistake.what)),
        (Location::File | Location::Text(_), _) => title(&mistake.what).element(Origin::path(path)),
        (Location::Cell { .. }, _) => {
            title(&format!("{}: {}", mistake.cell(), mistake.what)).element(Origin::path(path))
        }
        (Location::Entry(entry), _) => title(&format!("entry {entry}: {}", mistake.what)).element(Origin::path(path)),
        (Location::Line(line) | Location::Span(Span { line, .. }), None) => {
            title(&mistake.what).element(Origin::path(path).line(number(line)))
        }
        (Location::Line(line), Some(text)) => {
            let whole = Span { line, begin: 0, end: 0 };
            // Without a span, only this path shows the number of the line.
            title(&mistake.what).element(snippet(format!("{path}:{line}"), text, whole, AnnotationKind::Visible))
        }
        (Location::Span(span), Some(text)) => {
            title(&mistake.what).element(snippet(path, text, span, AnnotationKind::Primary))
        }
    };
    group.element(Level::HELP.message(escape(&mistake.remedy)))
}

/// Builds the line with its number, and carets under the span.
fn snippet(path: String, line: &str, span: Span, kind: AnnotationKind) -> Snippet<'static, Annotation<'static>> {
    // The file may have changed since the span was found.
    let (before, rest) = line.split_at(line.floor_char_boundary(span.begin as usize));
    let pointed = &rest[..rest.ceil_char_boundary((span.end - span.begin) as usize)];
    let pointed: String = pointed.chars().take(CARETS_MAX).map(shown).collect();
    let mut text: String = before.chars().map(shown).collect();
    let begin = text.len();
    text.extend(rest.chars().take(BEHIND_MAX).map(shown));
    let end = begin + pointed.len();
    Snippet::source(text).path(path).line_start(number(span.line)).annotation(kind.span(begin..end))
}

/// Replaces a character that is not safe on a terminal. Each character becomes exactly one, so that columns stay
/// aligned.
fn shown(c: char) -> char {
    if c == '\t' {
        return ' ';
    }
    let is_safe = escape(c.encode_utf8(&mut [0; 4])).chars().eq([c]);
    if is_safe { c } else { char::REPLACEMENT_CHARACTER }
}

fn number(line: u64) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX)
}

/// Returns the column of a byte of the line, in characters from 1.
fn column(line: &str, byte: u32) -> usize {
    line[..line.floor_char_boundary(byte as usize)].chars().count() + 1
}

/// Builds the result of `validate` as one JSON object for editors and scripts: the number of jobs, or the mistakes.
pub(crate) fn object(source: &Source, read: Result<&Manifest, &ManifestError>) -> Value {
    let (mistakes, n_mistakes, warnings, n_warnings) = match read {
        Ok(manifest) => (&[][..], 0, manifest.warnings(), manifest.n_warnings()),
        Err(ManifestError::Mistakes { mistakes }) => {
            (mistakes.list(), mistakes.n(), mistakes.warnings(), mistakes.n_warnings())
        }
        Err(_) => (&[][..], 1, &[][..], 0),
    };
    let mut told = Vec::new();
    for (severity, found) in [("error", mistakes), ("warning", warnings)] {
        let lines = lines(source, found);
        told.extend(found.iter().map(|mistake| told_of(source, severity, mistake, &lines)));
    }
    if let Err(
        error @ (ManifestError::Read { .. }
        | ManifestError::UnknownFormat { .. }
        | ManifestError::PictureChanged { .. }
        | ManifestError::Changed { .. }),
    ) = read
    {
        told.push(json!({
            "severity": "error", "path": source.path.to_string_lossy(), "line": null, "column": null, "end_column": null,
            "message": error.to_string(), "help": null,
        }));
    }
    json!({
        "manifest": source.path.to_string_lossy(),
        "jobs": read.ok().map(Manifest::n_jobs),
        "skipped": read.ok().map(|manifest| manifest.skipped().n()),
        "columns": read.ok().map(columns),
        "repeated": read.ok().map(|manifest| manifest.repeats().n_again()),
        "mistakes": told,
        "n_mistakes": n_mistakes,
        "n_warnings": n_warnings,
    })
}

/// Lists what each column of a table is used as, and the columns that are only carried through.
fn columns(manifest: &Manifest) -> Value {
    let used = manifest.used_columns().iter().map(|(column, field)| json!({ "column": column, "field": field }));
    json!({ "used": used.collect::<Vec<_>>(), "carried": manifest.columns() })
}

fn told_of(source: &Source, severity: &str, mistake: &Diagnostic, lines: &BTreeMap<u64, String>) -> Value {
    let Diagnostic { place, part, what, remedy } = mistake;
    let columns = match place {
        Location::Span(Span { line, begin, end }) => {
            lines.get(line).map(|line| (column(line, *begin), column(line, *end)))
        }
        Location::Cell { column, .. } if *column > 0 => Some((*column as usize, *column as usize + 1)),
        Location::Line(_)
        | Location::Entry(_)
        | Location::Cell { .. }
        | Location::Text(_)
        | Location::File
        | Location::CommandLine => None,
    };
    let file = part.as_ref().map_or_else(|| source.path.clone(), |part| source.path.join(part));
    let file = || Some(file.to_string_lossy());
    let row = if let Location::Cell { row, .. } = place { Some(*row) } else { None };
    let (path, message) = match place {
        Location::CommandLine => (None, what.clone()),
        Location::Cell { .. } => (file(), format!("{}: {what}", mistake.cell())),
        Location::Entry(entry) => (file(), format!("entry {entry}: {what}")),
        Location::File | Location::Line(_) | Location::Span(_) | Location::Text(_) => (file(), what.clone()),
    };
    json!({
        "severity": severity,
        "path": path,
        "line": row.or(place.line()),
        "column": columns.map(|(begin, _)| begin),
        "end_column": columns.map(|(_, end)| end),
        "message": message,
        "help": remedy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renders a mistake about `text` on line 7, without colours.
    fn told(place: Location, text: &str) -> String {
        let source = Source { path: "p.yaml".into(), ..Source::default() };
        let mistake = Diagnostic {
            place,
            part: None,
            what: "unknown field `sede`".into(),
            remedy: "did you mean `seed`?".into(),
        };
        let lines = [(7, text.to_owned())].into();
        render(&Renderer::plain(), &group(&source, Severity::Error, &mistake, &lines))
    }

    fn at(begin: usize, end: usize) -> Location {
        let [begin, end] = [begin, end].map(|byte| u32::try_from(byte).expect("the test writes short lines"));
        Location::Span(Span { line: 7, begin, end })
    }

    #[test]
    fn a_caret_stands_under_each_character_of_the_place() {
        assert_eq!(
            told(at(4, 8), "  - sede: 1"),
            "error: unknown field `sede`\n --> p.yaml:7:5\n  |\n7 |   - sede: 1\n  |     ^^^^\n  |\n  = help: did you mean `seed`?"
        );
        let wide = told(at(15, 19), "{一只猫: 1, sede: 1}");
        assert!(wide.contains(":7:10\n") && wide.contains("\n  |             ^^^^"), "{wide}");
        let tab = told(at(3, 7), "-\t{sede: 1}");
        assert!(tab.contains("7 | - {sede: 1}\n  |    ^^^^"), "{tab}");
    }

    #[test]
    fn a_line_without_a_place_is_shown_and_so_is_where_it_is() {
        let line = told(Location::Line(7), "  - a\tcat");
        assert!(line.contains(" --> p.yaml:7\n  |\n7 |   - a cat\n  |\n  = help: "), "{line}");
        let elsewhere = told(Location::Line(8), "");
        assert!(elsewhere.contains("--> p.yaml:8\n") && !elsewhere.contains('^'), "{elsewhere}");
    }

    #[test]
    fn what_is_of_no_line_shows_none() {
        assert!(!told(Location::CommandLine, "").contains("p.yaml"));
        for place in [Location::File, Location::Entry(3)] {
            let told = told(place, "");
            assert!(told.contains("--> p.yaml\n") && !told.contains("7 |"), "{told}");
        }
        assert!(told(Location::Entry(3), "").starts_with("error: entry 3: unknown"));
    }

    /// Goal: every shown line fits, is harmless, and has no caret beyond its end. Method: long lines of narrow, wide
    /// and dangerous characters. The spans are everywhere: short, long, within characters and behind the end.
    #[test]
    fn long_lines_are_cut_around_the_place() {
        for unit in ["word ", "一只猫", "e\u{301}x ", "a\u{1b}[31m\u{202e}\u{9b}", "\tx"] {
            let line = format!("{}sede{}", unit.repeat(400), unit.repeat(400));
            let here = line.find("sede").expect("it stands there");
            for (begin, end) in [
                (here, here + 4),
                (0, 1),
                (1, 2),
                (0, here),
                (here, line.len()),
                (line.len(), line.len() + 9),
                (9_999, 9_999),
            ] {
                let told = told(at(begin, end), &line);
                // A combining accent takes no column.
                let n_columns = |line: &str| line.chars().filter(|c| *c != '\u{301}').count();
                assert!(!told.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{told:?}");
                assert!(told.contains('^') && told.lines().all(|line| n_columns(line) <= COLUMNS), "{told}");
                if begin == here {
                    assert!(told.contains("sede"), "{told}");
                }
            }
        }
    }
}
