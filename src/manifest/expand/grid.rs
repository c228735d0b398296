//! Parameter grid: the jobs of one entry with lists, their number, and direct access to each by its index.
//!
//! The order is fixed and does not depend on the order of the fields in the manifest. Prompts vary slowest. After them come negative
//! prompts, ids, vars by name, providers, models, sizes, steps, guidance, source images, adapters, parameters and seeds. The images of one
//! combination vary fastest.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use crate::manifest::diagnostics::{Issue, Location, wrong};
use crate::manifest::expand::options::ExpandMode;
use crate::manifest::expand::permutation::Permutation;
use crate::manifest::expand::templates::{EntryTemplates, TemplateList};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::parse::RANDOM_SEED;
use crate::manifest::fields::value::{UnparsedValue, shown_text};
use crate::manifest::fields::{Fields, parse};
use crate::manifest::template::parsed::Template;
use crate::model::job::JobSpec;
use crate::model::request::Request;

/// Jobs of an entry with lists or templates.
#[derive(Clone, Debug)]
pub(crate) struct ParameterGrid {
    way: ExpandMode,
    prompts: TemplateList,
    negative_prompts: Option<TemplateList>,
    ids: Option<TemplateList>,
    vars: Vec<(String, Arc<TemplateList>)>,
    /// Fields other than the texts.
    fields: Fields,
    /// Passthrough columns, whose texts may name vars.
    extras: Vec<(String, Template)>,
    /// Number of images per combination.
    n_copies: u64,
    branches: Vec<GridBlock>,
    draw: Option<Permutation>,
    n_combinations: u64,
}

/// Combinations of the same lists. Prompts that use different vars have different branches.
#[derive(Clone, Debug)]
struct GridBlock {
    /// Index of the first combination.
    begin: u64,
    /// Index of the first text of the branch's prompt.
    first_text: u64,
    /// Number of values in each list, in the order of [`ParameterGrid`].
    sizes: Vec<u64>,
}

/// Number of lists after those of texts and vars.
const N_FIELDS: usize = 9;

/// Number of lists before the vars: prompts, negative prompts, ids.
const N_TEXTS: usize = 3;

impl ParameterGrid {
    /// Builds the grid of an entry whose texts have been parsed. The text fields in `fields` are ignored.
    pub(crate) fn new(
        says: EntryTemplates,
        fields: Fields,
        extras: Vec<(String, Template)>,
        way: (ExpandMode, Location),
    ) -> Result<Self, (Location, Issue)> {
        let EntryTemplates { prompts, negative_prompts, ids, vars } = says;
        let n_copies = match &fields.seed {
            Some(seed) if seed.is_list() && fields.n.is_some_and(|n| n > 1) => {
                let what = format!("`n` is {}, and `seed` is a list", fields.n.unwrap_or(1));
                return Err((way.1, wrong(what, "list all the seeds you want, and leave `n` out")));
            }
            _ => u64::from(fields.n.unwrap_or(1)),
        };
        let key = prompts.key(way.0);
        let (way, place) = way;
        let mut grid = Self {
            way,
            prompts,
            negative_prompts,
            ids,
            vars,
            fields,
            extras,
            n_copies,
            branches: Vec::new(),
            draw: None,
            n_combinations: 0,
        };
        match way {
            ExpandMode::Grid => grid.branch(),
            ExpandMode::Sample { n, .. } => {
                grid.branch();
                if grid.n_combinations == u64::MAX {
                    let what = "the lists have more combinations than can be counted";
                    return Err((place, wrong(what, "make some of them shorter")));
                }
                grid.draw = Some(Permutation::new(&key, grid.n_combinations));
                grid.n_combinations = grid.n_combinations.min(n);
            }
            ExpandMode::Zip | ExpandMode::Cycle => grid.walk_together(place)?,
        }
        if let Some(ids) = grid.ids.as_ref().filter(|ids| ids.is_list())
            && !matches!(way, ExpandMode::Zip | ExpandMode::Cycle)
        {
            let what = "`id` is a list, and each combination would get each of its ids";
            let remedy = "write `expand: zip`, or one id with vars in it, such as `id: \"{animal}\"`";
            return Err((ids.place(), wrong(what, remedy)));
        }
        Ok(grid)
    }

    /// Returns the number of jobs. `u64::MAX` means at least as many.
    pub(crate) fn n(&self) -> u64 {
        self.n_combinations.saturating_mul(self.n_copies)
    }

    /// Returns the names of the vars that a text uses.
    pub(crate) fn vars(&self) -> impl Iterator<Item = &str> {
        self.vars.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the passthrough columns of the jobs.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        let own = self.extras.iter().map(|(column, _)| column.as_str());
        own.chain(self.vars().filter(|name| !self.extras.iter().any(|(column, _)| column == name)))
    }

    /// Returns the location of the ids. `None` if the entry has no ids.
    pub(crate) fn place_of_ids(&self) -> Option<Location> {
        self.ids.as_ref().map(TemplateList::place)
    }

