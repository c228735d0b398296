//! Tests of the simulator that plays descriptions: what it answers is judged like an answer of the real service, for every built-in
//! description.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::description::auth::Auth;
use crate::description::format::Description;
use crate::description::parse::parse;
use crate::description::words::{AnswerStage, DoubtClass, Exchange, FaultWord, ImageKind, Method, TaskWord};
use crate::model::outcome::{Fault, FaultKind, Status, TaskId, Url};
use crate::model::request::Request;
use crate::model::time::Timestamp;
use crate::provider::builtin::{BUILT_IN, text};
use crate::provider::described::images::ImageText;
use crate::provider::described::polled::{Polled, polled, result};
use crate::provider::described::request::{encoded, poll_body, poll_path, submit_body, submit_path};
use crate::provider::described::submitted::{Submitted, SubmittedAs, submitted};
use crate::provider::http::api_response::ApiResponse;
use crate::simulator::config::SimulatorConfig;
use crate::simulator::faults::FaultPlan;
use crate::simulator::message::{HttpRequest, Reply};
use crate::simulator::server::Server;

const ID: &str = "2f1b4c1e-0000-4000-8000-000000000001";
const LATENCY_MILLIS: i64 = 10_000;

/// Served API with its description.
struct Played {
    api: Arc<Description>,
    server: Server,
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_796_000_000_000 + millis)
}

fn every_api(more: impl Fn(SimulatorConfig) -> SimulatorConfig) -> impl Iterator<Item = Played> {
    BUILT_IN.iter().map(move |row| {
        let api = Arc::new(parse(row.name, row.text, &text).unwrap());
        let latency = Duration::from_millis(LATENCY_MILLIS.unsigned_abs());
        let config = SimulatorConfig {
            api: Some(Arc::clone(&api)),
            latency,
            latency_sigma: 0.0,
            image_size: "16x16".parse().ok(),
            ..SimulatorConfig::default()
        };
        Played { api, server: Server::new(more(config)) }
    })
}

fn with_fault(setting: &str) -> impl Fn(SimulatorConfig) -> SimulatorConfig {
    let faults: FaultPlan = [setting.parse().unwrap()].into_iter().collect();
    move |config| SimulatorConfig { faults: faults.clone(), ..config }
}

fn cat(api: &Description) -> Request {
    let model = if api.default_model.is_empty() { "org/a/model".into() } else { api.default_model.clone() };
    Request { prompt: "a cat".into(), model, ..Request::default() }
}

/// Returns an answer as the client reads it.
fn answer_of(api: &Description, reply: Reply) -> ApiResponse {
    let reply = reply.drawn();
    let retry_after = reply.header("retry-after").map(str::to_owned);
    let is_image = reply.header("content-type").is_some_and(|kind| kind.starts_with("image/"));
    let status = reply.status;
    let bytes = reply.body.into_bytes();
    let is_kept = is_image && api.answer.kind == ImageKind::Body && !bytes.is_empty();
    let body = if is_kept { b"{\"$body\":\"spool:x\"}".to_vec() } else { bytes };
    ApiResponse { status, retry_after, body, ..ApiResponse::default() }
}

impl Played {
    fn with_token(&self, request: HttpRequest) -> HttpRequest {
        let request = request.with("host", "127.0.0.1:1");
        match &self.api.auth {
            Auth::Bearer => request.with("authorization", "Bearer k"),
            Auth::Prefix(word) => request.with("authorization", format!("{word} k")),
            Auth::Header(name) => request.with(name, "k"),
            Auth::Basic => request.with("authorization", "Basic aw=="),
            Auth::None => request,
        }
    }

    fn submission(&self, request: &Request, id: &str) -> HttpRequest {
        let body = submit_body(&self.api, request, id).unwrap();
        let body = encoded(self.api.submit.encoding, &body, "the-boundary");
        let path = submit_path(&self.api, request).unwrap();
        HttpRequest::post(path, body.text).with("content-type", body.content_type)
    }

    fn submit_raw(&mut self, now: Timestamp, request: &HttpRequest) -> Result<Submitted, Fault> {
        let reply = self.server.handle(now, request);
        submitted(&self.api, &answer_of(&self.api, reply), ID, "m")
    }

    fn submit(&mut self, now: Timestamp) -> Result<Submitted, Fault> {
        let request = self.with_token(self.submission(&cat(&self.api), ID));
        self.submit_raw(now, &request)
    }

