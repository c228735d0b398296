//! Signals: the first asks the run to stop, the second ends the process at once. Neither loses what is recorded. A process that was stopped
//! and goes on draws below what the shell has written meanwhile.

use std::process;
use std::thread;

use tokio::runtime::Builder;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};

use promptbatch::driver::Stopper;
use promptbatch::engine::turn::{Signal, Stop};

use promptbatch::report::bars::Above;

use crate::cli::exit::Exit;
use crate::cli::tell;

/// What is said to the first signal.
const STOPPING: &str =
    "stopping: waiting for the answers that are under way; once more to exit at once, nothing recorded is lost";

/// SIGCONT, which has no name in tokio.
const CONTINUE: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 18 } else { 19 };

/// Listens from now on, on a thread of its own: a large manifest keeps the other one busy. The first signal is acknowledged above the
/// bar, if there is one at that moment; the second takes the bar away.
pub fn listen(stopper: Stopper, is_quiet: bool, above: Above) -> std::io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut goes_on = signal(SignalKind::from_raw(CONTINUE))?;
    drop(entered);
    let hear = async move {
        let mut is_first = true;
        loop {
            let heard = select! {
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                Some(()) = hangup.recv() => Signal::Hangup,
                Some(()) = goes_on.recv() => {
                    above.begin_anew();
                    continue;
                }
                else => return,
            };
            if !is_first {
                above.clear();
                process::exit(i32::from(Exit::Interrupted(heard).code()));
            }
            is_first = false;
            stopper.stop(Stop::Interrupted(heard));
            if !is_quiet && !above.line(STOPPING) {
                tell(STOPPING);
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(hear)).map(drop)
}
