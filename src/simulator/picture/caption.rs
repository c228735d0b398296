//! Words drawn into a picture: the beginning of the prompt, the model and the seed, so that pictures can be compared.
//!
//! Links and task ids contain the caption, so it consists of the characters that a URL and a file name take. Letters of
//! other scripts are patterns: the same letter has the same pattern.

/// Maximum length of a caption in bytes.
const BYTES_MAX: usize = 48;

/// Maximum length of the prompt, and of the model, in characters. The seed takes the rest.
const PROMPT_CHARS_MAX: u16 = 20;
const MODEL_CHARS_MAX: u16 = 16;

/// Characters with a meaning of their own: a space, a full stop, and the end of a line. All other capitals are patterns.
const SPACE: u8 = b'_';
const STOP: u8 = b'Z';
const LINE_END: u8 = b'Y';
const N_PATTERNS: u8 = 24;

/// Dots between the left edges of two characters, and between the upper edges of two lines.
const CHAR_DOTS: u16 = 6;
const LINE_DOTS: u16 = 9;

/// Width of the longest line, and height of three lines, with their margins, in dots.
const WIDTH_DOTS: u16 = PROMPT_CHARS_MAX * CHAR_DOTS + 4;
const HEIGHT_DOTS: u16 = 3 * LINE_DOTS + 2;

/// Words of a picture, as the characters of its link; bytes behind the end are 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Caption([u8; BYTES_MAX]);

impl Caption {
    /// Caption without words: the picture is drawn alone.
    pub(super) const NONE: Self = Self([0; BYTES_MAX]);

