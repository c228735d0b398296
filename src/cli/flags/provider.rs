//! Values and help of the flags about providers, from the table of providers.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::provider::registry::{self, PROVIDERS};
use crate::provider::spec::{ApiSpec, ProviderSpec};

/// Returns the parser of a provider's name.
pub(crate) fn provider() -> impl TypedValueParser<Value = &'static ProviderSpec> {
    let values = PROVIDERS.iter().map(|spec| PossibleValue::new(spec.name).help(spec.help)).collect::<Vec<_>>();
    PossibleValuesParser::new(values).map(|name| registry::find(&name).expect("the value is from the table"))
}

pub(crate) fn base_url_help() -> String {
    format!("API base URL [default: {}]", each_api(|api| api.base_url.to_owned()))
}

pub(crate) fn token_file_help() -> String {
    format!(
        "File that holds the token, instead of the variable {}",
        each_api(|api| format!("`{}`", api.token.variables[0]))
    )
}

pub(crate) fn request_timeout_help() -> String {
    let default = each_api(|api| seconds(api.request_timeout));
    format!(
        "Timeout of one request: 500ms, 30s, 2m; an image may take longer, unless no data arrives for this long [default: {default}]"
    )
}

fn seconds(span: Duration) -> String {
    format!("{}s", span.as_secs())
}

/// Lists what differs between the APIs, each text once.
fn each_api(text: impl Fn(&ApiSpec) -> String) -> String {
    let mut texts: Vec<String> = PROVIDERS.iter().filter_map(|spec| spec.api.as_ref()).map(text).collect();
    texts.dedup();
    texts.join(" or ")
}
