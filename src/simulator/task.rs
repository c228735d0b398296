//! Tasks without storage: the id of a task contains the whole task.
//! A restarted simulator therefore knows the tasks that it accepted before.

use std::fmt;
use std::time::Duration;

use crate::model::request::Size;
use crate::model::time::Timestamp;
use crate::simulator::picture::{Picture, SEAL_CHARS, sealed};

/// Accepted task with all its data, which its id encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    accepted_at: Timestamp,
    latency_millis: u32,
    picture: Picture,
    fate: TaskOutcome,
    serial: u32,
}

/// End of a task, fixed when the task is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskOutcome {
    /// Success with an image.
    Succeeds,
    /// Status FAILED 422, because of the content.
    Moderated,
    /// Status FAILED 500.
    Failed,
    /// Status PROCESSING for ever.
    Stuck,
    /// Success without an image.
    Empty,
}

const FATES: [TaskOutcome; 5] =
    [TaskOutcome::Succeeds, TaskOutcome::Moderated, TaskOutcome::Failed, TaskOutcome::Stuck, TaskOutcome::Empty];

/// Progress of a task at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskProgress {
    /// Task is in the queue.
    Pending,
    /// Task is running.
    Processing,
    /// Task has ended; its end is never [`TaskOutcome::Stuck`].
    Ended(TaskOutcome),
    /// Stuck task after its planned end.
    Lost,
}

impl Task {
    /// Creates a task that is accepted at this time, in milliseconds, with the rest of its life. `serial` distinguishes tasks that are
    /// otherwise identical.
    pub fn new(accepted_at: Timestamp, latency: Duration, picture: Picture, fate: TaskOutcome, serial: u32) -> Self {
        let accepted_at = Timestamp::from_millis(accepted_at.millis().clamp(0, (1 << 48) - 1));
        let latency_millis = u32::try_from(latency.as_millis()).unwrap_or(u32::MAX);
        Self { accepted_at, latency_millis, picture, fate, serial }
    }

    /// Parses the id of a task; `None` if no simulator gave this id.
    pub fn from_id(id: &str) -> Option<Self> {
        let digits = id.strip_prefix("sim")?;
        let number = |range| u64::from_str_radix(digits.get(range)?, 16).ok();
        let short = |range| u32::try_from(number(range)?).ok();
        let size = Size { width: short(36..40)?, height: short(40..44)? };
        let task = Self {
            accepted_at: Timestamp::from_millis(number(0..12)?.try_into().ok()?),
            latency_millis: short(12..20)?,
            picture: Picture::new(number(20..36)?, size).with_caption(digits.get(54 + SEAL_CHARS..)?)?,
            fate: *FATES.get(usize::try_from(number(44..46)?).ok()?)?,
            serial: short(46..54)?,
        };
        // The parsed task must format to the same text. This proves the checksum, and allows one notation only.
        (task.to_string() == id).then_some(task)
    }

    /// Returns the time from acceptance to the end.
    pub fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_millis.into())
    }

    /// Returns the time of the end; for a stuck task, the planned end.
    pub fn ends_at(&self) -> Timestamp {
        Timestamp::from_millis(self.accepted_at.millis() + i64::from(self.latency_millis))
    }

    /// Returns the picture that the task produces if it succeeds.
    pub const fn picture(&self) -> Picture {
        self.picture
    }

    /// Returns the planned end of the task.
    pub const fn fate(&self) -> TaskOutcome {
        self.fate
    }

    /// Returns the progress at this time: a task is pending for the first fifth of its latency.
    pub fn progress(&self, now: Timestamp) -> TaskProgress {
        let age = now.since(self.accepted_at);
        if age < self.latency() / 5 {
            TaskProgress::Pending
        } else if now < self.ends_at() {
            TaskProgress::Processing
        } else if self.fate == TaskOutcome::Stuck {
            TaskProgress::Lost
        } else {
            TaskProgress::Ended(self.fate)
        }
    }
}

/// Formats a task as its id.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { width, height } = self.picture.size();
        let fate = FATES.iter().position(|fate| *fate == self.fate).unwrap_or(FATES.len());
        let digits = format!(
            "{:012x}{:08x}{:016x}{width:04x}{height:04x}{fate:02x}{:08x}",
            self.accepted_at.millis(),
            self.latency_millis,
            self.picture.seed(),
            self.serial,
        );
        write!(f, "sim{}", sealed(&digits, self.picture.caption()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(fate: TaskOutcome) -> Task {
        let picture = Picture::new(0xfeed_0123_4567_89ab, Size { width: 1024, height: 64 }).of_request(
            "a cat on a mat",
            "org/model",
            Some(7),
        );
        Task::new(Timestamp::from_millis(1_790_000_000_123), Duration::from_secs(10), picture, fate, 7)
    }

    #[test]
    fn an_id_holds_the_whole_task() {
        for fate in FATES {
            assert_eq!(Task::from_id(&task(fate).to_string()), Some(task(fate)));
        }
        let extreme = Task::new(
            Timestamp::from_millis(-5),
            Duration::MAX,
            task(TaskOutcome::Empty).picture(),
            TaskOutcome::Empty,
            u32::MAX,
        );
        assert_eq!(Task::from_id(&extreme.to_string()), Some(extreme));
    }

    #[test]
    fn an_id_with_any_character_changed_is_nobodys() {
        let id = task(TaskOutcome::Succeeds).to_string();
        for place in 0..id.len() {
            let mut changed = id.clone().into_bytes();
            changed[place] = if changed[place] == b'1' { b'2' } else { b'1' };
            assert_eq!(Task::from_id(std::str::from_utf8(&changed).unwrap()), None);
        }
        for id in ["", "sim", "5075521", &id[..40], &id.to_uppercase(), &format!("{id}0"), "simé"] {
            assert_eq!(Task::from_id(id), None, "{id:?}");
        }
    }

    #[test]
    fn a_task_is_pending_then_at_work_then_ended() {
        let at = |task: Task, millis| task.progress(Timestamp::from_millis(1_790_000_000_123 + millis));
        for (millis, progress) in [
            (-1000, TaskProgress::Pending),
            (0, TaskProgress::Pending),
            (1_999, TaskProgress::Pending),
            (2_000, TaskProgress::Processing),
            (9_999, TaskProgress::Processing),
            (10_000, TaskProgress::Ended(TaskOutcome::Moderated)),
            (i64::from(u32::MAX), TaskProgress::Ended(TaskOutcome::Moderated)),
        ] {
            assert_eq!(at(task(TaskOutcome::Moderated), millis), progress, "after {millis} ms");
        }
        assert_eq!(at(task(TaskOutcome::Stuck), 9_999), TaskProgress::Processing);
        assert_eq!(at(task(TaskOutcome::Stuck), 10_000), TaskProgress::Lost);
    }
}
