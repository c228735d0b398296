//! Valid fields of an entry, or of the shared defaults, each with one value or a list to expand.

mod big_integer;
mod composite;
pub mod field;
pub mod field_entry;
pub(crate) mod json;
pub(crate) mod missing;
pub(crate) mod one_or_many;
pub(crate) mod option_titles;
pub(crate) mod parse;
pub(crate) mod range;
pub(crate) mod slips;
pub(crate) mod synonyms;
pub(crate) mod title_chars;
pub mod value;
pub(crate) mod yes_or_no;

use std::collections::BTreeMap;

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::{FieldEntry, FieldValue, Spanned};
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::value::{UnparsedValue, Value};
use crate::model::request::{Lora, Size};
use crate::model::request_limits::FieldRanges;

/// Text and its location.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) place: Location,
}

/// Valid fields. `None` means that the field is not given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields {
    pub(crate) prompt: Option<OneOrManyValues<Text>>,
    pub(crate) negative_prompt: Option<OneOrManyValues<Text>>,
    pub(crate) provider: Option<OneOrManyValues<String>>,
    pub(crate) model: Option<OneOrManyValues<String>>,
    pub(crate) size: Option<OneOrManyValues<Size>>,
    pub(crate) seed: Option<OneOrManyValues<u64>>,
    pub(crate) steps: Option<OneOrManyValues<u32>>,
    pub(crate) guidance: Option<OneOrManyValues<f64>>,
    pub(crate) image_url: Option<OneOrManyValues<Vec<String>>>,
    pub(crate) loras: Option<OneOrManyValues<Vec<Lora>>>,
    pub(crate) id: Option<OneOrManyValues<Text>>,
    pub(crate) n: Option<u32>,
    pub(crate) params: Option<OneOrManyValues<BTreeMap<String, Value>>>,
}

/// Mode of the text fields: sent literally, or rendered from templates and checked afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextMode {
    Literal,
    Templates,
}

impl Fields {
    /// Returns whether no field has a list of values.
    pub(crate) fn is_one(&self) -> bool {
        fn is_one<T>(axis: Option<&OneOrManyValues<T>>) -> bool {
            axis.is_none_or(|axis| !axis.is_list())
        }
        let Self { prompt, negative_prompt, provider, model, size, seed, steps, guidance, .. } = self;
        let Self { image_url, loras, id, params, .. } = self;
        is_one(prompt.as_ref())
            && is_one(negative_prompt.as_ref())
            && is_one(provider.as_ref())
            && is_one(model.as_ref())
            && is_one(size.as_ref())
            && is_one(seed.as_ref())
            && is_one(steps.as_ref())
            && is_one(guidance.as_ref())
            && is_one(image_url.as_ref())
            && is_one(loras.as_ref())
            && is_one(id.as_ref())
            && is_one(params.as_ref())
    }

    /// Reads the given fields and keeps the valid ones. If a field occurs twice, the last one wins.
    pub(crate) fn read(
        given: Vec<FieldEntry>,
        texts: TextMode,
        ranges: FieldRanges,
        mistakes: &mut DiagnosticList,
    ) -> Self {
        let mut fields = Self::default();
        for FieldEntry { field, place, said } in given {
            let said = match spread(field, said) {
                Ok(said) => said,
                Err((place, wrong)) => {
                    mistakes.push(place, wrong);
                    continue;
                }
            };
            fields.set((field, place), said, (texts, ranges), mistakes);
        }
        fields
    }

