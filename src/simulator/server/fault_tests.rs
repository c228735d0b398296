//! Tests of every fault that can be planned, in virtual time.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tests::{CAT, assert_refused, at, calm, faulty, image_path, poll, status, submission, submit, without};
use super::*;
use crate::simulator::faults::FaultPlan;
use crate::simulator::message::ReplyBody;
use crate::simulator::pages;

fn played(server: &Server, fault: &str) -> u64 {
    server.stats().n_faults(fault.parse().unwrap())
}

#[test]
fn submissions_that_fail_before_they_count_are_not_accepted() {
    for (fault, status, delivery) in [
        ("submit-500", 500, Delivery::Whole),
        ("submit-429", 429, Delivery::Whole),
        ("submit-html", 502, Delivery::Whole),
        ("submit-cut-before", 200, Delivery::CutBefore),
        ("submit-401", 401, Delivery::Whole),
        ("submit-403", 403, Delivery::Whole),
    ] {
        let mut server = faulty(fault);
        let reply = server.handle(at(0), &submission(CAT));
        assert_eq!((reply.status, reply.delivery), (status, delivery), "{fault}");
        assert_eq!((server.stats().n_accepted, played(&server, fault)), (0, 1), "{fault}");
    }
}

#[test]
fn submissions_whose_answer_is_lost_are_accepted() {
    for (fault, delivery) in
        [("submit-cut-after", Delivery::CutAfter), ("submit-garbage", Delivery::Whole), ("submit-hang", Delivery::Hang)]
    {
        let mut server = faulty(fault);
        let reply = server.handle(at(0), &submission(CAT));
        assert_eq!((reply.status, reply.delivery), (200, delivery), "{fault}");
        assert!(serde_json::from_slice::<Value>(&reply.body.into_bytes()).is_err(), "{fault}: nobody learns the id");
        assert_eq!((server.n_accepted(CAT.as_bytes()), played(&server, fault)), (1, 1), "{fault}");
    }
}

fn is_page(reply: &Reply) -> bool {
    let ReplyBody::Bytes(body) = &reply.body else { return false };
    pages::all().any(|page| page.status == reply.status && page.body.as_bytes() == body)
}

#[test]
fn a_gateway_answers_with_its_own_pages_whether_or_not_it_has_passed_the_submission_on() {
    for (fault, n_accepted) in [("submit-gateway", 0), ("submit-gateway-accepted", 100)] {
        let mut server = faulty(fault);
        let replies: Vec<_> = (0..100).map(|_| server.handle(at(0), &submission(CAT))).collect();
        assert!(replies.iter().all(is_page), "{fault}");
        let statuses: BTreeSet<_> = replies.iter().map(|reply| reply.status).collect();
        assert!(statuses.len() > 10, "pages of many kinds: {statuses:?}");
        assert_eq!((server.stats().n_accepted, played(&server, fault)), (n_accepted, 100), "{fault}");
    }
    let mut server = faulty("poll-gateway");
    let id = submit(&mut server, at(0), CAT);
    assert!((0..20).all(|_| is_page(&server.handle(at(0), &poll(&id)))));
}

#[test]
fn an_id_comes_in_an_error() {
    let mut server = faulty("submit-id-error");
    let mut statuses = BTreeSet::new();
    for n in 1..=30 {
        let reply = server.handle(at(0), &submission(CAT));
        statuses.insert(reply.status);
        let answer: Value = serde_json::from_slice(&reply.body.into_bytes()).unwrap();
        assert!(answer["errors"]["message"].is_string(), "{answer}");
        let task = Task::from_id(answer["task_id"].as_str().unwrap());
        assert!(task.is_some() && server.n_accepted(CAT.as_bytes()) == n, "{answer}");
    }
    assert_eq!(statuses, [400, 429, 500, 503].into());
}

#[test]
fn a_cache_gives_one_id_to_two_submissions() {
    let mut server = faulty("submit-cached");
    let dog = CAT.replace("cat", "dog");
    let first = submit(&mut server, at(0), CAT);
    assert_eq!(submit(&mut server, at(0), &dog), first);
    assert_eq!((server.n_accepted(CAT.as_bytes()), server.n_accepted(dog.as_bytes())), (1, 0));
    assert_eq!(played(&server, "submit-cached"), 1, "the first found nothing in the cache");
}

#[test]
fn a_wrong_route_answers_every_submission_for_a_while() {
    let mut server = faulty("submit-misrouted");
    let first = server.handle(at(0), &submission(CAT));
    assert!(is_page(&first) && matches!(first.status, 301 | 400 | 404 | 405), "{first:?}");
    server.config.faults = FaultPlan::default();
    for millis in [1, 2000, 3999] {
        assert_eq!(server.handle(at(millis), &submission(CAT)), first);
    }
    submit(&mut server, at(4000), CAT);
    assert_eq!((server.stats().n_accepted, played(&server, "submit-misrouted")), (1, 4));
}

#[test]
fn a_mixed_up_poll_names_another_task() {
    let mut server = faulty("poll-mixed");
    let id = submit(&mut server, at(0), CAT);
    let answer = status(&mut server, at(1000), &id);
    let other = answer["task_id"].as_str().unwrap();
    assert!(other != id && Task::from_id(other).is_some(), "{answer}");
    assert_ne!(answer["output_images"], status(&mut Server::new(calm()), at(1000), &id)["output_images"]);
}

