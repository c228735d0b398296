//! `status --watch`: how a run stands, again and again until it is over; beside the process that runs it, and without disturbing it.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use promptbatch::report::bars::can_be_drawn;
use promptbatch::report::terminal::Terminal;
use promptbatch::report::watch::Watch;

use crate::cli::args::StatusArgs;
use crate::cli::exit::Exit;
use crate::cli::inspect::exit_of;
use crate::cli::standing::Standing;
use crate::cli::{fail, print};

/// The time between two looks of somebody at a terminal, and of a log or a script.
const DRAWN_EVERY: Duration = Duration::from_secs(1);
const PRINTED_EVERY: Duration = Duration::from_secs(10);

/// Shows where a run stands until no process runs it any more.
pub fn watch(args: &StatusArgs) -> Exit {
    let is_drawn = !args.json && io::stdout().is_terminal() && can_be_drawn();
    let block = is_drawn.then(|| Watch::on(Terminal::stderr()));
    loop {
        let standing = match Standing::of(&args.out) {
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
