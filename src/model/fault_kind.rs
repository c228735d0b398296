//! What each kind of fault means for a submission, a poll, the task and its job.
//!
//! Every method names every kind, so that a new one must be thought about here. Others ask these methods, and do not list kinds.

use std::time::Duration;

use crate::model::outcome::FaultKind;
use crate::model::time::Timestamp;

impl FaultKind {
    /// Returns whether a submission that ends with this fault may have been accepted, and may thus be paid for.
    pub const fn leaves_doubt(self) -> bool {
        match self {
            Self::InDoubt | Self::Rejected => true,
            Self::Throttled { .. }
            | Self::QuotaExhausted { .. }
            | Self::Transient
            | Self::TaskLost
            | Self::Moderated
            | Self::InvalidRequest
            | Self::Unauthorized
            | Self::BadOutput => false,
        }
    }

    /// Returns whether a limit of the provider was reached: too many requests, or a used-up quota. The job is not at fault.
    pub const fn is_limit(self) -> bool {
        match self {
            Self::Throttled { .. } | Self::QuotaExhausted { .. } => true,
            Self::Transient
            | Self::InDoubt
            | Self::Rejected
            | Self::TaskLost
            | Self::Moderated
            | Self::InvalidRequest
            | Self::Unauthorized
            | Self::BadOutput => false,
        }
    }

    /// Returns whether nothing shows that any server behind the request works: no answer came, or only that of a busy server.
    pub const fn is_outage(self) -> bool {
        match self {
            Self::Transient | Self::InDoubt => true,
            Self::Throttled { .. }
            | Self::QuotaExhausted { .. }
            | Self::Rejected
            | Self::TaskLost
            | Self::Moderated
            | Self::InvalidRequest
            | Self::Unauthorized
            | Self::BadOutput => false,
        }
    }

