//! Tests of links that expire while their jobs wait.

use super::*;

/// Builds links of job `n` that expire `lifetime` after the start.
fn signed(n: u64, lifetime: Duration) -> Vec<Url> {
    vec![Url(format!("https://images/{n}.png?Expires={}", (START + lifetime).wall().millis() / 1000))]
}

const MINUTE: Duration = Duration::from_secs(60);

/// Prepares two jobs with links, and room for one download: the first is under way, the second waits.
fn two_with_links(lifetime: Duration) -> Bench {
    let mut bench = Bench::with_pending(Limits { downloads_max: 1, ..fixed(2) }, 2);
    bench.turn();
    (1..=2).for_each(|n| bench.submitted(n));
    bench.wait(Duration::from_secs(10));
    assert_eq!(bench.turn().actions.len(), 2, "both are polled");
    (1..=2).for_each(|n| bench.polled(n, Ok(Status::Done(signed(n, lifetime * u32::try_from(n).unwrap())))));
    assert_eq!(bench.turn().actions, [fetch(1, signed(1, lifetime))]);
    bench
}

#[test]
fn the_link_that_expires_first_is_followed_first() {
    let mut bench = Bench::with_pending(Limits { downloads_max: 1, ..fixed(3) }, 3);
    bench.turn();
    (1..=3).for_each(|n| bench.submitted(n));
    bench.wait(Duration::from_secs(10));
    bench.turn();
    let links = [urls(1), signed(2, 2 * MINUTE), signed(3, MINUTE)];
    (1..=3).zip(links.clone()).for_each(|(n, links)| bench.polled(n, Ok(Status::Done(links))));
    for n in [3, 2, 1] {
        assert_eq!(bench.turn().actions, [fetch(n, links[usize::try_from(n).unwrap() - 1].clone())]);
        bench.downloaded(n, Ok(vec![artifact()]));
    }
}

#[test]
fn a_link_that_expired_in_the_queue_costs_a_poll_and_no_setback() {
    let mut bench = two_with_links(MINUTE);
    bench.wait(2 * MINUTE);
    assert_eq!(bench.turn().actions, [poll(2)], "no request for what would be refused");
    bench.polled(2, Ok(Status::Done(signed(2, 9 * MINUTE))));
    assert!(bench.turn().actions.is_empty(), "the first is still under way");
    bench.downloaded(1, Ok(vec![artifact()]));
    assert_eq!(bench.turn().actions, [fetch(2, signed(2, 9 * MINUTE))]);
    bench.downloaded(2, Ok(vec![artifact()]));
    assert!(bench.next().is_last);
    assert_eq!(bench.story(), "submit submit accepted accepted ready ready ready succeeded succeeded");
}

/// A wrong clock must neither keep a job from its image nor make the engine request links without end.
#[test]
fn a_fresh_link_that_seems_expired_is_followed() {
    let mut bench = two_with_links(MINUTE);
    bench.wait(2 * MINUTE);
    bench.turn();
    bench.polled(2, Ok(Status::Done(signed(2, MINUTE))));
    bench.downloaded(1, Ok(vec![artifact()]));
    assert_eq!(bench.turn().actions, [fetch(2, signed(2, MINUTE))]);
}

/// A link found expired after a crash is tried once more. It works if the local clock is wrong, and otherwise costs one request.
#[test]
fn a_remembered_link_that_seems_expired_is_followed() {
    let links = signed(1, Duration::ZERO);
    let kinds = [EventKind::SubmitStarted, EventKind::Accepted(task(1)), EventKind::Ready(links.clone())];
    let mut bench = Bench::new(fixed(1), vec![past(1, MINUTE, &kinds)]);
    assert_eq!(bench.turn().actions, [fetch(1, links)]);
}
