//! Lenient parser for the task id in a response, however damaged the rest of the response is.
//! A readable id is a task that is paid for.
//!
//! Only the places count to which the pointers of a description lead. An id in an echoed prompt, a string, a quoted body or an HTML page is
//! therefore ignored. All other values are skipped, in one pass and with a stack of the parser's own. It stops at the first unreadable token,
//! and keeps the ids before it.

use std::str::Chars;

use crate::description::pointer::Pointer;
use crate::provider::http::task_path::{ID_BYTES_MAX, is_readable};

/// Longest address in an answer, in bytes.
const ADDRESS_BYTES_MAX: usize = 8192;

/// Digits of a whole number that a 64-bit float represents exactly.
const EXACT_DIGITS_MAX: usize = 15;

/// Significant digits that C's `%g` prints at most. A number with this many digits, followed by zeros, was most likely rounded.
const ROUNDED_DIGITS_MIN: usize = 6;

/// Result of the search for an id in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdSearch {
    /// No id.
    Nothing,
    /// Exactly one id.
    One(String),
    /// Empty id, or an id that cannot be polled.
    Unusable,
    /// Ids that contradict each other.
    Several,
}

/// Value at the place of an id.
enum IdValue {
    Usable(String),
    /// JSON `null`, which means no id.
    Absent,
    /// Empty or blank string.
    Blank,
    Unusable,
}

/// Pointer that is followed: its place in the list, and the steps that are left.
type Wanted<'a> = (usize, &'a [String]);

/// Value that was found, with the place of its pointer in the list.
type Found = (usize, IdValue);

/// Finds the task id to which these pointers lead in a response body. Of pointers to different names, the first counts that leads to a
/// value. Values under the same name must agree.
pub(crate) fn find(body: &[u8], pointers: &[Pointer]) -> IdSearch {
    let name = |place: usize| pointers[place].steps().iter().rfind(|step| *step != "*");
    search(body, pointers, ID_BYTES_MAX, |first, other| name(first) == name(other))
}

/// Finds the address to which the first of these pointers leads that leads to a value.
pub(crate) fn find_address(body: &[u8], pointers: &[Pointer]) -> IdSearch {
    search(body, pointers, ADDRESS_BYTES_MAX, |first, other| first == other)
}

fn search(body: &[u8], pointers: &[Pointer], bytes_max: usize, counts_with: impl Fn(usize, usize) -> bool) -> IdSearch {
    let all: Vec<Wanted> = pointers.iter().map(Pointer::steps).enumerate().collect();
    let (whole, wanted): (Vec<Wanted>, Vec<Wanted>) = all.into_iter().partition(|(_, steps)| steps.is_empty());
    let text = String::from_utf8_lossy(body);
    let mut reader = Reader { chars: text.chars(), bytes_max };
    let mut ids = Vec::new();
    // A gateway may join several responses into one body. Their ids may contradict each other.
    loop {
        reader.skip_space();
        let mut found = Vec::new();
        let is_read = match (reader.peek(), whole.first()) {
            (Some('{' | '['), _) => reader.below(&wanted, &mut found),
            (Some(_), Some((place, _))) => {
                found.push((*place, reader.id()));
                None
            }
            (Some(_) | None, _) => None,
        };
        ids.extend(chosen(found, &counts_with));
        if is_read.is_none() {
            return judge(ids);
        }
    }
}

/// Returns the values of one text that count: those of the first pointer with a value, and of those that count with it.
fn chosen(found: Vec<Found>, counts_with: &impl Fn(usize, usize) -> bool) -> Vec<IdValue> {
    let first = |is_wanted: fn(&IdValue) -> bool| {
        found.iter().filter(|(_, value)| is_wanted(value)).map(|(place, _)| *place).min()
    };
    let said = first(|value| matches!(value, IdValue::Usable(_) | IdValue::Unusable));
    let Some(first) = said.or_else(|| first(|value| matches!(value, IdValue::Blank))) else { return Vec::new() };
    found.into_iter().filter(|(place, _)| counts_with(first, *place)).map(|(_, value)| value).collect()
}

fn judge(ids: Vec<IdValue>) -> IdSearch {
    let (mut usable, mut n_unusable, mut is_blank) = (Vec::new(), 0, false);
    for id in ids {
        match id {
            IdValue::Usable(id) => usable.push(id),
            IdValue::Unusable => n_unusable += 1,
            IdValue::Blank => is_blank = true,
            IdValue::Absent => (),
        }
    }
    usable.dedup();
    match (usable.as_mut_slice(), n_unusable) {
        ([], 0) if !is_blank => IdSearch::Nothing,
        ([], _) => IdSearch::Unusable,
        ([id], 0) => IdSearch::One(std::mem::take(id)),
        (_, _) => IdSearch::Several,
    }
}

