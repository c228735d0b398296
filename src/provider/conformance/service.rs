//! Promises of a provider in front of a service that refuses, fails, answers late, or breaks its connections.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use crate::model::outcome::{Fault, FaultKind, Status, TaskId, Url};
use crate::model::partial_download::{PartialDownload, Validator};
use crate::model::request::Request;
use crate::provider::conformance::{Start, Subject, TOKEN, id, may_be_paid, request};
use crate::provider::{Download, Provider};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::faults::{InjectedFault, PollFault, SubmitFault};

/// Service whose tasks take no time.
fn calm() -> SimulatorConfig {
    SimulatorConfig { latency: Duration::ZERO, latency_sigma: 0.0, ..SimulatorConfig::default() }
}

/// Service that injects this fault wherever it can.
fn with(fault: InjectedFault) -> SimulatorConfig {
    let faults = [format!("{fault}=1").parse().unwrap()].into_iter().collect();
    SimulatorConfig { faults, ..calm() }
}

async fn submitted(subject: &Subject, request: &Request) -> TaskId {
    subject.provider.submit(request, &id()).await.unwrap().task
}

/// Polls a task until it has ended.
async fn ended(provider: &dyn Provider, task: &TaskId) -> Vec<Url> {
    for _ in 0..500 {
        let status = provider.poll(std::slice::from_ref(task)).await.remove(0).unwrap();
        let status = if let Status::Charged(charged) = status { charged.1 } else { status };
        match status {
            Status::Charged(_) => panic!("a status says one cost"),
            Status::Done(urls) => return urls,
            Status::Queued | Status::Running => tokio::time::sleep(Duration::from_millis(10)).await,
            Status::Failed(fault) => panic!("{fault}"),
        }
    }
    panic!("the task {task} does not end");
}

async fn bytes(download: Download<'static>) -> Result<Vec<u8>, Fault> {
    let pieces: Vec<Bytes> = download.body.try_collect().await?;
    Ok(pieces.concat())
}

/// Returns the link of an image that is done.
async fn image(subject: &Subject) -> Url {
    let task = submitted(subject, &request()).await;
    ended(&*subject.provider, &task).await.remove(0)
}

pub(super) async fn a_task_becomes_an_image(start: Start) {
    let subject = start(calm());
    let url = image(&subject).await;
    let download = subject.provider.download(&url, None).await.unwrap();
    let (n_before, bytes_total) = (download.n_before, download.bytes_total);
    let file = bytes(download).await.unwrap();
    assert!(file.starts_with(b"\x89PNG"), "{url}");
    assert_eq!((n_before, bytes_total), (0, Some(file.len() as u64)));
}

/// Goal: nothing is paid for twice. Method: every fault of a submission, of which it is known whether the service accepted.
pub(super) async fn a_fault_without_doubt_was_not_accepted(start: Start) {
    for fault in InjectedFault::all() {
        let InjectedFault::Submit(kind) = fault else { continue };
        let subject = start(with(fault));
        let answer = subject.provider.submit(&request(), &id()).await;
        // A cache has nothing to repeat for the first submission, which is accepted.
        let was_accepted = kind.accepts() || kind == SubmitFault::Cached;
        assert!(!was_accepted || may_be_paid(&answer), "{fault}: accepted, and told as {answer:?}");
        assert!(was_accepted || answer.is_err(), "{fault}: not accepted, and told as {answer:?}");
        if let Err(fault) = answer {
            assert!(!fault.message.contains(TOKEN), "{fault}");
        }
    }
}

/// Goal: a task that is paid for is given up only if the API says that it does not exist.
pub(super) async fn a_fault_of_the_network_never_gives_up_a_task(start: Start) {
    for fault in InjectedFault::all() {
        let InjectedFault::Poll(kind) = fault else { continue };
        let subject = start(with(fault));
        let task = submitted(&subject, &request()).await;
        let answer = subject.provider.poll(&[task]).await.remove(0);
        match (kind, answer) {
            (PollFault::NotFound, Err(told)) => assert_eq!(told.kind, FaultKind::TaskLost, "{fault}: {told}"),
            (PollFault::Unauthorized, Err(told)) => assert_eq!(told.kind, FaultKind::Unauthorized, "{fault}: {told}"),
            (_, Err(told)) => {
                let is_passing = matches!(told.kind, FaultKind::Transient | FaultKind::Throttled { .. });
                assert!(is_passing, "{fault}: {told}");
            }
            (_, Ok(status)) => panic!("{fault}: {status:?}"),
        }
    }
    let unknown = TaskId("no-such-task".into());
    let told = start(calm()).provider.poll(&[unknown]).await.remove(0).unwrap_err();
    assert_eq!(told.kind, FaultKind::TaskLost, "{told}");
}

