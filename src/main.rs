//! The program: arguments in, exit code out. Everything else is in the library or in `cli`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::panic::guarded(cli::main).into()
}
