//! Tests of the block on terminals of every width, with resizes and echoed keys: readable text, and no leftovers.

use super::*;
use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::outcome::FaultKind;
use crate::model::snapshot::{Bottleneck, Latency, SubmitRateLimit};
use crate::report::fixtures::{Screen, accepted, at, failed, in_flight, succeeded, throttled, totals};

/// Simulates a run of 1,000 jobs for one minute at two jobs per second, with one failure of each kind.
fn minute(columns: usize, is_verbose: bool, pace: &RunSnapshot) -> (TtyReporter, Screen) {
    let screen = Screen::new(columns);
    (minute_on(&screen, is_verbose, pace), screen)
}

fn minute_on(screen: &Screen, is_verbose: bool, pace: &RunSnapshot) -> TtyReporter {
    let totals = totals(1000).with_price("2 magicube".parse().ok());
    let mut bars = TtyReporter::on(screen.terminal(), PrintAbove::default(), totals, is_verbose);
    for sec in 0..59 {
        bars.show(at(f64::from(sec)), &[succeeded(1), succeeded(2)], &in_flight(16));
    }
    let events = [
        accepted(119, "5075521"),
        failed(118, FaultKind::InvalidRequest, "no such model"),
        failed(117, FaultKind::Moderated, "inappropriate content"),
    ];
    bars.show(at(60.0), &events, pace);
    bars
}

/// Returns a pace with a value for everything that the block can show.
fn throttled_pace() -> RunSnapshot {
    RunSnapshot {
        n_submitting: 4,
        n_queued: 3,
        n_running: 9,
        n_downloading: 2,
        n_waiting: 1,
        allowed: Some(SubmitRateLimit { per_second: 2.5, is_told: true }),
        latency: Some(Latency { mean: Duration::from_secs(6), tail: Duration::from_secs(15) }),
        quota_left: Some(412),
        cost: Some(Cost { sure: Amount::new(240.0), ..Cost::default() }),
        hold: Some(throttled(72.0)),
        ..RunSnapshot::default()
    }
}

