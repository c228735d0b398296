//! Recognition of files that are no manifest at all: archives, documents, images, databases, pointers, web pages.

use std::path::Path;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::input::bytes::DecompressedReader;

/// File type with the bytes that begin it.
struct BinaryType {
    offset: usize,
    magic: &'static [u8],
    /// Name with its article, as in "the file is a PDF document".
    name: &'static str,
    remedy: &'static str,
}

const fn binary(offset: usize, magic: &'static [u8], name: &'static str, remedy: &'static str) -> BinaryType {
    BinaryType { offset, magic, name, remedy }
}

const AS_CSV: &str = "open it in a spreadsheet program and save it as \"CSV UTF-8\"";
const AS_TEXT: &str = "save its text as plain text (.txt), with one prompt per line";
const UNPACK: &str = "unpack it and name the file inside it";
const TO_CSV: &str = "write its rows to a CSV or JSONL file";
const NOT_TEXT: &str = "name the file with the prompts; an image is no manifest";

/// Types that begin with the same bytes are listed from the longest to the shortest.
const BINARY: [BinaryType; 27] = [
    binary(0, b"%PDF-", "a PDF document", AS_TEXT),
    binary(0, b"{\\rtf", "an RTF document", AS_TEXT),
    binary(0, b"%!PS", "a PostScript document", AS_TEXT),
    binary(0, b"\xd0\xcf\x11\xe0", "an old Office file (.xls or .doc)", AS_CSV),
    binary(
        0,
        b"SQLite format 3\0",
        "an SQLite database",
        "write its rows to a CSV file: sqlite3 -header -csv FILE 'SELECT ...'",
    ),
    binary(0, b"PAR1", "a Parquet file", TO_CSV),
    binary(0, b"ARROW1", "an Arrow file", TO_CSV),
    binary(0, b"\x93NUMPY", "a NumPy array", TO_CSV),
    binary(0, b"\x89HDF\r\n", "an HDF5 file", TO_CSV),
    binary(0, b"\x89PNG\r\n", "a PNG image", NOT_TEXT),
    binary(0, b"\xff\xd8\xff", "a JPEG image", NOT_TEXT),
    binary(0, b"GIF87a", "a GIF image", NOT_TEXT),
    binary(0, b"GIF89a", "a GIF image", NOT_TEXT),
    binary(8, b"WEBP", "a WebP image", NOT_TEXT),
    binary(0, b"II*\0", "a TIFF image", NOT_TEXT),
    binary(0, b"MM\0*", "a TIFF image", NOT_TEXT),
    binary(0, b"8BPS", "a Photoshop image", NOT_TEXT),
    binary(4, b"ftypavif", "an AVIF image", NOT_TEXT),
    binary(4, b"ftyphei", "a HEIC image", NOT_TEXT),
    binary(4, b"ftyp", "a video", "name the file with the prompts; a video is no manifest"),
    binary(0, b"\x1f\x8b", "compressed twice with gzip", "unpack it once: gunzip FILE"),
    binary(0, b"BZh", "compressed with bzip2", "unpack it: bunzip2 FILE"),
    binary(0, b"\xfd7zXZ\0", "compressed with xz", "unpack it: unxz FILE"),
    binary(0, b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "unpack it: unzstd FILE"),
    binary(0, b"7z\xbc\xaf", "a 7z archive", UNPACK),
    binary(0, b"Rar!", "a RAR archive", UNPACK),
    binary(257, b"ustar", "a tar archive", "unpack it with `tar -xf FILE` and name the file inside it"),
];

/// Names within a zip archive that say what it is.
const ZIPPED: [(&[u8], &str, &str); 6] = [
    (b"xl/", "an Excel workbook (.xlsx)", AS_CSV),
    (b"word/", "a Word document (.docx)", AS_TEXT),
    (b"ppt/", "a PowerPoint file (.pptx)", AS_TEXT),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet (.ods)", AS_CSV),
    (b"opendocument.text", "an OpenDocument text (.odt)", AS_TEXT),
    (b"Index/", "a Numbers or Pages document", "export it as CSV"),
];

