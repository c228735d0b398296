//! What goes into the simulated server and what comes out: requests and replies as plain values.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::provider::simulator::picture::Picture;
use crate::provider::simulator::range::ByteRange;

/// The longest request body that is read.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// One request, as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, in capitals.
    pub method: String,
    /// The path, with its query if it has one.
    pub path: String,
    /// The headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A GET of this path.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET".into(), path: path.into(), ..Self::default() }
    }

    /// A POST of this body to this path.
    pub fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { method: "POST".into(), path: path.into(), body: body.into(), ..Self::default() }
    }

    /// The same request with one more header; `name` in lower case.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    /// The value of the header with this name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What a submission asks for: a hash of all its fields, in whatever order and with whatever spacing they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentKey(u64);

impl ContentKey {
    /// The key of this request body; none where it is not JSON.
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

/// The first eight bytes of the BLAKE3 hash.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// The server's answer, and what becomes of it on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// The part of the body that was asked for; nothing where it was all of it.
    pub range: Option<ByteRange>,
    /// How much of all this reaches the client.
    pub delivery: Delivery,
    /// How long it is held back.
    pub delay: Duration,
}

/// The body of an answer. Pictures are drawn when they are sent, not when they are decided upon: drawing takes time,
/// and the server may be locked while it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The PNG of this picture.
    Picture(Picture),
    /// The first half of that PNG, as if it were all of it.
    HalfPicture(Picture),
}

impl Body {
    /// The bytes of the body; this is where a picture is drawn.
    pub fn into_bytes(self) -> Vec<u8> {
        self.into_bytes_by(Picture::png)
    }

    /// The picture in it, if there is one.
    pub(super) const fn picture(&self) -> Option<Picture> {
        match self {
            Self::Bytes(_) => None,
            Self::Picture(picture) | Self::HalfPicture(picture) => Some(*picture),
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
        }
    }
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives.
    Whole,
    /// The connection is dropped with no byte of answer, and nothing has been done.
    CutBefore,
    /// The request has been carried out, and the connection is dropped with no byte of answer.
    CutAfter,
    /// The head and the first half of the body arrive, then the connection is dropped.
    CutMidway,
    /// The request has been carried out, and the connection stays open with no byte of answer.
    Hang,
}

/// A page such as a gateway shows in place of an answer.
const PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\
                    \r\n</body>\r\n</html>\r\n";

/// The beginning of an answer, and then nothing that makes sense.
const GARBAGE: &[u8] = b"{\"task_id\":\"\x00\xfe\xff\x1b[2J\x07";

impl Reply {
    /// An answer with this body, which arrives.
    pub fn new(status: u16, content_type: &str, body: Body) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body, range: None, delivery: Delivery::Whole, delay: Duration::ZERO }
    }

    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", Body::Bytes(value.to_string().into_bytes()))
    }

    /// The envelope of everything that the API refuses.
    pub(super) fn error(status: u16, message: &str, request_id: &str) -> Self {
        Self::json(status, &json!({ "errors": { "code": status, "message": message }, "request_id": request_id }))
    }

    /// The envelope of everything that the image host refuses.
    pub(super) fn xml_error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>{code}</Code>\n  <Message>{message}</Message>\n</Error>\n"
        );
        Self::new(status, "application/xml", Body::Bytes(body.into_bytes()))
    }

    pub(super) fn page(status: u16) -> Self {
        Self::new(status, "text/html", Body::Bytes(PAGE.into()))
    }

    pub(super) fn garbage() -> Self {
        Self::new(200, "application/json", Body::Bytes(GARBAGE.into()))
    }

    /// An answer of which nobody will see a byte.
    pub(super) fn lost(delivery: Delivery) -> Self {
        Self { delivery, ..Self::new(200, "application/json", Body::Bytes(Vec::new())) }
    }

    #[must_use]
    pub(super) fn delivered(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer as it goes out: its picture drawn, and of its body the part that was asked for.
    #[must_use]
    pub fn drawn(self) -> Self {
        self.drawn_by(Picture::png)
    }

    /// The same with a picture that may have been drawn before.
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
        headers.extend(content_range.map(|range| ("content-range", range)));
        Self { status, headers, body: Body::Bytes(bytes), range: None, ..self }
    }

    /// The value of the header with this name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
    }
}
