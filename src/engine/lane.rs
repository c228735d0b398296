//! One provider's budgets: submissions, tasks in flight, polls and downloads, and what each refusal does to them.

use std::time::Duration;

use crate::engine::chance::{Chance, Load, Verdict};
use crate::engine::learner::{Learner, Refused, Ticket};
use crate::engine::pacer::Pacer;
use crate::engine::parallel::Parallel;
use crate::engine::remaining::Remaining;
use crate::engine::retry::Backoff;
use crate::engine::turn::Received;
use crate::model::event::Stage;
use crate::model::history::History;
use crate::model::job::JobId;
use crate::model::limits::{Concurrency, Limits, Rate};
use crate::model::outcome::{Fault, FaultKind};
use crate::model::pace::{Allowed, Hold, Slow};
use crate::model::time::{Moment, Timestamp};

/// The most submissions whose answer is awaited, for the sake of a known rate.
const SUBMITS_MAX: f64 = 1024.0;

/// One provider's pace.
#[derive(Debug)]
pub struct Lane {
    submits: Pacer,
    polls: Pacer,
    learner: Learner,
    /// Whether refused polls are chance.
    poll_chance: Chance,
    /// What remains of the allowance.
    remaining: Remaining,
    n_submits_out: usize,
    n_polls_out: usize,
    downloads: Parallel,
    /// Tasks that occupy a place at the provider, submissions under way included.
    n_in_flight: usize,
    submits_max: usize,
    polls_max: usize,
    /// Whether the API has ever given this process an answer that says anything.
    has_answered: bool,
    /// The rate that the user allows, a second.
    per_second: Option<f64>,
    /// Whether the user says how many tasks may be in flight.
    is_fixed: bool,
    /// Why the last submission that wanted to leave had to wait.
    slow: Option<Slow>,
    /// Whether all submissions are refused alike, so that a refusal is no sign of life.
    is_blocked: bool,
    /// How many submissions may be under way because of refusals, if not any number.
    refusals_max: Option<usize>,
}

/// Why nothing may leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// An answer has to come first.
    Busy,
    /// Time has to pass first.
    Until(Moment),
}

impl Lane {
    /// The lane that these limits describe.
    pub fn new(limits: &Limits) -> Self {
        let pacer = |rate, burst, salt| Pacer::new(rate, burst, Backoff::new(limits.seed ^ salt), limits.wait_max);
        Self {
            submits: pacer(limits.rate, limits.burst, 0x5b),
            polls: pacer(limits.poll_rate, None, 0x90),
            learner: Learner::new(limits.concurrency, limits.rate.is_some()),
            poll_chance: Chance::new(),
            remaining: Remaining::default(),
            n_submits_out: 0,
            n_polls_out: 0,
            downloads: Parallel::new(limits.downloads_max),
            n_in_flight: 0,
            submits_max: limits.submits_max.max(in_two_seconds(limits.rate)),
            polls_max: limits.polls_max,
            has_answered: false,
            per_second: limits.rate.map(per_second),
            is_fixed: limits.concurrency != Concurrency::Auto,
            slow: None,
            is_blocked: false,
            refusals_max: None,
        }
    }

    /// Counts what earlier processes have sent: a restart is no reason to send more than the rate allows.
    pub fn remember(&mut self, now: Moment, history: &History) {
        for sent_at in &history.submitted_at {
            self.submits.remember(now, now.at_wall(*sent_at));
        }
    }

    /// Takes leave for one submission; it then counts as under way and in flight.
    pub fn take_submit(&mut self, now: Moment) -> Result<Ticket, Wait> {
        let taken = self.try_submit(now);
        self.slow = taken.err().map(|(slow, _)| slow);
        taken.map_err(|(_, wait)| wait)
    }

    fn try_submit(&mut self, now: Moment) -> Result<Ticket, (Slow, Wait)> {
        let submits_max = if self.submits.is_probing() { 1 } else { self.submits_max };
        let submits_max = self.refusals_max.map_or(submits_max, |max| max.min(submits_max));
        if self.n_submits_out >= submits_max || !self.remaining.has_room(self.n_submits_out) {
            return Err((Slow::Answers, Wait::Busy));
        }
        if !self.learner.has_room(now, self.n_in_flight) {
            let wait = self.learner.room_at(now, self.n_in_flight).map_or(Wait::Busy, Wait::Until);
            return Err((Slow::Places, wait));
        }
        if let Some(next_at) = self.learner.next_at(now) {
            return Err((Slow::Rate, Wait::Until(next_at)));
        }
        self.submits.take(now).map_err(|moment| (Slow::Rate, Wait::Until(moment)))?;
        let ticket = self.learner.take(now, self.n_in_flight);
        self.n_submits_out += 1;
        self.n_in_flight += 1;
        Ok(ticket)
    }