    /// Returns the caption of a request.
    pub(super) fn new(prompt: &str, model: &str, seed: Option<u64>) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let mut text = line(prompt, PROMPT_CHARS_MAX);
        text.push(LINE_END);
        text.extend(line(name, MODEL_CHARS_MAX));
        if let Some(seed) = seed {
            text.push(LINE_END);
            text.extend(seed.to_string().bytes());
        }
        let mut bytes = [0; BYTES_MAX];
        for (byte, own) in bytes.iter_mut().zip(text) {
            *byte = own;
        }
        Self(bytes)
    }

    /// Parses the text of a caption; `None` if no caption has this text.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let is_own = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, SPACE | b'-');
        let mut bytes = [0; BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        text.bytes().all(is_own).then_some(Self(bytes))
    }

    /// Returns the text in links and ids; empty without words.
    pub(super) fn text(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(BYTES_MAX);
        str::from_utf8(&self.0[..end]).expect("a caption is ASCII")
    }

    /// Draws the words on a dark band along the lower edge of these pixels. Small pictures have no room for them.
    pub(super) fn draw(&self, pixels: &mut [u8], width: u16, height: u16) {
        let scale = usize::from((width / WIDTH_DOTS).min(height / (3 * HEIGHT_DOTS)));
        if scale == 0 || self.text().is_empty() {
            return;
        }
        let row_bytes = usize::from(width) * 3;
        let band = &mut pixels[usize::from(height) * row_bytes - usize::from(HEIGHT_DOTS) * scale * row_bytes..];
        for byte in band.iter_mut() {
            *byte /= 4;
        }
        let lines = self.text().as_bytes().split(|byte| *byte == LINE_END);
        for (nth, line) in lines.enumerate() {
            let seed = [b"seed_", line].concat();
            let line = if nth == 2 { &seed } else { line };
            for (column, glyph) in line.iter().map(|byte| glyph(*byte)).enumerate() {
                let (x, y) = (2 + column * usize::from(CHAR_DOTS), 2 + nth * usize::from(LINE_DOTS));
                for (dx, bits) in glyph.into_iter().enumerate() {
                    for dy in (0..7).filter(|dy| (bits >> dy) & 1 == 1) {
                        fill(band, row_bytes, scale, x + dx, y + dy);
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for Caption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Caption({:?})", self.text())
    }
}

/// Makes one dot white.
fn fill(band: &mut [u8], row_bytes: usize, scale: usize, x: usize, y: usize) {
    for row in band.chunks_exact_mut(row_bytes).skip(y * scale).take(scale) {
        row[x * scale * 3..(x + 1) * scale * 3].fill(0xf4);
    }
}

/// Returns the beginning of a text in the characters of a caption.
fn line(text: &str, chars_max: u16) -> Vec<u8> {
    let mut line = Vec::new();
    for c in text.chars() {
        if line.len() == usize::from(chars_max) {
            break;
        }
        let c = plain(c);
        let byte = match u8::try_from(c) {
            Ok(b'.') => STOP,
            Ok(byte) if byte == b'-' || byte.is_ascii_alphanumeric() => byte.to_ascii_lowercase(),
            _ if c.is_alphanumeric() => b'A' + u32::from(c).wrapping_mul(0x9e37_79b1).to_be_bytes()[1] % N_PATTERNS,
            _ => SPACE,
        };
        // Marks and spaces between words take one place, and none at the beginning.
        if byte != SPACE || line.last().is_some_and(|last| *last != SPACE) {
            line.push(byte);
        }
    }
    while line.last() == Some(&SPACE) {
        line.pop();
    }
    line
}

/// Latin letters with their variants.
const VARIANTS: [(char, &str); 14] = [
    ('a', "àáâãäåāăąæ"),
    ('c', "çćč"),
    ('d', "ďđð"),
    ('e', "èéêëēęě"),
    ('g', "ğģ"),
    ('i', "ìíîïīı"),
    ('l', "ľł"),
    ('n', "ñńň"),
    ('o', "òóôõöøőœ"),
    ('r', "ŕř"),
    ('s', "śšşßș"),
    ('t', "ťţț"),
    ('u', "ùúûüūůű"),
    ('z', "źżž"),
];

/// Returns the letter without its accent.
fn plain(c: char) -> char {
    let lower = c.to_lowercase().next().unwrap_or(c);
    VARIANTS.into_iter().find(|(_, variants)| variants.contains(lower)).map_or(c, |(letter, _)| letter)
}

/// Returns the dots of a character: five columns from the left, the upper dot in the lowest bit.
fn glyph(byte: u8) -> [u8; 5] {
    match byte {
        b'0'..=b'9' => DIGITS[usize::from(byte - b'0')],
        b'a'..=b'z' => LETTERS[usize::from(byte - b'a')],
        b'-' => [0x08; 5],
        STOP => [0, 0x60, 0x60, 0, 0],
        b'A'..=b'X' => {
            // Mirrored, with its middle column full, so that it looks like a sign.
            let bits = u32::from(byte).wrapping_mul(0x9e37_79b1).to_be_bytes();
            let [outer, inner] = [bits[0] | 0x11, bits[1]].map(|bits| bits & 0x7f);
            [outer, inner, 0x7f, inner, outer]
        }
        _ => [0; 5],
    }
}

const DIGITS: [[u8; 5]; 10] = [
    [0x3e, 0x51, 0x49, 0x45, 0x3e],
    [0x00, 0x42, 0x7f, 0x40, 0x00],
    [0x42, 0x61, 0x51, 0x49, 0x46],
    [0x21, 0x41, 0x45, 0x4b, 0x31],
    [0x18, 0x14, 0x12, 0x7f, 0x10],
    [0x27, 0x45, 0x45, 0x45, 0x39],
    [0x3c, 0x4a, 0x49, 0x49, 0x30],
    [0x01, 0x71, 0x09, 0x05, 0x03],
    [0x36, 0x49, 0x49, 0x49, 0x36],
    [0x06, 0x49, 0x49, 0x29, 0x1e],
];

const LETTERS: [[u8; 5]; 26] = [
    [0x7e, 0x11, 0x11, 0x11, 0x7e],
    [0x7f, 0x49, 0x49, 0x49, 0x36],
    [0x3e, 0x41, 0x41, 0x41, 0x22],
    [0x7f, 0x41, 0x41, 0x22, 0x1c],
    [0x7f, 0x49, 0x49, 0x49, 0x41],
    [0x7f, 0x09, 0x09, 0x09, 0x01],
    [0x3e, 0x41, 0x49, 0x49, 0x7a],
    [0x7f, 0x08, 0x08, 0x08, 0x7f],
    [0x00, 0x41, 0x7f, 0x41, 0x00],
    [0x20, 0x40, 0x41, 0x3f, 0x01],
    [0x7f, 0x08, 0x14, 0x22, 0x41],
    [0x7f, 0x40, 0x40, 0x40, 0x40],
    [0x7f, 0x02, 0x0c, 0x02, 0x7f],
    [0x7f, 0x04, 0x08, 0x10, 0x7f],
    [0x3e, 0x41, 0x41, 0x41, 0x3e],
    [0x7f, 0x09, 0x09, 0x09, 0x06],
    [0x3e, 0x41, 0x51, 0x21, 0x5e],
    [0x7f, 0x09, 0x19, 0x29, 0x46],
    [0x46, 0x49, 0x49, 0x49, 0x31],
    [0x01, 0x01, 0x7f, 0x01, 0x01],
    [0x3f, 0x40, 0x40, 0x40, 0x3f],
    [0x1f, 0x20, 0x40, 0x20, 0x1f],
    [0x3f, 0x40, 0x38, 0x40, 0x3f],
    [0x63, 0x14, 0x08, 0x14, 0x63],
    [0x07, 0x08, 0x70, 0x08, 0x07],
    [0x61, 0x51, 0x49, 0x45, 0x43],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_says_what_was_asked_for() {
        for (prompt, model, seed, text) in [
            ("A calm lake, at dawn", "Qwen/Qwen-Image", Some(7), "a_calm_lake_at_dawnYqwen-imageY7"),
            ("  two\n\tlines!! ", "a/FLUX.1-Krea-dev", None, "two_linesYfluxZ1-krea-dev"),
            ("Crème brûlée, ØRESUND", "b", Some(0), "creme_brulee_oresundYbY0"),
            ("x".repeat(3000).as_str(), "y", Some(u64::from(u32::MAX) / 2), "xxxxxxxxxxxxxxxxxxxxYyY2147483647"),
            ("🐈 !?", "", None, "Y"),
        ] {
            let caption = Caption::new(prompt, model, seed);
            assert_eq!(caption.text(), text);
            assert_eq!(Caption::from_text(text), Some(caption));
        }
        // Longer seeds than the service takes are cut.
        assert_eq!(Caption::new(&"x".repeat(99), &"y".repeat(99), Some(u64::MAX)).text().len(), BYTES_MAX);
    }

    #[test]
    fn another_script_is_drawn_as_patterns() {
        let text = |prompt: &str| Caption::new(prompt, "m", None).text().to_owned();
        assert_eq!(text("石桥石").len(), "ABAYm".len());
        assert_eq!(text("石桥石")[..1], text("石桥石")[2..3], "one letter, one pattern");
        let texts = ["石桥", "黄昏的猫", "قطة نائمة", "ねこ", "고양이", "кот", "बिल्ली", "\u{301}\u{200d}é", "\0\u{7f}"];
        for prompt in texts {
            let caption = Caption::new(prompt, prompt, None);
            assert_eq!(Caption::from_text(caption.text()), Some(caption), "{prompt}");
        }
        let glyphs: std::collections::BTreeSet<_> = (b'A'..=b'X').map(glyph).collect();
        assert_eq!(glyphs.len(), usize::from(N_PATTERNS), "all patterns differ");
    }

    #[test]
    fn a_text_that_no_caption_has_is_refused() {
        for text in ["a b", "a.b", "a/b", "é", "%20", &"x".repeat(BYTES_MAX + 1)] {
            assert_eq!(Caption::from_text(text), None, "{text}");
        }
        assert_eq!(Caption::from_text(""), Some(Caption::NONE));
    }

    /// Goal: words are drawn within the picture, on its lower edge only. Method: draw them on white pictures of many
    /// shapes, and look for the rows that changed.
    #[test]
    fn words_are_drawn_on_the_lower_edge() {
        let caption = Caption::new(&"W".repeat(20), "a/model", Some(2_147_483_647));
        for (width, height, is_drawn) in
            [(512, 512, true), (124, 87, true), (2048, 64, false), (64, 64, false), (1, 1, false), (1536, 640, true)]
        {
            let mut pixels = vec![0xff; usize::from(width) * usize::from(height) * 3];
            caption.draw(&mut pixels, width, height);
            let changed = |row: &[u8]| row.iter().any(|byte| *byte != 0xff);
            let rows: Vec<_> = pixels.chunks_exact(usize::from(width) * 3).map(changed).collect();
            assert_eq!(rows.iter().any(|changed| *changed), is_drawn, "{width} x {height}");
            assert!(rows[..rows.len() / 2].iter().all(|changed| !changed), "the upper half is left alone");
            assert_eq!(pixels.contains(&0xf4), is_drawn, "letters");
        }
        let mut pixels = vec![0xff; 512 * 512 * 3];
        Caption::NONE.draw(&mut pixels, 512, 512);
        assert!(pixels.iter().all(|byte| *byte == 0xff));
    }
}
