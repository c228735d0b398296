//! Thread on which all requests to object storage run, so that callers with and without a runtime can use it.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinError;

/// Thread with a runtime of its own. It ends when the value is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    runtime: Handle,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            // The sender sends nothing: it is dropped.
            let _ = runtime.block_on(stopped);
        };
        thread::Builder::new().name("storage".into()).spawn(work)?;
        Ok(Self { runtime: handle, _stop: stop })
    }

    /// Runs the work on the thread. It goes on if the returned future is dropped.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.spawn(work).await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }

    /// Runs the work on the thread, and blocks until it is done.
    pub(super) fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (done, result) = mpsc::sync_channel(1);
        // A receiver that is gone has panicked itself.
        self.runtime.spawn(async move { drop(done.send(work.await)) });
        result.recv().expect("the thread of the object storage answers")
    }

    /// Starts the work on the thread. Its result, or its panic, is sent to `results`.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        results: mpsc::Sender<Result<T, JoinError>>,
    ) {
        let work = self.runtime.spawn(work);
        self.runtime.spawn(async move { drop(results.send(work.await)) });
    }
}