    /// Returns whether a submission was refused for a reason that may concern every job, or this one alone.
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::Rejected | Self::InvalidRequest | Self::Unauthorized => true,
            Self::Throttled { .. }
            | Self::QuotaExhausted { .. }
            | Self::Transient
            | Self::InDoubt
            | Self::TaskLost
            | Self::Moderated
            | Self::BadOutput => false,
        }
    }

    /// Returns whether the content or the form of the request was refused: the same request would be refused again.
    pub const fn refuses_request(self) -> bool {
        match self {
            Self::Moderated | Self::InvalidRequest => true,
            Self::Throttled { .. }
            | Self::QuotaExhausted { .. }
            | Self::Transient
            | Self::InDoubt
            | Self::Rejected
            | Self::TaskLost
            | Self::Unauthorized
            | Self::BadOutput => false,
        }
    }

    /// Returns whether a submission of any other job would meet the same fault now. The job is not at fault.
    pub const fn concerns_all_jobs(self) -> bool {
        match self {
            Self::Throttled { .. } | Self::QuotaExhausted { .. } | Self::Unauthorized => true,
            Self::Transient
            | Self::InDoubt
            | Self::Rejected
            | Self::TaskLost
            | Self::Moderated
            | Self::InvalidRequest
            | Self::BadOutput => false,
        }
    }

    /// Returns whether a submission with this fault ends its job: the same request would be refused again, or its answer makes no sense.
    pub const fn blames_job(self) -> bool {
        match self {
            Self::Rejected | Self::TaskLost | Self::Moderated | Self::InvalidRequest | Self::BadOutput => true,
            Self::Throttled { .. }
            | Self::QuotaExhausted { .. }
            | Self::Transient
            | Self::InDoubt
            | Self::Unauthorized => false,
        }
    }

    /// Returns whether the API itself gave the answer to a submission. A proxy, or nothing at all, answers for the other kinds.
    pub const fn is_of_api(self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::QuotaExhausted { .. }
            | Self::TaskLost
            | Self::Moderated
            | Self::InvalidRequest
            | Self::Unauthorized
            | Self::BadOutput => true,
            Self::Transient | Self::InDoubt | Self::Rejected => false,
        }
    }

    /// Returns whether a poll that ends with this fault shows nothing of its task, and does not show that polls are answered.
    pub const fn hides_task(self) -> bool {
        match self {
            Self::QuotaExhausted { .. }
            | Self::Transient
            | Self::InDoubt
            | Self::Rejected
            | Self::Moderated
            | Self::InvalidRequest
            | Self::BadOutput => true,
            Self::Throttled { .. } | Self::TaskLost | Self::Unauthorized => false,
        }
    }

    /// Returns whether the task that ended with this fault cannot give an image any more: polling it again is no use.
    pub const fn ends_task(self) -> bool {
        match self {
            Self::InDoubt | Self::Rejected | Self::Moderated | Self::InvalidRequest => true,
            Self::Throttled { .. }
            | Self::QuotaExhausted { .. }
            | Self::Transient
            | Self::TaskLost
            | Self::Unauthorized
            | Self::BadOutput => false,
        }
    }

    /// Returns the wait that a throttling fault names; `None` if it names none, and for every other kind.
    pub const fn retry_after(self) -> Option<Duration> {
        if let Self::Throttled { retry_after } = self { retry_after } else { None }
    }

    /// Returns the time of the next quota that a used-up one names; `None` if it names none, and for every other kind.
    pub const fn resets_at(self) -> Option<Timestamp> {
        if let Self::QuotaExhausted { resets_at } = self { resets_at } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Method with its name, and an `x` for each kind for which it returns true.
    type Meaning = (fn(FaultKind) -> bool, &'static str, &'static str);

    /// Goal: what a kind means changes only on purpose. Method: each method with all kinds, in the order of `FaultKind::ALL`.
    #[test]
    fn every_kind_has_its_meaning() {
        let meanings: [Meaning; 10] = [
            (FaultKind::leaves_doubt, "leaves_doubt", "...xx....."),
            (FaultKind::is_limit, "is_limit", "xx........"),
            (FaultKind::is_outage, "is_outage", "..xx......"),
            (FaultKind::is_refusal, "is_refusal", "....x..xx."),
            (FaultKind::refuses_request, "refuses_request", "......xx.."),
            (FaultKind::concerns_all_jobs, "concerns_all_jobs", "xx......x."),
            (FaultKind::blames_job, "blames_job", "....xxxx.x"),
            (FaultKind::is_of_api, "is_of_api", "xx...xxxxx"),
            (FaultKind::hides_task, "hides_task", ".xxxx.xx.x"),
            (FaultKind::ends_task, "ends_task", "...xx.xx.."),
        ];
        for (method, name, expected) in meanings {
            let letters: String = FaultKind::ALL.map(|kind| if method(kind) { 'x' } else { '.' }).into_iter().collect();
            assert_eq!(letters, expected, "{name}");
        }
    }

    /// Goal: a submission's fault means one thing for its job. Method: the three kinds of consequences exclude each other.
    #[test]
    fn a_fault_of_a_submission_concerns_all_jobs_or_the_path_or_its_own_job() {
        for kind in FaultKind::ALL {
            let meanings = [kind.concerns_all_jobs(), kind.is_outage(), kind.blames_job()];
            assert_eq!(meanings.into_iter().filter(|is_meant| *is_meant).count(), 1, "{kind:?}");
        }
    }

    #[test]
    fn only_limits_name_a_time() {
        let (wait, reset) = (Duration::from_secs(2), Timestamp::from_millis(7));
        let throttled = FaultKind::Throttled { retry_after: Some(wait) };
        let spent = FaultKind::QuotaExhausted { resets_at: Some(reset) };
        assert_eq!((throttled.retry_after(), throttled.resets_at()), (Some(wait), None));
        assert_eq!((spent.retry_after(), spent.resets_at()), (None, Some(reset)));
    }
}