    /// Submits a request, which must become a task; `None` if the API answers with images.
    fn task(&mut self) -> Option<TaskId> {
        match self.submit(at(0)).unwrap_or_else(|fault| panic!("{}: {fault:?}", self.api.name)).what {
            SubmittedAs::Task(task) => Some(task),
            SubmittedAs::Images(_) | SubmittedAs::Failed(_) => None,
        }
    }

    fn poll(&mut self, now: Timestamp, task: &TaskId) -> Result<Polled, Fault> {
        let address = self.api.poll.path.as_ref().and_then(|_| poll_path(&self.api, task));
        let path = address.unwrap_or_else(|| task.0.strip_prefix("http://127.0.0.1:1").unwrap().to_owned());
        let request = match self.api.poll.method.unwrap_or(Method::Get) {
            Method::Get => HttpRequest::get(path),
            Method::Post => HttpRequest::post(path, poll_body(&self.api, task).unwrap_or_default().to_string()),
        };
        let reply = self.server.handle(now, &self.with_token(request));
        polled(&self.api, &answer_of(&self.api, reply), task)
    }

    /// Returns the status of a task, with its result if that has an address of its own.
    fn status(&mut self, now: Timestamp, task: &TaskId) -> Result<Status, Fault> {
        match self.poll(now, task)? {
            Polled::Status(status) => Ok(status),
            Polled::Result(address) => {
                let path = address.strip_prefix("http://127.0.0.1:1").unwrap();
                let reply = self.server.handle(now, &self.with_token(HttpRequest::get(path)));
                result(&self.api, &answer_of(&self.api, reply))
            }
        }
    }

    fn has_row(&self, kind: FaultWord, stage: AnswerStage) -> bool {
        let is_meant = |row: &&crate::description::error_row::ErrorRow| {
            row.kind == kind && (row.stage.is_empty() || row.stage.contains(&stage))
        };
        self.api.errors.table.iter().any(|row| is_meant(&row))
    }
}

fn is_png(mut played: Played, now: Timestamp, link: &Url) -> bool {
    let path = link.0.strip_prefix("http://127.0.0.1:1").unwrap_or_else(|| panic!("{} leads away", link.0));
    let reply = played.server.handle(now, &HttpRequest::get(path)).drawn();
    reply.status == 200 && reply.body.into_bytes().starts_with(b"\x89PNG")
}

/// Goal: every described API is played from its submission to its image.
#[test]
fn every_api_makes_its_image() {
    for mut played in every_api(|config| config) {
        let name = played.api.name.clone();
        let request = played.with_token(played.submission(&cat(&played.api), ID));
        let reply = played.server.handle(at(0), &request);
        let delay = reply.delay;
        let answer = answer_of(&played.api, reply);
        let what = submitted(&played.api, &answer, ID, "m").unwrap_or_else(|fault| panic!("{name}: {fault:?}")).what;
        let stats = played.server.stats();
        assert_eq!((stats.n_submits, stats.n_accepted, stats.n_accepted_twice), (1, 1, 0), "{name}");
        match (what, played.api.exchange) {
            (SubmittedAs::Images(images), Exchange::Answer) => {
                assert_eq!(delay, Duration::from_secs(10), "{name}: the connection is held");
                let [image] = images.as_slice() else { panic!("{name}: {} images", images.len()) };
                match image {
                    ImageText::Base64(text) => {
                        let bytes = STANDARD.decode(text).unwrap();
                        assert!(bytes.starts_with(b"\x89PNG"), "{name}");
                    }
                    ImageText::Link(Url(link)) if link.starts_with("spool:") => {}
                    ImageText::Link(link) => assert!(is_png(played, at(LATENCY_MILLIS), link), "{name}"),
                }
            }
            (SubmittedAs::Task(task), Exchange::Task) => {
                assert_eq!(delay, Duration::ZERO, "{name}");
                let has_queue = played.api.poll.words.values().any(|word| *word == TaskWord::Queued);
                let queued = if has_queue { Status::Queued } else { Status::Running };
                assert_eq!(played.status(at(0), &task), Ok(queued), "{name}");
                assert_eq!(played.status(at(LATENCY_MILLIS / 2), &task), Ok(Status::Running), "{name}");
                let done = played.status(at(LATENCY_MILLIS), &task);
                let Ok(Status::Done(links)) = done else { panic!("{name}: {done:?}") };
                assert_eq!(links.len(), 1, "{name}");
                assert!(is_png(played, at(LATENCY_MILLIS), &links[0]), "{name}");
            }
            (what, exchange) => panic!("{name}: {what:?} of {exchange:?}"),
        }
    }
}

