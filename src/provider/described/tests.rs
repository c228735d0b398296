//! Tests of the judgement of answers: every answer that is not surely a refusal leaves doubt, for every built-in description.

mod modelscope;
mod polls;

use serde_json::{Value, json};

use crate::description::format::Description;
use crate::description::parse::parse;
use crate::description::words::Exchange;
use crate::model::outcome::{Fault, FaultKind, Status, TaskId};
use crate::model::request::{Json, Request};
use crate::provider::builtin::{BUILT_IN, text};
use crate::provider::described::answered::accepted;
use crate::provider::described::check::check;
use crate::provider::described::images::ImageText;
use crate::provider::described::polled::{Polled, polled, result};
use crate::provider::described::request::{encoded, poll_body, submit_body, submit_path};
use crate::provider::described::submitted::{Submitted, SubmittedAs, submitted};
use crate::provider::http::api_response::ApiResponse;

fn api(name: &str) -> Description {
    parse(name, text(name).unwrap(), &text).unwrap()
}

fn every_api() -> impl Iterator<Item = Description> {
    BUILT_IN.iter().map(|row| api(row.name))
}

fn answer(status: u16, body: &str) -> ApiResponse {
    ApiResponse { status, body: body.into(), ..ApiResponse::default() }
}

fn submit(api: &Description, status: u16, body: &str) -> Result<Submitted, Fault> {
    submitted(api, &answer(status, body), "the-submission", "m")
}

fn poll(api: &Description, task: &str, status: u16, body: &Value) -> Result<Polled, Fault> {
    polled(api, &answer(status, &body.to_string()), &TaskId(task.into()))
}

/// Goal: nothing that a gateway, a proxy or another server sends is taken for a refusal or for an image. Method: bodies that are not the
/// API's, with every status, against every description.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_answer_of_another_server_always_leaves_doubt() {
    let bodies = [
        "",
        " ",
        "<html>busy</html>",
        "{}",
        "[]",
        "null",
        "\"error\"",
        "0",
        r#"{"status":"ok"}"#,
        r#"{"errors":[]}"#,
        r#"{"error":null,"message":"","detail":[]}"#,
        r#"{"error":{"message":"cut in the mid"#,
        r#"{"error":{"message":"m"}}{"error":{"message":"m"}}"#,
    ];
    for api in every_api() {
        for status in 100..600 {
            for body in bodies {
                match submit(&api, status, body) {
                    Err(fault) => assert!(fault.kind.leaves_doubt(), "{} {status} {body}: {fault}", api.name),
                    Ok(taken) => panic!("{} {status} {body}: {taken:?}", api.name),
                }
            }
        }
    }
}

/// Goal: the pages of gateways, proxies and frameworks are no refusals where the API's errors have a mark of their own. Where they have none,
/// only a 4xx in the same form is believed. Method: every page that the simulator knows, against every description.
#[cfg(feature = "simulator")]
#[test]
fn a_page_of_a_gateway_is_a_refusal_only_in_the_form_of_the_api() {
    for api in every_api() {
        let is_taken = |page: &&crate::simulator::pages::GatewayPage| match submit(&api, page.status, page.body) {
            Err(fault) => !fault.kind.leaves_doubt(),
            Ok(taken) => panic!("{}: {}: {taken:?}", api.name, page.name),
        };
        let taken: Vec<_> = crate::simulator::pages::all().filter(is_taken).collect();
        for page in &taken {
            let is_unsure = matches!(page.status, 408 | 425 | 460 | 499);
            assert!((400..500).contains(&page.status) && !is_unsure, "{}: {}", api.name, page.name);
        }
        let names: Vec<_> = taken.iter().map(|page| page.name).collect();
        match api.name.as_str() {
            // These gateways imitate the API.
            "openai" | "together" => {
                assert_eq!(names, ["one-api 400, model is loading", "LiteLLM 429"], "{}", api.name);
            }
            "gemini" => assert_eq!(names, ["Google API 400"]),
            "dashscope" => assert_eq!(names, ["Aliyun API Gateway 403", "DashScope 429"]),
            "stability" | "runware" | "aihorde" => assert!(names.is_empty(), "{}: {names:?}", api.name),
            _ => {}
        }
    }
}

/// Goal: a server error is never a clear refusal, even in the API's own words: the request may have gone on behind it.
#[test]
fn a_server_error_in_the_apis_own_words_leaves_doubt() {
    let words = json!("internal error");
    for api in every_api() {
        let pointer = &api.errors.message[0];
        let body = pointer.steps().iter().rev().fold(words.clone(), |value, step| match step.parse::<usize>() {
            Ok(_) => json!([value]),
            Err(_) => json!({ step.as_str(): value }),
        });
        for status in [500, 502, 503, 504, 520, 524, 408, 425, 499] {
            let fault = submit(&api, status, &body.to_string()).unwrap_err();
            assert_eq!(fault.kind, FaultKind::InDoubt, "{} {status} {body}", api.name);
        }
    }
}

