//! What image files are called: names that people can read, that no prompt can lead out of its folder, and that fit every file system.

use crate::model::job::{Job, JobId};
use crate::model::outcome::ImageFormat;

/// Images in one folder; more would make file managers and shells crawl.
pub const FOLDER_FILES_MAX: u64 = 10_000;

/// Characters of a slug: what a listing shows on one line.
const SLUG_CHARS_MAX: usize = 60;

/// Bytes of a slug or of a stem. A file name may have 255, and the rest is for what [`ImageName`] puts around it:
/// 21 for the index, 21 for the job id, 4 for the image's number, 5 for the extension.
const STEM_BYTES_MAX: usize = 200;

/// Where one image shall go below OUT, all but its extension, which the bytes decide.
///
/// It can only be made here, so that its paths always stay in their folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    folder: String,
    stem: String,
    job: JobId,
    nth: usize,
}

impl ImageName {
    /// The default name, `{index:06}-{slug}`, for the `nth` (from 1) image of a job.
    pub fn new(job: &Job, nth: usize) -> Self {
        Self::with(job, nth, stem(job.index, &job.request.prompt))
    }

    /// The same place under a stem of the user's making. What no file name may hold becomes `-`, also every dot; without anything
    /// left, or as a name that Windows keeps for devices, it begins with the index.
    pub fn with_stem(job: &Job, nth: usize, stem: &str) -> Self {
        let stem = clean(stem.chars(), |c| c == '_', STEM_BYTES_MAX);
        let stem = match stem.as_str() {
            "" => format!("{:06}", job.index),
            device if is_device(device) => format!("{:06}-{device}", job.index),
            _ => stem,
        };
        Self::with(job, nth, stem)
    }

    fn with(job: &Job, nth: usize, stem: String) -> Self {
        let stem = if nth > 1 { format!("{stem}-{nth}") } else { stem };
        Self { folder: folder(job.index), stem, job: job.id, nth }
    }

    /// The folder below OUT, with `/` between its parts.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The path below OUT of an image of this format.
    pub fn path(&self, format: ImageFormat) -> String {
        format!("{}/{}.{}", self.folder, self.stem, format.extension())
    }

    /// Where the image goes when another file has its path already: a name with the whole job id in it, and so this job's alone.
    pub fn path_apart(&self, format: ImageFormat) -> String {
        format!("{}/{}-{}.{}", self.folder, self.stem, self.job, format.extension())
    }

    /// What its bytes are called while they come in: unlike any other image's, whatever the stems.
    pub fn partial(&self) -> String {
        format!("{}-{}", self.job, self.nth)
    }
}

/// The default stem of a job's file names: its index and what its prompt says, or only the index if that is nothing readable.
pub fn stem(index: u64, prompt: &str) -> String {
    match slug(prompt).as_str() {
        "" => format!("{index:06}"),
        slug => format!("{index:06}-{slug}"),
    }
}

/// The folder of the job with this index: `images`, then a new one below it for every further 10,000.
pub fn folder(index: u64) -> String {
    match index.saturating_sub(1) / FOLDER_FILES_MAX {
        0 => "images".to_owned(),
        n => format!("images/{n:05}"),
    }
}

/// The letters and digits of a text, of every script and in lower case, with one `-` for whatever stood between them.
///
/// At most 60 characters and 200 bytes: whole words where that keeps half of it, and never a letter without its accents.
pub fn slug(text: &str) -> String {
    let slug = clean(text.chars().flat_map(char::to_lowercase), |_| false, STEM_BYTES_MAX);
    cut(&slug, SLUG_CHARS_MAX, STEM_BYTES_MAX).to_owned()
}

