//! Values of a JSON text, cut out one after the other: the items of a list, or a sequence of values. One value at a time is in memory.

use std::io::{self, BufRead};

use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::lines::LINE_BYTES_MAX;
use crate::manifest::input::text::ManifestInput;

/// Text of a value, and where it begins.
#[derive(Debug, Default)]
pub(crate) struct JsonItem {
    pub(crate) line: u64,
    /// Bytes of the line before the value.
    pub(crate) column: usize,
    pub(crate) text: String,
}

/// Result of reading the next value.
#[derive(Debug)]
pub(crate) enum ReadItem {
    Value(JsonItem),
    End,
    /// Value above the length limit, which begins on this line.
    TooLong(u64),
    /// Something else than a value and its separator, on this line.
    Misplaced(u64, &'static str),
}

/// Reader of values.
pub(crate) struct JsonItems {
    input: ManifestInput,
    line: u64,
    column: usize,
    /// Records that the values are the items of a list.
    is_list: bool,
    n_items: u64,
    is_done: bool,
}

impl JsonItems {
    /// Begins to read, behind the opening bracket if the text is a list.
    pub(crate) fn open(input: ManifestInput) -> io::Result<Self> {
        let mut items = Self { input, line: 1, column: 0, is_list: false, n_items: 0, is_done: false };
        if items.next_byte()? == Some(b'[') {
            items.is_list = true;
            items.pass(b'[');
        }
        Ok(items)
    }

    pub(crate) const fn is_list(&self) -> bool {
        self.is_list
    }

    /// Returns the bytes of the file that have been read.
    pub(crate) fn hashed(&self) -> &HashingReader {
        self.input.hashed()
    }

    /// Returns whether nothing follows. White space is skipped.
    pub(crate) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.next_byte()?.is_none())
    }

    pub(crate) fn next_item(&mut self) -> io::Result<ReadItem> {
        if self.is_done {
            return Ok(ReadItem::End);
        }
        let read = self.read()?;
        self.is_done = !matches!(read, ReadItem::Value(_));
        Ok(read)
    }

    fn read(&mut self) -> io::Result<ReadItem> {
        let mut next = self.next_byte()?;
        if self.is_list {
            let line = self.line;
            match next {
                Some(b']') => {
                    self.pass(b']');
                    let is_end = self.is_at_end()?;
                    return Ok(if is_end {
                        ReadItem::End
                    } else {
                        ReadItem::Misplaced(self.line, "text follows the list")
                    });
                }
                None => return Ok(ReadItem::Misplaced(line, "the list is not closed")),
                Some(b',') if self.n_items > 0 => {
                    self.pass(b',');
                    next = self.next_byte()?;
                    if matches!(next, Some(b']' | b',') | None) {
                        return Ok(ReadItem::Misplaced(line, "no item follows this comma"));
                    }
                }
                Some(_) if self.n_items > 0 => {
                    return Ok(ReadItem::Misplaced(line, "a comma is missing before this item"));
                }
                Some(_) => {}
            }
        }
        if next.is_none() {
            return Ok(ReadItem::End);
        }
        self.n_items += 1;
        self.value()
    }

    /// Reads the value that begins here.
    fn value(&mut self) -> io::Result<ReadItem> {
        let (line, column) = (self.line, self.column);
        let mut bytes = Vec::new();
        let mut state = Depth::default();
        while !state.is_done {
            let piece = self.input.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            let n_bytes = piece.iter().take_while(|byte| state.takes(**byte)).count();
            for byte in &piece[..n_bytes] {
                (self.line, self.column) =
                    if *byte == b'\n' { (self.line + 1, 0) } else { (self.line, self.column + 1) };
            }
            bytes.extend_from_slice(&piece[..n_bytes]);
            self.input.consume(n_bytes);
            if bytes.len() > LINE_BYTES_MAX {
                return Ok(ReadItem::TooLong(line));
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)?;
        Ok(ReadItem::Value(JsonItem { line, column, text }))
    }

    /// Skips white space, and returns the next byte.
    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.input.fill_buf()?.first() {
                None => return Ok(None),
                Some(byte) if byte.is_ascii_whitespace() => {
                    let byte = *byte;
                    self.pass(byte);
                }
                Some(byte) => return Ok(Some(*byte)),
            }
        }
    }

    fn pass(&mut self, byte: u8) {
        (self.line, self.column) = if byte == b'\n' { (self.line + 1, 0) } else { (self.line, self.column + 1) };
        self.input.consume(1);
    }
}

/// Brackets that are open, and whether a text is.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a state of its own: a text with an escape may be open at any depth"
)]
#[derive(Debug, Default)]
struct Depth {
    n_open: usize,
    is_text: bool,
    is_escaped: bool,
    has_begun: bool,
    is_done: bool,
}

impl Depth {
    /// Returns whether this byte belongs to the value.
    fn takes(&mut self, byte: u8) -> bool {
        if self.is_done {
            return false;
        }
        if self.is_text {
            let is_end = byte == b'"' && !self.is_escaped;
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            self.is_text = !is_end;
            self.is_done = is_end && self.n_open == 0;
            return true;
        }
        // A number or a word ends before the next separator; any other value ends with its last byte.
        if self.n_open == 0 && self.has_begun && (byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}')) {
            self.is_done = true;
            return false;
        }
        self.has_begun = true;
        match byte {
            b'"' => self.is_text = true,
            b'{' | b'[' => self.n_open += 1,
            b'}' | b']' => {
                self.n_open = self.n_open.saturating_sub(1);
                self.is_done = self.n_open == 0;
            }
            _ => {}
        }
        true
    }
}
