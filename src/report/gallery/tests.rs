//! Tests of the page as text: outside text is never markup, the policy matches the content, size limits hold.

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::model::job::{Job, JobId, ManifestRow};
use crate::model::outcome::{Fault, FaultKind, ImageFormat, Outcome, TaskId};
use crate::model::phase::{JobState, Phase};
use crate::model::request::{Json, Lora, Request};

/// Prompt that ends scripts, starts others, and has every character that an HTML, JSON or script parser may mishandle.
const HOSTILE: &str = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> & \" ' \\ \u{2028} \u{2029} \u{202e} \u{0} \u{7} 猫 🐈";

fn record(index: u64, prompt: &str, phase: Phase) -> JobRecord {
    let request = Request { prompt: prompt.into(), model: "Qwen/Qwen-Image".into(), ..Request::default() };
    let extras = vec![("b".to_owned(), prompt.to_owned())];
    let job = Job { id: JobId::from_bytes([7; 10]), index, label: None, request, extras, row: ManifestRow::default() };
    JobRecord { job: Arc::new(job), state: JobState { phase, ..JobState::default() } }
}

fn image(file_name: &str) -> Artifact {
    let (sha256, format) = ([0xab; 32], ImageFormat::Png);
    Artifact { file_name: file_name.into(), sha256, bytes: 9, width: 3, height: 4, format }
}

fn page(name: &str, rows: &[JobRecord], without: &[Artifact]) -> String {
    let columns = ["a".to_owned(), "b".to_owned()];
    let head = Head {
        name,
        provider: "modelscope",
        columns: &columns,
        counts: StatusCounts { n_pending: 3, ..StatusCounts::default() },
        place: None,
        made_at: Timestamp::from_millis(5),
    };
    let mut page = GalleryPage::new(Vec::new(), &head).unwrap();
    for row in rows {
        assert!(page.write(row).unwrap());
    }
    String::from_utf8(page.finish(without).unwrap()).unwrap()
}

/// Returns the script elements that a browser finds in a page: the opening tag and the content of each.
fn scripts(page: &str) -> Vec<(&str, &str)> {
    let begins = page.match_indices("<script");
    begins
        .map(|(at, _)| {
            let (tag, rest) = page[at..].split_once('>').unwrap();
            (tag, rest.split_once("</script").unwrap().0)
        })
        .collect()
}

fn data(page: &str, mark: &str) -> Vec<Value> {
    let blocks = scripts(page).into_iter().filter(|(tag, _)| tag.ends_with(mark));
    blocks.map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
}

/// Goal: text in a prompt, a name, a column or an error survives unchanged, and creates no element. Method: put the
/// worst text everywhere, look for elements as a browser does, and read the data back.
#[test]
fn nothing_from_outside_is_markup() {
    let fault = Fault::new(FaultKind::Moderated, HOSTILE);
    let mut odd = record(2, HOSTILE, Phase::Finished(Outcome::Failed(fault)));
    odd.state.task = Some(TaskId(HOSTILE.into()));
    let request = &mut Arc::get_mut(&mut odd.job).unwrap().request;
    request.loras = vec![Lora { repo: HOSTILE.into(), weight: Some(0.5) }];
    request.params = [(HOSTILE.to_owned(), Json("1".into()))].into();
    let rows = [record(1, "calm", Phase::Finished(Outcome::Succeeded(vec![image(HOSTILE)]))), odd];
    let page = page(HOSTILE, &rows, &[image("x")]);
    let plain = self::page("calm", &[record(1, "calm", Phase::Pending)], &[]);
    assert_eq!(scripts(&page).len(), scripts(&plain).len());
    assert_eq!(page.matches('<').count(), plain.matches('<').count());
    let behind = page.split("id=\"head\"").nth(1).unwrap().split("<script>").next().unwrap();
    assert!(!behind.contains(['\u{2028}', '\u{2029}', '\u{0}', '\u{7}']));
    let jobs = data(&page, "class=\"jobs\"");
    assert_eq!(jobs.len(), 1);
    let job = &jobs[0][1];
    let texts = [&job["prompt"], &job["error"], &job["columns"][1], &job["task"], &job["further"][1][0]];
    assert!(texts.iter().all(|text| *text == HOSTILE), "{job:#}");
    assert_eq!(data(&page, "id=\"head\"")[0]["name"], HOSTILE);
    assert_eq!(jobs[0][0]["images"][0]["file"], HOSTILE);
    assert_eq!(data(&page, "id=\"without\"")[0][0], "ab".repeat(32));
}

/// Goal: the script knows where images are, and a hostile address is no markup.
#[test]
fn the_page_says_where_its_images_are() {
    let place: StorageUrl = "s3://bucket/<script>".parse().unwrap();
    let head = |place| Head {
        name: "n",
        provider: "p",
        columns: &[],
        counts: StatusCounts::default(),
        place,
        made_at: Timestamp::default(),
    };
    let page = |place| {
        let page = GalleryPage::new(Vec::new(), &head(place)).unwrap();
        String::from_utf8(page.finish([]).unwrap()).unwrap()
    };
    let (there, here) = (page(Some(&place)), page(None));
    assert_eq!(data(&there, "id=\"head\"")[0]["place"], "s3://bucket/<script>");
    assert!(data(&here, "id=\"head\"")[0].get("place").is_none());
    assert_eq!(scripts(&there).len(), scripts(&here).len());
}

