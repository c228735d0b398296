//! Tests of image hosts: the order of downloads, gates, and which faults are the host's.

use super::*;
use crate::model::time::Timestamp;

const START_SECS: i64 = 1_790_000_000;

fn at(secs: i64) -> Moment {
    Moment::new(secs * 1_000_000, Timestamp::from_millis((START_SECS + secs) * 1000))
}

fn id(n: u8) -> JobId {
    JobId::from_bytes([n; 10])
}

/// Builds links on this host that expire at these seconds after the start; `None` means without a known expiry.
fn links(host: &str, secs: &[Option<i64>]) -> Vec<Url> {
    let query = |secs: &Option<i64>| secs.map_or(String::new(), |secs| format!("?Expires={}", START_SECS + secs));
    secs.iter().map(|secs| Url(format!("https://{host}/a.png{}", query(secs)))).collect()
}

fn on(host: &str) -> Vec<Url> {
    links(host, &[None])
}

fn hosts() -> ImageHosts {
    ImageHosts::new(&Limits { seed: 1, ..Limits::default() })
}

fn popped(hosts: &mut ImageHosts, now: Moment) -> Vec<JobId> {
    std::iter::from_fn(|| hosts.pop(now)).collect()
}

#[test]
fn what_expires_first_goes_first_on_any_host_and_the_unknown_last_as_they_came() {
    let mut hosts = hosts();
    let jobs = [(9, "a", None), (1, "b", Some(60)), (2, "a", Some(30)), (3, "a", Some(60))];
    for (n, host, secs) in jobs {
        hosts.push(at(0), id(n), &links(host, &[secs]));
    }
    assert_eq!(hosts.n_waiting(), 4);
    assert_eq!(popped(&mut hosts, at(0)), [2, 1, 3, 9].map(id));
    assert_eq!(hosts.n_waiting(), 0);
}

#[test]
fn of_several_links_the_soonest_counts() {
    let mut hosts = hosts();
    hosts.push(at(0), id(1), &links("a", &[Some(50), None]));
    hosts.push(at(0), id(2), &links("a", &[None, Some(90), Some(40)]));
    assert_eq!(popped(&mut hosts, at(0)), [2, 1].map(id));
}

#[test]
fn a_link_that_expires_while_it_waits_is_found() {
    let mut hosts = hosts();
    for (n, secs) in [(1, Some(10)), (2, Some(20)), (3, None)] {
        hosts.push(at(0), id(n), &links("a", &[secs]));
    }
    assert_eq!(hosts.pop_expired(at(9)), None);
    assert_eq!(hosts.pop_expired(at(10)), Some(id(1)));
    assert_eq!(hosts.pop_expired(at(10)), None);
    assert_eq!(popped(&mut hosts, at(10)), [2, 3].map(id));
}

/// A fast local clock, or a link that means something else by `Expires`, must not prevent a download for ever.
#[test]
fn a_link_that_came_expired_is_fetched_all_the_same() {
    let mut hosts = hosts();
    hosts.push(at(100), id(1), &links("a", &[Some(10)]));
    assert_eq!(hosts.pop_expired(at(200)), None);
    assert_eq!(hosts.pop(at(200)), Some(id(1)));
}

#[test]
fn a_host_that_names_a_wait_is_left_alone_for_it_and_no_other_host_is() {
    let mut hosts = hosts();
    (1..=2).for_each(|n| hosts.push(at(0), id(n), &on("a")));
    hosts.push(at(0), id(3), &on("b"));
    assert_eq!(hosts.pop(at(0)), Some(id(1)));
    hosts.ended(at(0), id(1), &on("a"), false);
    hosts.throttled(at(0), id(1), &on("a"), Some(Duration::from_secs(20)));
    hosts.push(at(0), id(1), &on("a"));
    assert_eq!(popped(&mut hosts, at(1)), [id(3)]);
    hosts.ended(at(1), id(3), &on("b"), true);
    assert_eq!(hosts.wake_at(at(1)), Some(at(20)));
    assert_eq!(popped(&mut hosts, at(20)), [2, 1].map(id));
}

/// Lets a host fail for these jobs, one after another.
fn fail(hosts: &mut ImageHosts, host: &str, jobs: impl Iterator<Item = u8>) {
    jobs.for_each(|n| hosts.failed(at(i64::from(n)), id(n), &on(host)));
}

