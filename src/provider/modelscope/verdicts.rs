//! The table of verdicts: what an answer proves, by the request it answers, its status, the shape of its body, and its words.
//!
//! The first row that fits decides. Each part ends with a row that fits every answer: its default.
//!
//! A submission is a *clear refusal*, after which surely nothing is paid for, only by the closed list of rows below: a status of
//! the API and its [own envelope](Envelope). Everything else may stand for a task that was accepted: a 5xx of whatever words, as
//! "busy, try again later" is also what gateways say of a request that went on behind them; a timeout; a page; an answer of success
//! without an id. The same holds for a 429 without the API's envelope. Most rate limiters refuse before they forward a request, but
//! some count the answers, so the answer alone proves nothing; its `Retry-After` is kept as a pause. An id that can be read is an
//! accepted task, whatever stands around it.
//!
//! A poll proves that a task is unknown only in the API's own form and in words about the task. Everything else is silence.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::outcome::TaskId;
#[cfg(doc)]
use crate::provider::modelscope::envelope::Envelope;
use crate::provider::modelscope::ids::Found;

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A submission.
    Submit,
    /// A poll.
    Poll,
    /// A task that a poll says has failed; the status is the code in its envelope, 500 where it has none.
    FailedTask,
}

/// The shape of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One task id can be read.
    Id,
    /// It holds an id that cannot be asked for, or ids that contradict each other.
    OddId,
    /// The one task id is not the one that was asked for.
    OtherId,
    /// A whole JSON object whose `task_status` is one of these, in capitals; of an empty list, any.
    Status(&'static [&'static str]),
    /// The API's own envelope of an error.
    Own,
    /// Whatever it is.
    Any,
}

/// Words in the envelope of an error, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Whatever they are.
    Any,
    /// These among them.
    Have(&'static str),
    /// They say that the allowance of a day is used up.
    DaySpent,
    /// They say that the task asked for is not known.
    TaskUnknown,
}

/// What an answer proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The submission was accepted.
    Accepted,
    /// The submission was clearly refused, or the task has failed, for this reason.
    Refused(Reason),
    /// A redirect, which is not followed. It leaves doubt.
    Redirected,
    /// A refusal by something on the way, most likely. It leaves doubt.
    Rejected,
    /// The submission may have been accepted.
    InDoubt,
    /// The task has succeeded.
    Done,
    /// The task waits for its turn.
    Queued,
    /// The task is at work.
    Running,
    /// The task has failed.
    Failed,
    /// The API does not know the task.
    Unknown,
    /// The answer is about another task.
    OtherTask,
    /// The API takes no polls for now.
    PollThrottled,
    /// The API refuses the token.
    PollUnauthorized,
    /// Nothing is known of the task.
    Silence,
}

/// Why a submission was refused, or a task has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The token is missing, wrong or not allowed.
    Unauthorized,
    /// There is no credit left.
    OutOfCredit,
    /// The allowance of the day is used up.
    DaySpent,
    /// Too many requests for the moment.
    Throttled,
    /// Nobody serves the model any more.
    ModelRetired,
    /// There is no such model.
    ModelUnknown,
    /// The content.
    Moderated,
    /// A header that this program should have sent.
    OurBug,
    /// The server takes nothing at present.
    Busy,
    /// There is nothing at this address.
    AddressUnknown,
    /// The form of the request: parameters, lengths.
    Invalid,
    /// The service itself has failed.
    Internal,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    asked: Asked,
    statuses: &'static [RangeInclusive<u16>],
    shape: Shape,
    words: Words,
    verdict: Verdict,
}

/// Every status, also those that HTTP does not know.
const ALL: &[RangeInclusive<u16>] = &[0..=u16::MAX];
const SUCCESS: &[RangeInclusive<u16>] = &[200..=299];

/// Timeouts, too early, throttling, and clients that went away: the request may have gone on behind whoever says so.
const UNSURE: &[RangeInclusive<u16>] = &[408..=408, 425..=425, 429..=429, 460..=460, 499..=499];

