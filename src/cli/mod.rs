//! The face: flags in, words and exit codes out. It decides nothing that a Rust program could not ask of the library.

mod args;
mod exit;
mod inspect;
pub mod panic;
mod run;
mod signals;
mod simulate;
mod summary;

use std::env;
use std::io::{self, IsTerminal, Write};

use clap::Parser;
use promptbatch::model::text;
use tokio::runtime::{Builder, Runtime};

use crate::cli::args::{Cli, Verb};
use crate::cli::exit::Exit;

/// Does what the command line says.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            complain(&error);
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    match cli.verb {
        Verb::Run(args) => run::run(&args),
        Verb::Validate(args) => inspect::validate(&args),
        Verb::Status(args) => inspect::status(&args),
        Verb::Results(args) => inspect::results(&args),
        Verb::Simulate(args) => simulate::simulate(args),
    }
}

/// Shows help and version on stdout, mistakes on stderr, in bold and plain, unless what was given would be repeated raw there.
fn complain(error: &clap::Error) {
    let ours = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PROMPTBATCH_"));
    let mut given = env::args_os().chain(ours.map(|(_, value)| value));
    if given.all(|text| text::escape(&text.to_string_lossy()) == text.to_string_lossy()) {
        // There is nobody to tell if that fails.
        return drop(error.print());
    }
    let words = text::lines(&error.render().to_string());
    if error.use_stderr() { tell(words.trim_end()) } else { drop(print(&words)) }
}

/// A runtime of one thread: all work here is waiting, and a second thread costs more than it brings.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Says an error and passes on how the program ends.
fn fail(exit: Exit, error: &dyn std::error::Error) -> Exit {
    tell(&format!("error: {error}"));
    exit
}

/// Lines for people, on stderr, where no control sequence of a path or of anybody's words arrives raw. Where nobody listens,
/// nothing is said.
fn tell(lines: &str) {
    drop(writeln!(io::stderr(), "{}", text::lines(lines)));
}

/// Data for scripts, on stdout; on a terminal as safe to show as what is told. A reader that has gone away is no error.
fn print(data: &str) -> Exit {
    let safe = io::stdout().is_terminal().then(|| text::lines(data));
    let bytes = safe.as_deref().unwrap_or(data).as_bytes();
    match io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(Exit::Error, &error),
        _ => Exit::Done,
    }
}
