//! What several providers say together: their pace, and the reason for a stop.

use crate::engine::turn::StopReason;
use crate::model::cost::Cost;
use crate::model::outcome::Fault;
use crate::model::snapshot::{Latency, RunSnapshot, SubmitRateLimit};

/// Returns the pace of two parts of a run together. A pause is one only if both pause.
pub(super) fn pace(one: RunSnapshot, other: RunSnapshot) -> RunSnapshot {
    let allowed = one.allowed.zip(other.allowed).map(|(one, other)| SubmitRateLimit {
        per_second: one.per_second + other.per_second,
        is_told: one.is_told && other.is_told,
    });
    let latency = match (one.latency, other.latency) {
        (Some(one), Some(other)) => Some(Latency { mean: one.mean.max(other.mean), tail: one.tail.max(other.tail) }),
        (one, other) => one.or(other),
    };
    let cost = one.cost.zip(other.cost).map(|(one, other)| Cost {
        sure: one.sure + other.sure,
        in_doubt: one.in_doubt + other.in_doubt,
        n_in_doubt: one.n_in_doubt + other.n_in_doubt,
    });
    RunSnapshot {
        n_submitting: one.n_submitting + other.n_submitting,
        n_queued: one.n_queued + other.n_queued,
        n_running: one.n_running + other.n_running,
        n_downloading: one.n_downloading + other.n_downloading,
        n_waiting: one.n_waiting + other.n_waiting,
        allowed,
        places: one.places.zip(other.places).map(|(one, other)| one + other),
        latency,
        // Quotas of two providers are not one quota.
        quota_left: None,
        cost,
        hold: one.hold.zip(other.hold).map(|(one, other)| if one.until <= other.until { one } else { other }),
        down_for: one.down_for.zip(other.down_for).map(|(one, other)| one.min(other)),
        slow: one.slow.or(other.slow),
        stopping: one.stopping.and(other.stopping),
    }
}

/// Returns the rank of a reason: of several, the lowest one is told.
pub(super) const fn rank(stop: &StopReason) -> u8 {
    match stop {
        StopReason::Interrupted(_) => 0,
        StopReason::Disk => 1,
        StopReason::Unauthorized(_) => 2,
        StopReason::Refused(..) => 3,
        StopReason::Unreachable(..) => 4,
        StopReason::Quota(_) => 5,
        StopReason::Failures(_) => 6,
        StopReason::Cost(_) => 7,
        StopReason::Duration(_) => 8,
        StopReason::Elsewhere(_) => 9,
        StopReason::Limit(_) => 10,
    }
}

/// Returns the reason with the name of the provider that it is about.
pub(super) fn named(stop: &StopReason, name: &str) -> StopReason {
    let of = |fault: &Fault| Fault { message: format!("{name}: {}", fault.message), ..fault.clone() };
    match stop {
        StopReason::Unauthorized(fault) => StopReason::Unauthorized(of(fault)),
        StopReason::Refused(fault, jobs) => StopReason::Refused(of(fault), jobs.clone()),
        StopReason::Quota(fault) => StopReason::Quota(of(fault)),
        StopReason::Unreachable(stage, fault) => StopReason::Unreachable(*stage, of(fault)),
        StopReason::Interrupted(_)
        | StopReason::Failures(_)
        | StopReason::Disk
        | StopReason::Cost(_)
        | StopReason::Duration(_)
        | StopReason::Elsewhere(_)
        | StopReason::Limit(_) => stop.clone(),
    }
}
