//! Pictures on this disk that a request names as its source images: their names, their kinds and their size.

use std::path::PathBuf;

/// Limit on a picture in bytes. The services whose limits are documented accept no larger one.
pub const PICTURE_BYTES_MAX: u64 = 10 << 20;

/// Picture that was found for a name in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePicture {
    /// Real path of the file.
    pub path: PathBuf,
    /// SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
    /// Size of the file in bytes.
    pub n_bytes: u64,
}

/// Returns the hexadecimal digits of a hash.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Returns whether a source image is a file on this disk, and neither a URL nor a data URI.
pub fn is_local(source: &str) -> bool {
    let begins = |scheme: &str| source.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
    !["https://", "http://", "data:"].into_iter().any(begins)
}

/// Returns the media type of a picture by its first bytes. `None` for any other file.
pub fn media_type(bytes: &[u8]) -> Option<&'static str> {
    let types: [(&[u8], &str); 6] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"BM", "image/bmp"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
    ];
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let found = types.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, name)| name);
    found.or(is_webp.then_some("image/webp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_no_files() {
        for url in ["https://a/b.png", "HTTP://a", "data:image/png;base64,AA", "Data:x"] {
            assert!(!is_local(url), "{url}");
        }
        for path in ["a.png", "ref/a.png", "file:///a.png", "https.png", "/a/b", "猫.png", "data"] {
            assert!(is_local(path), "{path}");
        }
    }

    #[test]
    fn pictures_are_known_by_their_first_bytes() {
        for (bytes, name) in [
            (&b"\x89PNG\r\n\x1a\n..."[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"GIF89a", Some("image/gif")),
            (b"BM\0\0", Some("image/bmp")),
            (b"II*\0", Some("image/tiff")),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"<svg>", None),
            (b"", None),
        ] {
            assert_eq!(media_type(bytes), name);
        }
    }
}
