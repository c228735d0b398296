//! What the simulated service has seen: the numbers that tests and curious people ask for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::provider::simulator::faults::PlannedFault;

/// Counts since the server was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Submissions that came in, whatever became of them.
    pub n_submits: u64,
    /// Tasks that were accepted: what a client would have paid for.
    pub n_accepted: u64,
    /// Different contents among them.
    pub n_contents: u64,
    /// Tasks whose content had been accepted before: what a client would have paid for twice.
    pub n_accepted_twice: u64,
    /// The most tasks that were unfinished at one time.
    pub n_unfinished_max: usize,
    /// Polls that came in.
    pub n_polls: u64,
    /// Polls for tasks that nobody knows, or without the header that says what kind of task is meant.
    pub n_polls_lost: u64,
    /// Requests for images.
    pub n_images: u64,
    /// Requests for the rest of an image that was begun before, among them.
    pub n_images_continued: u64,
    /// Bytes of images that were handed to their connections.
    pub n_image_bytes: u64,
    /// Requests for images by links that had expired, among them.
    pub n_links_expired: u64,
    /// Requests for images that brought a token along, which is nobody's business there.
    pub n_token_leaks: u64,
    /// Refused requests, by the reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Faults that were played.
    pub faults: BTreeMap<PlannedFault, u64>,
}

impl Stats {
    /// How often this fault was played.
    pub fn n_faults(&self, fault: PlannedFault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or(0)
    }

    /// How many requests were refused for this [reason](crate::provider::simulator::refusal::Refusal::reason).
    pub fn n_refused(&self, reason: &str) -> u64 {
        self.refused.get(reason).copied().unwrap_or(0)
    }

    pub(super) fn to_json(&self) -> Value {
        let faults: BTreeMap<_, _> = self.faults.iter().map(|(fault, count)| (fault.name(), count)).collect();
        json!({
            "submits": self.n_submits,
            "accepted": self.n_accepted,
            "contents": self.n_contents,
            "accepted_twice": self.n_accepted_twice,
            "unfinished_max": self.n_unfinished_max,
            "polls": self.n_polls,
            "polls_lost": self.n_polls_lost,
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
