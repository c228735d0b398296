//! Signal handling: the first signal requests a stop, the second ends the process at once.
//!
//! Neither signal loses recorded data. A suspended process that continues draws below what the shell has written
//! meanwhile.

use std::time::Duration;
use std::{process, thread};

use tokio::runtime::Builder;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::cli::exit::Exit;
use crate::cli::output::print_message;
use crate::driver::stop::StopHandle;
use crate::engine::turn::{Signal, StopReason};
use crate::manifest::input::spool::is_waiting;
use crate::report::tty_reporter::PrintAbove;

/// Message after the first signal.
const STOPPING: &str =
    "stopping: waiting for the requests in flight; press Ctrl-C again to exit now, which leaves submissions in doubt";

/// Message after the first signal, if a pipe has yet to deliver the manifest.
const WAITED: &str = "stopped while waiting for the manifest: nothing was sent";

/// Interval at which a stopping run is checked for a wait on its manifest.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// SIGCONT, which has no name in tokio.
const CONTINUE: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 18 } else { 19 };

/// Ends the process if it waits for a pipe to deliver the manifest: before that, nothing is in progress.
fn end_waiting(heard: Signal, is_quiet: bool) {
    if is_waiting() {
        if !is_quiet {
            print_message(WAITED);
        }
        process::exit(i32::from(Exit::Interrupted(heard).code()));
    }
}

/// Listens from now on, on a separate thread, because a large manifest keeps the main thread busy. The first signal is
/// acknowledged above the bar, if one is drawn. The second signal removes the bar.
pub(super) fn listen(stopper: StopHandle, is_quiet: bool, above: PrintAbove) -> std::io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut goes_on = signal(SignalKind::from_raw(CONTINUE))?;
    drop(entered);
    let hear = async move {
        let mut asked = None;
        loop {
            let heard = select! {
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                Some(()) = hangup.recv() => Signal::Hangup,
                Some(()) = goes_on.recv() => {
                    above.begin_anew();
                    continue;
                }
                // A run that is to stop may begin to wait for its manifest only now.
                () = sleep(LOOK_EVERY), if asked.is_some() => {
                    if let Some(heard) = asked {
                        end_waiting(heard, is_quiet);
                    }
                    continue;
                }
                else => return,
            };
            if asked.is_some() {
                above.clear();
                process::exit(i32::from(Exit::Interrupted(heard).code()));
            }
            asked = Some(heard);
            end_waiting(heard, is_quiet);
            stopper.stop(StopReason::Interrupted(heard));
            if !is_quiet && !above.line(STOPPING) {
                print_message(STOPPING);
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(hear)).map(drop)
}
