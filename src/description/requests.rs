//! Requests in a description: the submission, its limits, and the question for lost submissions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::description::body::Tree;
use crate::description::leaf::Leaf;
use crate::description::list::List;
use crate::description::path::PathTemplate;
use crate::description::pointer::Pointer;
use crate::description::span::TimeSpan;
use crate::description::words::{BodyEncoding, Method, RangeWord};
use crate::model::request::{Size, SizeError};

/// Value of a header: a text, or a variable such as `$submission_id`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct HeaderText(pub Tree);

impl TryFrom<String> for HeaderText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.bytes().any(|byte| !byte.is_ascii_graphic() && byte != b' ') {
            return Err(format!("{text:?} is no value of a header: use visible ASCII signs"));
        }
        Tree::of_text(&text).map(Self).map_err(|error| error.to_string())
    }
}

/// Submission of a request.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Submit {
    /// HTTP method.
    pub method: Method,
    /// Path below the base URL, such as `/v1/images/generations`. `{model}` is the model, whose `/` separate segments;
    /// `{model:segment}` is the model as one segment, and `{model:app}` are its first two segments.
    #[schemars(with = "String")]
    pub path: PathTemplate,
    /// Headers besides the token. A value may be a variable: `Idempotency-Key: $submission_id`.
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, HeaderText>,
    /// Encoding of the body.
    pub encoding: BodyEncoding,
    /// Body, a tree of JSON. The leaves `$prompt`, `$model`, `$negative_prompt`, `$size:WxH`, `$size:W*H`, `$width`, `$height`,
    /// `$aspect_ratio`, `$seed`, `$seed:text`, `$steps`, `$guidance`, `$image_url`, `$image_urls`, `$loras` and `$submission_id` are replaced with
    /// values. A leaf without a value disappears with its key. `$$` begins a text with a dollar sign.
    #[schemars(with = "Value")]
    pub body: Tree,
    /// Fields of the body that are sent unless a row's `params` has another value for them.
    pub defaults: Map<String, Value>,
    /// Pointer to the map of the body that a row's `params` are merged into; empty for the whole body. They cannot replace what `body` says.
    #[schemars(with = "String")]
    pub params: Option<Pointer>,
}

/// Size of an image, written `1024x768`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ListedSize(pub Size);

impl TryFrom<String> for ListedSize {
    type Error = SizeError;

    fn try_from(text: String) -> Result<Self, SizeError> {
        text.parse().map(Self)
    }
}

/// Documented limits on the fields of a request. A manifest is checked against them before anything is sent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitRules {
    /// Longest prompt, in characters.
    pub prompt_chars_max: Option<u32>,
    /// Largest seed.
    pub seed_max: Option<u64>,
    /// Ranges of sides, steps and guidance beyond which a request is a mistake.
    pub ranges: RangeWord,
    /// Example of a model, such as `org/name`, if the names of all models have this form.
    pub model_example: Option<String>,
    /// Sizes that are accepted.
    pub size: SizeRules,
    /// Models with sizes of their own. The first whose text is in the name of the model counts.
    pub models: Vec<ModelRules>,
}

/// Sizes that are accepted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SizeRules {
    /// Number that divides width and height.
    pub multiple: Option<u32>,
    /// Shortest side, in pixels.
    pub side_min: Option<u32>,
    /// Longest side, in pixels.
    pub side_max: Option<u32>,
    /// Fewest pixels.
    pub area_min: Option<u64>,
    /// Most pixels.
    pub area_max: Option<u64>,
    /// Largest ratio of the longer side to the shorter one.
    pub ratio_max: Option<u32>,
    /// The only sizes, such as `1024x1024`; empty if all are accepted.
    #[schemars(with = "Vec<String>")]
    pub list: Vec<ListedSize>,
    /// The only ratios of width to height, such as `16:9`; empty if all are accepted.
    pub ratios: Vec<String>,
}

