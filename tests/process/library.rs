//! Batch inside another program: watched, stopped, dropped and resumed.

use std::fs;
use std::time::Duration;

use futures::StreamExt;
use promptbatch::images::validate::verdict::CheckLimits;
use promptbatch::internals::store::create_in_memory;
use promptbatch::model::counts::StatusCounts;
use promptbatch::model::event::EventKind;
use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::model::progress::NoProgress;
use promptbatch::provider::config::ProviderConfig;
use promptbatch::provider::spec::TokenSource;
use promptbatch::report::Reporters;
use promptbatch::run::batch::{Batch, Update};
use promptbatch::run::consent::Consent;
use promptbatch::run::credentials::Credentials;
use promptbatch::run::error::RunError;
use promptbatch::run::retry::{RetryOptions, retry};
use promptbatch::run::stopper;
use promptbatch::run::verify::{RepairOptions, repair, verify};
use promptbatch::run::{Signal, StopReason};
use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, quick, wait_until};

/// Creates a batch of eight jobs for the bench's API, two at a time.
fn batch(bench: &Bench) -> Batch {
    fs::write(bench.path("token"), "test-token").unwrap();
    let provider = ProviderConfig::default().with(|settings| {
        settings.base_url = Some(bench.simulator.url().to_owned());
        settings.token = TokenSource::File(bench.path("token"));
        settings.request_timeout = Some(Duration::from_secs(10));
    });
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
    let mut running = batch(&bench).manifest(|source| source.path = bench.path("wrong.yaml")).start().unwrap();
    assert_eq!(running.next().await, None);
    assert!(matches!(running.summary().await, Err(RunError::Manifest(_))));
}

/// Goal: a run knows nothing of the store of its ledger. Method: with a ledger in memory, stop a run in the middle, resume it,
/// retry the refused jobs, and repair an image.
#[tokio::test]
async fn a_ledger_in_memory_serves_a_run_a_retry_and_a_repair() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 0.5, ..quick() });
    let out = bench.path("out");
    let _ledger = create_in_memory(&out);
    let mut running = batch(&bench).start().unwrap();
    while let Some(update) = running.next().await {
        if matches!(&update, Update::Happened(event) if matches!(event.kind, EventKind::Finished(_))) {
            running.stop();
        }
    }
    assert!(running.summary().await.unwrap().stop.is_some());
    let ended = batch(&bench).start().unwrap().summary().await.unwrap();
    let StatusCounts { n_moderated, n_succeeded, .. } = ended.counts;
    assert_eq!((ended.stop, n_moderated + n_succeeded, bench.stats().n_submits), (None, 8, 8));
    assert!((1..8).contains(&n_moderated), "{n_moderated}");

    let access = || Credentials {
        of_rows: std::collections::BTreeMap::new(),
        token: TokenSource::File(bench.path("token")),
        provider: None,
        provider_name: None,
        base_url: Some(bench.simulator.url().to_owned()),
        request_timeout: Some(Duration::from_secs(10)),
        consent: Consent::default(),
    };
    let (limits, image_limits) = (Limits::default, CheckLimits::default());
    let (_stopper, mut stops) = stopper();
    let codes = vec!["moderated".to_owned()];
    let options = RetryOptions {
        out: out.clone(),
        codes,
        force_resubmit: false,
        access: access(),
        limits: limits(),
        image_limits,
    };
    let retried = retry(options, |_| Reporters::default(), &mut NoProgress, &mut stops).await;
    let (n_retried, summary) = retried.unwrap();
    assert_eq!((n_retried, summary.counts.n_jobs()), (n_moderated, 8));
    assert_eq!(bench.stats().n_submits, 8 + n_moderated);

    let image = bench.results().iter().map(|row| row["file_name"].clone()).find(|name| !name.is_empty()).unwrap();
    fs::remove_file(out.join(image)).unwrap();
    let verified = verify(&out, Consent::default(), &mut NoProgress).unwrap();
    assert_eq!(verified.damaged.len(), 1);
    let options = RepairOptions { out: out.clone(), access: access(), limits: limits(), image_limits };
    let repaired = repair(options, &verified, |_| Reporters::default(), &mut NoProgress, &mut stops).await.unwrap();
    assert_eq!(repaired.present.n_missing, 0);
    assert!(verify(&out, Consent::default(), &mut NoProgress).unwrap().damaged.is_empty());
    assert_eq!(bench.stats().n_submits, 8 + n_moderated, "a repair pays for nothing");
    assert_eq!(bench.results().len(), 8);
    assert!(!out.join("run.db").exists(), "no ledger is on the disk");
}
