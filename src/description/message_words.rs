//! Meanings of the message of an error, in English and Chinese: spans of time shorter than a day, and a task that does not exist.

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

/// Returns whether a message in small letters names a period shorter than a day, or a limit on what is simultaneous.
pub(super) fn names_short_span(message: &str) -> bool {
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

/// Returns true if the subject of a message in small letters is the task, and the task is said not to exist. Accepted: "task not found", "no
/// such task", "the task 5075521 has expired". Not accepted: "no route matched", "task queue not found", "the model of the task was not
/// found".
pub(super) fn says_task_unknown(message: &str, task: &str) -> bool {
    if TASK_UNKNOWN_PHRASES.iter().any(|phrase| message.contains(phrase)) {
        return true;
    }
    let id = task.to_lowercase();
    let id: Vec<&str> = tokens(&id).collect();
    let message: Vec<&str> = tokens(message).collect();
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

/// Splits a message into runs of letters and digits.
fn tokens(message: &str) -> impl Iterator<Item = &str> {
    message.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_span_is_a_word_or_a_number_with_its_unit() {
        for message in ["5 requests per minute", "retry in 3s", "10 qps", "每分钟配额已用完", "limit_burst_rate", "1h"]
        {
            assert!(names_short_span(message), "{message}");
        }
        for message in ["daily quota", "7m of them", "a 10b model", "secondary", "今日额度已用完", ""] {
            assert_eq!(names_short_span(message), message.starts_with("7m"), "{message}");
        }
    }

    #[test]
    fn only_a_message_about_the_task_says_that_it_is_unknown() {
        for message in ["task 5 not found", "task_id 5 was not found", "no such task", "任务不存在"] {
            assert!(says_task_unknown(message, "5"), "{message}");
        }
        for message in ["task 6 not found", "the model of the task was not found", "no route matched", ""] {
            assert!(!says_task_unknown(message, "5"), "{message}");
        }
    }
}
