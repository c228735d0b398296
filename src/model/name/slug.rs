//! Slug of a text in any script: fit for a file name, and cut without damage to words and letters.

/// Maximum number of characters of a slug, which fit on one line of a listing.
pub(super) const SLUG_CHARS_MAX: usize = 60;

/// Maximum number of bytes of a slug or of a stem. A file name may have 255. [`ImageName`](super::ImageName) adds 21 for the index, 21 for
/// the job id, 4 for the image's number and 5 for the extension.
pub(super) const STEM_BYTES_MAX: usize = 200;

/// Returns the letters and digits of a text, in any script and in lower case, with one `-` between groups.
///
/// The slug has at most 60 characters and 200 bytes. It is cut between words where that keeps half of it, and never between a letter and
/// its accents.
pub fn slug(text: &str) -> String {
    let slug = clean(text.chars().flat_map(char::to_lowercase), |_| false, STEM_BYTES_MAX);
    cut(&slug, SLUG_CHARS_MAX, STEM_BYTES_MAX).to_owned()
}

/// Keeps letters, digits, the marks on them and what `is_kept`. Any run of other characters becomes one `-`, except at the ends.
pub(super) fn clean(chars: impl Iterator<Item = char>, is_kept: fn(char) -> bool, bytes_max: usize) -> String {
    let mut kept = String::new();
    for c in chars {
        let is_apart = kept.is_empty() || kept.ends_with('-');
        // Some vowel signs also count as letters, and still cannot be the first character of a word.
        let belongs = if is_mark(c) { !is_apart } else { c.is_alphanumeric() || is_kept(c) };
        if belongs {
            kept.push(c);
        } else if !is_apart {
            kept.push('-');
        }
        if kept.len() > bytes_max {
            // One character too many is enough for `cut` to know what it cuts. A prompt may be much longer.
            break;
        }
    }
    cut(kept.trim_end_matches('-'), usize::MAX, bytes_max).to_owned()
}

/// Returns the longest beginning within both limits that does not end within a word or a letter, if possible.
pub(super) fn cut(text: &str, chars_max: usize, bytes_max: usize) -> &str {
    let ends = text.char_indices().map(|(start, c)| start + c.len_utf8());
    let end = ends.take(chars_max).take_while(|end| *end <= bytes_max).last().unwrap_or(0);
    let (kept, rest) = text.split_at(end);
    if rest.is_empty() || rest.starts_with('-') {
        return kept;
    }
    match kept.rfind('-') {
        Some(word_end) if word_end >= end / 2 => &kept[..word_end],
        _ if rest.starts_with(is_mark) => kept[..kept.rfind(|c| !is_mark(c)).unwrap_or(0)].trim_end_matches('-'),
        _ => kept.trim_end_matches('-'),
    }
}

/// Returns whether a character is written onto the letter before it: an accent, a vowel sign, a tone.
///
/// The standard library has the table (Unicode's `Grapheme_Extend`) but exposes it only through `escape_debug`. Such a character is escaped
/// when it is alone, and stays as it is after a letter.
pub(super) fn is_mark(c: char) -> bool {
    let is_escaped_alone = c.escape_debug().nth(1).is_some();
    is_escaped_alone && String::from_iter(['a', c]).escape_debug().nth(2).is_none()
}

/// Returns whether Windows reserves this name for a device, whatever its case and extension.
pub(super) fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let is_port = |n: &str| matches!(n, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³");
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || port.is_some_and(is_port)
}
