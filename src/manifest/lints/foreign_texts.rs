//! Texts that were written for other programs: switches, commands, labels, numbered lists, separators, rows of other formats.
//!
//! Each rule looks at one prompt. Whether its prompts are mistakes or warnings is decided at the end, when their share is known.

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::lints::switches;

/// Prompts of one rule whose location is kept.
const PLACES_MAX: usize = 20;

/// Consequence of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Never meant as a prompt: a mistake.
    Mistake,
    /// A mistake if nearly all prompts are so and they are at least this many; otherwise a warning for each.
    Share(u64),
    /// One warning for all of them.
    Warning,
}

use Verdict::{Mistake, Share, Warning};

/// Prompt as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenText<'a> {
    /// Text without the white space around it.
    text: &'a str,
    is_first: bool,
    /// Records that the manifest is plain text, in which every line is a prompt.
    is_line: bool,
}

struct Rule {
    is: fn(SeenText<'_>) -> bool,
    verdict: Verdict,
    what: &'static str,
    remedy: &'static str,
}

const fn rule(is: fn(SeenText<'_>) -> bool, verdict: Verdict, what: &'static str, remedy: &'static str) -> Rule {
    Rule { is, verdict, what, remedy }
}

const IN_COLUMNS: &str = "write a CSV or YAML manifest with a field for each of them";
const ONE_A_LINE: &str = "write each prompt on one line, and nothing else";
const N_RULES: usize = 18;

/// Rules, in the order in which the first match counts.
const RULES: [Rule; N_RULES] = [
    rule(is_header, Mistake, "is the header of a table", "name the file .csv or .tsv, or add --format csv"),
    rule(is_yaml_head, Mistake, "is the beginning of a YAML manifest", "name the file .yaml, or add --format yaml"),
    rule(is_object, Share(1), "is a JSON object", "name the file .jsonl, or add --format jsonl"),
    rule(is_bracket, Mistake, "is a bracket of JSON", "convert it: jq -r '.[]' OLD > NEW.txt"),
    rule(
        is_quoted_item,
        Share(2),
        "is an item of a list, with its quotes and its comma",
        "convert it: jq -r '.[]' OLD > NEW.txt",
    ),
    rule(is_webui_line, Mistake, "is a line of switches for the web UI script \"prompts from file\"", IN_COLUMNS),
    rule(is_infotext, Mistake, "holds the generation data of an image, not its prompt alone", IN_COLUMNS),
    rule(is_polarity_label, Mistake, "is labelled as a positive or negative prompt", IN_COLUMNS),
    rule(is_fence, Mistake, "is a Markdown code fence", "remove it"),
    rule(is_conflict, Mistake, "is the mark of a merge conflict", "resolve the conflict"),
    rule(is_separator, Mistake, "only separates the lines around it", ONE_A_LINE),
    rule(is_command, Mistake, "is a command to a chat bot", "keep the prompt alone, without the command"),
    rule(
        is_file,
        Mistake,
        "is the address of a file, and the file is not read",
        "write the prompts themselves, or `{from: prompts.txt}` in a YAML manifest",
    ),
    rule(ends_in_switches, Share(1), "ends in switches of another program, such as `--ar 16:9`", IN_COLUMNS),
    rule(
        is_numbered,
        Share(2),
        "is numbered, and the number is sent too",
        "remove the numbers: sed -E 's/^ *[0-9]+[.)] *//' OLD > NEW",
    ),
    rule(
        is_bullet,
        Share(2),
        "is marked as an item of a list, and the mark is sent too",
        "remove the marks: sed -E 's/^ *[-*•] +//' OLD > NEW",
    ),
    rule(is_prompt_label, Share(2), "is labelled as a prompt, and the label is sent too", "remove the labels"),
    rule(
        has_lora_tag,
        Warning,
        "has a tag such as `<lora:name:1>`, which is sent as text",
        "name adapters in the field `loras`",
    ),
];

fn is_header(SeenText { text, is_first, is_line }: SeenText<'_>) -> bool {
    let is_title = |cell: &str| Field::titled(cell.trim().trim_matches('"'));
    let mut titles = text.split([',', ';', '\t']).map(is_title);
    is_line
        && is_first
        && titles.clone().all(|title| title.is_some())
        && titles.any(|title| title == Some(Field::Prompt))
}

fn is_yaml_head(SeenText { text, is_first, is_line }: SeenText<'_>) -> bool {
    is_line && is_first && matches!(text, "prompts:" | "defaults:" | "vars:" | "- prompt:")
}

fn is_object(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    is_line && text.starts_with("{\"") && text.trim_end_matches(',').ends_with('}')
}

fn is_bracket(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    is_line && matches!(text, "[" | "]" | "{" | "}" | "}," | "],")
}

fn is_quoted_item(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let is_within = |quote: char| {
        text.len() > 2 && text.starts_with(quote) && text.strip_suffix(',').is_some_and(|rest| rest.ends_with(quote))
    };
    is_line && (is_within('"') || is_within('\''))
}

fn is_webui_line(SeenText { text, .. }: SeenText<'_>) -> bool {
    ["--prompt", "--negative_prompt", "--negative-prompt"]
        .iter()
        .filter_map(|switch| text.strip_prefix(switch))
        .any(|rest| rest.starts_with([' ', '=', '"']))
}

fn is_infotext(SeenText { text, .. }: SeenText<'_>) -> bool {
    let is_data = |line: &str| {
        line.starts_with("Negative prompt:") || line.starts_with("Steps: ") && line.contains(", Sampler: ")
    };
    // Looks for a colon first, because most texts have none.
    text.contains(':') && text.lines().any(is_data)
}

fn is_polarity_label(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    const LABELS: [&str; 14] = [
        "positive",
        "negative",
        "positive prompt",
        "negative prompt",
        "negative_prompt",
        "neg",
        "neg prompt",
        "pos",
        "正面提示词",
        "负面提示词",
        "正向提示词",
        "反向提示词",
        "ポジティブ",
        "ネガティブ",
    ];
    is_line && label(text).is_some_and(|label| LABELS.contains(&label.as_str()))
}

fn is_prompt_label(SeenText { text, .. }: SeenText<'_>) -> bool {
    let Some(label) = label(text) else { return false };
    let word = label.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ' ' | '#' | '.'));
    matches!(word, "prompt" | "image prompt" | "image" | "提示词" | "プロンプト")
}

