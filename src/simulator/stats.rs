//! Statistics of the simulated service, for tests and for inspection.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::amount::Amount;
use crate::simulator::faults::InjectedFault;

/// Counters since the server was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Submissions received, whatever their result.
    pub n_submits: u64,
    /// Tasks accepted, which a client would have paid for.
    pub n_accepted: u64,
    /// Sum of what the answers say that the accepted tasks cost; zero for an API whose answers say nothing.
    pub billed: Amount,
    /// Different contents among the accepted tasks.
    pub n_contents: u64,
    /// Tasks whose content was accepted before, which a client would have paid for twice.
    pub n_accepted_twice: u64,
    /// Highest number of unfinished tasks at one time.
    pub n_unfinished_max: usize,
    /// Polls received.
    pub n_polls: u64,
    /// Polls for unknown tasks, or without the header that gives the type of task.
    pub n_polls_lost: u64,
    /// Requests for the results of finished tasks, of APIs that have them apart.
    pub n_results: u64,
    /// Questions for submissions, of APIs that answer them.
    pub n_finds: u64,
    /// Submissions with the id of an accepted one, which were answered like the first.
    pub n_repeated: u64,
    /// Requests for images.
    pub n_images: u64,
    /// Requests for the rest of an image, included in `n_images`.
    pub n_images_continued: u64,
    /// Bytes of images that were handed to their connections.
    pub n_image_bytes: u64,
    /// Requests for images with an expired link, included in `n_images`.
    pub n_links_expired: u64,
    /// Requests for images that carried a token, which an image host must never receive.
    pub n_token_leaks: u64,
    /// Refused requests, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Faults that were injected, with the number of each.
    pub faults: BTreeMap<InjectedFault, u64>,
}

impl Stats {
    /// Returns how often this fault was injected.
    pub fn n_faults(&self, fault: InjectedFault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or(0)
    }

    /// Returns how many requests were refused for this [reason](crate::simulator::refusal::Refusal::reason).
    pub fn n_refused(&self, reason: &str) -> u64 {
        self.refused.get(reason).copied().unwrap_or(0)
    }

    pub(super) fn to_json(&self) -> Value {
        let faults: BTreeMap<_, _> = self.faults.iter().map(|(fault, count)| (fault.name(), count)).collect();
        json!({
            "submits": self.n_submits,
            "accepted": self.n_accepted,
            "billed": self.billed.number(),
            "contents": self.n_contents,
            "accepted_twice": self.n_accepted_twice,
            "unfinished_max": self.n_unfinished_max,
            "polls": self.n_polls,
            "polls_lost": self.n_polls_lost,
            "results": self.n_results,
            "finds": self.n_finds,
            "repeated": self.n_repeated,
            "images": self.n_images,
            "images_continued": self.n_images_continued,
            "image_bytes": self.n_image_bytes,
            "links_expired": self.n_links_expired,
            "token_leaks": self.n_token_leaks,
            "refused": self.refused,
            "faults": faults,
        })
    }
}
