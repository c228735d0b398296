//! Tests of the quotas of single models.

use std::time::Duration;

use super::*;
use crate::model::time::Timestamp;

fn at(secs: i64) -> Moment {
    Moment::new(secs * 1_000_000, Timestamp::from_millis((1_790_000_000 + secs) * 1000))
}

fn id(n: u8) -> JobId {
    JobId::from_bytes([n; 10])
}

fn quotas(on_quota: QuotaPolicy) -> ModelQuotas {
    ModelQuotas::new(&Limits { on_quota, seed: 1, ..Limits::default() })
}

fn spent(resets_in: u64) -> Fault {
    let fault = Fault::new(FaultKind::QuotaExhausted { resets_at: None }, "used up");
    Fault { resets_in: Some(Duration::from_secs(resets_in)), is_model_quota: true, ..fault }
}

#[test]
fn one_models_quota_is_no_other_models() {
    let mut quotas = quotas(QuotaPolicy::Stop);
    quotas.spent(at(0), "a", &spent(100));
    assert!(quotas.is_closed(at(0), "a") && !quotas.is_closed(at(0), "b"));
    assert_eq!((quotas.n_held(), quotas.stop()), (0, None), "nothing waits for it");
    quotas.hold("a", id(1));
    assert_eq!(quotas.n_held(), 1);
    assert_eq!(quotas.stop().map(|fault| fault.message.as_str()), Some("used up"));
    assert_eq!(
        (quotas.release(at(1000)), quotas.wake_at(at(0))),
        (vec![], None),
        "the run is not to wait for the reset"
    );
}

#[test]
fn after_the_reset_one_job_tries_and_the_others_follow_in_order() {
    let mut quotas = quotas(QuotaPolicy::Wait);
    quotas.spent(at(0), "a", &spent(100));
    (1..=3).for_each(|n| quotas.hold("a", id(n)));
    let resets_at = quotas.wake_at(at(0)).expect("it resets");
    assert!((at(100)..=at(130)).contains(&resets_at));
    assert_eq!((quotas.release(at(99)), quotas.stop()), (vec![], None));
    assert_eq!(quotas.release(resets_at), [id(1)]);
    quotas.left("a", id(1));
    assert!(quotas.is_closed(resets_at, "a") && quotas.release(resets_at).is_empty(), "one at a time");
    quotas.answered("a", id(1));
    quotas.accepted(resets_at, "a", resets_at, None);
    assert_eq!(quotas.release(resets_at), [2, 3].map(id));
    assert!(!quotas.is_closed(resets_at, "a"));
}

#[test]
fn no_more_leave_than_the_model_has_left() {
    let mut quotas = quotas(QuotaPolicy::Stop);
    quotas.accepted(at(1), "a", at(0), Some(2));
    (1..=5).for_each(|n| quotas.hold("a", id(n)));
    assert_eq!(quotas.release(at(1)), [1, 2].map(id));
    [1, 2].map(id).into_iter().for_each(|job| quotas.left("a", job));
    assert!(quotas.is_closed(at(1), "a") && quotas.release(at(1)).is_empty());
    assert_eq!(quotas.stop(), None, "it is not used up yet");
}

#[test]
fn a_late_acceptance_does_not_reopen_a_quota() {
    let mut quotas = quotas(QuotaPolicy::Stop);
    quotas.spent(at(2), "a", &spent(100));
    quotas.accepted(at(3), "a", at(1), None);
    assert!(quotas.is_closed(at(3), "a"));
}
