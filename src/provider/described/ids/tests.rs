//! Tests of task ids in complete, damaged and misleading responses.

use proptest::prelude::*;

use super::*;

/// Finds the id at the places at which several APIs have theirs.
fn in_places(body: &[u8]) -> IdSearch {
    find(body, &["/task_id", "/data/task_id", "/output/task_id"].map(|text| text.parse().unwrap()))
}

fn found(body: &str) -> IdSearch {
    in_places(body.as_bytes())
}

fn one(id: &str) -> IdSearch {
    IdSearch::One(id.into())
}

#[test]
fn an_id_is_read_from_damaged_answers() {
    for body in [
        r#"{"task_id":"5"}"#,
        r#"{"task_id":5}"#,
        "\u{feff} \n{ \"task_id\" : \"5\" }",
        r#"{"request_id":"r","task_id":"5"} trailing garbage"#,
        r#"{"task_id":"5"}{"request_id":"r"}"#,
        r#"{"task_id":"5""#,
        r#"{"task_id":"5","prompt":"cut he"#,
        r#"{"task_id":5,"#,
        r#"{"task_id":"5" trailing"#,
        r#"{"note":"\ud800","task_id":"5"}"#,
        r#"{"note":"\u12","task_id":"5"}"#,
        r#"{"note":"\x41\'","task_id":"5"}"#,
        "{\"note\":\"a raw\nbreak\",\"task_id\":\"5\"}",
        r#"{"n":NaN,"m":-Infinity,"task_id":"5"}"#,
        r"{'n': None, 'it': 'has \'quotes\'', 'task_id': '5'}",
        r#"{task_id: "5"}"#,
        r#"{"task\u005fid":"5"}"#,
        r#"{"task_id":"\u0035"}"#,
        r#"{"task_id":"5","task_id":5}"#,
        r#"{"task_id":null,"data":{"task_id":"5"}}"#,
        r#"{"task_id":"","output":{"task_id":"5"}}"#,
        r#"{"data":{"x":[{"task_id":"7"}],"task_id":"5"},"errors":{"task_id":"6"}}"#,
        r#"{"errors":{"code":500,"message":"it's {odd"},"task_id":"5"}"#,
        r#"{"a":[it's, 'x}'],"task_id":"5"}"#,
        r#"{,"task_id":"5",}"#,
    ] {
        assert_eq!(found(body), one("5"), "{body}");
    }
    assert_eq!(in_places(b"{\"note\":\"\xff\xfe\xc3\",\"task_id\":\"5\"}"), one("5"));
    assert_eq!(found(r#"{"task_id":"\ud83d\udc08"}"#), one("🐈"));
    let deep = format!("{{\"x\":{}{},\"task_id\":\"5\"}}", "[".repeat(400_000), "]".repeat(400_000));
    assert_eq!(found(&deep), one("5"));
}

#[test]
fn numbers_are_taken_by_their_digits_and_never_rounded() {
    for (number, id) in [
        ("5", "5"),
        ("0", "0"),
        ("007", "007"),
        ("1.0", "1"),
        ("5075521.000", "5075521"),
        ("1e6", "1000000"),
        ("1.5E+3", "1500"),
        ("5.075521e6", "5075521"),
        ("18446744073709551616", "18446744073709551616"),
        ("99999999999999999999999999", "99999999999999999999999999"),
        ("123456789012345.0", "123456789012345"),
        ("1.", "1"),
    ] {
        assert_eq!(found(&format!(r#"{{"task_id":{number}}}"#)), one(id), "{number}");
        assert_eq!(found(&format!(r#"{{"task_id":{number},"x":1}}"#)), one(id), "{number}");
        assert_eq!(
            found(&format!(r#"{{"task_id":{number}"#)),
            IdSearch::Unusable,
            "{number}: digits may have been cut off"
        );
    }
    for number in [
        "1.5",
        "-1",
        "1e400",
        "1e-1",
        "5.07552e+06",
        "1.2345678901234567e19",
        "12345678901234567168.0",
        "0.0",
        "1e",
        "e5",
        ".5",
        "0x10",
        "1_0",
        "1e99999999999999999999",
        "NaN",
        "true",
        "abc",
    ] {
        assert_eq!(found(&format!(r#"{{"task_id":{number}}}"#)), IdSearch::Unusable, "{number}");
    }
}

/// Goal: words of a prompt, a page or a quoted body never become a task id.
#[test]
fn an_id_elsewhere_is_not_taken() {
    for body in [
        "",
        "null",
        "\"task_id\":\"5\"",
        r#"<html>{"task_id":"5"}</html>"#,
        r#"[{"task_id":"5"}]"#,
        r#""{\"task_id\":\"5\"}""#,
        r#"{"prompt":"\"task_id\":\"5\""}"#,
        r#"{"prompt":"a cat\",\"task_id\":\"5"}"#,
        r#"{"errors":{"message":"m","task_id":"5"}}"#,
        r#"{"input":{"task_id":"5"}}"#,
        r#"{"data":[{"task_id":"5"}]}"#,
        r#"{"data":{"data":{"task_id":"5"}}}"#,
        r#"{"task_id":null}"#,
        r#"{"message":"bad prompt "a cat", "task_id":"5"}"#,
        r#"{"errors":{"message":"bad "x"],"task_id":"5"}}"#,
        r#"{"TASK_ID":"5","taskid":"5","id":"5"}"#,
        "data: {\"task_id\":\"5\"}",
    ] {
        assert_eq!(found(body), IdSearch::Nothing, "{body}");
    }
}

#[test]
fn an_id_that_cannot_be_asked_for_is_unusable() {
    let long = format!(r#"{{"task_id":"{}"}}"#, "9".repeat(513));
    for body in [
        &long,
        r#"{"task_id":""}"#,
        r#"{"task_id":" "}"#,
        r#"{"task_id":"."}"#,
        r#"{"task_id":".."}"#,
        r#"{"task_id":"\t.."}"#,
        r#"{"task_id":"5\u0000"}"#,
        r#"{"task_id":"5\ud800"}"#,
        r#"{"task_id":["5"]}"#,
        r#"{"task_id":{"id":"5"}}"#,
        r#"{"task_id":"5"#,
        r#"{"task_id":"5"6"}"#,
        r#"{"task_id":}"#,
        r#"{"task_id":"#,
    ] {
        assert_eq!(found(body), IdSearch::Unusable, "{body}");
    }
    assert_eq!(in_places(b"{\"task_id\":\"5\xff\"}"), IdSearch::Unusable, "a damaged id names another task");
    assert_eq!(found(&format!(r#"{{"task_id":"{}"}}"#, "9".repeat(512))), one(&"9".repeat(512)));
}

#[test]
fn ids_that_contradict_each_other_are_told_apart_from_one() {
    for body in [
        r#"{"task_id":"5","task_id":"6"}"#,
        r#"{"task_id":"5","task_id":"6","task_id":"5"}"#,
        r#"{"task_id":"5","data":{"task_id":6}}"#,
        r#"{"task_id":"5"}{"task_id":"6"}"#,
        r#"{"task_id":"5","task_id":1.5}"#,
    ] {
        assert_eq!(found(body), IdSearch::Several, "{body}");
    }
}

fn by(pointers: &[&str], body: &str) -> IdSearch {
    let pointers: Vec<Pointer> = pointers.iter().map(|text| text.parse().unwrap()).collect();
    find(body.as_bytes(), &pointers)
}

#[test]
fn an_id_is_found_wherever_a_pointer_leads() {
    for (pointer, body) in [
        ("/data/0/id", r#"{"data":[{"x":[1],"id":"5"},{"id":"6"}]}"#),
        ("/data/0/id", r#"{"data":[{"id":"5"},{"id":"6"#),
        ("/data/1/id", r#"{"data":[{"id":"6"},{"id":"5"}]}"#),
        ("/*/id", r#"[{"id":"5"}]"#),
        ("/*/id", r#"{"a":{"id":"5"},"b":["id"]}"#),
        ("/a~1b/id", r#"{"a/b":{"id":"5"}}"#),
        ("/id", r#"{"id":"5","rest":{"x":[1,2"#),
        ("/id", r#"{"id":"5"}{"id":"5"}"#),
    ] {
        assert_eq!(by(&[pointer], body), one("5"), "{pointer} {body}");
    }
    for (pointer, body) in [
        ("/data/1/id", r#"{"data":[{"id":"6"}]}"#),
        ("/data/id", r#"{"data":[{"id":"6"}]}"#),
        ("/id", r#"[{"id":"6"}]"#),
        ("/id/x", r#"{"id":"6"}"#),
    ] {
        assert_eq!(by(&[pointer], body), IdSearch::Nothing, "{pointer} {body}");
    }
    assert_eq!(by(&[], r#"{"id":"6"}"#), IdSearch::Nothing);
    assert_eq!(by(&["/*/id"], r#"[{"id":"5"},{"id":"6"}]"#), IdSearch::Several);
    assert_eq!(by(&["/a/id", "/id"], r#"{"a":{"id":"5"},"id":"6"}"#), IdSearch::Several);
}

#[test]
fn an_address_may_be_longer_than_an_id() {
    let address = format!("https://a.example/{}", "9".repeat(600));
    let body = format!(r#"{{"status_url":"{address}"}}"#);
    let pointers = ["/status_url".parse().unwrap()];
    assert_eq!(find_address(body.as_bytes(), &pointers), one(&address));
    assert_eq!(find(body.as_bytes(), &pointers), IdSearch::Unusable);
}

proptest! {
    /// Goal: an id at the top level of valid JSON is found, whatever surrounds it. A cut or a changed byte never causes a panic.
    #[test]
    fn an_id_survives_what_surrounds_it(
        id in "[A-Za-z0-9-]{1,40}", note in any::<String>(), at in 0..1000_usize, byte in any::<u8>(), is_first in any::<bool>(),
    ) {
        let note = serde_json::to_string(&note).unwrap();
        let body = if is_first {
            format!(r#"{{"task_id":"{id}","a":[{note},{{"b":{note}}}]}}"#)
        } else {
            format!(r#"{{"a":[{note},{{{note}:{note}}}],"task_id":"{id}"}}"#)
        };
        prop_assert_eq!(found(&body), one(&id));
        let at = at % body.len();
        // A cut body never gives another id.
        let cut = in_places(&body.as_bytes()[..at]);
        prop_assert!(cut == one(&id) || matches!(cut, IdSearch::Nothing | IdSearch::Unusable), "{:?}", cut);
        let mut changed = body.into_bytes();
        changed[at] = byte;
        in_places(&changed);
    }

    #[test]
    fn no_bytes_break_it(body in proptest::collection::vec(any::<u8>(), 0..300), shaped in "[{}\\[\\]\":,'\\\\a-z0-9 ]{0,80}") {
        in_places(&body);
        in_places(shaped.as_bytes());
    }
}

/// Goal: several pointers are places of one id, or names of different ids, as an API has them. Method: pointers to one name, and to several.
#[test]
fn values_under_one_name_must_agree_and_of_several_names_the_first_counts() {
    let at = |pointers: &[&str], body: &str| {
        let pointers: Vec<Pointer> = pointers.iter().map(|text| text.parse().unwrap()).collect();
        find(body.as_bytes(), &pointers)
    };
    let names = ["/task_id", "/output/job", "/id"];
    for (body, expected) in [
        (r#"{"id":"request-7","task_id":"t"}"#, one("t")),
        (r#"{"output":{"job":"j"},"id":"request-7"}"#, one("j")),
        (r#"{"id":"i"}"#, one("i")),
        (r#"{"task_id":null,"id":"i"}"#, one("i")),
        (r#"{"task_id":"","id":"i"}"#, one("i")),
        (r#"{"task_id":{},"id":"i"}"#, IdSearch::Unusable),
        (r#"{"task_id":"t"}{"task_id":"u","id":"i"}"#, IdSearch::Several),
        (r#"{"id":"i","task_id":"t","x"#, one("t")),
    ] {
        assert_eq!(at(&names, body), expected, "{body}");
    }
    assert_eq!(at(&["/task_id", "/data/*/task_id"], r#"{"task_id":"a","data":[{"task_id":"b"}]}"#), IdSearch::Several);
    assert_eq!(at(&["/*/id"], r#"[{"id":"a"},{"id":"b"}]"#), IdSearch::Several);
    let address = |body: &str| find_address(body.as_bytes(), &["/a/url", "/b/url"].map(|text| text.parse().unwrap()));
    assert_eq!(address(r#"{"b":{"url":"https://b"},"a":{"url":"https://a"}}"#), one("https://a"));
}

#[test]
fn an_empty_pointer_leads_to_the_whole_text() {
    let whole = |body: &str| find(body.as_bytes(), &["".parse().unwrap()]);
    assert_eq!(
        (whole("\"task-1\""), whole("\"task-1"), whole("{}")),
        (one("task-1"), IdSearch::Unusable, IdSearch::Nothing)
    );
}
