//! Text of every script made fit for a file name: what is readable of it, cut where no word and no letter is harmed.

/// Characters of a slug: what a listing shows on one line.
pub(super) const SLUG_CHARS_MAX: usize = 60;

/// Bytes of a slug or of a stem. A file name may have 255, and the rest is for what [`ImageName`](super::ImageName) puts around it:
/// 21 for the index, 21 for the job id, 4 for the image's number, 5 for the extension.
pub(super) const STEM_BYTES_MAX: usize = 200;

/// The letters and digits of a text, of every script and in lower case, with one `-` for whatever stood between them.
///
/// At most 60 characters and 200 bytes: whole words where that keeps half of it, and never a letter without its accents.
pub fn slug(text: &str) -> String {
    let slug = clean(text.chars().flat_map(char::to_lowercase), |_| false, STEM_BYTES_MAX);
    cut(&slug, SLUG_CHARS_MAX, STEM_BYTES_MAX).to_owned()
}

/// Keeps letters, digits, the marks on them and what `is_kept`, and writes one `-` for each run of anything else, save at the ends.
pub(super) fn clean(chars: impl Iterator<Item = char>, is_kept: fn(char) -> bool, bytes_max: usize) -> String {
    let mut kept = String::new();
    for c in chars {
        let is_apart = kept.is_empty() || kept.ends_with('-');
        // Some vowel signs count as letters too, and still cannot stand alone.
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

/// The longest beginning within both limits that ends well.
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

/// Whether a character is written onto the letter before it: an accent, a vowel sign, a tone.
///
/// The standard library has the table (Unicode's `Grapheme_Extend`) but shows it only here: such a character is escaped when it
/// stands alone and is left as it is when it follows a letter.
pub(super) fn is_mark(c: char) -> bool {
    let is_escaped_alone = c.escape_debug().nth(1).is_some();
    is_escaped_alone && String::from_iter(['a', c]).escape_debug().nth(2).is_none()
}

/// Names that Windows keeps for devices, whatever their case and extension.
pub(super) fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let is_port = |n: &str| matches!(n, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³");
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || port.is_some_and(is_port)
}
