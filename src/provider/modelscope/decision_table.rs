//! Decision table for responses: what a response proves, by its request, status, body shape and message.
//!
//! The first matching row decides. Each section ends with a default row, which matches every response.
//!
//! A *clear refusal* of a submission guarantees that nothing is paid for. It requires a row of the closed list below: a status of the API
//! and its [own envelope](ErrorEnvelope). Every other response may belong to an accepted task: any 5xx, a timeout, a page, a success without an
//! id. Gateways also send "busy, try again later" for a request that continued behind them. A 429 without the API's envelope leaves doubt
//! too. Most rate limiters refuse before they forward a request, but some count the responses. The 429 alone therefore proves nothing; its
//! `Retry-After` is kept as a pause. A readable id is an accepted task, whatever else the response contains.
//!
//! A poll proves that a task is unknown only in the API's own form, with a message about the task. Every other response is silence.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::outcome::TaskId;
#[cfg(doc)]
use crate::provider::modelscope::envelope::ErrorEnvelope;
use crate::provider::modelscope::ids::TaskIdSearch;

/// Kind of request that a response belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// Submission of a task.
    Submit,
    /// Poll of a task.
    Poll,
    /// Failed task, as reported by a poll; the status is the code in its envelope, or 500 without a code.
    FailedTask,
}

/// Shape of a response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyShape {
    /// Exactly one readable task id.
    Id,
    /// Id that cannot be polled, or ids that contradict each other.
    OddId,
    /// Id of another task than the polled one, or ids that contradict each other.
    OtherId,
    /// Complete JSON object whose `task_status` is one of these, in capitals. An empty list matches any status.
    Status(&'static [&'static str]),
    /// Error envelope in the API's own form.
    Own,
    /// Body of any shape.
    Any,
}

/// Condition on the message in an error envelope, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageMatch {
    /// Message of any content.
    Any,
    /// Message that contains this text.
    Have(&'static str),
    /// Message that the daily quota is used up.
    DaySpent,
    /// Message that the polled task is unknown.
    TaskUnknown,
}

/// Conclusion from a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseVerdict {
    /// Submission was accepted.
    Accepted,
    /// Submission was clearly refused, or the task has failed, for this reason.
    Refused(RefusalReason),
    /// Redirect, which is not followed. It leaves doubt.
    Redirected,
    /// Refusal, most likely by a gateway or proxy. It leaves doubt.
    Rejected,
    /// Submission may have been accepted.
    InDoubt,
    /// Task has succeeded.
    Done,
    /// Task is in the queue.
    Queued,
    /// Task is running.
    Running,
    /// Task has failed.
    Failed,
    /// Task is unknown to the API.
    Unknown,
    /// Response is about another task.
    OtherTask,
    /// Poll was refused by throttling (429).
    PollThrottled,
    /// Poll was refused because of the token.
    PollUnauthorized,
    /// Response says nothing about the task.
    Silence,
}

/// Reason for a refused submission or a failed task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// Token is missing, wrong or not allowed.
    Unauthorized,
    /// Credit is used up.
    OutOfCredit,
    /// Daily quota is used up.
    DaySpent,
    /// Requests come too fast at the moment.
    Throttled,
    /// Model is no longer served.
    ModelRetired,
    /// Model does not exist.
    ModelUnknown,
    /// Content was refused.
    Moderated,
    /// Header is missing that this program should have sent.
    OurBug,
    /// Server accepts nothing at present.
    Busy,
    /// Path does not exist on the server.
    AddressUnknown,
    /// Form of the request is wrong: parameters, lengths.
    Invalid,
    /// Service itself has failed.
    Internal,
}

/// Row of the decision table: conditions on a response, and the verdict.
#[derive(Clone, Debug)]
pub(crate) struct DecisionRow {
    request_kind: RequestKind,
    statuses: &'static [RangeInclusive<u16>],
    shape: BodyShape,
    words: MessageMatch,
    verdict: ResponseVerdict,
}