/// Beginnings of text files that are no manifest, in lower case.
const TEXTS: [(&str, &str, &str); 12] = [
    (
        "version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, and not the file itself",
        "fetch the file with `git lfs pull`",
    ),
    ("/annex/objects/", "a git-annex pointer, and not the file itself", "fetch the file with `git annex get FILE`"),
    (
        "../.git/annex/objects/",
        "a git-annex pointer, and not the file itself",
        "fetch the file with `git annex get FILE`",
    ),
    (
        "<!doctype html",
        "an HTML page",
        "download the file itself (on GitHub: \"Raw\"), or save the text of the page as .txt",
    ),
    ("<html", "an HTML page", "download the file itself (on GitHub: \"Raw\"), or save the text of the page as .txt"),
    ("<?xml", "an XML file", "write its rows to a CSV or JSONL file"),
    ("<svg", "an SVG image", NOT_TEXT),
    ("<error>", "an error message of a file server", "download the file again"),
    ("404: not found", "an error message of a web server", "download the file again, from the right address"),
    ("diff --git ", "a patch", "apply it with `git apply FILE`, and name the file that it changes"),
    ("```", "wrapped in a Markdown code fence", "remove the lines of backticks"),
    ("~~~", "wrapped in a Markdown code fence", "remove the lines of tildes"),
];

/// Returns the mistake for a file that is certainly no manifest. A file that cannot be read gives `None` here, and its error later.
pub(crate) fn found(path: &Path, is_verbatim: bool) -> Option<Issue> {
    let mut head = Vec::new();
    DecompressedReader::open(path).ok()?.fill(&mut head).ok()?;
    if let Some((name, remedy)) = binary_type(&head) {
        return Some(wrong(format!("the file is {name}"), remedy));
    }
    let (name, remedy) = text_type(&head).filter(|_| !is_verbatim)?;
    Some(wrong(format!("the file is {name}"), format!("{remedy}; --verbatim takes its text as it is")))
}

fn binary_type(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let has = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        let inside = ZIPPED.iter().find(|(name, ..)| has(name)).map(|(_, name, remedy)| (*name, *remedy));
        return Some(inside.unwrap_or(("a zip archive", UNPACK)));
    }
    let is = |kind: &&BinaryType| head.get(kind.offset..).is_some_and(|rest| rest.starts_with(kind.magic));
    BINARY.iter().find(is).map(|kind| (kind.name, kind.remedy))
}

fn text_type(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = |word: &str| head.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()));
    TEXTS.iter().find(|(begin, ..)| begins(begin)).map(|(_, name, remedy)| (*name, *remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each row of the tables is found, behind a byte order mark and blank lines too if it is a text.
    #[test]
    fn every_type_is_found_by_its_beginning() {
        for kind in &BINARY {
            let mut head = vec![b' '; kind.offset];
            head.extend_from_slice(kind.magic);
            head.extend_from_slice(b"rest");
            assert_eq!(binary_type(&head), Some((kind.name, kind.remedy)));
        }
        for (inside, name, remedy) in ZIPPED {
            let head = [b"PK\x03\x04..", inside, b"workbook.xml"].concat();
            assert_eq!(binary_type(&head), Some((name, remedy)));
        }
        assert_eq!(binary_type(b"PK\x03\x04prompts.csv"), Some(("a zip archive", UNPACK)));
        for (begin, name, remedy) in TEXTS {
            for head in [begin.to_uppercase(), format!("\u{feff}\r\n {begin}x")] {
                assert_eq!(text_type(head.as_bytes()), Some((name, remedy)), "{head}");
            }
        }
    }

    #[test]
    fn manifests_are_no_other_files() {
        for text in [
            "",
            "prompt\na cat",
            "a PDF document on a desk",
            "<painter> at work",
            "PARROT",
            "a ``` fence",
            "- a cat",
            "version 2 of a cat",
            "Bzzz, a bee",
            "PK",
            "GIF of a cat",
            "404 cats",
            "xml",
            "{\"prompt\": \"x\"}",
        ] {
            assert_eq!(binary_type(text.as_bytes()), None, "{text}");
            assert_eq!(text_type(text.as_bytes()), None, "{text}");
        }
    }
}
