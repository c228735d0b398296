//! Check of a description by its own examples: recorded answers are judged, and requests are made, without a network.

use serde_json::{Map, Value};

use crate::description::examples::{Example, RequestExample};
use crate::description::format::Description;
use crate::description::words::{AnswerStage, Exchange, Expectation};
use crate::model::outcome::{Fault, FaultKind, Status, TaskId, Url};
use crate::model::request::{Json, Request};
use crate::provider::described::images::ImageText;
use crate::provider::described::money::said;
use crate::provider::described::polled::{self, Polled};
use crate::provider::described::request::{submit_body, submit_path};
use crate::provider::described::submitted::{SubmittedAs, submitted};
use crate::provider::http::api_response::ApiResponse;
use crate::provider::http::retry_after::server_date;

/// Id of the submission of a request example.
const SUBMISSION_ID: &str = "00000000-0000-0000-0000-000000000000";

/// Result of the check of a description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckReport {
    /// Number of examples that were judged.
    pub n_examples: usize,
    /// Examples with another conclusion than the expected one.
    pub failures: Vec<CheckFailure>,
    /// What no example shows, one sentence each. This is no failure.
    pub gaps: Vec<String>,
}

/// Example with another conclusion than the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckFailure {
    /// Number of the example in its list, from 1.
    pub number: usize,
    /// Name of the list: `examples` or `requests`.
    pub list: &'static str,
    /// Name of the example.
    pub name: String,
    /// What was expected, and what it is.
    pub what: String,
}

/// Conclusion from an example.
#[derive(Debug, PartialEq)]
struct Conclusion {
    expectation: Expectation,
    id: Option<String>,
    links: Option<Vec<String>>,
    fault: Option<FaultKind>,
    /// Message of the fault, for the report.
    message: String,
}

/// Judges every example of a description.
pub(crate) fn check(api: &Description) -> CheckReport {
    let mut report = CheckReport { n_examples: api.examples.len() + api.requests.len(), ..CheckReport::default() };
    let task = accepted_task(api);
    for (number, example) in (1..).zip(&api.examples) {
        if let Err(what) = judged(api, example, &task) {
            report.failures.push(CheckFailure { number, list: "examples", name: example.name.clone(), what });
        }
    }
    for (number, example) in (1..).zip(&api.requests) {
        if let Err(what) = compared(api, example) {
            report.failures.push(CheckFailure { number, list: "requests", name: example.name.clone(), what });
        }
    }
    report.gaps = gaps(api);
    report
}

/// Returns the task of the first example that was accepted.
fn accepted_task(api: &Description) -> TaskId {
    let accepted =
        api.examples.iter().filter(|example| example.stage == AnswerStage::Submit).find_map(|example| match submitted(
            api,
            &answer_of(api, example),
            SUBMISSION_ID,
            &api.default_model,
        )
        .ok()?
        .what
        {
            SubmittedAs::Task(task) => Some(task),
            SubmittedAs::Images(_) | SubmittedAs::Failed(_) => None,
        });
    accepted.unwrap_or_else(|| TaskId("example".to_owned()))
}

/// Returns what no example shows.
fn gaps(api: &Description) -> Vec<String> {
    let has = |stage: AnswerStage, wanted: &[Expectation]| {
        api.examples.iter().any(|example| example.stage == stage && wanted.contains(&example.expect))
    };
    let refusals = [
        Expectation::Throttled,
        Expectation::QuotaExhausted,
        Expectation::Moderated,
        Expectation::InvalidRequest,
        Expectation::Unauthorized,
        Expectation::Transient,
    ];
    let mut gaps = Vec::new();
    let mut require = |is_shown: bool, what: &str| {
        if !is_shown {
            gaps.push(format!("no example shows {what}"));
        }
    };
    match api.exchange {
        Exchange::Task => {
            require(has(AnswerStage::Submit, &[Expectation::Accepted]), "an accepted submission");
            let is_done =
                has(AnswerStage::Poll, &[Expectation::Done]) || has(AnswerStage::Result, &[Expectation::Done]);
            require(is_done, "a finished task");
        }
        Exchange::Answer => require(has(AnswerStage::Submit, &[Expectation::Images]), "an answer with an image"),
    }
    require(has(AnswerStage::Submit, &refusals), "a clear refusal");
    require(!api.requests.is_empty(), "what is sent for a request (`requests`)");
    gaps
}

