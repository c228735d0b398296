//! Answers to questions for submissions: lists of what was accepted.

use std::time::Duration;

use serde_json::Value;

use crate::description::body::Tree;
use crate::description::format::Description;
use crate::description::leaf::Leaf;
use crate::description::pointer::Pointer;
use crate::description::requests::{Find, Since, TimeFormat};
use crate::description::words::{AnswerStage, Expectation};
use crate::model::time::Timestamp;
use crate::simulator::described::book::AcceptedRecord;
use crate::simulator::described::draft::{Draft, localize, success};
use crate::simulator::described::put::{is_said, put};
use crate::simulator::described::routes::decoded;
use crate::simulator::message::HttpRequest;

/// Number of submissions on one page.
const PAGE_ITEMS: usize = 100;

/// Parameter of a query that names the page, in the addresses of further pages.
const PAGE: &str = "simulator_page";

/// Question for submissions.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) struct ListQuestion<'a> {
    /// API that is played.
    pub(in crate::simulator) api: &'a Description,
    /// How it is asked.
    pub(in crate::simulator) find: &'a Find,
    /// Request.
    pub(in crate::simulator) request: &'a HttpRequest,
    /// Address of this service.
    pub(in crate::simulator) origin: &'a str,
    /// Time of the question.
    pub(in crate::simulator) now: Timestamp,
    /// Time until an accepted submission is listed.
    pub(in crate::simulator) delay: Duration,
}

/// Returns the list of the submissions that are asked for, the newest first; `None` if the API can name only one and has none.
pub(in crate::simulator) fn list<'a>(
    question: ListQuestion<'_>,
    records: impl Iterator<Item = &'a AcceptedRecord>,
) -> Option<Draft> {
    let ListQuestion { api, find, request, origin, .. } = question;
    let wanted: Vec<_> = records.filter(|record| is_wanted(question, record)).collect();
    let page: usize = parameter(request, PAGE).and_then(|page| page.parse().ok()).unwrap_or(0);
    let shown: Vec<_> = wanted.iter().skip(page.saturating_mul(PAGE_ITEMS)).take(PAGE_ITEMS).collect();
    let pointer = find.items.first()?;
    let is_list = pointer.steps().iter().any(|step| step == "*");
    let items: Vec<_> = shown.into_iter().map(|record| item(question, record)).collect();
    let mut body = Value::Null;
    if is_list {
        let place: Vec<_> = pointer.steps().iter().take_while(|step| *step != "*").collect();
        let below: Vec<_> = pointer.steps().iter().skip(place.len() + 1).cloned().collect();
        let items = items.into_iter().map(|item| wrapped(&below, item)).collect();
        put(&mut body, &[pointer_of(&place)?], &Value::Array(items));
    } else {
        put(&mut body, std::slice::from_ref(pointer), &items.into_iter().next()?);
    }
    if let Some(next) = find.next.as_ref().filter(|_| wanted.len() > (page + 1) * PAGE_ITEMS) {
        let bare: Vec<_> = request.path.split(['?', '&']).filter(|part| !part.starts_with(PAGE)).collect();
        let (path, query) = bare.split_first()?;
        let query: String = query.iter().flat_map(|field| [field, "&"]).collect();
        put(&mut body, std::slice::from_ref(next), &format!("{origin}{path}?{query}{PAGE}={}", page + 1).into());
    }
    localize(api, &mut body, origin, "");
    Some(Draft { status: 200, body })
}

fn pointer_of(steps: &[&String]) -> Option<Pointer> {
    let text: String =
        steps.iter().flat_map(|step| ["/".to_owned(), step.replace('~', "~0").replace('/', "~1")]).collect();
    text.parse().ok()
}

/// Puts an item below these steps.
fn wrapped(steps: &[String], item: Value) -> Value {
    let steps: Vec<_> = steps.iter().collect();
    let Some(pointer) = pointer_of(&steps) else { return item };
    let mut body = Value::Null;
    put(&mut body, &[pointer], &item);
    body
}

/// Returns a submission as the list has it. The recorded acceptance is its template if it has the same id.
fn item(question: ListQuestion<'_>, record: &AcceptedRecord) -> Value {
    let ListQuestion { api, find, origin, .. } = question;
    let mut body = success(api, AnswerStage::Submit, Expectation::Accepted).body;
    localize(api, &mut body, origin, &record.task_id);
    if find.id.is_empty() || !is_said(&body, &find.id) {
        body = Value::Null;
    }
    put(&mut body, &find.id, &record.task_id.as_str().into());
    put(&mut body, &find.prompt, &record.submission.prompt.as_str().into());
    if let Some(id) = &record.submission.id {
        put(&mut body, &find.submission_id, &id.as_str().into());
    }
    if let Some(seed) = record.submission.seed {
        put(&mut body, &find.seed, &seed.into());
    }
    body
}