/// Returns the text before the first colon, in lower case and without Markdown marks. `None` if it is no short label.
fn label(text: &str) -> Option<String> {
    let at = text.find([':', '：'])?;
    (at <= 40).then(|| text[..at].trim_matches(['*', '#', ' ', '_']).to_lowercase())
}

fn is_fence(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    is_line && (text.starts_with("```") || text.starts_with("~~~"))
}

fn is_conflict(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    is_line && (text.starts_with("<<<<<<< ") || text.starts_with(">>>>>>> "))
}

fn is_separator(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let Some(first @ ('-' | '=' | '*' | '_' | '~' | '#' | '+' | '—' | '─')) = text.chars().next() else {
        return false;
    };
    is_line && text.chars().count() > 2 && text.chars().all(|c| c == first || c == ' ')
}

fn is_command(SeenText { text, .. }: SeenText<'_>) -> bool {
    const COMMANDS: [&str; 7] = ["/imagine", "/dream", "!dream", "/draw", "/generate", "/blend", "/create"];
    let Some('/' | '!') = text.chars().next() else { return false };
    let word = text.split([' ', '\t']).next().unwrap_or_default();
    COMMANDS.contains(&word.to_lowercase().as_str())
}

fn is_file(SeenText { text, .. }: SeenText<'_>) -> bool {
    text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://"))
}

fn ends_in_switches(SeenText { text, .. }: SeenText<'_>) -> bool {
    switches::ends_in_switches(text)
}

