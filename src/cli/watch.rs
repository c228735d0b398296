//! Command `status --watch`: shows the status repeatedly until the run is over, without disturbing the running process.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use promptbatch::report::terminal::Terminal;
use promptbatch::report::tty_reporter::can_be_drawn;
use promptbatch::report::watch::Watch;

use crate::cli::args::StatusArgs;
use crate::cli::exit::Exit;
use crate::cli::inspect::exit_of;
use crate::cli::run_status::RunStatus;
use crate::cli::{fail, print};

/// Interval between two updates on a terminal. `PRINTED_EVERY` is the interval for a log or a script.
const DRAWN_EVERY: Duration = Duration::from_secs(1);
const PRINTED_EVERY: Duration = Duration::from_secs(10);

/// Shows the status of a run until no process runs it any more.
pub fn watch(args: &StatusArgs) -> Exit {
    let is_drawn = !args.json && io::stdout().is_terminal() && can_be_drawn();
    let block = is_drawn.then(|| Watch::on(Terminal::stderr()));
    loop {
        let standing = match RunStatus::of(&args.out) {
            Ok(standing) => standing,
            Err(error) => {
                block.iter().for_each(Watch::end);
                return fail(exit_of(&error), &error);
            }
        };
        if standing.is_live()
            && let Some(block) = &block
        {
            block.show(standing.counts(), &standing.live_words());
            thread::sleep(DRAWN_EVERY);
            continue;
        }
        block.iter().for_each(Watch::end);
        let printed = print(&if args.json { standing.json() } else { standing.words() });
        if !standing.is_live() || printed != Exit::Done {
            return printed;
        }
        thread::sleep(PRINTED_EVERY);
    }
}
