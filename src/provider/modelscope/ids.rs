//! Lenient reader for the task id in an answer, whatever else is damaged: an id that can be read is a task that is paid for.
//!
//! Only a key of the outermost object counts, or one of the objects `data` and `output` in it. So an id in the echo of a prompt,
//! in a string, in a quoted body or in an HTML page is never taken. The reader skips nested values with a stack of its own, in one
//! pass; it stops at the first thing that cannot be read, and keeps what came before it.

use std::str::Chars;

use crate::model::outcome::TaskId;
use crate::provider::modelscope::plain;

/// The key of the id.
const KEY: &str = "task_id";

/// Objects in the outermost one that may hold the id instead.
const HOLDERS: [&str; 2] = ["data", "output"];

/// The longest task id that makes sense in an address, in bytes.
const ID_BYTES_MAX: usize = 512;

/// Characters of a string that are kept: more than any id has, so that a longer one shows itself.
const KEPT_CHARS_MAX: usize = ID_BYTES_MAX + 1;

/// Digits of a whole number that a 64-bit float holds exactly.
const EXACT_DIGITS_MAX: usize = 15;

/// Significant digits that C's `%g` prints at most: a number with as many, and zeros behind them, was most likely rounded.
const ROUNDED_DIGITS_MIN: usize = 6;

/// What an answer says about the id of its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// One id.
    One(TaskId),
    /// An id that is empty, or that cannot be asked for.
    Unusable,
    /// Ids that contradict each other.
    Several,
}

/// One value of the key.
enum Id {
    Usable(String),
    /// `null`: no id at all.
    Absent,
    /// An empty string.
    Blank,
    Unusable,
}

/// Whether a task can be asked for by this id: not one that is endless, or that an address would change.
pub fn is_usable(task: &TaskId) -> bool {
    let TaskId(id) = task;
    let is_dots = matches!(id.trim(), "." | "..");
    let is_damaged = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    !id.trim().is_empty() && id.len() <= ID_BYTES_MAX && !is_dots && !id.contains(is_damaged)
}

/// The id in this body.
pub fn find(body: &[u8]) -> Found {
    let text = plain::text(body);
    let mut reader = Reader { chars: text.chars() };
    let mut ids = Vec::new();
    // Answers that were joined on the way stand one behind the other, and may contradict each other.
    loop {
        reader.skip_space();
        if !reader.take('{') || reader.object(&mut ids, true).is_none() {
            return judge(ids);
        }
    }
}

fn judge(ids: Vec<Id>) -> Found {
    let (mut usable, mut n_unusable, mut is_blank) = (Vec::new(), 0, false);
    for id in ids {
        match id {
            Id::Usable(id) => usable.push(id),
            Id::Unusable => n_unusable += 1,
            Id::Blank => is_blank = true,
            Id::Absent => (),
        }
    }
    usable.dedup();
    match (usable.as_slice(), n_unusable) {
        ([], 0) if !is_blank => Found::Nothing,
        ([], _) => Found::Unusable,
        ([id], 0) => Found::One(TaskId(id.clone())),
        (_, _) => Found::Several,
    }
}

