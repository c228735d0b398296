//! Acceptances: what the headers of an answer say about the next submission, and images that are kept on this disk.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::description::format::Description;
use crate::description::words::Exchange;
use crate::model::money::Money;
use crate::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url};
use crate::provider::described::fault::spent_by_headers;
use crate::provider::described::images::ImageText;
use crate::provider::described::money::said;
use crate::provider::http::api_response::ApiResponse;
use crate::provider::http::spool::SpoolEntry;

/// Beginning of an entry in the list of images that says: the answer was paid for, and had no image.
const WITHOUT_IMAGE: &str = "fault:";

/// Beginning of an entry that says what the answer cost.
const COST: &str = "cost:";

/// Kinds of faults with which a paid answer can end.
const KINDS: [FaultKind; 4] =
    [FaultKind::Moderated, FaultKind::InvalidRequest, FaultKind::Transient, FaultKind::BadOutput];

/// Returns the acceptance of a task, with what the headers say about the next submission.
pub(crate) fn accepted(api: &Description, answer: &ApiResponse, task: TaskId, model: &str) -> Acceptance {
    let costs = match api.exchange {
        Exchange::Task => &api.accepted.cost,
        Exchange::Answer => &api.answer.cost,
    };
    let spent = |words: &str| spent_by_headers(api, words, answer);
    let spent = match (answer.remaining, answer.model_remaining) {
        (Some(0), _) => Some(spent("0 requests remaining")),
        (_, Some(0)) => Some(Fault { is_model_quota: true, ..spent("0 requests of this model remaining") }),
        _ => None,
    };
    let remaining = [answer.remaining, answer.rate.remaining].into_iter().flatten().min();
    // With a 2xx status, Retry-After is about the next poll, not about the next submission.
    let retry_after = answer.retry_after().filter(|_| !(200..300).contains(&answer.status));
    Acceptance {
        task,
        spent,
        pause: answer.rate.spent_for.max(retry_after),
        remaining,
        quota_left: [answer.remaining, answer.model_remaining].into_iter().flatten().min(),
        model_quota_left: answer.model_remaining,
        images: Vec::new(),
        cost: said(api, costs, answer, model),
    }
}

/// Returns the acceptance of a submission whose images are on this disk. One without an image is a task whose poll says why.
pub(crate) fn spooled(task: TaskId, links: Vec<Url>) -> Acceptance {
    let (links, cost) = without_cost(links);
    let has_image = links.iter().all(|link| !link.0.starts_with(WITHOUT_IMAGE));
    Acceptance { images: if has_image { links } else { Vec::new() }, cost, ..Acceptance::from(task) }
}

/// Returns the entry of a list of images that says the cost of the answer, for a later process.
pub(crate) fn cost_entry(cost: &Money) -> Url {
    Url(format!("{COST}{cost}"))
}

/// Returns the entries of a list of images without the cost, and the cost.
fn without_cost(links: Vec<Url>) -> (Vec<Url>, Option<Money>) {
    let (costs, links): (Vec<Url>, Vec<Url>) = links.into_iter().partition(|link| link.0.starts_with(COST));
    (links, costs.first().and_then(|cost| cost.0.strip_prefix(COST)?.parse().ok()))
}

/// Returns the entry of a list of images for an answer that was paid for and had no image.
pub(crate) fn paid_without_image(fault: &Fault) -> Url {
    Url(format!("{WITHOUT_IMAGE}{}:{}", fault.kind.code(), fault.message))
}

/// Returns the status of a submission by the list of its images on this disk.
pub(crate) fn kept_status(links: Option<Vec<Url>>) -> Result<Status, Fault> {
    let (links, cost) = without_cost(links.unwrap_or_default());
    let Some(links) = Some(links).filter(|links| !links.is_empty()) else {
        let words = "the answer to this submission is not on this disk any more: someone may have removed it from the folder \
                     `spool` of the run";
        return Err(Fault::new(FaultKind::TaskLost, words));
    };
    let Some(ended) = links.iter().find_map(|link| link.0.strip_prefix(WITHOUT_IMAGE)) else {
        return Ok(Status::Done(links).charged(cost));
    };
    let (code, words) = ended.split_once(':').unwrap_or((ended, ""));
    let kind = KINDS.into_iter().find(|kind| kind.code() == code).unwrap_or(FaultKind::BadOutput);
    Ok(Status::Failed(Fault::new(kind, words)).charged(cost))
}

impl ImageText {
    /// Returns the link of an image. Base64 is decoded and kept on this disk; what is no base64 is kept as it is, to be refused as an image.
    pub(in crate::provider) fn into_link(self, entry: &mut SpoolEntry) -> Result<Url, Fault> {
        match self {
            Self::Link(url) => Ok(url),
            Self::Base64(text) => {
                let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                entry.add(&STANDARD.decode(&text).unwrap_or_else(|_| text.into_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paid_end_without_an_image_is_kept_with_its_reason() {
        for kind in KINDS {
            let fault = Fault::new(kind, "words: with a colon");
            let links = vec![paid_without_image(&fault)];
            let acceptance = spooled(TaskId("t".into()), links.clone());
            assert!(acceptance.images.is_empty(), "{acceptance:?}");
            assert_eq!(kept_status(Some(links)), Ok(Status::Failed(fault)));
        }
        assert_eq!(kept_status(None).unwrap_err().kind, FaultKind::TaskLost);
        let links = vec![Url("spool:///a-1".into())];
        assert_eq!(spooled(TaskId("t".into()), links.clone()).images, links);
        assert_eq!(kept_status(Some(links.clone())), Ok(Status::Done(links.clone())));
        // A later process learns the cost too.
        let cost: Money = "0.04 USD".parse().unwrap();
        let with_cost = [links.clone(), vec![cost_entry(&cost)]].concat();
        let acceptance = spooled(TaskId("t".into()), with_cost.clone());
        assert_eq!((acceptance.images, acceptance.cost), (links.clone(), Some(cost.clone())));
        assert_eq!(kept_status(Some(with_cost)), Ok(Status::Done(links).charged(Some(cost))));
    }
}
