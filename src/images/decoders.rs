//! Memory budget of the image decoders: at most two images are decoded at once, and a large image alone.
//!
//! The limit applies to the whole process.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Maximum number of images decoded at the same time.
pub(super) const DECODERS_MAX: usize = 2;

/// Memory limit in bytes for all images being decoded together. A larger image is decoded alone.
const BYTES_MAX: u64 = 512 << 20;

/// Number of copies of a decoded image in memory. During decoding, scaling or encoding, the decoder or encoder holds a
/// second copy in its own form.
const COPIES: u64 = 2;

/// Decoder budget of this process.
static DECODERS: DecoderBudget = DecoderBudget::new(BYTES_MAX);

/// Waits until an image of `decoded_bytes` bytes may be decoded. Returns a permit, which holds the memory until it is
/// dropped.
///
/// Blocks the thread: call this function only on threads that may block.
pub(super) fn admit(decoded_bytes: u64) -> DecoderPermit<'static> {
    DECODERS.admit(decoded_bytes.saturating_mul(COPIES))
}

/// Decoders and bytes in use. Images are admitted in the order of their requests, so that small images cannot overtake
/// a large image forever.
struct DecoderBudget {
    bytes_max: u64,
    in_use: Mutex<InUse>,
    freed: Condvar,
}

#[derive(Default)]
struct InUse {
    n_decoders: usize,
    n_bytes: u64,
    /// Queue numbers of the next request, and of the next image to admit.
    next_asked: u64,
    next_admitted: u64,
}

impl InUse {
    const fn has_room(&self, n_bytes: u64, bytes_max: u64) -> bool {
        self.n_decoders == 0 || (self.n_decoders < DECODERS_MAX && self.n_bytes.saturating_add(n_bytes) <= bytes_max)
    }
}

impl DecoderBudget {
    const fn new(bytes_max: u64) -> Self {
        let in_use = InUse { n_decoders: 0, n_bytes: 0, next_asked: 0, next_admitted: 0 };
        Self { bytes_max, in_use: Mutex::new(in_use), freed: Condvar::new() }
    }

    fn admit(&self, n_bytes: u64) -> DecoderPermit<'_> {
        let mut in_use = self.lock();
        let number = in_use.next_asked;
        in_use.next_asked += 1;
        let must_wait =
            |in_use: &mut InUse| in_use.next_admitted != number || !in_use.has_room(n_bytes, self.bytes_max);
        let mut in_use = self.freed.wait_while(in_use, must_wait).unwrap_or_else(PoisonError::into_inner);
        in_use.next_admitted += 1;
        in_use.n_decoders += 1;
        in_use.n_bytes += n_bytes;
        drop(in_use);
        // The budget may have room for the next image as well.
        self.freed.notify_all();
        DecoderPermit { budget: self, n_bytes }
    }

    /// Locks the counters. A panic of another thread leaves the counters consistent, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, InUse> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Permit to decode one image. Dropping the permit returns its memory to the budget.
pub(super) struct DecoderPermit<'a> {
    budget: &'a DecoderBudget,
    n_bytes: u64,
}

impl Drop for DecoderPermit<'_> {
    fn drop(&mut self) {
        let mut in_use = self.budget.lock();
        in_use.n_decoders -= 1;
        in_use.n_bytes -= self.n_bytes;
        drop(in_use);
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use super::*;

    #[test]
    fn there_is_room_for_two_within_the_budget_and_for_any_one_alone() {
        let in_use = |n_decoders, n_bytes| InUse { n_decoders, n_bytes, ..InUse::default() };
        assert!(in_use(0, 0).has_room(101, 100), "a large one alone");
        assert!(in_use(1, 60).has_room(40, 100));
        assert!(!in_use(1, 60).has_room(41, 100));
        assert!(!in_use(1, 101).has_room(0, 100), "nothing beside a large one");
        assert!(!in_use(2, 2).has_room(1, 100), "a third one");
        assert!(!in_use(1, 1).has_room(u64::MAX, 100));
    }

    /// Goal: the budget holds for all threads, and every request is admitted. Method: threads request many sizes, and
    /// each thread checks the usage.
    #[test]
    fn threads_never_exceed_it_and_all_get_their_turn() {
        let budget = DecoderBudget::new(100);
        thread::scope(|scope| {
            for seed in 0..8 {
                let budget = &budget;
                scope.spawn(move || {
                    let mut sizes = fastrand::Rng::with_seed(seed);
                    for _ in 0..200 {
                        let n_bytes = sizes.u64(1..150);
                        let admitted = budget.admit(n_bytes);
                        let in_use = budget.lock();
                        let (n, sum) = (in_use.n_decoders, in_use.n_bytes);
                        drop(in_use);
                        assert!(n == 1 && sum == n_bytes || n == 2 && sum <= 100, "{n} decoders with {sum} bytes");
                        thread::yield_now();
                        drop(admitted);
                    }
                });
            }
        });
        let in_use = budget.lock();
        assert_eq!((in_use.n_decoders, in_use.n_bytes, in_use.next_admitted), (0, 0, 1600));
    }

    #[test]
    fn a_decoder_that_panics_gives_its_place_back() {
        let budget = DecoderBudget::new(100);
        let decode = || {
            let _admitted = budget.admit(80);
            panic!("a strange image");
        };
        catch_unwind(AssertUnwindSafe(decode)).unwrap_err();
        drop(budget.admit(80));
        assert_eq!(budget.lock().n_decoders, 0);
    }
}