/// Reader of JSON and of malformed JSON. Every method returns `None` where it can read no further.
struct Reader<'a> {
    chars: Chars<'a>,
    /// Longest id, in bytes. One more character of a string is kept, so that a longer id is detected.
    bytes_max: usize,
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

    /// Collects the ids in a list or map, for pointers that lead into it. Their number of steps limits the depth.
    fn below(&mut self, wanted: &[Wanted], ids: &mut Vec<Found>) -> Option<()> {
        if self.take('{') {
            self.object(wanted, ids)
        } else if self.take('[') {
            self.array(wanted, ids)
        } else {
            self.skip_value()
        }
    }

    /// Collects the ids of an object whose `{` has been read, up to its `}`.
    fn object(&mut self, wanted: &[Wanted], ids: &mut Vec<Found>) -> Option<()> {
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
            self.value(wanted, |step| step == key, ids)?;
            self.skip_space();
            if !matches!(self.peek()?, ',' | '}') {
                return None;
            }
        }
    }

    /// Collects the ids of a list whose `[` has been read, up to its `]`.
    fn array(&mut self, wanted: &[Wanted], ids: &mut Vec<Found>) -> Option<()> {
        for place in 0_usize.. {
            self.skip_while(|c| is_space(c) || c == ',');
            if self.take(']') {
                break;
            }
            self.value(wanted, |step| step.parse() == Ok(place), ids)?;
            self.skip_space();
            if !matches!(self.peek()?, ',' | ']') {
                return None;
            }
        }
        Some(())
    }

    /// Reads the value to which a step leads if `is_here` holds for it, and skips one to which no pointer leads.
    fn value(&mut self, wanted: &[Wanted], is_here: impl Fn(&str) -> bool, ids: &mut Vec<Found>) -> Option<()> {
        let rest: Vec<(usize, &[String])> = wanted
            .iter()
            .filter_map(|(place, steps)| {
                let (step, rest) = steps.split_first()?;
                (step == "*" || is_here(step)).then_some((*place, rest))
            })
            .collect();
        if rest.is_empty() {
            return self.skip_value();
        }
        if let Some((place, _)) = rest.iter().find(|(_, rest)| rest.is_empty()) {
            ids.push((*place, self.id()));
            return Some(());
        }
        self.below(&rest, ids)
    }

    /// Reads the value of an id key: a string, or the digits of a whole number. A value at the very end of the body may be incomplete.
    fn id(&mut self) -> IdValue {
        match self.peek() {
            Some(quote @ ('"' | '\'')) => {
                let text = self.string(quote);
                let is_closed = self.peek().is_none_or(is_delimiter);
                match text {
                    Some(text) if text.trim().is_empty() => IdValue::Blank,
                    Some(text) if is_closed && is_readable(&text, self.bytes_max) => IdValue::Usable(text),
                    _ => IdValue::Unusable,
                }
            }
            Some('{' | '[') => {
                let _skipped = self.skip_value();
                IdValue::Unusable
            }
            _ => {
                let word = self.bare();
                match digits(&word) {
                    Some(digits) if self.peek().is_some() => IdValue::Usable(digits),
                    _ if matches!(word.as_str(), "null" | "None" | "nil" | "undefined") => IdValue::Absent,
                    _ => IdValue::Unusable,
                }
            }
        }
    }

    /// Reads a word or a number without quotes, up to its delimiter.
    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| !is_delimiter(*c) && !matches!(c, ':' | '"' | '\'' | '{' | '[')) {
            self.chars.next();
            if word.len() <= self.bytes_max {
                word.push(c);
            }
        }
        word
    }

    /// Reads a string from its opening to its closing quote; keeps only its beginning.
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
            if n_kept <= self.bytes_max + 1 {
                text.push(c);
            }
        }
    }

    /// Reads the character after a backslash. Half of a surrogate pair becomes U+FFFD.
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

    /// Reads four hexadecimal digits, if present.
    fn hex(&mut self) -> Option<u32> {
        let mut ahead = self.chars.clone();
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit * 16 + ahead.next()?.to_digit(16)?;
        }
        self.chars = ahead;
        Some(unit)
    }

    /// Reads the second half of a surrogate pair, if present.
    fn low_surrogate(&mut self) -> Option<u32> {
        let before = self.chars.clone();
        let low = (self.take('\\') && self.take('u')).then(|| self.hex()).flatten();
        let low = low.filter(|unit| (0xdc00..0xe000).contains(unit));
        if low.is_none() {
            self.chars = before;
        }
        low
    }

    /// Skips one value, including all nested values.
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

/// Returns true for a character that ends a word or follows a value.
fn is_delimiter(c: char) -> bool {
    is_space(c) || matches!(c, ',' | '}' | ']')
}

/// Returns the digits of a whole number as written, of any length; a number is never rounded.
///
/// A fraction of zeros or an exponent shows that a float was written. Such a number is accepted only if no digit can have been lost.
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
