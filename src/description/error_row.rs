//! Row of a table of errors: its conditions on an answer, and what the answer then means.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::description::list::List;
use crate::description::message_words::{names_short_span, says_task_unknown};
use crate::description::status::Statuses;
use crate::description::words::{AnswerStage, FaultWord};

/// Place of the model's name in a text of a description.
const MODEL: &str = "{model}";

/// Row of the table of errors. All conditions that are given must hold.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own in the file")]
pub struct ErrorRow {
    /// Requests that the row is for; every request if it is left out.
    #[serde(default)]
    #[schemars(with = "List<AnswerStage>")]
    pub stage: List<AnswerStage>,
    /// HTTP status: 429, 5xx or 400-404, or a list of them. For a failed task, it is the number at `errors.status`.
    #[serde(default)]
    #[schemars(with = "List<Value>")]
    pub status: List<Statuses>,
    /// Code of the error; one of them is enough, and small and capital letters are the same.
    #[serde(default)]
    #[schemars(with = "List<String>")]
    pub code: List<String>,
    /// Text in the message, in small letters; one of them is enough.
    #[serde(default)]
    #[schemars(with = "List<String>")]
    pub contains: List<String>,
    /// True if the message must not name a time shorter than a day, such as `per minute`, `qps` or `30s`. The name of the model is no part of
    /// the message then.
    #[serde(default)]
    pub of_day: bool,
    /// True if the headers in `rate_headers` must say that nothing is left.
    #[serde(default)]
    pub spent: bool,
    /// True if the message must say that the polled task does not exist, in English or Chinese: `task 7 not found`, but not `the model of the
    /// task was not found`.
    #[serde(default)]
    pub unknown_task: bool,
    /// Meaning.
    pub kind: FaultWord,
    /// True if the provider documents that a submission with this answer was surely not taken and is not paid for. Otherwise the submission
    /// is in doubt.
    #[serde(default)]
    pub clear: bool,
    /// True if a used-up quota is that of the requested model alone.
    #[serde(default)]
    pub model_quota: bool,
    /// Texts in the message that say so, in small letters, if it does not always hold; `{model}` is the model.
    #[serde(default)]
    #[schemars(with = "List<String>")]
    pub model_quota_words: List<String>,
    /// True if `quota_exhausted` means the credit, which no time of day brings back.
    #[serde(default)]
    pub credit: bool,
    /// Beginning of the message to the user, before the provider's words; `{model}` is the model.
    #[serde(default)]
    pub lead: String,
    /// What the user can do, in one sentence without a full stop.
    #[serde(default)]
    pub say: String,
}

/// What is known of an answer that the rows of a table are compared with.
#[derive(Clone, Debug)]
pub struct ErrorFacts<'a> {
    /// Request that was answered.
    pub stage: AnswerStage,
    /// HTTP status; for a failed task, the status that its error names.
    pub status: u16,
    /// Code of the error; empty if there is none.
    pub code: &'a str,
    /// Message in small letters; empty if there is none.
    pub message: String,
    /// Requested model; empty if it is not known.
    pub model: &'a str,
    /// Polled task; empty for a submission.
    pub task: &'a str,
    /// True if the API's own headers say that nothing of the quota is left.
    pub is_spent: bool,
}

impl<'a> ErrorFacts<'a> {
    /// Creates the facts of an answer whose model, task and headers say nothing.
    pub fn new(stage: AnswerStage, status: u16, code: &'a str, message: &str) -> Self {
        Self { stage, status, code, message: message.to_lowercase(), model: "", task: "", is_spent: false }
    }

    /// Returns the message without the name of the model.
    fn without_model(&self) -> String {
        if self.model.is_empty() { self.message.clone() } else { self.message.replace(&self.model.to_lowercase(), " ") }
    }
}

impl ErrorRow {
    /// Returns whether the row matches an answer.
    pub fn matches(&self, facts: &ErrorFacts<'_>) -> bool {
        self.is_for(facts.stage)
            && (self.status.is_empty() || self.status.iter().any(|statuses| statuses.contains(facts.status)))
            && (self.code.is_empty() || self.code.iter().any(|code| code.eq_ignore_ascii_case(facts.code)))
            && (!self.spent || facts.is_spent)
            && self.has_words(facts)
            && (!self.unknown_task || says_task_unknown(&facts.message, facts.task))
    }

