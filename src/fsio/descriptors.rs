//! File descriptors of this process: when no descriptor is free, opening a file waits until other files are closed.

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

/// Error codes for too many open files: in this process (24), and on this machine (23).
const SHORTAGES: [i32; 2] = [24, 23];

/// First wait between two attempts, doubled after each attempt, and the longest wait.
const WAIT: Duration = Duration::from_millis(5);
const WAIT_MAX: Duration = Duration::from_millis(500);

/// Maximum number of attempts to open a file: about a minute in all.
const TRIES_MAX: u32 = 120;

/// Assumed number of files that a process may open, if the system reports no limit.
const LIMIT: usize = 256;

/// Opens a file. Retries for about a minute while no descriptor is free: downloads and syncs in progress close their files.
pub(crate) fn patiently<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut wait = WAIT;
    for _ in 0..TRIES_MAX {
        match open() {
            Err(error) if is_shortage(&error) => thread::sleep(wait),
            opened => return opened,
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
    open()
}

/// Returns whether the error is a shortage of file descriptors.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| SHORTAGES.contains(&code))
}

/// Returns the number of file descriptors that this process may have.
pub(crate) fn limit() -> usize {
    fs::read_to_string("/proc/self/limits").ok().and_then(|limits| limit_in(&limits)).unwrap_or(LIMIT)
}

/// Parses the first number in the line `Max open files  1024  524288  files`. `None` if the number is `unlimited`.
fn limit_in(limits: &str) -> Option<usize> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_waits_for_a_descriptor_and_for_nothing_else() {
        let mut n_tries = 0;
        let mut open = |code: i32, n_short: u32| {
            n_tries = 0;
            let opened = patiently(|| {
                n_tries += 1;
                if n_tries <= n_short { Err(io::Error::from_raw_os_error(code)) } else { Ok(()) }
            });
            (opened.is_ok(), n_tries)
        };
        assert_eq!(open(24, 3), (true, 4));
        assert_eq!(open(23, 1), (true, 2));
        for other in [2, 13, 28] {
            assert_eq!(open(other, 1), (false, 1), "{other}");
        }
    }

    #[test]
    fn the_limit_is_that_of_open_files() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             15000                15000                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(limit_in(limits), Some(1024));
        assert_eq!((limit_in(""), limit_in("Max open files            unlimited  unlimited  files")), (None, None));
        assert!(limit() > 0);
    }
}
