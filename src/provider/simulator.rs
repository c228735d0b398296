//! Simulated API in this process, called over real HTTP. It needs no account and costs no money.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::model::outcome::{Acceptance, Fault, Status, TaskId, Url};
use crate::model::partial_download::PartialDownload;
use crate::model::request::Request;
use crate::model::request_limits::{RequestDoubt, RequestLimits, RequestRules, RulesRef};
use crate::model::submission_id::SubmissionId;
use crate::provider::default_provider::DEFAULT;
use crate::provider::described::client::DescribedProvider;
use crate::provider::http::base_url::BaseUrl;
use crate::provider::http::client::HttpSettings;
use crate::provider::http::token::Token;
use crate::provider::spec::{ConnectError, ProviderSettings, ProviderSpec};
use crate::provider::{Download, Provider};
use crate::simulator::http::{Simulator, SimulatorThread};

/// Description of the simulator.
pub static SPEC: ProviderSpec = ProviderSpec {
    name: "simulator",
    help: "A simulated API inside this process: no account, no cost",
    api: None,
    default_model: "Tongyi-MAI/Z-Image-Turbo",
    poll_batch_max: 1,
    limits: RequestLimits {
        repo_id_example: Some("Qwen/Qwen-Image"),
        rules: Some(RulesRef(&PlayedRules)),
        ..RequestLimits::NONE
    },
    description: None,
    connect,
};

/// Rules of the API that the simulator plays, which is that of the default provider.
#[derive(Debug)]
struct PlayedRules;

impl RequestRules for PlayedRules {
    fn refusal(&self, _: &Request) -> Option<RequestDoubt> {
        None
    }

    fn prompt_doubt(&self, _: &Request) -> Option<RequestDoubt> {
        None
    }

    fn size_doubt(&self, request: &Request) -> Option<RequestDoubt> {
        DEFAULT.limits.doubt(request)
    }
}

/// Timeout of one request. The service is on this machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Client with the service that it calls. The service ends with it.
#[derive(Debug)]
struct InProcess {
    client: DescribedProvider,
    _service: SimulatorThread,
}

fn connect(settings: &ProviderSettings, image_bytes_max: u64) -> Result<Arc<dyn Provider>, ConnectError> {
    let config = settings.simulator.as_deref().cloned().unwrap_or_default();
    let token = Token::new("simulated").expect("a valid token");
    let service =
        Simulator::spawn_thread(config).map_err(|source| ConnectError::Start { what: "the simulated API", source })?;
    let base_url = BaseUrl::parse(service.url(), "http://127.0.0.1")?;
    let request_timeout = settings.request_timeout.unwrap_or(REQUEST_TIMEOUT);
    let settings =
        HttpSettings { base_url, token, request_timeout, download_timeout: request_timeout, image_bytes_max };
    let api = DEFAULT.description.expect("the default provider is described");
    let client = DescribedProvider::new(api, &settings, None)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a manifest for the simulator is checked as one for the API that it plays.
    #[test]
    fn the_simulator_has_the_limits_of_the_api_that_it_plays() {
        assert_eq!(SPEC.default_model, DEFAULT.default_model);
        let (played, simulated) = (&DEFAULT.limits, &SPEC.limits);
        assert_eq!((simulated.repo_id_example, simulated.ranges), (played.repo_id_example, played.ranges));
        for (model, size) in
            [("a/FLUX.1-dev", "2048x64"), ("a/FLUX.1-dev", "64x64"), ("a/b", "2048x64"), ("a/b", "1x1")]
        {
            let request = Request { model: model.into(), size: size.parse().ok(), ..Request::default() };
            assert_eq!(simulated.judge(&request, true), played.judge(&request, true), "{model} {size}");
        }
    }
}
