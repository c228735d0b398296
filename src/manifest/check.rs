//! Checks every entry against the known fields and against the other entries, and lays it over what all of them share.

use std::collections::{BTreeMap, HashSet};
use std::mem;

use crate::manifest::entry::{Entry, Given, Located, Raw, Said};
use crate::manifest::field::Field;
use crate::manifest::ids::Ids;
use crate::manifest::json;
use crate::manifest::mistake::{Findings, Found, Place, Span, Wrong, wrong};
use crate::manifest::value::Value;
use crate::manifest::{parts, read};
use crate::model::job::Draft;
use crate::model::request::{Json, Lora, Request, Size};

/// Columns that entries may carry through together.
const COLUMNS_MAX: usize = 1_000;

/// One entry that is good, and how many images of it are wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checked {
    pub(super) draft: Draft,
    pub(super) n: u32,
}

/// The fields of an entry, or those that entries share, as good values.
#[derive(Clone, Debug, Default, PartialEq)]
struct Fields {
    prompt: Option<String>,
    negative_prompt: Option<String>,
    model: Option<String>,
    size: Option<Size>,
    seed: Option<u64>,
    steps: Option<u32>,
    guidance: Option<f64>,
    image_url: Option<Vec<String>>,
    loras: Option<Vec<Lora>>,
    id: Option<String>,
    n: Option<u32>,
    params: BTreeMap<String, Value>,
}

impl Fields {
    /// The good ones of the fields that were given; of one given twice the last.
    fn read(given: Vec<Given>, mistakes: &mut Found) -> Self {
        let mut fields = Self::default();
        for Given { field, said, .. } in given {
            let Said::One(Located { raw, place }) = said else { continue };
            if let Err(wrong) = fields.set(field, raw) {
                mistakes.push(place, wrong);
            }
        }
        fields
    }

    fn set(&mut self, field: Field, raw: Raw) -> Result<(), Wrong> {
        match field {
            Field::Prompt => self.prompt = Some(read::prompt(raw)?),
            Field::NegativePrompt => self.negative_prompt = Some(read::negative_prompt(raw)?),
            Field::Model => self.model = Some(read::model(raw)?),
            Field::Size => self.size = Some(read::size(&raw)?),
            Field::Seed => self.seed = Some(read::seed(&raw)?),
            Field::Steps => self.steps = Some(read::steps(&raw)?),
            Field::Guidance => self.guidance = Some(read::guidance(&raw)?),
            Field::ImageUrl => self.image_url = Some(parts::image_url(raw)?),
            Field::Loras => self.loras = Some(parts::loras(raw)?),
            Field::Id => self.id = Some(read::id(raw)?),
            Field::N => self.n = Some(read::n(&raw)?),
            Field::Params => self.params = parts::params(raw)?,
        }
        Ok(())
    }

    /// These fields, and those of `lower` where these give none; `params` are laid over each other name by name.
    fn or(self, lower: &Self) -> Self {
        let mut params = lower.params.clone();
        params.extend(self.params);
        Self {
            prompt: self.prompt.or_else(|| lower.prompt.clone()),
            negative_prompt: self.negative_prompt.or_else(|| lower.negative_prompt.clone()),
            model: self.model.or_else(|| lower.model.clone()),
            size: self.size.or(lower.size),
            seed: self.seed.or(lower.seed),
            steps: self.steps.or(lower.steps),
            guidance: self.guidance.or(lower.guidance),
            image_url: self.image_url.or_else(|| lower.image_url.clone()),
            loras: self.loras.or_else(|| lower.loras.clone()),
            id: self.id.or_else(|| lower.id.clone()),
            n: self.n.or(lower.n),
            params,
        }
    }

    fn into_checked(self, extras: Vec<(String, String)>) -> Option<Checked> {
        let request = Request {
            prompt: self.prompt?,
            model: self.model?,
            negative_prompt: self.negative_prompt,
            size: self.size,
            seed: self.seed,
            steps: self.steps,
            guidance: self.guidance,
            image_url: self.image_url.unwrap_or_default(),
            loras: self.loras.unwrap_or_default(),
            params: self.params.iter().map(|(name, value)| (name.clone(), Json(json::write(value)))).collect(),
        };
        Some(Checked { draft: Draft { label: self.id, request, extras }, n: self.n.unwrap_or(1) })
    }
}

/// What all entries share, where they do not say otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    fields: Fields,
    /// Extras of the manifest's defaults.
    pub(super) extras: Vec<(String, String)>,
    /// Where the highest layer that gives a model gives it.
    model_place: Option<Place>,
}

impl Shared {
    /// Lays one more layer of fields under those that are there.
    pub(super) fn lay_under(&mut self, given: Vec<Given>, mistakes: &mut Found) {
        let model = given.iter().find(|given| given.field == Field::Model);
        self.model_place = self.model_place.or(model.map(|given| given.place));
        self.fields = mem::take(&mut self.fields).or(&Fields::read(given, mistakes));
    }
}

/// The checks of one pass over a manifest.
#[derive(Debug)]
pub(super) struct Checker {
    shared: Shared,
    ids: Ids,
    models: HashSet<String>,
    without_model: Option<(Place, u64)>,
    columns: Vec<String>,
    columns_seen: HashSet<String>,
}

