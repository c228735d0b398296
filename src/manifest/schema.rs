//! JSON Schema (draft 2020-12) of the YAML manifest, which editors use for completion and validation.
//!
//! It checks less than [`open`](super::open), which also rejects what the schema rejects. Doc comments below become its descriptions.

#![expect(dead_code, reason = "only the shapes of these types are used, and no value of them is ever made")]

use std::collections::BTreeMap;

use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Returns the schema as JSON text.
pub fn schema() -> String {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<Manifest>();
    RecursiveTransform(without_null).transform(&mut schema);
    RecursiveTransform(crate::manifest::schema_names::add).transform(&mut schema);
    format!("{:#}\n", schema.as_value())
}

/// Removes null from the types of optional fields: a field may be left out, but must not be null.
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

/// Image prompts for promptbatch: a list of prompts, or a map with shared values and the list.
#[derive(JsonSchema)]
#[schemars(untagged, title = "promptbatch manifest")]
enum Manifest {
    /// List of prompts.
    List(#[schemars(length(min = 1))] Vec<Entry>),
    Map(Box<Whole>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Whole {
    /// Values for all prompts that do not give their own.
    defaults: Option<Defaults>,
    /// Prompts, one image each unless lists or `n` request more.
    #[schemars(length(min = 1))]
    prompts: Vec<Entry>,
    /// Variables that prompts use as {name}, and their values.
    vars: Option<BTreeMap<VarName, Var>>,
    /// Template syntax of the prompts.
    syntax: Option<Syntax>,
    /// Price of an image; `plan` adds it up.
    price: Option<Price>,
    /// Seed for a shuffled order of the work, so that a run stopped early is a fair sample.
    shuffle: Option<u64>,
}

/// Prompt: a text, or a map of fields.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Entry {
    Text(Prompt),
    Fields(Box<Fields>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Fields {
    /// Text that describes the image.
    prompt: Texts<Prompt>,
    /// Your own name for the prompt, used in file names. With vars in it, each job has its own id.
    id: Option<Texts<Id>>,
    /// Leaves the prompt out of the run.
    skip: Option<Skip>,
    #[schemars(flatten)]
    shared: Shared,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Skip {
    Flag(bool),
    Word(#[schemars(example = &"yes")] String),
    Number(#[schemars(range(max = 1))] u8),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Defaults {
    #[schemars(flatten)]
    shared: Shared,
}

/// Fields that a prompt and the defaults may give.
#[derive(JsonSchema)]
struct Shared {
    /// Text that describes what the image must not show.
    negative_prompt: Option<Texts<NegativePrompt>>,
    /// Provider, or a list: names, or paths of descriptions beside the manifest. Without one, that of the run.
    provider: Option<Texts<Prompt>>,
    /// Model, or a list of models, such as Qwen/Qwen-Image.
    model: Option<Texts<Model>>,
    /// Width and height in pixels, from 64x64 to 2048x2048 unless the provider takes others.
    size: Option<Texts<Size>>,
    /// Random seed: one number, a list, or a range such as 1..8. With `random`, one is drawn for each image. Without a seed, or
    /// with -1, none is sent.
    seed: Option<Seeds>,
    /// Number of sampling steps.
    steps: Option<Steps>,
    /// Guidance scale: how closely the image follows the prompt.
    guidance: Option<Guidances>,
    /// Source image of an edit model, or a list of source images for one request. A list of lists is expanded.
    image_url: Option<Images>,
    /// Adapter, or several adapters with weights that sum to 1.
    loras: Option<OneOrMany<Loras>>,
    /// Number of images. With one seed, the seeds count up from it.
    #[schemars(range(min = 1, max = 10_000))]
    n: Option<u32>,
    /// Further parameters that the model supports. They are sent unchanged.
    params: Option<OneOrMany<BTreeMap<String, Value>>>,
    /// Values that are passed through to the results and not sent.
    meta: Option<BTreeMap<String, Value>>,
    /// Mode in which lists are combined.
    expand: Option<Expand>,
    /// Variables that prompts use as {name}, and their values.
    vars: Option<BTreeMap<VarName, Var>>,
    /// Template syntax of the prompts.
    syntax: Option<Syntax>,
}

/// Value, or a list of values to expand.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum OneOrMany<T> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<T>),
}

/// Value, list of values to expand, or the lines of a file.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Texts<T> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<T>),
    Lines(Lines),
}

/// Lines of a text file in the manifest's folder. For a variable, also a column of a table.
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
            pattern = r"^([1-9]\d{0,3}|1[0-5]\d{3}|16[0-2]\d\d|163[0-7]\d|1638[0-4])[xX]([1-9]\d{0,3}|1[0-5]\d{3}|16[0-2]\d\d|163[0-7]\d|1638[0-4])$"
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
#[schemars(untagged)]
enum Seed {
    Number(#[schemars(range(min = -1, max = 2_147_483_647))] i64),
    Random(#[schemars(regex(pattern = r"^\s*[rR][aA][nN][dD][oO][mM]\s*$"), example = &"random")] String),
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct Step(#[schemars(range(min = 1, max = 1000))] i64);

#[derive(JsonSchema)]
#[schemars(inline)]
struct Guidance(#[schemars(range(min = 0.0, max = 100.0))] f64);

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
    #[schemars(regex(
        pattern = r"^\s*([hH][tT][tT][pP][sS]?://|[dD][aA][tT][aA]:)\S+\s*$|^\s*[fF][iI][lL][eE]:.+$|^[^:]+\.([pP][nN][gG]|[jJ][pP][eE]?[gG]|[wW][eE][bB][pP]|[gG][iI][fF]|[bB][mM][pP]|[tT][iI][fF][fF]?)\s*$"
    ))]
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

/// Mode in which lists are combined. `grid` takes each value with each; `zip` combines lists of equal length in parallel. `cycle` does
/// the same and repeats shorter lists; a sample is drawn from the grid.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Expand {
    Way(Way),
    Sample(Sample),
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
enum Way {
    /// Cartesian product: each value with each value of the other lists.
    Grid,
    /// Parallel lists of equal length: the first values together, then the second ones.
    Zip,
    /// Parallel lists; shorter lists start again from their beginning.
    Cycle,
}

/// Sample of this many jobs of the grid, drawn with a seed and without repetition.
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
    /// Plain syntax: {name} is a var; {{ and }} are braces.
    Plain,
    /// Like plain, and {name} is also the value of `name` under `meta`.
    Columns,
    /// Dynamic syntax: also {a|b}, {2$$a|b|c} and __wildcard__, as in Dynamic Prompts.
    Dynamic,
}

#[derive(JsonSchema)]
#[schemars(inline)]
struct VarName(#[schemars(regex(pattern = r"^[\p{L}\p{N}_-]+$"))] String);

/// Value or values of a variable.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Var {
    One(VarValue),
    Many(#[schemars(length(min = 1))] Vec<VarValue>),
    Lines(Lines),
}

/// Text, number, or a range of whole numbers such as 1..8.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum VarValue {
    Text(String),
    Number(f64),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Price {
    /// Unit of the price, such as magicube or EUR.
    #[schemars(regex(pattern = r"\S"))]
    unit: Option<String>,
    /// Price of one image, or a map from models to prices.
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
    use crate::manifest::expand::options::NAMES;
    use crate::manifest::fields::field::{Field, META};
    use crate::manifest::formats::yaml::document::PARTS;

    /// Returns the names of the properties of a type in the schema.
    fn names(schema: &Value, of: &str) -> Vec<String> {
        let properties = schema["$defs"][of]["properties"].as_object();
        properties.unwrap_or_else(|| panic!("{of} has no properties: {schema:#}")).keys().cloned().collect()
    }

    fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Goal: the schema has exactly the fields that a manifest may give.
    #[test]
    fn every_field_is_in_the_schema() {
        let schema: Value = serde_json::from_str(&schema()).expect("a schema is JSON");
        let fields = || Field::ALL.into_iter().map(Field::name).chain([META]).chain(NAMES);
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