/// Goal: a refusal is read as the refusal that it is. Method: every reason of the service to refuse a submission.
#[test]
fn every_refusal_is_read_as_it_is_meant() {
    for mut played in every_api(|config| SimulatorConfig { rate: "1/m".parse().ok(), ..config }) {
        let name = played.api.name.clone();
        let good = played.submission(&cat(&played.api), ID);
        let no_token = played.submit_raw(at(0), &good).map_err(|fault| fault.kind);
        let is_open = played.api.auth == Auth::None || played.api.token.optional;
        assert_eq!(no_token.err(), (!is_open).then_some(FaultKind::Unauthorized), "{name}");
        let mut body = played.with_token(good.clone());
        body.body = String::from_utf8(body.body).unwrap().replace("a cat", "").into_bytes();
        let invalid = played.submit_raw(at(100_000), &body).unwrap_err();
        let is_told = played.has_row(FaultWord::InvalidRequest, AnswerStage::Submit);
        assert!(invalid.kind == FaultKind::InvalidRequest || !is_told, "{name}: {}", invalid.message);
        assert!(played.submit(at(200_000)).is_ok(), "{name}");
        let other = Request { prompt: "a dog".into(), ..cat(&played.api) };
        let other = played.with_token(played.submission(&other, "2f1b4c1e-0000-4000-8000-000000000002"));
        let throttled = played.submit_raw(at(200_001), &other).unwrap_err();
        let is_told = played.has_row(FaultWord::Throttled, AnswerStage::Submit);
        assert!(matches!(throttled.kind, FaultKind::Throttled { .. }) || !is_told, "{name}: {throttled:?}");
        assert_eq!(played.server.stats().n_accepted, 1 + u64::from(is_open), "{name}");
    }
    for mut played in every_api(|config| SimulatorConfig { quota: Some(0), ..config }) {
        if played.has_row(FaultWord::QuotaExhausted, AnswerStage::Submit) {
            let fault = played.submit(at(0)).unwrap_err();
            assert!(matches!(fault.kind, FaultKind::QuotaExhausted { .. }), "{}: {fault:?}", played.api.name);
        }
    }
}

/// Goal: a task that ends badly is read so, and never as an image.
#[test]
fn every_end_of_a_task_is_read_as_it_is_meant() {
    for (setting, expected) in [
        ("task-failed=1", FaultKind::Transient),
        ("task-empty=1", FaultKind::BadOutput),
        ("task-stuck=1", FaultKind::TaskLost),
    ] {
        for mut played in every_api(with_fault(setting)) {
            let Some(task) = played.task_of_fault(setting) else { continue };
            let end = match played.status(at(LATENCY_MILLIS), &task) {
                Ok(Status::Failed(fault)) | Err(fault) => fault,
                other => panic!("{}: {other:?}", played.api.name),
            };
            let is_known = expected != FaultKind::TaskLost || played.knows_lost();
            assert!(end.kind == expected || !is_known, "{} {setting}: {end:?}", played.api.name);
        }
    }
    let mut silent = vec![];
    for mut played in every_api(|config| SimulatorConfig { fail_rate: 1.0, ..config }) {
        let end = match played.submit(at(0)) {
            Err(fault) | Ok(Submitted { what: SubmittedAs::Failed(fault), .. }) => fault,
            Ok(Submitted { what: SubmittedAs::Images(images), .. }) => panic!("{}: {images:?}", played.api.name),
            Ok(Submitted { what: SubmittedAs::Task(task), .. }) => match played.status(at(LATENCY_MILLIS), &task) {
                Ok(Status::Failed(fault)) => fault,
                other => panic!("{}: {other:?}", played.api.name),
            },
        };
        if end.kind != FaultKind::Moderated {
            silent.push(played.api.name.clone());
        }
    }
    silent.retain(|name| !NO_MODERATION.contains(&name.as_str()));
    assert!(silent.is_empty(), "{silent:?} have no word for a refusal of the content");
}

/// Built-in descriptions that cannot say that a content was refused.
const NO_MODERATION: &[&str] = &["a1111", "cloudflare", "aihorde"];

