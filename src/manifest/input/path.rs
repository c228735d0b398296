//! Paths of manifests: standard input, open files without a name, and names without their extensions.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Path that means standard input.
pub(crate) const STANDARD_INPUT: &str = "-";

/// Returns the name without its extensions: `prompts` for `prompts.csv.gz`, `stdin` for standard input. A folder has its whole name.
pub fn stem(path: &Path) -> Option<OsString> {
    if path == Path::new(STANDARD_INPUT) {
        return Some("stdin".into());
    }
    if path.is_dir() {
        let real = if path.file_name().is_none() { path.canonicalize().ok()? } else { path.to_owned() };
        return real.file_name().map(OsStr::to_owned);
    }
    uncompressed(path).file_stem().map(OsStr::to_owned)
}

/// Returns whether the path names no file: standard input, or an open file such as `/dev/fd/63` from a shell's `<(...)`.
pub fn is_nameless(path: &Path) -> bool {
    let is_of_a_process = path.starts_with("/proc") && path.parent().is_some_and(|folder| folder.ends_with("fd"));
    path == Path::new(STANDARD_INPUT)
        || path == Path::new("/dev/stdin")
        || path.starts_with("/dev/fd")
        || is_of_a_process
}

/// Returns the extension in lower case.
pub(crate) fn ending(path: &Path) -> Option<String> {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

/// Returns the path without its `.gz`.
pub(crate) fn uncompressed(path: &Path) -> &Path {
    match ending(path).as_deref() {
        Some("gz") => path.file_stem().map_or(path, Path::new),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_is_a_name_without_its_endings() {
        for (name, expected) in
            [("a/prompts.csv", "prompts"), ("prompts.v2.csv.gz", "prompts.v2"), ("-", "stdin"), ("p", "p")]
        {
            assert_eq!(stem(Path::new(name)), Some(expected.into()), "{name}");
        }
        let folder = tempfile::Builder::new().prefix("v").suffix(".2").tempdir().expect("a folder can be made");
        let name = folder.path().file_name().expect("it has a name");
        for path in [folder.path().to_owned(), folder.path().join(""), folder.path().join(".")] {
            assert_eq!(stem(&path).as_deref(), Some(name), "{path:?}");
        }
        assert_eq!(
            (stem(&folder.path().join("../..")).is_some(), stem(Path::new("/"))),
            (false, None),
            "the root has no name"
        );
    }

    #[test]
    fn an_open_file_has_no_name() {
        for name in ["-", "/dev/stdin", "/dev/fd/63", "/proc/self/fd/0", "/proc/17/fd/9"] {
            assert!(is_nameless(Path::new(name)), "{name}");
        }
        for name in ["a.csv", "stdin", "dev/fd/63", "/dev/shm/a.csv", "/dev/fdx", "fd/0", "/proc/fd", ""] {
            assert!(!is_nameless(Path::new(name)), "{name}");
        }
    }
}
