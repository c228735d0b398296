//! Words for yes and no in tables, as people write them in English, Chinese, Japanese and some European languages.

/// Words for yes, in lower case.
const YES: [&str; 21] = [
    "y", "yes", "true", "t", "1", "1.0", "x", "on", "是", "是的", "对", "真", "はい", "✓", "✔", "✅", "☑", "ja", "oui",
    "si", "sí",
];

/// Words for no, in lower case.
const NO: [&str; 17] =
    ["", "n", "no", "false", "f", "0", "0.0", "off", "-", "否", "不", "假", "いいえ", "✗", "❌", "nein", "non"];

/// Returns what a word means. Case and white space around it do not count. `None` for any other text.
pub(crate) fn meaning(text: &str) -> Option<bool> {
    const BYTES_MAX: usize = 24;
    let text = text.trim();
    if text.len() > BYTES_MAX {
        return None;
    }
    // Full-width letters and digits, as input methods for Chinese and Japanese write them.
    let narrow =
        |c: char| if ('！'..='～').contains(&c) { char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c) } else { c };
    let word: String = text.chars().map(narrow).flat_map(char::to_lowercase).collect();
    // A sign may be followed by the mark that asks for its picture.
    let word = word.trim_end_matches('\u{fe0f}');
    if YES.contains(&word) { Some(true) } else { NO.contains(&word).then_some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_yes_and_no_are_known_and_no_others() {
        for text in ["y", "Yes", " TRUE ", "1", "1.0", "X", "是", "はい", "✓", "✔\u{fe0f}", "oui", "ＹＥＳ", "１"]
        {
            assert_eq!(meaning(text), Some(true), "{text}");
        }
        for text in ["", " ", "n", "No", "FALSE", "0", "0.0", "否", "いいえ", "-", "ＮＯ", "ＦＡＬＳＥ"] {
            assert_eq!(meaning(text), Some(false), "{text}");
        }
        for text in ["maybe", "2", "skip", "yes please", "nan", "done", "-1", "10", "\u{fe0f}y"] {
            assert_eq!(meaning(text), None, "{text}");
        }
    }
}