/// Goal: an envelope that is cut off proves nothing, because its end may say that the request was taken.
#[test]
fn a_refusal_that_is_cut_off_leaves_doubt() {
    for (name, status, body) in [
        ("openai", 429, r#"{"error":{"message":"Rate limit","type":"requests","code":"rate_limit_exceeded"}}"#),
        ("fal", 422, r#"{"detail":[{"msg":"m","type":"t"}]}"#),
        ("dashscope", 400, r#"{"request_id":"r","code":"Arrearage","message":"m"}"#),
    ] {
        let api = api(name);
        assert!(!submit(&api, status, body).unwrap_err().kind.leaves_doubt(), "{name}");
        let cut = ApiResponse { cut: Some("timed out".into()), ..answer(status, body) };
        assert!(submitted(&api, &cut, "s", "m").unwrap_err().kind.leaves_doubt(), "{name}");
        for end in 1..body.len() {
            assert!(submit(&api, status, &body[..end]).unwrap_err().kind.leaves_doubt(), "{name} {}", &body[..end]);
        }
    }
}

/// Goal: no id that can be read is lost. Method: cut an acceptance at every byte; from the byte after the id on it is accepted.
#[test]
fn an_id_is_accepted_at_any_status_and_in_a_cut_answer() {
    let api = api("dashscope");
    let body = r#"{"output":{"task_status":"PENDING","task_id":"0385dc79"},"request_id":"r"}"#;
    let after_id = body.find("0385dc79").unwrap() + "0385dc79\"".len();
    for end in 0..=body.len() {
        let taken = submit(&api, 200, &body[..end]);
        match taken {
            Ok(taken) => {
                assert!(end >= after_id && taken.what == SubmittedAs::Task(TaskId("0385dc79".into())), "{end}");
            }
            Err(fault) => assert!(end < after_id && fault.kind.leaves_doubt(), "{end}: {fault}"),
        }
    }
    for status in [200, 202, 400, 429, 500, 504] {
        assert!(submit(&api, status, body).is_ok(), "{status}");
    }
}

#[test]
fn an_id_that_cannot_be_polled_leaves_doubt() {
    for (name, body) in [
        ("dashscope", json!({"output": {"task_id": ".."}})),
        ("dashscope", json!({"output": {"task_id": ["a"]}})),
        ("dashscope", json!({"output": {"task_id": "x".repeat(600)}})),
        ("fal", json!({"request_id": "a", "status_url": "file:///etc/passwd"})),
        ("fal", json!({"request_id": "a", "status_url": format!("https://queue.fal.run/{}", "x".repeat(3000))})),
        ("bfl", json!({"id": "a"})),
    ] {
        let fault = submit(&api(name), 200, &body.to_string()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::InDoubt, "{name} {body}");
    }
}

/// Goal: a second submission with the same id is the first one, and is polled.
#[test]
fn a_conflict_of_ids_is_an_acceptance() {
    let body = json!({"errors": [{"code": "conflictTaskUUID", "message": "in use"}]}).to_string();
    let taken = submit(&api("runware"), 400, &body).unwrap();
    assert_eq!(taken.what, SubmittedAs::Task(TaskId("the-submission".into())));
    assert!(submit(&api("runware"), 502, &body).unwrap_err().kind.leaves_doubt());
}

#[test]
fn a_moderated_answer_is_paid_for_where_the_provider_bills_it() {
    let body = json!({"image": "AAAA", "finish_reason": "CONTENT_FILTERED"}).to_string();
    let billed = api("stability");
    assert!(matches!(
        submit(&billed, 200, &body).unwrap().what,
        SubmittedAs::Failed(Fault { kind: FaultKind::Moderated, .. })
    ));
    let free = Description { bills: vec![], ..billed };
    assert_eq!(submit(&free, 200, &body).unwrap_err().kind, FaultKind::Moderated);
}

#[test]
fn images_have_many_forms() {
    let link = |text: &str| ImageText::Link(crate::model::outcome::Url(text.into()));
    let base64 = |text: &str| ImageText::Base64(text.into());
    for (value, expected) in [
        (json!([{"b64_json": "AAAA"}]), vec![base64("AAAA")]),
        (json!([{"b64_json": "data:image/png;base64,AAAA"}]), vec![base64("AAAA")]),
        (json!([{"b64_json": "spool:7"}]), vec![link("spool:7")]),
        (json!([{"b64_json": null, "url": "https://a.example/x"}]), vec![link("https://a.example/x")]),
        (
            json!([{"b64_json": "AAAA"}, {"b64_json": "AAAA"}, {"b64_json": "BBBB"}]),
            vec![base64("AAAA"), base64("BBBB")],
        ),
    ] {
        let taken = submit(&api("openai"), 200, &json!({"data": value}).to_string()).unwrap();
        assert_eq!(taken.what, SubmittedAs::Images(expected), "{value}");
    }
    // A service that was asked for links, and answers with images.
    for (text, expected) in [
        ("iVBORw0KGgoAAAANS", base64("iVBORw0KGgoAAAANS")),
        ("/9j/4AAQ", base64("/9j/4AAQ")),
        ("UklGRiQA", base64("UklGRiQA")),
        ("spool:7", link("spool:7")),
    ] {
        let body = json!({"data": [{"b64_json": text}]}).to_string();
        assert_eq!(submit(&api("ark"), 200, &body).unwrap().what, SubmittedAs::Images(vec![expected]), "{text}");
    }
    // A wrong kind in the place of an image is no image, and the answer was paid for.
    for text in ["", "not yet", "/relative.png"] {
        let taken = submit(&api("ark"), 200, &json!({"data": [{"url": text}]}).to_string()).unwrap();
        assert!(matches!(taken.what, SubmittedAs::Failed(_)), "{text}");
    }
    for value in [json!([]), json!([{}]), json!([{"b64_json": 7}]), json!([{"url": ""}])] {
        let taken = submit(&api("openai"), 200, &json!({"data": value}).to_string()).unwrap();
        assert!(matches!(taken.what, SubmittedAs::Failed(_)), "{value}");
    }
}

#[test]
fn a_cost_is_what_the_answer_says() {
    let body = json!({"id": "a", "polling_url": "https://api.bfl.ai/v1/get_result?id=a", "cost": 2.5}).to_string();
    let (api, answer) = (api("bfl"), answer(200, &body));
    let accepted = accepted(&api, &answer, TaskId("a".into()), "flux-dev");
    assert_eq!(accepted.cost.map(|money| money.to_string()).as_deref(), Some("0.025 USD"));
}

/// Goal: only the API itself ends a task that is paid for. Method: pages and errors of others at every poll.
#[test]
fn a_poll_that_says_nothing_changes_nothing() {
    for api in every_api().filter(|api| api.exchange == Exchange::Task) {
        for status in [200, 204, 301, 400, 403, 404, 410, 500, 502, 503] {
            for body in ["", "<html>", "{}", "[]", r#"{"status":null}"#, r#"{"done":nul"#] {
                let fault = polled(&api, &answer(status, body), &TaskId("t".into())).unwrap_err();
                assert_eq!(fault.kind, FaultKind::Transient, "{} {status} {body}", api.name);
            }
        }
        let fault = polled(&api, &answer(429, "<html>"), &TaskId("t".into())).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Throttled { retry_after: None }, "{}", api.name);
    }
}

#[test]
fn an_unknown_status_means_running() {
    let task = "0385dc79";
    for word in ["PENDING_REVIEW", "new-word"] {
        let body = json!({"output": {"task_id": task, "task_status": word}});
        assert_eq!(poll(&api("dashscope"), task, 200, &body).unwrap(), Polled::Status(Status::Running));
    }
    let body = json!({"output": {"task_id": task, "task_status": "succeeded", "results": [{"url": "https://a/x"}]}});
    assert!(matches!(poll(&api("dashscope"), task, 200, &body).unwrap(), Polled::Status(Status::Done(_))));
}

#[test]
fn a_status_with_an_error_status_says_nothing() {
    let body = json!({"output": {"task_id": "t", "task_status": "FAILED"}});
    assert_eq!(poll(&api("dashscope"), "t", 502, &body).unwrap_err().kind, FaultKind::Transient);
}

#[test]
fn a_withheld_result_is_the_end_and_a_broken_one_is_not() {
    let fal = api("fal");
    let withheld = json!({"detail": [{"msg": "m", "type": "content_policy_violation"}]}).to_string();
    assert!(matches!(
        result(&fal, &answer(422, &withheld)).unwrap(),
        Status::Failed(Fault { kind: FaultKind::Moderated, .. })
    ));
    for (status, body) in [(500, "{}"), (404, "<html>"), (200, r#"{"images":[{"url":"https://a"#), (422, "<html>")] {
        assert_eq!(result(&fal, &answer(status, body)).unwrap_err().kind, FaultKind::Transient, "{status} {body}");
    }
}

#[test]
fn a_quota_that_is_back_soon_is_a_limit_on_the_pace() {
    let body = json!({"error": {"message": "m", "type": "t", "code": "insufficient_quota"}}).to_string();
    let kind = |wait: &str| {
        let answer = ApiResponse { retry_after: Some(wait.into()), ..answer(429, &body) };
        submitted(&api("openai"), &answer, "s", "m").unwrap_err().kind.code()
    };
    assert_eq!((kind("20"), kind("7200")), ("throttled", "quota_exhausted"));
}

#[test]
fn a_refused_token_says_where_it_comes_from() {
    let body = json!({"error": {"message": "Incorrect API key", "type": "t", "code": "invalid_api_key"}}).to_string();
    let words = submit(&api("openai"), 401, &body).unwrap_err().message;
    assert!(words.contains("OPENAI_API_KEY") && words.contains("platform.openai.com/api-keys"), "{words}");
}

/// Goal: no field of a request is dropped in silence, and no parameter replaces a field.
#[test]
fn what_an_api_cannot_be_told_is_refused() {
    let request = |change: fn(&mut Request)| {
        let mut request = Request { prompt: "p".into(), model: "m".into(), ..Request::default() };
        change(&mut request);
        request
    };
    let openai = api("openai");
    for (change, word) in [
        ((|r| r.seed = Some(7)) as fn(&mut Request), "`seed`"),
        (|r| r.negative_prompt = Some("x".into()), "`negative_prompt`"),
        (|r| r.image_url = vec!["https://a".into()], "`image_url`"),
        (|r| drop(r.params.insert("prompt".into(), Json("\"x\"".into()))), "prompt"),
        (|r| drop(r.params.insert("n".into(), Json("4".into()))), "n would replace"),
        (|r| drop(r.params.insert("x".into(), Json("{".into()))), "not JSON"),
    ] {
        let fault = submit_body(&openai, &request(change), "s").unwrap_err();
        assert!(fault.kind == FaultKind::InvalidRequest && fault.message.contains(word), "{fault}");
    }
    for model in ["..", "", "a/../b"] {
        let request = Request { model: model.into(), ..request(|_| ()) };
        assert_eq!(submit_path(&api("fal"), &request).unwrap_err().kind, FaultKind::InvalidRequest, "{model}");
    }
}

#[test]
fn parameters_bring_back_a_map_that_was_left_out() {
    let mut gemini = api("gemini");
    gemini.submit.body = serde_yaml::from_str("{p: $prompt, generationConfig: {seed: $seed}}").unwrap();
    let params = [("candidateCount".to_owned(), Json("1".into()))].into();
    let request = Request { prompt: "p".into(), params, ..Request::default() };
    let expected = json!({"p": "p", "generationConfig": {"candidateCount": 1}});
    assert_eq!(submit_body(&gemini, &request, "s").unwrap(), expected);
}

#[test]
fn a_form_has_a_part_for_each_field() {
    let body = json!({"prompt": "a\r\n\"cat\" 猫", "seed": 7});
    let form = encoded(crate::description::words::BodyEncoding::Multipart, &body, "B");
    assert_eq!(form.content_type, "multipart/form-data; boundary=B");
    assert_eq!(
        form.text,
        "--B\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na\r\n\"cat\" 猫\r\n\
         --B\r\nContent-Disposition: form-data; name=\"seed\"\r\n\r\n7\r\n--B--\r\n"
    );
}

#[test]
fn a_poll_may_have_a_body() {
    let body = poll_body(&api("runware"), &TaskId("t".into())).unwrap();
    assert_eq!(body, json!([{"taskType": "getResponse", "taskUUID": "t"}]));
}

/// Goal: an example with a wrong expectation is told. Method: change one expectation of each kind.
#[test]
fn a_wrong_example_is_found() {
    let mut openai = api("openai");
    openai.examples[1].expect = crate::description::words::Expectation::Accepted;
    openai.examples[0].links = Some(vec!["other".into()]);
    openai.requests[0].body = json!({});
    let report = check(&openai);
    assert_eq!(report.failures.len(), 3, "{report:?}");
    assert!(report.failures[1].what.contains("expected the conclusion accepted, but it is throttled"), "{report:?}");
    openai.examples.clear();
    assert!(check(&openai).gaps.len() >= 2);
}

proptest::proptest! {
    /// Goal: no answer makes the judgement panic, and nothing but the API's own form is a refusal. Method: parts of answers in any order.
    #[test]
    fn any_answer_is_judged(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"id\"", "\"data\"", "\"error\"", "\"message\"", "\"type\"", "\"a\"", "null", "1", " ", "\\", "\u{0}", "<", "\"",
        ]), 0..24),
        status in 100_u16..600,
    ) {
        let body = parts.concat();
        for name in ["openai", "fal", "replicate", "runware", "a1111"] {
            let api = api(name);
            if let Err(fault) = submit(&api, status, &body)
                && !fault.kind.leaves_doubt()
            {
                proptest::prop_assert!((400..500).contains(&status), "{name} {status} {body}: {fault}");
                proptest::prop_assert!(serde_json::from_str::<Value>(&body).is_ok(), "{name} {status} {body}: {fault}");
            }
            let _judged = (polled(&api, &answer(status, &body), &TaskId("a".into())), result(&api, &answer(status, &body)));
        }
    }
}
