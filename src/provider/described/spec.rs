//! Row of the table of providers for a description.

use std::time::Duration;

use crate::description::auth::Auth;
use crate::description::format::Description;
use crate::description::words::{Exchange, RangeWord};
use crate::model::request_limits::{FieldRanges, ModelFamily, RequestLimits, RulesRef};
use crate::provider::described::limits::DescribedRules;
use crate::provider::http::token_source::TokenSpec;
use crate::provider::spec::{ApiSpec, ProviderSpec, WithoutToken};

/// Timeout of a request that starts or polls a task.
const TASK_TIMEOUT: Duration = Duration::from_secs(60);

/// Timeout of a request whose answer has the image, as other clients have it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// Returns the row for a description. Both last as long as the process: a process uses few descriptions.
pub(crate) fn spec(description: Description) -> &'static ProviderSpec {
    let api: &'static Description = Box::leak(Box::new(description));
    let default_timeout = match api.exchange {
        Exchange::Task => TASK_TIMEOUT,
        Exchange::Answer => ANSWER_TIMEOUT,
    };
    let without_token = match (api.token.anonymous.as_str(), api.token.optional || api.auth == Auth::None) {
        ("", false) => WithoutToken::Refuse,
        ("", true) => WithoutToken::Nothing,
        (token, _) => WithoutToken::Public(token),
    };
    // A service of the user's own may have no page; messages then name what has one.
    let page = if api.token.page.is_empty() { "the settings of the service" } else { &*api.token.page };
    let address = ApiSpec {
        base_url: &api.base_url,
        token: TokenSpec { variables: names(&api.token.env), page },
        request_timeout: api.request_timeout.map_or(default_timeout, |span| span.0),
        auth: &api.auth,
        without_token,
        base_url_variables: names(&api.base_url_env),
    };
    let row = ProviderSpec {
        help: &api.help,
        api: Some(address),
        default_model: &api.default_model,
        limits: limits(api),
        description: Some(api),
        ..ProviderSpec::new(&api.name)
    };
    Box::leak(Box::new(row))
}

/// Returns texts that last as long as the process, as a table has them.
fn names(names: &'static [String]) -> &'static [&'static str] {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Box::leak(names.into_boxed_slice())
}

/// Returns the limits on the fields of a request.
fn limits(api: &'static Description) -> RequestLimits {
    let rules: &'static DescribedRules = Box::leak(Box::new(DescribedRules::new(api)));
    let families = api.limits.models.iter().filter(|model| !model.marks.is_empty()).map(|model| ModelFamily {
        name: &model.name,
        marks: names(&model.marks),
        side: model.size.side_min.unwrap_or(1)..=model.size.side_max.unwrap_or(u32::MAX),
    });
    let families: Vec<ModelFamily> = families.collect();
    RequestLimits {
        repo_id_example: api.limits.model_example.as_deref(),
        families: Box::leak(families.into_boxed_slice()),
        rules: Some(RulesRef(rules)),
        ranges: match api.limits.ranges {
            RangeWord::Wide => FieldRanges::Described,
            RangeWord::Usual => FieldRanges::Usual,
        },
    }
}
