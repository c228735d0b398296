//! Submission id: names one submission of one job of one run, so that the provider can recognise a repetition.

use std::fmt;

use crate::model::job::JobId;

/// Context of the hash, which separates these ids from other hashes of the same data.
const CONTEXT: &str = "promptbatch 2026 submission id";

/// Id of a submission: a UUID of version 8 that is computed from the run, the job and the number of the submission.
///
/// The id is stored nowhere. A process that finds a submission in doubt computes the same id as the process that sent it. It is sent
/// wherever the provider accepts an idempotency key or a task id of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId([u8; 16]);

impl SubmissionId {
    /// Returns the id of the `number`-th submission (from 1) of a job, in the run with this number.
    pub fn new(run: &str, job: JobId, number: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(job.bytes()).update(&number.to_le_bytes()).update(run.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        // Version 8 (a format of its own) and the variant of RFC 9562, which some APIs check.
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        Self(id)
    }

    /// Returns a seed from 0 to 2³¹ - 1. A request without a seed can carry it, to be found in a list of requests.
    pub const fn seed(&self) -> u32 {
        u32::from_le_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]) >> 1
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn job(n: u8) -> JobId {
        JobId::from_bytes([n; 10])
    }

    #[test]
    fn an_id_is_a_canonical_uuid_and_never_changes() {
        let text = SubmissionId::new("run", job(1), 1).to_string();
        assert_eq!(text, "50501a04-760e-80d2-b30e-8bf60fc09a32", "a later release must find what this one sent");
    }

    #[test]
    fn run_job_and_number_each_make_another_id() {
        let ids: Vec<_> = ["a", "b"]
            .iter()
            .flat_map(|run| (0..5).flat_map(move |n| (1..5).map(move |number| SubmissionId::new(run, job(n), number))))
            .collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        assert_eq!(ids.iter().map(SubmissionId::seed).collect::<BTreeSet<_>>().len(), ids.len());
        for id in ids {
            let text = id.to_string();
            let parts: Vec<_> = text.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12]);
            assert_eq!(&text[14..15], "8");
            assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
            assert!(id.seed() < 1 << 31);
        }
    }
}
