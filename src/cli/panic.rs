//! Panic handler of the program: prints a message that helps to fix the bug, never hangs, and reveals no secret.

use std::panic;
use std::panic::{PanicHookInfo, UnwindSafe};

use crate::cli::exit::Exit;
use crate::cli::output::print_message;

/// Runs `work`. A panic becomes an ordinary ending with an exit code.
pub(super) fn guarded(work: impl FnOnce() -> Exit + UnwindSafe) -> Exit {
    panic::set_hook(Box::new(|panic| print_message(&words(panic))));
    panic::catch_unwind(work).unwrap_or_else(|_| {
        print_message("error: nothing recorded is lost; run the same command again to resume");
        Exit::Error
    })
}

/// Formats the location of a panic. The reason is included only if it is a constant text: a formatted one may contain a
/// secret.
fn words(panic: &PanicHookInfo) -> String {
    let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
    let why = panic.payload().downcast_ref::<&str>().map_or_else(String::new, |why| format!(" ({why})"));
    format!("error: promptbatch itself failed{place}{why}; please report it")
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;

    const ROLE: &str = "TEST_PANIC_ROLE";

    /// Panics in a child process that the test below starts. Without the role variable, it does nothing.
    #[test]
    fn child() {
        let Ok(role) = env::var(ROLE) else { return };
        let exit = guarded(|| match role.as_str() {
            "ours" => panic!("a bug of ours"),
            secret => panic!("put together with {secret}"),
        });
        std::process::exit(i32::from(exit.code()));
    }

    /// Goal: a panic ends with exit code 1, a message and a location, and repeats no text formatted at run time.
    #[test]
    fn a_panic_is_an_ending_in_words_and_without_secrets() {
        let panicked = |role: &str| {
            let mut child = Command::new(env::current_exe().unwrap());
            child.args(["cli::panic::tests::child", "--exact", "--nocapture"]).env(ROLE, role);
            let output = child.output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            String::from_utf8(output.stderr).unwrap()
        };
        let words = panicked("ours");
        for part in
            ["itself failed at src/cli/panic.rs:", "a bug of ours", "please report it", "the same command again"]
        {
            assert!(words.contains(part), "{part} is missing in: {words}");
        }
        let words = panicked("geheim-4711");
        assert!(words.contains("itself failed at src/cli/panic.rs:") && !words.contains("geheim"), "{words}");
    }
}
