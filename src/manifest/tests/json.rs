//! Tests of JSON manifests: where the mistakes are, and what is read piece by piece.

use super::*;

fn json(text: &str) -> Result<Told, Vec<String>> {
    open_with("p.json", text.as_bytes(), |_| ())
}

/// Goal: the jobs of a list are those of the same values as JSON Lines, however they are laid out. Method: values with every sign that
/// could end one too early, written as one line, one per line, and with white space everywhere.
#[test]
fn a_list_is_read_as_json_lines_are() {
    let values = [
        r#"{"prompt": "a } ] , { [ \" \\", "tags": [[1, {"x": "]"}], "}"]}"#,
        r#""a text, with \"quotes\\\" and 猫\ud83d\ude00""#,
        r#"{"prompt":"a cat","seed":[1,2],"expand":"grid","meta":{"a":{"b":1.50}},"id":"c"}"#,
        r#"{"prompt": "\\"}"#,
        r#""\\""#,
    ];
    let lines = open_with("p.jsonl", values.join("\n").as_bytes(), |_| ()).expect("the lines are good");
    for (open, comma, close) in [
        ("[", ",", "]"),
        ("\u{feff}[\n", ",\n", "\n]\n"),
        (" \t[\r\n  ", "\r\n ,\t", "]\n\n"),
        ("", "\n\n", ""),
        ("", " ", "\n"),
    ] {
        let text = format!("{open}{}{close}", values.join(comma));
        assert_eq!(json(&text).as_ref(), Ok(&lines), "{text}");
    }
    let spread = values.map(|value| value.replace(", \"", "\n,\n\"").replace(": ", " :\t"));
    assert_eq!(json(&format!("[{}]", spread.join(","))).as_ref(), Ok(&lines), "values over several lines");
}

/// Goal: a value is the same wherever the buffer ends. Method: white space before the list moves it over the end of the first piece.
#[test]
fn values_are_read_across_buffers() {
    let n_bytes = bytes::CHUNK;
    for n_before in (n_bytes - 30)..n_bytes {
        let text = format!("{}[{{\"prompt\": \"猫 \\\" ]\"}},\n7]", " ".repeat(n_before));
        let told = json(&text).expect_err("the second item is no prompt");
        let wrong = "this item is the number 7, not an object; write a list of objects, for example [{\"prompt\": \"a golden cat in the snow\"}]";
        assert_eq!(told, [format!("p:2: {wrong}")], "{n_before}");
    }
}

/// Goal: a mistake has its line and its characters. Method: the text of each location, in a value over several lines.
#[test]
fn mistakes_are_at_their_characters() {
    let text = "[\n  {\"prompt\": \"猫\", \"size\": \"big\",\n   \"seed\": -7, \"guidance\":\n   [1,\n 2]}, {\"prompt\": \"x\", \"steps\": 1.5}\n]";
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("p.json");
    for (text, expected) in [
        (text.to_owned(), vec![(2, "\"big\""), (3, "-7"), (4, "1"), (5, "1.5")]),
        (
            text.replace("[\n", "{\"a\":").replace("}, {", "}, \"b\": {").replace("\n]", "}"),
            vec![(1, "\"big\""), (2, "-7"), (3, "1"), (4, "1.5")],
        ),
        (
            "{\"prompts\": [{\"prompt\": \"x\", \"seed\": \"y\"},\n\t{\"promts\": \"x\"}]}".to_owned(),
            vec![(1, "\"y\""), (2, "\"promts\"")],
        ),
    ] {
        fs::write(&path, &text).expect("it can be written");
        let error = open(Source { path: path.clone(), default_model: Some(MODEL.into()), ..Source::default() })
            .expect_err("it is bad");
        let lines: Vec<_> = text.lines().collect();
        let at = |mistake: &Diagnostic| match mistake.place {
            Location::Span(Span { line, begin, end }) => {
                let line_text = lines[usize::try_from(line).expect("it is small") - 1];
                (line, &line_text[begin as usize..end as usize])
            }
            other => panic!("{other:?}: {mistake:?}"),
        };
        assert_eq!(error.mistakes().iter().map(at).collect::<Vec<_>>(), expected, "{text}");
    }
}

/// Goal: nothing is read without a limit. Method: a value above it, as an item and as the only object, and open brackets without an end.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn large_values_are_refused() {
    let long = "x".repeat(33 << 20);
    for text in [format!("[{{\"prompt\": \"{long}\"}}]"), format!("{{\"a\": \"{long}\"}}")] {
        let told = json(&text).expect_err("it is too long");
        assert!(
            told.len() == 1 && told[0].starts_with("p:1: the value that begins here is longer than 32 MiB"),
            "{told:?}"
        );
    }
    for text in ["[".repeat(200_000), "{\"a\":".repeat(200_000), format!("{}{}", "[".repeat(9_000), "]".repeat(9_000))]
    {
        assert!(json(&text).is_err());
    }
}