#[test]
fn a_fault_does_not_hide_a_refusal() {
    let mut server = faulty("submit-hang");
    assert_refused(&mut server, &without(submission(CAT), "authorization"), 401, "Alibaba", "unauthorized");
    let mut server = Server::new(SimulatorConfig { concurrency: Some(0), ..faulty("submit-cut-after").config });
    assert_refused(&mut server, &submission(CAT), 429, "Too many requests", "concurrency");
    assert_eq!(server.stats().faults.len(), 0, "a fault that did not show is not counted");
}

#[test]
fn polls_fail_for_the_moment() {
    for (fault, code, delivery, words) in [
        ("poll-500", 500, Delivery::Whole, "Server is busy"),
        ("poll-429", 429, Delivery::Whole, "Too many requests"),
        ("poll-cut", 200, Delivery::CutMidway, "output_images"),
        ("poll-garbage", 200, Delivery::Whole, "task_id"),
        ("poll-hang", 200, Delivery::Hang, ""),
        ("poll-not-found", 200, Delivery::Whole, "task not found"),
        ("poll-mixed", 200, Delivery::Whole, "SUCCEED"),
        ("poll-401", 401, Delivery::Whole, "Alibaba"),
    ] {
        let mut server = faulty(fault);
        let id = submit(&mut server, at(0), CAT);
        let reply = server.handle(at(1000), &poll(&id));
        assert_eq!((reply.status, reply.delivery), (code, delivery), "{fault}");
        let body = reply.body.into_bytes();
        assert!(String::from_utf8_lossy(&body).contains(words), "{fault}");
        assert_eq!(played(&server, fault), 1, "{fault}");
        let mut calm = Server::new(calm());
        assert_eq!(status(&mut calm, at(1000), &id)["task_status"], "SUCCEED", "{fault} is not the task's");
    }
}

#[test]
fn tasks_keep_their_faults() {
    let end = |fault: &str| {
        let mut server = faulty(fault);
        let id = submit(&mut server, at(0), CAT);
        assert_eq!(played(&server, fault), 1);
        let mut restarted = Server::new(calm());
        assert_eq!(status(&mut restarted, at(999), &id)["task_status"], "PROCESSING", "{fault}");
        status(&mut restarted, at(1_000_000), &id)
    };
    let failed = end("task-failed");
    assert_eq!((&failed["task_status"], &failed["errors"]["code"]), (&json!("FAILED"), &json!(500)));
    let stuck = end("task-stuck");
    assert_eq!((&stuck["task_status"], &stuck["task_id"]), (&json!("PROCESSING"), &json!("")));
    let empty = end("task-empty");
    assert_eq!((&empty["task_status"], &empty["output_images"]), (&json!("SUCCEED"), &json!([])));
}

#[test]
fn images_fail_for_the_moment() {
    for (fault, status, delivery) in [
        ("image-500", 500, Delivery::Whole),
        ("image-404", 404, Delivery::Whole),
        ("image-cut", 200, Delivery::CutMidway),
        ("image-short", 200, Delivery::Whole),
        ("image-html", 200, Delivery::Whole),
        ("image-hang", 200, Delivery::Hang),
        ("image-expired", 403, Delivery::Whole),
    ] {
        let mut server =
            Server::new(SimulatorConfig { image_size: Some(Size { width: 64, height: 64 }), ..faulty(fault).config });
        let id = submit(&mut server, at(0), CAT);
        let request = HttpRequest::get(image_path(&mut server, &id));
        let reply = server.handle(at(0), &request);
        assert_eq!((reply.status, reply.delivery), (status, delivery), "{fault}");
        let whole = Server::new(calm()).handle(at(0), &request).body.into_bytes();
        let body = reply.body.into_bytes();
        match fault {
            "image-cut" => assert_eq!(body, whole, "the cut is in the delivery"),
            "image-short" => assert_eq!(body, whole[..whole.len() / 2]),
            _ => assert!(!body.starts_with(b"\x89PNG"), "{fault}"),
        }
        assert_eq!(played(&server, fault), 1, "{fault}");
    }
}

/// Goal: a sequence of events can be repeated exactly. Method: run a long mixed sequence twice and compare every reply.
#[test]
fn the_same_story_is_told_the_same_way() {
    let config = |seed| {
        let faults = ["500=0.1", "cut=0.1", "hang=0.05", "garbage=0.1", "task-failed=0.1", "task-stuck=0.1"];
        let faults = faults.into_iter().map(|text| text.parse().unwrap()).collect();
        SimulatorConfig {
            seed,
            faults,
            fail_rate: 0.1,
            rate: Some("50/s".parse().unwrap()),
            ..SimulatorConfig::default()
        }
    };
    let story = |seed| {
        let mut server = Server::new(config(seed));
        let mut replies = Vec::new();
        let mut ids = Vec::new();
        for step in 0..400 {
            let now = at(step * 10);
            let reply = server.handle(now, &submission(&format!(r#"{{"model":"a/b","prompt":"cat {}"}}"#, step % 90)));
            if let ReplyBody::Bytes(bytes) = &reply.body
                && let Ok(answer) = serde_json::from_slice::<Value>(bytes)
                && let Some(id) = answer["task_id"].as_str()
            {
                ids.push(id.to_owned());
            }
            replies.push(reply);
            replies.extend(ids.iter().rev().take(3).map(|id| server.handle(now, &poll(id))));
        }
        (replies, server.stats().clone())
    };
    assert!(story(1) == story(1));
    assert!(story(1) != story(2));
}