#[test]
fn a_host_that_seems_down_is_probed_by_one_download_at_a_time() {
    let mut hosts = hosts();
    fail(&mut hosts, "a", 1..9);
    (11..=13).for_each(|n| hosts.push(at(8), id(n), &on("a")));
    assert!(hosts.are_down() && hosts.down_for(at(9)) == Some(Duration::from_secs(8)));
    assert_eq!(popped(&mut hosts, at(8)), []);
    let opens_at = hosts.wake_at(at(8)).expect("a closed gate opens");
    assert_eq!(popped(&mut hosts, opens_at), [id(11)]);
    hosts.ended(at(0), id(11), &on("a"), false);
    hosts.delivered(opens_at, &on("a"));
    assert!(!hosts.are_down() && hosts.down_for(opens_at).is_none());
    assert_eq!(popped(&mut hosts, opens_at), [12, 13].map(id));
}

#[test]
fn a_host_that_seems_down_is_probed_by_failed_and_by_new_jobs_in_turn() {
    let mut hosts = hosts();
    fail(&mut hosts, "a", 1..9);
    for n in [11, 1, 12, 2] {
        hosts.push(at(8), id(n), &on("a"));
    }
    let (mut now, mut probes) = (at(8), vec![]);
    for _ in 0..4 {
        now = hosts.wake_at(now).expect("a closed gate opens");
        let job = hosts.pop(now).unwrap();
        hosts.ended(at(0), job, &on("a"), false);
        hosts.failed(now, job, &on("a"));
        probes.push(job);
    }
    assert_eq!(probes, [1, 11, 2, 12].map(id));
}

#[test]
fn a_host_without_jobs_holds_nothing_up() {
    let mut hosts = hosts();
    fail(&mut hosts, "a", 1..9);
    (1..9).for_each(|n| hosts.forget(id(n)));
    assert!(!hosts.are_down(), "nothing would ever show that it works again");
}

#[test]
fn a_host_is_to_blame_while_no_other_one_delivers() {
    let mut hosts = hosts();
    fail(&mut hosts, "a", 10..11);
    assert!(hosts.is_to_blame(&on("a"), FaultKind::Transient) && !hosts.is_to_blame(&on("b"), FaultKind::Transient));
    hosts.delivered(at(11), &on("b"));
    assert!(!hosts.is_to_blame(&on("a"), FaultKind::Transient), "the link may name a host that does not exist");
    hosts.delivered(at(12), &on("a"));
    fail(&mut hosts, "a", 13..14);
    hosts.delivered(at(14), &on("b"));
    assert!(hosts.is_to_blame(&on("a"), FaultKind::Transient), "it has delivered before");
}

#[test]
fn useless_answers_are_the_fault_of_a_host_when_three_jobs_in_a_row_meet_them() {
    let mut hosts = hosts();
    fail(&mut hosts, "a", 1..3);
    assert!(!hosts.is_to_blame(&on("a"), FaultKind::BadOutput));
    fail(&mut hosts, "a", 1..2);
    assert!(!hosts.is_to_blame(&on("a"), FaultKind::BadOutput), "the same job again is no third one");
    fail(&mut hosts, "a", 3..4);
    assert!(hosts.is_to_blame(&on("a"), FaultKind::BadOutput));
    hosts.delivered(at(5), &on("a"));
    fail(&mut hosts, "a", 6..8);
    assert!(!hosts.is_to_blame(&on("a"), FaultKind::BadOutput));
}

#[test]
fn two_faults_a_night_apart_are_no_outage() {
    let mut hosts = hosts();
    hosts.failed(at(0), id(1), &on("a"));
    hosts.failed(at(30_000), id(1), &on("a"));
    assert_eq!(hosts.failing_for(at(30_000), &on("a")), None);
    hosts.failed(at(30_001), id(1), &on("a"));
    assert_eq!(hosts.failing_for(at(30_001), &on("a")), Some(Duration::from_secs(30_001)));
}

#[test]
fn a_host_for_every_image_fills_no_memory() {
    let mut hosts = hosts();
    for n in 0..10_000_u32 {
        let urls = on(&format!("{n}.images"));
        hosts.push(at(0), id(1), &urls);
        assert_eq!(hosts.pop(at(0)), Some(id(1)));
        hosts.ended(at(0), id(1), &urls, false);
        hosts.delivered(at(0), &urls);
    }
    assert!(hosts.hosts.len() <= HOSTS_MAX);
}
