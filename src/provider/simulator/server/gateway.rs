//! What stands between the client and the service: proxies with pages of their own, caches, and routes that lead elsewhere.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::time::Timestamp;
use crate::provider::simulator::faults::{PlannedFault, SubmitFault};
use crate::provider::simulator::message::{Body, HttpRequest, Reply};
use crate::provider::simulator::pages::{self, Page};
use crate::provider::simulator::picture::Picture;
use crate::provider::simulator::server::{SIZE, Server};
use crate::provider::simulator::task::{Fate, Task};

/// How long submissions are led elsewhere.
const MISROUTED_FOR: Duration = Duration::from_secs(4);

/// Statuses of errors that an id may come with.
const ID_STATUSES: [u16; 4] = [400, 429, 500, 503];

/// What of the way is remembered from one submission to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Gateway {
    /// The body of the last acceptance, as a cache keeps it.
    cached: Option<Vec<u8>>,
    /// What answers all submissions, and since when.
    misrouted: Option<(&'static Page, Timestamp)>,
}

impl Server {
    /// The page that answers every submission at this time, if there is one.
    pub(super) fn misrouted(&mut self, now: Timestamp) -> Option<Reply> {
        let (page, since) = self.gateway.misrouted?;
        if now.since(since) >= MISROUTED_FOR {
            self.gateway.misrouted = None;
            return None;
        }
        self.count_fault(PlannedFault::Submit(SubmitFault::Misrouted));
        Some(Reply::of_page(page))
    }

    /// Leads all submissions elsewhere from now on, for a while.
    pub(super) fn misroute(&mut self, now: Timestamp) -> Reply {
        let page = self.draw_page(|page| matches!(page.status, 301 | 400 | 404 | 405));
        self.gateway.misrouted = Some((page, now));
        Reply::of_page(page)
    }

    /// The page of something on the way.
    pub(super) fn page(&mut self) -> Reply {
        Reply::of_page(self.draw_page(|_| true))
    }

    fn draw_page(&mut self, is_wanted: impl Fn(&Page) -> bool) -> &'static Page {
        let pages: Vec<_> = pages::all().filter(|page| is_wanted(page)).collect();
        self.rng.choice(pages).expect("there are pages of every kind")
    }

    /// Keeps an acceptance as a cache on the way does.
    pub(super) fn cache(&mut self, acceptance: &Reply) {
        if let Body::Bytes(body) = &acceptance.body {
            self.gateway.cached = Some(body.clone());
        }
    }

    /// The acceptance before, if there was one.
    pub(super) fn cached(&self) -> Option<Reply> {
        let body = self.gateway.cached.clone()?;
        Some(Reply::new(200, "application/json", Body::Bytes(body)))
    }

    /// An acceptance that comes as an error: its id beside the envelope.
    pub(super) fn id_in_error(&mut self, acceptance: Reply) -> Reply {
        let status = self.rng.choice(ID_STATUSES).expect("the list is not empty");
        let mut answer: Value = serde_json::from_slice(&acceptance.body.into_bytes()).unwrap_or_default();
        answer["errors"] = json!({ "code": status, "message": "Server is busy, please try again later" });
        Reply::json(status, &answer)
    }

    /// The answer to a poll for another task, which is done.
    pub(super) fn other_task(&mut self, now: Timestamp, request: &HttpRequest) -> Reply {
        let picture = Picture::new(self.rng.u64(..), self.config.image_size.unwrap_or(SIZE));
        let task = Task::new(now.before(Duration::from_secs(1)), Duration::ZERO, picture, Fate::Succeeds, u32::MAX);
        self.progress(now, request, &task)
    }
}

impl Reply {
    /// The page of something that is not the API.
    fn of_page(page: &Page) -> Self {
        let reply = Self::new(page.status, page.content_type, Body::Bytes(page.body.into()));
        match page.header {
            Some((name, value)) => reply.with(name, value),
            None => reply,
        }
    }
}
