//! Detection of text pages that a host sends in place of an image.
//! The fault names the kind of page. It quotes the page for public hosts only, and never shows the token.
//!
//! The first bytes of a download are held back until they are surely not text. A text ends the download here, so code that handles images
//! never quotes a page.

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};

use crate::model::escape::{excerpt, kind_of_text, trimmed};
use crate::model::outcome::{Fault, FaultKind};
use crate::provider::ImageStream;
use crate::provider::http::token::Token;

/// Number of bytes that are examined to detect text.
const HEAD_BYTES: usize = 256;

/// Number of bytes of a text that are read, so that an excerpt can be shown without the token.
const TEXT_BYTES: usize = 4096;

/// Longest excerpt of a text in a message, in characters.
const SHOWN_CHARS_MAX: usize = 120;

/// Passes an image through; replaces a text with a fault that names the kind of text.
pub(super) fn guarded(body: ImageStream<'static>, token: Token, is_quotable: bool) -> ImageStream<'static> {
    let begun = async move {
        let (head, rest) = match gathered(body, HEAD_BYTES, Bytes::new()).await {
            Ok(begun) => begun,
            Err(fault) => return stream::iter([Err(fault)]).boxed(),
        };
        let is_image = head.starts_with(b"RIFF");
        let Some(what) = kind_of_text(&head).filter(|_| !is_image && !head.is_empty()) else {
            return stream::iter([Ok(head)]).chain(rest).boxed();
        };
        let beginning = if is_quotable { quoted(rest, head, &token).await } else { None };
        let beginning = beginning.unwrap_or_else(|| "what it says is not shown".to_owned());
        let words = format!("the download is {what}, not an image: {beginning}");
        stream::iter([Err(Fault::new(FaultKind::BadOutput, words))]).boxed()
    };
    stream::once(begun).flatten().boxed()
}

/// Returns the beginning of a text without the token; `None` if all of it may belong to the token.
async fn quoted(rest: ImageStream<'static>, head: Bytes, token: &Token) -> Option<String> {
    // An interrupted text is shown as far as it was received.
    let text = gathered(rest, TEXT_BYTES, head.clone()).await.map_or(head, |(text, _)| text);
    let mut shown = token.redact(&text);
    if text.len() >= TEXT_BYTES {
        // The last bytes that were read may be the beginning of the token.
        shown.truncate(shown.len().saturating_sub(token.n_bytes_written_max()));
    }
    let shown = excerpt(trimmed(&String::from_utf8_lossy(&shown)), SHOWN_CHARS_MAX);
    (!shown.is_empty()).then_some(shown)
}

/// Reads at least `n_bytes_min` bytes, or all if there are fewer. Returns these bytes and the rest of the body.
///
/// Bytes that arrive in one piece are passed on without a copy, as those of nearly every image do.
async fn gathered(
    mut body: ImageStream<'static>,
    n_bytes_min: usize,
    begun: Bytes,
) -> Result<(Bytes, ImageStream<'static>), Fault> {
    let mut held = begun;
    while held.len() < n_bytes_min {
        let Some(piece) = body.next().await else { break };
        let piece = piece?;
        if held.is_empty() {
            held = piece;
        } else {
            let mut joined = BytesMut::from(held);
            joined.extend_from_slice(&piece);
            held = joined.freeze();
        }
    }
    Ok((held, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::FutureExt;

    const SECRET: &str = "geheim-4711";

    /// Returns the result for a body that arrives in chunks of `piece` bytes.
    fn guarded_in(body: &[u8], piece: usize, is_quotable: bool) -> Result<Vec<u8>, String> {
        let pieces: Vec<_> = body.chunks(piece.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let token = Token::new(SECRET).expect("a token");
        let body = guarded(stream::iter(pieces).boxed(), token, is_quotable);
        let items = body.collect::<Vec<_>>().now_or_never().expect("all of it is here");
        let pieces: Result<Vec<Bytes>, Fault> = items.into_iter().collect();
        pieces.map(|pieces| pieces.concat()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn an_image_passes_byte_by_byte() {
        let long = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 10_000]].concat();
        for image in [
            &long[..],
            b"\x89PNG",
            b"\xff\xd8\xff",
            b"RIFF\x10\0\0\0WEBPVP8 ",
            b"RIFFabcdWEBPVP8 <html>",
            b"GIF89a\x01\0\x01\0",
            b"",
            &[0; 5000],
        ] {
            for piece in [1, 3, 100, 4096] {
                assert_eq!(guarded_in(image, piece, false).as_deref(), Ok(image), "{} bytes", image.len());
            }
        }
    }

    #[test]
    fn a_page_is_quoted_only_where_that_is_allowed() {
        for (page, what) in [
            ("<!DOCTYPE html><title>inner", "an HTML page"),
            ("<Error>inner", "an XML or HTML text"),
            ("{\"inner\": 1}", "JSON"),
            ("inner", "plain text"),
            ("\u{feff} \n inner", "plain text"),
        ] {
            for piece in [1, 5, 4096] {
                let told = guarded_in(page.as_bytes(), piece, true).unwrap_err();
                assert!(told.starts_with(&format!("bad_output: the download is {what}, not an image: ")), "{told}");
                assert!(told.contains("inner"), "{told}");
                let told = guarded_in(page.as_bytes(), piece, false).unwrap_err();
                assert!(told.contains(what) && told.ends_with("what it says is not shown"), "{told}");
            }
        }
    }

    #[test]
    fn no_page_shows_the_token() {
        for n_before in [0, 1, 100, 245, 250, 4085, 4090] {
            let page = format!("<html>{}{SECRET}{SECRET} and more", " ".repeat(n_before));
            for piece in [1, 7, 8192] {
                let told = guarded_in(page.as_bytes(), piece, true).unwrap_err();
                assert!(!told.contains("geheim") && !told.contains("4711"), "{n_before}: {told}");
            }
        }
        // Each repeated token is replaced with a short word. The last token is cut at the end of the bytes that are read.
        let page = format!("<html>{}", escaped(SECRET).repeat(1000));
        let told = guarded_in(page.as_bytes(), 8192, true).unwrap_err();
        assert!(told.contains("(the token)") && !told.contains("u00"), "{told}");
    }

    fn escaped(text: &str) -> String {
        text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<Vec<_>>().concat()
    }
}
