//! Protection of files that another program or a person wrote: a file is replaced only if its first bytes show that it is ours.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes that are looked at.
const HEAD_BYTES: u64 = 4096;

/// Checks that the file at this path may be replaced: it is missing, empty, or `is_ours` recognises its first bytes.
pub(crate) fn check(path: &Path, is_ours: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let mut head = Vec::new();
    let found = match fs::metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        found => found?,
    };
    // A pipe is not opened: that would wait for its writer.
    if found.is_file() {
        File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
        if head.is_empty() || is_ours(&head) {
            return Ok(());
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "the file that is there was not written by promptbatch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_files_and_empty_ones_may_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str| {
            let path = folder.path().join("results.csv");
            fs::write(&path, text).unwrap();
            check(&path, |head| head.starts_with(b"ours")).map_err(|error| error.kind())
        };
        assert_eq!(
            [check(""), check("ours, and more"), check("mine")],
            [Ok(()), Ok(()), Err(ErrorKind::AlreadyExists)]
        );
        assert!(super::check(&folder.path().join("none"), |_| false).is_ok());
    }
}
