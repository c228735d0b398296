//! Spellings of titles that people and programs vary: case, separators between words, full-width and half-width characters.

/// Half-width forms of U+FF61 to U+FF9D in their order, as Japanese spreadsheets have them.
const HALF_WIDTH: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン";

/// Normalizes a name for comparison: lower case, in one width, without separators and characters that cannot be seen. A dot at the end
/// stays, because `N.` is a number of something.
pub(crate) fn joined(name: &str) -> String {
    let mut joined = String::with_capacity(name.len());
    let name = name.trim();
    for (at, c) in name.char_indices() {
        let c = in_one_width(c);
        match c {
            '.' if at == 0 || at + 1 == name.len() => joined.push(c),
            _ if is_separator(c) || is_invisible(c) => {}
            '\u{ff9e}' => add_mark(&mut joined, 1),
            '\u{ff9f}' => add_mark(&mut joined, 2),
            _ => joined.extend(c.to_lowercase()),
        }
    }
    joined
}

/// Normalizes the parts of a name that people vary: lower case, one width, and `_` for white space and `-`.
pub(crate) fn plain(name: &str) -> String {
    let chars = name.trim().chars().map(in_one_width).filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase);
    chars.map(|c| if c.is_whitespace() || c == '-' { '_' } else { c }).collect()
}

/// Returns a name with a space for any white space, and without characters that cannot be seen.
pub(super) fn visible(name: &str) -> String {
    let words: Vec<_> = name.split_whitespace().map(|word| word.replace(is_invisible, "")).collect();
    words.join(" ")
}

/// Returns whether a character separates the words of a title. R writes dots for spaces.
pub(super) fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '_' | '.' | '\u{2010}' | '\u{2011}' | '–' | '·' | '・')
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// Returns the usual form of a full-width letter or digit, or of a half-width Japanese character.
fn in_one_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{ff61}'..='\u{ff9d}' => HALF_WIDTH.chars().nth((u32::from(c) - 0xff61) as usize).unwrap_or(c),
        _ => c,
    }
}

/// Adds a voicing mark to the last character. The voiced forms follow the plain one.
fn add_mark(text: &mut String, offset: u32) {
    if let Some(last) = text.pop() {
        let voiced = if last == 'ウ' { Some('ヴ') } else { char::from_u32(u32::from(last) + offset) };
        text.push(voiced.unwrap_or(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_title_are_the_same() {
        for (name, expected) in [
            ("Negative Prompt", "negativeprompt"),
            ("Negative.Prompt", "negativeprompt"),
            ("Neg. Prompt", "negprompt"),
            ("negative\u{a0}prompt", "negativeprompt"),
            ("seed\u{200b}", "seed"),
            ("ｓｅｅｄ", "seed"),
            ("ＣＦＧ　Ｓｃａｌｅ", "cfgscale"),
            ("ネガティブ　プロンプト", "ネガティブプロンプト"),
            ("ネガティブ・プロンプト", "ネガティブプロンプト"),
            ("ﾈｶﾞﾃｨﾌﾞ ﾌﾟﾛﾝﾌﾟﾄ", "ネガティブプロンプト"),
            ("ｼｰﾄﾞ", "シード"),
            ("Steps (1-100)", "steps(1100)"),
            // A number of the rows, and no number of images.
            ("N.", "n."),
            ("", ""),
        ] {
            assert_eq!(joined(name), expected, "{name:?}");
        }
        assert_eq!(plain("ＣＦＧ Scale-1.txt"), "cfg_scale_1.txt");
    }
}
