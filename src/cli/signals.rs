//! Signals: the first asks the run to stop, the second ends the process at once. Neither loses what is recorded. A process that was stopped
//! and goes on draws below what the shell has written meanwhile.

use std::process;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use promptbatch::driver::Stopper;
use promptbatch::engine::turn::{Signal, Stop};
use promptbatch::manifest;

use promptbatch::report::bars::Above;

use crate::cli::exit::Exit;
use crate::cli::tell;

/// What is said to the first signal.
const STOPPING: &str =
    "stopping: waiting for the answers that are under way; once more to exit at once, nothing recorded is lost";

/// What is said to the first signal while a pipe has yet to give the manifest.
const WAITED: &str = "stopped while the manifest was waited for: nothing was sent";

/// How often a run that is to stop is looked at whether it waits for its manifest.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// SIGCONT, which has no name in tokio.
const CONTINUE: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 18 } else { 19 };

/// Ends the process if it waits for a pipe to give the manifest: nothing is under way before that is read.
fn end_waiting(heard: Signal, is_quiet: bool) {
    if manifest::is_waiting() {
        if !is_quiet {
            tell(WAITED);
        }
        process::exit(i32::from(Exit::Interrupted(heard).code()));
    }
}

/// Listens from now on, on a thread of its own: a large manifest keeps the other one busy. The first signal is acknowledged above the
/// bar, if there is one at that moment; the second takes the bar away.
pub fn listen(stopper: Stopper, is_quiet: bool, above: Above) -> std::io::Result<()> {
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
            stopper.stop(Stop::Interrupted(heard));
            if !is_quiet && !above.line(STOPPING) {
                tell(STOPPING);
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(hear)).map(drop)
}