/// Returns the answer of an example, as the client would read it.
fn answer_of(api: &Description, example: &Example) -> ApiResponse {
    let header = |name: &str| {
        example.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let body = match (&example.body, &example.text, example.image) {
        (_, _, true) => "{\"$body\":\"spool:example\"}".to_owned(),
        (Some(body), _, false) => body.to_string(),
        (None, text, false) => text.clone().unwrap_or_default(),
    };
    let left = |name: Option<&str>| header(name?)?.trim().parse().ok();
    ApiResponse {
        status: example.status,
        retry_after: header("retry-after"),
        remaining: left(api.rate_headers.quota_left.as_deref()),
        model_remaining: left(api.rate_headers.model_quota_left.as_deref()),
        date: header("date").as_deref().and_then(server_date),
        body: body.into_bytes(),
        ..ApiResponse::default()
    }
}

fn judged(api: &Description, example: &Example, task: &TaskId) -> Result<(), String> {
    let task = example.task.as_ref().map_or_else(|| task.clone(), |task| TaskId(task.clone()));
    let answer = answer_of(api, example);
    let found = match example.stage {
        AnswerStage::Submit => of_submission(api, &answer),
        AnswerStage::Poll | AnswerStage::Failed => match polled::polled(api, &answer, &task) {
            Ok(Polled::Status(status)) => of_status(status),
            Ok(Polled::Result(address)) => Conclusion { links: Some(vec![address]), ..of(Expectation::Done) },
            Err(fault) => of_fault(fault),
        },
        AnswerStage::Result => polled::result(api, &answer).map_or_else(of_fault, of_status),
    };
    let differs = |what: &str, expected: &str, is: &str| {
        let message = if found.message.is_empty() { String::new() } else { format!(" ({})", found.message) };
        Err(format!("expected {what} {expected}, but it is {is}{message}"))
    };
    if found.expectation != example.expect {
        return differs("the conclusion", example.expect.word(), found.expectation.word());
    }
    if example.id.is_some() && example.id != found.id {
        return differs("the id", &shown(example.id.as_ref()), &shown(found.id.as_ref()));
    }
    if let (Some(expected), is) = (&example.links, found.links.as_deref().unwrap_or_default())
        && expected.as_slice() != is
    {
        return differs("the links", &expected.join(" "), &is.join(" "));
    }
    if let Some(expected) = example.fault
        && found.fault.map(FaultKind::code) != Some(expected.kind().code())
    {
        return differs("the fault", expected.kind().code(), found.fault.map_or("none", FaultKind::code));
    }
    let costs = match (example.stage, api.exchange) {
        (AnswerStage::Submit, Exchange::Task) => &api.accepted.cost,
        (AnswerStage::Submit, Exchange::Answer)
        | (AnswerStage::Poll | AnswerStage::Failed | AnswerStage::Result, _) => &api.answer.cost,
    };
    let cost = said(api, costs, &answer, &api.default_model).map(|money| money.to_string());
    if example.cost.is_some() && example.cost != cost {
        return differs("the cost", &shown(example.cost.as_ref()), &shown(cost.as_ref()));
    }
    Ok(())
}

fn shown(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "none".to_owned())
}

const fn of(expectation: Expectation) -> Conclusion {
    Conclusion { expectation, id: None, links: None, fault: None, message: String::new() }
}

