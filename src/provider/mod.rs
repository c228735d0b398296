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
use crate::model::request::Request;

/// The bytes of an image as they arrive.
pub type Body = BoxStream<'static, Result<Bytes, Fault>>;

/// A service that makes images in tasks of its own. Cheap to share: one value serves a whole run.
pub trait Provider: Send + Sync + 'static {
    /// Asks for one image. Every `Ok` is a task that is paid for; a fault that [leaves no doubt](FaultKind::leaves_doubt)
    /// promises that none is.
    fn submit<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Acceptance, Fault>>;

    /// Asks how tasks stand; answers one result a task, in their order.
    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>>;

    /// Begins to fetch an image. No credential goes along.
    fn download<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Body, Fault>>;
}