/// Reads JSON, and what was meant to be JSON. Every function gives `None` where it can read no further.
struct Reader<'a> {
    chars: Chars<'a>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.clone().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.chars.next();
        }
        is_there
    }

    fn skip_while(&mut self, is_skipped: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&is_skipped) {
            self.chars.next();
        }
    }

    fn skip_space(&mut self) {
        self.skip_while(is_space);
    }

    /// The ids of an object whose `{` has been read, up to its `}`.
    fn object(&mut self, ids: &mut Vec<Id>, is_outermost: bool) -> Option<()> {
        loop {
            self.skip_while(|c| is_space(c) || c == ',');
            if self.take('}') {
                return Some(());
            }
            let key = match self.peek()? {
                quote @ ('"' | '\'') => self.string(quote)?,
                _ => self.bare(),
            };
            self.skip_space();
            if !self.take(':') {
                return None;
            }
            self.skip_space();
            if key == KEY {
                ids.push(self.id());
            } else if is_outermost && HOLDERS.contains(&key.as_str()) && self.take('{') {
                self.object(ids, false)?;
            } else {
                self.skip_value()?;
            }
            self.skip_space();
            if !matches!(self.peek()?, ',' | '}') {
                return None;
            }
        }
    }

    /// The value of the key: a string, or a whole number by its digits. One at the very end may have been cut.
    fn id(&mut self) -> Id {
        match self.peek() {
            Some(quote @ ('"' | '\'')) => {
                let text = self.string(quote);
                let is_closed = self.peek().is_none_or(is_delimiter);
                match text {
                    Some(text) if text.trim().is_empty() => Id::Blank,
                    Some(text) if is_closed && is_usable(&TaskId(text.clone())) => Id::Usable(text),
                    _ => Id::Unusable,
                }
            }
            Some('{' | '[') => {
                let _skipped = self.skip_value();
                Id::Unusable
            }
            _ => {
                let word = self.bare();
                match digits(&word) {
                    Some(digits) if self.peek().is_some() => Id::Usable(digits),
                    _ if matches!(word.as_str(), "null" | "None" | "nil" | "undefined") => Id::Absent,
                    _ => Id::Unusable,
                }
            }
        }
    }

    /// A word or a number without quotes, up to what ends it.
    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| !is_delimiter(*c) && !matches!(c, ':' | '"' | '\'' | '{' | '[')) {
            self.chars.next();
            if word.len() < KEPT_CHARS_MAX {
                word.push(c);
            }
        }
        word
    }

    /// A string from its opening quote to its closing one, of which the beginning is kept.
    fn string(&mut self, quote: char) -> Option<String> {
        self.chars.next();
        let (mut text, mut n_kept) = (String::new(), 0);
        loop {
            let c = match self.chars.next()? {
                c if c == quote => return Some(text),
                '\\' => self.escaped()?,
                c => c,
            };
            n_kept += 1;
            if n_kept <= KEPT_CHARS_MAX {
                text.push(c);
            }
        }
    }

    /// What stands behind a backslash. Half of a surrogate pair is U+FFFD.
    fn escaped(&mut self) -> Option<char> {
        let c = match self.chars.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let Some(unit) = self.hex() else { return Some(char::REPLACEMENT_CHARACTER) };
                let low = (0xd800..0xdc00).contains(&unit).then(|| self.low_surrogate()).flatten();
                let code = low.map_or(unit, |low| 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => other,
        };
        Some(c)
    }

    /// Four hexadecimal digits, if they are there.
    fn hex(&mut self) -> Option<u32> {
        let mut ahead = self.chars.clone();
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit * 16 + ahead.next()?.to_digit(16)?;
        }
        self.chars = ahead;
        Some(unit)
    }

    /// The second half of a surrogate pair, if it is there.
    fn low_surrogate(&mut self) -> Option<u32> {
        let before = self.chars.clone();
        let low = (self.take('\\') && self.take('u')).then(|| self.hex()).flatten();
        let low = low.filter(|unit| (0xdc00..0xe000).contains(unit));
        if low.is_none() {
            self.chars = before;
        }
        low
    }

    /// Skips one value with all that is nested in it.
    fn skip_value(&mut self) -> Option<()> {
        match self.peek()? {
            quote @ ('"' | '\'') => self.string(quote).map(drop),
            '{' | '[' => self.skip_nested(),
            _ => {
                self.bare();
                Some(())
            }
        }
    }

    fn skip_nested(&mut self) -> Option<()> {
        let mut open = Vec::new();
        // An apostrophe opens a string only where a value or a key may begin.
        let mut may_begin = true;
        loop {
            let c = self.peek()?;
            match c {
                '"' => drop(self.string(c)?),
                '\'' if may_begin => drop(self.string(c)?),
                _ => drop(self.chars.next()),
            }
            match c {
                '{' => open.push('}'),
                '[' => open.push(']'),
                '}' | ']' if open.pop() != Some(c) => return None,
                _ => (),
            }
            if open.is_empty() {
                return Some(());
            }
            may_begin = matches!(c, '{' | '[' | ',' | ':') || (may_begin && is_space(c));
        }
    }
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// What ends a word or follows a value.
fn is_delimiter(c: char) -> bool {
    is_space(c) || matches!(c, ',' | '}' | ']')
}

/// A whole number by its digits as they are written, of any length: it is never rounded.
///
/// A fraction of zeros or an exponent tells of a float. It is taken only where no digit can have been lost on that way.
fn digits(word: &str) -> Option<String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(word) {
        return Some(word.to_owned());
    }
    let (mantissa, exponent) = word.split_once(['e', 'E']).unwrap_or((word, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
    if !is_number(whole) || !(fraction.is_empty() || is_number(fraction)) || !is_number(exponent) {
        return None;
    }
    let n_whole = whole.len().checked_add(exponent.parse().ok()?)?;
    let written = format!("{whole}{fraction}");
    let number = match written.split_at_checked(n_whole) {
        Some((number, rest)) => rest.bytes().all(|byte| byte == b'0').then(|| number.to_owned())?,
        None if n_whole > EXACT_DIGITS_MAX || written.trim_matches('0').len() >= ROUNDED_DIGITS_MIN => return None,
        None => format!("{written:0<n_whole$}"),
    };
    let number = number.trim_start_matches('0');
    (1..=EXACT_DIGITS_MAX).contains(&number.len()).then(|| number.to_owned())
}

#[cfg(test)]
mod tests;
