//! The face: flags in, words and exit codes out. It decides nothing that a Rust program could not ask of the library.

mod again;
mod args;
mod exit;
mod flags;
mod inspect;
mod log;
mod plan;
mod run;
mod signals;
mod simulate;
mod standing;
mod summary;
mod units;

use std::io::{self, Write};

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::cli::args::{Cli, Verb};
use crate::cli::exit::Exit;

/// Does what the command line says.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout, mistakes to stderr; there is nobody to tell if that fails.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    match cli.verb {
        Verb::Run(args) => run::run(&args),
        Verb::Plan(args) => plan::plan(&args),
        Verb::Validate(args) => inspect::validate(&args),
        Verb::Status(args) => inspect::status(&args),
        Verb::Retry(args) => again::retry(&args),
        Verb::Verify(args) => again::verify(&args),
        Verb::Log(args) => log::log(&args),
        Verb::Results(args) => inspect::results(&args),
        Verb::Simulate(args) => simulate::simulate(args),
    }
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

/// A line for people, on stderr. Where nobody listens, nothing is said.
fn tell(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

/// Data for scripts, on stdout. A reader that has gone away is no error.
fn print(text: &str) -> Exit {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(Exit::Error, &error),
        _ => Exit::Done,
    }
}
