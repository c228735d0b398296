//! Shuffled order of pending jobs, the same in every store.
//!
//! The order runs around the ring of all ids, from a start that a seed selects. Ids are hashes, so the order is random.

/// Returns the id behind which the order begins.
pub(super) fn ring_start(seed: &str) -> [u8; 10] {
    let mut start = [0; 10];
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"promptbatch shuffle 1").update(seed.as_bytes());
    start.copy_from_slice(&hasher.finalize().as_bytes()[..10]);
    start
}
