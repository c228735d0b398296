//! Rules that the fields of a description must keep together.

use crate::description::auth::Auth;
use crate::description::body::Tree;
use crate::description::error::DescriptionMistake;
use crate::description::format::{Description, Prices};
use crate::description::leaf::Leaf;
use crate::description::requests::SizeRules;
use crate::description::words::{BodyEncoding, DoubtClass, Exchange, FaultWord, ImageKind, TaskWord};
use crate::model::request::Size;

/// Collector of mistakes, which finds their lines.
struct Checker<'a> {
    text: &'a str,
    found: Vec<DescriptionMistake>,
}

impl Checker<'_> {
    /// Records a mistake in a field: its section and its name in the section, if it has one.
    fn refuse(&mut self, section: &str, name: Option<&str>, what: impl Into<String>) {
        let place = name.map_or_else(|| section.to_owned(), |name| format!("{section}.{name}"));
        let line = line_of(self.text, section, name);
        self.found.push(DescriptionMistake::new(line, format!("`{place}`: {}", what.into())));
    }

    fn require(&mut self, is_met: bool, section: &str, name: Option<&str>, what: &str) {
        if !is_met {
            self.refuse(section, name, what);
        }
    }
}

/// Returns the line of a top-level field, or of a field in it; `None` if the text has no such line.
pub(super) fn line_of(text: &str, section: &str, name: Option<&str>) -> Option<u64> {
    let is_key = |line: &str, name: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    let mut lines = (1..).zip(text.lines());
    let begin = lines.find(|(_, line)| is_key(line, section)).map(|(number, _)| number)?;
    let Some(name) = name else { return Some(begin) };
    let below = lines.take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '#', '-']));
    let found = below.into_iter().find(|(_, line)| is_key(line.trim_start_matches([' ', '-']), name));
    Some(found.map_or(begin, |(number, _)| number))
}

/// Returns every mistake in the fields of a description. `text` gives the lines.
pub(super) fn mistakes(description: &Description, text: &str) -> Vec<DescriptionMistake> {
    let mut checker = Checker { text, found: Vec::new() };
    names(description, &mut checker);
    token(description, &mut checker);
    submit(description, &mut checker);
    match description.exchange {
        Exchange::Task => task(description, &mut checker),
        Exchange::Answer => answer(description, &mut checker),
    }
    limits(description, &mut checker);
    errors(description, &mut checker);
    doubt(description, &mut checker);
    if let Some(prices) = &description.prices {
        check_prices(prices, &mut checker);
    }
    examples(description, &mut checker);
    checker.found
}

fn names(description: &Description, checker: &mut Checker) {
    let Description { name, help, base_url, .. } = description;
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = !name.is_empty() && name.len() <= 40 && name.chars().all(is_word);
    checker.require(is_name, "name", None, "write 1 to 40 lower-case letters, digits and `-`");
    let is_help = !help.trim().is_empty() && !help.contains('\n');
    checker.require(is_help, "help", None, "say in one line what the service is");
    let is_web = base_url.starts_with("https://") || base_url.starts_with("http://");
    checker.require(is_web, "base_url", None, "write an address that begins with https://");
    let is_bare = !base_url.contains(['?', '#', '@', ' ']) && !base_url.ends_with('/') && !base_url.ends_with("/v1");
    checker.require(
        is_bare,
        "base_url",
        None,
        "write no `/` and no `/v1` at its end, and no user, query or fragment; put `/v1` at the beginning of the paths",
    );
    let is_private = base_url.starts_with("https://") || is_loopback(base_url) || description.auth == Auth::None;
    checker.require(
        is_private,
        "base_url",
        None,
        "a token is sent over https only, or to this machine; write https://",
    );
    let is_variable = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let is_named = description.base_url_env.iter().all(is_variable);
    checker.require(is_named, "base_url_env", None, "write names of environment variables in capitals");
    let is_named = description.token.env.iter().all(is_variable);
    checker.require(is_named, "token", Some("env"), "write names of environment variables in capitals");
}

