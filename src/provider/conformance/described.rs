//! Tests of the described client over HTTP: images inside answers, addresses that answers name, tokens, and lost submissions.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;

use crate::model::outcome::{Fault, FaultKind, Found, Status, TaskId, Url};
use crate::model::request::Request;
use crate::model::time::Timestamp;
use crate::provider::config::ProviderConfig;
use crate::provider::conformance::host::{Host, response};
use crate::provider::conformance::{REQUEST_TIMEOUT, TOKEN, id};
use crate::provider::described::find::Page;
use crate::provider::http::api_response::ApiResponse;
use crate::provider::http::token::Token;
use crate::provider::registry::find;
use crate::provider::spec::{ConnectError, TokenSource};
use crate::provider::{LostSubmission, Provider};
use crate::simulator::picture::Picture;

const JSON: &str = "Content-Type: application/json\r\n";

fn png() -> Vec<u8> {
    Picture::new(7, "256x256".parse().unwrap()).png()
}

/// Client of a built-in provider at this address, which keeps images in this folder.
fn client(name: &str, base_url: &str, spool: &Path) -> Arc<dyn Provider> {
    config(name, base_url, spool).connect(u64::MAX).unwrap()
}

fn config(name: &str, base_url: &str, spool: &Path) -> ProviderConfig {
    ProviderConfig::new(find(name).unwrap()).with(|settings| {
        settings.base_url = Some(base_url.to_owned());
        settings.token = TokenSource::Given(Token::new(TOKEN).unwrap());
        settings.request_timeout = Some(REQUEST_TIMEOUT);
        settings.spool = Some(spool.to_owned());
    })
}

fn request(model: &str) -> Request {
    Request { prompt: "a golden cat".into(), model: model.into(), ..Request::default() }
}

fn always(status: u16, headers: &str, body: &str) -> Host {
    let bytes = response(status, headers, body.as_bytes());
    Host::new(move |_| bytes.clone())
}

async fn bytes(provider: &dyn Provider, url: &Url) -> Vec<u8> {
    let download = provider.download(url, None).await.unwrap();
    download.body.map(Result::unwrap).collect::<Vec<_>>().await.concat()
}

