//! The YAML manifest as a JSON Schema (draft 2020-12), by which editors complete and check what is written.
//!
//! A schema knows less than [`open`](super::open): not that two ids are the same, nor that lists are of one length. What it refuses is
//! refused there too.

#![expect(dead_code, reason = "these types are made for their shapes, and no value of them is ever needed")]

use std::collections::BTreeMap;

use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// The schema, as JSON.
pub fn schema() -> String {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<Manifest>();
    RecursiveTransform(without_null).transform(&mut schema);
    format!("{:#}\n", schema.as_value())
}

/// A field that may be left out may not be null for that.
fn without_null(schema: &mut Schema) {
    let null = json!("null");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| *name != null);
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(shapes)) = schema.get_mut("anyOf") {
        shapes.retain(|shape| shape.get("type") != Some(&null));
        if let [Value::Object(one)] = shapes.as_slice() {
            let one = one.clone();
            schema.remove("anyOf");
            one.into_iter().for_each(|(name, value)| drop(schema.insert(name, value)));
        }
    }
}

/// Image prompts for promptbatch: a list of prompts, or a map of what they share and the list.
#[derive(JsonSchema)]
#[schemars(untagged, title = "promptbatch manifest")]
enum Manifest {
    /// The prompts.
    List(#[schemars(length(min = 1))] Vec<Entry>),
    Map(Box<Whole>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Whole {
    /// What all prompts share, unless one of them says otherwise.
    defaults: Option<Defaults>,
    /// The prompts, one image each unless lists or `n` say more.
    #[schemars(length(min = 1))]
    prompts: Vec<Entry>,
    /// Names that prompts mention as {name}, and what may stand in their place.
    vars: Option<BTreeMap<VarName, Var>>,
    /// How prompts are written.
    syntax: Option<Syntax>,
    /// What an image costs; `plan` adds it up.
    price: Option<Price>,
    /// Do the work in an order drawn by this seed, so that a run stopped early is a fair sample.
    shuffle: Option<u64>,
}

/// A prompt: its text alone, or a map of fields.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Entry {
    Text(Prompt),
    Fields(Box<Fields>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Fields {
    /// What the image shows.
    prompt: Texts<Prompt>,
    /// Your own name for the prompt: it names the files. With vars in it, each job has its own.
    id: Option<Texts<Id>>,
    #[schemars(flatten)]
    shared: Shared,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Defaults {
    #[schemars(flatten)]
    shared: Shared,
}

/// The fields that a prompt and the defaults may give.
#[derive(JsonSchema)]
struct Shared {
    /// What the image must not show.
    negative_prompt: Option<Texts<NegativePrompt>>,
    /// The model, or several to try in turn, such as Qwen/Qwen-Image.
    model: Option<Texts<Model>>,
    /// Width and height in pixels, from 64x64 to 2048x2048.
    size: Option<Texts<Size>>,
    /// The random seed: one, a list, or a range such as 1..8. Left out, each image is a surprise.
    seed: Option<Seeds>,
    /// Sampling steps.
    steps: Option<Steps>,
    /// How closely the image follows the prompt.
    guidance: Option<Guidances>,
    /// The source image of an edit model, or several of one request; a list of lists is tried in turn.
    image_url: Option<Images>,
    /// An adapter, or several with weights that sum to 1.
    loras: Option<OneOrMany<Loras>>,
    /// How many images; with one seed they count up from it.
    #[schemars(range(min = 1, max = 10_000))]
    n: Option<u32>,
    /// Sent as they are, for what the model knows and promptbatch does not.
    params: Option<OneOrMany<BTreeMap<String, Value>>>,
    /// Carried through to the results, and not sent.
    meta: Option<BTreeMap<String, Value>>,
    /// How lists combine.
    expand: Option<Expand>,
    /// Names that prompts mention as {name}, and what may stand in their place.
    vars: Option<BTreeMap<VarName, Var>>,
    /// How prompts are written.
    syntax: Option<Syntax>,
}

/// One value, or several to be tried in turn.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum OneOrMany<T> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<T>),
}

/// One value, several to be tried in turn, or the lines of a file.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Texts<T> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<T>),
    Lines(Lines),
}

/// The lines of a text file beside the manifest.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Lines {
    #[schemars(example = "animals.txt")]
    from: String,
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct Prompt(#[schemars(regex(pattern = r"\S"))] String);

#[derive(JsonSchema)]
#[schemars(inline)]
struct NegativePrompt(String);

#[derive(JsonSchema)]
#[schemars(inline)]
struct Model(
    #[schemars(regex(pattern = r"\S"), example = "Tongyi-MAI/Z-Image-Turbo", example = "Qwen/Qwen-Image")] String,
);

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Id {
    Text(#[schemars(regex(pattern = r"\S"))] String),
    Number(i64),
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct Size(
    #[schemars(
        regex(
            pattern = r"^(6[4-9]|[7-9]\d|[1-9]\d\d|1\d{3}|20[0-3]\d|204[0-8])[xX](6[4-9]|[7-9]\d|[1-9]\d\d|1\d{3}|20[0-3]\d|204[0-8])$"
        ),
        example = "1024x1024",
        example = "1024x768"
    )]
    String,
);

#[derive(JsonSchema)]
#[schemars(inline)]
struct WholeRange(
    #[schemars(
        regex(pattern = r"^\s*[-+]?\d+\s*\.\.\s*[-+]?\d+(\s*\.\.\s*[-+]?\d+)?\s*$"),
        example = "1..8",
        example = "10..30..10"
    )]
    String,
);

#[derive(JsonSchema)]
#[schemars(inline)]
struct AnyRange(
    #[schemars(
        regex(pattern = r"^\s*[-+]?\d+(\.\d+)?\s*\.\.\s*[-+]?\d+(\.\d+)?(\s*\.\.\s*[-+]?\d+(\.\d+)?)?\s*$"),
        example = "3.5..5.0..0.5"
    )]
    String,
);

