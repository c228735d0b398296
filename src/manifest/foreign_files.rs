//! Recognition of files that are no manifest at all: archives, documents, images, databases, pointers, web pages.

use std::io::Read;
use std::path::Path;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::input::bytes::{CHUNK, DecompressedReader};

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
const AS_XLS: &str =
    if cfg!(feature = "xlsx") { "if it is a workbook, add --format xlsx, or name it .xls" } else { AS_CSV };
const AS_ODS: &str = if cfg!(feature = "xlsx") { "add --format xlsx, or name it .ods" } else { AS_CSV };
const AS_XLSX: &str = if cfg!(feature = "xlsx") { "add --format xlsx, or name it .xlsx" } else { AS_CSV };
const AS_TEXT: &str = "save its text as plain text (.txt), with one prompt per line";
const UNPACK: &str = "unpack it and name the file inside it";
const TO_CSV: &str = "write its rows to a CSV or JSONL file";
const NOT_TEXT: &str = "name the file with the prompts; an image is no manifest";

/// Types with bytes that no text has. Those that begin with the same bytes are listed from the longest to the shortest.
const BINARY: [BinaryType; 24] = [
    binary(0, b"\xd0\xcf\x11\xe0", "an old Office file (.xls or .doc)", AS_XLS),
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
    (b"xl/", "an Excel workbook (.xlsx)", AS_XLSX),
    (b"word/", "a Word document (.docx)", AS_TEXT),
    (b"ppt/", "a PowerPoint file (.pptx)", AS_TEXT),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet (.ods)", AS_ODS),
    (b"opendocument.text", "an OpenDocument text (.odt)", AS_TEXT),
    (b"Index/", "a Numbers or Pages document", "export it as CSV"),
];

/// Beginnings of text files that are no manifest, in lower case.
const TEXTS: [(&str, &str, &str); 14] = [
    ("%pdf-", "a PDF document", AS_TEXT),
    ("{\\rtf1", "an RTF document", AS_TEXT),
    ("%!ps-adobe", "a PostScript document", AS_TEXT),
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
    ("diff --git ", "a patch", "apply it with `git apply FILE`, and name the file that it changes"),
    ("```", "wrapped in a Markdown code fence", "remove the lines of backticks"),
    ("~~~", "wrapped in a Markdown code fence", "remove the lines of tildes"),
];

/// Whole content of the page that a forge sends for a file that it does not have, in lower case.
const NOT_FOUND: (&str, &str, &str) =
    ("404: not found", "an error message of a web server", "download the file again, from the right address");

/// Returns the mistake for a file that is certainly no manifest. A file that cannot be read gives `None` here, and its error later.
/// With `is_verbatim`, only the bytes that no text has count.
pub(crate) fn found(path: &Path, is_verbatim: bool) -> Option<Issue> {
    if path.is_dir() {
        return None;
    }
    let mut head = vec![0; CHUNK];
    // One read: a pipe that sends slowly is waited for where the wait is shown.
    let n_bytes = DecompressedReader::open(path).ok()?.read(&mut head).ok()?;
    of_head(&head[..n_bytes], is_verbatim)
}

/// Returns the mistake for a file with this beginning.
pub(crate) fn of_head(head: &[u8], is_verbatim: bool) -> Option<Issue> {
    let (name, remedy) = binary_type(head).or_else(|| text_type(head).filter(|_| !is_verbatim))?;
    Some(wrong(format!("the file is {name}"), remedy))
}

/// Returns the mistake for a file that is no workbook, although its name or an option says so.
#[cfg(feature = "xlsx")]
pub(crate) fn no_workbook(bytes: &[u8]) -> Option<Issue> {
    const OLD: &[u8] = b"\xd0\xcf\x11\xe0";
    let has = |name: &str| {
        let utf16: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        memchr::memmem::find(bytes, &utf16).is_some()
    };
    if bytes.starts_with(OLD) && has("EncryptedPackage") {
        return Some(wrong("the workbook is protected with a password", "save it without a password"));
    }
    let head = &bytes[..bytes.len().min(CHUNK)];
    let is_in_head = |name: &[u8]| memchr::memmem::find(head, name).is_some();
    if bytes.starts_with(OLD) && (has("Workbook") || has("Book")) || is_in_head(b"opendocument.spreadsheet") {
        return None;
    }
    let is_binary = memchr::memmem::find(bytes, b"xl/workbook.bin").is_some();
    if head.starts_with(b"PK\x03\x04") && memchr::memmem::find(bytes, b"xl/").is_some() && !is_binary {
        return None;
    }
    if is_binary {
        return Some(wrong("the file is a binary Excel workbook (.xlsb)", "save it as .xlsx"));
    }
    let text = || wrong("the file is no workbook, but may be text", "add --format csv if it is a table");
    let none =
        || if head.is_empty() { wrong("the file is empty", "write a sheet with a column `prompt`") } else { text() };
    Some(of_head(head, false).unwrap_or_else(none))
}

fn binary_type(head: &[u8]) -> Option<(&'static str, &'static str)> {
    // The magic bytes of some types are letters, with which a prompt may begin too.
    let is_in_text = |byte: &u8| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r' | b'\x0c' | b'\x1b');
    if head.iter().all(is_in_text) {
        return None;
    }
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
    let is_not_found = head.trim_ascii_end().eq_ignore_ascii_case(NOT_FOUND.0.as_bytes());
    let found = TEXTS.iter().find(|(begin, ..)| begins(begin)).or_else(|| is_not_found.then_some(&NOT_FOUND));
    found.map(|(_, name, remedy)| (*name, *remedy))
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
            head.extend_from_slice(b"\0rest");
            assert_eq!(binary_type(&head), Some((kind.name, kind.remedy)));
        }
        for (inside, name, remedy) in ZIPPED {
            let head = [b"PK\x03\x04..", inside, b"workbook.xml"].concat();
            assert_eq!(binary_type(&head), Some((name, remedy)));
        }
        assert_eq!(binary_type(b"PK\x03\x04prompts.csv"), Some(("a zip archive", UNPACK)));
        for (begin, name, remedy) in TEXTS {
            for head in [begin.to_ascii_uppercase(), format!("\u{feff}\r\n {begin}x")] {
                assert_eq!(text_type(head.as_bytes()), Some((name, remedy)), "{head}");
            }
        }
    }

    #[test]
    fn the_page_of_a_missing_file_is_found_as_a_whole() {
        assert_eq!(text_type(b"404: Not Found\n"), Some((NOT_FOUND.1, NOT_FOUND.2)));
        assert_eq!(text_type(b"404: Not Found, a neon sign\na cat"), None);
    }

    /// Goal: a prompt that begins like another type is a prompt. Method: the magic bytes that are letters, where they count.
    #[test]
    fn manifests_are_no_other_files() {
        let mustard = format!("{}ustard", " ".repeat(256) + "m");
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
            "Convert WEBP to a painting",
            "The ftyp box of a video",
            &mustard,
            "PAR1 lamps on a stage",
            "BZhang, a portrait",
            "8BPS, neon letters",
            "Rar! says the bear",
            "GIF89a, vaporwave",
            "xml",
            "{\"prompt\": \"x\"}",
        ] {
            assert_eq!(binary_type(text.as_bytes()), None, "{text}");
            assert_eq!(text_type(text.as_bytes()), None, "{text}");
        }
    }
}