const fn row(
    asked: Asked,
    statuses: &'static [RangeInclusive<u16>],
    shape: Shape,
    words: Words,
    verdict: Verdict,
) -> Row {
    Row { asked, statuses, shape, words, verdict }
}

use Asked::{FailedTask, Poll, Submit};
use Shape::{Any, Id, OddId, OtherId, Own, Status};
use Verdict::{Accepted, InDoubt, OtherTask, Redirected, Refused, Rejected, Silence};
use Words::{DaySpent, Have, TaskUnknown};

/// The table. The first row that fits decides.
pub static TABLE: &[Row] = &[
    // An id that can be read is a task, whatever the status and the words around it.
    row(Submit, ALL, Id, Words::Any, Accepted),
    row(Submit, ALL, OddId, Words::Any, InDoubt),
    // The closed list of clear refusals: statuses of the API in its own envelope.
    row(Submit, &[401..=401, 403..=403], Own, Words::Any, Refused(Reason::Unauthorized)),
    row(Submit, &[402..=402], Own, Words::Any, Refused(Reason::OutOfCredit)),
    row(Submit, &[429..=429], Own, Have("insufficient balance"), Refused(Reason::ModelRetired)),
    row(Submit, &[429..=429], Own, DaySpent, Refused(Reason::DaySpent)),
    row(Submit, &[429..=429], Own, Words::Any, Refused(Reason::Throttled)),
    row(Submit, &[400..=400, 422..=422], Own, Have("inappropriate content"), Refused(Reason::Moderated)),
    row(Submit, &[400..=400], Own, Have("has no provider supported"), Refused(Reason::ModelUnknown)),
    row(Submit, &[400..=400], Own, Have("synchronous calls"), Refused(Reason::OurBug)),
    row(Submit, &[400..=400], Own, Have("server is busy"), Refused(Reason::Busy)),
    row(Submit, &[404..=405], Own, Words::Any, Refused(Reason::AddressUnknown)),
    row(Submit, &[400..=400, 413..=413, 415..=415, 422..=422], Own, Words::Any, Refused(Reason::Invalid)),
    // Everything else leaves doubt. Another 3xx or 4xx would most likely be met again by the same request.
    row(Submit, &[300..=399], Any, Words::Any, Redirected),
    row(Submit, UNSURE, Any, Words::Any, InDoubt),
    row(Submit, &[400..=499], Any, Words::Any, Rejected),
    row(Submit, ALL, Any, Words::Any, InDoubt),
    // Polls: only what the API says of this very task counts.
    row(Poll, ALL, OtherId, Words::Any, OtherTask),
    row(Poll, SUCCESS, Status(&["SUCCEED", "SUCCEEDED", "SUCCESS"]), Words::Any, Verdict::Done),
    row(Poll, SUCCESS, Status(&["FAILED", "FAILURE"]), TaskUnknown, Verdict::Unknown),
    row(Poll, SUCCESS, Status(&["FAILED", "FAILURE"]), Words::Any, Verdict::Failed),
    row(Poll, SUCCESS, Status(&["PENDING", "QUEUED"]), Words::Any, Verdict::Queued),
    row(Poll, SUCCESS, Status(&[]), Words::Any, Verdict::Running),
    row(Poll, ALL, Own, TaskUnknown, Verdict::Unknown),
    row(Poll, &[401..=401, 403..=403], Own, Words::Any, Verdict::PollUnauthorized),
    // A poll costs nothing, so that a rate limiter on the way is believed too.
    row(Poll, &[429..=429], Any, Words::Any, Verdict::PollThrottled),
    row(Poll, ALL, Any, Words::Any, Silence),
    // Tasks that have failed, by the code that the API gives.
    row(FailedTask, &[400..=400, 422..=422], Any, Have("inappropriate content"), Refused(Reason::Moderated)),
    row(FailedTask, &[401..=401, 403..=403], Any, Words::Any, Refused(Reason::Unauthorized)),
    row(FailedTask, &[402..=402], Any, Words::Any, Refused(Reason::OutOfCredit)),
    row(FailedTask, &[429..=429], Any, DaySpent, Refused(Reason::DaySpent)),
    row(FailedTask, &[429..=429], Any, Words::Any, Refused(Reason::Throttled)),
    row(FailedTask, &[408..=408], Any, Words::Any, Refused(Reason::Internal)),
    row(FailedTask, &[400..=499], Any, Words::Any, Refused(Reason::Invalid)),
    row(FailedTask, ALL, Any, Words::Any, Refused(Reason::Internal)),
];