/// Range of every status, including those that HTTP does not define.
const ALL: &[RangeInclusive<u16>] = &[0..=u16::MAX];
const SUCCESS: &[RangeInclusive<u16>] = &[200..=299];

/// Statuses for timeouts, too early, throttling, and closed clients. The request may have continued behind the sender of such a status.
const UNSURE: &[RangeInclusive<u16>] = &[408..=408, 425..=425, 429..=429, 460..=460, 499..=499];

const fn row(
    request_kind: RequestKind,
    statuses: &'static [RangeInclusive<u16>],
    shape: BodyShape,
    words: MessageMatch,
    verdict: ResponseVerdict,
) -> DecisionRow {
    DecisionRow { request_kind, statuses, shape, words, verdict }
}

use BodyShape::{Any, Id, OddId, OtherId, Own, Status};
use MessageMatch::{DaySpent, Have, TaskUnknown};
use RequestKind::{FailedTask, Poll, Submit};
use ResponseVerdict::{Accepted, InDoubt, OtherTask, Redirected, Refused, Rejected, Silence};

/// Decision table. The first matching row decides.
pub(crate) static TABLE: &[DecisionRow] = &[
    // A readable id is an accepted task, whatever the status and the message.
    row(Submit, ALL, Id, MessageMatch::Any, Accepted),
    row(Submit, ALL, OddId, MessageMatch::Any, InDoubt),
    // Closed list of clear refusals: statuses of the API in its own envelope.
    row(Submit, &[401..=401, 403..=403], Own, MessageMatch::Any, Refused(RefusalReason::Unauthorized)),
    row(Submit, &[402..=402], Own, MessageMatch::Any, Refused(RefusalReason::OutOfCredit)),
    row(Submit, &[429..=429], Own, Have("insufficient balance"), Refused(RefusalReason::ModelRetired)),
    row(Submit, &[429..=429], Own, DaySpent, Refused(RefusalReason::DaySpent)),
    row(Submit, &[429..=429], Own, MessageMatch::Any, Refused(RefusalReason::Throttled)),
    row(Submit, &[400..=400, 422..=422], Own, Have("inappropriate content"), Refused(RefusalReason::Moderated)),
    row(Submit, &[400..=400], Own, Have("has no provider supported"), Refused(RefusalReason::ModelUnknown)),
    row(Submit, &[400..=400], Own, Have("synchronous calls"), Refused(RefusalReason::OurBug)),
    row(Submit, &[400..=400], Own, Have("server is busy"), Refused(RefusalReason::Busy)),
    row(Submit, &[404..=405], Own, MessageMatch::Any, Refused(RefusalReason::AddressUnknown)),
    row(Submit, &[400..=400, 413..=413, 415..=415, 422..=422], Own, MessageMatch::Any, Refused(RefusalReason::Invalid)),
    // Everything else leaves doubt. The same request would most likely receive another 3xx or 4xx again.
    row(Submit, &[300..=399], Any, MessageMatch::Any, Redirected),
    row(Submit, UNSURE, Any, MessageMatch::Any, InDoubt),
    row(Submit, &[400..=499], Any, MessageMatch::Any, Rejected),
    row(Submit, ALL, Any, MessageMatch::Any, InDoubt),
    // Polls: only the API's statement about the polled task counts.
    row(Poll, ALL, OtherId, MessageMatch::Any, OtherTask),
    row(Poll, SUCCESS, Status(&["SUCCEED", "SUCCEEDED", "SUCCESS"]), MessageMatch::Any, ResponseVerdict::Done),
    row(Poll, SUCCESS, Status(&["FAILED", "FAILURE"]), TaskUnknown, ResponseVerdict::Unknown),
    row(Poll, SUCCESS, Status(&["FAILED", "FAILURE"]), MessageMatch::Any, ResponseVerdict::Failed),
    row(Poll, SUCCESS, Status(&["PENDING", "QUEUED"]), MessageMatch::Any, ResponseVerdict::Queued),
    row(Poll, SUCCESS, Status(&[]), MessageMatch::Any, ResponseVerdict::Running),
    row(Poll, ALL, Own, TaskUnknown, ResponseVerdict::Unknown),
    row(Poll, &[401..=401, 403..=403], Own, MessageMatch::Any, ResponseVerdict::PollUnauthorized),
    // A poll costs nothing, so the 429 of a gateway or proxy is believed too.
    row(Poll, &[429..=429], Any, MessageMatch::Any, ResponseVerdict::PollThrottled),
    row(Poll, ALL, Any, MessageMatch::Any, Silence),
    // Failed tasks, by the code that the API gives.
    row(FailedTask, &[400..=400, 422..=422], Any, Have("inappropriate content"), Refused(RefusalReason::Moderated)),
    row(FailedTask, &[401..=401, 403..=403], Any, MessageMatch::Any, Refused(RefusalReason::Unauthorized)),
    row(FailedTask, &[402..=402], Any, MessageMatch::Any, Refused(RefusalReason::OutOfCredit)),
    row(FailedTask, &[429..=429], Any, DaySpent, Refused(RefusalReason::DaySpent)),
    row(FailedTask, &[429..=429], Any, MessageMatch::Any, Refused(RefusalReason::Throttled)),
    row(FailedTask, &[408..=408], Any, MessageMatch::Any, Refused(RefusalReason::Internal)),
    row(FailedTask, &[400..=499], Any, MessageMatch::Any, Refused(RefusalReason::Invalid)),
    row(FailedTask, ALL, Any, MessageMatch::Any, Refused(RefusalReason::Internal)),
];

