//! Promises of a client over HTTP whose base URL leads to a server that is not the API, or not only the API.

use std::net::TcpListener;

use futures::StreamExt;

use crate::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url};
use crate::provider::conformance::host::{Host, response};
use crate::provider::conformance::{Dialect, MESSAGE, TOKEN, client, id, may_be_paid, request};
use crate::simulator::pages;
use crate::simulator::picture::Picture;
use crate::test_effort::stride;

const JSON: &str = "Content-Type: application/json\r\n";

fn task() -> TaskId {
    TaskId("T-1".into())
}

async fn submit_to(dialect: &Dialect, host: &Host) -> Result<Acceptance, Fault> {
    client((dialect.spec)(), &host.url).submit(&request(), &id()).await
}

async fn poll_at(dialect: &Dialect, host: &Host) -> Result<Status, Fault> {
    client((dialect.spec)(), &host.url).poll(&[task()]).await.remove(0)
}

/// Server that always sends this answer.
fn always(status: u16, headers: &str, body: &str) -> Host {
    let bytes = response(status, headers, body.as_bytes());
    Host::new(move |_| bytes.clone())
}

pub(super) async fn a_readable_id_is_an_acceptance_under_any_status(dialect: &Dialect) {
    for status in [200, 201, 202, 400, 401, 402, 404, 409, 422, 429, 500, 502, 503, 504] {
        let answer = submit_to(dialect, &always(status, JSON, &(dialect.accepted)("T-1"))).await;
        assert_eq!(answer.map(|acceptance| acceptance.task), Ok(task()), "{status}");
    }
}

pub(super) async fn a_refusal_in_the_words_of_the_api_is_clear(dialect: &Dialect) {
    for (status, body) in dialect.refusals {
        let fault = submit_to(dialect, &always(*status, JSON, body)).await.unwrap_err();
        assert!(!fault.kind.leaves_doubt() && fault.message.contains(MESSAGE), "{status} {body}: {fault}");
    }
}

/// Goal: a server between this machine and the API cannot cause a second payment.
pub(super) async fn no_answer_of_another_server_is_a_refusal(dialect: &Dialect) {
    for page in pages::all().step_by(stride(5)) {
        let headers = format!("Content-Type: {}\r\n", page.content_type);
        let answer = submit_to(dialect, &always(page.status, &headers, page.body)).await;
        assert!(answer.is_err() && may_be_paid(&answer), "{}: {answer:?}", page.name);
    }
}

pub(super) async fn no_answer_of_another_server_is_about_a_task(dialect: &Dialect) {
    for page in pages::all().step_by(stride(5)) {
        let headers = format!("Content-Type: {}\r\n", page.content_type);
        let fault = poll_at(dialect, &always(page.status, &headers, page.body)).await.unwrap_err();
        let is_passing = matches!(fault.kind, FaultKind::Transient | FaultKind::Throttled { .. });
        assert!(is_passing, "{}: {fault}", page.name);
    }
    let (status, body) = dialect.unknown_task;
    let fault = poll_at(dialect, &always(status, JSON, body)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TaskLost, "{fault}");
}

pub(super) async fn only_a_request_that_never_left_is_not_in_doubt(dialect: &Dialect) {
    let closed = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    for url in [closed.as_str(), "https://no-such-host.invalid"] {
        let fault = client((dialect.spec)(), url).submit(&request(), &id()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient, "{url}: {fault}");
    }
    let whole = response(200, JSON, (dialect.accepted)("T-1").as_bytes());
    let n_head = whole.len() - (dialect.accepted)("T-1").len();
    // Cut before the first byte, in the head, and before the id is complete.
    for n_bytes in [0, 5, n_head, n_head + 3] {
        let begun = whole[..n_bytes].to_vec();
        let answer = submit_to(dialect, &Host::new(move |_| begun.clone())).await;
        assert_eq!(answer.map_err(|fault| fault.kind), Err(FaultKind::InDoubt), "{n_bytes} bytes");
    }
}

pub(super) async fn a_redirect_of_the_api_is_not_followed(dialect: &Dialect) {
    for status in [301, 302, 303, 307, 308] {
        let other = always(200, JSON, &(dialect.accepted)("stolen"));
        let api = always(status, &format!("Location: {}/x\r\n", other.url), "");
        let answer = submit_to(dialect, &api).await;
        assert!(answer.is_err() && may_be_paid(&answer), "{status}: {answer:?}");
        assert!(poll_at(dialect, &api).await.is_err(), "{status}");
        assert!(other.requests().is_empty(), "{status}: neither the prompt nor the token goes there");
    }
}

