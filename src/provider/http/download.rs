//! Download of one image: the whole image, or the rest after an interrupted download of the same bytes.

use futures::{StreamExt, stream};
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use reqwest::{Client, RequestBuilder, Response};

use crate::model::outcome::{Fault, FaultKind, Url};
use crate::model::partial_download::{PartialDownload, Validator};
use crate::provider::Download;
use crate::provider::http::body_reader::BodyReader;
use crate::provider::http::download_limits::DownloadLimits;
use crate::provider::http::error::NoResponse;
use crate::provider::http::image_link::{image_refused, image_url, shown};
use crate::provider::http::request_limiter::Slot;
use crate::provider::http::retry_after::{retry_after, server_date};

/// Starts the download of an image, or of the rest after `part`.
pub(super) async fn open(
    client: &Client,
    url: &Url,
    part: Option<&PartialDownload>,
    bounds: &DownloadLimits,
) -> Result<Download<'static>, Fault> {
    let address = image_url(url)?;
    if let Some(part) = part.filter(|part| part.n_bytes > 0) {
        let request = client.get(address.clone()).header(RANGE, format!("bytes={}-", part.n_bytes));
        let request = request.header(IF_RANGE, part.validator.text());
        let answer = sent(request, url, bounds).await?;
        match answer.0.status().as_u16() {
            206 => {
                if let Ok(total) = rest_total(answer.0.headers(), part) {
                    let (bytes_total, validator) = (Some(total), Some(part.validator.clone()));
                    return Ok(arriving(answer, part.n_bytes, bytes_total, validator, bounds));
                }
            }
            // The part cannot be resumed: the image has changed, or has no bytes after the part.
            416 => (),
            // The host sends the whole image: it does not support ranges, or the image has changed.
            _ => return whole(answer, url, bounds),
        }
    }
    whole(sent(client.get(address), url, bounds).await?, url, bounds)
}

/// Returns the download of a whole image, if the response contains one of allowed length.
fn whole(answer: (Response, Slot), url: &Url, bounds: &DownloadLimits) -> Result<Download<'static>, Fault> {
    let response = &answer.0;
    let status = response.status().as_u16();
    if status != 200 {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let date = header(DATE).and_then(server_date);
        let wait = header(RETRY_AFTER).and_then(|text| retry_after(text, date));
        return Err(image_refused(status, wait, url));
    }
    let bytes_total = response.content_length();
    if let Some(n_bytes) = bytes_total.filter(|n_bytes| *n_bytes > bounds.bytes_max) {
        return Err(too_long(n_bytes, bounds.bytes_max));
    }
    let validator = validator(response.headers());
    Ok(arriving(answer, 0, bytes_total, validator, bounds))
}

fn arriving(
    answer: (Response, Slot),
    n_before: u64,
    bytes_total: Option<u64>,
    validator: Option<Validator>,
    bounds: &DownloadLimits,
) -> Download<'static> {
    let pieces = BodyReader::new(answer, n_before, bytes_total, validator.is_some(), bounds);
    let body = stream::try_unfold(pieces, async |mut pieces| {
        let piece = pieces.next().await?;
        Ok(piece.map(|piece| (piece, pieces)))
    });
    Download { n_before, bytes_total, validator, body: body.boxed() }
}

impl Validator {
    /// Returns the value of the `If-Range` header.
    fn text(&self) -> &str {
        match self {
            Self::ETag(text) | Self::LastModified(text) => text,
        }
    }
}

/// Returns the strong validator of a response whose host supports range requests. An `ETag` takes precedence over `Last-Modified`.
fn validator(headers: &HeaderMap) -> Option<Validator> {
    headers.get(ACCEPT_RANGES).filter(|ranges| *ranges == "bytes")?;
    if let Some(etag) = headers.get(ETAG) {
        return strong_etag(etag);
    }
    // HTTP dates have a resolution of one second. If the image changed in the second of this response, two versions share the date.
    let (date, modified) = (headers.get(DATE)?, headers.get(LAST_MODIFIED)?);
    let modified = modified.to_str().ok().filter(|_| date != modified)?;
    Some(Validator::LastModified(modified.to_owned()))
}

fn strong_etag(value: &HeaderValue) -> Option<Validator> {
    let text = value.to_str().ok().filter(|text| text.len() >= 2 && text.starts_with('"') && text.ends_with('"'))?;
    Some(Validator::ETag(text.to_owned()))
}

/// Returns the length of the whole image in bytes, if this response (206) is its rest. The rest must start exactly at the end of the part.
/// The error gives the reason why not.
fn rest_total(headers: &HeaderMap, part: &PartialDownload) -> Result<u64, String> {
    let is_same = match &part.validator {
        Validator::ETag(_) => headers.get(ETAG).and_then(strong_etag).as_ref() == Some(&part.validator),
        // A response to If-Range may omit every validator except the ETag.
        Validator::LastModified(text) => headers.get(LAST_MODIFIED).is_none_or(|value| value == text.as_str()),
    };
    if !is_same {
        return Err("the image has changed".into());
    }
    let range = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or("none");
    content_range(range)
        .filter(|(first, last, total)| *first == part.n_bytes && last + 1 == *total)
        .map(|(_, _, total)| total)
        .filter(|total| part.bytes_total.is_none_or(|before| before == *total))
        .ok_or_else(|| format!("not the requested range, but {range:?}"))
}

