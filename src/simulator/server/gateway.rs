//! Network path between client and service: proxies with their own pages, caches, and wrong routes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::time::Timestamp;
use crate::simulator::faults::{InjectedFault, SubmitFault};
use crate::simulator::message::{HttpRequest, Reply, ReplyBody};
use crate::simulator::pages::{self, GatewayPage};
use crate::simulator::picture::Picture;
use crate::simulator::server::{SIZE, Server};
use crate::simulator::task::{Task, TaskOutcome};

/// Duration of a wrong route.
const MISROUTED_FOR: Duration = Duration::from_secs(4);

/// Statuses of errors that may contain a task id.
const ID_STATUSES: [u16; 4] = [400, 429, 500, 503];

/// State of the network path between two submissions.
#[derive(Clone, Debug, Default)]
pub(super) struct Gateway {
    /// Body of the last acceptance, as a cache stores it.
    cached: Option<Vec<u8>>,
    /// Page that answers all submissions, and the start of the wrong route.
    misrouted: Option<(&'static GatewayPage, Timestamp)>,
}

impl Server {
    /// Returns the page that answers every submission at this time; `None` without a wrong route.
    pub(super) fn misrouted(&mut self, now: Timestamp) -> Option<Reply> {
        let (page, since) = self.gateway.misrouted?;
        if now.since(since) >= MISROUTED_FOR {
            self.gateway.misrouted = None;
            return None;
        }
        self.count_fault(InjectedFault::Submit(SubmitFault::Misrouted));
        Some(Reply::of_page(page))
    }

    /// Starts a wrong route for all submissions; returns its page.
    pub(super) fn misroute(&mut self, now: Timestamp) -> Reply {
        let page = self.draw_page(|page| matches!(page.status, 301 | 400 | 404 | 405));
        self.gateway.misrouted = Some((page, now));
        Reply::of_page(page)
    }

    /// Returns a random page of a gateway or proxy.
    pub(super) fn page(&mut self) -> Reply {
        Reply::of_page(self.draw_page(|_| true))
    }

    fn draw_page(&mut self, is_wanted: impl Fn(&GatewayPage) -> bool) -> &'static GatewayPage {
        let pages: Vec<_> = pages::all().filter(|page| is_wanted(page)).collect();
        self.rng.choice(pages).expect("there are pages of every kind")
    }

    /// Stores an acceptance, as a cache on the network path does.
    pub(super) fn cache(&mut self, acceptance: &Reply) {
        if let ReplyBody::Bytes(body) = &acceptance.body {
            self.gateway.cached = Some(body.clone());
        }
    }

    /// Returns the previous acceptance; `None` if there was none.
    pub(super) fn cached(&self) -> Option<Reply> {
        let body = self.gateway.cached.clone()?;
        Some(Reply::new(200, "application/json", ReplyBody::Bytes(body)))
    }

    /// Turns an acceptance into an error: adds an error envelope next to the task id.
    pub(super) fn id_in_error(&mut self, acceptance: Reply) -> Reply {
        let status = self.rng.choice(ID_STATUSES).expect("the list is not empty");
        let mut answer: Value = serde_json::from_slice(&acceptance.body.into_bytes()).unwrap_or_default();
        answer["errors"] = json!({ "code": status, "message": "Server is busy, please try again later" });
        Reply::json(status, &answer)
    }

    /// Returns the response to the poll of another task, which has succeeded.
    pub(super) fn other_task(&mut self, now: Timestamp, request: &HttpRequest) -> Reply {
        let picture = Picture::new(self.rng.u64(..), self.config.image_size.unwrap_or(SIZE));
        let task =
            Task::new(now.before(Duration::from_secs(1)), Duration::ZERO, picture, TaskOutcome::Succeeds, u32::MAX);
        self.progress(now, request, &task)
    }
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
