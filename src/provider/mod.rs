//! What a provider is: three requests and their faults. Providers classify what went wrong; the engine decides what follows.

pub mod modelscope;
pub mod registry;
pub mod simulator;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

#[cfg(doc)]
use crate::model::outcome::FaultKind;
use crate::model::outcome::{Acceptance, Fault, Status, TaskId, Url};
use crate::model::part::{Part, Validator};
use crate::model::request::Request;

/// The bytes of an image as they arrive.
pub type Body<'a> = BoxStream<'a, Result<Bytes, Fault>>;

/// An image that arrives: all of it, or what is missing of it.
pub struct Download<'a> {
    /// How many of its bytes come before those of the body: all of the part that was given, or none.
    pub n_before: u64,
    /// How many bytes the whole image has; `None` where the host does not say.
    pub bytes_total: Option<u64>,
    /// What the host calls it; `None` where its rest cannot be asked for later.
    pub validator: Option<Validator>,
    /// The bytes.
    pub body: Body<'a>,
}

impl<'a> Download<'a> {
    /// A whole image whose rest cannot be asked for later.
    pub fn whole(body: Body<'a>) -> Self {
        Self { n_before: 0, bytes_total: None, validator: None, body }
    }
}

impl std::fmt::Debug for Download<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { n_before, bytes_total, validator, body: _ } = self;
        f.debug_tuple("Download").field(n_before).field(bytes_total).field(validator).finish()
    }
}

/// A service that makes images in tasks of its own. Cheap to share: one value serves a whole run.
pub trait Provider: Send + Sync + 'static {
    /// Asks for one image. Every `Ok` is a task that is paid for; a fault that [leaves no doubt](FaultKind::leaves_doubt)
    /// promises that none is.
    fn submit<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Acceptance, Fault>>;

    /// Asks how tasks stand; answers one result a task, in their order.
    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>>;

    /// Begins to fetch an image, or what is missing of it. Where the host does not have the rest of these very bytes, the whole image
    /// comes. No credential goes along.
    fn download<'a>(&'a self, url: &'a Url, part: Option<&'a Part>) -> BoxFuture<'a, Result<Download<'static>, Fault>>;
}