    /// Returns the factors of the number of jobs with their labels, such as `4 models`. Factors of 1 are left out.
    pub(crate) fn factors(&self) -> Vec<(u64, String)> {
        let copies = (self.n_copies, "images each".to_owned());
        let is_uniform = self.branches.windows(2).all(|pair| pair[0].sizes == pair[1].sizes);
        let mut factors = match (self.way, self.branches.first()) {
            (ExpandMode::Sample { .. }, _) => vec![(self.n_combinations, "sampled combinations".to_owned())],
            (ExpandMode::Zip | ExpandMode::Cycle, _) => vec![(self.n_combinations, "values in turn".to_owned())],
            (ExpandMode::Grid, Some(first)) if is_uniform => {
                let n_prompts = (self.branches.len() as u64, "prompts".to_owned());
                iter::once(n_prompts).chain(first.sizes.iter().copied().zip(self.names())).collect()
            }
            (ExpandMode::Grid, _) => vec![(self.n_combinations, "combinations".to_owned())],
        };
        factors.push(copies);
        factors.retain(|(n, _)| *n > 1);
        factors
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let texts = ["texts of the prompt", "negative prompts", "ids"];
        let vars = self.vars.iter().map(|(name, _)| format!("values of {}", shown_text(name)));
        let fields =
            ["providers", "models", "sizes", "values of `steps`", "values of `guidance`", "values of `image_url`"];
        let more = ["values of `loras`", "values of `params`", "seeds"];
        texts.map(str::to_owned).into_iter().chain(vars).chain(fields.into_iter().chain(more).map(str::to_owned))
    }

