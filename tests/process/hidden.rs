//! Hidden or changed output: the token in any encoding, secrets in addresses, formulas in tables.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bench::{Bench, expect_code, quick, stderr, stdout};
use crate::host::{Host, json, response};

#[test]
fn formulas_are_text_where_that_is_wanted() {
    let bench = Bench::new(quick());
    let manifest = "prompt,=1+1,id,note\n\"=HYPERLINK(\"\"http://x\"\")\",@a,-1,plain\n";
    bench.write("p.csv", manifest);
    let text = |guard: &[&str]| {
        expect_code(&bench.run("p.csv", guard), 0);
        let text = fs::read_to_string(bench.path("out/results.csv")).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        (lines.next().unwrap(), lines.next().unwrap())
    };
    let plain = text(&[]);
    assert!(plain.0.ends_with(",tasks_lost,=1+1,note,cost,row,currency") && plain.1.starts_with("1,-1,"), "{plain:?}");
    let guarded = text(&["--formula-guard"]);
    assert!(
        guarded.0.ends_with(",tasks_lost,'=1+1,note,cost,row,currency") && guarded.1.starts_with("1,'-1,"),
        "{guarded:?}"
    );
    assert!(
        guarded.1.contains(",\"'=HYPERLINK(\"\"http://x\"\")\",") && guarded.1.ends_with(",'@a,plain,,1,"),
        "{guarded:?}"
    );
    assert_eq!(text(&[]), guarded, "a run keeps to it");
    assert_eq!(text(&["--formula-guard=off"]), plain);
    expect_code(&bench.output(&["results", "out", "--formula-guard"]), 0);
    assert!(fs::read_to_string(bench.path("out/results.csv")).unwrap().contains("'=1+1"));
    expect_code(&bench.command(&["results", "out"]).env("PROMPTBATCH_FORMULA_GUARD", "off").output().unwrap(), 0);
    assert!(!fs::read_to_string(bench.path("out/results.csv")).unwrap().contains("'=1+1"));
}

/// Goal: no encoding of the token is shown. Method: an API and an image host that repeat the token in each encoding.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_token_is_hidden_in_every_encoding() {
    let secret = "ms-0815/geheim+4711";
    let percent = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let json_escaped = secret.bytes().map(|byte| format!("\\\\u{byte:04x}")).collect::<Vec<_>>().concat();
    let ways = [
        secret.to_owned(),
        secret.replace('/', "%2F").replace('+', "%2b"),
        percent(secret),
        percent(secret).to_lowercase(),
        percent(&percent(secret)),
        STANDARD.encode(secret),
        STANDARD.encode(format!("Bearer {secret}")),
        STANDARD.encode(format!("x{secret}y")),
        json_escaped,
        secret.to_uppercase(),
    ];
    for told in ways {
        let page = format!("<html>{told}</html>");
        let host = Host::new(move |_| response("200 OK", "", page.as_bytes()));
        let link = format!("{}/x", host.url);
        let refusal = format!(r#"{{"errors":{{"code":400,"message":"no: {told}"}}}}"#);
        let api = Host::new(move |head| match head {
            head if head.starts_with("post") && !head.contains("content-length: 5") => json(r#"{"task_id":"7"}"#),
            head if head.starts_with("post") => response("400 Bad", "", refusal.as_bytes()),
            _ => json(&format!(r#"{{"task_status":"SUCCEED","output_images":["{link}"]}}"#)),
        });
        let bench = Bench::new(quick());
        bench.write("p.csv", &format!("prompt\na\n{}\n", "a long prompt ".repeat(20)));
        let args = ["run", "p.csv", "-o", "out", "-v", "--retries", "0", "--base-url", &api.url];
        let output = bench.command(&args).env("MODELSCOPE_API_KEY", secret).output().unwrap();
        assert!(!output.status.success(), "{told}");
        let results = fs::read_to_string(bench.path("out/results.csv")).unwrap();
        for text in [stdout(&output), stderr(&output), results] {
            assert!(!text.contains(&told), "{told}: {text}");
            assert!(!text.to_lowercase().contains("geheim"), "{told}: {text}");
        }
    }
}

#[test]
fn a_secret_in_the_address_of_the_api_is_not_shown() {
    for url in [
        "https://user:geheim@api.example",
        "https://api.example/?key=geheim",
        "https://api.example/#geheim",
        "geheim@api.example",
    ] {
        let bench = Bench::new(quick());
        bench.csv(1);
        for progress in ["plain", "json"] {
            let output = bench.output(&["run", "prompts.csv", "-o", "out", "--base-url", url, "--progress", progress]);
            expect_code(&output, 2);
            assert!(
                !stderr(&output).contains("geheim") && stderr(&output).contains("--base-url"),
                "{}",
                stderr(&output)
            );
            let output = bench.command(&["run", "--help"]).env("PROMPTBATCH_BASE_URL", url).output().unwrap();
            assert!(!stdout(&output).contains("geheim"), "help shows what a variable holds");
        }
        assert!(!bench.path("out").exists());
    }
}
