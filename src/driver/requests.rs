//! Requests to the provider (submit, poll, download), each run in its own task.
//!
//! A panic inside one request becomes the fault of that request only.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use crate::driver::clock::Clock;
use crate::driver::context::DriverContext;
use crate::driver::meter::DownloadMeter;
use crate::driver::transfer;
use crate::engine::turn::{FindRequest, Input};
use crate::images::error::StoreError;
use crate::model::job::{Job, JobId};
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, FaultKind, IMAGES_COUNTED_MAX, IMAGES_MAX, Status, TaskId, Url};
use crate::model::provenance::Provenance;
use crate::model::submission_id::SubmissionId;
use crate::provider::LostSubmission;
use crate::store::lease::Lease;

/// Maximum number of failed images that the fault of a task lists one by one.
const NAMED_MAX: usize = 3;

/// Submits a job, as its submission with this number, if the lease still holds. A panic of the provider's code puts the submission in doubt.
pub(super) async fn submit(context: DriverContext, job: Arc<Job>, number: u32, lease: Lease, clock: Clock) -> Input {
    let attached = match context.pictures.attach(&job.request).await {
        Ok(attached) => attached,
        // Nothing was sent.
        Err(fault) => return Input::Submitted(job.id, Err(fault)),
    };
    let request = attached.as_ref().map_or(&job.request, |(request, _)| request);
    // Nothing may be awaited between this check and the request.
    if !lease.holds(clock.now()) {
        return Input::Unsent(job.id);
    }
    let id = SubmissionId::new(&context.run, job.id, number);
    let submitted = caught(context.provider.submit(request, &id)).await;
    // The provider's code may panic before or after the API received the request. The submission is therefore in doubt.
    let result = submitted.unwrap_or_else(|| Err(panicked(FaultKind::InDoubt, "submitting")));
    Input::Submitted(job.id, result)
}

/// Asks for submissions whose answer is lost. Returns one answer per submission.
pub(super) async fn find(context: DriverContext, requests: Vec<FindRequest>) -> Input {
    let jobs: Vec<JobId> = requests.iter().map(|request| request.job.id).collect();
    let lost: Vec<_> = requests
        .into_iter()
        .map(|FindRequest { job, number, sent_at }| LostSubmission {
            id: SubmissionId::new(&context.run, job.id, number),
            request: job.request.clone(),
            sent_at,
        })
        .collect();
    let answers = caught(context.provider.find(&lost)).await.unwrap_or_default();
    let missing = std::iter::repeat_with(|| Err(panicked(FaultKind::Transient, "looking for a submission")));
    Input::Found(jobs.into_iter().zip(answers.into_iter().chain(missing)).collect())
}

/// Polls the status of tasks. Returns one answer per job.
pub(super) async fn poll(context: DriverContext, batch: Vec<(JobId, TaskId)>) -> Input {
    let (jobs, tasks): (Vec<JobId>, Vec<TaskId>) = batch.into_iter().unzip();
    let answers: Vec<Result<Status, Fault>> = caught(context.provider.poll(&tasks)).await.unwrap_or_default();
    // Every job receives an answer, even if the provider's code panics or returns too few answers.
    let missing = std::iter::repeat_with(|| Err(panicked(FaultKind::Transient, "polling")));
    Input::Polled(jobs.into_iter().zip(answers.into_iter().chain(missing)).collect())
}

/// Downloads the images of a job. The error is a failure of the image store, together with the affected job.
pub(super) async fn download(
    context: DriverContext,
    meter: Arc<DownloadMeter>,
    provenance: Provenance,
    urls: Vec<Url>,
) -> Result<Input, (JobId, StoreError)> {
    let id = provenance.job.id;
    let downloaded = caught(download_all(&context, &meter, &provenance, &urls)).await;
    match downloaded.unwrap_or_else(|| Ok(Err(panicked(FaultKind::Transient, "downloading")))) {
        Ok(result) => Ok(Input::Downloaded(id, result)),
        Err(error) => Err((id, error)),
    }
}

