//! Tests of the words at the end of a run.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn hours(n: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + n * 3_600_000)
}

#[test]
fn a_reset_within_a_day_is_named() {
    let words = come_back(hours(7), NOW);
    assert!(words.contains(&rfc3339(hours(7))) && words.ends_with("in 7 h"), "{words}");
}

/// Uses reset times in the year 9999, in 1970, now, in 26 hours, and beyond all dates.
#[test]
fn a_reset_that_makes_no_sense_is_not_named() {
    for millis in [253_402_300_799_000, 0, NOW.millis(), hours(26).millis(), i64::MAX, i64::MIN] {
        let words = come_back(Timestamp::from_millis(millis), NOW);
        assert!(words.starts_with("; come back tomorrow") && !words.contains(", in"), "{millis}: {words}");
    }
}

fn counts(n_succeeded: u64, n_failed: u64) -> StatusCounts {
    StatusCounts { n_succeeded, n_failed, ..StatusCounts::default() }
}

#[test]
fn a_share_is_reached_exactly_or_not() {
    let share: Percentage = "98%".parse().unwrap();
    let is_reached = |share: Percentage, counts: &StatusCounts| share.is_reached(counts.n_succeeded, counts.n_jobs());
    assert!(is_reached(share, &counts(98, 2)) && !is_reached(share, &counts(97, 2)));
    assert!(is_reached(share, &StatusCounts::default()), "of none, all");
    assert!(!is_reached("100%".parse().unwrap(), &counts(u64::MAX >> 1, 1)));
    assert_eq!(share_words(share, &counts(9799, 201)), "97.9% succeeded, below the required 98% (--fail-under)");
    assert_eq!(share_words(share, &counts(98, 2)), "98.0% succeeded (required: 98%, --fail-under)");
}

/// Goal: the remedy follows what was refused. Method: refusals of a field, of the model, of the address and of a gateway.
#[test]
fn a_refused_field_blames_neither_the_address_nor_the_token() {
    let is_request = |kind, words: &str| is_about_request(&Fault::new(kind, words));
    let size = "size must be in the range [512x512, 2048x2048] (400)";
    assert!(is_request(FaultKind::InvalidRequest, size));
    assert!(is_request(FaultKind::InvalidRequest, "no such size (422, invalid_size)"));
    for (kind, words) in [
        (FaultKind::Unauthorized, "the token is refused (401)"),
        (FaultKind::InvalidRequest, "no such model (404)"),
        (FaultKind::Rejected, "forbidden (403)"),
        (FaultKind::Rejected, "status 400, not in the API's format"),
    ] {
        assert!(!is_request(kind, words), "{words}");
    }
}
