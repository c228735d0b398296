//! Source lines of a manifest, for messages that show the location of a mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read};
use std::path::Path;

use crate::manifest::input::detect::DetectedEncoding;
use crate::manifest::input::encoding::{Encoding, Unreadable};
use crate::manifest::input::text::ManifestInput;
use crate::manifest::input::{bytes, detect};

/// Limit on the size of all returned lines together, in bytes. Lines beyond the limit are left out.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Returns the lines with these numbers, from 1, without their line ends. Lines that cannot be read again are missing.
/// [`Span`](crate::manifest::diagnostics::Span)s count in the bytes of these lines.
///
/// The lines are those of the current file, which may have changed since the check.
pub fn lines_of(path: &Path, encoding: Option<Encoding>, numbers: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let mut lines = BTreeMap::new();
    // Excludes a pipe: its data cannot be read again, and a second open waits for ever.
    if bytes::n_bytes(path).is_none() {
        return lines;
    }
    let mut read = |encoding| ManifestInput::open(path, encoding).and_then(|input| pick(input, numbers, &mut lines));
    // Keeps the lines before a read error, because they are still useful.
    if let Err(error) = read(encoding)
        && let Some(Unreadable::NotUtf8) = Unreadable::of(&error)
        && let Ok(DetectedEncoding::Certain(encoding)) = detect::look(path)
    {
        drop(read(Some(encoding)));
    }
    lines
}

/// Adds the lines with these numbers.
fn pick(mut input: impl BufRead, numbers: &BTreeSet<u64>, lines: &mut BTreeMap<u64, String>) -> io::Result<()> {
    let (mut n_left, mut is_ended) = (BYTES_MAX, true);
    for number in 1..=numbers.last().copied().unwrap_or(0) {
        if !numbers.contains(&number) {
            is_ended = input.skip_until(b'\n')? > 0;
            continue;
        }
        let mut line = Vec::new();
        let n_read = input.by_ref().take(n_left + 1).read_until(b'\n', &mut line)?;
        // The end of the file is a line of its own after a line end.
        if n_read == 0 && !is_ended || n_read as u64 > n_left {
            break;
        }
        n_left -= n_read as u64;
        is_ended = line.pop_if(|byte| *byte == b'\n').is_some();
        lines.insert(number, String::from_utf8_lossy(&line).into_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Goal: lines are those of an editor, for every block boundary. Method: blocks of every small size.
    #[test]
    fn lines_are_found_by_their_numbers() {
        let bytes = "a\nb\nc\n\n猫 d".as_bytes();
        for capacity in 1..=bytes.len() + 1 {
            let mut lines = BTreeMap::new();
            let input = BufReader::with_capacity(capacity, bytes);
            pick(input, &[1, 2, 4, 5, 9].into(), &mut lines).expect("memory can be read");
            let expected = [(1, "a"), (2, "b"), (4, ""), (5, "猫 d")].map(|(number, line)| (number, line.to_owned()));
            assert_eq!(lines, BTreeMap::from(expected), "{capacity}");
        }
    }

    #[test]
    fn what_is_no_text_is_shown_as_far_as_it_is_text() {
        let mut lines = BTreeMap::new();
        pick(&b"a\xd6\xedb"[..], &[1].into(), &mut lines).expect("memory can be read");
        assert_eq!(lines[&1], "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn a_file_that_is_gone_has_no_lines() {
        assert_eq!(lines_of(Path::new("absent.yaml"), None, &[1].into()), BTreeMap::new());
    }
}
