//! Minor tokens of the dynamic syntax: escapes, comments, counts, weights, and unsupported tokens.

use std::ops::RangeInclusive;

use super::{Parser, SPECIAL};
use crate::manifest::diagnostics::wrong;
use crate::manifest::fields::value::shown_text;
use crate::manifest::template::parsed::{is_of_name, misspelt_var};

/// Default separator between several options.
const JOINER: &str = ", ";

/// Prefix of a choice of several options, such as `2$$` or `1-3$$ and $$`.
pub(crate) struct Count<'a> {
    pub(crate) sizes: RangeInclusive<u64>,
    pub(crate) joiner: &'a str,
}

impl<'p> Parser<'p, '_> {
    /// Parses `\` and the special character after it. Before any other character, `\` is literal.
    pub(crate) fn escaped(&mut self) -> char {
        let next = self.rest()[1..].chars().next().filter(|c| *c != '\\' && SPECIAL.contains(c));
        self.at += if next.is_some() { 2 } else { 1 };
        next.unwrap_or('\\')
    }

    /// Skips a comment and the spaces before it, and the whole line if the line has nothing else.
    pub(crate) fn comment(&mut self, is_first: bool, literal: &mut String) {
        let begin = self.at;
        if !is_comment(self.rest()) {
            self.at += 1;
            let remedy = "write `\\#` for a literal `#`, or add a space after it for a comment";
            return self.flaw(begin, wrong("`#` begins a comment here, but it looks like part of the text", remedy));
        }
        self.skip_line();
        literal.truncate(literal.trim_end_matches([' ', '\t']).len());
        if literal.ends_with('\n') || is_first && literal.is_empty() {
            self.at += usize::from(self.rest().starts_with('\n'));
        }
    }

    /// Skips comments before an option, and white space with a line break in it. `is_all` skips any white space.
    pub(crate) fn layout(&mut self, is_all: bool) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            let space = &rest[..rest.len() - trimmed.len()];
            if is_all || space.contains('\n') || is_comment(trimmed) {
                self.at += space.len();
            }
            if !is_comment(self.rest()) {
                return;
            }
            self.skip_line();
        }
    }

    /// Skips to the end of the line.
    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    /// Parses `{name}` if a var has this name. Reports a flaw if a var has a similar name.
    pub(crate) fn var(&mut self) -> Option<&'p str> {
        let begin = self.at;
        let inner = &self.rest()[1..];
        let end = inner.find(|c| !is_of_name(c) && c != ' ')?;
        if !inner[end..].starts_with('}') {
            return None;
        }
        let name = inner[..end].trim();
        if self.reading.vars.contains(name) {
            self.at += end + 2;
            return Some(name);
        }
        if let Some(wrong) = misspelt_var(name, self.reading.vars, &format!("\\{{{name}\\}}")) {
            self.gathered.flaw(begin, begin + end + 2, wrong);
        }
        None
    }

    /// Parses the sign of a sampler. The sign of the combinatorial sampler has no effect, because it requests what is done anyway.
    pub(crate) fn sampler(&mut self, of: &str) {
        let begin = self.at;
        match self.rest().chars().next() {
            Some('!') => self.at += 1,
            Some(sign @ ('~' | '@')) => {
                self.at += 1;
                let what = format!("`{sign}` asks for a separate sampler for {of}, which is not supported");
                self.flaw(begin, wrong(what, "remove it: `expand` decides how everything is combined"));
            }
            _ => (),
        }
    }

    /// Parses `2$$`, `1-2$$`, `-2$$` or `2-$$`, and the separator after it, if any.
    pub(crate) fn count(&mut self) -> Option<Count<'p>> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-' && c != ' ')?;
        let behind = rest[end..].strip_prefix("$$")?;
        let sizes = sizes(rest[..end].trim())?;
        self.at += end + 2;
        let end = behind.find(['$', '{', '}']).unwrap_or(behind.len());
        let joiner = behind[end..].starts_with("$$").then(|| &behind[..end]);
        self.at += joiner.map_or(0, |joiner| joiner.len() + 2);
        Some(Count { sizes, joiner: joiner.unwrap_or(JOINER) })
    }

    /// Parses a weight such as `0.5::` before an option.
    pub(crate) fn weight(&mut self) {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches([' ', '\t']);
        let Some(end) = trimmed.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+' | 'e' | 'E')) else {
            return;
        };
        let weight = &trimmed[..end];
        if !trimmed[end..].starts_with("::") || !weight.contains(|c: char| c.is_ascii_digit()) {
            return;
        }
        let begin = self.at + rest.len() - trimmed.len();
        self.at = begin + end + 2;
        self.has_weights = true;
        if !weight.parse().is_ok_and(|weight: f64| weight.is_finite() && weight > 0.0) {
            let what = format!("the weight {} is not a positive number", shown_text(weight));
            self.flaw(begin, wrong(what, "write one such as `0.5::` or `2::`, or remove the option"));
        }
    }

    /// Reports a `$$` that belongs to no count.
    pub(crate) fn stray_count(&mut self) {
        let begin = self.at;
        self.at += 2;
        let remedy = "write the count after the brace, as in `{2$$a|b|c}`, or `\\$\\$` for literal dollar signs";
        self.flaw(begin, wrong("`$$` has no count before it", remedy));
    }

    /// Reports a `${..}` or `%{..}`, and skips it.
    pub(crate) fn foreign(&mut self) {
        let begin = self.at;
        let wrong = if self.rest().starts_with('$') {
            let remedy = "give it under `vars` and write `{name}`, or `\\$` for a literal dollar sign";
            wrong("`${` begins a variable of dynamic prompts, which is not supported", remedy)
        } else {
            let remedy = "write both parts out, or `\\%` for a literal percent sign";
            wrong("`%{` begins a wrap of dynamic prompts, which is not supported", remedy)
        };
        self.at += 2;
        self.flaw(begin, wrong);
        self.at -= 1;
        // Drops the flaws inside, because the text there has another meaning in Dynamic Prompts.
        let n_flaws = self.gathered.flaws.len();
        self.choice();
        self.gathered.flaws.truncate(n_flaws);
    }
}

/// Returns whether a comment begins here. A letter or digit directly after the sign probably means text, such as `#1`.
fn is_comment(rest: &str) -> bool {
    rest.strip_prefix('#').is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// Parses the range of a count. Either bound may be missing, and the bounds may be in the wrong order.
fn sizes(text: &str) -> Option<RangeInclusive<u64>> {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Saturates a number that is too large, because it is above the length of any list.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (low, high) = match text.split_once('-') {
        None => (number(text)?, number(text)?),
        Some(("", high)) => (1, number(high)?),
        Some((low, "")) => (number(low)?, u64::MAX),
        Some((low, high)) => (number(low)?, number(high)?),
    };
    Some(low.min(high)..=low.max(high))
}
