//! Image host of the simulator: pictures, parts of them, links that expire, and faults of downloads.

use crate::model::time::Timestamp;
use crate::simulator::described::auth::has_token;
use crate::simulator::faults::{ImageFault, InjectedFault};
use crate::simulator::message::{Delivery, HttpRequest, Reply, ReplyBody};
use crate::simulator::picture::Picture;
use crate::simulator::range::ByteRange;
use crate::simulator::server::{IMAGE_PATH, Server};

impl Server {
    /// Returns the link of a picture, for a client that polls now.
    pub(super) fn link(&self, now: Timestamp, request: &HttpRequest, picture: Picture) -> String {
        let lifetime =
            self.config.link_lifetime.map(|lifetime| i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
        let expires_at = lifetime.map(|millis| Timestamp::from_millis(now.millis().saturating_add(millis)));
        Self::link_until(request, picture, expires_at)
    }

    /// Returns the link of a picture that lasts until this time, rounded down to a second.
    pub(super) fn link_until(request: &HttpRequest, picture: Picture, expires_at: Option<Timestamp>) -> String {
        let host = request.header("host").unwrap_or("127.0.0.1");
        let link = format!("http://{host}{IMAGE_PATH}{}.png", picture.name());
        match expires_at {
            Some(expires_at) => format!("{link}?Expires={}", expires_at.millis().div_euclid(1000)),
            None => link,
        }
    }

    fn has_token(&self, request: &HttpRequest) -> bool {
        match &self.config.api {
            None => request.header("authorization").is_some(),
            Some(api) => has_token(api, request),
        }
    }

    /// Returns whether every link has a time at which it expires.
    fn links_expire(&self) -> bool {
        self.config.link_lifetime.is_some() || self.config.api.as_ref().is_some_and(|api| api.keeps.is_some())
    }

    /// Answers a request for an image.
    pub(super) fn image(&mut self, now: Timestamp, request: &HttpRequest, name: &str) -> Reply {
        self.stats.n_images += 1;
        self.stats.n_token_leaks += u64::from(self.has_token(request));
        let name = name.strip_suffix(".png").or_else(|| name.strip_suffix(".jpg"));
        let missing = || Reply::xml_error(404, "NoSuchKey", "The specified key does not exist.");
        let expired = || Reply::xml_error(403, "AccessDenied", "Request has expired.");
        let Some(picture) = name.and_then(Picture::from_name) else { return missing() };
        if self.links_expire() && expires_at(request).is_none_or(|expires_at| expires_at <= now) {
            self.stats.n_links_expired += 1;
            return expired();
        }
        let whole = picture_reply(request, picture);
        let Some(fault) = self.config.faults.draw_image(&mut self.rng) else {
            self.stats.n_images_continued += u64::from(whole.range.is_some());
            return whole;
        };
        self.count_fault(InjectedFault::Image(fault));
        match fault {
            ImageFault::Broken => Reply::xml_error(500, "InternalError", "We encountered an internal error."),
            ImageFault::NotFound => missing(),
            ImageFault::Cut => {
                self.stats.n_images_continued += u64::from(whole.range.is_some());
                whole.delivered(Delivery::CutMidway)
            }
            ImageFault::Short => Reply { body: ReplyBody::HalfPicture(picture), ..whole },
            ImageFault::Html => Reply::page(200),
            ImageFault::Hang => Reply::lost(Delivery::Hang),
            ImageFault::Expired => expired(),
        }
    }
}

/// Returns the picture or its requested part. The part is sent only if the client means this very picture.
fn picture_reply(request: &HttpRequest, picture: Picture) -> Reply {
    let etag = format!("\"{}\"", picture.name());
    let is_meant = request.header("if-range").is_none_or(|mark| mark == etag);
    let range = request.header("range").filter(|_| is_meant).and_then(ByteRange::parse);
    let whole =
        Reply::new(200, "image/png", ReplyBody::Picture(picture)).with("accept-ranges", "bytes").with("etag", etag);
    Reply { range, ..whole }
}

/// Returns the expiry time in the query of the link; `None` if it has none.
fn expires_at(request: &HttpRequest) -> Option<Timestamp> {
    let (_, query) = request.path.split_once('?')?;
    let seconds: i64 = query.strip_prefix("Expires=")?.parse().ok()?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::simulator::config::SimulatorConfig;
    use crate::simulator::server::tests::{CAT, at, calm, image_path, submit};

    fn with_image(config: SimulatorConfig) -> (Server, HttpRequest) {
        let mut server = Server::new(config);
        let id = submit(&mut server, at(0), CAT);
        let path = image_path(&mut server, &id);
        (server, HttpRequest::get(path))
    }

    #[test]
    fn the_rest_of_a_picture_is_its_rest() {
        let (mut server, get) = with_image(calm());
        let whole = server.handle(at(0), &get).drawn();
        let etag = whole.header("etag").unwrap().to_owned();
        assert_eq!(
            (whole.status, whole.header("accept-ranges"), whole.header("content-range")),
            (200, Some("bytes"), None)
        );
        let bytes = whole.body.into_bytes();
        let n_bytes = bytes.len();

        let rest = server.handle(at(0), &get.clone().with("range", "bytes=1000-").with("if-range", &etag)).drawn();
        assert_eq!((rest.status, rest.header("etag")), (206, Some(etag.as_str())));
        assert_eq!(rest.header("content-range"), Some(format!("bytes 1000-{}/{n_bytes}", n_bytes - 1).as_str()));
        assert_eq!(rest.body.into_bytes(), bytes[1000..]);
        let part = server.handle(at(0), &get.clone().with("range", "bytes=5-9")).drawn();
        assert_eq!((part.status, part.body.into_bytes()), (206, bytes[5..10].to_vec()));
        assert_eq!((server.stats().n_images, server.stats().n_images_continued), (3, 2));

        let other = server.handle(at(0), &get.clone().with("range", "bytes=5-9").with("if-range", "\"other\"")).drawn();
        assert_eq!((other.status, other.body.into_bytes()), (200, bytes));
        let behind = server.handle(at(0), &get.with("range", format!("bytes={n_bytes}-"))).drawn();
        assert_eq!((behind.status, behind.header("content-range")), (416, Some(format!("bytes */{n_bytes}").as_str())));
    }

    #[test]
    fn a_link_lasts_as_long_as_it_says() {
        let (mut server, get) = with_image(SimulatorConfig { link_lifetime: Some(Duration::from_secs(30)), ..calm() });
        // The helper polls an hour after the start.
        let polled_at = 3_600_000;
        let seconds: i64 = get.path.split_once("?Expires=").unwrap().1.parse().unwrap();
        assert_eq!(seconds * 1000, at(polled_at + 30_000).millis());
        assert_eq!(server.handle(at(polled_at + 29_999), &get).status, 200);
        let bare = HttpRequest::get(get.path.split('?').next().unwrap());
        for (now, request) in [(polled_at + 30_000, &get), (polled_at, &bare)] {
            let refused = server.handle(at(now), request);
            assert_eq!(refused.status, 403);
            let words = String::from_utf8(refused.body.into_bytes()).unwrap();
            assert!(words.contains("AccessDenied") && words.contains("Request has expired."), "{words}");
        }
        assert_eq!((server.stats().n_images, server.stats().n_links_expired), (3, 2));
    }
}
