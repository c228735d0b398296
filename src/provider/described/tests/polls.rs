//! Tests of the answers to polls: what counts as an image, and what a blank status says.

use super::*;

fn links(body: &Value) -> Vec<String> {
    match poll(&api("replicate"), "t", 200, body).unwrap() {
        Polled::Status(Status::Done(links)) => links.into_iter().map(|link| link.0).collect(),
        other => panic!("{other:?}"),
    }
}

/// Goal: an API with several places for images has other values there, which are no missing images. Method: each form of Replicate's output.
#[test]
fn other_values_beside_a_link_are_no_images() {
    let link = "https://a.example/1.png";
    for output in [
        json!(link),
        json!([link]),
        json!({"url": link, "width": 1024, "seed": 7, "nsfw": false}),
        json!({"images": [link], "seed": 7, "prompt": "a cat"}),
    ] {
        assert_eq!(links(&json!({"id": "t", "status": "succeeded", "output": output})), [link], "{output}");
    }
    for output in [json!("a text"), json!({"seed": 7}), json!([]), json!(null)] {
        let body = json!({"id": "t", "status": "succeeded", "output": output});
        let ended = poll(&api("replicate"), "t", 200, &body).unwrap();
        assert!(
            matches!(&ended, Polled::Status(Status::Failed(fault)) if fault.kind == FaultKind::BadOutput),
            "{ended:?}"
        );
    }
}

/// Goal: an answer without a word is no answer of the API, which would count against the time of its task. Method: blank words, for an API
/// that sends them and for one that does not.
#[test]
fn a_blank_status_says_nothing_unless_the_api_sends_it() {
    for word in ["", "  "] {
        let body = json!({"id": "t", "status": word, "message": "upstream unavailable"});
        assert_eq!(poll(&api("replicate"), "t", 200, &body).unwrap_err().kind, FaultKind::Transient, "{word:?}");
        let body = json!({"task_status": word, "request_id": "r"});
        assert_eq!(poll(&api("modelscope"), "t", 200, &body).unwrap(), Polled::Status(Status::Running), "{word:?}");
    }
}
