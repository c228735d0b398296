//! Simulated API in this process, called over real HTTP. It needs no account and costs no money.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::model::outcome::{Acceptance, Fault, Status, TaskId, Url};
use crate::model::partial_download::PartialDownload;
use crate::model::request::Request;
use crate::model::submission_id::SubmissionId;
use crate::provider::http::base_url::BaseUrl;
use crate::provider::http::client::HttpSettings;
use crate::provider::http::token::Token;
use crate::provider::modelscope::client::ModelScope;
#[cfg(feature = "cli")]
use crate::provider::spec::ApiSpec;
use crate::provider::spec::{ConnectError, ProviderSettings, ProviderSpec};
use crate::provider::{Download, Provider, modelscope};
use crate::simulator::http::{Simulator, SimulatorThread};

/// Description of the simulator.
pub static SPEC: ProviderSpec = ProviderSpec {
    name: "simulator",
    help: "A simulated API inside this process: no account, no cost",
    api: None,
    default_model: modelscope::MODEL,
    poll_batch_max: 1,
    limits: modelscope::limits::LIMITS,
    description: None,
    connect,
};

/// API that the simulator plays. Any client of that API can use the simulator.
#[cfg(feature = "cli")]
pub(crate) const PLAYED: ApiSpec = modelscope::API;

/// Timeout of one request. The service is on this machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Client with the service that it calls. The service ends with it.
#[derive(Debug)]
struct InProcess {
    client: ModelScope,
    _service: SimulatorThread,
}

fn connect(settings: &ProviderSettings, image_bytes_max: u64) -> Result<Arc<dyn Provider>, ConnectError> {
    let config = settings.simulator.as_deref().cloned().unwrap_or_default();
    let token = Token::new("simulated").expect("a valid token");
    let service =
        Simulator::spawn_thread(config).map_err(|source| ConnectError::Start { what: "the simulated API", source })?;
    let base_url = BaseUrl::parse(service.url(), "http://127.0.0.1")?;
    let request_timeout = settings.request_timeout.unwrap_or(REQUEST_TIMEOUT);
    let client = ModelScope::new(&HttpSettings {
        base_url,
        token,
        request_timeout,
        download_timeout: request_timeout,
        image_bytes_max,
    })?;
    Ok(Arc::new(InProcess { client, _service: service }))
}

impl Provider for InProcess {
    fn submit<'a>(&'a self, request: &'a Request, id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        self.client.submit(request, id)
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        self.client.poll(tasks)
    }

    fn download<'a>(
        &'a self,
        url: &'a Url,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        self.client.download(url, part)
    }
}
