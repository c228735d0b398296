//! Escaping of external text for display: no control sequence of a prompt, error or file name reaches a terminal.

/// Returns the text with control and invisible direction characters written as escapes, including line breaks.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || is_direction(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Returns a text of several lines, each of them escaped. The text is our own, except for names and words from outside.
pub(crate) fn lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

/// Returns the escaped text, cut to `chars_max` characters with an ellipsis if it was longer.
pub(crate) fn excerpt(text: &str, chars_max: usize) -> String {
    let escaped = escape(text);
    if escaped.chars().count() <= chars_max {
        return escaped;
    }
    let kept: String = escaped.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Returns two texts as excerpts that show where they differ. A long common beginning, which would fill the excerpts, is left out.
pub(crate) fn excerpts_apart(one: &str, other: &str, chars_max: usize) -> [String; 2] {
    let texts = [escape(one), escape(other)];
    let n_same = texts[0].chars().zip(texts[1].chars()).take_while(|(a, b)| a == b).count();
    let n_skipped = if n_same < chars_max / 2 { 0 } else { n_same - chars_max / 4 };
    texts.map(|text| match text.chars().nth(chars_max) {
        Some(_) if n_skipped > 0 => {
            let rest: String = text.chars().skip(n_skipped).collect();
            format!("…{}", excerpt(rest.trim_start(), chars_max.saturating_sub(1)))
        }
        _ => excerpt(&text, chars_max),
    })
}

/// Returns whether a character reverses the text around it, hides it, or breaks its line where no editor would.
fn is_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

/// Returns the text without a byte order mark before it and white space around it.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim()
}

/// Number of bytes, leading white space included, from which the kind of a text is detected.
const KIND_BYTES_MAX: usize = 256;

/// Returns the kind of text that begins with these bytes, for a page that came instead of an image. `None` means that the bytes are not
/// text.
pub(crate) fn kind_of_text(head: &[u8]) -> Option<&'static str> {
    let beginning = &head[..head.len().min(KIND_BYTES_MAX)];
    let lower = trimmed(&String::from_utf8_lossy(beginning)).to_ascii_lowercase();
    match lower.as_bytes() {
        _ if lower.starts_with("<!doctype html") || lower.starts_with("<html") => Some("an HTML page"),
        [b'<', ..] => Some("an XML or HTML text"),
        [b'{' | b'[', ..] => Some("JSON"),
        _ => is_text(head).then_some("plain text"),
    }
}

/// Returns whether the bytes are readable UTF-8, which may be cut within a character.
fn is_text(head: &[u8]) -> bool {
    let is_readable = |text: &str| !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    match str::from_utf8(head) {
        Ok(text) => is_readable(text),
        Err(error) => {
            error.error_len().is_none() && str::from_utf8(&head[..error.valid_up_to()]).is_ok_and(is_readable)
        }
    }
}

/// Formats a count with thousands separators: `1,632`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(n), text);
        }
    }

    #[test]
    fn control_sequences_are_written_out() {
        assert_eq!(escape("a\x1b[31mred\x07\u{9b}"), "a\\u{1b}[31mred\\u{7}\\u{9b}");
        assert_eq!(escape("two\nlines\ttab\r"), "two\\nlines\\ttab\\r");
        assert_eq!(escape("\u{202e}evil"), "\\u{202e}evil");
    }

    #[test]
    fn of_several_lines_only_the_breaks_stay() {
        assert_eq!(lines("one\n  t\x1b]0;wo\r\n"), "one\n  t\\u{1b}]0;wo\\r\n");
        assert_eq!(lines(""), "");
    }

    #[test]
    fn letters_of_every_script_stay() {
        assert_eq!(escape("一只金色的猫 قطة 🐈"), "一只金色的猫 قطة 🐈");
    }

    #[test]
    fn an_excerpt_says_that_it_was_cut() {
        assert_eq!(excerpt("a golden cat", 12), "a golden cat");
        assert_eq!(excerpt("a golden cat", 9), "a golden…");
        assert_eq!(excerpt("金色的猫", 3), "金色…");
    }

    #[test]
    fn two_excerpts_show_where_the_texts_differ() {
        assert_eq!(excerpts_apart("a cat", "a dog", 12), ["a cat", "a dog"]);
        let begin = "a golden cat on a windowsill in the ";
        let [one, other] = [format!("{begin}morning light, 35 mm"), format!("{begin}evening light, 35 mm")];
        assert_eq!(
            excerpts_apart(&one, &other, 16),
            ["…the morning lig…", "…the evening lig…"].map(|s| s.replace("lig…", "li…"))
        );
        assert_eq!(excerpts_apart(&one, begin.trim_end(), 48)[1], "a golden cat on a windowsill in the");
        assert_eq!(excerpts_apart("a\x1b", "a", 12), ["a\\u{1b}", "a"]);
    }
}
