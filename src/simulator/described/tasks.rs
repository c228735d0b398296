//! Answers of a described API about one submission: its acceptance, its status, its images and its end without one.

use serde_json::Value;

use crate::description::examples::Example;
use crate::description::format::Description;
use crate::description::pointer::{Pointer, first_said, scalar};
use crate::description::words::{AnswerStage, Exchange, Expectation, FaultWord, ImageKind, TaskWord};
use crate::simulator::described::bill::write_cost;
use crate::simulator::described::draft::{Draft, localize, success, template};
use crate::simulator::described::errors::{ErrorWish, error, write};
use crate::simulator::described::put::{is_said, keep_one, put, put_nothing};
use crate::simulator::described::routes::{result_url, status_url};

/// Beginning of an image as a `data:` address.
const DATA_PREFIX: &str = "data:image/png;base64,";

/// Writer of the answers about one submission.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) struct TaskWriter<'a> {
    /// API that is played.
    pub(in crate::simulator) api: &'a Description,
    /// Address of this service, without a slash at its end.
    pub(in crate::simulator) origin: &'a str,
    /// Task id.
    pub(in crate::simulator) id: &'a str,
}

impl TaskWriter<'_> {
    /// Returns the recorded success with this conclusion, made this task's.
    fn begin(&self, stage: AnswerStage, expect: Expectation) -> Draft {
        let mut draft = success(self.api, stage, expect);
        let Description { accepted, poll, .. } = self.api;
        // An API that shows a task in one form has its other fields in every answer.
        if stage == AnswerStage::Poll && poll.id.iter().any(|pointer| accepted.id.contains(pointer)) {
            let mut whole = success(self.api, AnswerStage::Submit, Expectation::Accepted).body;
            overlay(&mut whole, std::mem::take(&mut draft.body));
            draft.body = whole;
        }
        localize(self.api, &mut draft.body, self.origin, self.id);
        draft
    }

    /// Returns the acceptance.
    pub(in crate::simulator) fn accepted(&self) -> Draft {
        let Description { accepted, poll, .. } = self.api;
        let mut draft = self.begin(AnswerStage::Submit, Expectation::Accepted);
        put(&mut draft.body, &accepted.id, &self.id.into());
        put(&mut draft.body, &accepted.status_url, &status_url(self.origin, self.id).into());
        if is_said(&draft.body, &poll.result) {
            put(&mut draft.body, &poll.result, &result_url(self.origin, self.id).into());
        }
        if !accepted.cost.is_empty() {
            write_cost(self.api, &accepted.cost, self.id, &mut draft.body);
        }
        draft
    }

    /// Returns the error that a submission with this id was accepted before.
    pub(in crate::simulator) fn conflict(&self, code: &str) -> Draft {
        let Description { accepted, errors, .. } = self.api;
        let is_wanted = |example: &Example| {
            let body = example.body.as_ref();
            let said = body.and_then(|body| first_said(&errors.code, body)).and_then(scalar);
            example.status >= 300 && said.is_some_and(|said| accepted.conflict.contains(&said))
        };
        let mut draft = template(self.api, is_wanted).unwrap_or(Draft { status: 409, body: Value::Null });
        localize(self.api, &mut draft.body, self.origin, self.id);
        put(&mut draft.body, &errors.code, &code.into());
        if !is_said(&draft.body, &errors.message) {
            put(&mut draft.body, &errors.message, &"a submission with this id was accepted before".into());
        }
        draft
    }

    /// Returns the answer to a poll that says this status.
    fn polled(&self, expect: Expectation, meaning: TaskWord) -> Draft {
        self.with_word(self.begin(AnswerStage::Poll, expect), meaning)
    }

    /// Returns the recorded poll that ended with a fault of this kind; `None` if there is none.
    fn recorded_end(&self, kind: FaultWord) -> Option<Draft> {
        let is_wanted = |example: &Example| {
            example.stage == AnswerStage::Poll && example.expect == Expectation::Failed && example.fault == Some(kind)
        };
        let mut draft = template(self.api, is_wanted)?;
        localize(self.api, &mut draft.body, self.origin, self.id);
        put(&mut draft.body, &self.api.poll.id, &self.id.into());
        Some(draft)
    }

    /// Writes the task and the word for its status.
    fn with_word(&self, mut draft: Draft, meaning: TaskWord) -> Draft {
        put(&mut draft.body, &self.api.poll.id, &self.id.into());
        let recorded = first_said(&self.api.poll.status, &draft.body).and_then(scalar);
        let words = &self.api.poll.words;
        let is_right =
            |word: &String| words.iter().any(|(name, known)| name.eq_ignore_ascii_case(word) && *known == meaning);
        if !recorded.is_some_and(|word| is_right(&word)) {
            let word = words.iter().find(|(_, known)| **known == meaning).map_or("running", |(name, _)| name);
            put(&mut draft.body, &self.api.poll.status, &word.into());
        }
        draft
    }

    fn has_word(&self, meaning: TaskWord) -> bool {
        self.api.poll.words.values().any(|word| *word == meaning)
    }

    /// Returns the answer for a task in the queue. Not every API tells it from a running one.
    pub(in crate::simulator) fn queued(&self) -> Draft {
        if self.has_word(TaskWord::Queued) {
            self.polled(Expectation::Queued, TaskWord::Queued)
        } else {
            self.running()
        }
    }

    /// Returns the answer for a running task.
    pub(in crate::simulator) fn running(&self) -> Draft {
        self.polled(Expectation::Running, TaskWord::Running)
    }

    /// Returns the answer to the poll of a finished task: the address of its result or its image. `None` is a success without an image.
    pub(in crate::simulator) fn done(&self, image: Option<&str>) -> Draft {
        let mut draft = self.begin(AnswerStage::Poll, Expectation::Done);
        let result = &self.api.poll.result;
        // The task and its status may stand in the item that has the image.
        if result.is_empty() {
            self.put_image(&mut draft.body, image);
        } else {
            put(&mut draft.body, result, &result_url(self.origin, self.id).into());
        }
        self.with_word(draft, TaskWord::Done)
    }

    /// Returns the answer with the result of a finished task.
    pub(in crate::simulator) fn result(&self, image: Option<&str>) -> Draft {
        let mut draft = self.begin(AnswerStage::Result, Expectation::Done);
        self.put_image(&mut draft.body, image);
        draft
    }

    /// Returns the answer to a submission with its image.
    pub(in crate::simulator) fn images(&self, image: Option<&str>) -> Draft {
        let mut draft = self.begin(AnswerStage::Submit, Expectation::Images);
        self.put_image(&mut draft.body, image);
        draft
    }

    fn put_image(&self, body: &mut Value, image: Option<&str>) {
        let answer = &self.api.answer;
        write_cost(self.api, &answer.cost, self.id, body);
        let Some(image) = image else { return put_nothing(body, &answer.images) };
        let recorded = first_said(&answer.images, body).and_then(scalar).unwrap_or_default();
        let is_url =
            |pointer: &Pointer| pointer.steps().last().is_some_and(|step| step == "url" || step == "image_url");
        let has_prefix = match (answer.kind, recorded.as_str()) {
            (ImageKind::Base64, "") => answer.images.first().is_some_and(is_url),
            (ImageKind::Base64, recorded) => recorded.starts_with("data:"),
            (ImageKind::Link | ImageKind::Body, _) => false,
        };
        let text = if has_prefix { format!("{DATA_PREFIX}{image}") } else { image.to_owned() };
        keep_one(body, &answer.images);
        put(body, &answer.images, &text.into());
    }

    /// Returns the answer for a task that failed.
    pub(in crate::simulator) fn failed(&self, words: &str) -> Draft {
        self.ended(TaskWord::Failed, FaultWord::Transient, words)
    }

    /// Returns the answer for a task whose image was withheld for its content.
    pub(in crate::simulator) fn moderated(&self, words: &str) -> Draft {
        let has_row = |stage| {
            self.api.errors.table.iter().any(|row| row.kind == FaultWord::Moderated && row.stage.contains(&stage))
        };
        if let Some(draft) = self.recorded_end(FaultWord::Moderated) {
            return draft;
        }
        if self.has_word(TaskWord::Moderated) {
            return self.polled(Expectation::Running, TaskWord::Moderated);
        }
        match self.withheld(AnswerStage::Poll) {
            // The result says it, and the status is that of a finished task.
            _ if !self.api.poll.result.is_empty() && has_row(AnswerStage::Result) => self.done(None),
            Some(draft) if self.api.poll.result.is_empty() => draft,
            Some(_) => self.done(None),
            None => self.ended(TaskWord::Failed, FaultWord::Moderated, words),
        }
    }

    /// Returns the result of a task whose image was withheld for its content.
    pub(in crate::simulator) fn moderated_result(&self, words: &str) -> Draft {
        let wish =
            ErrorWish { stage: AnswerStage::Result, kind: FaultWord::Moderated, words, status: 422, is_fixed: false };
        self.withheld(AnswerStage::Result).unwrap_or_else(|| error(self.api, wish))
    }

    /// Returns a success that says, beside its images or by having none, that the image was withheld; `None` if the API has no such answer.
    pub(in crate::simulator) fn withheld(&self, stage: AnswerStage) -> Option<Draft> {
        let answer = &self.api.answer;
        let reason = answer.reasons.iter().find(|(_, kind)| **kind == FaultWord::Moderated).map(|(word, _)| word);
        if reason.is_none() && answer.empty != Some(FaultWord::Moderated) {
            return None;
        }
        let mut draft = match stage {
            AnswerStage::Submit => self.images(None),
            AnswerStage::Poll | AnswerStage::Failed => self.done(None),
            AnswerStage::Result => self.result(None),
        };
        if let Some(reason) = reason {
            put(&mut draft.body, &answer.reason, &reason.as_str().into());
        }
        Some(draft)
    }

    /// Returns a poll that ended without an image, for this reason.
    fn ended(&self, meaning: TaskWord, kind: FaultWord, words: &str) -> Draft {
        if let Some(draft) = self.recorded_end(kind) {
            return draft;
        }
        let wish = ErrorWish { stage: AnswerStage::Poll, kind, words, status: 200, is_fixed: true };
        // Some services say an error beside the word of a success only.
        let is_beside = !self.has_word(meaning);
        let meaning = if is_beside { TaskWord::Done } else { meaning };
        let mut draft = self.polled(Expectation::Running, meaning);
        write(self.api, wish, &mut draft);
        if is_beside && !is_said(&draft.body, &self.api.poll.error) {
            put(&mut draft.body, &self.api.poll.error, &words.into());
        }
        draft
    }

    /// Returns the answer for a task that the service does not know.
    pub(in crate::simulator) fn unknown(&self, stage: AnswerStage) -> Draft {
        if stage == AnswerStage::Poll && self.has_word(TaskWord::Lost) {
            return self.polled(Expectation::TaskLost, TaskWord::Lost);
        }
        let words = "task not found";
        error(self.api, ErrorWish { stage, kind: FaultWord::TaskLost, words, status: 404, is_fixed: false })
    }

    /// Returns the end of a submission whose answer has no image although it is paid for.
    pub(in crate::simulator) fn without_image(&self) -> Draft {
        match self.api.exchange {
            Exchange::Answer => self.images(None),
            Exchange::Task => self.done(None),
        }
    }
}

/// Writes a body over another one, field by field.
fn overlay(base: &mut Value, own: Value) {
    match (base, own) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(own)) => {
            for (name, value) in own {
                match base.get_mut(&name) {
                    Some(field @ Value::Object(_)) if value.is_object() => overlay(field, value),
                    Some(_) | None => drop(base.insert(name, value)),
                }
            }
        }
        (base, own) => *base = own,
    }
}
