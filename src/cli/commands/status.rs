//! Command `status`: prints the state of a run, once or until the run ends.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::flags::folders::{is_ledger, run_folder_or_ledger};
use crate::cli::messages::run_status::RunStatus;
use crate::cli::messages::summary::standing;
use crate::cli::output::{fail, print, print_message};
use crate::cli::shared_run;
use crate::model::escape::escape;
use crate::report::terminal::Terminal;
use crate::report::tty_reporter::can_be_drawn;
use crate::report::watch::Watch;
use crate::store::error::LedgerError;

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch status out/cats                           counts, rate, time left, first failures
  promptbatch status out                                a line for each run in this folder
  promptbatch status out/cats --watch                   refreshed until the run ends; waits for it
  promptbatch status out --watch                        the same for all runs in this folder
  promptbatch status out/cats --json                    for scripts
  promptbatch status 'postgres://me@db/images?run=cats'  a shared run: counts, and who works on it";

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The output folder of a run, or the address of a shared run
    #[arg(value_parser = run_folder_or_ledger())]
    pub out: PathBuf,

    /// Print one JSON object instead of text; for a folder of runs, one object per line, each with its `out`
    #[arg(long)]
    pub json: bool,

    /// Refresh until the run ends: in place on a terminal, every 10 s elsewhere
    #[arg(long)]
    pub watch: bool,
}

/// Maximum number of runs in a folder that are listed.
const RUNS_MAX: usize = 1_000;

/// Interval between two updates on a terminal. `PRINTED_EVERY` is the interval for a log or a script.
const DRAWN_EVERY: Duration = Duration::from_secs(1);

const PRINTED_EVERY: Duration = Duration::from_secs(10);

/// Prints the status of a run.
pub(crate) fn status(args: &StatusArgs) -> Exit {
    if let Some(ledger) = ledger(args) {
        return shared_run::status(&ledger, args.json, false);
    }
    match RunStatus::of(&args.out).map(|standing| if args.json { standing.json() } else { standing.words() }) {
        Ok(text) => print(&text),
        Err(error @ LedgerError::Missing { .. }) => match runs_in(&args.out) {
            runs if runs.is_empty() => fail(Exit::of_ledger(&error), &error),
            runs if args.json => print(&objects(&runs)),
            runs => print(&lines(&runs)),
        },
        Err(error) => fail(Exit::of_ledger(&error), &error),
    }
}

/// Returns the address of a shared run; `None` for a folder.
fn ledger(args: &StatusArgs) -> Option<String> {
    let text = args.out.to_string_lossy();
    is_ledger(&text).then(|| text.into_owned())
}

/// Returns the folders of the runs in a folder, in order.
fn runs_in(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut runs: Vec<_> = paths.filter(|path| path.join("run.db").is_file()).collect();
    runs.sort();
    runs
}

/// Formats a line for each run.
fn lines(runs: &[PathBuf]) -> String {
    let n_more = runs.len().saturating_sub(RUNS_MAX);
    let lines = runs.iter().take(RUNS_MAX).map(|path| match RunStatus::of(path) {
        Ok(run) => format!("{}: {}\n", path.display(), standing(run.counts())),
        Err(error) => format!("{}: {error}\n", path.display()),
    });
    lines.chain((n_more > 0).then(|| format!("and {n_more} more\n"))).collect()
}

/// Formats an object for each run, one a line. A run that cannot be read has an error in place of its numbers.
fn objects(runs: &[PathBuf]) -> String {
    let object = |path: &PathBuf| {
        let out = path.display().to_string();
        match RunStatus::of(path) {
            Ok(run) => run.object_of(&out).to_string() + "\n",
            Err(error) => json!({ "out": out, "error": error.to_string() }).to_string() + "\n",
        }
    };
    runs.iter().map(object).collect()
}

/// Shows the status of a run, or of the runs in a folder, until no process runs them any more. Waits for a run that is still to come.
pub(crate) fn watch(args: &StatusArgs) -> Exit {
    if let Some(ledger) = ledger(args) {
        return shared_run::status(&ledger, args.json, true);
    }
    let is_drawn = !args.json && io::stdout().is_terminal() && can_be_drawn();
    let (mut is_waiting, mut is_seen) = (false, false);
    let mut block = None;
    loop {
        let standing = match RunStatus::of(&args.out) {
            Ok(standing) => standing,
            Err(LedgerError::Missing { .. }) if !is_seen => {
                if !runs_in(&args.out).is_empty() {
                    return watch_several(args);
                }
                if !is_waiting {
                    print_message(&format!("waiting for a run in {}", escape(&args.out.display().to_string())));
                }
                is_waiting = true;
                thread::sleep(DRAWN_EVERY);
                continue;
            }
            Err(error) => {
                block.iter().for_each(Watch::end);
                return fail(Exit::of_ledger(&error), &error);
            }
        };
        is_seen = true;
        if is_drawn && block.is_none() {
            block = Some(Watch::on(Terminal::stderr()));
        }
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

/// Prints a line for each run in a folder, again and again until no process runs any of them. Runs that begin meanwhile are included.
fn watch_several(args: &StatusArgs) -> Exit {
    loop {
        let runs = runs_in(&args.out);
        let is_live = runs.iter().any(|path| RunStatus::of(path).is_ok_and(|run| run.is_live()));
        let printed = print(&if args.json { objects(&runs) } else { lines(&runs) });
        if !is_live || printed != Exit::Done {
            return printed;
        }
        thread::sleep(PRINTED_EVERY);
    }
}
