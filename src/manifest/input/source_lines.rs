//! Source lines of a manifest, for messages that show the location of a mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::path::Path;

use crate::manifest::input::detect::DetectedEncoding;
use crate::manifest::input::encoding::{Encoding, Unreadable};
use crate::manifest::input::text::ManifestInput;
use crate::manifest::input::{bytes, detect};

/// Limit on the size of all returned lines together, in bytes. Lines beyond the limit are left out.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Returns the lines with these numbers, from 1, without their line ends. Lines that cannot be read again are missing.
/// [`Span`](crate::manifest::diagnostics::Span)s count in the bytes of these lines.
///
/// The lines are those of the current file, which may have changed since the check.
pub fn lines_of(path: &Path, encoding: Option<Encoding>, numbers: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let mut lines = BTreeMap::new();
    // Excludes a pipe: its data cannot be read again, and a second open waits for ever.
    let (Some(last), Some(_)) = (numbers.last(), bytes::n_bytes(path)) else { return lines };
    let mut read =
        |encoding| ManifestInput::open(path, encoding).and_then(|input| pick(input, numbers, *last, &mut lines));
    // Keeps the lines before a read error, because they are still useful.
    if let Err(error) = read(encoding)
        && let Some(Unreadable::NotUtf8) = Unreadable::of(&error)
        && let Ok(DetectedEncoding::Certain(encoding)) = detect::look(path)
    {
        drop(read(Some(encoding)));
    }
    lines
}

fn pick(
    mut input: impl BufRead,
    numbers: &BTreeSet<u64>,
    last: u64,
    lines: &mut BTreeMap<u64, String>,
) -> io::Result<()> {
    let (mut number, mut line, mut n_bytes, mut after_return) = (1, Vec::new(), 0, false);
    let mut is_wanted = numbers.contains(&1);
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            keep(is_wanted, number, &line, lines);
            return Ok(());
        }
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let part = &bytes[..end.unwrap_or(bytes.len())];
        after_return &= part.is_empty();
        if is_wanted {
            n_bytes += part.len();
            // Drops the whole line, because a part of a line would look like all of it.
            is_wanted = n_bytes <= BYTES_MAX;
            line.extend_from_slice(if is_wanted { part } else { b"" });
        }
        let n_used = part.len() + usize::from(end.is_some());
        if let Some(end) = end {
            let is_newline = bytes[end] == b'\n';
            // Counts a carriage return and a line feed after it as one line end.
            if !(is_newline && after_return) {
                keep(is_wanted, number, &line, lines);
                if number == last {
                    return Ok(());
                }
                number += 1;
                is_wanted = numbers.contains(&number);
                line.clear();
            }
            after_return = !is_newline;
        }
        input.consume(n_used);
    }
}

fn keep(is_wanted: bool, number: u64, line: &[u8], lines: &mut BTreeMap<u64, String>) {
    if is_wanted {
        lines.insert(number, String::from_utf8_lossy(line).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Goal: lines are those of an editor, for every kind of line end and every block boundary. Method: blocks of every small size.
    #[test]
    fn lines_are_found_by_their_numbers() {
        let bytes = "a\r\nb\rc\n\n猫 d".as_bytes();
        for capacity in 1..=bytes.len() + 1 {
            let mut lines = BTreeMap::new();
            let input = BufReader::with_capacity(capacity, bytes);
            pick(input, &[1, 2, 4, 5, 9].into(), 9, &mut lines).expect("memory can be read");
            let expected = [(1, "a"), (2, "b"), (4, ""), (5, "猫 d")].map(|(number, line)| (number, line.to_owned()));
            assert_eq!(lines, BTreeMap::from(expected), "{capacity}");
        }
    }

    #[test]
    fn what_is_no_text_is_shown_as_far_as_it_is_text() {
        let mut lines = BTreeMap::new();
        pick(&b"a\xd6\xedb"[..], &[1].into(), 1, &mut lines).expect("memory can be read");
        assert_eq!(lines[&1], "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn a_file_that_is_gone_has_no_lines() {
        assert_eq!(lines_of(Path::new("absent.yaml"), None, &[1].into()), BTreeMap::new());
    }
}
