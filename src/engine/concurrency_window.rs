//! Concurrency limit: how many tasks may be in flight, as configured or as found from the provider's refusals.

use crate::model::limits::Concurrency;

/// Initial number of tasks in flight for `auto`.
const FIRST: usize = 4;

/// Maximum number of tasks in flight for `auto`.
const MAX: usize = 16_384;

/// Price of a refusal, in accepted submissions. Refusals are wanted only as often as they are needed to know the limit.
const PRICE: i32 = 25;

/// Maximum debt, in accepted submissions.
const DEBT_MAX: i32 = 4 * PRICE;

/// Accepted submissions before the next probe, after a refusal that was unexpected.
const SURPRISED: i32 = 2;

/// Divisor of the window that gives the minimum cut by a refusal with no acceptance since the previous one.
const CUT_SHARE: usize = 32;

/// Number of jobs for each slot that repay the refusal of a probe: a probe rarely finds another slot soon after a refusal.
const REPAID: usize = 60;
/// The same, for a window below what a search has found: refusals by chance may have cut it.
const REPAID_BELOW: usize = 3;

/// Limit on the number of tasks in flight.
///
/// The window grows by one for every accepted submission, as long as it is used, until a submission is refused. A refusal cuts it to the
/// number of tasks then in flight. It is not halved: the rest is in use.
///
/// From then on, every accepted submission pays a part of a refusal. When a whole refusal is paid, the window grows by one. The window
/// therefore stays where as many submissions are refused as are paid for, however many tasks have ended undetected. A submission may be
/// accepted with clearly more tasks in flight than at the last refusal. Such an acceptance shows that the limit has moved, and costs
/// nothing. The next step of growth follows at once.
#[derive(Clone, Debug)]
pub(super) struct ConcurrencyWindow {
    /// Number of tasks that the provider is known to accept.
    cap: usize,
    /// Value of `cap` when the current cuts began.
    top: usize,
    /// Number of slots that the last search has found; 0 without one.
    searched: usize,
    max: usize,
    /// Probe budget; `None` before the first refusal.
    account: Option<ProbeBudget>,
    /// Jobs that are left to submit; `None` if many.
    n_jobs: Option<usize>,
}

/// Probe budget and observations since a refusal.
#[derive(Clone, Copy, Debug)]
struct ProbeBudget {
    /// Accepted submissions that have paid for nothing yet; a negative value is a debt.
    credit: i32,
    /// Paid refusals that have not come: one per step of the window, at most as many as noise may cause.
    n_paid: usize,
    /// Submissions accepted since the last refusal.
    n_accepted: u32,
    /// Number of tasks in flight at the last refusal, or slightly more.
    ceiling: usize,
}

impl ProbeBudget {
    /// Initial budget, as if many submissions had been accepted.
    const NEW: Self = Self { credit: PRICE, n_paid: 0, n_accepted: u32::MAX, ceiling: usize::MAX };

    fn charge(&mut self) {
        self.credit = (self.credit - PRICE).max(-DEBT_MAX);
    }
}

impl ConcurrencyWindow {
    /// Creates the window that the user configures. A fixed number is also its maximum.
    pub(super) fn new(concurrency: Concurrency) -> Self {
        let (cap, max) = match concurrency {
            Concurrency::Fixed(n) => (n.get() as usize, n.get() as usize),
            Concurrency::Auto => (FIRST, MAX),
        };
        Self { cap, top: cap, searched: 0, max, account: None, n_jobs: None }
    }

    /// Sets the number of jobs that are left to submit; `None` if many. Few jobs repay no probe.
    pub(super) const fn expect_jobs(&mut self, n_jobs: Option<usize>) {
        self.n_jobs = n_jobs;
    }

    /// Raises the window to `n_in_flight` tasks of an earlier process, since the provider accepts as many.
    pub(super) fn found(&mut self, n_in_flight: usize) {
        self.cap = self.cap.max(n_in_flight).min(self.max);
    }

    /// Sets the number of slots that a search has found.
    pub(super) fn limit_to(&mut self, slots: usize) {
        // The search has just shown that one more is refused.
        self.cap = slots.min(self.max).max(1);
        (self.top, self.searched) = (self.cap, self.cap);
        self.account = Some(ProbeBudget { credit: -PRICE, n_paid: 0, n_accepted: 1, ceiling: self.cap });
    }

