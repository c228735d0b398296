//! Answers to submissions, put into the order in which the submissions left.
//!
//! Answers overtake each other. A limit is understood from the order in which submissions came to the provider.

use std::collections::VecDeque;

use crate::model::time::Moment;

/// Submissions that wait for an earlier one at most. Beyond them, the earliest answer is no longer awaited.
const WAITING_MAX: usize = 2048;

/// Answer to a submission, and the tasks in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// When the submission left.
    pub left_at: Moment,
    /// Says whether it was accepted, and not refused by a limit.
    pub is_accepted: bool,
    /// Other accepted tasks, without those known to have ended when the submission left.
    pub n_busy_max: usize,
    /// The same, without those known to have ended when the answer came.
    pub n_busy_min: usize,
    /// Tasks that may have ended undetected besides.
    pub n_undetected: usize,
}

/// Submission that no trial was made of yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingSubmission {
    /// When it left.
    pub left_at: Moment,
    /// Says whether it is known to be accepted.
    pub is_accepted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Awaited,
    Accepted,
    Refused,
    /// An answer that says nothing about limits.
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u64,
    left_at: Moment,
    /// Tasks that had ended when it left, and when it was answered.
    n_ended: usize,
    n_ended_later: usize,
    answer: Answer,
}

/// Submissions that are under way, or were answered before an earlier one.
#[derive(Debug, Default)]
pub(crate) struct SubmissionOrder {
    sent: VecDeque<Sent>,
    number: u64,
    /// Accepted tasks, as far as answers are in order.
    n_accepted: usize,
}

impl SubmissionOrder {
    /// Records a task of an earlier process.
    pub(crate) const fn found(&mut self) {
        self.n_accepted += 1;
    }

    /// Records a submission that leaves after so many tasks have ended, and returns its number.
    pub(crate) fn sent(&mut self, left_at: Moment, n_ended: usize) -> u64 {
        self.number += 1;
        let number = self.number;
        self.sent.push_back(Sent { number, left_at, n_ended, n_ended_later: n_ended, answer: Answer::Awaited });
        number
    }

    /// Returns the submissions whose answers are awaited, and those that were accepted before the answer to an earlier one.
    pub(crate) fn pending(&self) -> Vec<PendingSubmission> {
        let pending = self.sent.iter().filter_map(|sent| match sent.answer {
            Answer::Awaited => Some(PendingSubmission { left_at: sent.left_at, is_accepted: false }),
            Answer::Accepted => Some(PendingSubmission { left_at: sent.left_at, is_accepted: true }),
            Answer::Refused | Answer::Other => None,
        });
        pending.collect()
    }

    /// Returns whether a submission was refused while the answer to an earlier one is awaited.
    pub(crate) fn has_refused(&self) -> bool {
        self.sent.iter().any(|sent| sent.answer == Answer::Refused)
    }

    /// Records an answer that comes after so many tasks have ended.
    pub(crate) fn answered(&mut self, number: u64, n_ended: usize, is_accepted: bool) {
        let answer = if is_accepted { Answer::Accepted } else { Answer::Refused };
        let Some(nth) = self.settle(number, n_ended, answer) else {
            self.n_accepted += usize::from(is_accepted);
            return;
        };
        // It is not known which of those that left together came first: one that was accepted did.
        let left_at = self.sent[nth].left_at;
        let refused = |sent: &Sent| sent.left_at == left_at && sent.answer == Answer::Refused;
        if let Some(first) = self.sent.iter().take(nth).position(refused)
            && is_accepted
        {
            (self.sent[first].answer, self.sent[nth].answer) = (Answer::Accepted, Answer::Refused);
        }
    }

    /// Records an answer that says nothing about limits.
    pub(crate) fn forget(&mut self, number: u64) {
        self.settle(number, 0, Answer::Other);
    }

    /// Returns the place of the submission; `None` if its answer is no longer awaited.
    fn settle(&mut self, number: u64, n_ended: usize, answer: Answer) -> Option<usize> {
        let nth = self.sent.iter().position(|sent| sent.number == number)?;
        (self.sent[nth].answer, self.sent[nth].n_ended_later) = (answer, n_ended);
        Some(nth)
    }

