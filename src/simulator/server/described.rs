//! Answers of the simulated service as a described API gives them.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;

use crate::description::format::Description;
use crate::description::words::{AnswerStage, DoubtClass, Exchange, FaultWord, ImageKind};
use crate::model::time::Timestamp;
use crate::simulator::check::Submission;
use crate::simulator::described::bill::billed;
use crate::simulator::described::book::has_own_ids;
use crate::simulator::described::draft::Draft;
use crate::simulator::described::errors::{ErrorWish, error, write};
use crate::simulator::described::lists::{ListQuestion, list};
use crate::simulator::described::put::{is_said, put};
use crate::simulator::described::routes::{NoQuestion, Question, polled_task, question};
use crate::simulator::described::tasks::TaskWriter;
use crate::simulator::described::{auth, submission};
use crate::simulator::faults::{ImageFault, InjectedFault, PollFault};
use crate::simulator::message::{Delivery, HttpRequest, InlinePicture, Reply, ReplyBody};
use crate::simulator::picture::Picture;
use crate::simulator::refusal::Refusal;
use crate::simulator::server::Server;
use crate::simulator::task::{Task, TaskOutcome, TaskProgress};

/// Text that stands for the bytes of a picture in a draft.
const PICTURE: &str = "\u{1}picture\u{1}";

/// The same as JSON writes it.
const PICTURE_JSON: &str = "\\u0001picture\\u0001";

const MODERATED: &str = "The image was withheld because its content may be inappropriate";
const FAILED: &str = "Internal error, the task has failed";

impl Server {
    /// Answers a request to the API.
    pub(super) fn described_route(
        &mut self,
        now: Timestamp,
        request: &HttpRequest,
        api: &Description,
    ) -> Result<Reply, Refusal> {
        match question(api, request) {
            Ok(Question::Submit(model)) => self.submit(now, request, model),
            Ok(Question::Poll(id)) => {
                let id = polled_task(api, request).unwrap_or(id);
                self.poll(now, request, &id, AnswerStage::Poll)
            }
            Ok(Question::Result(id)) => self.poll(now, request, &id, AnswerStage::Result),
            Ok(Question::Find) => self.find(now, request, api),
            Err(NoQuestion::Method(allowed)) => Err(Refusal::Method(allowed)),
            Err(NoQuestion::Path) => {
                Err(Refusal::NoPath(request.path.split('?').next().unwrap_or_default().to_owned()))
            }
        }
    }

    pub(super) fn is_described_token(&self, request: &HttpRequest, api: &Description) -> bool {
        auth::is_allowed(api, request, self.config.token.as_deref())
    }

    /// Reads a submission.
    pub(super) fn described_submission(
        request: &HttpRequest,
        api: &Description,
        model: Option<String>,
    ) -> Result<Submission, Refusal> {
        submission::submission(api, request, model)
    }

    /// Returns a refusal in the API's envelope, with the words for which its table says what is meant.
    pub(super) fn described_error(api: &Description, refusal: &Refusal) -> Reply {
        let (kind, is_fixed) = match refusal {
            Refusal::Invalid(_) | Refusal::NoModel(_) | Refusal::Synchronous => (FaultWord::InvalidRequest, false),
            Refusal::NoPath(_) | Refusal::Method(_) | Refusal::TooLarge => (FaultWord::InvalidRequest, true),
            Refusal::Unauthorized => (FaultWord::Unauthorized, false),
            Refusal::Forbidden => (FaultWord::Unauthorized, true),
            Refusal::Content => (FaultWord::Moderated, false),
            Refusal::Rate | Refusal::Concurrency => (FaultWord::Throttled, false),
            Refusal::Quota(_) => (FaultWord::QuotaExhausted, false),
            Refusal::Busy => (FaultWord::Transient, false),
        };
        let words = match refusal {
            Refusal::Unauthorized => "The API key is missing or wrong".to_owned(),
            Refusal::Rate | Refusal::Concurrency => "Too many requests".to_owned(),
            Refusal::Quota(_) => "The quota is used up".to_owned(),
            Refusal::Invalid(_)
            | Refusal::NoModel(_)
            | Refusal::Synchronous
            | Refusal::Forbidden
            | Refusal::Content
            | Refusal::NoPath(_)
            | Refusal::Method(_)
            | Refusal::TooLarge
            | Refusal::Busy => refusal.to_string(),
        };
        let wish = ErrorWish { stage: AnswerStage::Submit, kind, words: &words, status: refusal.status(), is_fixed };
        reply(error(api, wish), None)
    }