fn is_numbered(SeenText { text, .. }: SeenText<'_>) -> bool {
    let text = text.trim_start_matches(['(', '[', '#', '*', '（']);
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let n_digits = text.len() - rest.len();
    let after =
        ["** ", ". ", ".\t", ") ", "] ", ".) ", "、", "．", "）"].iter().find_map(|mark| rest.strip_prefix(mark));
    (1..=6).contains(&n_digits) && after.is_some_and(|rest| !rest.trim().is_empty())
}

fn is_bullet(SeenText { text, .. }: SeenText<'_>) -> bool {
    ["- ", "* ", "• ", "– ", "+ ", "· ", "・"].iter().any(|mark| text.starts_with(mark))
}

fn has_lora_tag(SeenText { text, .. }: SeenText<'_>) -> bool {
    text.contains("<lora:") || text.contains("<lyco:")
}

/// Returns whether no rule can match a text that is not the first. One look at each byte spares nearly all texts the rules.
fn is_common(text: &str) -> bool {
    let is_sign = |byte: u8| matches!(byte, b':' | b'<' | b'-' | 0xe2 | 0xef);
    text.starts_with(char::is_alphabetic) && !text.bytes().any(is_sign)
}

/// Prompts of one rule.
#[derive(Debug, Default)]
struct Count {
    n: u64,
    places: Vec<Location>,
}

/// Counts of the prompts that look foreign.
#[derive(Debug, Default)]
pub(crate) struct ForeignTexts {
    n_texts: u64,
    has_lines: bool,
    counts: [Count; N_RULES],
}

impl ForeignTexts {
    /// Counts a prompt.
    pub(crate) fn see(&mut self, text: &str, is_line: bool, place: Location) {
        let seen = SeenText { text: text.trim(), is_first: self.n_texts == 0, is_line };
        self.n_texts += 1;
        self.has_lines |= is_line;
        if !seen.is_first && is_common(seen.text) {
            return;
        }
        if let Some(i) = RULES.iter().position(|rule| (rule.is)(seen)) {
            let count = &mut self.counts[i];
            count.n += 1;
            if count.places.len() < PLACES_MAX {
                count.places.push(place);
            }
        }
    }