    /// Takes the next answer; `None` if one to an earlier submission is awaited.
    pub(crate) fn pop(&mut self) -> Option<Trial> {
        loop {
            let first = *self.sent.front()?;
            let is_with = |sent: &Sent| sent.left_at == first.left_at && sent.answer == Answer::Awaited;
            let is_early = match first.answer {
                Answer::Awaited => true,
                // One that left at the same time may have been accepted before.
                Answer::Refused => self.sent.iter().any(is_with),
                Answer::Accepted | Answer::Other => false,
            };
            if is_early && self.sent.len() <= WAITING_MAX {
                return None;
            }
            self.sent.pop_front();
            if matches!(first.answer, Answer::Awaited | Answer::Other) {
                continue;
            }
            let is_accepted = first.answer == Answer::Accepted;
            let trial = Trial {
                left_at: first.left_at,
                is_accepted,
                n_busy_max: self.n_accepted.saturating_sub(first.n_ended),
                n_busy_min: self.n_accepted.saturating_sub(first.n_ended_later),
                n_undetected: 0,
            };
            self.n_accepted += usize::from(is_accepted);
            return Some(trial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn at(millis: i64) -> Moment {
        Moment::new(millis * 1000, Timestamp::from_millis(millis))
    }

    fn taken(order: &mut SubmissionOrder) -> Vec<(i64, bool, usize)> {
        std::iter::from_fn(|| order.pop())
            .map(|trial| (trial.left_at.micros() / 1000, trial.is_accepted, trial.n_busy_max))
            .collect()
    }

    /// Goal: answers count in the order in which submissions left. Method: the second answer comes first.
    #[test]
    fn answers_that_overtake_wait_for_the_earlier_ones() {
        let mut order = SubmissionOrder::default();
        let numbers = [order.sent(at(0), 0), order.sent(at(1), 0), order.sent(at(2), 0)];
        order.answered(numbers[1], 0, false);
        assert!(taken(&mut order).is_empty() && order.has_refused());
        order.answered(numbers[0], 0, true);
        assert_eq!(taken(&mut order), [(0, true, 0), (1, false, 1)]);
        assert_eq!(order.pending(), [PendingSubmission { left_at: at(2), is_accepted: false }]);
        order.forget(numbers[2]);
        assert!(taken(&mut order).is_empty() && order.pending().is_empty() && !order.has_refused());
    }

    /// Goal: an acceptance that overtakes an earlier answer is known, and no trial yet. Method: the second of two is accepted first.
    #[test]
    fn an_early_acceptance_is_pending_and_known() {
        let mut order = SubmissionOrder::default();
        let numbers = [order.sent(at(0), 0), order.sent(at(1), 0)];
        order.answered(numbers[1], 0, true);
        let pending = |millis, is_accepted| PendingSubmission { left_at: at(millis), is_accepted };
        assert_eq!(order.pending(), [pending(0, false), pending(1, true)]);
        order.answered(numbers[0], 0, true);
        assert_eq!(taken(&mut order).len(), 2);
        assert!(order.pending().is_empty());
    }

    /// Goal: of those that left together, accepted ones count first. Method: three leave together, and the last one is accepted.
    #[test]
    fn an_accepted_one_comes_before_refused_ones_of_the_same_moment() {
        let mut order = SubmissionOrder::default();
        let numbers = [0; 3].map(|_| order.sent(at(0), 0));
        order.answered(numbers[0], 0, false);
        order.answered(numbers[1], 0, false);
        assert!(taken(&mut order).is_empty(), "the third may have come first");
        order.answered(numbers[2], 0, true);
        assert_eq!(taken(&mut order), [(0, true, 0), (0, false, 1), (0, false, 1)]);
    }

    /// Goal: a lost answer holds nothing back for ever, and its task still counts. Method: one answer comes after thousands.
    #[test]
    fn an_answer_that_does_not_come_is_not_awaited_for_ever() {
        let mut order = SubmissionOrder::default();
        let late = order.sent(at(0), 0);
        for millis in 1..=3000 {
            let number = order.sent(at(millis), 0);
            order.answered(number, 0, true);
        }
        assert_eq!(taken(&mut order).len(), 3000);
        order.answered(late, 0, true);
        let number = order.sent(at(4000), 0);
        order.answered(number, 0, true);
        assert_eq!(taken(&mut order), [(4000, true, 3001)]);
    }
}
