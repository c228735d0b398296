//! Stop channel of a run: a handle for any task or thread, and its receiver in the driver.

use tokio::sync::mpsc;

use crate::engine::turn::StopReason;

/// Handle that stops a run, from any task or thread.
#[derive(Clone, Debug)]
pub struct StopHandle(mpsc::UnboundedSender<StopReason>);

/// Receiver of requests to stop a run.
#[derive(Debug)]
pub struct StopReceiver(mpsc::UnboundedReceiver<StopReason>);

/// Creates the stop channel of a run and returns its two ends.
pub fn stopper() -> (StopHandle, StopReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (StopHandle(sender), StopReceiver(receiver))
}

impl StopHandle {
    /// Requests a stop of the run. Nothing is lost, and the same command resumes the run later.
    pub fn stop(&self, why: StopReason) {
        // A run that has ended needs no such request.
        drop(self.0.send(why));
    }
}

impl StopReceiver {
    pub(super) async fn next(&mut self) -> StopReason {
        match self.0.recv().await {
            Some(stop) => stop,
            None => std::future::pending().await,
        }
    }
}
