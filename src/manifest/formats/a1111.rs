//! Lines for the script "prompts from file" of the web UI: a prompt, or switches such as `--prompt "a cat" --seed 5`.

use std::collections::BTreeSet;
use std::io;
use std::iter::Peekable;
use std::vec;

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::fields::field::{Field, misspelt};
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::value::{UnparsedValue, shown_text};
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{EntrySource, Format, FormatInput, Opened};
use crate::manifest::formats::sides::{Side, Sides};
use crate::manifest::formats::text_lines::{NonBlankLines, TextLine};
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::lists::ListFiles;

/// Lines of switches.
pub(crate) struct A1111;

impl Format for A1111 {
    fn name(&self) -> &'static str {
        "a1111"
    }

    fn help(&self) -> &'static str {
        "Lines of the web UI script \"prompts from file\": a prompt, or switches"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    fn instead_of_column(&self, _: Field) -> Option<String> {
        Some("each line has its own switches".to_owned())
    }

    fn open(
        &self,
        input: FormatInput,
        _: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        Ok(Opened::entries(SwitchLines { lines: NonBlankLines::new(input.text(findings)?), warned: BTreeSet::new() }))
    }
}

/// What a switch gives.
#[derive(Clone, Copy)]
enum Gives {
    Field(Field),
    Side(Side),
    /// Factor of the number of images.
    Factor,
    /// A value that no provider has. It is passed through.
    Extra,
}

/// All switches of the script.
const SWITCHES: [(&str, Gives); 24] = [
    ("prompt", Gives::Field(Field::Prompt)),
    ("negative_prompt", Gives::Field(Field::NegativePrompt)),
    ("seed", Gives::Field(Field::Seed)),
    ("steps", Gives::Field(Field::Steps)),
    ("cfg_scale", Gives::Field(Field::Guidance)),
    ("sd_model", Gives::Field(Field::Model)),
    ("width", Gives::Side(Side::Width)),
    ("height", Gives::Side(Side::Height)),
    ("batch_size", Gives::Factor),
    ("n_iter", Gives::Factor),
    ("sampler_name", Gives::Extra),
    ("sampler_index", Gives::Extra),
    ("styles", Gives::Extra),
    ("subseed", Gives::Extra),
    ("subseed_strength", Gives::Extra),
    ("seed_resize_from_h", Gives::Extra),
    ("seed_resize_from_w", Gives::Extra),
    ("outpath_samples", Gives::Extra),
    ("outpath_grids", Gives::Extra),
    ("prompt_for_display", Gives::Extra),
    ("restore_faces", Gives::Extra),
    ("tiling", Gives::Extra),
    ("do_not_save_samples", Gives::Extra),
    ("do_not_save_grid", Gives::Extra),
];

/// Lines of a file as entries.
struct SwitchLines {
    lines: NonBlankLines,
    /// Switches whose warning was given.
    warned: BTreeSet<&'static str>,
}

impl SwitchLines {
    /// Reads the switches of a line.
    fn entry(&mut self, text: &str, place: Location, findings: &mut PassDiagnostics) -> Result<Entry, Issue> {
        let mut entry = Entry::new(place);
        let mut sides = Sides::default();
        let mut factors = Vec::new();
        let mut words = words(text)?.into_iter().peekable();
        while let Some(word) = words.next() {
            let (name, gives) = switch(&word)?;
            let value = value(name, gives, &mut words)?;
            match gives {
                Gives::Field(field) if entry.given.iter().any(|given| given.field == field) => {
                    return Err(wrong(format!("`--{name}` is given twice"), "keep one of them"));
                }
                Gives::Field(field) => entry.given.push(FieldEntry::one(field, UnparsedValue::Cell(value), place)),
                Gives::Side(side) => sides.add(side, &value, place),
                Gives::Factor => factors.push(value),
                Gives::Extra => {
                    if self.warned.insert(name) {
                        let what = format!("`--{name}` is carried through and not sent");
                        findings.warnings.push(place, wrong(what, "remove it if you do not need it"));
                    }
                    entry.extras.push((name.to_owned(), value));
                }
            }
        }
        entry.given.extend(sides.size(&entry.given).map_err(|(_, wrong)| wrong)?);
        let numbers: Result<Vec<u32>, _> = factors.iter().map(|factor| factor.parse()).collect();
        // A factor that is no number gets the mistake of the field `n`.
        let n = numbers.map_or_else(|_| factors.concat(), |all| all.iter().product::<u32>().to_string());
        if !factors.is_empty() {
            entry.given.push(FieldEntry::one(Field::N, UnparsedValue::Cell(n), place));
        }
        Ok(entry)
    }
}

