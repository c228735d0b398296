//! One answer that is not the API's.

/// One answer of something that is not the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Who sends it, and when.
    pub name: &'static str,
    /// The status code.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: &'static str,
    /// Another header, in lower case, with its value.
    pub header: Option<(&'static str, &'static str)>,
    /// The body.
    pub body: &'static str,
}

pub(super) const HTML: &str = "text/html";
pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain";

pub(super) const fn page(name: &'static str, status: u16, content_type: &'static str, body: &'static str) -> Page {
    Page { name, status, content_type, header: None, body }
}

pub(super) const fn with(page: Page, name: &'static str, value: &'static str) -> Page {
    Page { header: Some((name, value)), ..page }
}
