//! Command-line interface: flags in, messages and exit codes out.
//!
//! The interface decides nothing that a Rust program could not request from the library.

mod after_help;
mod again;
mod args;
mod diagnostics;
mod estimate;
mod exit;
mod export;
mod flags;
mod gallery;
mod init;
mod inspect;
mod log;
mod manifest_args;
mod manuals;
pub mod panic;
mod plan;
mod progress;
mod reports;
mod run;
mod run_status;
mod signals;
mod simulate;
mod style_args;
mod summary;
mod units;
mod watch;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use promptbatch::driver::clock::Clock;
use promptbatch::model::escape;
use promptbatch::report::stream;
use tokio::runtime::{Builder, Runtime};

use crate::cli::args::{Cli, CliCommand};
use crate::cli::exit::Exit;

/// Executes the command line.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return complain(&error),
    };
    match cli.verb {
        CliCommand::Run(args) => run::run(&args),
        CliCommand::Plan(args) => plan::plan(&args),
        CliCommand::Validate(args) => inspect::validate(&args),
        CliCommand::Init(args) => init::init(&args),
        CliCommand::Schema => init::schema(),
        CliCommand::Status(args) if args.watch => watch::watch(&args),
        CliCommand::Status(args) => inspect::status(&args),
        CliCommand::Retry(args) => again::retry(&args),
        CliCommand::Verify(args) => again::verify(&args),
        CliCommand::Log(args) => log::log(&args),
        CliCommand::Gallery(args) => gallery::gallery(&args),
        CliCommand::Results(args) => inspect::results(&args),
        CliCommand::Export(args) => export::export(&args),
        CliCommand::Simulate(args) => simulate::simulate(args),
        CliCommand::Completions(args) => manuals::completions(&args),
        CliCommand::Man(args) => manuals::man(&args),
    }
}

/// Prints help and version on stdout, and usage errors on stderr. The message repeats arguments, so control sequences
/// in them are escaped.
fn complain(error: &clap::Error) -> Exit {
    let ours = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PROMPTBATCH_"));
    let mut given = env::args_os().chain(ours.map(|(_, value)| value));
    let is_plain = given.all(|text| escape::escape(&text.to_string_lossy()) == text.to_string_lossy());
    let words = escape::lines(&error.render().to_string());
    match (is_plain, error.use_stderr()) {
        // If printing fails, no stream is left for a message.
        (true, _) => drop(error.print()),
        (false, true) => tell(words.trim_end()),
        (false, false) => return print(&words),
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// Creates a runtime with one thread: all work here is waiting, and a second thread costs more than it gains.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Prints an error, and returns the exit code.
fn fail(exit: Exit, error: &dyn std::error::Error) -> Exit {
    tell(&format!("error: {error}"));
    exit
}

/// Prints lines for people on stderr, with every control sequence escaped. Write errors are ignored, because no reader
/// is left.
fn tell(lines: &str) {
    let words = escape::lines(lines);
    let words = if is_json() { stream::message(Clock::system().now().wall(), &words) } else { words + "\n" };
    drop(io::stderr().write_all(words.as_bytes()));
}

/// Whether the reader of stderr expects JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Switches all further messages to JSON.
fn speak_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// Prints data for scripts on stdout. On a terminal, control sequences are escaped. A closed pipe is not an error.
fn print(data: &str) -> Exit {
    let safe = io::stdout().is_terminal().then(|| escape::lines(data));
    let bytes = safe.as_deref().unwrap_or(data).as_bytes();
    match io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(Exit::Error, &error),
        _ => Exit::Done,
    }
}
