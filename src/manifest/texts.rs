//! TXT parser: one prompt per line, exactly as written, without the line end.

use std::io;

use crate::manifest::encoding::Unreadable;
use crate::manifest::entry::{Entry, Given, Raw};
use crate::manifest::field::Field;
use crate::manifest::input::Input;
use crate::manifest::lists::Lists;
use crate::manifest::mistake::{Findings, Place, Span, wrong};
use crate::manifest::pass::Entries;
use crate::manifest::text_lines::{Got, TextLines};

/// Lines of a text file as entries.
pub(super) struct Texts {
    lines: TextLines<Input>,
    n_prompts: u64,
    /// Records that the warning about a line with `# ` was given.
    has_hash: bool,
}

impl Texts {
    pub(super) const fn new(input: Input) -> Self {
        Self { lines: TextLines::new(input), n_prompts: 0, has_hash: false }
    }

    fn warn_of_hash(&mut self, text: &str, findings: &mut Findings) {
        if !self.has_hash && text.starts_with("# ") {
            self.has_hash = true;
            let what = "this line is a prompt too, although it begins with `# `";
            let remedy = "remove it if it is meant as a comment: TXT manifests have no comments";
            findings.warnings.push(Place::Line(self.lines.line()), wrong(what, remedy));
        }
    }
}

impl Entries for Texts {
    fn next_entry(&mut self, _: &mut Lists, findings: &mut Findings) -> io::Result<Option<Entry>> {
        loop {
            let mut bytes = Vec::new();
            let got = self.lines.next_line(&mut bytes)?;
            let line = self.lines.line();
            match got {
                Got::Line => {}
                Got::End if self.n_prompts == 0 => {
                    findings.mistakes.push(Place::File, wrong("the text is empty", "write one prompt per line"));
                    return Ok(None);
                }
                Got::End => return Ok(None),
                Got::TooLong => {
                    let what = "this line is longer than 32 MiB";
                    findings.mistakes.push(Place::Line(line), wrong(what, "write one prompt per line"));
                    return Ok(None);
                }
            }
            let text = String::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)?;
            if text.trim().is_empty() {
                continue;
            }
            self.n_prompts += 1;
            self.warn_of_hash(&text, findings);
            let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
            let given = Given::one(Field::Prompt, Raw::Cell(text), Place::Span(Span { line, begin: 0, end }));
            return Ok(Some(Entry { place: Place::Line(line), given: vec![given], extras: Vec::new(), ways: None }));
        }
    }

    fn input(&self) -> &Input {
        self.lines.input()
    }
}
