//! Tests of the reader of descriptions: what is read, what is inherited, and what every mistake says.

use crate::description::auth::Auth;
use crate::description::format::Description;
use crate::description::parse::parse;
use crate::description::words::{Exchange, TaskWord};

/// Smallest description of an API with tasks.
const RELAY: &str = r#"name: relay
help: An invented relay
base_url: https://relay.example
token:
  env: [RELAY_KEY]
  page: https://relay.example/keys
submit:
  path: /v1/images/generations/async
  body: {model: $model, prompt: $prompt, size: "$size:WxH"}
accepted:
  id: /id
poll:
  path: /v1/images/tasks/{id}
  status: /status
  words: {queued: queued, completed: done, failed: failed}
answer:
  images: /data/*/url
errors:
  message: /error/message
  code: /error/code
  table:
    - {status: 429, kind: throttled, clear: true}
    - {status: 4xx, kind: invalid_request, clear: true}
"#;

fn read(text: &str) -> Result<Description, String> {
    let builtin = |name: &str| (name == "relay").then_some(RELAY);
    parse("x.yaml", text, &builtin).map_err(|error| error.to_string())
}

/// Returns the error for the description with one text replaced.
fn error(old: &str, new: &str) -> String {
    assert!(RELAY.contains(old), "{old}");
    read(&RELAY.replacen(old, new, 1)).expect_err(new)
}

#[test]
fn a_small_description_is_read() {
    let relay = read(RELAY).unwrap();
    assert_eq!((relay.name.as_str(), relay.exchange, &relay.auth), ("relay", Exchange::Task, &Auth::Bearer));
    assert_eq!(relay.poll.words["completed"], TaskWord::Done);
    assert!(relay.submit.sends("size") && relay.submit.sends("params") && !relay.submit.sends("seed"));
}

/// Goal: a mistake says its file, its line and what to do.
#[test]
fn every_mistake_has_its_line() {
    for (old, new, line, words) in [
        ("name: relay", "name: Relay X", 1, "lower-case letters"),
        ("help: An", "halp: An", 2, "unknown field `halp`"),
        ("https://relay.example\n", "https://relay.example/v1\n", 3, "put `/v1` at the beginning of the paths"),
        ("https://relay.example\n", "http://relay.example\n", 3, "https"),
        ("https://relay.example\n", "relay.example\n", 3, "begins with https://"),
        ("env: [RELAY_KEY]", "env: []", 5, "name the environment variable"),
        ("env: [RELAY_KEY]", "env: [relay-key]", 5, "in capitals"),
        ("page: https", "page: ftp", 6, "the page on which a token is made"),
        ("path: /v1/images/generations/async", "path: v1/images", 8, "begin with `/`"),
        ("$prompt", "$promt", 9, "choose one of $prompt"),
        ("prompt: $prompt, ", "", 9, "no request would say its prompt"),
        ("model: $model", "model: $task_id", 9, "not known before the submission"),
        ("id: /id", "id: id", 11, "not a JSON pointer"),
        ("id: /id", "{}", 10, "where the answer has the task id"),
        ("path: /v1/images/tasks/{id}", "path: /v1/images/tasks/", 13, "`{id}` is missing"),
        ("status: /status", "status: []", 14, "where the answer has the status"),
        ("completed: done", "completed: finished", 15, "unknown variant `finished`"),
        ("completed: done", "completed: running", 15, "no word means `done`"),
        ("images: /data/*/url", "images: []", 17, "where a finished task has its images"),
        ("status: 429", "status: 42", 22, "an HTTP status"),
        ("status: 429, ", "", 21, "row 1: it has no condition"),
        ("status: 4xx", "status: 200", 21, "row 2: it would take a success"),
        ("kind: throttled", "kind: in_doubt", 21, "row 1: this kind is no clear refusal"),
        ("status: 429", "contains: Slow Down", 21, "small letters"),
        ("status: 429", "status: 429, credit: true", 21, "are for `quota_exhausted`"),
        ("status: 429", "unknown_task: true", 21, "`unknown_task` is for `task_lost`"),
        ("  code: /error/code", "  forms: [{empty: /x}]", 20, "every error would have it"),
        ("  code: /error/code", "  forms: [{status: same}]", 18, "the status that `forms` names"),
        ("errors:", "limits: {models: [{name: x, size: {}}]}\nerrors:", 18, "write `contains` or `marks`"),
        ("errors:", "limits: {models: [{name: x, marks: -x-, size: {side_min: 8}}]}\nerrors:", 18, "and no other rule"),
    ] {
        let told = error(old, new);
        assert!(told.contains(&format!("x.yaml:{line}: ")) && told.contains(words), "{new}: {told}");
    }
}