    /// A submission was taken: its task stays in flight. So many more are taken, where the provider says that.
    pub fn submit_accepted(&mut self, now: Moment, ticket: Ticket, remaining: Option<u64>) {
        self.n_submits_out -= 1;
        self.remaining.told(now, ticket.left_at(), remaining);
        self.learner.accepted(now, ticket);
        self.submits.succeeded(now);
        (self.has_answered, self.is_blocked) = (true, false);
    }

    /// No more submissions than this may be under way, as they may all be refused alike; `None` means any number.
    pub const fn limit_submits(&mut self, max: Option<usize>) {
        self.refusals_max = max;
    }

    /// All submissions are refused alike: one at a time tries, ever more seldom. A try that `is_costly` may be paid for.
    pub fn block_submits(&mut self, now: Moment, is_costly: bool) {
        self.is_blocked = true;
        self.submits.block(now, is_costly);
    }

    /// The provider says beforehand that it takes nothing more for so long.
    pub fn pause_submits(&mut self, now: Moment, span: Duration) {
        self.submits.pause(now, span);
    }

    /// An answer to a poll asks to wait for so long.
    pub fn pause_polls(&mut self, now: Moment, span: Duration) {
        self.polls.pause(now, span);
    }

    /// A submission was not taken, or it is not known whether it was. Gives for how long its job alone is to wait, if it is: chance refused
    /// it, and named a time.
    pub fn submit_refused(&mut self, now: Moment, ticket: Ticket, fault: &Fault) -> Option<Duration> {
        self.n_submits_out -= 1;
        self.n_in_flight -= 1;
        match fault.kind {
            FaultKind::Throttled { retry_after } => {
                self.has_answered = true;
                let refused = self.learner.refused(now, ticket);
                match (refused, retry_after) {
                    // Where a limit refuses besides, its cut sees to it.
                    (Some(Refused::Chance | Refused::Cut) | None, Some(wait)) if self.learner.is_chance_trusted() => {
                        self.submits.answered();
                        return Some(wait);
                    }
                    // Until chance is plain, the time counts for all, and only that.
                    (Some(Refused::Chance), Some(_)) => self.submits.refused(now, retry_after, false),
                    (Some(Refused::Chance | Refused::Cut), None) => self.submits.answered(),
                    (Some(Refused::Cut | Refused::Wait), _) => self.submits.refused(now, retry_after, true),
                    (None, _) => self.submits.refused(now, retry_after, false),
                }
            }
            FaultKind::Transient | FaultKind::InDoubt => self.submits.faltered(now, fault.kind.leaves_doubt()),
            // A proxy that answers is no sign that the API does.
            FaultKind::Rejected => (),
            FaultKind::InvalidRequest | FaultKind::Unauthorized if self.is_blocked => (),
            FaultKind::QuotaExhausted { .. }
            | FaultKind::TaskLost
            | FaultKind::Moderated
            | FaultKind::InvalidRequest
            | FaultKind::Unauthorized
            | FaultKind::BadOutput => {
                self.submits.answered();
                self.has_answered = true;
            }
        }
        None
    }

    /// Nothing is submitted until the allowance is back; `resets_at` is when the provider says that it will be.
    pub fn quota_spent(&mut self, now: Moment, resets_at: Option<Timestamp>) {
        self.submits.spent(now, resets_at);
    }

    /// Whether submissions meet nothing but transient faults, whichever job they are of.
    pub const fn is_down(&self) -> bool {
        self.submits.is_down()
    }

    /// How long the API has been out of reach for requests of this kind: many transient faults in a row, and nothing else.
    pub fn down_for(&self, now: Moment, stage: Stage) -> Option<Duration> {
        let pacer = match stage {
            Stage::Submit => &self.submits,
            Stage::Poll => &self.polls,
            Stage::Download | Stage::Task => return None,
        };
        pacer.is_down().then(|| pacer.down_for(now))
    }

    /// Whether the API has ever given this process an answer that says anything.
    pub const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// A task that an earlier process left at the provider occupies a place there.
    pub fn task_found(&mut self) {
        self.n_in_flight += 1;
        self.learner.found(self.n_in_flight);
    }

    /// A task in flight was found done. It took so long, and has been done for so long of that, as is to be expected.
    pub fn task_done(&mut self, now: Moment, took: Duration, unheard: Duration) {
        self.learner.ended(now, self.n_in_flight, took, unheard);
    }

    /// A task no longer occupies a place at the provider.
    pub const fn task_ended(&mut self) {
        self.n_in_flight -= 1;
    }

    /// Takes leave for one poll request.
    pub fn take_poll(&mut self, now: Moment) -> Result<(), Wait> {
        let polls_max = if self.polls.is_probing() { 1 } else { self.polls_max };
        if self.n_polls_out >= polls_max {
            return Err(Wait::Busy);
        }
        self.polls.take(now).map_err(Wait::Until)?;
        self.n_polls_out += 1;
        Ok(())
    }

