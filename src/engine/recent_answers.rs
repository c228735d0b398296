//! Recent answers to submissions, by the number of other tasks in flight.
//!
//! A few slots refuse nearly everything that exceeds them, and nothing below. A refusal is therefore random if submissions with as many
//! tasks in flight are usually accepted, and due to slots if only those with fewer are. Many slots cannot be counted so exactly, because
//! some of their tasks have ended undetected.

use std::collections::VecDeque;

/// Number of answers that are kept.
const KEPT_MAX: usize = 64;

/// Number of answers that decide, which are the newest ones of a kind, and the minimum number.
const JUDGED_MAX: usize = 16;
const JUDGED_MIN: usize = 6;

/// Minimum share of acceptances that counts as usual: a tenth of the submissions may be refused at random.
const ACCEPTED_MIN: f64 = 0.75;

/// Maximum share of acceptances beyond the slots, and the minimum number of answers that show it.
const BEYOND_ACCEPTED_MAX: f64 = 0.25;
const BEYOND_MIN: usize = 3;

/// Consecutive refusals that are not random.
const RUN: usize = 3;

/// Random refusals, less those by a limit, that prove that refusals are random.
const PROOF: u32 = 8;

/// Answer to a submission.
#[derive(Clone, Copy, Debug)]
struct Answer {
    n_others: usize,
    is_accepted: bool,
    /// Says whether a limit that is known was exceeded on trial.
    is_trial: bool,
}

/// Recent answers, the newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct RecentAnswers {
    answers: VecDeque<Answer>,
    /// Random refusals, less those by a limit.
    n_random: u32,
}

impl RecentAnswers {
    /// Records a submission that was accepted with `n_others` other tasks in flight.
    pub(super) fn accepted(&mut self, n_others: usize) {
        self.push(Answer { n_others, is_accepted: true, is_trial: false });
    }

    /// Records a submission that was refused with `n_others` other tasks in flight. `is_trial` says whether that was more than the known
    /// slots.
    pub(super) fn refused(&mut self, n_others: usize, is_trial: bool) {
        self.push(Answer { n_others, is_accepted: false, is_trial });
    }

    fn push(&mut self, answer: Answer) {
        if self.answers.len() == KEPT_MAX {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
    }

    /// Returns whether submissions with at least `n_others` other tasks in flight are usually accepted, apart from trials.
    pub(super) fn are_accepted(&self, n_others: usize) -> bool {
        let is_run = self.answers.iter().rev().take(RUN).all(|answer| !answer.is_accepted);
        !is_run && self.is_usual(|answer| answer.n_others >= n_others && !answer.is_trial)
    }

    /// Returns whether submissions with at least `n_others` other tasks in flight are usually refused, and those with fewer accepted.
    pub(super) fn show_slots(&self, n_others: usize) -> bool {
        let (n, n_accepted) = self.count(|answer| answer.n_others >= n_others);
        n >= BEYOND_MIN
            && float(n_accepted) <= BEYOND_ACCEPTED_MAX * float(n)
            && self.is_usual(|answer| answer.n_others < n_others)
    }

    /// Counts a random refusal. Returns whether there are now enough of them for a proof.
    pub(super) const fn count_random(&mut self) -> bool {
        self.n_random = (self.n_random + 1) % PROOF;
        self.n_random == 0
    }

    /// Counts a refusal by a limit.
    pub(super) const fn count_limit(&mut self) {
        self.n_random = self.n_random.saturating_sub(1);
    }

    fn is_usual(&self, is_judged: impl Fn(&Answer) -> bool) -> bool {
        let (n, n_accepted) = self.count(is_judged);
        n >= JUDGED_MIN && float(n_accepted) >= ACCEPTED_MIN * float(n)
    }

    /// Counts the newest answers of a kind, and the acceptances among them.
    fn count(&self, is_judged: impl Fn(&Answer) -> bool) -> (usize, usize) {
        let judged = self.answers.iter().rev().filter(|answer| is_judged(answer)).take(JUDGED_MAX);
        judged.fold((0, 0), |(n, n_accepted), answer| (n + 1, n_accepted + usize::from(answer.is_accepted)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most some dozens")]
const fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(of: &[(usize, bool)]) -> RecentAnswers {
        let mut recent = RecentAnswers::default();
        for (n_others, is_accepted) in of {
            if *is_accepted { recent.accepted(*n_others) } else { recent.refused(*n_others, false) }
        }
        recent
    }

    #[test]
    fn one_refusal_among_many_acceptances_is_unusual() {
        let of: Vec<_> = (0..20).map(|n| (3, n != 15)).collect();
        assert!(answers(&of).are_accepted(3) && answers(&of).are_accepted(2));
        assert!(!answers(&of).are_accepted(4), "nothing is known of more tasks");
        assert!(!answers(&of[..5]).are_accepted(3), "five answers are too few");
    }

    #[test]
    fn three_refusals_in_a_row_are_not_random_whatever_came_before() {
        let of: Vec<_> = (0..23).map(|n| (3, n < 20)).collect();
        assert!(answers(&of[..22]).are_accepted(3));
        assert!(!answers(&of).are_accepted(3));
    }

    #[test]
    fn a_limit_that_fell_is_seen_after_a_quarter_of_the_answers() {
        let mut of: Vec<_> = (0..20).map(|_| (3, true)).collect();
        for n in 1..=5 {
            of.extend([(2, true), (3, false)]);
            assert_eq!(answers(&of).are_accepted(3), n < 5, "{n} refused");
        }
    }

    #[test]
    fn trials_do_not_count_against_the_slots() {
        let mut recent = answers(&[(1, true); 8]);
        (0..6).for_each(|_| {
            recent.refused(2, true);
            recent.accepted(1);
        });
        assert!(recent.are_accepted(1));
    }

    #[test]
    fn slots_are_shown_by_refusals_with_more_tasks_and_acceptances_with_fewer() {
        let mut of = vec![(0, true); 8];
        of.extend([(1, false), (1, false)]);
        assert!(!answers(&of).show_slots(1), "two refusals are too few");
        of.push((1, false));
        assert!(answers(&of).show_slots(1) && !answers(&of).show_slots(0));
        of.extend([(1, true), (1, true)]);
        assert!(!answers(&of).show_slots(1), "two of five were accepted");
    }

    #[test]
    fn eight_random_refusals_more_than_by_a_limit_are_a_proof() {
        let mut recent = RecentAnswers::default();
        assert!((0..7).all(|_| !recent.count_random()));
        recent.count_limit();
        assert_eq!([(); 3].map(|()| recent.count_random()), [false, true, false], "the count begins anew");
    }
}
