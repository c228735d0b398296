//! Conformance suite of the provider port: the promises of [`Provider`], run against every provider.
//!
//! [`service`] tests a provider in front of a service that does all that services do. [`api`] tests a client over HTTP in front of servers
//! that are not its API. One line at the end of this file tests a provider.

mod api;
mod described;
mod host;
mod service;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::description::parse::parse;
use crate::model::job::JobId;
use crate::model::outcome::{Acceptance, Fault};
use crate::model::request::Request;
use crate::model::submission_id::SubmissionId;
use crate::provider::Provider;
use crate::provider::config::ProviderConfig;
use crate::provider::default_provider::DEFAULT;
use crate::provider::described::spec::spec;
use crate::provider::http::token::Token;
use crate::provider::simulator;
use crate::provider::spec::{ProviderSpec, TokenSource};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::http::{Simulator, SimulatorThread};

/// Token of every client here; no message may show it.
const TOKEN: &str = "geheim-4711-token";

/// Timeout of one request: long enough for a loaded machine, short enough for the requests that are never answered.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Provider in front of a service that behaves as configured.
struct Subject {
    provider: Arc<dyn Provider>,
    /// Service outside of the provider; `None` if the provider runs its own.
    _service: Option<SimulatorThread>,
}

/// Starts a subject with this behaviour of its service.
type Start = fn(SimulatorConfig) -> Subject;

/// What the suite has to know of an API's protocol.
struct Dialect {
    spec: fn() -> &'static ProviderSpec,
    /// Returns the body that accepts a submission as this task.
    accepted: fn(&str) -> String,
    /// Clear refusals of a submission: status and body, with the message `MESSAGE` in the API's own form.
    refusals: &'static [(u16, &'static str)],
    /// Answer to a poll that says that the task does not exist.
    unknown_task: (u16, &'static str),
    /// Returns the body of a poll of the task `T-1` that says that it is done, with this image.
    done: fn(&str) -> String,
    /// Header with the number of submissions left in the quota.
    quota_header: &'static str,
}

/// Message of the refusals in a [`Dialect`].
const MESSAGE: &str = "these are the words of the API";

fn request() -> Request {
    let size = "64x64".parse().ok();
    Request { prompt: "a golden cat".into(), model: "Qwen/Qwen-Image".into(), size, ..Request::default() }
}

fn id() -> SubmissionId {
    SubmissionId::new("conformance", JobId::from_bytes([7; 10]), 1)
}

/// Creates the client of a provider whose API is at this address.
fn client(spec: &'static ProviderSpec, base_url: &str) -> Arc<dyn Provider> {
    let config = ProviderConfig::new(spec).with(|settings| {
        settings.base_url = Some(base_url.to_owned());
        settings.token = TokenSource::Given(Token::new(TOKEN).unwrap());
        settings.request_timeout = Some(REQUEST_TIMEOUT);
    });
    config.connect(u64::MAX).unwrap()
}

/// Whether a submission with this answer may be paid for.
fn may_be_paid(answer: &Result<Acceptance, Fault>) -> bool {
    answer.as_ref().map_or_else(|fault| fault.kind.leaves_doubt(), |_| true)
}

macro_rules! tests {
    ($suite:ident, $subject:ident => $($test:ident),*) => {
        $(
            #[tokio::test]
            async fn $test() {
                $suite::$test($subject).await;
            }
        )*
    };
}

