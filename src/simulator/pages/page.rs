//! Response of a server other than the API.

/// Response of a server, gateway or proxy other than the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GatewayPage {
    /// Sender of the response, and its cause.
    pub name: &'static str,
    /// HTTP status code.
    pub status: u16,
    /// Value of the `Content-Type` header.
    pub content_type: &'static str,
    /// Additional header with its value; its name is in lower case.
    pub header: Option<(&'static str, &'static str)>,
    /// Body of the response.
    pub body: &'static str,
}

pub(super) const HTML: &str = "text/html";
pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain";

pub(super) const fn page(
    name: &'static str,
    status: u16,
    content_type: &'static str,
    body: &'static str,
) -> GatewayPage {
    GatewayPage { name, status, content_type, header: None, body }
}

pub(super) const fn with(page: GatewayPage, name: &'static str, value: &'static str) -> GatewayPage {
    GatewayPage { header: Some((name, value)), ..page }
}
