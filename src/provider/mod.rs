//! Provider interface: requests to submit, poll and download, and the faults of failed requests.
//! A provider classifies each failure as a fault. The engine decides what follows from the fault.
//!
//! A provider is a description in `builtin`, or a folder here with a row in the [table](registry::PROVIDERS). Flags, help, checks of
//! manifests, ledgers and results know a provider by its [`ProviderSpec`](spec::ProviderSpec) only. [`http`] is for the clients of all of them.

pub(crate) mod builtin;
pub mod config;
#[cfg(all(test, feature = "simulator"))]
mod conformance;
pub mod default_provider;
pub(crate) mod described;
pub mod http;
pub mod registry;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod spec;

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::model::limits::RepeatCost;
#[cfg(doc)]
use crate::model::outcome::FaultKind;
use crate::model::outcome::{Acceptance, Fault, Found, Status, TaskId, Url};
use crate::model::partial_download::{PartialDownload, Validator};
use crate::model::request::Request;
use crate::model::submission_id::SubmissionId;
use crate::model::time::Timestamp;

/// Stream of the bytes of an image, in order of arrival.
pub type ImageStream<'a> = BoxStream<'a, Result<Bytes, Fault>>;

/// Download of an image that has begun: the whole image, or its missing rest.
pub struct Download<'a> {
    /// Number of image bytes that precede `body`: the length of the given part, or 0 for a whole image.
    pub n_before: u64,
    /// Length of the whole image in bytes; `None` if the host does not send it.
    pub bytes_total: Option<u64>,
    /// Validator of the image, as HTTP defines it; `None` if a later request cannot resume this download.
    pub validator: Option<Validator>,
    /// Bytes from `n_before` to the end of the image.
    pub body: ImageStream<'a>,
}

impl<'a> Download<'a> {
    /// Creates a download of a whole image that cannot be resumed later.
    pub fn whole(body: ImageStream<'a>) -> Self {
        Self { n_before: 0, bytes_total: None, validator: None, body }
    }
}

impl std::fmt::Debug for Download<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { n_before, bytes_total, validator, body: _ } = self;
        f.debug_tuple("Download").field(n_before).field(bytes_total).field(validator).finish()
    }
}

/// Service that creates images in its own asynchronous tasks. Sharing is cheap: one value serves a whole run.
pub trait Provider: Send + Sync + 'static {
    /// Submits a request for one image, as the submission with this id.
    ///
    /// Every `Ok` is a task that is paid for. A fault that [leaves no doubt](FaultKind::leaves_doubt) guarantees that nothing is paid for.
    /// An API whose answer carries the images has no tasks: the provider then keeps them on this disk, under a task of the id's name, and
    /// returns their addresses. Whatever it returned is still there for a later process.
    ///
    /// A submission that repeats one in doubt has the same id.
    fn submit<'a>(&'a self, request: &'a Request, id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>>;

    /// Polls tasks; returns one result per task, in the order of `tasks`.
    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>>;

    /// Starts the download of an image, or of the rest that follows `part`. If the host cannot continue exactly these bytes, the whole
    /// image is downloaded. The request carries no credential.
    fn download<'a>(
        &'a self,
        url: &'a Url,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>>;

    /// Returns how the provider exchanges images for requests, and how a doubt ends.
    fn traits(&self) -> ProviderTraits {
        ProviderTraits::default()
    }

    /// Finds submissions whose answer was lost; returns one result per submission, in their order. Costs nothing.
    ///
    /// A fault means that the question could not be asked now.
    fn find<'a>(&'a self, lost: &'a [LostSubmission]) -> BoxFuture<'a, Vec<Result<Found, Fault>>> {
        async { lost.iter().map(|_| Ok(Found::Unknown)).collect() }.boxed()
    }

    /// Returns the tasks whose images the provider keeps on this disk.
    fn kept(&self) -> Vec<TaskId> {
        Vec::new()
    }

    /// Frees what the provider keeps on this disk for these tasks: their images are saved, and recorded as saved.
    fn release(&self, _tasks: &[TaskId]) {}
}

/// How a provider exchanges images for requests, and how a doubt about a submission ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderTraits {
    /// True if the answer to a submission carries the images, after the time that they take.
    pub answers_with_images: bool,
    /// Time after a submission from which [`find`](Provider::find) surely knows whether it was accepted; `None` if submissions cannot be
    /// found.
    pub settles_after: Option<Duration>,
    /// Cost of a submission that repeats one in doubt, with the same id.
    pub repeats: RepeatCost,
}

impl Default for ProviderTraits {
    fn default() -> Self {
        Self { answers_with_images: false, settles_after: None, repeats: RepeatCost::Again }
    }
}

/// Submission whose answer was lost.
#[derive(Clone, Debug, PartialEq)]
pub struct LostSubmission {
    /// Id with which it was sent.
    pub id: SubmissionId,
    /// Request that it sent.
    pub request: Request,
    /// Time at which it left, by the clock of this machine.
    pub sent_at: Timestamp,
}
