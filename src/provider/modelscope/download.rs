//! One image on its way in: where a body breaks off, the rest is asked for, if the host can tell that it is the same image.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Client, RequestBuilder, Response};
use tokio::select;
use tokio::time::{Sleep, sleep};

use crate::model::outcome::{Fault, FaultKind, Url};
use crate::provider::Body;
use crate::provider::modelscope::answer;
use crate::provider::modelscope::http::{Lost, image_url};

/// How often one download goes on after a break.
const CONTINUATIONS_MAX: u32 = 5;

/// How long one download may take in all, in request timeouts: a host that drips must not hold a run for ever.
const TIMEOUTS_MAX: u32 = 10;

/// What every download keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long it may stay silent, which the client sees to; in all it may take ten times as long.
    pub request_timeout: Duration,
    /// How long an image may be that says its length before it comes.
    pub bytes_max: u64,
}

/// Begins to fetch an image.
pub async fn open(client: &Client, url: &Url, bounds: Bounds) -> Result<Body, Fault> {
    let mut time_is_up = Box::pin(sleep(bounds.request_timeout.saturating_mul(TIMEOUTS_MAX)));
    let response = sent(client.get(image_url(url)?), &mut time_is_up).await.map_err(|error| lost(url, &error))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(answer::image_refused(status, url));
    }
    let bytes_total = response.content_length();
    if let Some(n_bytes) = bytes_total.filter(|n_bytes| *n_bytes > bounds.bytes_max) {
        return Err(too_long(n_bytes, bounds.bytes_max));
    }
    let mark = Mark::of(response.headers());
    let (client, url, stands) = (client.clone(), url.clone(), Stands { bytes_total, ..Stands::default() });
    let download = Download { client, url, response, mark, stands, time_is_up };
    let chunks = stream::try_unfold(download, async |mut download| {
        let chunk = download.next().await?;
        Ok(chunk.map(|chunk| (chunk, download)))
    });
    Ok(chunks.boxed())
}

/// An image of which some has come.
struct Download {
    client: Client,
    url: Url,
    /// Where its bytes come from at present.
    response: Response,
    /// Nothing where the host cannot go on with it.
    mark: Option<Mark>,
    stands: Stands,
    time_is_up: Pin<Box<Sleep>>,
}

/// How far a download is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stands {
    n_bytes: u64,
    /// How many bytes there must be, where the host said so.
    bytes_total: Option<u64>,
    n_continued: u32,
    /// How many bytes there were when it was continued last.
    n_bytes_before: u64,
}

impl Download {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let chunk = select! {
                biased;
                () = &mut self.time_is_up => return Err(self.broken("it took too long", None)),
                chunk = self.response.chunk() => chunk,
            };
            let broke = match chunk {
                Ok(Some(chunk)) => {
                    self.stands.n_bytes += chunk.len() as u64;
                    if self.stands.bytes_total.is_some_and(|total| self.stands.n_bytes > total) {
                        return Err(self.broken("more came than was announced", None));
                    }
                    return Ok(Some(chunk));
                }
                Ok(None) if self.stands.bytes_total.is_none_or(|total| self.stands.n_bytes >= total) => {
                    return Ok(None);
                }
                Ok(None) => "it ended early".to_owned(),
                Err(error) => Lost::from(error).words,
            };
            self.go_on().await.map_err(|why| self.broken(&broke, why.as_deref()))?;
        }
    }

    /// Asks for the rest. The error is why there is none, if that is worth telling.
    async fn go_on(&mut self) -> Result<(), Option<String>> {
        let mark = self.mark.as_ref().ok_or(None)?;
        self.stands.begin_again()?;
        let range = format!("bytes={}-", self.stands.n_bytes);
        let request = self.client.get(&self.url.0).header(RANGE, range).header(IF_RANGE, &mark.value);
        let response = sent(request, &mut self.time_is_up).await.map_err(|error| error.words)?;
        let total = mark.total_of_rest(response.status().as_u16(), response.headers(), &self.stands)?;
        self.stands.bytes_total = Some(total);
        self.response = response;
        Ok(())
    }

    fn broken(&self, how: &str, why_not_continued: Option<&str>) -> Fault {
        let Stands { n_bytes, bytes_total, .. } = self.stands;
        let of = bytes_total.map_or(String::new(), |total| format!(" of {total}"));
        let why = why_not_continued.map_or(String::new(), |why| format!("; it could not be continued: {why}"));
        Fault::new(FaultKind::Transient, format!("the download broke off after {n_bytes}{of} bytes: {how}{why}"))
    }
}