    /// Builds one branch per prompt: the Cartesian product of its lists.
    fn branch(&mut self) {
        let others: BTreeSet<&str> = [self.negative_prompts.as_ref(), self.ids.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(TemplateList::vars)
            .collect();
        let mut branches = Vec::new();
        let (mut begin, mut first_text) = (0_u64, 0);
        for prompt in self.prompts.all() {
            let named = |name: &str| others.contains(name) || prompt.vars().contains(&name);
            let sizes = self.sizes(prompt.n(), named);
            let n = sizes.iter().fold(1_u64, |n, size| n.saturating_mul(*size));
            branches.push(GridBlock { begin, first_text, sizes });
            begin = begin.saturating_add(n);
            first_text += prompt.n();
        }
        self.branches = branches;
        self.n_combinations = begin;
    }

    /// Combines all lists in parallel.
    fn walk_together(&mut self, place: Location) -> Result<(), (Location, Issue)> {
        let sizes = self.sizes(self.prompts.n(), |_| true);
        let longest = sizes.iter().copied().max().unwrap_or(1);
        let several = || sizes.iter().zip(self.names()).filter(|(size, _)| **size > 1);
        if self.way == ExpandMode::Zip && several().any(|(size, _)| *size != longest) {
            let lists: Vec<String> = several().map(|(size, name)| format!("{size} {name}")).collect();
            let what = format!("`expand: zip` needs lists of the same length, and there are {}", lists.join(", "));
            return Err((place, wrong(what, "make them the same length, or write `expand: cycle`")));
        }
        self.branches = vec![GridBlock { begin: 0, first_text: 0, sizes }];
        self.n_combinations = longest;
        Ok(())
    }

    /// Returns the number of values of each list. It is 1 for a missing list, or a var that is not used.
    fn sizes(&self, n_texts: u64, is_named: impl Fn(&str) -> bool) -> Vec<u64> {
        let texts = |texts: &Option<TemplateList>| texts.as_ref().map_or(1, TemplateList::n);
        let mut sizes = vec![n_texts, texts(&self.negative_prompts), texts(&self.ids)];
        // The first named var of a table stands for its rows; the others follow it.
        let mut tables = BTreeSet::new();
        sizes.extend(self.vars.iter().map(|(name, values)| {
            let mut is_first =
                |values: &TemplateList| values.table().is_none_or(|table| tables.insert(Arc::clone(table)));
            if is_named(name) && is_first(values) { values.n() } else { 1 }
        }));
        sizes.extend(self.field_sizes());
        sizes
    }

    fn field_sizes(&self) -> [u64; N_FIELDS] {
        let Fields { provider, model, size, seed, steps, guidance, image_url, loras, params, .. } = &self.fields;
        [
            n(provider.as_ref()),
            n(model.as_ref()),
            n(size.as_ref()),
            n(steps.as_ref()),
            n(guidance.as_ref()),
            n(image_url.as_ref()),
            n(loras.as_ref()),
            n(params.as_ref()),
            n(seed.as_ref()),
        ]
    }

    /// Builds the job with index `i`, from 0.
    pub(crate) fn draft(&self, i: u64) -> Result<JobSpec, (Location, Issue)> {
        let (mut combination, copy) = (i / self.n_copies, i % self.n_copies);
        if let Some(draw) = &self.draw {
            combination = draw.nth(combination);
        }
        let branch = &self.branches[self.branches.partition_point(|branch| branch.begin <= combination) - 1];
        let places = branch.places(combination - branch.begin, self.way);
        let values = self.values(branch, &places);
        let value = |name: &str| values.get(name).map_or("", |(text, _)| text.as_str());
        let fields = &places[places.len() - N_FIELDS..];
        let Fields { provider, model, size, seed, steps, guidance, image_url, loras, params, .. } = &self.fields;
        let seed = at(seed.as_ref(), fields[8]).map(|seed| if seed == RANDOM_SEED { seed } else { seed + copy });
        if let Some(last) = seed.filter(|seed| *seed > parse::SEED_MAX.cast_unsigned() && *seed != RANDOM_SEED) {
            let what = format!("the last of the {} seeds is {last}, above {}", self.n_copies, parse::SEED_MAX);
            return Err((self.prompts.place(), wrong(what, "lower `seed` or `n`")));
        }
        let negative_prompt = self.negative_prompts.as_ref().map(|texts| texts.text(places[1], &value));
        let request = Request {
            prompt: said(Field::Prompt, self.prompts.text(branch.first_text + places[0], &value))?,
            provider: at(provider.as_ref(), fields[0]),
            model: at(model.as_ref(), fields[1]).unwrap_or_default(),
            negative_prompt: negative_prompt
                .map(|text| said(Field::NegativePrompt, text))
                .transpose()?
                .filter(|text| !text.is_empty()),
            size: at(size.as_ref(), fields[2]),
            seed,
            steps: at(steps.as_ref(), fields[3]),
            guidance: at(guidance.as_ref(), fields[4]),
            image_url: at(image_url.as_ref(), fields[5]).unwrap_or_default(),
            loras: at(loras.as_ref(), fields[6]).unwrap_or_default(),
            params: at(params.as_ref(), fields[7]).map(|params| parse::sent(&params)).unwrap_or_default(),
        };
        let label = self.ids.as_ref().map(|ids| said(Field::Id, ids.text(places[2], &value))).transpose()?;
        Ok(JobSpec { label, request, extras: self.extras(&values), ..JobSpec::default() })
    }

    /// Returns the index of the var whose list gives the row of var `i`: that of the same table, or itself.
    fn leader(&self, i: usize, branch: &GridBlock) -> usize {
        let Some(table) = self.vars[i].1.table() else { return i };
        let is_leader = |j: &usize| branch.sizes[N_TEXTS + j] > 1 && self.vars[*j].1.table() == Some(table);
        (0..self.vars.len()).find(is_leader).unwrap_or(i)
    }

    /// Renders the vars of this combination. The flag of each var records whether the branch uses it.
    fn values(&self, branch: &GridBlock, places: &[u64]) -> BTreeMap<&str, (String, bool)> {
        let mut values = BTreeMap::new();
        for (i, (name, texts)) in self.vars.iter().enumerate() {
            let place = N_TEXTS + self.leader(i, branch);
            let is_named = branch.sizes[place] > 1 || texts.n() == 1;
            values.insert(name.as_str(), (texts.text(places[place], &|_| "").0, is_named));
        }
        values
    }

    /// Returns the passthrough values: the entry's own, and each var as a column under its name.
    fn extras(&self, values: &BTreeMap<&str, (String, bool)>) -> Vec<(String, String)> {
        let value =
            |name: &str| values.get(name).filter(|(_, is_named)| *is_named).map_or("", |(text, _)| text.as_str());
        let filled = |(column, text): &(String, Template)| (column.clone(), text.text(0, &value));
        let mut extras: Vec<_> = self.extras.iter().map(filled).collect();
        for (name, (text, is_named)) in values {
            if !self.extras.iter().any(|(column, _)| column == name) {
                extras.push(((*name).to_owned(), if *is_named { text.clone() } else { String::new() }));
            }
        }
        extras
    }
}

impl GridBlock {
    /// Returns the index into each list for this combination.
    fn places(&self, combination: u64, way: ExpandMode) -> Vec<u64> {
        let mut places = vec![0; self.sizes.len()];
        let mut rest = combination;
        for (place, size) in iter::zip(&mut places, &self.sizes).rev() {
            *place = match way {
                ExpandMode::Zip | ExpandMode::Cycle => combination % size,
                ExpandMode::Grid | ExpandMode::Sample { .. } => rest % size,
            };
            rest /= size;
        }
        places
    }
}

fn n<T>(axis: Option<&OneOrManyValues<T>>) -> u64 {
    axis.map_or(1, OneOrManyValues::n)
}

fn at<T: Clone>(axis: Option<&OneOrManyValues<T>>, place: u64) -> Option<T> {
    axis.map(|axis| axis.at(place).clone())
}

/// Checks a rendered text.
fn said(field: Field, (text, place): (String, Location)) -> Result<String, (Location, Issue)> {
    let raw = UnparsedValue::Cell(text);
    let read = match field {
        Field::Prompt => parse::prompt(raw),
        Field::NegativePrompt => parse::negative_prompt(raw),
        _ => parse::id(raw),
    };
    read.map_err(|wrong| (place, wrong))
}