fn is_wanted(question: ListQuestion<'_>, record: &AcceptedRecord) -> bool {
    let ListQuestion { find, request, now, delay, .. } = question;
    let age = now.since(record.at);
    let is_listed = age >= delay && find.window.is_none_or(|window| age < window.0);
    let is_meant = |leaf: Leaf, value: Option<String>| {
        let Some(value) = value else { return true };
        match leaf {
            Leaf::SubmissionId => record.submission.id.as_deref() == Some(&*value),
            Leaf::TaskId => record.task_id == value || record.submission.id.as_deref() == Some(&*value),
            Leaf::Model => record.submission.model == value,
            Leaf::Prompt => record.submission.prompt == value,
            Leaf::Seed | Leaf::SeedText => record.submission.seed.is_some_and(|seed| seed.to_string() == value),
            Leaf::NegativePrompt
            | Leaf::SizeWithX
            | Leaf::SizeWithStar
            | Leaf::Width
            | Leaf::Height
            | Leaf::AspectRatio
            | Leaf::Steps
            | Leaf::Guidance
            | Leaf::ImageUrl
            | Leaf::ImageUrls
            | Leaf::Loras => true,
        }
    };
    let in_query = find.query.iter().all(|(name, text)| match &text.0 {
        Tree::Leaf(leaf) => is_meant(*leaf, parameter(request, name)),
        Tree::Literal(_) | Tree::List(_) | Tree::Map(_) => true,
    });
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let in_body = find
        .body
        .iter()
        .flat_map(Tree::leaves)
        .all(|(place, leaf)| is_meant(leaf, body.pointer(&place).and_then(crate::description::pointer::scalar)));
    is_listed && in_query && in_body && find.since.as_ref().is_none_or(|since| is_since(request, since, record.at))
}

/// Returns the value of a parameter in the query.
fn parameter(request: &HttpRequest, name: &str) -> Option<String> {
    let (_, query) = request.path.split_once('?')?;
    let mut fields = query.split('&').filter_map(|field| field.split_once('='));
    fields.find(|(key, _)| decoded(key) == name).map(|(_, value)| decoded(&value.replace('+', "%20")))
}

/// Returns whether a time is not before that of the query. A time that cannot be read limits nothing.
fn is_since(request: &HttpRequest, since: &Since, at: Timestamp) -> bool {
    let earliest = parameter(request, &since.parameter).and_then(|text| time_of(since.format, &text));
    earliest.is_none_or(|earliest| at >= earliest)
}

/// Offset of the time of China from UTC, in hours.
const CHINA_HOURS: i64 = 8;

/// Parses a time in whole seconds; `None` if it has another format.
fn time_of(format: TimeFormat, text: &str) -> Option<Timestamp> {
    let (digits, offset_hours) = match format {
        TimeFormat::Rfc3339 => {
            let (date, rest) = text.split_once('T')?;
            // Fractions of a second are cut off.
            let time = rest.strip_suffix('Z').or_else(|| rest.strip_suffix("+00:00"))?.split('.').next()?;
            (format!("{date}{time}").replace(['-', ':'], ""), 0)
        }
        TimeFormat::CompactShanghai => (text.to_owned(), CHINA_HOURS),
    };
    if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits[range].parse::<i64>().ok();
    let days = days_since_1970(part(0..4)?, part(4..6)?, part(6..8)?);
    let secs = days * 86400 + (part(8..10)? - offset_hours) * 3600 + part(10..12)? * 60 + part(12..14)?;
    Some(Timestamp::from_millis(secs * 1000))
}

/// Returns the days from 1970-01-01 to a day of the Gregorian calendar.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_formats() {
        for (format, text, secs) in [
            (TimeFormat::Rfc3339, "1970-01-01T00:00:00Z", 0),
            (TimeFormat::Rfc3339, "2026-11-30T18:04:21.5Z", 1_796_061_861),
            (TimeFormat::Rfc3339, "2024-02-29T00:00:00+00:00", 1_709_164_800),
            (TimeFormat::CompactShanghai, "20261201020421", 1_796_061_861),
        ] {
            assert_eq!(time_of(format, text), Some(Timestamp::from_millis(secs * 1000)), "{text}");
        }
        for text in ["", "2026-11-30", "2026-11-30T18:04:21+08:00", "20261130180421", "2026-11-30T1x:04:21Z"] {
            assert_eq!(time_of(TimeFormat::Rfc3339, text), None, "{text}");
        }
    }
}