/// An answer as the table sees it.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// The HTTP status; of a failed task, the code in its envelope.
    pub status: u16,
    /// The id in the body.
    pub id: &'a Found,
    /// `task_status` in capitals, of a whole JSON object that has one.
    pub task_status: Option<&'a str>,
    /// Whether the body is the API's own envelope of an error.
    pub is_own: bool,
    /// The words in the envelope; empty where there is none.
    pub words: &'a str,
    /// The task that was asked for; none for a submission.
    pub task: Option<&'a TaskId>,
    /// The model that was asked for: its name is no word of the message.
    pub model: &'a str,
    /// How long `Retry-After` asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether the API's own headers say that no request of the allowance remains.
    pub is_spent: bool,
}

impl Seen<'_> {
    /// What it proves.
    pub fn verdict(&self, asked: Asked) -> Verdict {
        TABLE[self.row(asked)].verdict
    }

    /// The place of the row that decides.
    pub(super) fn row(&self, asked: Asked) -> usize {
        let place = TABLE.iter().position(|row| row.asked == asked && self.fits(row));
        place.expect("the last row of each part fits every answer")
    }

    fn fits(&self, row: &Row) -> bool {
        row.statuses.iter().any(|statuses| statuses.contains(&self.status))
            && self.has(row.shape)
            && self.says(row.words)
    }

    fn has(&self, shape: Shape) -> bool {
        match shape {
            Id => matches!(self.id, Found::One(_)),
            OddId => matches!(self.id, Found::Unusable | Found::Several),
            OtherId => match (self.id, self.task) {
                (Found::One(TaskId(id)), Some(TaskId(task))) => id.trim() != task.trim(),
                (Found::Several, _) => true,
                (Found::One(_), None) | (Found::Nothing | Found::Unusable, _) => false,
            },
            Status(names) => self.task_status.is_some_and(|status| names.is_empty() || names.contains(&status)),
            Own => self.is_own,
            Any => true,
        }
    }

    fn says(&self, words: Words) -> bool {
        match words {
            Words::Any => true,
            Have(words) => self.words.to_lowercase().contains(words),
            DaySpent => self.says_day_spent(),
            TaskUnknown => self.says_task_unknown(),
        }
    }

    /// The API's words for a daily allowance that is used up. What names a shorter span, or asks to come back within the hour, is
    /// throttling.
    fn says_day_spent(&self) -> bool {
        let message = self.words.to_lowercase();
        let message = if self.model.is_empty() { message } else { message.replace(&self.model.to_lowercase(), " ") };
        let is_soon = self.retry_after.is_some_and(|wait| wait < RETRY_OF_DAY_MIN);
        let is_of_day = DAY_PHRASES.iter().any(|phrase| message.contains(phrase))
            || (self.is_spent && QUOTA_WORDS.iter().any(|word| message.contains(word)));
        is_of_day && !is_soon && !names_short_span(&message)
    }

    /// Whether the subject of the message is the task, and what it says is that there is none: "task not found", "no such task",
    /// "the task 5075521 has expired"; not "no route matched", "task queue not found" or "the model of the task was not found".
    fn says_task_unknown(&self) -> bool {
        let message = self.words.to_lowercase();
        if TASK_UNKNOWN_PHRASES.iter().any(|phrase| message.contains(phrase)) {
            return true;
        }
        let id = self.task.map(|TaskId(id)| id.to_lowercase()).unwrap_or_default();
        let id: Vec<&str> = tokens(&id).collect();
        let message: Vec<&str> = tokens(&message).collect();
        let is_between = |token: &&str| FILLERS.contains(token) || id.contains(token);
        message.iter().enumerate().filter(|(_, token)| TASKS.contains(token)).any(|(place, _)| {
            // "the model of the task" is about the model.
            let before = message[..place].iter().rev().find(|token| !ARTICLES.contains(token));
            if before.is_some_and(|token| PREPOSITIONS.contains(token)) {
                return false;
            }
            let rest: Vec<&str> = message[place + 1..].iter().copied().skip_while(is_between).collect();
            GONE.iter().any(|words| rest.starts_with(words))
        })
    }
}