/// Features of a response that the table examines.
#[derive(Clone, Debug)]
pub(crate) struct ResponseFeatures<'a> {
    /// HTTP status; for a failed task, the code in its envelope.
    pub status: u16,
    /// Task id in the body.
    pub id: &'a TaskIdSearch,
    /// Value of `task_status` in capitals; `None` unless the body is a complete JSON object with this field.
    pub task_status: Option<&'a str>,
    /// True if the body is the API's own error envelope.
    pub is_own: bool,
    /// Message in the envelope; empty without an envelope.
    pub words: &'a str,
    /// Polled task; `None` for a submission.
    pub task: Option<&'a TaskId>,
    /// Requested model; its name does not count as part of the message.
    pub model: &'a str,
    /// Wait that `Retry-After` requests; `None` if it is absent.
    pub retry_after: Option<Duration>,
    /// True if the API's own headers say that no request of the quota remains.
    pub is_spent: bool,
}

impl ResponseFeatures<'_> {
    /// Returns the verdict of the first matching row.
    pub(crate) fn verdict(&self, request_kind: RequestKind) -> ResponseVerdict {
        TABLE[self.row(request_kind)].verdict
    }

    /// Returns the index of the first matching row.
    pub(super) fn row(&self, request_kind: RequestKind) -> usize {
        let place = TABLE.iter().position(|row| row.request_kind == request_kind && self.fits(row));
        place.expect("the last row of each part fits every answer")
    }

    fn fits(&self, row: &DecisionRow) -> bool {
        row.statuses.iter().any(|statuses| statuses.contains(&self.status))
            && self.has(row.shape)
            && self.says(row.words)
    }

    fn has(&self, shape: BodyShape) -> bool {
        match shape {
            Id => matches!(self.id, TaskIdSearch::One(_)),
            OddId => matches!(self.id, TaskIdSearch::Unusable | TaskIdSearch::Several),
            OtherId => match (self.id, self.task) {
                (TaskIdSearch::One(TaskId(id)), Some(TaskId(task))) => id.trim() != task.trim(),
                (TaskIdSearch::Several, _) => true,
                (TaskIdSearch::One(_), None) | (TaskIdSearch::Nothing | TaskIdSearch::Unusable, _) => false,
            },
            Status(names) => self.task_status.is_some_and(|status| names.is_empty() || names.contains(&status)),
            Own => self.is_own,
            Any => true,
        }
    }

    fn says(&self, words: MessageMatch) -> bool {
        match words {
            MessageMatch::Any => true,
            Have(words) => self.words.to_lowercase().contains(words),
            DaySpent => self.says_day_spent(),
            TaskUnknown => self.says_task_unknown(),
        }
    }

    /// Returns true for a message of the API that the daily quota is used up. A message that names a shorter period is throttling. A
    /// requested wait of less than an hour is throttling too.
    fn says_day_spent(&self) -> bool {
        let message = self.words.to_lowercase();
        let message = if self.model.is_empty() { message } else { message.replace(&self.model.to_lowercase(), " ") };
        let is_soon = self.retry_after.is_some_and(|wait| wait < RETRY_OF_DAY_MIN);
        let is_of_day = DAY_PHRASES.iter().any(|phrase| message.contains(phrase))
            || (self.is_spent && QUOTA_WORDS.iter().any(|word| message.contains(word)));
        is_of_day && !is_soon && !names_short_span(&message)
    }

    /// Returns true if the subject of the message is the task, and the task is said not to exist. Accepted: "task not found", "no such
    /// task", "the task 5075521 has expired". Not accepted: "no route matched", "task queue not found", "the model of the task was not
    /// found".
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
            // The subject of "the model of the task" is the model.
            let before = message[..place].iter().rev().find(|token| !ARTICLES.contains(token));
            if before.is_some_and(|token| PREPOSITIONS.contains(token)) {
                return false;
            }
            let rest: Vec<&str> = message[place + 1..].iter().copied().skip_while(is_between).collect();
            GONE.iter().any(|words| rest.starts_with(words))
        })
    }
}

