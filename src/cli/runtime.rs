//! Runtime of the commands that wait for the provider, and can be stopped by signals.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::cli::exit::Exit;
use crate::cli::flags::ShowArgs;
use crate::cli::flags::reports::PrintedError;
use crate::cli::messages::progress::operation_progress;
use crate::cli::signals;
use crate::driver::stop::{StopReceiver, stopper};
use crate::model::progress::Progress;
use crate::report::tty_reporter::PrintAbove;
use crate::run::error::RunError;

/// Creates a runtime with one thread: all work here is waiting, and a second thread costs more than it gains.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Runs work that signals can stop, and prints its error, which it returns too.
pub(super) fn drive<T>(
    show: &ShowArgs,
    work: impl AsyncFnOnce(&PrintAbove, &mut dyn Progress, &mut StopReceiver) -> Result<T, RunError>,
) -> Result<T, PrintedError> {
    let runtime = runtime().map_err(|error| PrintedError::print(Exit::Error, &error))?;
    let ended = runtime.block_on(async {
        let (stopper, mut stops) = stopper();
        let above = PrintAbove::default();
        let mut progress = operation_progress(show.display(), &above);
        signals::listen(stopper, show.quiet, above.clone())
            .map_err(|error| PrintedError::print(Exit::Error, &error))?;
        work(&above, &mut *progress, &mut stops)
            .await
            .map_err(|error| PrintedError::print(Exit::of_error(&error), &error))
    });
    runtime.shutdown_background();
    ended
}