/// Makes the tests of one provider: those of its service and, with a dialect, those of its API.
macro_rules! conformance {
    ($name:ident, $start:expr $(, $dialect:expr)?) => {
        mod $name {
            use super::*;

            const START: Start = $start;

            tests!(service, START =>
                a_task_becomes_an_image,
                a_fault_without_doubt_was_not_accepted,
                a_fault_of_the_network_never_gives_up_a_task,
                polls_are_answered_in_their_order,
                a_refused_rate_names_its_wait,
                a_used_up_quota_is_told,
                a_download_continues_where_it_stopped,
                a_broken_download_is_no_image
            );
            $(
                const DIALECT: &Dialect = $dialect;

                tests!(api, DIALECT =>
                    a_readable_id_is_an_acceptance_under_any_status,
                    a_refusal_in_the_words_of_the_api_is_clear,
                    no_answer_of_another_server_is_a_refusal,
                    no_answer_of_another_server_is_about_a_task,
                    only_a_request_that_never_left_is_not_in_doubt,
                    a_redirect_of_the_api_is_not_followed,
                    the_token_is_in_no_message,
                    no_image_host_sees_the_token,
                    the_headers_about_the_quota_are_read,
                    an_answer_without_end_is_cut_off
                );
            )?
        }
    };
}

/// Client of `ModelScope`'s API that calls the simulator over HTTP.
fn modelscope_over_http(config: SimulatorConfig) -> Subject {
    let service = Simulator::spawn_thread(config).unwrap();
    Subject { provider: client(*DEFAULT, service.url()), _service: Some(service) }
}

/// Simulator with its own client in this process.
fn simulator_in_process(config: SimulatorConfig) -> Subject {
    let config = ProviderConfig::new(&simulator::SPEC).with(|settings| {
        settings.simulator = Some(Box::new(config));
        settings.request_timeout = Some(REQUEST_TIMEOUT);
    });
    Subject { provider: config.connect(u64::MAX).unwrap(), _service: None }
}

const MODELSCOPE: Dialect = Dialect {
    spec: || *DEFAULT,
    accepted: |task| format!(r#"{{"task_id":"{task}","request_id":"r"}}"#),
    refusals: &[
        (400, r#"{"errors":{"code":400,"message":"these are the words of the API"},"request_id":"r"}"#),
        (401, r#"{"errors":{"message":"these are the words of the API"},"request_id":"r"}"#),
        (402, r#"{"errors":{"message":"these are the words of the API"},"request_id":"r"}"#),
        (422, r#"{"errors":{"code":422,"message":"these are the words of the API"}}"#),
        (429, r#"{"errors":{"code":429,"message":"these are the words of the API"},"request_id":"r"}"#),
    ],
    unknown_task: (
        200,
        r#"{"task_id":"T-1","task_status":"FAILED","errors":{"code":500,"message":"task not found"},"request_id":"r"}"#,
    ),
    done: |link| format!(r#"{{"task_id":"T-1","task_status":"SUCCEED","output_images":["{link}"],"request_id":"r"}}"#),
    quota_header: "modelscope-ratelimit-requests-remaining",
};

conformance!(modelscope_client, modelscope_over_http, &MODELSCOPE);
conformance!(simulator_row, simulator_in_process);

/// Returns `ModelScope`'s API as a description: whatever it promises, a description must be able to promise.
fn described() -> &'static ProviderSpec {
    static SPEC: OnceLock<&'static ProviderSpec> = OnceLock::new();
    SPEC.get_or_init(|| spec(parse("described.yaml", include_str!("described.yaml"), &|_| None).unwrap()))
}

/// Described client that calls the simulator over HTTP.
fn described_over_http(config: SimulatorConfig) -> Subject {
    let service = Simulator::spawn_thread(config).unwrap();
    Subject { provider: client(described(), service.url()), _service: Some(service) }
}

const DESCRIBED: Dialect = Dialect {
    spec: described,
    // One of the refusals has no `request_id`, which the description asks for.
    refusals: &[
        (400, r#"{"errors":{"code":400,"message":"these are the words of the API"},"request_id":"r"}"#),
        (401, r#"{"errors":{"message":"these are the words of the API"},"request_id":"r"}"#),
        (402, r#"{"errors":{"message":"these are the words of the API"},"request_id":"r"}"#),
        (429, r#"{"errors":{"code":429,"message":"these are the words of the API"},"request_id":"r"}"#),
    ],
    ..MODELSCOPE
};

conformance!(described_client, described_over_http, &DESCRIBED);
