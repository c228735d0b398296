//! Text templates of an entry: prompts, negative prompts, ids and the values of vars, each with one or several templates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::manifest::diagnostic::{Location, PassDiagnostics, Span, wrong};
use crate::manifest::expand_options::{ExpandMode, ExpandOptions};
use crate::manifest::fields::Text;
use crate::manifest::lists::ListFiles;
use crate::manifest::one_or_many::OneOrManyValues;
use crate::manifest::template::{Reading, Syntax, Template, TemplateFlaw, WildcardCache};

/// Texts of an entry as templates.
#[derive(Clone, Debug)]
pub(super) struct EntryTemplates {
    pub(super) prompts: TemplateList,
    pub(super) negative_prompts: Option<TemplateList>,
    pub(super) ids: Option<TemplateList>,
    /// Vars that a text uses.
    pub(super) vars: Vec<(String, Arc<TemplateList>)>,
}

/// List of templates; their texts are numbered consecutively.
#[derive(Clone, Debug)]
pub(super) struct TemplateList {
    all: Vec<(Template, Location)>,
    /// Number of the first text after each template.
    ends: Vec<u64>,
    is_list: bool,
    key: blake3::Hash,
}

impl TemplateList {
    fn new(all: Vec<(Template, Location)>, is_list: bool, key: blake3::Hash) -> Self {
        let mut end = 0_u64;
        let ends = all.iter().map(|(template, _)| {
            end = end.saturating_add(template.n());
            end
        });
        Self { ends: ends.collect(), all, is_list, key }
    }

    /// Returns the number of texts of all templates.
    pub(super) fn n(&self) -> u64 {
        self.ends.last().copied().unwrap_or(1)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Template> {
        self.all.iter().map(|(template, _)| template)
    }

    pub(super) const fn is_list(&self) -> bool {
        self.is_list
    }

    /// Returns the location of the first template.
    pub(super) fn place(&self) -> Location {
        self.all.first().map_or(Location::File, |(_, place)| *place)
    }

    /// Returns the names of the vars that the templates use.
    pub(super) fn vars(&self) -> impl Iterator<Item = &str> {
        self.all().flat_map(Template::vars)
    }

    /// Renders the text with number `i`, from 0, and returns it with its location.
    pub(super) fn text<'a>(&self, i: u64, value: &dyn Fn(&str) -> &'a str) -> (String, Location) {
        let at = self.ends.partition_point(|end| *end <= i);
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        let (template, place) = &self.all[at];
        (template.text(i - begin, value), *place)
    }