impl Stands {
    /// Notes that the download is continued, if it may be once more.
    fn begin_again(&mut self) -> Result<(), String> {
        if self.n_bytes == self.n_bytes_before {
            return Err(format!("nothing came since byte {}", self.n_bytes));
        }
        if self.n_continued == CONTINUATIONS_MAX {
            return Err(format!("it was {CONTINUATIONS_MAX} times before"));
        }
        self.n_continued += 1;
        self.n_bytes_before = self.n_bytes;
        Ok(())
    }
}

/// What a host calls this very image: two answers with the same mark are parts of the same bytes.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    header: HeaderName,
    value: HeaderValue,
}

impl Mark {
    /// The mark in an answer whose host says that it serves ranges: a strong `ETag`, or else a date that is one.
    fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get(ACCEPT_RANGES).filter(|ranges| *ranges == "bytes")?;
        let marked = |header: HeaderName| {
            let value = headers.get(&header)?.clone();
            Some(Self { header, value })
        };
        // Dates count whole seconds: of an image that changed in the second of this answer there may be two.
        let is_date_strong = headers.get(DATE).is_some_and(|now| headers.get(LAST_MODIFIED) != Some(now));
        match headers.get(ETAG) {
            Some(etag) => marked(ETAG).filter(|_| etag.as_bytes().starts_with(b"\"")),
            None => marked(LAST_MODIFIED).filter(|_| is_date_strong),
        }
    }

    /// How long the whole image is, if this answer is the rest of it from exactly where the download stands.
    fn total_of_rest(&self, status: u16, headers: &HeaderMap, stands: &Stands) -> Result<u64, String> {
        if status != 206 {
            return Err(format!("HTTP status {status}"));
        }
        let is_same = match headers.get(&self.header) {
            Some(value) => *value == self.value,
            // An answer to If-Range may leave out all but the ETag.
            None => self.header != ETAG,
        };
        if !is_same {
            return Err("the image has changed".into());
        }
        let range = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or("none");
        content_range(range)
            .filter(|(first, last, total)| *first == stands.n_bytes && last + 1 == *total)
            .map(|(_, _, total)| total)
            .filter(|total| stands.bytes_total.is_none_or(|before| before == *total))
            .ok_or_else(|| format!("not the range that was asked for, but {range:?}"))
    }
}

/// The first byte, the last byte and the length of the whole in `bytes 10-99/100`.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, last, total))
}

/// Sends a request within the time that is left.
async fn sent(request: RequestBuilder, time_is_up: &mut Pin<Box<Sleep>>) -> Result<Response, Lost> {
    select! {
        biased;
        () = time_is_up => Err(Lost::on_the_way("it took too long")),
        response = request.send() => response.map_err(Lost::from),
    }
}

