//! Exit codes for scripts: every kind of ending has its own code.

use std::process::ExitCode;

use crate::engine::turn::{Signal, StopReason};
use crate::images::error::StoreError;
use crate::model::percentage::Percentage;
use crate::provider::spec::ConnectError;
use crate::run::error::RunError;
use crate::run::summary::Summary;
use crate::store::error::LedgerError;

/// Ending of the program, which determines its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every job has its image, even if nothing was left to do.
    Done,
    /// Unexpected error.
    Error,
    /// Wrong usage or manifest; nothing was sent.
    Usage,
    /// Token missing, wrong or not allowed, or every job refused for the same reason.
    Refused,
    /// Another process runs this batch.
    Busy,
    /// This part is done, and other jobs of the manifest are outstanding. The same command continues with them.
    Part,
    /// Stopped before the end. The same command continues.
    Stopped,
    /// Finished, and some jobs have no image, or no other one although they were made again.
    Failures,
    /// Interrupted. The same command continues.
    Interrupted(Signal),
}

impl Exit {
    /// Returns the exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Busy => 4,
            Self::Part => 5,
            Self::Stopped => 75,
            Self::Failures => 100,
            Self::Interrupted(Signal::Hangup) => 129,
            Self::Interrupted(Signal::Interrupt) => 130,
            Self::Interrupted(Signal::Terminate) => 143,
        }
    }

    /// Returns the ending of a run from its summary. `fail_under` is the minimum share of jobs that must succeed.
    /// `None` means all jobs.
    pub(crate) fn of_summary(summary: &Summary, fail_under: Option<Percentage>) -> Self {
        match &summary.stop {
            Some(StopReason::Interrupted(signal)) => Self::Interrupted(*signal),
            Some(StopReason::Unauthorized(_) | StopReason::Refused(..)) => Self::Refused,
            Some(
                StopReason::Quota(_)
                | StopReason::Failures(_)
                | StopReason::Unreachable(..)
                | StopReason::Cost(_)
                | StopReason::Duration(_)
                | StopReason::Elsewhere(_),
            ) => Self::Stopped,
            Some(StopReason::Limit(_)) => Self::Part,
            // The driver reports a disk error separately, with its cause.
            Some(StopReason::Disk) => Self::Error,
            // A job whose image is not on disk is never done, whatever share has to succeed.
            None if summary.present.n_missing > 0 => Self::Failures,
            None if fail_under
                .is_some_and(|share| share.is_reached(summary.counts.n_succeeded, summary.counts.n_jobs())) =>
            {
                Self::Done
            }
            None if !summary.restored.is_empty() => Self::Failures,
            // A job in doubt that is held for the user has no image either.
            None if summary.counts.n_without_image() + summary.counts.n_unfinished() > 0 => Self::Failures,
            None => Self::Done,
        }
    }

    /// Returns the ending of a run that failed with an error.
    pub(crate) fn of_error(error: &RunError) -> Self {
        match error {
            RunError::RowProvider { source, .. } if matches!(**source, ConnectError::Token(_)) => Self::Refused,
            RunError::RowToken { .. } => Self::Refused,
            RunError::RowProvider { .. } => Self::Usage,
            RunError::Manifest(_)
            | RunError::Jobs(_)
            | RunError::Connect(
                ConnectError::Client(_) | ConnectError::UntrustedBaseUrl { .. } | ConnectError::Other { .. },
            )
            | RunError::Template(_)
            | RunError::NoLossyWebp
            | RunError::OtherNames { .. }
            | RunError::OtherPart { .. }
            | RunError::OtherImages { .. }
            | RunError::Replacement(_)
            | RunError::Choice(_)
            | RunError::Output(_)
            | RunError::RowProviderName { .. }
            | RunError::NoSuchProvider(_)
            | RunError::UntrustedDescription { .. }
            | RunError::OtherAddress { .. }
            | RunError::Redo(_)
            | RunError::Cost(_) => Self::Usage,
            RunError::Ledger(error) => Self::of_ledger(error),
            RunError::Connect(ConnectError::Token(_)) => Self::Refused,
            // The same command may succeed later.
            RunError::Store(StoreError::Storage { is_outage: true, .. }) => Self::Stopped,
            RunError::Store(StoreError::NoCloud { .. } | StoreError::PlainHttp { .. }) => Self::Usage,
            RunError::Store(
                StoreError::Io { .. } | StoreError::Link { .. } | StoreError::Moved { .. } | StoreError::Storage { .. },
            )
            | RunError::Results(_)
            | RunError::Connect(ConnectError::Start { .. } | ConnectError::Unknown(_) | ConnectError::NoClient) => {
                Self::Error
            }
        }
    }

    /// Returns the ending of a command that failed with a ledger error. A folder without a run, or with another one, is the user's
    /// mistake. An unreadable ledger is not.
    pub(crate) const fn of_ledger(error: &LedgerError) -> Self {
        match error {
            LedgerError::Missing { .. } | LedgerError::Older { .. } | LedgerError::OtherProvider { .. } => Self::Usage,
            LedgerError::Locked { .. } | LedgerError::Lent { .. } => Self::Busy,
            LedgerError::Server { .. } => Self::Usage,
            LedgerError::NoAnswer { .. } => Self::Stopped,
            LedgerError::Foreign { .. }
            | LedgerError::Newer { .. }
            | LedgerError::Link { .. }
            | LedgerError::Moved { .. }
            | LedgerError::Full { .. }
            | LedgerError::Database { .. }
            | LedgerError::Io { .. }
            | LedgerError::Damaged { .. }
            | LedgerError::Fenced { .. }
            | LedgerError::Forgotten { .. }
            | LedgerError::Unreachable { .. }
            | LedgerError::WriterStopped => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::counts::{RunStats, StatusCounts};
    use crate::model::event::Stage;
    use crate::model::outcome::{Fault, FaultKind};
    use crate::run::other_sizes::OtherSizes;
    use crate::run::presence::PresenceCheck;

    fn summary(stop: Option<StopReason>, counts: StatusCounts) -> Summary {
        Summary {
            counts,
            counts_before: StatusCounts::default(),
            incidents: RunStats::default(),
            price: None,
            cost: None,
            excess: None,
            stop,
            n_outstanding: 0,
            n_not_chosen: 0,
            failures: vec![],
            restored: vec![],
            other_sizes: OtherSizes::default(),
            present: PresenceCheck::default(),
            results: "results.csv".into(),
            ended_at: crate::model::time::Timestamp::default(),
            elapsed: std::time::Duration::ZERO,
        }
    }

    #[test]
    fn a_part_that_succeeds_is_enough_where_the_user_says_so_and_the_run_is_over() {
        let some_failed = StatusCounts { n_succeeded: 98, n_moderated: 2, ..StatusCounts::default() };
        let code = |stop, share: &str| Exit::of_summary(&summary(stop, some_failed), share.parse().ok()).code();
        assert_eq!((code(None, "98%"), code(None, "98.1%")), (0, 100));
        let interrupted = Some(StopReason::Interrupted(Signal::Interrupt));
        assert_eq!((code(interrupted, "50%"), code(Some(StopReason::Failures(2)), "50%")), (130, 75));
    }

    #[test]
    fn an_image_that_is_not_on_disk_is_not_done() {
        let whole = summary(None, StatusCounts { n_succeeded: 6, ..StatusCounts::default() });
        let present = |n_missing| PresenceCheck { n_looked: 6, n_missing, is_all: true };
        for (n_missing, code) in [(0, 0), (1, 100), (6, 100)] {
            let summary = Summary { present: present(n_missing), ..whole.clone() };
            for share in [None, "50%".parse().ok()] {
                assert_eq!(Exit::of_summary(&summary, share).code(), code, "{n_missing} {share:?}");
            }
        }
        let stop = Some(StopReason::Interrupted(Signal::Interrupt));
        assert_eq!(Exit::of_summary(&Summary { present: present(1), stop, ..whole }, None).code(), 130);
    }

    #[test]
    fn every_ending_has_the_code_of_the_contract() {
        let fault = Fault::new(FaultKind::Unauthorized, "");
        let some_failed = StatusCounts { n_succeeded: 1, n_failed: 1, ..StatusCounts::default() };
        let rows = [
            (None, StatusCounts { n_succeeded: 1, ..StatusCounts::default() }, 0),
            (None, StatusCounts::default(), 0),
            (None, some_failed, 100),
            (None, StatusCounts { n_moderated: 1, ..StatusCounts::default() }, 100),
            (None, StatusCounts { n_in_doubt: 1, ..StatusCounts::default() }, 100),
            (Some(StopReason::Unauthorized(fault.clone())), some_failed, 3),
            (Some(StopReason::Refused(fault.clone(), vec![])), some_failed, 3),
            (Some(StopReason::Quota(fault.clone())), some_failed, 75),
            (Some(StopReason::Failures(1)), some_failed, 75),
            (Some(StopReason::Duration(std::time::Duration::ZERO)), some_failed, 75),
            (Some(StopReason::Limit(1)), some_failed, 5),
            (Some(StopReason::Unreachable(Stage::Poll, fault)), some_failed, 75),
            (Some(StopReason::Disk), some_failed, 1),
            (Some(StopReason::Interrupted(Signal::Interrupt)), some_failed, 130),
            (Some(StopReason::Interrupted(Signal::Terminate)), some_failed, 143),
            (Some(StopReason::Interrupted(Signal::Hangup)), some_failed, 129),
        ];
        for (stop, counts, code) in rows {
            assert_eq!(Exit::of_summary(&summary(stop.clone(), counts), None).code(), code, "{stop:?} {counts:?}");
        }
    }
}