    fn set(
        &mut self,
        (field, place): (Field, Location),
        said: FieldValue,
        (texts, ranges): (TextMode, FieldRanges),
        mistakes: &mut DiagnosticList,
    ) {
        let mut all = Reader { field, place, mistakes };
        let text = |strict: fn(UnparsedValue) -> Result<String, Issue>| {
            move |raw, place| {
                let text = if texts == TextMode::Templates { parse::loose(field, raw) } else { strict(raw) };
                Ok(Text { text: text?, place })
            }
        };
        match field {
            Field::Prompt => set(&mut self.prompt, all.axis(said, text(parse::prompt))),
            Field::NegativePrompt => set(&mut self.negative_prompt, all.axis(said, text(parse::negative_prompt))),
            Field::Id => set(&mut self.id, all.axis(said, text(parse::id))),
            Field::Provider => set(&mut self.provider, all.axis(said, |raw, _| parse::provider(raw))),
            Field::Model => set(&mut self.model, all.axis(said, |raw, _| parse::model(raw))),
            Field::Size => set(&mut self.size, all.axis(said, |raw, _| parse::size(&raw, ranges))),
            Field::Seed => set(&mut self.seed, all.axis(said, |raw, _| parse::seed(&raw))),
            Field::Steps => set(&mut self.steps, all.axis(said, |raw, _| parse::steps(&raw, ranges))),
            Field::Guidance => set(&mut self.guidance, all.axis(said, |raw, _| parse::guidance(&raw, ranges))),
            Field::ImageUrl => set(&mut self.image_url, all.axis(said, |raw, _| composite::image_url(raw))),
            Field::Loras => set(&mut self.loras, all.axis(said, |raw, _| composite::loras(raw))),
            Field::Params => set(&mut self.params, all.axis(said, |raw, _| composite::params(raw))),
            Field::N => match said {
                FieldValue::One(_) => {
                    set(&mut self.n, all.axis(said, |raw, _| parse::n(&raw)).map(OneOrManyValues::into_first));
                }
                FieldValue::Unreadable => {}
                FieldValue::Many(_) => {
                    let remedy = "write one number: it counts the images of each combination";
                    mistakes.push(place, wrong("`n` is a list, not a whole number", remedy));
                }
            },
            // Taken from an entry before its other fields are read.
            Field::Skip => {}
        }
    }

    /// Merges these fields with `lower`. A field of `lower` is used only where these have none; `params` are merged by name.
    pub(crate) fn or(self, lower: &Self) -> Self {
        Self {
            prompt: self.prompt.or_else(|| lower.prompt.clone()),
            negative_prompt: self.negative_prompt.or_else(|| lower.negative_prompt.clone()),
            provider: self.provider.or_else(|| lower.provider.clone()),
            model: self.model.or_else(|| lower.model.clone()),
            size: self.size.or_else(|| lower.size.clone()),
            seed: self.seed.or_else(|| lower.seed.clone()),
            steps: self.steps.or_else(|| lower.steps.clone()),
            guidance: self.guidance.or_else(|| lower.guidance.clone()),
            image_url: self.image_url.or_else(|| lower.image_url.clone()),
            loras: self.loras.or_else(|| lower.loras.clone()),
            id: self.id.or_else(|| lower.id.clone()),
            n: self.n.or(lower.n),
            params: laid_over(self.params, lower.params.as_ref()),
        }
    }
}

fn set<T>(field: &mut Option<T>, read: Option<T>) {
    if read.is_some() {
        *field = read;
    }
}

fn laid_over(
    upper: Option<OneOrManyValues<BTreeMap<String, Value>>>,
    lower: Option<&OneOrManyValues<BTreeMap<String, Value>>>,
) -> Option<OneOrManyValues<BTreeMap<String, Value>>> {
    match (upper, lower) {
        (Some(OneOrManyValues::One(upper)), Some(OneOrManyValues::One(lower))) => {
            let mut params = lower.clone();
            params.extend(upper);
            Some(OneOrManyValues::One(params))
        }
        // Lists are not merged, because it is unclear which values belong together.
        (upper, lower) => upper.or_else(|| lower.cloned()),
    }
}

