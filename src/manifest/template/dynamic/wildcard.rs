//! Wildcards of the dynamic syntax: `__name__` is any text of a list, and each text is a template too.

use super::{OPTIONS_MAX, Parser, Row, SPECIAL, too_deep};
use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::value::shown_text;
use crate::manifest::template::node::Node;
use crate::manifest::template::parsed::{Gathered, Template};

impl Parser<'_, '_> {
    /// Parses a wildcard from `__` to `__`.
    pub(crate) fn wildcard(&mut self) -> Node {
        let begin = self.at;
        self.at += 2;
        self.sampler("a wildcard");
        let rest = self.rest();
        // Search stops at any sign of the syntax, so that no part of the text is searched twice.
        let end = rest.char_indices().find(|(at, c)| match c {
            '_' => rest[*at..].starts_with("__"),
            c => matches!(c, '(' | '{' | '}' | '|' | '#' | '$' | '\n'),
        });
        let (name, behind) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        let remedy = "write `__name__`, or `\\__` for literal underscores";
        let flaw = match behind.chars().next() {
            Some('_') if !name.trim().is_empty() => None,
            Some('_') => Some(wrong("`__` and `__` have no name between them", remedy)),
            Some('(') => Some(wrong("the parameters of a wildcard are not supported", "write the texts out")),
            Some('$' | '{') => {
                Some(wrong("a wildcard with choices in its name is not supported", "write a choice of wildcards"))
            }
            _ => Some(wrong("`__` opens a wildcard that is never closed", remedy)),
        };
        if let Some(wrong) = flaw {
            self.flaw(begin, wrong);
            // Continues after the name's closing `__` if a bracket or brace was found. That `__` does not open another wildcard.
            let closing = behind.starts_with(['(', '$', '{', '_']).then(|| rest.find("__")).flatten();
            self.at += closing.map_or(0, |closing| closing + 2);
            return Node::empty();
        }
        self.at += name.len() + 2;
        match self.named(name.trim()) {
            Ok(template) => {
                template.vars.iter().for_each(|name| self.gathered.mention(name));
                self.has_weights |= template.has_weights;
                self.within_limits(begin, template.node)
            }
            Err(wrong) => {
                self.flaw(begin, wrong);
                Node::empty()
            }
        }
    }

    /// Returns the template of the wildcard with this name, from the cache if possible.
    fn named(&mut self, name: &str) -> Result<Template, Issue> {
        if let Some(known) = self.reading.known.wildcards.get(name) {
            return known.clone();
        }
        self.trail.wildcards.push(name.to_owned());
        let result = self.texts(name);
        self.trail.wildcards.pop();
        // Caches no rejection because of the nesting: the same wildcard may be valid elsewhere.
        if !self.trail.is_full {
            self.reading.known.wildcards.insert(name.to_owned(), result.clone());
        }
        result
    }

    fn texts(&mut self, name: &str) -> Result<Template, Issue> {
        let shown = shown_text(name);
        let (_, outer) = self.trail.wildcards.split_last().expect("it was just put there");
        if outer.iter().any(|outer| outer == name) {
            let chain = self.trail.wildcards.iter().map(|name| shown_text(name)).collect::<Vec<_>>().join(" -> ");
            return Err(wrong(format!("the wildcard {shown} contains itself: {chain}"), "remove it there"));
        }
        if self.trail.depth == super::DEPTH_MAX {
            self.trail.is_full = true;
            return Err(too_deep());
        }
        let texts = self.reading.wildcards.values(name)?;
        self.trail.n_options += texts.len();
        if self.trail.n_options > OPTIONS_MAX {
            self.trail.is_full = true;
            let what = format!("the wildcards in this have more than {OPTIONS_MAX} texts");
            return Err(wrong(what, "shorten their lists"));
        }
        let depth = self.trail.depth;
        self.trail.depth += 1;
        let result = self.options(&shown, &texts);
        // Restores the depth, because a rejected text may leave it changed.
        self.trail.depth = depth;
        result
    }

    /// Parses the texts of a wildcard, up to the first text with a flaw.
    fn options(&mut self, shown: &str, texts: &[String]) -> Result<Template, Issue> {
        let mut options = Vec::with_capacity(texts.len());
        let mut gathered = Gathered::default();
        let mut has_weights = false;
        for text in texts {
            if !text.contains(SPECIAL) && !text.contains("::") {
                options.push(Node::Text(text.as_str().into()));
                continue;
            }
            let mut parser = Parser::new(text, self.reading, std::mem::take(&mut self.trail));
            parser.weight();
            let node = parser.row(Row::Whole);
            self.trail = parser.trail;
            let template = parser.gathered.template(node, parser.has_weights).map_err(|flaws| {
                let Issue { what, remedy } = flaws[0].wrong.clone();
                wrong(format!("in the text {} of the wildcard {shown}, {what}", shown_text(text)), remedy)
            })?;
            options.push(template.node);
            template.vars.iter().for_each(|name| gathered.mention(name));
            has_weights |= template.has_weights;
        }
        Ok(Template { node: Node::choice(options), vars: gathered.vars, has_weights })
    }
}