    /// Returns whether a submission was ever refused for lack of a slot.
    pub(super) const fn is_found(&self) -> bool {
        self.account.is_some()
    }

    /// Returns the number of tasks that the provider is known to accept.
    pub(super) const fn cap(&self) -> usize {
        self.cap
    }

    /// Returns the maximum of the window.
    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// Returns how many tasks may be in flight now, if `noise` of them may have ended undetected.
    pub(super) fn room(&self, noise: usize) -> usize {
        let repaid = if self.cap < self.searched { REPAID_BELOW } else { REPAID };
        let is_repaid = self.n_jobs.is_none_or(|n_jobs| n_jobs > repaid * self.cap);
        let beyond = match self.account.filter(|_| is_repaid) {
            // A limit that has moved is followed by this many tasks at a time.
            Some(account) if account.credit >= PRICE && self.cap > account.ceiling => noise.max(1),
            Some(account) if account.credit >= PRICE => 1,
            Some(_) | None => 0,
        };
        self.cap.saturating_add(beyond).min(self.max)
    }

    /// Records a submission that was accepted with `n_others` other tasks in flight, of which `noise` may have ended undetected.
    pub(super) fn accepted(&mut self, n_others: usize, noise: usize) {
        match &mut self.account {
            // An unused window does not show whether a larger one would be used.
            None if (n_others + 1) * 2 >= self.cap => self.cap += 1,
            None => (),
            Some(account) => {
                account.n_accepted = account.n_accepted.saturating_add(1);
                account.credit = (account.credit + 1).min(PRICE);
                if n_others >= self.cap && account.credit == PRICE {
                    self.cap += 1;
                    if self.cap <= account.ceiling {
                        account.credit = 0;
                        account.n_paid = (account.n_paid + 1).min(noise + 1);
                    }
                }
            }
        }
        self.cap = self.cap.min(self.max);
    }

    /// Records a submission that was refused for lack of a slot. Of the `n_others` other tasks in flight, `noise` may have ended
    /// undetected. After an unexpected refusal the next probe comes sooner.
    pub(super) fn refused(&mut self, n_others: usize, noise: usize, is_surprise: bool) {
        let mut account = self.account.unwrap_or(ProbeBudget::NEW);
        // No submission was accepted in between: a limit that fell is unrelated to what was known before.
        let is_falling = account.n_accepted == 0;
        if is_falling || account.n_accepted >= PRICE.unsigned_abs() {
            self.top = self.cap.min(n_others + 1);
        }
        // A limit that was seen to move this far may have moved further.
        let has_moved = self.cap > account.ceiling.saturating_add(noise + 1);
        match account.n_paid {
            0 if is_falling => (),
            0 => account.charge(),
            _ => account.n_paid -= 1,
        }
        // A refusal beyond the window confirms the window.
        if n_others < self.cap {
            let most = match self.account {
                None => n_others,
                Some(_) if is_falling => n_others.min(self.cap - self.cap / CUT_SHARE),
                Some(_) => n_others + noise,
            };
            self.cap = most.min(self.cap - 1).max(1);
        }
        if is_surprise || has_moved {
            account.credit = PRICE - SURPRISED;
        }
        (account.n_accepted, account.ceiling) = (0, n_others + noise);
        self.account = Some(account);
    }

    /// Records one more refusal, which adds no information and costs the same.
    pub(super) fn refused_too(&mut self) {
        if let Some(account) = &mut self.account {
            account.charge();
        }
    }

    /// Returns whether this window explains a refusal with `n_others` other tasks in flight. Tasks that have ended undetected make the
    /// window seem larger than it is, but not by much.
    pub(super) fn explains(&self, n_others: usize) -> bool {
        (n_others + 1) * 5 >= self.known() * 4
    }

    /// Returns the number of tasks that were accepted before the current cuts.
    pub(super) fn known(&self) -> usize {
        let was_taken = self.account.is_some_and(|account| account.n_accepted > 0);
        if was_taken { self.top } else { self.cap }
    }
}

#[cfg(test)]
mod tests;