/// Returns texts that contain the token, in encodings that servers use.
fn repeated() -> Vec<String> {
    let encoded = |encode: fn(u8) -> String| TOKEN.bytes().map(encode).collect::<Vec<_>>().concat();
    let escaped = encoded(|byte| format!("\\u{byte:04x}"));
    let percent = encoded(|byte| format!("%{byte:02X}"));
    let hexadecimal = encoded(|byte| format!("{byte:02x}"));
    vec![TOKEN.to_owned(), TOKEN.to_uppercase(), escaped, percent, hexadecimal]
}

pub(super) async fn the_token_is_in_no_message(dialect: &Dialect) {
    let is_shown = |text: &str| {
        let text = text.to_lowercase();
        // Parts of the token in each of the encodings.
        ["geheim", "4711", "\\u0067\\u0065", "%67%65", "67656865"].iter().any(|part| text.contains(part))
    };
    for text in repeated() {
        let mut bodies = vec![(401, text.clone()), (502, format!("<html>Bearer {text}</html>")), (200, text.clone())];
        bodies.extend(dialect.refusals.iter().map(|(status, body)| (*status, body.replace(MESSAGE, &text))));
        for (status, body) in bodies {
            let host = always(status, JSON, &body);
            let submitted = submit_to(dialect, &host).await.unwrap_err();
            let polled = format!("{:?}", poll_at(dialect, &host).await);
            assert!(!is_shown(&submitted.message), "{status} {body}: {submitted}");
            assert!(!is_shown(&polled), "{status} {body}: {polled}");
            assert!(host.requests().iter().all(|request| request.contains(TOKEN)), "the API itself gets the token");
        }
        let page = always(200, "Content-Type: text/html\r\n", &format!("<html>{text} {text}</html>"));
        for link in [format!("{}/x.png", page.url), format!("{}/{text}.png", page.url), format!("ftp://{text}/x")] {
            let provider = client((dialect.spec)(), &page.url);
            let told = match provider.download(&Url(link.clone()), None).await {
                Err(fault) => fault,
                Ok(download) => download.body.collect::<Vec<_>>().await.into_iter().find_map(Result::err).unwrap(),
            };
            assert!(!is_shown(&told.message), "{link}: {told}");
        }
    }
}

pub(super) async fn no_image_host_sees_the_token(dialect: &Dialect) {
    let png = Picture::new(7, "32x32".parse().unwrap()).png();
    let file = response(200, "Content-Type: image/png\r\n", &png);
    let last = Host::new(move |_| file.clone());
    let first = always(302, &format!("Location: {}/really.png\r\n", last.url), "");
    let done = (dialect.done)(&format!("{}/x.png", first.url));
    let api = always(200, JSON, &done);
    let provider = client((dialect.spec)(), &api.url);
    let status = provider.poll(&[task()]).await.remove(0).unwrap();
    let Status::Done(urls) = status else { panic!("{status:?}") };
    let download = provider.download(&urls[0], None).await.unwrap();
    let pieces: Vec<_> = download.body.map(Result::unwrap).collect().await;
    assert_eq!(pieces.concat(), png);
    assert_eq!((first.requests().len(), last.requests().len()), (1, 1));
    for request in first.requests().into_iter().chain(last.requests()) {
        let request = request.to_lowercase();
        assert!(!request.contains("authorization") && !request.contains(TOKEN), "{request}");
    }
}

pub(super) async fn the_headers_about_the_quota_are_read(dialect: &Dialect) {
    let accepted = (dialect.accepted)("T-1");
    let with = async |headers: &str| submit_to(dialect, &always(200, headers, &accepted)).await.unwrap();
    assert_eq!(with(JSON).await, Acceptance::from(task()));
    let few = with(&format!("{}: 3\r\n", dialect.quota_header)).await;
    assert_eq!((few.quota_left, few.remaining, few.spent), (Some(3), Some(3), None));
    let last = with(&format!("{}: 0\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n", dialect.quota_header)).await;
    assert!(last.spent.is_some_and(|spent| matches!(spent.kind, FaultKind::QuotaExhausted { .. })));
    let paused = with("x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 6m0s\r\n").await;
    assert_eq!((paused.pause.map(|pause| pause.as_secs()), paused.remaining), (Some(360), Some(0)));
    let odd = with(&format!("{}: many\r\nRetry-After: soon\r\nDate: today\r\n", dialect.quota_header)).await;
    assert_eq!(odd, Acceptance::from(task()), "headers that cannot be read say nothing");
}

pub(super) async fn an_answer_without_end_is_cut_off(dialect: &Dialect) {
    let endless = " ".repeat(3 << 20);
    let fault = submit_to(dialect, &always(200, JSON, &endless)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::InDoubt, "{fault}");
    assert!(fault.message.len() < 2000, "{} bytes", fault.message.len());
}