#[test]
fn all_mistakes_of_the_fields_are_told_at_once() {
    let told = read(&RELAY.replace("name: relay", "name: R").replace("$prompt", "p")).unwrap_err();
    assert!(told.starts_with("could not use the description x.yaml: 2 mistakes\n"), "{told}");
}

#[test]
fn what_yaml_lets_pass_is_refused() {
    for text in [
        RELAY.replace("help: An invented relay", "help: a\nhelp: b"),
        RELAY.replace("completed: done", "queued: done"),
        RELAY.replace("prompt: $prompt", "prompt: $prompt, prompt: x"),
        format!("{RELAY}---\nname: x\n"),
        "- a\n".to_owned(),
        String::new(),
        "\t".to_owned(),
        "a: &a [*a]".to_owned(),
        "x".repeat((1 << 20) + 1),
    ] {
        let told = read(&text).unwrap_err();
        assert!(told.contains("x.yaml"), "{told}");
    }
}

/// Goal: a preset changes what it names and nothing else, and never inherits where a token comes from or goes to.
#[test]
fn a_preset_extends_a_built_in_description() {
    let preset = read(
        "name: other\nhelp: Another relay\nextends: relay\nbase_url: https://other.example\n\
         token: {env: [OTHER_KEY], page: 'https://other.example'}\n\
         submit: {body: {size: null, image_size: '$size:W*H'}}\n\
         errors: {table: [{status: 402, kind: quota_exhausted, clear: true}]}\n",
    )
    .unwrap();
    let relay = read(RELAY).unwrap();
    let places: Vec<_> = preset.submit.body.leaves().into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["/model", "/prompt", "/image_size"]);
    assert_eq!((&preset.poll, &preset.answer), (&relay.poll, &relay.answer));
    assert_eq!(preset.errors.table.len(), 3);
    assert_eq!(preset.errors.table[1..], relay.errors.table[..]);
    let told = read("name: other\nhelp: x\nextends: relay\n").unwrap_err();
    assert!(told.contains("`base_url`") && told.contains("`token.env`"), "nothing is inherited: {told}");
}

#[test]
fn a_preset_leaves_a_section_out_with_null() {
    let preset = read(
        "name: other\nhelp: x\nextends: relay\nbase_url: https://other.example\nexchange: answer\naccepted: null\npoll: null\n\
         limits: null\nfind: null\nerrors: {code: null, table: null}\ntoken: {env: [K], page: 'https://other.example'}\n",
    )
    .unwrap();
    assert!(preset.accepted.id.is_empty() && preset.poll.status.is_empty() && preset.errors.code.is_empty());
}

/// Goal: no text makes the reader panic, and each mistake has a line of the file. Method: cut and damage a description at every byte.
#[test]
fn a_damaged_description_is_refused_or_read() {
    let n_lines = RELAY.lines().count() as u64;
    for (i, _) in RELAY.char_indices() {
        for damaged in [
            RELAY[..i].to_owned(),
            format!("{}\u{0}{}", &RELAY[..i], &RELAY[i..]),
            format!("{}'{}", &RELAY[..i], &RELAY[i..]),
        ] {
            let builtin = |name: &str| (name == "relay").then_some(RELAY);
            if let Err(error) = parse("x.yaml", &damaged, &builtin) {
                let lines = error.mistakes.iter().filter_map(|mistake| mistake.line);
                assert!(
                    !error.mistakes.is_empty() && lines.into_iter().all(|line| (1..=n_lines + 1).contains(&line)),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_extended_is_named() {
    for name in ["nothing", "./relay.yaml", ""] {
        let told = read(&format!("name: x\nextends: '{name}'\n")).unwrap_err();
        assert!(told.contains("x.yaml:2: ") && told.contains("no built-in description"), "{told}");
    }
    let looped = |_: &str| Some("extends: again\n");
    let told = parse("x.yaml", "extends: again\n", &looped).unwrap_err().to_string();
    assert!(told.contains("extend each other"), "{told}");
}

#[test]
fn an_answer_has_no_task() {
    let told = error("submit:\n", "exchange: answer\nsubmit:\n");
    assert!(told.contains("there is no task") && told.contains("there is no poll"), "{told}");
}

#[test]
fn the_schema_lists_every_field() {
    let schema = crate::description::schema::schema();
    for name in ["submission", "\"poll\"", "\"token_hosts\"", "\"unverified\"", "\"doubt\"", "\"clear\""] {
        assert!(schema.contains(name), "{name}");
    }
}