#[test]
fn a_job_says_what_there_is_to_say() {
    let phases = [
        Phase::Pending,
        Phase::Submitting,
        Phase::Running(TaskId("7".into())),
        Phase::Downloading(vec![]),
        Phase::Finished(Outcome::Succeeded(vec![image("images/1.png")])),
    ];
    let rows: Vec<_> = (1..).zip(phases).map(|(index, phase)| record(index, "p", phase)).collect();
    let page = page("out", &rows, &[]);
    let jobs = &data(&page, "class=\"jobs\"")[0];
    let statuses: Vec<_> = jobs.as_array().unwrap().iter().map(|job| job["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["pending", "in_doubt", "running", "running", "succeeded"]);
    assert_eq!(jobs[0]["columns"], serde_json::json!(["", "p"]));
    assert_eq!(jobs[4]["images"][0]["sha256"], "ab".repeat(32));
    assert!(jobs[0].get("images").is_none() && jobs[0].get("seed").is_none());
    assert_eq!(data(&page, "id=\"head\"")[0]["jobs"], 3);
}

/// Goal: the browser runs only our script and applies only our style sheet. Method: hash the content of the elements.
#[test]
fn the_policy_names_what_is_in_the_page() {
    let page = page("out", &[], &[]);
    let policy = page.split("Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(Sha256::digest(text)));
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let script = scripts(&page).into_iter().find(|(tag, _)| *tag == "<script").unwrap().1;
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(
        policy.contains(&format!("script-src {};", hash(script)))
            && policy.contains(&format!("style-src {};", hash(style)))
    );
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"));
}

#[test]
fn the_script_makes_no_markup_and_asks_nobody() {
    let forbidden = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
        "XMLHttpRequest",
        "import(",
        "WebSocket",
        "sendBeacon",
        "EventSource",
        "srcdoc",
        "</script",
    ];
    for word in forbidden {
        assert!(!SCRIPT.contains(word), "{word}");
    }
    let addresses = (SCRIPT.to_owned() + STYLE + TEMPLATE).replace("http://www.w3.org/2000/svg", "");
    assert!(!addresses.contains("http:") && !addresses.contains("https:") && !addresses.contains("url("));
    assert!(!STYLE.contains('<'));
}

#[test]
fn every_word_is_there_in_both_languages() {
    let table = include_str!("words.js").split("const WORDS = {").nth(1).unwrap().split("\n};").next().unwrap();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (key, words) = line.split_once(": ['").expect(line);
        let words: Vec<_> = words.trim_end_matches("'],").split("', '").collect();
        assert_eq!(words.len(), 2, "{key}");
        let gaps = |text: &str| ["{0}", "{1}"].map(|gap| text.contains(gap));
        assert_eq!(gaps(words[0]), gaps(words[1]), "{key}");
    }
}

#[test]
fn a_page_has_room_for_so_many_jobs_and_their_blocks_are_parted() {
    let long = record(1, &"x".repeat(400_000), Phase::Pending);
    let rows: Vec<_> = (0..4).map(|_| long.clone()).collect();
    let parted = page("out", &rows, &[]);
    let blocks: Vec<_> = data(&parted, "class=\"jobs\"").iter().map(|block| block.as_array().unwrap().len()).collect();
    assert_eq!(blocks, [2, 2], "each job says it twice, in its prompt and in a column");
    let counts = StatusCounts::default();
    let head = Head { name: "", provider: "", columns: &[], counts, place: None, made_at: Timestamp::default() };
    let mut page = GalleryPage::new(io::sink(), &head).unwrap();
    page.n_bytes = BYTES_MAX - 1_000_000;
    let n_taken = (0..9).filter(|_| page.write(&long).unwrap()).count();
    assert_eq!(n_taken, 3, "of bytes");
    page.n_bytes = 0;
    page.n_jobs = JOBS_MAX - 1;
    assert_eq!([page.write(&long).unwrap(), page.write(&long).unwrap()], [true, false], "of jobs");
}

#[test]
fn our_own_files_stay_readable() {
    let files = [
        TEMPLATE,
        include_str!("page.css"),
        include_str!("parts.css"),
        include_str!("matrix.css"),
        include_str!("words.js"),
        include_str!("dom.js"),
        include_str!("jobs.js"),
        include_str!("facets.js"),
        include_str!("grid.js"),
        include_str!("detail.js"),
        include_str!("compare.js"),
        include_str!("side.js"),
        include_str!("matrix.js"),
        include_str!("failed.js"),
        include_str!("charts.js"),
        include_str!("page.js"),
    ];
    for file in files {
        assert!(file.lines().count() <= 400);
    }
}