    /// Computes the key of the sampling permutation from the seed and the texts as written. So an entry keeps its sample when it moves.
    pub(super) fn key(&self, way: ExpandMode) -> [u8; 32] {
        let seed = if let ExpandMode::Sample { seed, .. } = way { seed } else { 0 };
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"promptbatch sample 1").update(&seed.to_le_bytes()).update(self.key.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// Vars in scope, and the template syntax.
#[derive(Debug)]
pub(super) struct Scope {
    syntax: Syntax,
    names: BTreeSet<String>,
    vars: BTreeMap<String, Arc<TemplateList>>,
}

/// Parser of texts as templates.
pub(super) struct TextReader<'a> {
    pub(super) lists: &'a mut ListFiles,
    pub(super) known: &'a mut WildcardCache,
    pub(super) findings: &'a mut PassDiagnostics,
}

impl Scope {
    /// Parses the values of the vars. Returns `None` if one of them has a mistake.
    pub(super) fn read(ways: &ExpandOptions, reader: &mut TextReader<'_>) -> Option<Self> {
        let syntax = ways.syntax.unwrap_or_default();
        // Values of vars cannot use other vars.
        let alone = Self { syntax, names: BTreeSet::new(), vars: BTreeMap::new() };
        let read: Vec<_> =
            ways.vars.iter().map(|(name, var)| (name.clone(), reader.read(&var.texts, true, &alone))).collect();
        let vars = read.into_iter().map(|(name, texts)| Some((name, Arc::new(texts?)))).collect::<Option<_>>()?;
        Some(Self { syntax, names: ways.vars.keys().cloned().collect(), vars })
    }
}

impl TextReader<'_> {
    /// Parses all texts of an entry. Returns `None` if one of them has a mistake.
    pub(super) fn says(
        &mut self,
        prompt: &OneOrManyValues<Text>,
        negative_prompt: Option<&OneOrManyValues<Text>>,
        id: Option<&OneOrManyValues<Text>>,
        scope: &Scope,
    ) -> Option<EntryTemplates> {
        let prompts = self.axis(prompt, scope);
        let mut optional =
            |axis: Option<&OneOrManyValues<Text>>| axis.map_or(Some(None), |axis| self.axis(axis, scope).map(Some));
        let (negative_prompts, ids) = (optional(negative_prompt), optional(id));
        let (prompts, negative_prompts, ids) = (prompts?, negative_prompts?, ids?);
        let texts = [Some(&prompts), negative_prompts.as_ref(), ids.as_ref()];
        let named: BTreeSet<&str> = texts.into_iter().flatten().flat_map(TemplateList::vars).collect();
        let vars = named.into_iter().map(|name| (name.to_owned(), Arc::clone(&scope.vars[name]))).collect();
        Some(EntryTemplates { prompts, negative_prompts, ids, vars })
    }

    fn axis(&mut self, axis: &OneOrManyValues<Text>, scope: &Scope) -> Option<TemplateList> {
        self.read(axis.values(), axis.is_list(), scope)
    }

    /// Parses all templates of a field. Returns `None` if one of them has a mistake.
    fn read(&mut self, texts: &[Text], is_list: bool, scope: &Scope) -> Option<TemplateList> {
        let mut hasher = blake3::Hasher::new();
        let mut all = Vec::with_capacity(texts.len());
        for text in texts {
            hasher.update(&(text.text.len() as u64).to_le_bytes()).update(text.text.as_bytes());
            all.extend(self.template(text, scope));
        }
        (all.len() == texts.len()).then(|| TemplateList::new(all, is_list, hasher.finalize()))
    }

    fn template(&mut self, Text { text, place }: &Text, scope: &Scope) -> Option<(Template, Location)> {
        let Scope { syntax, names, .. } = scope;
        if names.is_empty() && *syntax == Syntax::Plain {
            return Some((Template::literal(text.clone()), *place));
        }
        let mut reading = Reading { syntax: *syntax, vars: names, wildcards: self.lists, known: self.known };
        match Template::parse(text, &mut reading) {
            Ok(template) => {
                if template.has_weights() {
                    let wrong = wrong("weights have no effect here", "all options are equally likely");
                    self.findings.warnings.push(*place, wrong);
                }
                Some((template, *place))
            }
            Err(flaws) => {
                for TemplateFlaw { begin, end, wrong } in flaws {
                    self.findings.mistakes.push(within(*place, text, begin, end), wrong);
                }
                None
            }
        }
    }
}

/// Returns the location of a byte range of a text. If the text is not on one line as written, returns the location of the whole text.
pub(super) fn within(place: Location, text: &str, begin: usize, end: usize) -> Location {
    let Location::Span(Span { line, begin: first, end: last }) = place else { return place };
    let n_quotes = match (last - first) as usize {
        width if width == text.len() => 0,
        width if width == text.len() + 2 => 1,
        // Rejects texts with escapes or line breaks, in which the origin of each byte is unknown.
        _ => return place,
    };
    let at = |offset: usize| u32::try_from(offset).ok().and_then(|offset| first.checked_add(offset));
    match (at(begin + n_quotes), at(end + n_quotes)) {
        (Some(begin), Some(end)) => Location::Span(Span { line, begin, end }),
        _ => place,
    }
}