pub(super) async fn polls_are_answered_in_their_order(start: Start) {
    let subject = start(calm());
    let (mut tasks, mut links) = (vec![], vec![]);
    for prompt in ["one", "two", "three"] {
        let task = submitted(&subject, &Request { prompt: prompt.into(), ..request() }).await;
        links.push(ended(&*subject.provider, &task).await);
        tasks.push(task);
    }
    tasks.insert(1, TaskId("no-such-task".into()));
    let mut answers = subject.provider.poll(&tasks).await;
    assert_eq!(answers.len(), 4);
    assert_eq!(answers.remove(1).unwrap_err().kind, FaultKind::TaskLost);
    let told: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(told, links.into_iter().map(Status::Done).collect::<Vec<_>>());
    assert_eq!(subject.provider.poll(&[]).await, []);
}

pub(super) async fn a_refused_rate_names_its_wait(start: Start) {
    let wait = Some(Duration::from_secs(7));
    for fault in [InjectedFault::Submit(SubmitFault::Throttled), InjectedFault::Poll(PollFault::Throttled)] {
        let subject = start(SimulatorConfig { retry_after: wait, ..with(fault) });
        let told = match subject.provider.submit(&request(), &id()).await {
            Err(told) => told,
            Ok(acceptance) => subject.provider.poll(&[acceptance.task]).await.remove(0).unwrap_err(),
        };
        assert_eq!(told.kind, FaultKind::Throttled { retry_after: wait }, "{fault}: {told}");
    }
}

pub(super) async fn a_used_up_quota_is_told(start: Start) {
    let subject = start(SimulatorConfig { quota: Some(2), ..calm() });
    let of = |prompt: &str| Request { prompt: prompt.into(), ..request() };
    let first = subject.provider.submit(&of("one"), &id()).await.unwrap();
    assert_eq!((first.quota_left, first.spent), (Some(1), None));
    let last = subject.provider.submit(&of("two"), &id()).await.unwrap();
    assert_eq!(last.quota_left, Some(0));
    let spent = last.spent.expect("the next submission would be refused");
    let refused = subject.provider.submit(&of("three"), &id()).await.unwrap_err();
    for fault in [spent, refused] {
        assert!(matches!(fault.kind, FaultKind::QuotaExhausted { resets_at: Some(_) }), "{fault}");
    }
}

pub(super) async fn a_download_continues_where_it_stopped(start: Start) {
    let subject = start(calm());
    let url = image(&subject).await;
    let download = subject.provider.download(&url, None).await.unwrap();
    let validator = download.validator.clone().expect("the host can continue");
    let whole = bytes(download).await.unwrap();
    let bytes_total = Some(whole.len() as u64);
    let part = PartialDownload { n_bytes: 100, bytes_total, validator };
    let rest = subject.provider.download(&url, Some(&part)).await.unwrap();
    assert_eq!((rest.n_before, rest.bytes_total), (100, bytes_total));
    assert_eq!(bytes(rest).await.unwrap(), whole[100..]);
    let other = PartialDownload { validator: Validator::ETag("\"other\"".into()), ..part };
    let again = subject.provider.download(&url, Some(&other)).await.unwrap();
    assert_eq!(again.n_before, 0, "another image is downloaded from its beginning");
    assert_eq!(bytes(again).await.unwrap(), whole);
}

pub(super) async fn a_broken_download_is_no_image(start: Start) {
    for fault in InjectedFault::all() {
        let InjectedFault::Image(_) = fault else { continue };
        let subject = start(with(fault));
        let url = image(&subject).await;
        let told = match subject.provider.download(&url, None).await {
            Err(told) => told,
            Ok(download) => {
                let pieces: Vec<_> = download.body.collect().await;
                // Half of an image that ends as announced is for the reader of the image to find.
                match pieces.into_iter().find_map(Result::err) {
                    Some(told) => told,
                    None if fault.name() == "image-short" => continue,
                    None => panic!("{fault}: taken for an image"),
                }
            }
        };
        assert!(matches!(told.kind, FaultKind::Transient | FaultKind::BadOutput), "{fault}: {told}");
        assert!(!told.kind.leaves_doubt() && !told.message.contains(TOKEN), "{fault}: {told}");
    }
}
