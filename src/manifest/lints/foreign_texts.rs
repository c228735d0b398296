//! Texts that were written for other programs, such as `/imagine a cat --ar 16:9` or a numbered list.
//!
//! Each rule looks at one prompt. Whether its prompts are mistakes or warnings is decided at the end, when their share is known.

use std::collections::BTreeMap;

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::lints::linted_format::LintedFormat;
use crate::manifest::lints::signs::Signs;
use crate::manifest::lints::text_rule::Verdict::{AtLeast, Mistake, Most, Warning};
use crate::manifest::lints::text_rule::{Rule, SeenText};
use crate::manifest::lints::text_rules::{RULES, is_common};

/// Prompts of one rule whose location is kept.
const PLACES_MAX: usize = 20;

/// Prompts of one rule.
#[derive(Debug, Default)]
struct Count {
    n: u64,
    places: Vec<Location>,
}

/// Counts of the prompts that look foreign.
#[derive(Debug, Default)]
pub(super) struct ForeignTexts {
    n_texts: u64,
    has_lines: bool,
    /// Prompts of each rule that matches any, by the index of the rule.
    counts: BTreeMap<usize, Count>,
}

impl ForeignTexts {
    /// Counts a prompt.
    pub(super) fn see(&mut self, text: &str, format: LintedFormat, signs: Signs, place: Location) {
        let is_first = self.n_texts == 0;
        self.n_texts += 1;
        self.has_lines |= format.has_lines;
        let text = text.trim();
        if !is_first && is_common(text, signs) {
            return;
        }
        let seen = SeenText { text, is_first, is_line: format.has_lines, is_typed: format.has_null };
        if let Some(i) = RULES.iter().position(|rule| (rule.is)(seen)) {
            let count = self.counts.entry(i).or_default();
            count.n += 1;
            if count.places.len() < PLACES_MAX {
                count.places.push(place);
            }
        }
    }

    /// Reports the prompts that look foreign.
    pub(super) fn finish(self, findings: &mut PassDiagnostics) {
        let subject = if self.has_lines { "this line" } else { "this prompt" };
        for (i, Count { n, places }) in self.counts {
            let (Rule { verdict, what, remedy, .. }, Some(first)) = (&RULES[i], places.first()) else { continue };
            let is_most = n * 10 >= self.n_texts * 7;
            let all = match n {
                1 => format!("{subject} {what}"),
                2 => format!("{subject}, and 1 more, {what}"),
                n => format!("{subject}, like {} others, {what}", n - 1),
            };
            match verdict {
                AtLeast(n_min) | Most(n_min) if n < *n_min || matches!(verdict, Most(_)) && !is_most => {
                    for place in places {
                        let remedy = format!("{remedy}, if it is not meant");
                        findings.warnings.push(place, wrong(format!("{subject} {what}"), remedy));
                    }
                }
                Warning => findings.warnings.push(*first, wrong(all, *remedy)),
                Mistake | AtLeast(_) | Most(_) => {
                    findings.mistakes.push(*first, wrong(all, format!("{remedy}; --verbatim sends it as it is")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(texts: &[&str]) -> [u64; 2] {
        let (mut seen, mut findings) = (ForeignTexts::default(), PassDiagnostics::default());
        for (line, text) in (1..).zip(texts) {
            let format = LintedFormat { has_lines: true, ..LintedFormat::default() };
            seen.see(text, format, Signs::of(text), Location::Line(line));
        }
        seen.finish(&mut findings);
        [findings.mistakes.n(), findings.warnings.n()]
    }

    #[test]
    fn a_share_decides_between_a_mistake_and_warnings() {
        assert_eq!(reported(&["1. a", "2. b", "3. c", "4. d", "e"]), [1, 0], "most");
        assert_eq!(reported(&["1. a", "2. b", "c"]), [0, 2], "some");
        assert_eq!(reported(&["1. a"]), [0, 1], "one is no list");
        assert_eq!(reported(&["a --ar 16:9"]), [1, 0]);
        assert_eq!(reported(&["a --ar 16:9", "b"]), [0, 1]);
        assert_eq!(reported(&["a", "---", "b", "---", "c"]), [1, 0], "one mistake for all of a rule");
        assert_eq!(reported(&["a <lora:x:1>", "b <lora:x:1>"]), [0, 1]);
        assert_eq!(reported(&["positive: a", "negative: b", "c"]), [1, 0], "two labels");
        assert_eq!(reported(&["Negative: an old photograph", "b"]), [0, 1], "one label may be meant");
        assert_eq!(reported(&["[", "\"a\",", "\"b\"", "]"]), [1, 1], "the last item is a line in quotes");
        assert_eq!(reported(&["{", "a cat"]), [0, 1]);
        assert_eq!(reported(&["a", "prompt"]), [0, 0], "a header is the first line");
    }
}
