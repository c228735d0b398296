//! Full disk on our own side: at an event or at an image, before the write or after it.

use crate::crash::{Crash, Full};
use crate::world::{self, Session, World};
use crate::{PASSING, calm, limits, stormy};
use promptbatch::internals::effort::cases;

/// Upper limit on the writes of a run in such a world.
const WRITES_MAX: u64 = 1000;

/// Goal: a full disk stops the run with an error. When space is available again, a later run loses and duplicates
/// nothing.
///
/// Method: refuse the first write of events or of an image, then the second, until a run needs no more writes. Refuse
/// each write once before it is done and once after.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_full_disk_stops_the_run_and_a_later_one_goes_on() {
    let mut n_stopped = 0;
    for seed in 0..cases(4).max(2) {
        let faults: &[&str] = if seed % 2 == 0 { &[] } else { &PASSING };
        for is_late in [false, true] {
            n_stopped += (1..WRITES_MAX).take_while(|at_write| full_at(*at_write, is_late, seed, faults)).count();
        }
    }
    assert!(n_stopped > 50, "the disk must be full: {n_stopped}");
}

/// Runs a world whose disk is full at this write, and then again. Returns whether the disk was full.
fn full_at(at_write: u64, is_late: bool, seed: u64, faults: &[&str]) -> bool {
    world::simulate(async move {
        let expected = World::new(4, calm(seed)).outcomes_of_a_calm_run().await;
        let world = World::new(4, stormy(seed, faults));
        let was_full = match world.session(limits(seed), &Crash::full(Full { at_write, is_late })).await {
            Session::Failed(error) => {
                let words = error.to_string();
                assert!(words.contains("free some space and run the same command again"), "{words}");
                true
            }
            Session::Ended(None) => false,
            other => panic!("a full disk is an error: {other:?}"),
        };
        if was_full {
            world.check_after_crash();
            assert_eq!(world.run(limits(seed + 1)).await, None);
        }
        world.check();
        assert_eq!(world.outcomes(), expected, "seed {seed}, full at write {at_write}, late: {is_late}");
        was_full
    })
}
