//! Image links: which are followed, and how messages show them.

use std::time::Duration;

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

/// Creates the fault for an image link whose response is not an image. `retry_after` is the wait that the response requests.
///
/// A host that is busy or broken is so for any image. Another refusal concerns this link, and a fresh link may work.
pub fn image_refused(status: u16, retry_after: Option<Duration>, link: &Link) -> Fault {
    let kind = match (status, retry_after) {
        (429, _) | (503, Some(_)) => FaultKind::Throttled { retry_after },
        (408 | 425 | 500.., _) => FaultKind::Transient,
        _ => FaultKind::BadOutput,
    };
    Fault::new(kind, format!("could not download {}: HTTP status {status}", shown(link)))
}

/// Shortens a link for messages and removes parts that may be secret.
pub(super) fn shown(link: &Link) -> String {
    excerpt(&link::shown(&link.0), LINK_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_the_host_or_the_link_is_at_fault() {
        let link = Link("https://images/a.png".into());
        let code = |status, secs: Option<u64>| image_refused(status, secs.map(Duration::from_secs), &link).kind.code();
        for (status, secs, expected) in [
            (429, None, "throttled"),
            (429, Some(3), "throttled"),
            (503, Some(3), "throttled"),
            (503, None, "transient"),
            (500, Some(3), "transient"),
            (502, None, "transient"),
            (520, None, "transient"),
            (408, None, "transient"),
            (425, None, "transient"),
            (400, None, "bad_output"),
            (403, Some(3), "bad_output"),
            (404, None, "bad_output"),
            (410, None, "bad_output"),
            (204, None, "bad_output"),
            (304, None, "bad_output"),
        ] {
            assert_eq!(code(status, secs), expected, "{status} {secs:?}");
        }
    }

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