    /// Returns the answer to a second submission with the id of an accepted one; `None` if this is none, or if the API takes it again.
    pub(super) fn repeated(
        &mut self,
        now: Timestamp,
        request: &HttpRequest,
        submission: &Submission,
        api: &Description,
    ) -> Option<Reply> {
        let conflict = api.accepted.conflict.first();
        if api.doubt != DoubtClass::Guarded && conflict.is_none() {
            return None;
        }
        let id = submission.id.as_ref()?;
        let task = self.book.task(id)?;
        self.stats.n_repeated += 1;
        let task_id = if has_own_ids(api) { id.clone() } else { task.to_string() };
        let writer = TaskWriter { api, origin: &origin(request), id: &task_id };
        Some(match (conflict, api.exchange) {
            (Some(code), _) => reply(writer.conflict(code), None),
            (None, Exchange::Task) => reply(writer.accepted(), None),
            (None, Exchange::Answer) => self.answered(now, request, &task_id, task, api),
        })
    }

    /// Returns whether the API refuses the content of a submission before it accepts it.
    pub(super) fn refuses_content(&self, submission: &Submission, api: &Description) -> bool {
        let writer = TaskWriter { api, origin: "", id: "" };
        api.exchange == Exchange::Answer
            && writer.withheld(AnswerStage::Submit).is_none()
            && self.lots(submission.content, 0).f64() < self.config.fail_rate
    }

    /// Returns the acceptance of a task: its id, or its image.
    pub(super) fn described_accepted(
        &mut self,
        now: Timestamp,
        request: &HttpRequest,
        submission: &Submission,
        task: Task,
        api: &Description,
    ) -> Reply {
        let id = self.book.enter(api, now, submission, task);
        self.stats.billed += billed(api, &submission.model, &id).unwrap_or_default();
        let reply = match api.exchange {
            Exchange::Task => {
                let mut draft = TaskWriter { api, origin: &origin(request), id: &id }.accepted();
                // Some services repeat the prompt, and the recorded one is another.
                let prompts = api.find.as_ref().map_or(&[][..], |find| &find.prompt);
                if is_said(&draft.body, prompts) {
                    put(&mut draft.body, prompts, &submission.prompt.as_str().into());
                }
                reply(draft, None)
            }
            Exchange::Answer => self.answered(now, request, &id, task, api),
        };
        let names = &api.rate_headers;
        let left = self.gate.model_quota_left(&submission.model);
        let reply = match (&names.model_quota_left, left) {
            (Some(name), Some(left)) => reply.with(name.to_ascii_lowercase(), left.to_string()),
            (None, _) | (_, None) => reply,
        };
        match (&names.quota_left, self.gate.quota()) {
            (Some(name), Some((_, left))) => reply.with(name.to_ascii_lowercase(), left.to_string()),
            (None, _) | (_, None) => reply,
        }
    }

    /// Returns the answer that has the image. The connection is held until the task would have ended.
    fn answered(&mut self, now: Timestamp, request: &HttpRequest, id: &str, task: Task, api: &Description) -> Reply {
        let writer = TaskWriter { api, origin: &origin(request), id };
        let whole = match task.fate() {
            TaskOutcome::Stuck => Reply::lost(Delivery::Hang),
            TaskOutcome::Moderated => {
                reply(writer.withheld(AnswerStage::Submit).unwrap_or_else(|| writer.without_image()), None)
            }
            TaskOutcome::Empty | TaskOutcome::Failed if api.answer.kind == ImageKind::Body => {
                Reply::new(200, "image/png", ReplyBody::Bytes(Vec::new()))
            }
            TaskOutcome::Empty | TaskOutcome::Failed => reply(writer.without_image(), None),
            TaskOutcome::Succeeds => match api.answer.kind {
                ImageKind::Body => self.with_image_fault(picture_reply(task.picture())),
                ImageKind::Base64 => self.with_image_fault(reply(writer.images(Some(PICTURE)), Some(task.picture()))),
                ImageKind::Link => {
                    let link = self.described_link(now, request, &task, api);
                    reply(writer.images(Some(&link)), None)
                }
            },
        };
        let left = task.ends_at().since(now);
        Reply { delay: whole.delay.saturating_add(left), ..whole }
    }