#[derive(JsonSchema)]
#[schemars(inline)]
struct Seed(#[schemars(range(min = 0, max = 2_147_483_647))] i64);

#[derive(JsonSchema)]
#[schemars(inline)]
struct Step(#[schemars(range(min = 1, max = 100))] i64);

#[derive(JsonSchema)]
#[schemars(inline)]
struct Guidance(#[schemars(range(min = 1.5, max = 20.0))] f64);

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Numbers<T, R> {
    One(T),
    Range(R),
    Many(#[schemars(length(min = 1))] Vec<T>),
    Lines(Lines),
}

type Seeds = Numbers<Seed, WholeRange>;
type Steps = Numbers<Step, WholeRange>;
type Guidances = Numbers<Guidance, AnyRange>;

#[derive(JsonSchema)]
#[schemars(inline)]
struct Url(
    #[schemars(regex(pattern = r"^\s*([hH][tT][tT][pP][sS]?://|[dD][aA][tT][aA]:)\S+\s*$"))]
    String,
);

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Images {
    One(Url),
    Together(#[schemars(length(min = 1))] Vec<Url>),
    InTurn(#[schemars(length(min = 1))] Vec<Vec<Url>>),
    Lines(Lines),
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct Repository(#[schemars(regex(pattern = r"^\s*[^/ \t]+/[^/ \t]+\s*$"))] String);

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Loras {
    One(Repository),
    Weighted(
        #[schemars(length(min = 1, max = 6), extend("minProperties" = 1, "maxProperties" = 6))] BTreeMap<String, f64>,
    ),
}

/// How lists combine: `grid` takes each value with each, `zip` walks through lists of one length together, `cycle` begins shorter
/// ones again, and a sample is drawn from the grid.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Expand {
    Way(Way),
    Sample(Sample),
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
enum Way {
    /// Each value with each.
    Grid,
    /// The first with the first, the second with the second; all lists are of one length.
    Zip,
    /// The same, shorter lists from their beginning again.
    Cycle,
}

/// So many jobs of the grid, drawn by a seed; none twice.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Sample {
    #[schemars(range(min = 1))]
    sample: u64,
    seed: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Syntax {
    /// {name} is a var; {{ and }} are braces.
    Plain,
    /// Also {a|b}, {2$$a|b|c} and __wildcard__, as dynamic prompts write them.
    Dynamic,
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct VarName(#[schemars(regex(pattern = r"^[\p{L}\p{N}_-]+$"))] String);

/// What may stand in the place of a var.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Var {
    One(VarValue),
    Many(#[schemars(length(min = 1))] Vec<VarValue>),
    Lines(Lines),
}

/// A text, a number, or a range of whole numbers such as 1..8.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum VarValue {
    Text(String),
    Number(f64),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Price {
    /// What is counted, such as magicube or EUR.
    #[schemars(regex(pattern = r"\S"))]
    unit: Option<String>,
    /// What one image costs, or a map from models to what theirs cost.
    per_image: PerImage,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum PerImage {
    OfAll(Amount),
    ByModel(BTreeMap<String, Amount>),
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct Amount(#[schemars(range(min = 0))] f64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::field::Field;
    use crate::manifest::yaml::{META, PARTS, WAYS};

    /// The names of an object's properties, wherever it is defined.
    fn names(schema: &Value, of: &str) -> Vec<String> {
        let properties = schema["$defs"][of]["properties"].as_object();
        properties.unwrap_or_else(|| panic!("{of} has no properties: {schema:#}")).keys().cloned().collect()
    }

    fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Goal: a field that a manifest may give is never unknown to editors, and no other is known.
    #[test]
    fn every_field_is_in_the_schema() {
        let schema: Value = serde_json::from_str(&schema()).expect("a schema is JSON");
        let fields = || Field::ALL.into_iter().map(Field::name).chain([META]).chain(WAYS);
        assert_eq!(names(&schema, "Whole"), sorted(PARTS.into_iter()));
        assert_eq!(names(&schema, "Fields"), sorted(fields()));
        let is_shared = |name: &&str| !Field::named(name).is_some_and(Field::is_of_one_entry);
        assert_eq!(names(&schema, "Defaults"), sorted(fields().filter(is_shared)));
    }

    #[test]
    fn nothing_may_be_null_and_the_draft_is_named() {
        let schema = schema();
        assert!(!schema.contains("\"null\""), "{schema}");
        assert!(schema.contains("https://json-schema.org/draft/2020-12/schema"));
    }
}