/// Goal: an image that came inside an answer is never paid for again. Method: submit, and submit once more as a later process with the
/// same folder, which a kill between the answer and its record makes necessary.
#[tokio::test]
async fn an_image_inside_an_answer_is_paid_for_once() {
    let png = png();
    let base64 = STANDARD.encode(&png);
    for body in [
        format!(r#"{{"data":[{{"b64_json":"{base64}"}}]}}"#),
        format!(r#"{{"data":[{{"b64_json":"data:image/png;base64,{base64}"}}]}}"#),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let host = always(200, JSON, &body);
        let first = client("openai", &host.url, folder.path());
        let acceptance = first.submit(&request("gpt-image-1-mini"), &id()).await.unwrap();
        assert_eq!(acceptance.images.len(), 1);
        assert_eq!(bytes(&*first, &acceptance.images[0]).await, png);
        let later = client("openai", &host.url, folder.path());
        let again = later.submit(&request("gpt-image-1-mini"), &id()).await.unwrap();
        assert_eq!((again.task.clone(), &again.images), (acceptance.task.clone(), &acceptance.images));
        let polled = later.poll(&[again.task]).await.remove(0);
        assert_eq!(polled, Ok(Status::Done(acceptance.images.clone())));
        assert_eq!(host.requests().len(), 1, "one submission was sent");
        later.release(std::slice::from_ref(&acceptance.task));
        let gone = later.poll(&[acceptance.task]).await.remove(0).unwrap_err();
        assert_eq!(gone.kind, FaultKind::TaskLost);
    }
}

#[tokio::test]
async fn a_short_image_and_a_link_are_taken_too() {
    let host = always(200, JSON, r#"{"images":["iVBORw0KGgo="],"info":"{}"}"#);
    let folder = tempfile::tempdir().unwrap();
    let provider = client("a1111", &host.url, folder.path());
    let acceptance = provider.submit(&request("model"), &id()).await.unwrap();
    assert_eq!(bytes(&*provider, &acceptance.images[0]).await, b"\x89PNG\r\n\x1a\n");
    let host = always(200, JSON, r#"{"images":[{"url":"https://images.example/x.png"}]}"#);
    let folder = tempfile::tempdir().unwrap();
    let provider = client("siliconflow", &host.url, folder.path());
    let acceptance = provider.submit(&request("model"), &id()).await.unwrap();
    assert_eq!(acceptance.images, [Url("https://images.example/x.png".into())]);
}

#[tokio::test]
async fn an_answer_that_is_an_image_is_kept_whole() {
    let png = png();
    let file = response(200, "Content-Type: image/png\r\n", &png);
    let host = Host::new(move |_| file.clone());
    let folder = tempfile::tempdir().unwrap();
    let provider = client("cloudflare", &host.url, folder.path());
    let acceptance = provider.submit(&request("@cf/a/b"), &id()).await.unwrap();
    assert_eq!(bytes(&*provider, &acceptance.images[0]).await, png);
    assert!(host.requests()[0].starts_with("POST /ai/run/@cf/a/b "), "{}", host.requests()[0]);
}

/// Goal: an answer that was paid for and has no image is remembered as such, also by a later process.
#[tokio::test]
async fn a_withheld_image_that_is_paid_for_is_remembered() {
    let host = always(200, JSON, r#"{"candidates":[{"finishReason":"IMAGE_SAFETY"}]}"#);
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let provider = client("gemini", &host.url, folder.path());
        let acceptance = provider.submit(&request("gemini-2.5-flash-image"), &id()).await.unwrap();
        assert!(acceptance.images.is_empty());
        let status = provider.poll(&[acceptance.task]).await.remove(0).unwrap();
        assert!(matches!(&status, Status::Failed(Fault { kind: FaultKind::Moderated, .. })), "{status:?}");
    }
    assert_eq!(host.requests().len(), 1);
}

#[tokio::test]
async fn an_image_that_breaks_off_leaves_doubt_and_nothing_behind() {
    let body = format!(r#"{{"data":[{{"b64_json":"{}"}}]}}"#, STANDARD.encode(png()));
    let whole = response(200, JSON, body.as_bytes());
    for n_bytes in [whole.len() - 1, whole.len() - 6, whole.len() / 2, whole.len() - body.len() + 30] {
        let begun = whole[..n_bytes].to_vec();
        let host = Host::new(move |_| begun.clone());
        let folder = tempfile::tempdir().unwrap();
        let provider = client("openai", &host.url, folder.path());
        let answer = provider.submit(&request("m"), &id()).await;
        match answer {
            // The image is whole, and only the end of the JSON is missing.
            Ok(acceptance) => assert!(n_bytes + 6 > whole.len() && acceptance.images.len() == 1, "{n_bytes}"),
            Err(fault) => {
                assert_eq!(fault.kind, FaultKind::InDoubt, "{fault}");
                assert!(provider.kept().is_empty());
            }
        }
    }
}

/// Goal: an answer cannot send the token elsewhere. Method: an acceptance names an address of another host.
#[tokio::test]
async fn an_address_in_an_answer_does_not_get_the_token() {
    let other = always(200, JSON, r#"{"status":"COMPLETED","request_id":"r"}"#);
    let body = format!(r#"{{"request_id":"r","status_url":"{}/requests/r/status"}}"#, other.url);
    let api = always(200, JSON, &body);
    let folder = tempfile::tempdir().unwrap();
    let provider = client("fal", &api.url, folder.path());
    let acceptance = provider.submit(&request("fal-ai/flux/dev"), &id()).await.unwrap();
    let fault = provider.poll(&[acceptance.task]).await.remove(0).unwrap_err();
    assert!(fault.kind == FaultKind::Transient && fault.message.contains("token_hosts"), "{fault}");
    let answer = format!(
        r#"{{"status":"COMPLETED","request_id":"r","response_url":"{}/requests/r","status_url":"x"}}"#,
        other.url
    );
    let api = always(200, JSON, &answer);
    let provider = client("fal", &api.url, folder.path());
    let fault = provider.poll(&[TaskId(format!("{}/requests/r/status", api.url))]).await.remove(0).unwrap_err();
    assert!(fault.message.contains("token_hosts"), "{fault}");
    assert!(other.requests().is_empty());
}

/// Goal: a queue is followed from its submission to its image. Method: a server that answers each of the three requests.
#[tokio::test]
async fn a_queue_is_followed_to_its_result() {
    let host = Host::new(|request| {
        let host =
            request.lines().find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned)).unwrap();
        let at = format!("http://{host}/fal-ai/flux/requests/r");
        let body = match request.lines().next().unwrap() {
            line if line.starts_with("POST /fal-ai/flux/dev ") => {
                format!(r#"{{"request_id":"r","status_url":"{at}/status"}}"#)
            }
            line if line.starts_with("GET /fal-ai/flux/requests/r/status ") => {
                format!(r#"{{"status":"COMPLETED","request_id":"r","response_url":"{at}"}}"#)
            }
            _ => r#"{"images":[{"url":"https://images.example/x.png"}]}"#.to_owned(),
        };
        response(200, JSON, body.as_bytes())
    });
    let folder = tempfile::tempdir().unwrap();
    let provider = client("fal", &host.url, folder.path());
    let acceptance = provider.submit(&request("fal-ai/flux/dev"), &id()).await.unwrap();
    let status = provider.poll(&[acceptance.task]).await.remove(0).unwrap();
    assert_eq!(status, Status::Done(vec![Url("https://images.example/x.png".into())]));
    let requests = host.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.contains(&format!("authorization: Key {TOKEN}"))), "{requests:?}");
}

#[tokio::test]
async fn each_api_gets_the_token_as_it_wants_it() {
    for (name, header) in [
        ("openai", format!("authorization: Bearer {TOKEN}")),
        ("gemini", format!("x-goog-api-key: {TOKEN}")),
        ("bfl", format!("x-key: {TOKEN}")),
        ("a1111", format!("authorization: Basic {}", STANDARD.encode(TOKEN))),
    ] {
        let host = always(500, JSON, "{}");
        let folder = tempfile::tempdir().unwrap();
        let fault = client(name, &host.url, folder.path()).submit(&request("m"), &id()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::InDoubt, "{name}: {fault}");
        let request = host.requests().remove(0);
        assert!(request.contains(&header), "{name}: {request}");
        assert!(name == "openai" || !request.contains("Bearer"), "{name}");
    }
    let host = always(500, JSON, "{}");
    let config = ProviderConfig::new(find("sd-server").unwrap()).with(|settings| {
        settings.base_url = Some(host.url.clone());
        settings.token = TokenSource::Given(Token::new(TOKEN).unwrap());
    });
    assert_eq!(config.account("salt"), None);
    config.connect(u64::MAX).unwrap().submit(&request("m"), &id()).await.unwrap_err();
    assert!(!host.requests()[0].contains(TOKEN), "a service without tokens gets none");
}

#[test]
fn a_token_does_not_travel_unencrypted() {
    let folder = tempfile::tempdir().unwrap();
    for (name, address, is_allowed) in [
        ("openai", "http://10.0.0.1", false),
        ("openai", "http://relay.example", false),
        ("openai", "https://relay.example", true),
        ("openai", "http://127.0.0.1:1", true),
        ("sd-server", "http://10.0.0.1:1234", true),
    ] {
        let connected = config(name, address, folder.path()).connect(u64::MAX);
        assert_eq!(connected.is_ok(), is_allowed, "{name} {address}");
        if let Err(error) = connected {
            assert!(matches!(error, ConnectError::Client(_)) && error.to_string().contains("https"), "{error}");
        }
    }
}

fn lost(sent_at: Timestamp) -> LostSubmission {
    LostSubmission { id: id(), request: request("a/b"), sent_at }
}

/// Time at which the list is asked for, by the clock of the provider, as [`DATE`] says it.
const fn now() -> Timestamp {
    Timestamp::from_millis(1_795_521_600_000)
}

const DATE: &str = "Content-Type: application/json\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n";

/// Goal: a lost submission is adopted only if it is surely the one, and is absent only if the list is surely complete.
#[tokio::test]
async fn a_lost_submission_is_found_by_its_seed() {
    let seed = id().seed();
    let item = |id: &str, seed: u32| format!(r#"{{"id":"{id}","input":{{"prompt":"a golden cat","seed":{seed}}}}}"#);
    let listed =
        |seed: u32, prompt: &str| format!(r#"{{"id":"listed","input":{{"prompt":"{prompt}","seed":{seed}}}}}"#);
    let (mine, other) = (item("mine", seed), item("other", 7));
    let list = |items: &str| format!(r#"{{"previous":null,"next":null,"results":[{items}]}}"#);
    let hour_ago = now().before(Duration::from_secs(3700));
    for (headers, status, body, sent_at, expected) in [
        (DATE, 200, list(&format!("{other},{mine}")), now(), Ok("mine")),
        (DATE, 200, list(&other), now(), Ok("absent")),
        (DATE, 200, list(&listed(seed, "a golden")), now(), Ok("listed")),
        (DATE, 200, list(&listed(7, "a golden cat")), now(), Ok("absent")),
        (DATE, 200, list(r#"{"id":"a","input":{"prompt":"a golden cat"}}"#), now(), Ok("unknown")),
        (DATE, 200, list(r#"{"id":"a","input":{"prompt":" a  golden cat "}}"#), now(), Ok("unknown")),
        (DATE, 200, list(r#"{"id":"a","input":{"prompt":"a silver cat"}}"#), now(), Ok("absent")),
        (DATE, 200, list(""), now(), Ok("absent")),
        (DATE, 200, list(&format!("{mine},{mine}")), now(), Ok("unknown")),
        (DATE, 200, list(&other), hour_ago, Ok("unknown")),
        (DATE, 200, list(r#"{"id":"a","input":{"text":"a golden cat"}}"#), now(), Ok("unknown")),
        (DATE, 200, r#"{"data":[]}"#.to_owned(), now(), Ok("unknown")),
        (DATE, 200, "<html>".to_owned(), now(), Err(FaultKind::Transient)),
        (DATE, 404, list(""), now(), Err(FaultKind::Transient)),
        (DATE, 502, list(&mine), now(), Err(FaultKind::Transient)),
    ] {
        let host = always(status, headers, &body);
        let folder = tempfile::tempdir().unwrap();
        let provider = client("replicate", &host.url, folder.path());
        let found = provider.find(&[lost(sent_at)]).await.remove(0);
        let told = found.as_ref().map(|found| match found {
            Found::Accepted(acceptance) => acceptance.task.0.as_str(),
            Found::Absent => "absent",
            Found::Unknown => "unknown",
        });
        assert_eq!(told.map_err(|fault| fault.kind), expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_seed_is_sent_with_which_a_submission_can_be_found() {
    let host = always(201, JSON, r#"{"id":"r1"}"#);
    let folder = tempfile::tempdir().unwrap();
    let provider = client("replicate", &host.url, folder.path());
    provider.submit(&request("a/b"), &id()).await.unwrap();
    assert!(host.requests()[0].contains(&format!("\"seed\":{}", id().seed())), "{:?}", host.requests());
    let with_seed = Request { seed: Some(7), ..request("a/b") };
    provider.submit(&with_seed, &id()).await.unwrap();
    assert!(host.requests()[1].contains("\"seed\":7"), "the seed of the user stays");
}

/// Goal: a list is read to its end, and the address of its next page does not get the token elsewhere.
#[tokio::test]
async fn the_next_page_of_a_list_is_at_the_api() {
    let other = always(200, JSON, r#"{"next":null,"results":[]}"#);
    let body = format!(r#"{{"next":"{}/v1/predictions?cursor=x","results":[]}}"#, other.url);
    let host = always(200, JSON, &body);
    let folder = tempfile::tempdir().unwrap();
    let found = client("replicate", &host.url, folder.path()).find(&[lost(now())]).await.remove(0);
    assert_eq!(found.unwrap_err().kind, FaultKind::Transient);
    assert!(other.requests().is_empty());
    // A list that never ends proves nothing.
    let endless = Host::new(|request| {
        let host =
            request.lines().find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned)).unwrap();
        let body = format!(r#"{{"next":"http://{host}/v1/predictions?cursor=x","results":[]}}"#);
        response(200, JSON, body.as_bytes())
    });
    let found = client("replicate", &endless.url, folder.path()).find(&[lost(now())]).await.remove(0);
    assert_eq!((found, endless.requests().len()), (Ok(Found::Unknown), 10));
}

#[tokio::test]
async fn a_submission_is_looked_up_by_its_id() {
    let body = format!(r#"{{"data":[{{"taskUUID":"{}"}}]}}"#, id());
    let host = always(200, JSON, &body);
    let folder = tempfile::tempdir().unwrap();
    let provider = client("runware", &host.url, folder.path());
    let found = provider.find(&[lost(now())]).await.remove(0).unwrap();
    assert!(matches!(found, Found::Accepted(acceptance) if acceptance.task.0 == id().to_string()));
    assert!(host.requests()[0].contains("getTaskDetails") && host.requests()[0].contains(&id().to_string()));
}

/// Goal: a queue that lists finished requests only can give a lost one, and never says that one is absent. Method: the question goes to the
/// host of the list, which is not on this machine, so that the answer is judged without a network.
#[test]
fn a_list_of_finished_requests_proves_no_absence() {
    let api = find("fal").unwrap().description.unwrap();
    let question = api.find.as_ref().unwrap();
    let request = Request { seed: Some(7), ..request("fal-ai/flux/dev") };
    let sent = crate::provider::described::find::Sent { request: &request, has_nonce: true, id: "s" };
    let judged = |items: &str| {
        let body = format!(r#"{{"items":[{items}],"next_cursor":null,"has_more":false}}"#).into_bytes();
        let answer = ApiResponse { status: 200, date: Some(now()), body, ..ApiResponse::default() };
        crate::provider::described::find::judged(question, &answer, &sent, now()).unwrap()
    };
    assert_eq!(judged(""), Page::Found(Found::Unknown));
    let item = r#"{"request_id":"r","json_input":{"prompt":"a golden cat","seed":7}}"#;
    assert!(matches!(judged(item), Page::Found(Found::Accepted(acceptance)) if acceptance.task.0 == "r"));
}