    /// Reports the prompts that look foreign.
    pub(crate) fn finish(self, findings: &mut PassDiagnostics) {
        let subject = if self.has_lines { "this line" } else { "this prompt" };
        for (Rule { verdict, what, remedy, .. }, Count { n, places }) in RULES.iter().zip(self.counts) {
            let Some(first) = places.first() else { continue };
            let is_nearly_all = n * 10 >= self.n_texts * 8;
            let all = match n {
                1 => format!("{subject} {what}"),
                2 => format!("{subject}, like another one, {what}"),
                n => format!("{subject}, like {} others, {what}", n - 1),
            };
            match verdict {
                Share(n_min) if !is_nearly_all || n < *n_min => {
                    for place in places {
                        let remedy = format!("{remedy}, if it is not meant");
                        findings.warnings.push(place, wrong(format!("{subject} {what}"), remedy));
                    }
                }
                Warning => findings.warnings.push(*first, wrong(all, *remedy)),
                Mistake | Share(_) => {
                    findings.mistakes.push(*first, wrong(all, format!("{remedy}; --verbatim sends it as it is")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of each rule, in the order of the rules.
    const EXAMPLES: [&[&str]; N_RULES] = [
        &["prompt", "prompt,seed", "id;Prompt;Negative Prompt", "\"prompt\"\t\"model\""],
        &["prompts:", "defaults:", "vars:"],
        &["{\"prompt\": \"a cat\"}", "{\"text\":\"x\"},"],
        &["[", "]", "{", "},", "],"],
        &["\"a cat\",", "'a dog',"],
        &["--prompt \"a cat\" --seed 5", "--prompt=\"a cat\"", "--negative_prompt \"text\" --prompt x"],
        &["Negative prompt: blurry", "Steps: 20, Sampler: Euler a, CFG scale: 7", "a cat\nNegative prompt: blurry"],
        &[
            "positive:a tram",
            "Negative: people",
            "NEGATIVE PROMPT：text",
            "**Positive Prompt:** a cat",
            "负面提示词：文字",
        ],
        &["```", "```text", "~~~"],
        &["<<<<<<< HEAD", ">>>>>>> theirs"],
        &["---", "=======", "* * *", "___", "────────"],
        &["/imagine prompt: a cat", "/imagine a cat", "!dream a cat", "/Draw a cat"],
        &["file://harbours.txt", "FILE:///tmp/a.txt"],
        &[
            "a cat --ar 16:9 --v 6",
            "a cat --no text, border --s 250",
            "a cat —ar 3:2",
            "a cat --seed 5",
            "a cat --steps 20 --cfg_scale 7",
        ],
        &["1. a cat", "2) a dog", "(3) a hare", "12.\ta heron", "4、一只猫", "[5] a bee"],
        &["- a cat", "* a dog", "• a hare", "・猫"],
        &["Prompt: a cat", "Prompt 3: a dog", "**Prompt 4:** a hare", "提示词1：一只猫", "Image 2: a heron"],
        &["a cat <lora:ink:0.8>"],
    ];

    fn of_rule(text: &str) -> Option<usize> {
        RULES.iter().position(|rule| (rule.is)(SeenText { text, is_first: true, is_line: true }))
    }

    #[test]
    fn every_rule_finds_its_texts() {
        for (i, texts) in EXAMPLES.into_iter().enumerate() {
            for text in texts {
                assert_eq!(of_rule(text), Some(i), "{text}: {:?}", of_rule(text).map(|i| RULES[i].what));
            }
        }
    }

    /// Goal: texts that only resemble a rule are left alone.
    #[test]
    fn prompts_that_are_meant_have_no_rule() {
        for text in [
            "a poster that says \"use --force\"",
            "a terminal that shows `git commit --amend`",
            "a cat -- asleep",
            "an en-dash – here",
            "1 cat",
            "3.5 litres of milk",
            "101 dalmatians",
            "2001: a space odyssey poster",
            "a 50/50 split",
            "-40 degrees, an icy street",
            "positive vibes only",
            "negative space, minimal",
            "a file:// address on a poster",
            "{",
            "a sign: no entry",
            "imagine a cat",
            "/r/pics",
            "a prompt, a seed",
            "prompt engineers at work",
            "\"quoted\" words",
            "*sigh*",
            "a {brace} and <b>",
            "Steps: a staircase",
        ] {
            let expected = (text == "{").then_some(3);
            assert_eq!(of_rule(text), expected, "{text}");
        }
    }

    fn reported(texts: &[&str]) -> [u64; 2] {
        let (mut seen, mut findings) = (ForeignTexts::default(), PassDiagnostics::default());
        for (line, text) in (1..).zip(texts) {
            seen.see(text, true, Location::Line(line));
        }
        seen.finish(&mut findings);
        [findings.mistakes.n(), findings.warnings.n()]
    }

    #[test]
    fn no_text_of_a_rule_is_common() {
        // A header and the beginning of YAML are the first text.
        for text in EXAMPLES.into_iter().skip(2).flatten() {
            assert!(!is_common(text), "{text}");
        }
    }

    #[test]
    fn a_share_decides_between_a_mistake_and_warnings() {
        assert_eq!(reported(&["1. a", "2. b", "3. c", "4. d", "e"]), [1, 0], "nearly all");
        assert_eq!(reported(&["1. a", "2. b", "c"]), [0, 2], "some");
        assert_eq!(reported(&["1. a"]), [0, 1], "one is no list");
        assert_eq!(reported(&["a --ar 16:9"]), [1, 0]);
        assert_eq!(reported(&["a --ar 16:9", "b"]), [0, 1]);
        assert_eq!(reported(&["a", "---", "b", "---", "c"]), [1, 0], "one mistake for all of a rule");
        assert_eq!(reported(&["a <lora:x:1>", "b <lora:x:1>"]), [0, 1]);
        assert_eq!(reported(&["a", "prompt"]), [0, 0], "a header is the first line");
    }
}
