//! Requests and replies of the simulated server, as plain values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::simulator::picture::Picture;
use crate::simulator::range::ByteRange;

/// Longest request body that is read, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// HTTP request as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// Method, in capitals.
    pub method: String,
    /// Path, with its query if there is one.
    pub path: String,
    /// Headers; names are in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body; empty if there is none.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// Creates a GET request for this path.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET".into(), path: path.into(), ..Self::default() }
    }

    /// Creates a POST request with this body for this path.
    pub fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { method: "POST".into(), path: path.into(), body: body.into(), ..Self::default() }
    }

    /// Returns the request with one more header; `name` is in lower case.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    /// Returns the value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Hash of all fields of a submission. It does not depend on their order and spacing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentKey(u64);

impl ContentKey {
    /// Returns the key of this request body; `None` if it is not JSON.
    pub fn of_body(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(|value| Self::of(&value))
    }

    pub(super) fn of(value: &Value) -> Self {
        // serde_json keeps the fields of an object sorted by name.
        Self(hash(value.to_string().as_bytes()))
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }
}

/// Returns the first eight bytes of the BLAKE3 hash.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// Response of the server, and its delivery over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// Headers; names are in lower case.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Body of the response.
    pub body: ReplyBody,
    /// Requested part of the body; `None` for the whole body.
    pub range: Option<ByteRange>,
    /// Part of the response that reaches the client.
    pub delivery: Delivery,
    /// Delay before the response is sent.
    pub delay: Duration,
}

/// Body of a response. Pictures are drawn when they are sent, not when the reply is decided. Drawing takes time, and the server may be
/// locked while it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// Bytes that are sent as they are.
    Bytes(Vec<u8>),
    /// PNG file of this picture.
    Picture(Picture),
    /// First half of this PNG file, sent as if it were complete.
    HalfPicture(Picture),
    /// Text with the PNG file of a picture as base64 inside.
    Inline(InlinePicture),
}

/// Text with a picture as base64 inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlinePicture {
    /// Text before the picture.
    pub before: String,
    /// Picture.
    pub picture: Picture,
    /// True if only the first half of the file is sent, as if it were complete.
    pub is_half: bool,
    /// Text behind the picture.
    pub after: String,
}

impl ReplyBody {
    /// Returns the bytes of the body; draws its picture, if any.
    pub fn into_bytes(self) -> Vec<u8> {
        self.into_bytes_by(Picture::png)
    }

    /// Returns the picture in the body; `None` for plain bytes.
    pub(super) const fn picture(&self) -> Option<Picture> {
        match self {
            Self::Bytes(_) => None,
            Self::Picture(picture) | Self::HalfPicture(picture) => Some(*picture),
            Self::Inline(inline) => Some(inline.picture),
        }
    }

    fn into_bytes_by(self, draw: impl FnOnce(Picture) -> Vec<u8>) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Picture(picture) => draw(picture),
            Self::HalfPicture(picture) => {
                let mut bytes = draw(picture);
                bytes.truncate(bytes.len() / 2);
                bytes
            }
            Self::Inline(InlinePicture { before, picture, is_half, after }) => {
                let bytes = draw(picture);
                let n_bytes = if is_half { bytes.len() / 2 } else { bytes.len() };
                [before, STANDARD.encode(&bytes[..n_bytes]), after].concat().into_bytes()
            }
        }
    }
}

/// Delivery of a response to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Response arrives complete.
    Whole,
    /// Connection is dropped without a byte of response; the request has not been executed.
    CutBefore,
    /// Connection is dropped without a byte of response; the request has been executed.
    CutAfter,
    /// Connection is dropped after the head and the first half of the body.
    CutMidway,
    /// Connection stays open without a byte of response; the request has been executed.
    Hang,
}

/// Page as a gateway sends it in place of a response.
const PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\
                    \r\n</body>\r\n</html>\r\n";

/// Beginning of a response, followed by meaningless bytes.
const GARBAGE: &[u8] = b"{\"task_id\":\"\x00\xfe\xff\x1b[2J\x07";

impl Reply {
    /// Creates a response with this body, which arrives complete.
    pub fn new(status: u16, content_type: &str, body: ReplyBody) -> Self {
        let headers = vec![("content-type".into(), content_type.to_owned())];
        Self { status, headers, body, range: None, delivery: Delivery::Whole, delay: Duration::ZERO }
    }

    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", ReplyBody::Bytes(value.to_string().into_bytes()))
    }

    /// Creates a refusal of the API in its error envelope.
    pub(super) fn error(status: u16, message: &str, request_id: &str) -> Self {
        Self::json(status, &json!({ "errors": { "code": status, "message": message }, "request_id": request_id }))
    }

    /// Creates a refusal of the image host in its error envelope.
    pub(super) fn xml_error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>{code}</Code>\n  <Message>{message}</Message>\n</Error>\n"
        );
        Self::new(status, "application/xml", ReplyBody::Bytes(body.into_bytes()))
    }

    pub(super) fn page(status: u16) -> Self {
        Self::new(status, "text/html", ReplyBody::Bytes(PAGE.into()))
    }

    pub(super) fn garbage() -> Self {
        Self::new(200, "application/json", ReplyBody::Bytes(GARBAGE.into()))
    }

    /// Creates a response of which no byte reaches the client.
    pub(super) fn lost(delivery: Delivery) -> Self {
        Self { delivery, ..Self::new(200, "application/json", ReplyBody::Bytes(Vec::new())) }
    }

    #[must_use]
    pub(super) fn delivered(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }

    #[must_use]
    pub(super) fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Returns the response as it is sent: with its picture drawn, and with the requested part of its body.
    #[must_use]
    pub fn drawn(self) -> Self {
        self.drawn_by(Picture::png)
    }

    /// Returns the response as it is sent, with a picture that may come from a cache.
    pub(super) fn drawn_by(self, draw: impl FnOnce(Picture) -> Vec<u8>) -> Self {
        let Self { range, body, .. } = self;
        let mut bytes = body.into_bytes_by(draw);
        let n_bytes = bytes.len();
        let (status, content_range) = match range.map(|range| range.within(n_bytes)) {
            None => (self.status, None),
            Some(None) => {
                bytes.clear();
                (416, Some(format!("bytes */{n_bytes}")))
            }
            Some(Some(part)) => {
                let content_range = format!("bytes {}-{}/{n_bytes}", part.start, part.end - 1);
                bytes = bytes[part].to_vec();
                (206, Some(content_range))
            }
        };
        let mut headers = self.headers;
        headers.extend(content_range.map(|range| ("content-range".into(), range)));
        Self { status, headers, body: ReplyBody::Bytes(bytes), range: None, ..self }
    }

    /// Returns the value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
    }
}
