//! Job: one image request, identified by its content in the manifest and not by its position there.

use std::fmt;
use std::str::FromStr;

use crate::model::request::{ContentHash, Request};

/// Identity of a job: 80 bits from its content and its occurrence among equal rows, written as 20 hexadecimal digits.
///
/// Moving, inserting or removing other rows of the manifest does not change the identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId([u8; 10]);

impl JobId {
    /// Returns the id of the `occurrence`-th (from 0) job with this content.
    pub fn new(content: &ContentHash, occurrence: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(content.bytes()).update(&occurrence.to_le_bytes());
        let mut id = [0; 10];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..10]);
        Self(id)
    }

    /// Returns the bytes of the id, as the ledger stores them.
    pub const fn bytes(&self) -> &[u8; 10] {
        &self.0
    }

    /// Creates the id from its bytes.
    pub const fn from_bytes(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }

    /// Returns the first eight digits, which are enough for people to distinguish the jobs of one run.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

/// Error for a text that is not a [`JobId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job id is 20 hexadecimal digits")]
pub struct JobIdError;

impl FromStr for JobId {
    type Err = JobIdError;

    fn from_str(text: &str) -> Result<Self, JobIdError> {
        let mut id = [0; 10];
        if text.len() != 20 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(JobIdError);
        }
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| JobIdError)?;
        }
        Ok(Self(id))
    }
}

/// Row of a manifest that makes jobs: a row of a table, a line, an object or an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ManifestRow {
    /// Number of the row, from 1, without headers and blank rows; `None` if it equals the index of the job.
    pub number: Option<u64>,
    /// Says whether the row is to be left out: its jobs are not submitted.
    pub is_skipped: bool,
}

/// One image request of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Identity of the job.
    pub id: JobId,
    /// Position among the manifest's jobs, from 1; 0 if the job is no longer one of them.
    pub index: u64,
    /// User's own name for the job (the manifest's `id`), if any.
    pub label: Option<String>,
    /// Request to the provider: that of the manifest's row, with another seed if the user had one drawn.
    pub request: Request,
    /// Data carried from the manifest through to the results: column and text, in the manifest's order.
    pub extras: Vec<(String, String)>,
    /// Row of the manifest that made the job.
    pub row: ManifestRow,
}

impl Job {
    /// Returns the number of the row that made the job, from 1; `None` if the job is no longer in the manifest.
    pub const fn row_number(&self) -> Option<u64> {
        match (self.index, self.row.number) {
            (0, _) => None,
            (index, None) => Some(index),
            (_, number) => number,
        }
    }
}

/// Copies of one request that are searched for.
const COPIES_MAX: u32 = 10_000;

impl Job {
    /// Returns which of several equal requests the job is, from 1; `None` beyond ten thousand, and if a seed was drawn for it in place of
    /// another one.
    pub fn copy(&self) -> Option<u32> {
        // A seed that was drawn later is not part of the id.
        let contents = [self.request.content(), Request { seed: None, ..self.request.clone() }.content()];
        let is_it = |n: &u32| contents.iter().any(|content| JobId::new(content, *n) == self.id);
        (0..COPIES_MAX).find(is_it).map(|n| n + 1)
    }
}

/// Row of the manifest, before the ledger has determined which occurrence of its content the row is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobSpec {
    /// User's own name for the job, if any.
    pub label: Option<String>,
    /// Request to the provider.
    pub request: Request,
    /// Data carried through to the results.
    pub extras: Vec<(String, String)>,
    /// Row of the manifest that made the job.
    pub row: ManifestRow,
}

impl From<Request> for JobSpec {
    /// Makes a job of the request alone.
    fn from(request: Request) -> Self {
        Self { request, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(prompt: &str) -> ContentHash {
        Request { prompt: prompt.into(), model: "m".into(), ..Request::default() }.content()
    }

    #[test]
    fn equal_rows_are_told_apart_by_occurrence() {
        assert_ne!(JobId::new(&content("a"), 0), JobId::new(&content("a"), 1));
        assert_ne!(JobId::new(&content("a"), 0), JobId::new(&content("b"), 0));
        assert_eq!(JobId::new(&content("a"), 7), JobId::new(&content("a"), 7));
    }

    #[test]
    fn a_drawn_seed_leaves_the_number_of_the_copy() {
        let request = Request { prompt: "a".into(), model: "m".into(), ..Request::default() };
        let of = |seed, drawn| {
            let id = JobId::new(&Request { seed, ..request.clone() }.content(), 2);
            let request = Request { seed: drawn, ..request.clone() };
            Job { id, index: 1, label: None, request, extras: vec![], row: ManifestRow::default() }.copy()
        };
        assert_eq!([of(None, None), of(None, Some(7)), of(Some(7), Some(7))], [Some(3); 3]);
        assert_eq!(of(Some(7), Some(8)), None);
    }

    #[test]
    fn an_id_reads_back_from_its_digits() {
        let id = JobId::new(&content("a"), 0);
        assert_eq!(id.to_string().len(), 20);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(JobId::from_bytes(*id.bytes()), id);
        assert!(id.to_string().starts_with(&id.short()));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "12", "zzzzzzzzzzzzzzzzzzzz", "+1345678901234567890", "éééééééééé"] {
            assert_eq!(text.parse::<JobId>(), Err(JobIdError), "{text:?}");
        }
    }
}