    /// Applies the faults of downloads to an image inside an answer, as far as such an image can have them.
    fn with_image_fault(&mut self, whole: Reply) -> Reply {
        let Some(fault) = self.config.faults.draw_image(&mut self.rng) else { return whole };
        let spoiled = match (fault, whole.body.clone()) {
            (ImageFault::Cut, _) => whole.delivered(Delivery::CutMidway),
            (ImageFault::Hang, _) => Reply::lost(Delivery::Hang),
            (ImageFault::Short, ReplyBody::Picture(picture)) => {
                Reply { body: ReplyBody::HalfPicture(picture), ..whole }
            }
            (ImageFault::Short, ReplyBody::Inline(inline)) => {
                Reply { body: ReplyBody::Inline(InlinePicture { is_half: true, ..inline }), ..whole }
            }
            (ImageFault::Html, _) => Reply::page(200),
            // There is no image host that could say so.
            (ImageFault::Broken | ImageFault::NotFound | ImageFault::Expired | ImageFault::Short, _) => return whole,
        };
        self.count_fault(InjectedFault::Image(fault));
        spoiled
    }

    /// Returns the link of a task's picture. Without a configured lifetime it lasts for as long as the API keeps an image.
    fn described_link(&self, now: Timestamp, request: &HttpRequest, task: &Task, api: &Description) -> String {
        let ready_at = now.max(task.ends_at());
        let kept = api.keeps.map(|keeps| after(task.ends_at(), keeps.0));
        let expires_at = self.config.link_lifetime.map(|lifetime| after(ready_at, lifetime)).or(kept);
        Self::link_until(request, task.picture(), expires_at)
    }

    /// Turns an acceptance into an error that still has the id or the image.
    pub(super) fn described_id_in_error(api: &Description, acceptance: Reply, status: u16) -> Reply {
        let picture = acceptance.body.picture();
        let body = match &acceptance.body {
            ReplyBody::Bytes(bytes) => serde_json::from_slice(bytes).ok(),
            ReplyBody::Inline(inline) => {
                serde_json::from_str(&format!("{}{PICTURE_JSON}{}", inline.before, inline.after)).ok()
            }
            ReplyBody::Picture(_) | ReplyBody::HalfPicture(_) => None,
        };
        let Some(body) = body else { return Reply { status, ..acceptance } };
        let mut draft = Draft { status, body };
        let words = Refusal::Busy.to_string();
        let wish =
            ErrorWish { stage: AnswerStage::Submit, kind: FaultWord::Transient, words: &words, status, is_fixed: true };
        write(api, wish, &mut draft);
        Reply { delay: acceptance.delay, ..reply(draft, picture) }
    }

    /// Returns the task with this id; `None` if there is none.
    pub(super) fn described_task(&self, id: &str) -> Option<Task> {
        Task::from_id(id).or_else(|| self.book.task(id))
    }

    pub(super) fn described_unknown(request: &HttpRequest, id: &str, stage: AnswerStage, api: &Description) -> Reply {
        reply(TaskWriter { api, origin: &origin(request), id }.unknown(stage), None)
    }