/// Keeps letters, digits, the marks on them and what `is_kept`, and writes one `-` for each run of anything else, save at the ends.
fn clean(chars: impl Iterator<Item = char>, is_kept: fn(char) -> bool, bytes_max: usize) -> String {
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
fn cut(text: &str, chars_max: usize, bytes_max: usize) -> &str {
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
fn is_mark(c: char) -> bool {
    let is_escaped_alone = c.escape_debug().nth(1).is_some();
    is_escaped_alone && String::from_iter(['a', c]).escape_debug().nth(2).is_none()
}

/// Names that Windows keeps for devices, whatever their case and extension.
fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let is_port = |n: &str| matches!(n, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³");
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || port.is_some_and(is_port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::request::Request;

    fn job(index: u64, prompt: &str) -> Job {
        let request = Request { prompt: prompt.into(), ..Request::default() };
        Job { id: JobId::new(&request.content(), 0), index, label: None, request, extras: vec![] }
    }

    #[test]
    fn a_slug_reads_like_its_prompt() {
        let table = [
            ("a golden cat", "a-golden-cat"),
            ("  A Golden CAT!  ", "a-golden-cat"),
            ("cat, dog & bird -- 8k.png", "cat-dog-bird-8k-png"),
            ("一只金色的猫，高清", "一只金色的猫-高清"),
            ("Ein Mädchen in Übergröße", "ein-mädchen-in-übergröße"),
            ("قطة ذهبية", "قطة-ذهبية"),
            ("золотой КОТ", "золотой-кот"),
            ("सुनहरी बिल्ली", "सुनहरी-बिल्ली"),
            ("แมวสีทอง", "แมวสีทอง"),
            ("cafe\u{301} noir", "cafe\u{301}-noir"),
            ("\u{301}cafe", "cafe"),
            ("cat \u{301}dog", "cat-dog"),
            ("\u{9be}", ""),
            ("cat \u{9be}", "cat"),
            ("½ cup ① ٣", "½-cup-①-٣"),
            ("../../etc/passwd", "etc-passwd"),
            ("C:\\Windows\\con", "c-windows-con"),
            ("a\0b\x1b[31mc\nd\u{202e}e", "a-b-31mc-d-e"),
            ("🐈🐈‍⬛❤️", ""),
            ("", ""),
            ("---", ""),
            ("a_b", "a-b"),
            ("İstanbul", "i\u{307}stanbul"),
        ];
        for (prompt, expected) in table {
            assert_eq!(slug(prompt), expected, "{prompt:?}");
        }
    }

    #[test]
    fn a_long_prompt_is_cut_between_words() {
        let prompt = "a very long prompt about a golden cat that sits on a wooden chair in the evening sun";
        assert_eq!(slug(prompt), "a-very-long-prompt-about-a-golden-cat-that-sits-on-a-wooden");
        assert_eq!(slug(&format!("{} {}", "a".repeat(60), "b")), "a".repeat(60));
    }

    #[test]
    fn a_long_word_is_cut_at_a_letter_with_its_marks() {
        assert_eq!(slug(&"猫".repeat(500)), "猫".repeat(60));
        assert_eq!(slug(&"𠀀".repeat(500)), "𠀀".repeat(50), "200 bytes");
        assert_eq!(slug(&format!("a-{}", "b".repeat(500))), format!("a-{}", "b".repeat(58)));
        let accented = "e\u{301}".repeat(500);
        assert_eq!(slug(&accented), "e\u{301}".repeat(30));
        assert_eq!(
            slug(&format!("x{accented}")),
            format!("x{}", "e\u{301}".repeat(29)),
            "59 characters, not half an é"
        );
        assert_eq!(slug(&format!("a{}", "\u{301}".repeat(500))), "", "one letter that never ends");
        assert_eq!(slug(&format!("{}-a{}", "b".repeat(20), "\u{301}".repeat(500))), "b".repeat(20));
    }

    #[test]
    fn marks_are_told_from_letters_and_from_everything_else() {
        for c in ['\u{301}', '\u{94d}', '\u{e48}', '\u{64e}', '\u{3099}'] {
            assert!(is_mark(c), "{c:?}");
        }
        for c in [
            'a',
            'é',
            '猫',
            '-',
            '"',
            '\'',
            '\\',
            '\n',
            '\0',
            '\u{1b}',
            '\u{202e}',
            ' ',
            '🐈',
            '\u{200c}',
            '\u{200d}',
            '\u{1f3fd}',
            '\u{e000}',
        ] {
            assert!(!is_mark(c), "{c:?}");
        }
    }

    #[test]
    fn a_name_is_its_index_and_its_slug() {
        let name = ImageName::new(&job(12, "A golden cat"), 1);
        assert_eq!(name.path(ImageFormat::Png), "images/000012-a-golden-cat.png");
        assert_eq!(name.path_apart(ImageFormat::Jpeg), format!("images/000012-a-golden-cat-{}.jpg", name.job));
        assert_eq!(name.partial(), format!("{}-1", name.job));
        assert_eq!(ImageName::new(&job(12, "🐈"), 1).path(ImageFormat::WebP), "images/000012.webp");
        assert_eq!(ImageName::new(&job(12, "cat"), 3).path(ImageFormat::Png), "images/000012-cat-3.png");
        assert_eq!(ImageName::new(&job(12, "CON"), 1).path(ImageFormat::Png), "images/000012-con.png");
        assert_eq!(ImageName::new(&job(1_234_567, "cat"), 1).path(ImageFormat::Png), "images/00123/1234567-cat.png");
    }

    #[test]
    fn a_stem_of_the_users_making_is_kept_where_it_can_be() {
        let path = |stem| ImageName::with_stem(&job(7, "x"), 1, stem).path(ImageFormat::Png);
        assert_eq!(path("Cat_01-Final"), "images/Cat_01-Final.png");
        assert_eq!(path("../../etc/passwd"), "images/etc-passwd.png");
        assert_eq!(path("a.b"), "images/a-b.png");
        assert_eq!(path("..."), "images/000007.png");
        for device in ["con", "NUL", "Com1", "lpt9", "COM²"] {
            assert_eq!(path(device), format!("images/000007-{device}.png"));
        }
        for stem in ["com0", "com10", "comb", "console", "lpt"] {
            assert_eq!(path(stem), format!("images/{stem}.png"));
        }
    }

    #[test]
    fn a_new_folder_begins_after_every_ten_thousand() {
        let table = [
            (0, "images"),
            (1, "images"),
            (10_000, "images"),
            (10_001, "images/00001"),
            (20_000, "images/00001"),
            (20_001, "images/00002"),
            (10_000_000, "images/00999"),
        ];
        for (index, expected) in table {
            assert_eq!(folder(index), expected, "{index}");
        }
    }

    /// Letters, marks, controls, separators and symbols, far more often than chance would mix them.
    fn nasty() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            any::<char>().prop_map(String::from),
            "[a-zA-Z0-9 ._/\\\\:-]{0,80}",
            "[猫金色的𠀀]{0,80}",
            "(e\u{301}|\u{301}|\u{e01}\u{e49}|İ|ς|ẞ){0,60}",
            Just("..".to_owned()),
            Just("CON".to_owned()),
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn a_slug_has_nothing_but_letters_digits_marks_and_single_hyphens(text in nasty()) {
            let slug = slug(&text);
            prop_assert!(slug.chars().all(|c| c == '-' || c.is_alphanumeric() || is_mark(c)), "{slug:?}");
            prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"), "{slug:?}");
            prop_assert!(!slug.starts_with(is_mark), "{slug:?}");
            prop_assert!(slug.chars().count() <= 60 && slug.len() <= 200);
        }

        #[test]
        fn a_slug_is_its_own_slug(text in nasty()) {
            let once = slug(&text);
            prop_assert_eq!(slug(&once), once);
        }

        #[test]
        fn a_path_stays_in_its_folder_and_fits(text in nasty(), index: u64, nth in 1..=999_usize, is_custom: bool) {
            let job = job(index, &text);
            let name = if is_custom { ImageName::with_stem(&job, nth, &text) } else { ImageName::new(&job, nth) };
            for path in [name.path(ImageFormat::WebP), name.path_apart(ImageFormat::WebP)] {
                let file = path.strip_prefix(&format!("{}/", name.folder())).unwrap();
                prop_assert!(file.len() <= 255, "{} bytes", file.len());
                prop_assert!(!file.contains(['/', '\\', ':', '\0']) && !file.contains(".."), "{file:?}");
                prop_assert!(!file.starts_with(['.', '-']) && file.matches('.').count() == 1, "{file:?}");
                prop_assert!(!is_device(file.split('.').next().unwrap()), "{file:?}");
                prop_assert!(!file.chars().any(char::is_control), "{file:?}");
            }
        }
    }
}
