//! Manifest formats, derived from the file name or named by the user.

use std::ffi::OsStr;
use std::path::Path;

/// Manifest format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML: a list, or a map with `defaults` and `prompts`, or a stream of documents separated by `---`.
    Yaml,
    /// Table with commas between the cells, or else semicolons or tabs. Cells that need it are quoted.
    Csv,
    /// Table with tabs between the cells. A quote is usually part of the text.
    Tsv,
    /// JSON Lines: one JSON object per line.
    Jsonl,
    /// Plain text: one prompt per line.
    Txt,
}

impl Format {
    /// List of all formats, in the order in which a message lists them.
    pub const ALL: [Self; 5] = [Self::Yaml, Self::Csv, Self::Tsv, Self::Jsonl, Self::Txt];

    /// Returns the name of the format, such as `yaml`, as the `--format` option spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Jsonl => "jsonl",
            Self::Txt => "txt",
        }
    }

    /// File extensions of the format, in lower case and without the dot.
    const fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Yaml => &["yaml", "yml"],
            Self::Csv => &["csv"],
            Self::Tsv => &["tsv", "tab"],
            Self::Jsonl => &["jsonl", "ndjson"],
            Self::Txt => &["txt"],
        }
    }

    /// Returns the format that the file extension names; a final `.gz` is ignored. `None` for an unknown extension.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let ending = ending(uncompressed(path))?;
        Self::ALL.into_iter().find(|format| format.endings().contains(&ending.as_str()))
    }
}

/// Path that means standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// Returns the name without its extensions: `prompts` for `prompts.csv.gz`, `stdin` for standard input.
pub fn stem(path: &Path) -> Option<&OsStr> {
    if path == Path::new(STANDARD_INPUT) { Some("stdin".as_ref()) } else { uncompressed(path).file_stem() }
}

/// Returns whether the path names no file: standard input, or an open file such as `/dev/fd/63` from a shell's `<(...)`.
pub fn is_nameless(path: &Path) -> bool {
    let is_of_a_process = path.starts_with("/proc") && path.parent().is_some_and(|folder| folder.ends_with("fd"));
    path == Path::new(STANDARD_INPUT)
        || path == Path::new("/dev/stdin")
        || path.starts_with("/dev/fd")
        || is_of_a_process
}

/// Explains how to specify the format of a file.
pub(super) fn unknown(path: &Path) -> String {
    let names = Format::ALL.map(Format::name).join("|");
    if path == Path::new(STANDARD_INPUT) {
        return format!("standard input has no file name; add --format {names}");
    }
    if is_nameless(path) {
        return format!("a pipe has no file name; add --format {names}");
    }
    if ending(uncompressed(path)).as_deref() == Some("json") {
        return "JSON is read line by line; convert it with jq -c '.[]' OLD > NEW.jsonl, or add --format jsonl if it already has one object per line".into();
    }
    let endings: Vec<_> = Format::ALL.iter().flat_map(|format| format.endings()).copied().collect();
    format!(
        "its name does not end in any of .{}, or in one of these followed by .gz; rename it, or add --format {names}",
        endings.join(", .")
    )
}

fn ending(path: &Path) -> Option<String> {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

/// Returns the path without its `.gz`.
fn uncompressed(path: &Path) -> &Path {
    match ending(path).as_deref() {
        Some("gz") => path.file_stem().map_or(path, Path::new),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_name_tells_the_format() {
        for (name, format) in [
            ("a.yaml", Some(Format::Yaml)),
            ("a/b.YML", Some(Format::Yaml)),
            ("a.csv", Some(Format::Csv)),
            ("a.tar.csv", Some(Format::Csv)),
            ("a.tsv", Some(Format::Tsv)),
            ("a.tab", Some(Format::Tsv)),
            ("a.jsonl", Some(Format::Jsonl)),
            ("a.ndjson.gz", Some(Format::Jsonl)),
            ("a/b.TXT.GZ", Some(Format::Txt)),
            ("a.json", None),
            ("a.gz", None),
            ("a.csv.gz.gz", None),
            (".csv", None),
            ("csv", None),
            ("a.yaml.bak", None),
            ("-", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn a_stem_is_a_name_without_its_endings() {
        for (name, expected) in
            [("a/prompts.csv", "prompts"), ("prompts.v2.csv.gz", "prompts.v2"), ("-", "stdin"), ("p", "p")]
        {
            assert_eq!(stem(Path::new(name)), Some(expected.as_ref()), "{name}");
        }
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

    #[test]
    fn what_is_unknown_is_told_with_a_way_out() {
        assert_eq!(
            unknown(Path::new("a.doc")),
            "its name does not end in any of .yaml, .yml, .csv, .tsv, .tab, .jsonl, .ndjson, .txt, or in one of these followed by .gz; \
             rename it, or add --format yaml|csv|tsv|jsonl|txt"
        );
        assert!(unknown(Path::new("-")).ends_with("; add --format yaml|csv|tsv|jsonl|txt"));
        assert_eq!(unknown(Path::new("/dev/fd/63")), "a pipe has no file name; add --format yaml|csv|tsv|jsonl|txt");
        assert!(unknown(Path::new("a.json.gz")).contains("jq -c '.[]'"));
    }
}