/// Parses `bytes 10-99/100` into the first byte, the last byte and the length of the whole image.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, last, total))
}

async fn sent(request: RequestBuilder, url: &Url, bounds: &DownloadLimits) -> Result<(Response, Slot), Fault> {
    bounds.sockets.send(request).await.map_err(|error| {
        let NoResponse { words, is_refused, .. } = NoResponse::from(error);
        let kind = if is_refused { FaultKind::BadOutput } else { FaultKind::Transient };
        Fault::new(kind, format!("could not download {}: {words}", shown(url)))
    })
}

fn too_long(n_bytes: u64, bytes_max: u64) -> Fault {
    let words = format!("the download is {n_bytes} bytes long, more than the limit of {bytes_max} (--image-bytes-max)");
    Fault::new(FaultKind::BadOutput, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKED: [(&str, &str); 2] = [("accept-ranges", "bytes"), ("etag", "\"a\"")];
    const DAY: &str = "Tue, 24 Nov 2026 08:00:00 GMT";
    const DAY_LATER: &str = "Wed, 25 Nov 2026 08:00:00 GMT";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_host_that_serves_ranges_of_a_marked_image_is_asked_to_go_on() {
        let bytes = ("accept-ranges", "bytes");
        let (modified, now) = (("last-modified", DAY), ("date", DAY_LATER));
        let etag = Some(Validator::ETag("\"a\"".into()));
        assert_eq!(validator(&headers(&MARKED)), etag);
        assert_eq!(validator(&headers(&[bytes, modified, now])), Some(Validator::LastModified(DAY.into())));
        assert_eq!(validator(&headers(&[bytes, ("etag", "\"a\""), modified, now])), etag);
        for pairs in [
            &[][..],
            &[bytes],
            &[("etag", "\"a\"")],
            &[("accept-ranges", "none"), ("etag", "\"a\"")],
            &[bytes, ("etag", "W/\"a\"")],
            &[bytes, ("etag", "W/\"a\""), modified, now],
            &[bytes, ("etag", "a"), modified, now],
            &[bytes, ("etag", "\"")],
            &[bytes, modified],
            &[bytes, modified, ("date", DAY)],
        ] {
            assert_eq!(validator(&headers(pairs)), None, "{pairs:?}");
        }
    }

    fn part(validator: Validator) -> PartialDownload {
        PartialDownload { n_bytes: 40, bytes_total: Some(100), validator }
    }

    /// Returns the result for a response that should contain the bytes after the first 40 of 100.
    fn rest(answer: &[(&str, &str)]) -> Result<u64, String> {
        rest_total(&headers(answer), &part(Validator::ETag("\"a\"".into())))
    }

    #[test]
    fn the_rest_must_be_the_rest_of_the_same_image() {
        let (range, etag) = (("content-range", "bytes 40-99/100"), ("etag", "\"a\""));
        assert_eq!(rest(&[range, etag]), Ok(100));
        for answer in [&[range][..], &[range, ("etag", "\"b\"")], &[range, ("etag", "W/\"a\"")]] {
            assert_eq!(rest(answer), Err("the image has changed".into()), "{answer:?}");
        }
        for wrong in [
            "bytes 39-99/100",
            "bytes 41-99/100",
            "bytes 0-99/100",
            "bytes 40-98/100",
            "bytes 40-99/*",
            "bytes 40-100/101",
            "bytes 40-100/100",
            "bytes 99-40/100",
            "bytes */100",
            "bytes 40-18446744073709551615/18446744073709551615",
            "items 40-99/100",
            "40-99/100",
            "",
        ] {
            let words = rest(&[("content-range", wrong), etag]).unwrap_err();
            assert!(words.starts_with("not the requested range"), "{wrong}: {words}");
        }
        assert!(rest(&[etag]).is_err(), "many parts in one answer have no range of their own");
    }

    #[test]
    fn an_answer_marked_by_its_date_may_leave_it_out() {
        let range = ("content-range", "bytes 40-99/100");
        let rest = |answer: &[(&str, &str)]| rest_total(&headers(answer), &part(Validator::LastModified(DAY.into())));
        assert_eq!(rest(&[range]), Ok(100));
        assert_eq!(rest(&[range, ("last-modified", DAY)]), Ok(100));
        assert!(rest(&[range, ("last-modified", DAY_LATER)]).is_err());
    }

    #[test]
    fn a_length_that_was_not_known_is_learnt() {
        let answer = headers(&[("content-range", "bytes 40-99/100"), ("etag", "\"a\"")]);
        let unknown = PartialDownload { bytes_total: None, ..part(Validator::ETag("\"a\"".into())) };
        assert_eq!(rest_total(&answer, &unknown), Ok(100));
    }
}
