//! Network path between client and service: proxies with their own pages, caches, and wrong routes.

use std::time::Duration;

use fastrand::Rng;

use crate::model::time::Timestamp;
use crate::simulator::message::{Reply, ReplyBody};
use crate::simulator::pages::{self, GatewayPage};

/// Duration of a wrong route.
const MISROUTED_FOR: Duration = Duration::from_secs(4);

/// State of the network path between two submissions.
#[derive(Clone, Debug, Default)]
pub(super) struct Gateway {
    /// Last acceptance, as a cache stores it: its type and its body.
    cached: Option<(String, ReplyBody)>,
    /// Page that answers all submissions, and the start of the wrong route.
    misrouted: Option<(&'static GatewayPage, Timestamp)>,
}

impl Gateway {
    /// Returns the page that answers every submission at this time; `None` without a wrong route.
    pub(super) fn misrouted(&mut self, now: Timestamp) -> Option<Reply> {
        let (page, since) = self.misrouted?;
        if now.since(since) >= MISROUTED_FOR {
            self.misrouted = None;
            return None;
        }
        Some(Reply::of_page(page))
    }

    /// Starts a wrong route for all submissions; returns its page.
    pub(super) fn misroute(&mut self, now: Timestamp, rng: &mut Rng) -> Reply {
        let page = draw_page(rng, |page| matches!(page.status, 301 | 400 | 404 | 405));
        self.misrouted = Some((page, now));
        Reply::of_page(page)
    }

    /// Stores an acceptance, as a cache on the network path does.
    pub(super) fn cache(&mut self, acceptance: &Reply) {
        let content_type = acceptance.header("content-type").unwrap_or("application/json");
        self.cached = Some((content_type.to_owned(), acceptance.body.clone()));
    }

    /// Returns the previous acceptance; `None` if there was none.
    pub(super) fn cached(&self) -> Option<Reply> {
        let (content_type, body) = self.cached.clone()?;
        Some(Reply::new(200, &content_type, body))
    }
}

/// Returns a random page of a gateway or proxy.
pub(super) fn page(rng: &mut Rng) -> Reply {
    Reply::of_page(draw_page(rng, |_| true))
}

fn draw_page(rng: &mut Rng, is_wanted: impl Fn(&GatewayPage) -> bool) -> &'static GatewayPage {
    let pages: Vec<_> = pages::all().filter(|page| is_wanted(page)).collect();
    rng.choice(pages).expect("there are pages of every kind")
}

impl Reply {
    /// Creates a response from the page of a server other than the API.
    fn of_page(page: &GatewayPage) -> Self {
        let reply = Self::new(page.status, page.content_type, ReplyBody::Bytes(page.body.into()));
        match page.header {
            Some((name, value)) => reply.with(name, value),
            None => reply,
        }
    }
}