/// Downloads every available image. If some images fail, the fault names the failed images and keeps the others.
async fn download_all(
    context: &DriverContext,
    meter: &DownloadMeter,
    provenance: &Provenance,
    urls: &[Url],
) -> Result<Result<Vec<Artifact>, Fault>, StoreError> {
    let (mut artifacts, mut faults) = (Vec::new(), Vec::new());
    for (nth, url) in (1..).zip(urls.iter().take(IMAGES_MAX)) {
        let name = context.naming.name(provenance.clone(), nth);
        if let Some(kept) = kept(context, provenance, &name).await {
            artifacts.push(kept);
            continue;
        }
        match transfer::image(context, meter, &name, url).await? {
            Ok(artifact) => artifacts.push(artifact),
            Err(fault) => faults.push((nth, fault)),
        }
    }
    Ok(match partly(urls.len(), faults) {
        Some(fault) => Err(fault.keeping(artifacts)),
        None => Ok(artifacts),
    })
}

/// Returns the recorded artifact of this name from an earlier download. `None` if no such artifact is recorded, or its
/// file is missing or changed.
async fn kept(context: &DriverContext, provenance: &Provenance, name: &ImageName) -> Option<Artifact> {
    let is_it = |artifact: &&Artifact| {
        let paths = [name.path(artifact.format), name.path_apart(artifact.format)];
        paths.contains(&artifact.file_name)
    };
    let artifact = provenance.kept.iter().find(is_it)?;
    context.store.holds(artifact).await.then(|| artifact.clone())
}

/// Builds the fault of a task with `n_images` images: failed images, and images beyond the limit per task. `None` if
/// every image was fetched.
fn partly(n_images: usize, faults: Vec<(usize, Fault)>) -> Option<Fault> {
    let too_many = (n_images > IMAGES_MAX).then(|| {
        let at_least = if n_images >= IMAGES_COUNTED_MAX { "at least " } else { "" };
        format!(
            "the task has {at_least}{n_images} images, and at most {IMAGES_MAX} per task are fetched; `promptbatch log` shows the links of the others"
        )
    });
    let n_missing = faults.len();
    let kind = faults.first().map_or(FaultKind::BadOutput, |(_, fault)| fault.kind);
    let named = |(nth, fault): (usize, Fault)| match n_images {
        1 => fault.message,
        _ => format!("image {nth} of {n_images}: {}", fault.message),
    };
    let mut words: Vec<String> = faults.into_iter().take(NAMED_MAX).map(named).collect();
    if n_missing > NAMED_MAX {
        words.push(format!("and {} more", n_missing - NAMED_MAX));
    }
    words.extend(too_many);
    (!words.is_empty()).then(|| Fault::new(kind, words.join("; ")))
}

/// Runs the future. Returns `None` if its code panics.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

fn panicked(kind: FaultKind, doing: &str) -> Fault {
    Fault::new(kind, format!("promptbatch itself failed while {doing}; please report it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(kind, "words")
    }

    #[test]
    fn what_is_missing_of_a_task_is_named() {
        let told = |n_images, missing: &[usize]| {
            let faults = missing.iter().map(|nth| (*nth, fault(FaultKind::Transient))).collect();
            partly(n_images, faults).map(|fault| fault.to_string())
        };
        for n_images in [1, 2, IMAGES_MAX] {
            assert_eq!(told(n_images, &[]), None);
        }
        assert_eq!(told(1, &[1]).as_deref(), Some("transient: words"));
        assert_eq!(told(2, &[2]).as_deref(), Some("transient: image 2 of 2: words"));
        assert_eq!(told(2, &[1, 2]).as_deref(), Some("transient: image 1 of 2: words; image 2 of 2: words"));
        let many = told(9, &[1, 2, 3, 4, 5]).expect("some are missing");
        assert!(many.ends_with("image 3 of 9: words; and 2 more"), "{many}");
        let beyond = told(17, &[]).expect("one is not fetched");
        assert!(
            beyond.starts_with("bad_output: the task has 17 images, and at most 16 per task are fetched"),
            "{beyond}"
        );
        let most = told(IMAGES_COUNTED_MAX, &[]).expect("some are not fetched");
        assert!(most.contains("the task has at least 32 images"), "{most}");
        let both = told(18, &[3]).expect("some are missing");
        assert!(both.starts_with("transient: image 3 of 18: words; the task has 18 images"), "{both}");
    }
}