#[test]
fn a_wide_terminal_shows_it_all() {
    let (mut bars, screen) = minute(80, true, &throttled_pace());
    insta::assert_snapshot!(screen.text(), @r"
    accepted 000119 task 5075521
    failed 000118 invalid_request: no such model
    failed 000117 moderated: inappropriate content
    ━━━━━━━╸───────────────────────────────────────────────────────── 120/1,000  12%
    118 succeeded · 1 failed · 1 moderated · about 6 min left
    16 in flight: 4 submitting, 3 queued, 9 running · 2 downloading · 1 waiting
    2.0/s of 2.5/s allowed · quota: 412 left, less than needed · 240 magicube so far
    throttled: next submission in 12 s
    ");
    bars.end();
    insta::assert_snapshot!(screen.text(), @r"
    accepted 000119 task 5075521
    failed 000118 invalid_request: no such model
    failed 000117 moderated: inappropriate content
    ");
}

#[test]
fn a_narrow_terminal_shows_the_same_in_fewer_words() {
    let (_bars, screen) = minute(40, false, &throttled_pace());
    insta::assert_snapshot!(screen.text(), @r"
    failed 000118 invalid_request: no such m
    odel
    failed 000117 moderated: inappropriate c
    ontent
    ━━━╸───────────────────── 120/1,000  12%
    118 succeeded · 1 failed · 1 moderated
    6 min left
    16 in flight · 2 downloading · 1 waiting
    2.0/s of 2.5/s · quota: 412 left
    240 magicube
    throttled: next submission in 12 s
    ");
}

#[test]
fn a_very_narrow_terminal_still_shows_whole_words() {
    let (_bars, screen) = minute(20, false, &throttled_pace());
    insta::assert_snapshot!(screen.text(), @r"
    failed 000118 invali
    d_request: no such m
    odel
    failed 000117 modera
    ted: inappropriate c
    ontent
    ━╸──────── 120/1,000
    118 succeeded
    1 failed
    1 moderated
    6 min left
    16 in flight
    2 downloading
    1 waiting
    2.0/s of 2.5/s
    quota: 412 left
    240 magicube
    throttled: 12 s
    ");
}

#[test]
fn a_calm_run_says_what_it_is_held_to() {
    let slow = |slow| RunSnapshot { slow: Some(slow), places: Some(16), ..in_flight(16) };
    let last = |pace: &RunSnapshot| minute(80, false, pace).1.text().lines().last().unwrap().to_owned();
    let rate =
        RunSnapshot { allowed: Some(SubmitRateLimit { per_second: 0.5, is_told: true }), ..slow(Bottleneck::Rate) };
    insta::assert_snapshot!(last(&rate), @"limited to 30/min by --rate");
    insta::assert_snapshot!(last(&slow(Bottleneck::Places)), @"waiting for a free slot: 16 of 16 in flight");
}

#[test]
fn a_hold_disappears_when_it_is_over() {
    let (mut bars, screen) = minute(80, false, &throttled_pace());
    let n_lines = screen.text().lines().count();
    bars.show(at(72.0), &[], &throttled_pace());
    assert!(!screen.text().contains("throttled"), "{}", screen.text());
    assert_eq!(screen.text().lines().count(), n_lines - 1);
}

/// Checks which texts appear exactly once, and which are gone, whichever lines wrap.
fn check_end(screen: &Screen, what: &str) {
    let text: String = screen.text().split_whitespace().collect();
    for once in ["accepted000119", "failed000118"] {
        assert_eq!(text.matches(once).count(), 1, "{once} {what}:\n{}", screen.text());
    }
    for gone in ["throttled", "120/1,000", "inflight", "━", "─"] {
        assert!(!text.contains(gone), "{gone} {what}:\n{}", screen.text());
    }
}

/// Goal: a redraw overwrites every wrapped row. Method: look for leftovers at every width.
#[test]
fn nothing_is_left_behind_at_any_width() {
    for columns in 12..=120 {
        let (mut bars, screen) = minute(columns, true, &throttled_pace());
        bars.end();
        check_end(&screen, &format!("at {columns} columns"));
    }
}

/// Goal: no resize and no echoed key leaves anything behind. Method: use terminals that rewrap and some that do not.
/// Make them narrower and wider again, with `^C` echoed in between.
#[test]
fn nothing_is_left_behind_by_a_resize() {
    for reflows in [true, false] {
        for columns in [12, 20, 33, 40, 79, 81, 120] {
            let screen = Screen::that_reflows(80, reflows);
            let mut bars = minute_on(&screen, true, &throttled_pace());
            for (n, columns) in [columns, 80, 57].into_iter().enumerate() {
                screen.resize(columns);
                screen.echo("^C");
                bars.show(at(61.0 + f64::from(u8::try_from(n).unwrap())), &[], &throttled_pace());
                let text = screen.text();
                assert_eq!(text.matches("120/1,000").count(), 1, "{columns} columns, reflows: {reflows}\n{text}");
                assert!(!text.contains("^C"), "{text}");
            }
            bars.end();
            check_end(&screen, &format!("after {columns} columns, reflows: {reflows}"));
        }
    }
}

#[test]
fn a_frame_is_one_write_and_there_are_ten_a_second() {
    let screen = Screen::new(80);
    let mut bars = TtyReporter::on(screen.terminal(), PrintAbove::default(), totals(1000), false);
    let n_before = screen.n_writes();
    for tick in 0..1000 {
        bars.show(at(f64::from(tick) / 1000.0), &[succeeded(1)], &in_flight(1));
    }
    assert!(screen.n_writes() - n_before <= 10, "{} writes", screen.n_writes() - n_before);
}

#[test]
fn a_block_that_was_taken_away_does_not_come_back() {
    let (screen, above) = (Screen::new(80), PrintAbove::default());
    let mut bars = TtyReporter::on(screen.terminal(), above.clone(), totals(9), false);
    bars.show(at(0.0), &[succeeded(1)], &in_flight(1));
    assert!(above.line("stopping"));
    assert!(screen.text().contains("1/9"), "{}", screen.text());
    above.clear();
    assert_eq!(screen.text(), "stopping");
    bars.show(at(1.0), &[], &in_flight(1));
    assert_eq!(screen.text(), "stopping");
}

/// Simulates a stopped process that continues after `fg`: the shell has written below the block.
#[test]
fn a_block_begins_anew_below_what_others_have_written() {
    let (screen, above) = (Screen::new(80), PrintAbove::default());
    let mut bars = TtyReporter::on(screen.terminal(), above.clone(), totals(9), false);
    bars.show(at(0.0), &[succeeded(1)], &in_flight(1));
    screen.echo("\r\nStopped\r\n$ fg\r\n");
    above.begin_anew();
    bars.show(at(1.0), &[succeeded(2)], &in_flight(1));
    let text = screen.text();
    assert!(text.contains("1/9") && text.contains("Stopped\n$ fg\n") && text.contains("2/9"), "{text}");
}
