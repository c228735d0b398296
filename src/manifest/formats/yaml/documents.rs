//! YAML document reader: a single document is a whole manifest; in a stream, the first document is the head.
//!
//! Every further document of a stream is an entry or a list of entries. One document at a time is in memory.

use std::io;
use std::mem;
use std::vec;

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::formats::format::{EntrySource, ManifestHead};
use crate::manifest::formats::yaml::document::{DocumentRole, NO_PROMPTS_REMEDY, Parsed};
use crate::manifest::formats::yaml::{document, lints};
use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::lines::{LineReader, ReadLine};
use crate::manifest::input::text::ManifestInput;
use crate::manifest::lists::ListFiles;

/// Size limit of a document in bytes. A document is held in memory, where it takes many times its size.
const DOCUMENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Limit on the lines of a document. The position of each line is held in memory too.
const DOCUMENT_LINES_MAX: u64 = 4_000_000;

/// Entries of a stream of documents.
pub(crate) struct Documents {
    lines: LineReader<ManifestInput>,
    /// First line of the buffered text.
    line: u64,
    /// Buffered text: the current document, and after it the beginning of the next one.
    text: String,
    /// End of the document, if it was marked by `...`: the next line and the offset. Text after it belongs to the next document.
    end: Option<(u64, usize)>,
    state: State,
    is_done: bool,
    entries: vec::IntoIter<Entry>,
    n_before: u64,
    n_entries: u64,
    /// Records that vars or a syntax are given for all entries, or that the warning about a placeholder was given.
    has_vars: bool,
}

/// Properties of the buffered text.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Records that the text begins with a line of `---`.
    is_marked: bool,
    /// Records that the text has more than comments and directives.
    has_content: bool,
}

/// Document that is not empty.
struct Document {
    line: u64,
    text: String,
    is_followed: bool,
}

impl Documents {
    /// Reads the first document. Returns the stream of entries, and the settings for all entries.
    pub(crate) fn open(
        input: ManifestInput,
        lists: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<(Self, ManifestHead)> {
        let mut documents = Self {
            lines: LineReader::new(input),
            line: 1,
            text: String::new(),
            end: None,
            state: State::default(),
            is_done: false,
            entries: Vec::new().into_iter(),
            n_before: 0,
            n_entries: 0,
            has_vars: false,
        };
        let Parsed { head, entries } = documents.next_parsed(lists, findings)?.unwrap_or_default();
        documents.entries = entries.into_iter();
        Ok((documents, head))
    }

    /// Parses the next document. Returns `None` at the end, or after a mistake.
    fn next_parsed(&mut self, lists: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Parsed>> {
        let document = match self.next_document()? {
            Ok(Some(document)) => document,
            Ok(None) if self.n_before == 0 => Document { line: 1, text: String::new(), is_followed: false },
            Ok(None) => return Ok(None),
            Err(wrong) => {
                let place = if self.n_before == 0 { Location::File } else { Location::Line(self.line) };
                findings.mistakes.push(place, wrong);
                self.is_done = true;
                self.n_before += 1;
                return Ok(None);
            }
        };
        let part = match (self.n_before, document.is_followed) {
            (0, false) => DocumentRole::Whole,
            (0, true) => DocumentRole::Head,
            _ => DocumentRole::Further,
        };
        self.n_before += 1;
        let parsed = document::parse(
            document::Document { text: &document.text, line: document.line, part, n_entries: self.n_entries },
            lists,
            findings,
        );
        self.n_entries += parsed.entries.len() as u64;
        self.has_vars |= parsed.head.ways.names_vars();
        self.has_vars = self.has_vars || lints::warn_of_placeholder(&parsed.entries, &mut findings.warnings);
        // Reuses the buffer for the next document, so that a million documents do not need a million allocations.
        if self.text.is_empty() {
            self.text = document.text;
            self.text.clear();
        }
        Ok(Some(parsed))
    }

    /// Returns the next document that is not empty, or the mistake that the document is too long.
    fn next_document(&mut self) -> io::Result<Result<Option<Document>, Issue>> {
        let mut bytes = Vec::new();
        while !self.is_done {
            bytes.clear();
            let got = self.lines.next_line(&mut bytes)?;
            let line = self.lines.line();
            let text = str::from_utf8(&bytes).map_err(|_| Unreadable::NotUtf8)?;
            match got {
                ReadLine::TooLong => return Ok(Err(too_large())),
                ReadLine::End => self.is_done = true,
                ReadLine::Line => {}
            }
            let begins = is_marker(text, "---");
            let is_next = match got {
                ReadLine::End => true,
                ReadLine::Line | ReadLine::TooLong => {
                    begins && (self.state.is_marked || self.state.has_content) || self.end.is_some() && is_content(text)
                }
            };
            let document = if is_next { self.take(line) } else { None };
            if got == ReadLine::Line {
                self.add(line, text, begins);
            }
            if self.text.len() > DOCUMENT_BYTES_MAX {
                return Ok(Err(too_large()));
            }
            if line.saturating_sub(self.line) >= DOCUMENT_LINES_MAX {
                return Ok(Err(too_long()));
            }
            if document.is_some() {
                return Ok(Ok(document));
            }
        }
        Ok(Ok(None))
    }

    /// Appends a line to the text.
    fn add(&mut self, line: u64, text: &str, begins: bool) {
        if self.text.is_empty() {
            self.line = line;
        }
        self.text.push_str(text);
        if self.lines.is_ended() {
            self.text.push('\n');
        }
        let content = if begins { &text["---".len()..] } else { text };
        self.state.is_marked |= begins;
        self.state.has_content |= is_content(content) && !is_marker(text, "...");
        if is_marker(text, "...") && self.end.is_none() {
            self.end = Some((line + 1, self.text.len()));
        }
    }

    /// Takes the document that ends before this line. Returns `None` if the document is empty.
    fn take(&mut self, line: u64) -> Option<Document> {
        let (next_line, end) = self.end.take().unwrap_or((line, self.text.len()));
        let rest = self.text.split_off(end);
        let text = mem::replace(&mut self.text, rest);
        let begin = mem::replace(&mut self.line, next_line);
        let state = mem::take(&mut self.state);
        let document = Document { line: begin, text, is_followed: !self.is_done };
        state.has_content.then_some(document)
    }
}

impl EntrySource for Documents {
    fn next_entry(&mut self, lists: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Ok(Some(entry));
            }
            match self.next_parsed(lists, findings)? {
                Some(parsed) => self.entries = parsed.entries.into_iter(),
                None => break,
            }
        }
        if self.n_entries == 0 && findings.mistakes.n() == 0 {
            findings.mistakes.push(Location::File, wrong("there are no prompts", NO_PROMPTS_REMEDY));
        }
        Ok(None)
    }

    fn bytes(&self) -> &HashingReader {
        self.lines.input().hashed()
    }
}

/// Returns whether the line is a document marker. YAML recognises a marker anywhere, also within a text.
fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Returns whether the line, at the beginning of a document, has content.
fn is_content(line: &str) -> bool {
    let text = line.trim_start();
    !text.is_empty() && !text.starts_with('#') && !line.starts_with('%')
}

const SPLIT_REMEDY: &str =
    "put a line of `---` between the prompts, or write them as CSV or JSONL: those are read one by one";

fn too_large() -> Issue {
    let what = format!("one document is larger than {} MiB", DOCUMENT_BYTES_MAX / (1024 * 1024));
    wrong(what, SPLIT_REMEDY)
}

fn too_long() -> Issue {
    wrong(format!("one document has more than {DOCUMENT_LINES_MAX} lines"), SPLIT_REMEDY)
}