    /// Returns the answer to a poll, or to the question for a result.
    pub(super) fn described_progress(
        &self,
        now: Timestamp,
        request: &HttpRequest,
        id: &str,
        task: &Task,
        stage: AnswerStage,
        api: &Description,
    ) -> Reply {
        let writer = TaskWriter { api, origin: &origin(request), id };
        let is_gone = api.keeps.is_some_and(|keeps| now >= after(task.ends_at(), keeps.0));
        if is_gone {
            return reply(writer.unknown(stage), None);
        }
        let is_result = stage == AnswerStage::Result;
        let has_image = is_result || api.poll.result.is_empty();
        let draft = match task.progress(now) {
            TaskProgress::Pending | TaskProgress::Processing if is_result => {
                let words = "the task is not finished yet";
                error(api, ErrorWish { stage, kind: FaultWord::Transient, words, status: 400, is_fixed: false })
            }
            TaskProgress::Pending => writer.queued(),
            TaskProgress::Processing => writer.running(),
            TaskProgress::Lost | TaskProgress::Ended(TaskOutcome::Stuck) => writer.unknown(stage),
            TaskProgress::Ended(TaskOutcome::Succeeds) => {
                let image = match api.answer.kind {
                    ImageKind::Link => self.described_link(now, request, task, api),
                    ImageKind::Base64 | ImageKind::Body => PICTURE.to_owned(),
                };
                let image = Some(&*image).filter(|_| has_image);
                let draft = if is_result { writer.result(image) } else { writer.done(image) };
                return reply(draft, Some(task.picture()));
            }
            TaskProgress::Ended(TaskOutcome::Empty) if is_result => writer.result(None),
            TaskProgress::Ended(TaskOutcome::Empty) => writer.done(None),
            TaskProgress::Ended(TaskOutcome::Moderated) if is_result => writer.moderated_result(MODERATED),
            TaskProgress::Ended(TaskOutcome::Moderated) => writer.moderated(MODERATED),
            TaskProgress::Ended(TaskOutcome::Failed) if is_result => {
                error(api, ErrorWish { stage, kind: FaultWord::Transient, words: FAILED, status: 500, is_fixed: false })
            }
            TaskProgress::Ended(TaskOutcome::Failed) => writer.failed(FAILED),
        };
        reply(draft, None)
    }

    /// Answers a question for submissions.
    fn find(&mut self, now: Timestamp, request: &HttpRequest, api: &Description) -> Result<Reply, Refusal> {
        self.stats.n_finds += 1;
        self.authorize(request)?;
        let Some(find) = &api.find else { return Err(Refusal::NoPath(request.path.clone())) };
        let origin = origin(request);
        let question = ListQuestion { api, find, request, origin: &origin, now, delay: self.config.list_delay };
        let whole = match list(question, self.book.records()) {
            Some(draft) => reply(draft, None),
            None => Self::described_unknown(request, "", AnswerStage::Poll, api),
        };
        // An answer that hides a submission would not be a fault of the network but a lie of the service.
        let fault = self.config.faults.draw_poll(&mut self.rng);
        let Some(fault) = fault.filter(|fault| !matches!(fault, PollFault::NotFound | PollFault::Mixed)) else {
            return Ok(whole);
        };
        self.count_fault(InjectedFault::Poll(fault));
        Ok(if fault == PollFault::Cut { whole.delivered(Delivery::CutMidway) } else { self.poll_fault(fault) })
    }
}

fn after(time: Timestamp, span: Duration) -> Timestamp {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(time.millis().saturating_add(millis))
}

/// Returns the address of this service, as the client reached it.
fn origin(request: &HttpRequest) -> String {
    format!("http://{}", request.header("host").unwrap_or("127.0.0.1"))
}

fn picture_reply(picture: Picture) -> Reply {
    Reply::new(200, "image/png", ReplyBody::Picture(picture))
}

/// Returns the response of a draft. A picture takes the place of its text.
fn reply(draft: Draft, picture: Option<Picture>) -> Reply {
    let body = if draft.body.is_null() { Value::Object(serde_json::Map::new()) } else { draft.body };
    let text = body.to_string();
    let body = match (text.split_once(PICTURE_JSON), picture) {
        (Some((before, after)), Some(picture)) => {
            let (before, after) = (before.to_owned(), after.to_owned());
            ReplyBody::Inline(InlinePicture { before, picture, is_half: false, after })
        }
        (None, _) | (_, None) => ReplyBody::Bytes(text.into_bytes()),
    };
    Reply::new(draft.status, "application/json", body)
}