    /// A poll request came back.
    pub const fn poll_answered(&mut self) {
        self.n_polls_out -= 1;
    }

    /// A poll was answered with a status.
    pub fn poll_succeeded(&mut self, now: Moment) {
        self.polls.succeeded(now);
        self.poll_chance.accepted();
        self.has_answered = true;
    }

    /// A poll was answered with a fault.
    pub fn poll_refused(&mut self, now: Moment, fault: &Fault) {
        match fault.kind {
            FaultKind::Throttled { retry_after } => {
                self.has_answered = true;
                let is_first = self.polls.hold(now).is_none();
                let is_chance = self.poll_chance.refused(Load::Unclear) == Verdict::Chance;
                // Its task is asked for again in a while, and no other poll waits.
                if is_first && is_chance && (retry_after.is_none() || self.poll_chance.is_trusted()) {
                    self.polls.answered();
                } else {
                    self.polls.refused(now, retry_after, is_first);
                }
            }
            // None of these says how the task stands.
            FaultKind::Transient
            | FaultKind::InDoubt
            | FaultKind::Rejected
            | FaultKind::QuotaExhausted { .. }
            | FaultKind::Moderated
            | FaultKind::InvalidRequest
            | FaultKind::BadOutput => self.polls.faltered(now, false),
            // The API does answer polls, if only to say that it does not know this task.
            FaultKind::TaskLost => self.poll_succeeded(now),
            FaultKind::Unauthorized => (),
        }
    }

    /// Whether one more download may begin.
    pub fn has_room_to_download(&self) -> bool {
        self.downloads.has_room()
    }

    /// The images of a job begin to be fetched.
    pub fn download_begun(&mut self, now: Moment, job: JobId) {
        self.downloads.begin(now, job);
    }

    /// All downloads have begun that may begin now.
    pub fn downloads_planned(&mut self) {
        self.downloads.planned();
    }

    /// A download came back, with the images or without.
    pub fn download_answered(&mut self, now: Moment, job: JobId, is_home: bool) {
        self.downloads.end(now, job, is_home);
    }

    /// The downloads under way have received something, or nothing for too long.
    pub fn received(&mut self, now: Moment, received: Received) {
        self.downloads.received(now, received);
    }

    /// Requests whose answer is awaited.
    pub fn n_out(&self) -> usize {
        self.n_submits_out + self.n_polls_out + self.downloads.n_out()
    }

    /// Submissions whose answer is awaited.
    pub const fn n_submits_out(&self) -> usize {
        self.n_submits_out
    }

    /// Downloads under way.
    pub fn n_downloads_out(&self) -> usize {
        self.downloads.n_out()
    }

    /// How many tasks may be in flight, as far as is known.
    pub fn cap(&self) -> usize {
        self.learner.cap()
    }

    /// Tasks that occupy a place at the provider, submissions under way included.
    pub const fn n_in_flight(&self) -> usize {
        self.n_in_flight
    }

    /// Whether ends should be heard of soon: the provider takes no more tasks than are in flight, so that the end of one lets the next
    /// submission leave; or nobody knows whether it does.
    pub fn is_full(&self, now: Moment) -> bool {
        let has_room = self.learner.has_room(now, self.n_in_flight) || self.submits.hold(now).is_some();
        self.learner.is_in_doubt() || (self.learner.has_found_places() && !has_room)
    }

    /// How fast submissions may leave: the lower of what the user allows and what the provider was found to take.
    pub fn allowed(&self, now: Moment) -> Option<Allowed> {
        let told = self.per_second.map(|per_second| Allowed { per_second, is_told: true });
        let learnt = self.learner.rate(now).map(|per_second| Allowed { per_second, is_told: false });
        told.into_iter().chain(learnt).min_by(|a, b| a.per_second.total_cmp(&b.per_second))
    }

    /// How many tasks may be in flight, where the user says so or some were refused.
    pub fn places(&self) -> Option<usize> {
        (self.is_fixed || self.learner.has_found_places()).then(|| self.learner.cap())
    }

    /// Why the last submission that wanted to leave had to wait, if it had to.
    pub const fn slow(&self) -> Option<Slow> {
        self.slow
    }

    /// Why and until when submissions are held back, or polls that nobody answers, if they are.
    pub fn hold(&self, now: Moment) -> Option<Hold> {
        self.submits.hold(now).or_else(|| self.polls.hold(now).filter(|_| self.polls.is_down()))
    }
}

/// A known rate goes on though the answers take their time, within reason.
fn in_two_seconds(rate: Option<Rate>) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and SUBMITS_MAX")]
    rate.map_or(0, |rate| (2.0 * per_second(rate)).min(SUBMITS_MAX) as usize)
}

fn per_second(rate: Rate) -> f64 {
    f64::from(rate.count.get()) / rate.per.as_secs_f64()
}

#[cfg(test)]
mod tests;