impl Played {
    /// Submits a request to an API whose task has this fault. An answer without an image has no task, and is judged at once.
    fn task_of_fault(&mut self, setting: &str) -> Option<TaskId> {
        if self.api.exchange == Exchange::Task {
            return self.task();
        }
        let answer = self.submit(at(0));
        match (setting, answer) {
            (_, Ok(Submitted { what: SubmittedAs::Images(images), .. })) => panic!("{}: {images:?}", self.api.name),
            ("task-stuck=1", Err(fault)) => assert!(fault.kind == FaultKind::InDoubt, "{fault:?}"),
            (_, Err(fault) | Ok(Submitted { what: SubmittedAs::Failed(fault), .. })) => {
                // Without a list or map that would have the images, an answer may be of another server.
                let has_parent = self.api.answer.images.iter().any(|pointer| pointer.steps().len() > 1);
                let is_body = self.api.answer.kind == ImageKind::Body;
                let is_doubt = (is_body || !has_parent) && fault.kind == FaultKind::InDoubt;
                let empty = self.api.answer.empty.unwrap_or(FaultWord::BadOutput).kind();
                assert!(fault.kind == empty || is_doubt, "{}: {fault:?}", self.api.name);
            }
            (_, Ok(Submitted { what: SubmittedAs::Task(task), .. })) => panic!("{}: {task:?}", self.api.name),
        }
        None
    }

    fn knows_lost(&self) -> bool {
        let has_row = self
            .api
            .errors
            .table
            .iter()
            .any(|row| row.kind == FaultWord::TaskLost && row.stage.contains(&AnswerStage::Poll));
        has_row || self.api.poll.words.values().any(|word| *word == TaskWord::Lost)
    }
}

/// Goal: an acceptance inside an error is an acceptance. Method: the error of a service that is busy, with the id or the image in it.
#[test]
fn an_acceptance_inside_an_error_is_found() {
    for mut played in every_api(with_fault("submit-id-error=1")) {
        let submitted = played.submit(at(0));
        let is_found = matches!(&submitted, Ok(Submitted { what: SubmittedAs::Task(_) | SubmittedAs::Images(_), .. }));
        assert!(is_found, "{}: {submitted:?}", played.api.name);
        assert_eq!(played.server.stats().n_accepted, 1);
    }
}

/// Goal: a second submission with one id is paid for once, where the API says so.
#[test]
fn a_submission_with_the_id_of_another_is_not_paid_for_again() {
    let mut guarded = vec![];
    for mut played in every_api(|config| config) {
        let (first, second) = (played.submit(at(0)).unwrap(), played.submit(at(1)).unwrap());
        let stats = played.server.stats();
        if stats.n_accepted == 1 {
            assert_eq!((first.what, stats.n_repeated), (second.what, 1), "{}", played.api.name);
            guarded.push(played.api.name.clone());
        } else {
            assert_eq!((stats.n_accepted_twice, stats.n_repeated), (1, 0), "{}", played.api.name);
            assert_ne!(played.api.doubt, DoubtClass::Guarded, "{}", played.api.name);
        }
    }
    assert_eq!(guarded, ["runware"]);
}

/// Goal: an image that is kept for a time is gone after it, and its link too.
#[test]
fn an_image_is_kept_for_as_long_as_the_description_says() {
    let mut n_kept = 0;
    for mut played in every_api(|config| config) {
        let (Exchange::Task, Some(keeps)) = (played.api.exchange, played.api.keeps) else { continue };
        let task = played.task().unwrap();
        let gone_at = LATENCY_MILLIS + i64::try_from(keeps.0.as_millis()).unwrap();
        let Ok(Status::Done(links)) = played.status(at(gone_at - 1), &task) else { panic!("{}", played.api.name) };
        let path = links[0].0.strip_prefix("http://127.0.0.1:1").unwrap().to_owned();
        let gone = played.status(at(gone_at), &task);
        assert!(!matches!(gone, Ok(Status::Done(_))), "{}: {gone:?}", played.api.name);
        assert_eq!(played.server.handle(at(gone_at - 1000), &HttpRequest::get(&*path)).status, 200);
        assert_eq!(played.server.handle(at(gone_at), &HttpRequest::get(&*path)).status, 403);
        n_kept += 1;
    }
    assert!(n_kept > 2, "only {n_kept} descriptions say how long images are kept");
}

/// Goal: a task that is found by its id alone is polled at an address that the service has. Method: the path of the description.
#[test]
fn a_found_task_is_polled_at_its_address() {
    let mut n_found = 0;
    for mut played in every_api(|config| config) {
        let Some(template) = played.api.find.as_ref().and_then(|find| find.task.clone()) else { continue };
        let Some(task) = played.task() else { continue };
        let id = task.0.rsplit('/').next().unwrap();
        let path = template.path("org/app/model", id).unwrap();
        let request = played.with_token(HttpRequest::get(path));
        let reply = played.server.handle(at(LATENCY_MILLIS / 2), &request);
        let found = polled(&played.api, &answer_of(&played.api, reply), &task);
        assert_eq!(found, Ok(Polled::Status(Status::Running)), "{}", played.api.name);
        n_found += 1;
    }
    assert!(n_found > 0);
}
