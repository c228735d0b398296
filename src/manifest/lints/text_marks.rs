//! Marks that other programs and people put around a prompt: labels, numbers, bullets, commands, addresses.

use crate::manifest::fields::field::Field;
use crate::manifest::fields::synonyms::{self, Meaning};
use crate::manifest::lints::text_rule::SeenText;

/// Returns whether the line introduces a list that a chat bot wrote, such as "Here are 10 prompts:".
pub(super) fn is_lead_in(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    const BEGINNINGS: [&str; 7] = ["here are ", "sure", "certainly", "of course", "以下是", "当然", "以下は"];
    let is_begun = || {
        let text = text.to_lowercase();
        BEGINNINGS.iter().any(|begin| text.starts_with(begin))
    };
    is_line && text.ends_with([':', '：']) && is_begun()
}

pub(super) fn is_negative_label(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    const LABELS: [&str; 8] = [
        "negative prompt",
        "negative_prompt",
        "neg prompt",
        "neg_prompt",
        "负面提示词",
        "负向提示词",
        "反向提示词",
        "ネガティブプロンプト",
    ];
    is_line && label(text).is_some_and(|label| LABELS.contains(&label.as_str()))
}

pub(super) fn is_polarity_label(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    const LABELS: [&str; 20] = [
        "prompt",
        "提示词",
        "user",
        "assistant",
        "human",
        "chatgpt",
        "positive",
        "negative",
        "positive prompt",
        "positive_prompt",
        "neg",
        "pos",
        "正面",
        "负面",
        "正向",
        "反向",
        "正面提示词",
        "正向提示词",
        "ポジティブ",
        "ネガティブ",
    ];
    is_line && label(text).is_some_and(|label| LABELS.contains(&label.as_str()))
}

pub(super) fn is_prompt_label(SeenText { text, .. }: SeenText<'_>) -> bool {
    let Some(label) = label(text) else { return false };
    let word = label.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ' ' | '#' | '.'));
    matches!(word, "prompt" | "image prompt" | "image" | "提示词" | "プロンプト")
}

/// Returns whether the line is a setting with its number, such as `Seed: 5`.
pub(super) fn is_setting(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let Some(label) = label(text).filter(|_| is_line) else { return false };
    let value = text.split_once([':', '：', '=']).map_or("", |(_, value)| value.trim());
    let is_parameter = Field::titled(&label).is_some_and(Field::is_sent)
        || matches!(synonyms::of(&label), Some((Meaning::Field(_) | Meaning::Width | Meaning::Height, _)));
    is_parameter && value.starts_with(|c: char| c.is_ascii_digit() || c == '-') && !value.contains(' ')
}

/// Returns the label of a line, in lower case and without Markdown marks: `a: b`, `a = b` or `[a]`. `None` if it is no short label.
fn label(text: &str) -> Option<String> {
    const BYTES_MAX: usize = 40;
    let heading = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let label = match heading {
        Some(heading) => heading,
        None => &text[..text.find([':', '：', '='])?],
    };
    (label.len() <= BYTES_MAX).then(|| label.trim_matches(['*', '#', ' ', '_', '-', '>']).to_lowercase())
}

pub(super) fn is_command(SeenText { text, .. }: SeenText<'_>) -> bool {
    const COMMANDS: [&str; 11] = [
        "/imagine",
        "/dream",
        "!dream",
        "!imagine",
        "/draw",
        "/generate",
        "/blend",
        "/create",
        "/flux",
        "/dalle",
        "/txt2img",
    ];
    let Some('/' | '!') = text.chars().next() else { return false };
    let word = text.split([' ', '\t', ':']).next().unwrap_or_default();
    COMMANDS.contains(&word.to_lowercase().as_str())
}

pub(super) fn is_file(SeenText { text, .. }: SeenText<'_>) -> bool {
    text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://"))
}

pub(super) fn is_address(SeenText { text, .. }: SeenText<'_>) -> bool {
    let is_begun = |scheme: &str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    (is_begun("https://") || is_begun("http://") || is_begun("data:image/")) && !text.contains(char::is_whitespace)
}

/// Returns whether the text is one word with the ending of an image, a text or a model.
pub(super) fn is_file_name(SeenText { text, .. }: SeenText<'_>) -> bool {
    const ENDINGS: [&str; 12] =
        ["png", "jpg", "jpeg", "webp", "gif", "txt", "json", "csv", "yaml", "safetensors", "ckpt", "md"];
    let ending = text.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, ending)| ending.to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) && !text.contains(char::is_whitespace)
}

/// Chinese numerals that number the items of a list.
pub(super) const NUMERALS: [char; 10] = ['一', '二', '三', '四', '五', '六', '七', '八', '九', '十'];

pub(super) fn is_numbered(SeenText { text, .. }: SeenText<'_>) -> bool {
    const MARKS: [&str; 11] = ["** ", ".** ", ". ", ".\t", ") ", "] ", ".) ", "、", "．", "）", " - "];
    // Numbers in a circle, from ① to ⑳.
    if text.starts_with(|c: char| ('\u{2460}'..='\u{2473}').contains(&c)) {
        return true;
    }
    let after_numeral = text.trim_start_matches(NUMERALS);
    if after_numeral.len() < text.len() && after_numeral.starts_with('、') {
        return true;
    }
    let text = text.trim_start_matches(['(', '[', '#', '*', '（']);
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let n_digits = text.len() - rest.len();
    // A long number before a colon is a year, as in "2001: a space odyssey".
    let colon = || rest.strip_prefix(": ").filter(|_| n_digits <= 3);
    let after = MARKS.iter().find_map(|mark| rest.strip_prefix(mark)).or_else(colon);
    // Without a space, a digit or a small letter after the full stop may belong to the number, as in "3.5" or "1.x".
    let full_stop = || {
        let is_text = |c: char| c.is_alphabetic() && !c.is_ascii_lowercase();
        rest.strip_prefix('.').filter(|rest| n_digits <= 3 && rest.starts_with(is_text))
    };
    let after = after.or_else(full_stop);
    (1..=6).contains(&n_digits) && after.is_some_and(|rest| !rest.trim().is_empty())
}

pub(super) fn is_bullet(SeenText { text, .. }: SeenText<'_>) -> bool {
    ["- ", "* ", "• ", "– ", "+ ", "· ", "・", "> ", "● ", "▪ "].iter().any(|mark| text.starts_with(mark))
}

pub(super) fn is_number(SeenText { text, is_typed, .. }: SeenText<'_>) -> bool {
    !is_typed && text.starts_with(|c: char| c.is_ascii_digit()) && text.replace(',', "").parse::<f64>().is_ok()
}

/// Returns whether the text has only ASCII punctuation. Other signs, such as emoji, may show what is meant.
pub(super) fn is_without_word(SeenText { text, is_typed, .. }: SeenText<'_>) -> bool {
    !is_typed
        && text.len() > 1
        && !text.contains("???")
        && text.chars().all(|c| c.is_ascii_punctuation() || c.is_whitespace())
}
