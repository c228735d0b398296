//! How many tasks may be in flight at the provider: what the user says, or what the provider was found to take.

use crate::model::limits::Concurrency;

/// Tasks in flight that `auto` begins with.
const FIRST: usize = 4;

/// Tasks in flight that `auto` never exceeds.
const MAX: usize = 16_384;

/// What a refusal costs, in submissions that are taken: so few are refused that are wanted in order to know what is taken.
const PRICE: i32 = 25;

/// The most that may be owed.
const DEBT_MAX: i32 = 4 * PRICE;

/// A refusal that surprised is tried again after so many submissions that are taken.
const SURPRISED: i32 = 2;

/// A refusal with nothing taken since the one before cuts at least one part in so many.
const CUT_SHARE: usize = 32;

/// How many tasks may be in flight.
///
/// It grows by one for every submission that is taken, as long as it is used, until something is refused. A refusal cuts it to what was in
/// flight then, and not to half of that: the rest is in use.
///
/// From then on every submission that is taken pays a part of a refusal, and when a whole one is paid, the window grows by one. So it stays
/// where so many are refused as are paid for, however many tasks have ended unheard. One that is taken although clearly more are in
/// flight than when the last one was refused shows that the limit has moved, and costs nothing: the next one follows at once.
#[derive(Clone, Debug)]
pub struct Window {
    /// Known to be taken.
    cap: usize,
    /// What it was when it began to be cut.
    top: usize,
    max: usize,
    /// None before the first refusal.
    account: Option<Account>,
}

/// What is known since a refusal.
#[derive(Clone, Copy, Debug)]
struct Account {
    /// Submissions that were taken and have paid for nothing yet; what is owed if negative.
    credit: i32,
    /// Refusals that are paid for and have not come: one for each step of the window, as many as noise may bring.
    n_paid: usize,
    /// Submissions taken since the last refusal.
    n_accepted: u32,
    /// As many as were in flight when it came, or a few more.
    ceiling: usize,
}

impl Account {
    /// As good as if much had been taken.
    const NEW: Self = Self { credit: PRICE, n_paid: 0, n_accepted: u32::MAX, ceiling: usize::MAX };

    fn charge(&mut self) {
        self.credit = (self.credit - PRICE).max(-DEBT_MAX);
    }
}

impl Window {
    /// The window that the user wants. A number is the most of it.
    pub fn new(concurrency: Concurrency) -> Self {
        let (cap, max) = match concurrency {
            Concurrency::Fixed(n) => (n.get() as usize, n.get() as usize),
            Concurrency::Auto => (FIRST, MAX),
        };
        Self { cap, top: cap, max, account: None }
    }

    /// So many tasks of an earlier process are there, so the provider takes as many.
    pub fn found(&mut self, n_in_flight: usize) {
        self.cap = self.cap.max(n_in_flight).min(self.max);
    }

    /// Whether more than it holds was ever refused.
    pub const fn is_found(&self) -> bool {
        self.account.is_some()
    }

    /// How many are known to be taken.
    pub const fn cap(&self) -> usize {
        self.cap
    }

    /// More than this are never wanted.
    pub const fn max(&self) -> usize {
        self.max
    }

    /// How many may be in flight now, if `noise` of them may have ended unheard.
    pub fn room(&self, noise: usize) -> usize {
        let beyond = match self.account {
            // A limit that has moved is followed by so many at a time.
            Some(account) if account.credit >= PRICE && self.cap > account.ceiling => noise.max(1),
            Some(account) if account.credit >= PRICE => 1,
            Some(_) | None => 0,
        };
        self.cap.saturating_add(beyond).min(self.max)
    }

    /// Takes note that a submission was taken, with so many others in flight, of which `noise` may have ended unheard.
    pub fn accepted(&mut self, n_others: usize, noise: usize) {
        match &mut self.account {
            // A window that is not used says nothing about whether a larger one would be.
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

    /// Takes note that a submission was refused for want of a place, with so many others in flight, of which `noise` may have ended
    /// unheard. One that surprised is tried again sooner.
    pub fn refused(&mut self, n_others: usize, noise: usize, is_surprise: bool) {
        let mut account = self.account.unwrap_or(Account::NEW);
        // Nothing was taken meanwhile: a limit that fell has nothing to do with what was known before.
        let is_falling = account.n_accepted == 0;
        if is_falling || account.n_accepted >= PRICE.unsigned_abs() {
            self.top = self.cap.min(n_others + 1);
        }
        // Who was seen to move that far may have gone further.
        let has_moved = self.cap > account.ceiling.saturating_add(noise + 1);
        match account.n_paid {
            0 if is_falling => (),
            0 => account.charge(),
            _ => account.n_paid -= 1,
        }
        // One beyond the window says that it is right.
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

    /// Takes note of one more refusal, which says nothing new and costs as much.
    pub fn refused_too(&mut self) {
        if let Some(account) = &mut self.account {
            account.charge();
        }
    }

    /// Whether that a submission was refused with so many others in flight is about what this window says: tasks that have ended unheard make
    /// it seem larger than it is, but not by much.
    pub fn explains(&self, n_others: usize) -> bool {
        let was_taken = self.account.is_some_and(|account| account.n_accepted > 0);
        let known = if was_taken { self.top } else { self.cap };
        (n_others + 1) * 5 >= known * 4
    }
}

#[cfg(test)]
mod tests;
