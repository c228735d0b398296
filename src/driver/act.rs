//! The three requests as tasks of their own. A panic inside one is that request's fault and nobody else's.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use crate::driver::Hands;
use crate::driver::images::StoreError;
use crate::driver::meter::Meter;
use crate::driver::transfer;
use crate::engine::turn::Input;
use crate::model::job::{Job, JobId};
use crate::model::origin::Origin;
use crate::model::outcome::{Artifact, Fault, FaultKind, Status, TaskId, Url};

/// Submits a job.
pub async fn submit(hands: Hands, job: Arc<Job>) -> Input {
    let submitted = caught(hands.provider.submit(&job.request)).await;
    // Nobody knows how far a request came whose code panicked.
    let result = submitted.unwrap_or_else(|| Err(panicked(FaultKind::InDoubt, "submitting")));
    Input::Submitted(job.id, result)
}

/// Asks how tasks stand.
pub async fn poll(hands: Hands, batch: Vec<(JobId, TaskId)>) -> Input {
    let (jobs, tasks): (Vec<JobId>, Vec<TaskId>) = batch.into_iter().unzip();
    let answers: Vec<Result<Status, Fault>> = caught(hands.provider.poll(&tasks)).await.unwrap_or_default();
    // Every job gets an answer, whatever the provider's code did.
    let missing = std::iter::repeat_with(|| Err(panicked(FaultKind::Transient, "polling")));
    Input::Polled(jobs.into_iter().zip(answers.into_iter().chain(missing)).collect())
}

/// Fetches the images of a job. The error is our own disk's, met with this job.
pub async fn download(
    hands: Hands,
    meter: Arc<Meter>,
    origin: Origin,
    urls: Vec<Url>,
) -> Result<Input, (JobId, StoreError)> {
    let id = origin.job.id;
    let downloaded = caught(download_all(&hands, &meter, &origin, &urls)).await;
    match downloaded.unwrap_or_else(|| Ok(Err(panicked(FaultKind::Transient, "downloading")))) {
        Ok(result) => Ok(Input::Downloaded(id, result)),
        Err(error) => Err((id, error)),
    }
}

async fn download_all(
    hands: &Hands,
    meter: &Meter,
    origin: &Origin,
    urls: &[Url],
) -> Result<Result<Vec<Artifact>, Fault>, StoreError> {
    let mut artifacts = Vec::with_capacity(urls.len());
    for (nth, url) in (1..).zip(urls) {
        match transfer::image(hands, meter, &hands.naming.name(origin.clone(), nth), url).await? {
            Ok(artifact) => artifacts.push(artifact),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    Ok(Ok(artifacts))
}

/// The result, or nothing if the code panicked.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

fn panicked(kind: FaultKind, doing: &str) -> Fault {
    Fault::new(kind, format!("promptbatch itself failed while {doing}; please report it"))
}
