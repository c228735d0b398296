//! Titles in messages: several of them, and one as a shell needs it in an option.

use crate::manifest::fields::title_chars::visible;
use crate::manifest::fields::value::shown_text;
use crate::model::escape::escape;

/// Lists the first few titles for a message.
pub(crate) fn listed(titles: &[impl AsRef<str>]) -> String {
    const SHOWN_MAX: usize = 8;
    let shown: Vec<String> = titles.iter().take(SHOWN_MAX).map(|title| shown_text(title.as_ref())).collect();
    let more = if titles.len() > SHOWN_MAX { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Returns a title as a shell needs it in an option that takes one title. White space and characters that cannot be seen do not count in
/// titles, so they are written as a space.
pub(crate) fn as_word(title: &str) -> String {
    let title = escape(&visible(title));
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if title.chars().all(is_plain) && !title.starts_with('-') {
        return title;
    }
    format!("'{}'", title.replace('\'', r"'\''"))
}

/// Returns a title as a shell needs it in an option that takes several titles with commas between them.
pub(crate) fn as_option(title: &str) -> String {
    as_word(&title.replace(',', r"\,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_quoted_for_a_shell() {
        for (title, word, option) in [
            ("cfg_scale", "cfg_scale", "cfg_scale"),
            ("body.size", "body.size", "body.size"),
            ("步数", "步数", "步数"),
            ("CFG Scale", "'CFG Scale'", "'CFG Scale'"),
            ("Seed (0, or random)", "'Seed (0, or random)'", r"'Seed (0\, or random)'"),
            ("Prompt\n(one sentence)", "'Prompt (one sentence)'", "'Prompt (one sentence)'"),
            ("negative\u{a0}prompt", "'negative prompt'", "'negative prompt'"),
            ("seed\u{200b}", "seed", "seed"),
            ("the author's $name", r"'the author'\''s $name'", r"'the author'\''s $name'"),
        ] {
            assert_eq!([as_word(title), as_option(title)], [word, option], "{title:?}");
        }
    }
}
