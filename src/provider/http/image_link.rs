//! Image links: which are followed, and how messages show them.

use reqwest::Url;

use crate::model::escape::excerpt;
use crate::model::link;
use crate::model::outcome::{Fault, FaultKind, Url as Link};

/// Longest excerpt of a link in a message, in characters.
const LINK_CHARS_MAX: usize = 200;

/// Parses an image link. Only `http` and `https` links are allowed.
pub(super) fn image_url(link: &Link) -> Result<Url, Fault> {
    let url = Url::parse(&link.0).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        let words = format!("the link {} is not a web address; the task may give a better one", shown(link));
        Fault::new(FaultKind::BadOutput, words)
    })
}

/// Creates the fault for an image link whose response is not an image. The fault is transient, because a new link may work.
pub fn image_refused(status: u16, link: &Link) -> Fault {
    Fault::new(FaultKind::Transient, format!("could not download {}: HTTP status {status}", shown(link)))
}

/// Shortens a link for messages and removes parts that may be secret.
pub(super) fn shown(link: &Link) -> String {
    excerpt(&link::shown(&link.0), LINK_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_on_the_web_are_fetched() {
        let is_taken = |link: &str| image_url(&Link(link.into())).is_ok();
        assert!(is_taken("https://a.example/x.png") && is_taken("http://127.0.0.1:1/x"));
        for link in
            ["", "x.png", "//a.example/x", "file:///etc/passwd", "data:image/png;base64,AA", "ftp://a.example/x"]
        {
            assert!(!is_taken(link), "{link}");
        }
    }
}