/// Returns whether an `http` address is one of this machine.
fn is_loopback(base_url: &str) -> bool {
    let rest = base_url.strip_prefix("http://").unwrap_or("");
    let host = rest.split(['/', ':']).next().unwrap_or("");
    host == "localhost"
        || rest.starts_with("[::1]")
        || host
            .strip_prefix("127.")
            .is_some_and(|rest| rest.split('.').count() == 3 && rest.split('.').all(|part| part.parse::<u8>().is_ok()))
}

fn token(description: &Description, checker: &mut Checker) {
    let rules = &description.token;
    if description.auth == Auth::None {
        let is_empty = rules.env.is_empty() && description.token_hosts.is_empty();
        return checker.require(is_empty, "auth", None, "it is `none`, so `token` and `token_hosts` have no use");
    }
    checker.require(!rules.env.is_empty(), "token", Some("env"), "name the environment variable of the token");
    let is_page = rules.page.starts_with("https://") || (rules.optional && rules.page.is_empty());
    checker.require(is_page, "token", Some("page"), "give the https address of the page on which a token is made");
}

fn submit(description: &Description, checker: &mut Checker) {
    let submit = &description.submit;
    let leaves = submit.leaves();
    let has = |wanted: Leaf| leaves.iter().any(|(_, leaf)| *leaf == wanted);
    checker.require(has(Leaf::Prompt), "submit", Some("body"), "`$prompt` is missing: no request would say its prompt");
    checker.require(!has(Leaf::TaskId), "submit", Some("body"), "`$task_id` is not known before the submission");
    checker.require(!submit.path.has_task_id(), "submit", Some("path"), "`{id}` is not known before the submission");
    if let (BodyEncoding::Multipart, Tree::Map(fields)) = (submit.encoding, &submit.body) {
        let is_flat = fields.iter().all(|(_, tree)| matches!(tree, Tree::Literal(_) | Tree::Leaf(_)));
        checker.require(is_flat, "submit", Some("body"), "a form has no lists and no maps");
    }
    if let Some(place) = &submit.params {
        let found = place.steps().iter().try_fold(&submit.body, |tree, step| match tree {
            Tree::Map(fields) => fields.iter().find(|(name, _)| name == step).map(|(_, tree)| tree),
            Tree::List(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
            Tree::Literal(_) | Tree::Leaf(_) => None,
        });
        let is_map = matches!(found, Some(Tree::Map(_)));
        checker.require(is_map, "submit", Some("params"), "it must lead to a map in `submit.body`");
    } else {
        let is_map = matches!(submit.body, Tree::Map(_));
        checker.require(is_map, "submit", Some("params"), "say which map of the body the parameters are merged into");
    }
    let is_kept = submit.headers.keys().all(|name| {
        !["authorization", "host", "content-length", "content-type", "cookie"].contains(&name.to_lowercase().as_str())
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    checker.require(is_kept, "submit", Some("headers"), "the token and the form of the body set their own headers");
}

fn task(description: &Description, checker: &mut Checker) {
    let Description { accepted, poll, answer, .. } = description;
    let has_url = !accepted.status_url.is_empty();
    let has_id = !accepted.id.is_empty() || has_url;
    checker.require(has_id, "accepted", Some("id"), "say where the answer has the task id");
    match &poll.path {
        None => checker.require(has_url, "poll", Some("path"), "say where a task is polled, such as /v1/tasks/{id}"),
        Some(path) => {
            let in_body = poll.body.iter().flat_map(Tree::leaves).any(|(_, leaf)| leaf == Leaf::TaskId);
            checker.require(path.has_task_id() || in_body, "poll", Some("path"), "`{id}` is missing: it names no task");
            checker.require(!path.has_model(), "poll", Some("path"), "the model is not known when a task is polled");
            checker.require(!has_url, "poll", Some("path"), "`accepted.status_url` already names the address");
        }
    }
    let has_conflict = !accepted.conflict.is_empty();
    let sends_id = description.submit.leaves().iter().any(|(_, leaf)| *leaf == Leaf::SubmissionId);
    let is_known = !has_conflict || (sends_id && !has_url && !description.errors.code.is_empty());
    let what =
        "a conflict of ids needs `$submission_id` in the submission, `errors.code`, and a task without an address";
    checker.require(is_known, "accepted", Some("conflict"), what);
    let of_request = poll.body.iter().flat_map(Tree::leaves).any(|(_, leaf)| leaf != Leaf::TaskId);
    checker.require(!of_request, "poll", Some("body"), "only `$task_id` is known when a task is polled");
    checker.require(!poll.status.is_empty(), "poll", Some("status"), "say where the answer has the status");
    let has_done = poll.words.values().any(|word| *word == TaskWord::Done);
    checker.require(has_done, "poll", Some("words"), "no word means `done`");
    checker.require(!answer.images.is_empty(), "answer", Some("images"), "say where a finished task has its images");
    let is_link = answer.kind == ImageKind::Link;
    checker.require(is_link, "answer", Some("kind"), "the images of a task must be links");
}

fn answer(description: &Description, checker: &mut Checker) {
    let Description { accepted, poll, answer, .. } = description;
    let has_images = !answer.images.is_empty() || answer.kind == ImageKind::Body;
    checker.require(has_images, "answer", Some("images"), "say where the answer has its images");
    let has_no_task = accepted.id.is_empty() && accepted.status_url.is_empty();
    checker.require(has_no_task, "accepted", None, "with `exchange: answer` there is no task");
    checker.require(
        *poll == crate::description::answers::Poll::default(),
        "poll",
        None,
        "with `exchange: answer` there is no poll",
    );
}

fn limits(description: &Description, checker: &mut Checker) {
    for model in &description.limits.models {
        let SizeRules { side_min, side_max, .. } = model.size;
        let is_range = model.size == SizeRules { side_min, side_max, ..SizeRules::default() };
        let has_range = is_range && side_min.is_some() && side_max.is_some();
        let is_known = model.contains.is_empty() != model.marks.is_empty();
        checker.require(is_known, "limits", Some("models"), "write `contains` or `marks`, by which a model is known");
        checker.require(
            model.marks.is_empty() || has_range,
            "limits",
            Some("models"),
            "models with `marks` have `size.side_min` and `size.side_max`, and no other rule of sizes",
        );
    }
}

fn errors(description: &Description, checker: &mut Checker) {
    let errors = &description.errors;
    let has_words = !errors.message.is_empty() || !errors.code.is_empty();
    checker.require(has_words, "errors", Some("message"), "say where an error has its message");
    let has_marks = errors.forms.iter().all(|form| !form.texts.is_empty() || form.status.is_some());
    checker.require(has_marks, "errors", Some("forms"), "a form has `texts` or `status`; every error would have it");
    let needs_status = errors.forms.iter().any(|form| form.status.is_some());
    let has_status = !needs_status || !errors.status.is_empty();
    checker.require(has_status, "errors", Some("status"), "say where an error has the status that `forms` names");
    for (i, row) in (1..).zip(errors.table.iter()) {
        let has_words = !(row.code.is_empty() && row.contains.is_empty()) || row.unknown_task;
        let has_condition = has_words || !row.status.is_empty();
        let is_success = row.status.iter().any(|statuses| statuses.contains(200)) || row.status.is_empty();
        let is_quota = row.kind == FaultWord::QuotaExhausted;
        let mut refuse = |what: &str| checker.refuse("errors", Some("table"), format!("row {i}: {what}"));
        if !has_condition {
            refuse("it has no condition and would match every error; give `status`, `code` or `contains`");
        }
        if row.clear && is_success && !has_words {
            refuse("it would take a success for a clear refusal; add `code` or `contains`");
        }
        if row.clear && matches!(row.kind, FaultWord::InDoubt | FaultWord::TaskLost | FaultWord::BadOutput) {
            refuse("this kind is no clear refusal of a submission; leave `clear` out");
        }
        let mut texts = row.contains.iter().chain(row.model_quota_words.iter());
        if texts.any(|text| text.trim().is_empty() || text.to_lowercase() != *text) {
            refuse("write `contains` and `model_quota_words` in small letters");
        }
        if !is_quota && (row.credit || !row.model_quota_words.is_empty()) {
            refuse("`credit` and `model_quota_words` are for `quota_exhausted`");
        }
        if row.unknown_task && row.kind != FaultWord::TaskLost {
            refuse("`unknown_task` is for `task_lost`");
        }
    }
}

fn doubt(description: &Description, checker: &mut Checker) {
    let sends_id = description.submit.leaves().iter().any(|(_, leaf)| *leaf == Leaf::SubmissionId);
    match description.doubt {
        DoubtClass::Free | DoubtClass::Unknown => {}
        DoubtClass::Guarded => {
            checker.require(sends_id, "doubt", None, "`guarded` needs `$submission_id` in the submission");
        }
        DoubtClass::Lookable => {
            checker.require(sends_id, "doubt", None, "`lookable` needs `$submission_id` in the submission");
            checker.require(description.find.is_some(), "doubt", None, "`lookable` needs `find`");
        }
        DoubtClass::Listable => checker.require(description.find.is_some(), "doubt", None, "`listable` needs `find`"),
    }
    if let Some(find) = &description.find {
        let host = find.base_url.strip_prefix("https://").and_then(|rest| rest.split('/').next());
        let is_allowed = find.base_url.is_empty()
            || host.is_some_and(|host| description.token_hosts.iter().any(|named| named.covers(host)));
        checker.require(is_allowed, "find", Some("base_url"), "write an https address whose host is in `token_hosts`");
        let is_whole = !find.items.is_empty() && !find.id.is_empty();
        checker.require(
            is_whole,
            "find",
            None,
            "say where the answer has its items, and where an item has its task id",
        );
        let has_task = description.accepted.status_url.is_empty() || find.task.is_some();
        checker.require(has_task, "find", Some("task"), "say at which path the task of an item is polled");
        let matches = !(find.submission_id.is_empty() && find.prompt.is_empty());
        checker.require(matches, "find", None, "say where an item has the submission id or the prompt");
    }
}

fn check_prices(prices: &Prices, checker: &mut Checker) {
    let is_digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let is_date = prices.date.chars().map(is_digit).eq("0000-00-00".chars());
    checker.require(is_date, "prices", Some("date"), "write the day on which they were read, as 2026-11-30");
    checker.require(!prices.currency.trim().is_empty(), "prices", Some("currency"), "name it, such as USD");
    let is_price = |price: f64| price.is_finite() && price >= 0.0;
    let is_unit = prices.cost_unit.is_none_or(|unit| unit.is_finite() && unit > 0.0);
    checker.require(is_unit, "prices", Some("cost_unit"), "write a number above 0, such as 0.01 for credits of a cent");
    let are_tokens = prices.tokens.iter().all(|row| is_price(row.per_million) && !row.count.is_empty());
    checker.require(are_tokens, "prices", Some("tokens"), "a row has a pointer to a count, and a price of at least 0");
    let are_sizes = prices.rows.iter().filter_map(|row| row.size.as_ref()).all(|size| size.parse::<Size>().is_ok());
    checker.require(are_sizes, "prices", Some("size"), "write a size as 1024x1024");
    let are_prices = prices.rows.iter().all(|row| is_price(row.price));
    checker.require(are_prices, "prices", Some("rows"), "a price is a number of at least 0");
}

fn examples(description: &Description, checker: &mut Checker) {
    for example in &description.examples {
        let n_bodies = [example.body.is_some(), example.text.is_some(), example.image];
        if n_bodies.into_iter().filter(|is_given| *is_given).count() > 1 {
            let what = format!("{:?} has more than one of `body`, `text` and `image`; keep one", example.name);
            checker.refuse("examples", None, what);
        }
    }
}
