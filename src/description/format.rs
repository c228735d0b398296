//! Description of an image API: all that a client of it must know.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::description::answers::{Accepted, Errors, ImageRules, Poll, QuotaWords, RateHeaders};
use crate::description::auth::{Auth, TokenHost};
use crate::description::examples::{Example, RequestExample};
use crate::description::list::List;
use crate::description::pointer::Pointer;
use crate::description::requests::{Find, LimitRules, Submit};
use crate::description::span::{TimeOfDay, TimeSpan};
use crate::description::words::{Billed, DoubtClass, Exchange, LaneScope};

/// Description of an image API.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "promptbatch provider")]
pub struct Description {
    /// Name in flags, results and ledgers: lower-case letters, digits and `-`.
    pub name: String,
    /// Help for the name, in one line.
    pub help: String,
    /// Built-in description that this one extends. Maps are merged name by name, null removes a name, rows of `errors.table` precede those
    /// of the extended description, and everything else is replaced. Never inherited are the name, the address, the token, limits, prices,
    /// examples and what is unverified.
    pub extends: Option<String>,
    /// Default base URL, without `/v1` at its end: the paths begin with it.
    pub base_url: String,
    /// Environment variables with another base URL, in the order of lookup.
    pub base_url_env: Vec<String>,
    /// Sources of the token.
    pub token: TokenRules,
    /// Way to send the token: `bearer`, `header NAME`, `prefix WORD`, `basic` or `none`.
    #[schemars(with = "String")]
    pub auth: Auth,
    /// Hosts that may see the token besides that of the base URL, such as `*.example.com`. Never name a host of images.
    #[schemars(with = "Vec<String>")]
    pub token_hosts: Vec<TokenHost>,
    /// Shape of the exchange: `task` or `answer`.
    pub exchange: Exchange,
    /// Model of requests that name none; left out if each must name its own.
    pub default_model: String,
    /// Submission.
    #[serde(deserialize_with = "or_default")]
    pub submit: Submit,
    /// Limits on the fields of a request.
    #[serde(deserialize_with = "or_default")]
    pub limits: LimitRules,
    /// Answer to a submission that became a task.
    #[serde(deserialize_with = "or_default")]
    pub accepted: Accepted,
    /// Images, and words beside them.
    #[serde(deserialize_with = "or_default")]
    pub answer: ImageRules,
    /// Poll of a task.
    #[serde(deserialize_with = "or_default")]
    pub poll: Poll,
    /// Errors.
    #[serde(deserialize_with = "or_default")]
    pub errors: Errors,
    /// Headers with what is left of a quota.
    #[serde(deserialize_with = "or_default")]
    pub rate_headers: RateHeaders,
    /// Scope of the limits on the pace.
    pub lane: LaneScope,
    /// Timeout of one request; 60s for tasks and 10m for answers if it is left out.
    #[schemars(with = "Option<String>")]
    pub request_timeout: Option<TimeSpan>,
    /// Time for which the provider keeps a finished image.
    #[schemars(with = "Option<String>")]
    pub keeps: Option<TimeSpan>,
    /// Time after which a submission that is not listed was surely not accepted.
    #[schemars(with = "Option<String>")]
    pub settle: Option<TimeSpan>,
    /// Time of day in UTC at which a used-up quota is new, such as `'16:05'`; left out if it is not known.
    #[schemars(with = "Option<String>")]
    pub quota_resets: Option<TimeOfDay>,
    /// Words about a used-up quota.
    #[serde(deserialize_with = "or_default")]
    pub quota_words: QuotaWords,
    /// Task outcomes that are billed. If omitted, only tasks that yield an image are.
    pub bills: Vec<Billed>,
    /// Way in which a lost submission is settled.
    pub doubt: DoubtClass,
    /// Question for lost submissions.
    pub find: Option<Find>,
    /// Documented prices.
    pub prices: Option<Prices>,
    /// What is not certain in this file, one sentence each.
    pub unverified: Vec<String>,
    /// Recorded answers, which `promptbatch providers check` judges.
    pub examples: Vec<Example>,
    /// Requests and what is sent for them, which `promptbatch providers check` compares.
    pub requests: Vec<RequestExample>,
    /// Hash of each field on which requests and judgements depend, with what the description extends. Not a part of the file.
    #[serde(skip)]
    pub hashes: BTreeMap<String, String>,
}

/// Sources of the token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenRules {
    /// Environment variables that hold the token, in the order of lookup.
    pub env: Vec<String>,
    /// Page on which a token is made.
    pub page: String,
    /// True if the service works without a token.
    pub optional: bool,
    /// Public token of users without an account, which is sent if there is no other.
    pub anonymous: String,
    /// True if the token may travel unencrypted to another machine, where the user gives an http address with `--base-url`.
    pub over_http: bool,
    /// What to do about a token that was refused, in sentences, with `{page}` and `{variable}` for the page and the first variable. Both are
    /// told if it is left out.
    pub remedy: String,
}

/// Documented prices. They change; the date says when they were read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// Currency, such as `USD`.
    pub currency: String,
    /// Day on which the prices were read, as `2026-11-30`.
    pub date: String,
    /// Where they were read.
    pub source: String,
    /// Prices of an image. The first row that matches counts.
    pub rows: Vec<PriceRow>,
    /// What 1 is worth in this currency where an answer says its cost (`accepted.cost`, `answer.cost`), such as 0.01 for credits of a cent;
    /// 1 if it is left out.
    pub cost_unit: Option<f64>,
    /// Prices of tokens, for an answer that counts them and says no cost. All rows that match count together.
    pub tokens: Vec<TokenPrice>,
}

/// Price of the tokens that an answer counts.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPrice {
    /// Number of tokens in an answer.
    #[schemars(with = "List<String>")]
    pub count: List<Pointer>,
    /// Price of a million of them.
    pub per_million: f64,
    /// Model, exactly as it is sent; every model if it is left out.
    pub model: Option<String>,
}

/// Price of an image of a model.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// Model, exactly as it is sent; every model if it is left out.
    pub model: Option<String>,
    /// Size, as `1024x1024`; every size if it is left out.
    pub size: Option<String>,
    /// Price of one image.
    pub price: f64,
}

/// Reads a section, or null, with which an extending description leaves it out.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
