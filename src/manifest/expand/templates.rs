//! Text templates of an entry: prompts, negative prompts, ids and the values of vars, each with one or several templates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::expand::options::{ExpandMode, ExpandOptions, Var};
use crate::manifest::fields::Text;
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::lints::foreign_vars;
use crate::manifest::syntax::Syntax;
use crate::manifest::template;
use crate::manifest::template::parsed::{Template, TemplateFlaw};
use crate::manifest::template::wildcards::{Reading, WildcardCache, Wildcards};

/// Texts of an entry as templates.
#[derive(Clone, Debug)]
pub(crate) struct EntryTemplates {
    pub(crate) prompts: TemplateList,
    pub(crate) negative_prompts: Option<TemplateList>,
    pub(crate) ids: Option<TemplateList>,
    /// Vars that a text uses.
    pub(crate) vars: Vec<(String, Arc<TemplateList>)>,
}

/// List of templates; their texts are numbered consecutively.
#[derive(Clone, Debug)]
pub(crate) struct TemplateList {
    all: Vec<(Template, Location)>,
    /// Number of the first text after each template.
    ends: Vec<u64>,
    is_list: bool,
    key: blake3::Hash,
    /// Table from which the texts of a var come.
    table: Option<Arc<str>>,
}

impl TemplateList {
    fn new(all: Vec<(Template, Location)>, is_list: bool, key: blake3::Hash) -> Self {
        let mut end = 0_u64;
        let ends = all.iter().map(|(template, _)| {
            end = end.saturating_add(template.n());
            end
        });
        Self { ends: ends.collect(), all, is_list, key, table: None }
    }

    /// Makes the texts of a table, in which no character is special.
    fn of_table(texts: &[Text], table: Arc<str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for text in texts {
            hasher.update(&(text.text.len() as u64).to_le_bytes()).update(text.text.as_bytes());
        }
        let all = texts.iter().map(|text| (Template::literal(text.text.clone()), text.place)).collect();
        Self { table: Some(table), ..Self::new(all, true, hasher.finalize()) }
    }

    /// Returns the table from which the texts of a var come. `None` for a list of its own.
    pub(crate) const fn table(&self) -> Option<&Arc<str>> {
        self.table.as_ref()
    }

    /// Returns the number of texts of all templates.
    pub(crate) fn n(&self) -> u64 {
        self.ends.last().copied().unwrap_or(1)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Template> {
        self.all.iter().map(|(template, _)| template)
    }

    pub(crate) const fn is_list(&self) -> bool {
        self.is_list
    }

    /// Returns the location of the first template.
    pub(crate) fn place(&self) -> Location {
        self.all.first().map_or(Location::File, |(_, place)| *place)
    }

    /// Returns the names of the vars that the templates use.
    pub(crate) fn vars(&self) -> impl Iterator<Item = &str> {
        self.all().flat_map(Template::vars)
    }

    /// Renders the text with number `i`, from 0, and returns it with its location.
    pub(crate) fn text<'a>(&self, i: u64, value: &dyn Fn(&str) -> &'a str) -> (String, Location) {
        let at = self.ends.partition_point(|end| *end <= i);
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        let (template, place) = &self.all[at];
        (template.text(i - begin, value), *place)
    }

    /// Computes the key of the sampling permutation from the seed and the texts as written. So an entry keeps its sample when it moves.
    pub(crate) fn key(&self, way: ExpandMode) -> [u8; 32] {
        let seed = if let ExpandMode::Sample { seed, .. } = way { seed } else { 0 };
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"promptbatch sample 1").update(&seed.to_le_bytes()).update(self.key.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// Vars in scope, and the template syntax.
#[derive(Debug)]
pub(crate) struct Scope {
    syntax: Syntax,
    names: BTreeSet<String>,
    vars: BTreeMap<String, Arc<TemplateList>>,
}

/// Parser of texts as templates.
pub(crate) struct TextReader<'a> {
    pub(crate) lists: &'a mut dyn Wildcards,
    pub(crate) known: &'a mut WildcardCache,
    pub(crate) findings: &'a mut PassDiagnostics,
    /// Records that placeholders in the notation of other programs are text.
    pub(crate) is_verbatim: bool,
}

impl Scope {
    /// Parses the values of the vars. Returns `None` if one of them has a mistake.
    pub(crate) fn read(ways: &ExpandOptions, reader: &mut TextReader<'_>) -> Option<Self> {
        let syntax = ways.syntax.unwrap_or_default();
        // Values of vars cannot use other vars.
        let alone = Self { syntax, names: BTreeSet::new(), vars: BTreeMap::new() };
        let read_var = |(name, var): (&String, &Var)| {
            let texts = match &var.table {
                Some(table) => Some(TemplateList::of_table(&var.texts, Arc::clone(table))),
                None => reader.read(&var.texts, true, &alone),
            };
            (name.clone(), texts)
        };
        let read: Vec<_> = ways.vars.iter().map(read_var).collect();
        let vars = read.into_iter().map(|(name, texts)| Some((name, Arc::new(texts?)))).collect::<Option<_>>()?;
        Some(Self { syntax, names: ways.vars.keys().cloned().collect(), vars })
    }
}

impl TextReader<'_> {
    /// Parses all texts of an entry. Returns `None` if one of them has a mistake.
    pub(crate) fn says(
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
        let kind = if *syntax == Syntax::Columns { "column" } else { "var" };
        if *syntax != Syntax::Dynamic
            && !self.is_verbatim
            && foreign_vars::report(kind, text, names, *place, self.findings)
        {
            return None;
        }
        let mut reading = Reading { syntax: *syntax, vars: names, wildcards: self.lists, known: self.known };
        match template::parse(text, &mut reading) {
            Ok(template) => {
                if template.has_weights() {
                    let wrong = wrong("weights have no effect here", "all options are equally likely");
                    self.findings.warnings.push(*place, wrong);
                }
                Some((template, *place))
            }
            Err(flaws) => {
                for TemplateFlaw { begin, end, mut wrong } in flaws {
                    if *syntax == Syntax::Columns {
                        wrong.what = wrong.what.replace("no var is", "no column is").replace("of a var", "of a column");
                    }
                    self.findings.mistakes.push(place.within(text, begin, end), wrong);
                }
                None
            }
        }
    }
}