/// What the API says of a daily allowance.
const DAY_PHRASES: [&str; 12] = [
    "today's quota",
    "today’s quota",
    "daily quota",
    "quota for today",
    "quota per day",
    "try again tomorrow",
    "今日额度",
    "今日配额",
    "今天的额度",
    "每日额度",
    "请明天再试",
    "请明日再试",
];

/// Its words for an allowance, where its own headers say that nothing of it remains.
const QUOTA_WORDS: [&str; 3] = ["quota", "额度", "配额"];

/// A wait from here on may be the one for the next day.
const RETRY_OF_DAY_MIN: Duration = Duration::from_secs(3600);

/// Spans shorter than a day.
const SHORT_SPANS: [&str; 24] = [
    "second",
    "seconds",
    "sec",
    "secs",
    "minute",
    "minutes",
    "min",
    "mins",
    "hour",
    "hours",
    "hourly",
    "hr",
    "hrs",
    "rpm",
    "qpm",
    "tpm",
    "ipm",
    "rps",
    "qps",
    "tps",
    "burst",
    "concurrency",
    "concurrent",
    "ms",
];

/// The same where words are not parted by spaces.
const SHORT_SPANS_JOINED: [&str; 5] = ["秒", "分钟", "小时", "并发", "limit_burst"];

fn names_short_span(message: &str) -> bool {
    // `3s`, `30sec` or `1h`: a number with its unit behind it.
    let is_span = |token: &str| {
        let unit = token.trim_start_matches(|c: char| c.is_ascii_digit());
        unit.len() < token.len() && (SHORT_SPANS.contains(&unit) || matches!(unit, "s" | "m" | "h"))
    };
    tokens(message).any(|token| SHORT_SPANS.contains(&token) || is_span(token))
        || SHORT_SPANS_JOINED.iter().any(|span| message.contains(span))
}

/// Words for an unknown task that stand in another order, or without spaces.
const TASK_UNKNOWN_PHRASES: [&str; 6] =
    ["no such task", "unknown task", "任务不存在", "任务未找到", "任务已过期", "找不到任务"];

/// The subject.
const TASKS: [&str; 2] = ["task", "taskid"];

const ARTICLES: [&str; 5] = ["the", "this", "that", "your", "a"];
const PREPOSITIONS: [&str; 8] = ["of", "for", "in", "on", "by", "from", "to", "with"];

/// What may stand between it and what is said of it, beside its id.
const FILLERS: [&str; 13] =
    ["id", "with", "the", "this", "is", "was", "has", "have", "already", "been", "could", "does", "did"];

/// What is said of it.
const GONE: [&[&str]; 9] = [
    &["not", "found"],
    &["not", "exist"],
    &["not", "be", "found"],
    &["doesn", "t", "exist"],
    &["not", "exists"],
    &["expired"],
    &["unknown"],
    &["notfound"],
    &["cannot", "be", "found"],
];

/// Runs of letters and digits.
fn tokens(message: &str) -> impl Iterator<Item = &str> {
    message.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty())
}