fn lost(url: &Url, Lost { words, is_refused, .. }: &Lost) -> Fault {
    let kind = if *is_refused { FaultKind::BadOutput } else { FaultKind::Transient };
    Fault::new(kind, format!("could not download {}: {words}", answer::shown(url)))
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

    fn mark(pairs: &[(&str, &str)]) -> Option<String> {
        Mark::of(&headers(pairs)).map(|mark| format!("{}: {}", mark.header, mark.value.to_str().unwrap()))
    }

    #[test]
    fn only_a_host_that_serves_ranges_of_a_marked_image_is_asked_to_go_on() {
        let bytes = ("accept-ranges", "bytes");
        let (modified, now) = (("last-modified", DAY), ("date", DAY_LATER));
        assert_eq!(mark(&MARKED).as_deref(), Some("etag: \"a\""));
        assert_eq!(mark(&[bytes, modified, now]), Some(format!("last-modified: {DAY}")));
        assert_eq!(mark(&[bytes, ("etag", "\"a\""), modified, now]).as_deref(), Some("etag: \"a\""));
        for pairs in [
            &[][..],
            &[bytes],
            &[("etag", "\"a\"")],
            &[("accept-ranges", "none"), ("etag", "\"a\"")],
            &[bytes, ("etag", "W/\"a\"")],
            &[bytes, ("etag", "W/\"a\""), modified, now],
            &[bytes, modified],
            &[bytes, modified, ("date", DAY)],
        ] {
            assert_eq!(mark(pairs), None, "{pairs:?}");
        }
    }

    /// What the answer to a continuation of this mark, at byte 40 of 100, comes to.
    fn rest(marked: &[(&str, &str)], status: u16, answer: &[(&str, &str)]) -> Result<u64, String> {
        let stands = Stands { n_bytes: 40, bytes_total: Some(100), ..Stands::default() };
        Mark::of(&headers(marked)).unwrap().total_of_rest(status, &headers(answer), &stands)
    }

    #[test]
    fn the_rest_must_be_the_rest_of_the_same_image() {
        let (range, etag) = (("content-range", "bytes 40-99/100"), ("etag", "\"a\""));
        assert_eq!(rest(&MARKED, 206, &[range, etag]), Ok(100));
        assert_eq!(rest(&MARKED, 200, &[etag]), Err("HTTP status 200".into()));
        assert_eq!(rest(&MARKED, 416, &[etag]), Err("HTTP status 416".into()));
        for answer in [&[range][..], &[range, ("etag", "\"b\"")], &[range, ("etag", "W/\"a\"")]] {
            assert_eq!(rest(&MARKED, 206, answer), Err("the image has changed".into()), "{answer:?}");
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
            let words = rest(&MARKED, 206, &[("content-range", wrong), etag]).unwrap_err();
            assert!(words.starts_with("not the range"), "{wrong}: {words}");
        }
        assert!(rest(&MARKED, 206, &[etag]).is_err(), "many parts in one answer have no range of their own");
    }

    #[test]
    fn an_answer_marked_by_its_date_may_leave_it_out() {
        let (range, marked) =
            (("content-range", "bytes 40-99/100"), [MARKED[0], ("last-modified", DAY), ("date", DAY_LATER)]);
        assert_eq!(rest(&marked, 206, &[range]), Ok(100));
        assert_eq!(rest(&marked, 206, &[range, ("last-modified", DAY)]), Ok(100));
        assert!(rest(&marked, 206, &[range, ("last-modified", DAY_LATER)]).is_err());
    }

    #[test]
    fn a_length_that_was_not_known_is_learnt() {
        let stands = Stands { n_bytes: 40, ..Stands::default() };
        let answer = headers(&[("content-range", "bytes 40-99/100"), ("etag", "\"a\"")]);
        assert_eq!(Mark::of(&headers(&MARKED)).unwrap().total_of_rest(206, &answer, &stands), Ok(100));
    }

    #[test]
    fn a_download_is_continued_a_few_times_and_only_while_bytes_come() {
        let mut stands = Stands::default();
        assert!(stands.begin_again().is_err(), "there is nothing to go on with");
        for n in 1..=CONTINUATIONS_MAX {
            stands.n_bytes += 1;
            assert_eq!((stands.begin_again(), stands.n_continued), (Ok(()), n));
            assert!(stands.begin_again().is_err(), "no byte came since");
        }
        stands.n_bytes += 1;
        assert!(stands.begin_again().is_err());
    }
}