/// Sizes of some models.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelRules {
    /// Name of these models, for messages.
    pub name: String,
    /// Texts in the name of the model, in lower case; one of them is enough.
    #[serde(default)]
    #[schemars(with = "List<String>")]
    pub contains: List<String>,
    /// Words of the name after its last `/`, in place of `contains`. Words are joined by `-`, and the name has one at each end: `-flux-` is the
    /// whole word, and `-flux` its beginning. Such models have `size.side_min` and `size.side_max` alone.
    #[serde(default)]
    #[schemars(with = "List<String>")]
    pub marks: List<String>,
    /// Sizes that are accepted.
    pub size: SizeRules,
}

impl LimitRules {
    /// Returns the rules for the sizes of a model, and the name of its family; `None` for the name if no family has rules of its own.
    pub fn size_of(&self, model: &str) -> (&SizeRules, Option<&str>) {
        let model = model.to_lowercase();
        let is_meant = |rules: &&ModelRules| rules.contains.iter().any(|text| model.contains(text.as_str()));
        self.models.iter().find(is_meant).map_or((&self.size, None), |rules| (&rules.size, Some(&*rules.name)))
    }
}

/// Format of a time in a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// `2026-11-30T18:04:21Z`.
    #[default]
    Rfc3339,
    /// `20261130180421`, in the time of China, UTC+8.
    CompactShanghai,
}

/// Parameter of a query that limits a list to recent submissions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// Name of the parameter.
    pub parameter: String,
    /// Format of its value.
    #[serde(default)]
    pub format: TimeFormat,
}

/// Question for submissions whose answer was lost. An item of the answer is the lost one if all pointers that are given here match it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Find {
    /// HTTP method; `get` if it is left out.
    pub method: Option<Method>,
    /// Host of the question, with `https://`, if it is not the base URL. It must be one of `token_hosts`.
    pub base_url: String,
    /// Path below the base URL.
    #[schemars(with = "String")]
    pub path: PathTemplate,
    /// Parameters of the query. A value may be a variable.
    #[schemars(with = "BTreeMap<String, String>")]
    pub query: BTreeMap<String, HeaderText>,
    /// Parameter that names the earliest time.
    pub since: Option<Since>,
    /// Body of a POST, a tree of JSON.
    #[schemars(with = "Option<Value>")]
    pub body: Option<Tree>,
    /// Items of the answer, each of which is a submission.
    #[schemars(with = "List<String>")]
    pub items: List<Pointer>,
    /// Task id in an item.
    #[schemars(with = "List<String>")]
    pub id: List<Pointer>,
    /// Path below the base URL that stands for the task, if `accepted.status_url` does: `/{model:app}/requests/{id}/status`.
    #[schemars(with = "Option<String>")]
    pub task: Option<PathTemplate>,
    /// True if the list has finished submissions only. The absence of a submission then proves nothing.
    pub finished_only: bool,
    /// Submission id in an item.
    #[schemars(with = "List<String>")]
    pub submission_id: List<Pointer>,
    /// Prompt in an item.
    #[schemars(with = "List<String>")]
    pub prompt: List<Pointer>,
    /// Seed in an item.
    #[schemars(with = "List<String>")]
    pub seed: List<Pointer>,
    /// Pointer to the address of the next page.
    #[schemars(with = "Option<String>")]
    pub next: Option<Pointer>,
    /// Number of items of a full page. A full page without `next` may leave items out.
    pub page_size: Option<usize>,
    /// Time after which a submission is no longer listed.
    #[schemars(with = "Option<String>")]
    pub window: Option<TimeSpan>,
}

impl Submit {
    /// Returns every variable of the path, the headers and the body, with its place.
    pub fn leaves(&self) -> Vec<(String, Leaf)> {
        let mut leaves = self.body.leaves();
        for (name, text) in &self.headers {
            leaves.extend(text.0.leaves().into_iter().map(|(_, leaf)| (format!("header {name}"), leaf)));
        }
        if self.path.has_model() {
            leaves.push(("path".to_owned(), Leaf::Model));
        }
        leaves
    }

    /// Returns whether a request with this field of a manifest sends it.
    pub fn sends(&self, field: &str) -> bool {
        let is_field = |leaf: Leaf| leaf.field() == Some(field);
        field == "params"
            || self.body.has(&is_field)
            || self.headers.values().any(|text| text.0.has(&is_field))
            || (field == "model" && self.path.has_model())
    }
}
