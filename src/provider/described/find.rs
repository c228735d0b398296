//! Search for submissions whose answer was lost, in a list of recent submissions or by their id.
//!
//! A submission is adopted only if exactly one item matches it. Its absence is believed only if no item resembles it, the answer is surely
//! such a list, the list is complete, and it reaches back to the submission. Everything else proves nothing.

use std::time::Duration;

use reqwest::Url;
use serde_json::Value;
use time::OffsetDateTime;
use time::UtcOffset;
use time::format_description::well_known::Rfc3339;

use crate::description::format::Description;
use crate::description::leaf::{Given, Leaf};
use crate::description::list::List;
use crate::description::pointer::{Pointer, first_said, scalar};
use crate::description::requests::{Find, HeaderText, TimeFormat};
use crate::model::outcome::{Acceptance, Fault, FaultKind, Found, TaskId};
use crate::model::request::Request;
use crate::model::submission_id::SubmissionId;
use crate::model::time::Timestamp;
use crate::provider::described::reading::JsonReading;
use crate::provider::http::api_response::ApiResponse;
use crate::provider::http::task_path::is_usable;

/// Most pages of a list that are read.
pub(crate) const PAGES_MAX: usize = 10;

/// Difference between the clocks of this machine and of the provider that is allowed for.
const SKEW: Duration = Duration::from_secs(120);

/// Submission as it was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<'a> {
    /// Request, with the seed that was sent.
    pub request: &'a Request,
    /// True if the seed was chosen for this submission alone.
    pub has_nonce: bool,
    /// Id of the submission.
    pub id: &'a str,
}

/// Conclusion from one page of a list.
#[derive(Debug, PartialEq)]
pub(crate) enum Page {
    /// Conclusion about the submission.
    Found(Found),
    /// The next page is at this address.
    Next(String),
}

/// Returns the request with a seed that names this submission, if it has none and the provider lists seeds. `None` if nothing is changed.
pub(crate) fn with_nonce(api: &Description, request: &Request, id: &SubmissionId) -> Option<Request> {
    let find = api.find.as_ref()?;
    let sends_seed = api.submit.leaves().iter().any(|(_, leaf)| matches!(leaf, Leaf::Seed | Leaf::SeedText));
    let is_needed = request.seed.is_none() && sends_seed && !find.seed.is_empty() && find.submission_id.is_empty();
    let seed = u64::from(id.seed());
    let fits = api.limits.seed_max.is_none_or(|max| seed <= max);
    (is_needed && fits).then(|| Request { seed: Some(seed), ..request.clone() })
}

/// Adds the parameters of the question to its address.
pub(crate) fn set_query(find: &Find, url: &mut Url, given: &Given<'_>, sent_at: Timestamp) {
    let value = |HeaderText(tree): &HeaderText| tree.value(given).as_ref().and_then(scalar);
    let fixed = find.query.iter().filter_map(|(name, text)| Some((name.clone(), value(text)?)));
    let since = find
        .since
        .as_ref()
        .and_then(|since| Some((since.parameter.clone(), written(sent_at.before(SKEW), since.format)?)));
    let parameters: Vec<_> = fixed.chain(since).collect();
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters);
    }
}

fn written(time: Timestamp, format: TimeFormat) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(time.millis().div_euclid(1000)).ok()?;
    match format {
        TimeFormat::Rfc3339 => time.format(&Rfc3339).ok(),
        TimeFormat::CompactShanghai => {
            let time = time.to_offset(UtcOffset::from_hms(8, 0, 0).ok()?);
            let (date, clock) = (time.date(), time.time());
            Some(format!(
                "{:04}{:02}{:02}{:02}{:02}{:02}",
                date.year(),
                u8::from(date.month()),
                date.day(),
                clock.hour(),
                clock.minute(),
                clock.second()
            ))
        }
    }
}

/// Judges one page of the answer to the question for a submission that left at `sent_at`.
pub(crate) fn judged(find: &Find, answer: &ApiResponse, sent: &Sent<'_>, sent_at: Timestamp) -> Result<Page, Fault> {
    let reading = JsonReading::of(answer);
    let body = reading.whole().filter(|_| (200..300).contains(&answer.status));
    let Some(body) = body else {
        let words = format!("could not ask for a lost submission: status {}, {}", answer.status, answer.excerpt());
        return Err(answer.fault(FaultKind::Transient, words));
    };
    let items: Vec<&Value> = find.items.iter().flat_map(|pointer| pointer.all(body)).collect();
    let likely: Vec<_> = items.iter().map(|item| (likeness(find, item, sent), *item)).collect();
    let same: Vec<&Value> = likely.iter().filter(|(how, _)| *how == Likeness::Same).map(|(_, item)| *item).collect();
    match same.as_slice() {
        [one] => return Ok(Page::Found(adopted(find, one, sent))),
        [] if likely.iter().any(|(how, _)| *how == Likeness::Unclear) => return Ok(Page::Found(Found::Unknown)),
        [] => {}
        // Several equal submissions: nothing says which of them is the lost one.
        _ => return Ok(Page::Found(Found::Unknown)),
    }
    if let Some(Value::String(next)) = find.next.as_ref().and_then(|pointer| pointer.first(body)) {
        return Ok(Page::Next(next.clone()));
    }
    let is_absent = !find.finished_only
        && is_list(find, body)
        && items.iter().all(|item| is_understood(find, item))
        && is_complete(find, &items)
        && reaches_back(find, answer, sent_at);
    Ok(Page::Found(if is_absent { Found::Absent } else { Found::Unknown }))
}