/// Returns the switch that a word names.
fn switch(word: &str) -> Result<(&'static str, Gives), Issue> {
    const REMEDY: &str = "begin each switch with two dashes, and put a value with spaces in quotes";
    let Some(name) = word.strip_prefix("--") else {
        return Err(wrong(format!("{} follows the value of a switch", shown_text(word)), REMEDY));
    };
    SWITCHES.into_iter().find(|(other, _)| *other == name).ok_or_else(|| {
        let remedy = match misspelt(name, SWITCHES.iter().map(|(other, _)| *other)) {
            Some(near) => format!("did you mean `--{near}`?"),
            None => "remove it, or put the prompt in quotes if it is part of it".to_owned(),
        };
        wrong(format!("unknown switch {}", shown_text(word)), remedy)
    })
}

/// Returns the value of a switch. A prompt without quotes goes on to the next switch.
fn value(name: &str, gives: Gives, words: &mut Peekable<vec::IntoIter<String>>) -> Result<String, Issue> {
    let mut value = words
        .next_if(|word| !word.starts_with("--"))
        .ok_or_else(|| wrong(format!("`--{name}` has no value"), "write the value behind it, or remove the switch"))?;
    if matches!(gives, Gives::Field(Field::Prompt | Field::NegativePrompt)) {
        while let Some(word) = words.next_if(|word| !word.starts_with("--")) {
            value.push(' ');
            value.push_str(&word);
        }
    }
    Ok(value)
}

/// Splits a line into words, as a shell does: quotes and backslashes keep spaces.
fn words(text: &str) -> Result<Vec<String>, Issue> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let escaped = chars.next();
                // In double quotes, a backslash stands for itself before any other character.
                if quote.is_some() && !matches!(escaped, Some('"' | '\\')) {
                    word.get_or_insert_default().push('\\');
                }
                word.get_or_insert_default().extend(escaped);
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        None => Ok(words),
        Some(quote) => {
            let what = format!("a quote {quote} is opened and never closed");
            Err(wrong(what, "close it, or write a backslash before it if it is part of the text"))
        }
    }
}

impl EntrySource for SwitchLines {
    fn next_entry(&mut self, _: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        while let Some(TextLine { text, line, span }) = self.lines.next(findings)? {
            if !text.trim_start().starts_with("--") {
                let given = FieldEntry::one(Field::Prompt, UnparsedValue::Cell(text), span);
                return Ok(Some(Entry { given: vec![given], ..Entry::new(Location::Line(line)) }));
            }
            match self.entry(&text, Location::Line(line), findings) {
                Ok(entry) => return Ok(Some(entry)),
                Err(wrong) => findings.mistakes.push(Location::Line(line), wrong),
            }
        }
        Ok(None)
    }

    fn bytes(&self) -> &HashingReader {
        self.lines.hashed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: words are those of a shell. Method: what Python's `shlex.split` gives.
    #[test]
    fn lines_are_split_as_by_a_shell() {
        for (text, expected) in [
            ("--prompt \"a cat\" --seed 5", &["--prompt", "a cat", "--seed", "5"][..]),
            (" a\tb ", &["a", "b"]),
            ("'a \"b\"' c\\ d", &["a \"b\"", "c d"]),
            ("\"a \\\"b\\\" \\n\"", &["a \"b\" \\n"]),
            ("\"\" ''", &["", ""]),
            ("a\"b\"c", &["abc"]),
            ("猫 \"一 只\"", &["猫", "一 只"]),
            ("", &[]),
        ] {
            assert_eq!(
                words(text).as_deref(),
                Ok(&expected.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()[..])
            );
        }
        assert!(words("a \"b").is_err_and(|wrong| wrong.what == "a quote \" is opened and never closed"));
    }
}
