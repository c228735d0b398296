//! ModelScope's API-Inference: the bodies that it reads, and what its answers prove.
//!
//! `answer` parses the responses without any I/O.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod decision_table;
pub(crate) mod envelope;
pub(crate) mod fault;
pub(crate) mod ids;
pub(crate) mod limits;
pub(crate) mod token;

use std::sync::Arc;
use std::time::Duration;

use crate::description::auth::Auth;
use crate::provider::Provider;
use crate::provider::modelscope::client::ModelScope;
use crate::provider::modelscope::limits::LIMITS;
use crate::provider::modelscope::token::TOKEN;
use crate::provider::spec::{ApiSpec, ConnectError, ProviderSettings, ProviderSpec, WithoutToken};

/// Description of ModelScope, and of any API with the same protocol.
pub static SPEC: ProviderSpec = ProviderSpec {
    name: "modelscope",
    help: "ModelScope's API-Inference",
    api: Some(API),
    default_model: MODEL,
    // The API has no query for several tasks.
    poll_batch_max: 1,
    limits: LIMITS,
    description: None,
    connect,
};

/// Default model: fast, and in the cheapest class.
pub(super) const MODEL: &str = "Tongyi-MAI/Z-Image-Turbo";

/// Address, token and timeout of the API.
pub(crate) const API: ApiSpec = ApiSpec {
    base_url: "https://api-inference.modelscope.cn",
    token: TOKEN,
    request_timeout: Duration::from_secs(60),
    auth: &Auth::Bearer,
    without_token: WithoutToken::Refuse,
    base_url_variables: &[],
};

fn connect(settings: &ProviderSettings, image_bytes_max: u64) -> Result<Arc<dyn Provider>, ConnectError> {
    Ok(Arc::new(ModelScope::new(&API.http(settings, image_bytes_max)?)?))
}
