//! Batch inside another program: watched, stopped, dropped and resumed.

use std::time::Duration;

use futures::StreamExt;
use promptbatch::engine::turn::{Signal, StopReason};
use promptbatch::model::counts::StatusCounts;
use promptbatch::model::event::EventKind;
use promptbatch::model::limits::Concurrency;
use promptbatch::provider::registry::ProviderConfig;
use promptbatch::run::RunError;
use promptbatch::run::batch::{Batch, Update};

use crate::bench::{Bench, quick, wait_until};

/// Creates a batch of eight jobs for the bench's API, two at a time.
fn batch(bench: &Bench) -> Batch {
    std::fs::write(bench.path("token"), "test-token").unwrap();
    let (base_url, token_file) = (bench.simulator.url().to_owned(), Some(bench.path("token")));
    let provider = ProviderConfig::ModelScope { base_url, token_file, request_timeout: Duration::from_secs(10) };
    let concurrency = Concurrency::Fixed(2.try_into().unwrap());
    Batch::new(bench.csv(8)).out(bench.path("out")).provider(provider).limits(|limits| limits.concurrency = concurrency)
}

/// Goal: a batch that is stopped in the middle resumes, and nothing is paid for twice.
#[tokio::test]
async fn a_batch_is_watched_stopped_and_gone_on_with() {
    let bench = Bench::new(quick());
    let mut running = batch(&bench).start().unwrap();
    let mut story = vec![];
    while let Some(update) = running.next().await {
        if let Update::Happened(event) = &update
            && matches!(event.kind, EventKind::Finished(_))
        {
            running.stop();
        }
        story.push(update);
    }
    assert_eq!(story[0], Update::Begun(StatusCounts { n_pending: 8, ..StatusCounts::default() }));
    assert!(story.iter().any(|update| matches!(update, Update::Pace(_))));
    let stopped = running.summary().await.unwrap();
    assert_eq!(stopped.stop, Some(StopReason::Interrupted(Signal::Interrupt)));
    assert!((1..8).contains(&stopped.counts.n_succeeded), "{:?}", stopped.counts);
    let ended = batch(&bench).start().unwrap().summary().await.unwrap();
    assert_eq!((ended.stop, ended.counts.n_succeeded), (None, 8));
    assert_eq!(bench.stats().n_submits, 8);
    bench.check_images(8);
}

/// Goal: a dropped batch stops, so that it costs nothing more.
#[tokio::test]
async fn a_batch_that_is_dropped_stops() {
    let bench = Bench::new(quick());
    let mut running = batch(&bench).start().unwrap();
    while let Some(update) = running.next().await {
        if matches!(update, Update::Happened(_)) {
            break;
        }
    }
    drop(running);
    wait_until("it has let go of its folder", || batch_is_free(&bench));
    assert!(bench.stats().n_submits < 8);
    assert_eq!(batch(&bench).start().unwrap().summary().await.unwrap().counts.n_succeeded, 8);
    assert_eq!(bench.stats().n_submits, 8);
}

fn batch_is_free(bench: &Bench) -> bool {
    promptbatch::store::stores::lock_owner(&bench.path("out")).is_none()
}

#[tokio::test]
async fn a_wrong_manifest_is_an_error_and_no_update() {
    let bench = Bench::new(quick());
    bench.write("wrong.yaml", "- prompt: a cat\n  sede: 7\n");
    let mut running = batch(&bench).with(|options| options.source.path = bench.path("wrong.yaml")).start().unwrap();
    assert_eq!(running.next().await, None);
    assert!(matches!(running.summary().await, Err(RunError::Manifest(_))));
}
