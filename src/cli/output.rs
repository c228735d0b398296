//! Output of the program: messages on stderr, data on stdout.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::exit::Exit;
use crate::driver::clock::Clock;
use crate::model::escape;
use crate::report::stream;

/// Prints an error, and returns the exit code.
pub(super) fn fail(exit: Exit, error: &dyn std::error::Error) -> Exit {
    print_message(&format!("error: {error}"));
    exit
}

/// Prints lines for people on stderr, with every control sequence escaped. Write errors are ignored, because no reader
/// is left.
pub(super) fn print_message(lines: &str) {
    let words = escape::lines(lines);
    let words = if is_json() { stream::message(Clock::system().now().wall(), &words) } else { words + "\n" };
    drop(io::stderr().write_all(words.as_bytes()));
}

/// Whether the reader of stderr expects JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Whether the last line of JSON is printed.
static IS_ENDED: AtomicBool = AtomicBool::new(false);

pub(super) fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Switches all further messages to JSON.
pub(super) fn speak_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// Prints the last line of JSON.
pub(super) fn print_end(line: &str) {
    IS_ENDED.store(true, Ordering::Relaxed);
    // If the write fails, no stream is left for a message.
    drop(io::stderr().write_all(line.as_bytes()));
}

/// Ends the messages of a command: where they are JSON, the last line has the exit code.
pub(super) fn end(exit: Exit) -> Exit {
    if is_json() && !IS_ENDED.load(Ordering::Relaxed) {
        print_end(&stream::end(Clock::system().now().wall(), exit.code(), None));
    }
    exit
}

/// Prints data for scripts on stdout. On a terminal, control sequences are escaped. A closed pipe is not an error.
pub(super) fn print(data: &str) -> Exit {
    let safe = io::stdout().is_terminal().then(|| escape::lines(data));
    let bytes = safe.as_deref().unwrap_or(data).as_bytes();
    match io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(Exit::Error, &error),
        _ => Exit::Done,
    }
}