    /// Returns whether the row is for answers of this stage. A row for polls is for failed tasks too.
    pub fn is_for(&self, stage: AnswerStage) -> bool {
        let is_poll = stage == AnswerStage::Failed && self.stage.contains(&AnswerStage::Poll);
        self.stage.is_empty() || self.stage.contains(&stage) || is_poll
    }

    fn has_words(&self, facts: &ErrorFacts<'_>) -> bool {
        let has =
            |message: &str| self.contains.is_empty() || self.contains.iter().any(|text| message.contains(&**text));
        if !self.of_day {
            return has(&facts.message);
        }
        let message = facts.without_model();
        has(&message) && !names_short_span(&message)
    }

    /// Returns whether a used-up quota with this message is that of the model alone.
    pub fn is_of_model(&self, message: &str, model: &str) -> bool {
        let (message, model) = (message.to_lowercase(), model.to_lowercase());
        let is_said = |text: &String| message.contains(&text.replace(MODEL, &model));
        self.model_quota || (!model.is_empty() && self.model_quota_words.iter().any(is_said))
    }

    /// Returns this row's opening for the user message, with the model filled in; `None` for the default opening.
    pub fn lead(&self, model: &str) -> Option<String> {
        (!self.lead.is_empty()).then(|| self.lead.replace(MODEL, model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> ErrorRow {
        serde_yaml::from_str(text).unwrap()
    }

    fn submitted(message: &str) -> ErrorFacts<'_> {
        ErrorFacts { model: "second-state/Flux", ..ErrorFacts::new(AnswerStage::Submit, 429, "", message) }
    }

    #[test]
    fn a_quota_of_a_day_names_no_shorter_time() {
        let row = row("{status: 429, contains: [today's quota], of_day: true, kind: quota_exhausted, clear: true}");
        assert!(row.matches(&submitted("You have exceeded Today's quota for model second-state/flux")));
        for message in ["today's quota: retry in 30s", "today's quota of bursts per second", "quota", ""] {
            assert!(!row.matches(&submitted(message)), "{message}");
        }
    }

    #[test]
    fn a_row_may_need_the_headers() {
        let row = row("{contains: [quota], spent: true, kind: quota_exhausted}");
        let facts = submitted("quota exceeded");
        assert!(!row.matches(&facts) && row.matches(&ErrorFacts { is_spent: true, ..facts }));
    }

    #[test]
    fn a_row_for_polls_is_for_failed_tasks_and_not_the_reverse() {
        let at = |stage| ErrorFacts { task: "7", ..ErrorFacts::new(stage, 404, "", "task 7 not found") };
        let lost = row("{stage: poll, unknown_task: true, kind: task_lost}");
        assert!(lost.matches(&at(AnswerStage::Poll)) && lost.matches(&at(AnswerStage::Failed)));
        let failed = row("{stage: failed, status: 404, kind: invalid_request}");
        assert!(failed.matches(&at(AnswerStage::Failed)) && !failed.matches(&at(AnswerStage::Poll)));
        assert!(!lost.matches(&at(AnswerStage::Submit)) && !failed.matches(&at(AnswerStage::Submit)));
    }

    #[test]
    fn a_quota_is_the_models_own_only_if_the_message_names_it() {
        let row = row("{status: 429, kind: quota_exhausted, model_quota_words: 'for model {model}'}");
        for (message, model, expected) in [
            ("exceeded today's quota for model Qwen/Qwen-Image, please try again", "Qwen/Qwen-Image", true),
            ("exceeded today's quota for model qwen/qwen-image", "Qwen/Qwen-Image", true),
            ("exceeded today's quota for model Other/Model", "Qwen/Qwen-Image", false),
            ("exceeded today's quota, please try again tomorrow", "Qwen/Qwen-Image", false),
            ("exceeded today's quota for model ", "", false),
        ] {
            assert_eq!(row.is_of_model(message, model), expected, "{message}");
        }
    }

    #[test]
    fn the_beginning_of_a_message_names_the_model() {
        let row = row("{status: 400, kind: invalid_request, lead: 'the model {model} is retired'}");
        assert_eq!(row.lead("a/b").as_deref(), Some("the model a/b is retired"));
        assert_eq!(ErrorRow { lead: String::new(), ..row }.lead("a/b"), None);
    }
}