/// Removes the mark that an entry is to be left out, and returns what it says. `None` after a mistake.
pub(crate) fn take_skip(given: &mut Vec<FieldEntry>, mistakes: &mut DiagnosticList) -> Option<bool> {
    let Some(i) = given.iter().position(|given| given.field == Field::Skip) else { return Some(false) };
    let FieldEntry { place, said, .. } = given.remove(i);
    let read = match said {
        FieldValue::One(Spanned { raw, place }) => parse::skip(&raw).map_err(|wrong| (place, wrong)),
        FieldValue::Many(_) => Err((place, wrong("`skip` is a list, not yes or no", parse::SKIP_REMEDY))),
        FieldValue::Unreadable => return None,
    };
    read.map_err(|(place, wrong)| mistakes.push(place, wrong)).ok()
}

/// Reader of all values of one field.
struct Reader<'a> {
    field: Field,
    place: Location,
    mistakes: &'a mut DiagnosticList,
}

impl Reader<'_> {
    fn axis<T>(
        &mut self,
        said: FieldValue,
        read: impl Fn(UnparsedValue, Location) -> Result<T, Issue>,
    ) -> Option<OneOrManyValues<T>> {
        let mut value = |Spanned { raw, place }| match read(raw, place) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.mistakes.push(place, wrong);
                None
            }
        };
        match said {
            FieldValue::Unreadable => None,
            FieldValue::One(located) => value(located).map(OneOrManyValues::One),
            FieldValue::Many(list) if list.is_empty() => {
                let name = self.field.name();
                let remedy = format!("write at least one value, or leave `{name}` out");
                self.mistakes.push(self.place, wrong(format!("`{name}` is an empty list"), remedy));
                None
            }
            FieldValue::Many(list) => {
                let n = list.len();
                let values: Vec<T> = list.into_iter().filter_map(value).collect();
                if values.len() == n { OneOrManyValues::many(values) } else { None }
            }
        }
    }
}

/// Expands a range to its numbers, and a cell with a JSON list to its items.
pub(crate) fn spread(field: Field, said: FieldValue) -> Result<FieldValue, (Location, Issue)> {
    let FieldValue::One(Spanned { raw, place }) = said else { return Ok(said) };
    let text = match &raw {
        UnparsedValue::Cell(text) | UnparsedValue::Typed(Value::Text(text)) => text.trim(),
        UnparsedValue::Typed(_) => return Ok(FieldValue::One(Spanned { raw, place })),
    };
    let numbers = match field {
        Field::Seed | Field::Steps => range::integers(text)
            .map(|numbers| numbers.map(|numbers| numbers.into_iter().map(Value::Int).collect::<Vec<_>>())),
        Field::Guidance => range::decimals(text)
            .map(|numbers| numbers.map(|numbers| numbers.into_iter().map(Value::Float).collect::<Vec<_>>())),
        Field::Prompt
        | Field::NegativePrompt
        | Field::Provider
        | Field::Model
        | Field::Size
        | Field::ImageUrl
        | Field::Loras
        | Field::Id
        | Field::N
        | Field::Params
        | Field::Skip => None,
    };
    let values = match numbers {
        Some(numbers) => numbers.map_err(|wrong| (place, wrong))?,
        None => match listed(field, &raw) {
            Some(values) => values,
            None => return Ok(FieldValue::One(Spanned { raw, place })),
        },
    };
    Ok(FieldValue::Many(values.into_iter().map(|value| Spanned { raw: UnparsedValue::Typed(value), place }).collect()))
}

/// Returns the items of a cell with a JSON list. Prompts and ids are never read as lists, and source images are one value.
fn listed(field: Field, raw: &UnparsedValue) -> Option<Vec<Value>> {
    let UnparsedValue::Cell(text) = raw else { return None };
    let may_be_list = match field {
        Field::Provider
        | Field::Model
        | Field::Size
        | Field::Seed
        | Field::Steps
        | Field::Guidance
        | Field::Loras
        | Field::Params => true,
        Field::Prompt | Field::NegativePrompt | Field::Id | Field::N | Field::ImageUrl | Field::Skip => false,
    };
    if !may_be_list || !text.trim_start().starts_with('[') {
        return None;
    }
    match json::read(text) {
        Ok(Value::List(values)) => Some(values),
        Ok(_) | Err(_) => None,
    }
}
