//! Tests of a window against a provider with a fixed number of slots.

use std::num::NonZeroU32;

use super::*;

fn auto() -> ConcurrencyWindow {
    ConcurrencyWindow::new(Concurrency::Auto)
}

/// Simulated provider that is always full. One task ends at every tick, which is known at once. As many submissions leave as there is room
/// for.
struct Full {
    window: ConcurrencyWindow,
    places: usize,
    n_in_flight: usize,
    n_submits: usize,
    n_refused: usize,
}

impl Full {
    fn new(places: usize) -> Self {
        Self { window: auto(), places, n_in_flight: 0, n_submits: 0, n_refused: 0 }
    }

    /// Simulates these seconds, in ten ticks each.
    fn play(&mut self, seconds: std::ops::Range<i64>) {
        for _ in (seconds.start * 10)..(seconds.end * 10) {
            self.n_in_flight = self.n_in_flight.saturating_sub(1);
            while self.n_in_flight < self.window.room(0) {
                self.n_submits += 1;
                if self.n_in_flight >= self.places {
                    self.n_refused += 1;
                    self.window.refused(self.n_in_flight, 0, false);
                    break;
                }
                self.window.accepted(self.n_in_flight, 0);
                self.n_in_flight += 1;
            }
        }
    }
}

#[test]
fn it_grows_with_all_that_is_taken_while_it_is_used_and_nothing_is_refused() {
    let mut window = auto();
    for n in 0..100 {
        window.accepted(n, 0);
    }
    assert_eq!(window.room(0), 103);
}

#[test]
fn it_does_not_grow_by_what_it_does_not_use() {
    let mut window = auto();
    (0..100).for_each(|_| window.accepted(0, 0));
    assert_eq!(window.room(0), 4);
}

#[test]
fn a_number_is_the_most_of_it() {
    let mut window = ConcurrencyWindow::new(Concurrency::Fixed(NonZeroU32::new(10).unwrap()));
    assert_eq!(window.room(0), 10, "and what it begins with");
    (0..100).for_each(|_| window.accepted(9, 0));
    assert_eq!(window.room(0), 10);
    window.refused(4, 0, false);
    assert_eq!(window.room(0), 4, "a provider may take less");
    (0..1000).for_each(|_| window.accepted(9, 0));
    assert_eq!(window.room(0), 10);
}

#[test]
fn what_is_in_use_stays_in_use_after_a_refusal() {
    for places in [1, 2, 4, 30] {
        let mut full = Full::new(places);
        full.play(0..2);
        assert_eq!(full.window.room(0), places);
        assert_eq!(full.n_refused, 1);
    }
}

#[test]
fn it_never_falls_below_one() {
    let mut window = auto();
    (0..10).for_each(|_| window.refused(0, 0, false));
    assert_eq!(window.room(0), 1);
}

#[test]
fn looking_for_more_costs_one_submission_in_twenty_at_most() {
    for places in [1, 4, 50] {
        let mut full = Full::new(places);
        full.play(0..600);
        assert!(full.n_refused > 5, "{places}: it looks");
        assert!(full.n_refused * 20 <= full.n_submits, "{places}: {} of {}", full.n_refused, full.n_submits);
        assert!(full.n_in_flight * 20 >= places * 19, "{places}: and what is there is used: {}", full.n_in_flight);
    }
}

#[test]
fn a_limit_that_grows_is_found_soon() {
    for (places, more) in [(4, 8), (50, 200)] {
        let mut full = Full::new(places);
        full.play(0..60);
        full.places = more;
        full.play(60..100);
        assert!(full.n_in_flight * 10 >= more * 9, "{} of {more}", full.n_in_flight);
    }
}

#[test]
fn a_limit_that_falls_is_met_at_once() {
    let mut full = Full::new(50);
    full.play(0..60);
    (full.places, full.n_refused) = (20, 0);
    full.play(60..70);
    assert_eq!(full.window.room(0), 20);
    assert!(full.window.explains(15), "and is no surprise");
}

#[test]
fn a_refusal_far_below_what_was_taken_has_another_reason() {
    let mut full = Full::new(50);
    full.play(0..2);
    assert!(full.window.explains(49) && full.window.explains(40) && !full.window.explains(30));
}

#[test]
fn tasks_of_an_earlier_process_are_known_to_be_taken() {
    let mut window = auto();
    window.found(300);
    assert_eq!(window.room(0), 300);
}

/// Goal: few jobs do not pay for a refusal that finds nothing for them. Method: the same window with few jobs left, with many, and with
/// an unknown number.
#[test]
fn few_jobs_repay_no_probe() {
    let mut window = ConcurrencyWindow::new(Concurrency::Auto);
    window.limit_to(4);
    (0..100).for_each(|_| window.accepted(3, 0));
    let mut room = |n_jobs| {
        window.expect_jobs(n_jobs);
        window.room(0)
    };
    assert_eq!([room(Some(100)), room(Some(1000)), room(None)], [4, 5, 5]);
}

/// Goal: a cut below the slots that a search has found is probed soon, though few jobs are left. Method: two refusals by chance, with fifty jobs left.
#[test]
fn a_window_below_what_was_found_is_probed_with_few_jobs_left() {
    let mut window = ConcurrencyWindow::new(Concurrency::Auto);
    window.expect_jobs(Some(50));
    window.limit_to(4);
    window.accepted(3, 0);
    window.refused(2, 0, true);
    assert_eq!((window.cap(), window.room(0)), (2, 2));
    (0..2).for_each(|_| window.accepted(1, 0));
    assert_eq!(window.room(0), 3);
}