impl Checker {
    pub(super) fn new(shared: Shared, ids: Ids) -> Self {
        Self {
            shared,
            ids,
            models: HashSet::new(),
            without_model: None,
            columns: Vec::new(),
            columns_seen: HashSet::new(),
        }
    }

    /// The entry over what it shares, unless it is wrong by itself or beside the entries before it.
    pub(super) fn check(&mut self, mut entry: Entry, findings: &mut Findings) -> Option<Checked> {
        let n_mistakes = findings.mistakes.n();
        let [prompt_place, model_place, id_place, seed_place] =
            [Field::Prompt, Field::Model, Field::Id, Field::Seed].map(|field| entry.place_of(field));
        if !entry.given.iter().any(|given| given.field == Field::Prompt) {
            let remedy = "say what the image shows, or take the entry out";
            findings.mistakes.push(prompt_place, wrong("this entry has no prompt", remedy));
        }
        let gives_model = entry.given.iter().any(|given| given.field == Field::Model);
        let own = Fields::read(mem::take(&mut entry.given), &mut findings.mistakes);
        if let Some(id) = &own.id {
            self.check_id(id, id_place, &mut findings.mistakes);
        }
        let fields = own.or(&self.shared.fields);
        match &fields.model {
            Some(model) => {
                let place = if gives_model { model_place } else { self.shared.model_place.unwrap_or(model_place) };
                self.check_model(model, place, &mut findings.warnings);
            }
            None if gives_model || self.shared.model_place.is_some() => {}
            None => self.without_model.get_or_insert((entry.place, 0)).1 += 1,
        }
        check_last_seed(&fields, seed_place, &mut findings.mistakes);
        let extras = with_shared(&self.shared.extras, entry.extras);
        self.note_columns(&extras, entry.place, &mut findings.mistakes);
        if findings.mistakes.n() > n_mistakes { None } else { fields.into_checked(extras) }
    }

    fn check_id(&mut self, id: &str, place: Place, mistakes: &mut Found) {
        if let Some(first) = self.ids.add(id, place) {
            let what = format!("the id {} is also that of {}", read::shown_text(id), other_place(first));
            mistakes.push(place, wrong(what, "give one of them another id"));
        }
    }

    /// Warns of each odd model once, however many entries name it.
    fn check_model(&mut self, model: &str, place: Place, warnings: &mut Found) {
        if read::is_repo_id(model) || self.models.contains(model) {
            return;
        }
        self.models.insert(model.to_owned());
        let what = format!("the model {} is not of the form org/name", read::shown_text(model));
        warnings.push(place, wrong(what, "check its name, for example Qwen/Qwen-Image"));
    }

    fn note_columns(&mut self, extras: &[(String, String)], place: Place, mistakes: &mut Found) {
        for (column, _) in extras {
            if self.columns_seen.contains(column) {
                continue;
            }
            if self.columns.len() == COLUMNS_MAX {
                let what = format!("the entries carry more than {COLUMNS_MAX} columns through");
                mistakes.push(place, wrong(what, "use the same names in all entries"));
            }
            if let Err(wrong) = read::column(column) {
                mistakes.push(place, wrong);
            }
            self.columns.push(column.clone());
            self.columns_seen.insert(column.clone());
        }
    }

    /// Tells what only shows at the end, and gives the carried columns in the order in which they were first seen, and the ids.
    pub(super) fn finish(self, findings: &mut Findings) -> (Vec<String>, Ids) {
        if let Some((place, n_entries)) = self.without_model {
            let what = match n_entries {
                1 => "this entry has no model".to_owned(),
                n_entries => format!("{n_entries} entries have no model, the first of them here"),
            };
            let remedy = "give it a `model`, or all of them: under `defaults:` (YAML) or with --set model=ORG/NAME";
            findings.mistakes.push(place, wrong(what, remedy));
        }
        (self.columns, self.ids)
    }
}

fn check_last_seed(fields: &Fields, place: Place, mistakes: &mut Found) {
    let (Some(first), Some(n)) = (fields.seed, fields.n) else { return };
    let last = first + u64::from(n) - 1;
    if last > read::SEED_MAX.cast_unsigned() {
        let what = format!("the last of the {n} seeds is {last}, above {}", read::SEED_MAX);
        mistakes.push(place, wrong(what, "lower `seed` or `n`"));
    }
}

/// The extras of the defaults with the entry's own text where it gives one, then the entry's others.
fn with_shared(shared: &[(String, String)], mut own: Vec<(String, String)>) -> Vec<(String, String)> {
    if shared.is_empty() {
        return own;
    }
    let mut extras = shared.to_vec();
    for (column, text) in &mut extras {
        if let Some(i) = own.iter().position(|(name, _)| name == column) {
            *text = own.remove(i).1;
        }
    }
    extras.append(&mut own);
    extras
}

fn other_place(place: Place) -> String {
    match place {
        Place::Line(line) | Place::Span(Span { line, .. }) => format!("line {line}"),
        Place::Entry(entry) => format!("entry {entry}"),
        Place::File | Place::CommandLine => "another entry".to_owned(),
    }
}