/// Phrases of the API about the daily quota.
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

/// Words of the API for a quota. They count if its own headers say that nothing of the quota remains.
const QUOTA_WORDS: [&str; 3] = ["quota", "额度", "配额"];

/// Shortest wait that may last until the next day.
const RETRY_OF_DAY_MIN: Duration = Duration::from_secs(3600);

/// Words for periods shorter than a day.
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

/// Words for the same periods, in texts without spaces between words.
const SHORT_SPANS_JOINED: [&str; 5] = ["秒", "分钟", "小时", "并发", "limit_burst"];

fn names_short_span(message: &str) -> bool {
    // Number with its unit: `3s`, `30sec` or `1h`.
    let is_span = |token: &str| {
        let unit = token.trim_start_matches(|c: char| c.is_ascii_digit());
        unit.len() < token.len() && (SHORT_SPANS.contains(&unit) || matches!(unit, "s" | "m" | "h"))
    };
    tokens(message).any(|token| SHORT_SPANS.contains(&token) || is_span(token))
        || SHORT_SPANS_JOINED.iter().any(|span| message.contains(span))
}

/// Phrases about an unknown task in another word order, or without spaces.
const TASK_UNKNOWN_PHRASES: [&str; 6] =
    ["no such task", "unknown task", "任务不存在", "任务未找到", "任务已过期", "找不到任务"];

/// Words for the task as the subject of a message.
const TASKS: [&str; 2] = ["task", "taskid"];

const ARTICLES: [&str; 5] = ["the", "this", "that", "your", "a"];
const PREPOSITIONS: [&str; 8] = ["of", "for", "in", "on", "by", "from", "to", "with"];

/// Words that may occur between the subject and the predicate, besides the task id.
const FILLERS: [&str; 13] =
    ["id", "with", "the", "this", "is", "was", "has", "have", "already", "been", "could", "does", "did"];

/// Predicates of a message that the task does not exist.
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

/// Splits a message into runs of letters and digits.
fn tokens(message: &str) -> impl Iterator<Item = &str> {
    message.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty())
}
