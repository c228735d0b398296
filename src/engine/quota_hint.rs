//! Quota hint: limits submissions under way to the number that the provider reports as remaining.
//!
//! The reported number may be outdated on arrival. It may not include the submissions under way, and answers overtake each other. At most
//! as many submissions are under way as remain. An answer raises that number only if its submission left after the last report arrived.

use crate::model::time::Moment;

/// Most recent report of the provider on what remains.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QuotaHint {
    told: Option<(u64, Moment)>,
}

impl QuotaHint {
    /// Processes the report in the answer to a submission that left at `left_at`; `None` means no report.
    pub(super) fn told(&mut self, now: Moment, left_at: Moment, remaining: Option<u64>) {
        self.told = match (self.told, remaining) {
            (Some((before, told_at)), _) if left_at < told_at && remaining.is_none_or(|n| n >= before) => self.told,
            (_, remaining) => remaining.map(|n| (n, now)),
        };
    }

    /// Returns whether one more submission may leave with `n_submits_out` under way. One may always leave with none under way. The report
    /// may be outdated, and only an answer brings a new one.
    pub(super) fn has_room(&self, n_submits_out: usize) -> bool {
        self.told.is_none_or(|(n, _)| u64::try_from(n_submits_out).is_ok_and(|n_out| n_out < n.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn at(millis: i64) -> Moment {
        Moment::new(millis * 1000, Timestamp::from_millis(millis))
    }

    fn room(remaining: &QuotaHint) -> usize {
        (0..1000).find(|n| !remaining.has_room(*n)).unwrap_or(1000)
    }

    #[test]
    fn as_many_are_under_way_as_remain_and_one_at_least() {
        let mut remaining = QuotaHint::default();
        assert_eq!(room(&remaining), 1000, "nobody says");
        for (n, expected) in [(7, 7), (1, 1), (0, 1), (u64::MAX, 1000)] {
            remaining.told(at(1), at(1), Some(n));
            assert_eq!(room(&remaining), expected);
        }
    }

    #[test]
    fn an_answer_that_was_overtaken_raises_nothing() {
        let mut remaining = QuotaHint::default();
        remaining.told(at(50), at(10), Some(2));
        remaining.told(at(60), at(5), Some(3));
        assert_eq!(room(&remaining), 2);
        remaining.told(at(61), at(5), None);
        assert_eq!(room(&remaining), 2);
        remaining.told(at(70), at(20), Some(1));
        assert_eq!(room(&remaining), 1, "less is news in any case");
    }

    #[test]
    fn the_next_allowance_is_heard_of() {
        let mut remaining = QuotaHint::default();
        remaining.told(at(50), at(10), Some(0));
        remaining.told(at(100), at(60), Some(124));
        assert_eq!(room(&remaining), 124);
        remaining.told(at(200), at(150), None);
        assert_eq!(room(&remaining), 1000, "who says nothing any more has no allowance");
    }
}