/// Returns the acceptance of the only item that matches.
fn adopted(find: &Find, item: &Value, sent: &Sent<'_>) -> Found {
    // A seed of the user's may be that of another job with the same prompt. The id of the submission and a nonce are not.
    let is_sure = sent.has_nonce || !find.submission_id.is_empty();
    let id = first_said(&find.id, item).and_then(scalar).map(TaskId).filter(is_usable);
    match id {
        Some(id) if is_sure => Found::Accepted(Box::new(Acceptance::from(id))),
        Some(_) | None => Found::Unknown,
    }
}

/// Likeness of an item and a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// The item is the submission, or one that equals it.
    Same,
    /// The item may be the submission: it has the prompt and not the seed, or a prompt that was changed on the way.
    Unclear,
    /// The item is another submission.
    Other,
}

/// Compares an item with the submission. The id of the submission, or a seed that was drawn for it alone, names it, whatever became of the
/// prompt.
fn likeness(find: &Find, item: &Value, sent: &Sent<'_>) -> Likeness {
    let said = |pointers: &List<Pointer>| first_said(pointers, item).and_then(scalar);
    if !find.submission_id.is_empty() {
        let is_same = said(&find.submission_id).is_some_and(|id| id == sent.id);
        return if is_same { Likeness::Same } else { Likeness::Other };
    }
    let prompt = said(&find.prompt).unwrap_or_default();
    let (is_equal, is_alike) = (prompt == sent.request.prompt, is_alike(&prompt, &sent.request.prompt));
    let is_compared = sent.request.seed.is_some() && !find.seed.is_empty();
    match sent.request.seed.filter(|_| is_compared).map(|seed| said(&find.seed).map(|said| said == seed.to_string())) {
        Some(Some(false)) => Likeness::Other,
        Some(Some(true)) if sent.has_nonce => Likeness::Same,
        Some(Some(true)) | None if is_equal || find.prompt.is_empty() => Likeness::Same,
        Some(_) | None if is_alike => Likeness::Unclear,
        Some(_) | None => Likeness::Other,
    }
}

/// Returns whether one prompt may be the other one after a service has trimmed it, changed its white space, or cut it.
fn is_alike(one: &str, other: &str) -> bool {
    let normal = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (one, other) = (normal(one), normal(other));
    let is_cut = |whole: &str, cut: &str| !cut.is_empty() && whole.starts_with(cut.trim_end_matches(['.', '…']));
    is_cut(&one, &other) || is_cut(&other, &one)
}

/// Returns whether an item has the values by which it is compared. Without them, the list has another form than the described one.
fn is_understood(find: &Find, item: &Value) -> bool {
    let has = |pointers: &List<Pointer>| pointers.is_empty() || first_said(pointers, item).is_some();
    has(&find.submission_id) && has(&find.prompt) && first_said(&find.id, item).is_some()
}

/// Returns whether the body has the list at one of the described places.
fn is_list(find: &Find, body: &Value) -> bool {
    find.items.iter().any(|pointer| {
        let steps = pointer.steps();
        let Some((last, parents)) = steps.split_last() else { return false };
        let parent = parents.iter().try_fold(body, |value, step| value.get(step.as_str()));
        last == "*" && parent.is_some_and(Value::is_array)
    })
}

/// Returns whether the list has fewer items than a page holds.
fn is_complete(find: &Find, items: &[&Value]) -> bool {
    // A list of pages ends where it names no next page.
    find.next.is_some() || find.page_size.is_none_or(|page_size| items.len() < page_size)
}

/// Returns whether the submission is recent enough to be listed, by the provider's own clock.
fn reaches_back(find: &Find, answer: &ApiResponse, sent_at: Timestamp) -> bool {
    let Some(window) = find.window else { return true };
    answer.date.is_some_and(|now| now.since(sent_at) + SKEW < window.0)
}
