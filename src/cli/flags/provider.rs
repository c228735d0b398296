//! Values and help of the flags about providers, from the table of providers.

use std::time::Duration;

use clap::Args;

use crate::provider::default_provider::{self, DEFAULT};
use crate::provider::registry::{self, NamedProviderError, PROVIDERS};
use crate::provider::spec::{ApiSpec, ProviderSpec};

/// Provider of a manifest's jobs.
#[derive(Debug, Args)]
pub(crate) struct ProviderArgs {
    #[arg(long, value_parser = provider, value_name = "NAME|FILE", default_value = default_provider::NAME, env = "PROMPTBATCH_PROVIDER", help = provider_help())]
    pub provider: &'static ProviderSpec,
}

/// Parses a provider's name, or the file of a description.
pub(crate) fn provider(text: &str) -> Result<&'static ProviderSpec, NamedProviderError> {
    registry::named(text)
}

pub(crate) fn provider_help() -> String {
    let in_code = PROVIDERS.iter().map(|spec| spec.name);
    let names: Vec<_> = [default_provider::NAME].into_iter().chain(in_code).collect();
    format!(
        "Image provider: {}, another name that `promptbatch providers` lists, or FILE.yaml that describes one",
        names.join(", ")
    )
}

pub(crate) fn base_url_help() -> String {
    "API base URL [default: that of the provider]".to_owned()
}

pub(crate) fn token_file_help() -> String {
    format!(
        "File that holds the token, instead of the variable of the provider, such as {}; NAME=FILE sets it for one provider",
        each_api(|api| format!("`{}`", api.token.variables[0]))
    )
}

pub(crate) fn request_timeout_help() -> String {
    let default = each_api(|api| seconds(api.request_timeout));
    format!(
        "Timeout of one request: 500ms, 30s, 2m; an image may take longer, unless no data arrives for this long [default: {default}; 10m where the answer has the image]"
    )
}

fn seconds(span: Duration) -> String {
    format!("{}s", span.as_secs())
}

/// Lists what differs between the APIs, each text once.
fn each_api(text: impl Fn(&ApiSpec) -> String) -> String {
    let specs = [*DEFAULT].into_iter().chain(PROVIDERS.iter().copied());
    let mut texts: Vec<String> = specs.filter_map(|spec| spec.api.as_ref()).map(text).collect();
    texts.dedup();
    texts.join(" or ")
}