fn of_submission(api: &Description, answer: &ApiResponse) -> Conclusion {
    match submitted(api, answer, SUBMISSION_ID, &api.default_model).map(|submitted| submitted.what) {
        Ok(SubmittedAs::Task(TaskId(id))) => Conclusion { id: Some(id), ..of(Expectation::Accepted) },
        Ok(SubmittedAs::Images(images)) => {
            let link = |image: ImageText| match image {
                ImageText::Link(Url(link)) => link,
                ImageText::Base64(text) => text,
            };
            Conclusion { links: Some(images.into_iter().map(link).collect()), ..of(Expectation::Images) }
        }
        Ok(SubmittedAs::Failed(fault)) => {
            Conclusion { fault: Some(fault.kind), message: fault.message, ..of(Expectation::Failed) }
        }
        Err(fault) => of_fault(fault),
    }
}

fn of_status(status: Status) -> Conclusion {
    match status {
        Status::Charged(charged) => of_status(charged.1),
        Status::Queued => of(Expectation::Queued),
        Status::Running => of(Expectation::Running),
        Status::Done(urls) => {
            let links = urls.into_iter().map(|Url(link)| link).collect();
            Conclusion { links: Some(links), ..of(Expectation::Done) }
        }
        Status::Failed(fault) => {
            Conclusion { fault: Some(fault.kind), message: fault.message, ..of(Expectation::Failed) }
        }
    }
}

fn of_fault(fault: Fault) -> Conclusion {
    let expectation = match fault.kind {
        FaultKind::Throttled { .. } => Expectation::Throttled,
        FaultKind::QuotaExhausted { .. } => Expectation::QuotaExhausted,
        FaultKind::Transient => Expectation::Transient,
        FaultKind::InDoubt => Expectation::InDoubt,
        FaultKind::Rejected => Expectation::Rejected,
        FaultKind::TaskLost => Expectation::TaskLost,
        FaultKind::Moderated => Expectation::Moderated,
        FaultKind::InvalidRequest => Expectation::InvalidRequest,
        FaultKind::Unauthorized => Expectation::Unauthorized,
        FaultKind::BadOutput => Expectation::BadOutput,
    };
    Conclusion { fault: Some(fault.kind), message: fault.message, ..of(expectation) }
}

/// Compares what is sent for a request with what the example says.
fn compared(api: &Description, example: &RequestExample) -> Result<(), String> {
    let request = request_of(api, &example.given)?;
    let path = submit_path(api, &request).map_err(|fault| fault.message)?;
    if let Some(expected) = example.path.as_ref().filter(|expected| **expected != path) {
        return Err(format!("expected the path {expected}, but it is {path}"));
    }
    let body = submit_body(api, &request, SUBMISSION_ID).map_err(|fault| fault.message)?;
    if body == example.body { Ok(()) } else { Err(format!("expected the body {}, but it is {body}", example.body)) }
}

/// Returns the request with these fields of a manifest. Other names are parameters.
fn request_of(api: &Description, given: &Map<String, Value>) -> Result<Request, String> {
    let mut request = Request { model: api.default_model.clone(), ..Request::default() };
    for (name, value) in given {
        let odd = || format!("the value of `{name}` is not what this field has");
        let text = || value.as_str().map(str::to_owned).ok_or_else(odd);
        let number = || value.as_u64().ok_or_else(odd);
        match name.as_str() {
            "prompt" => request.prompt = text()?,
            "model" => request.model = text()?,
            "negative_prompt" => request.negative_prompt = Some(text()?),
            "size" => request.size = Some(text()?.parse().map_err(|_| odd())?),
            "seed" => request.seed = Some(number()?),
            "steps" => request.steps = Some(u32::try_from(number()?).map_err(|_| odd())?),
            "guidance" => request.guidance = Some(value.as_f64().ok_or_else(odd)?),
            "image_url" => request.image_url = vec![text()?],
            _ => drop(request.params.insert(name.clone(), Json(value.to_string()))),
        }
    }
    Ok(request)
}
