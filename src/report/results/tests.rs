//! Tests of the results table as scripts read it, and of the results file after crashes.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::model::event::{EventKind, Stage};
use crate::model::job::{Job, JobId, ManifestRow};
use crate::model::outcome::Fault;
use crate::model::outcome::{ImageFormat, TaskId};
use crate::model::request::{Json, Request, Size};
use crate::model::time::Timestamp;
use crate::report::fixtures::artifact;
use crate::report::results::file::ResultsWriter;
use crate::report::value::rfc3339;

use EventKind::{Accepted, Finished, Ready, Setback, SubmitStarted};

/// Returns a job and the fold of its events, which occur every 1,234 ms.
fn record(index: u64, prompt: &str, story: &[EventKind]) -> JobRecord {
    let request = Request { prompt: prompt.into(), model: "Qwen/Qwen-Image".into(), ..Request::default() };
    let id = JobId::from_bytes([u8::try_from(index).unwrap(); 10]);
    let mut state = JobState::default();
    for (at, kind) in (1_800_000_000_000..).step_by(1234).zip(story) {
        state.apply(Timestamp::from_millis(at), kind);
    }
    JobRecord {
        job: Arc::new(Job { id, index, label: None, request, extras: vec![], row: ManifestRow::default() }),
        state,
    }
}

fn with(record: JobRecord, change: impl FnOnce(&mut Job)) -> JobRecord {
    let mut job = (*record.job).clone();
    change(&mut job);
    JobRecord { job: Arc::new(job), ..record }
}

fn failed(kind: FaultKind, message: &str) -> EventKind {
    Finished(Outcome::Failed(Fault::new(kind, message)))
}

fn task() -> EventKind {
    Accepted(TaskId("5075521".into()))
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn table(columns: &[&str], jobs: &[JobRecord]) -> String {
    written(ResultsFileFormat::Csv, columns, jobs)
}

fn written(format: ResultsFileFormat, columns: &[&str], jobs: &[JobRecord]) -> String {
    let mut results = Results::new(Vec::new(), format, "modelscope", &strings(columns), false).unwrap();
    for record in jobs {
        results.write(record, None).unwrap();
    }
    String::from_utf8(results.finish().unwrap()).unwrap()
}

fn lines_of(record: &JobRecord) -> String {
    table(&[], std::slice::from_ref(record)).split_once('\n').unwrap().1.to_owned()
}

#[test]
fn jobs_of_every_status_have_their_lines() {
    let full = with(
        record(
            1,
            "a golden cat",
            &[
                SubmitStarted,
                task(),
                Ready(vec![]),
                Finished(Outcome::Succeeded(vec![artifact("images/000001-a-golden-cat.png")])),
            ],
        ),
        |job| {
            job.label = Some("cat".into());
            job.request.negative_prompt = Some("blurry".into());
            job.request.size = Some(Size { width: 1024, height: 768 });
            job.request.seed = Some(42);
            job.request.steps = Some(30);
            job.request.guidance = Some(3.5);
        },
    );
    let two = artifact("images/000002-x.png");
    let two =
        vec![two.clone(), Artifact { file_name: "images/000002-x-2.jpg".into(), format: ImageFormat::Jpeg, ..two }];
    let lost = Fault::new(FaultKind::InDoubt, "connection reset while waiting for the answer");
    let jobs = [
        full,
        record(2, "x", &[SubmitStarted, task(), Finished(Outcome::Succeeded(two))]),
        record(3, "bad", &[SubmitStarted, failed(FaultKind::InvalidRequest, "no such model")]),
        record(4, "rude", &[SubmitStarted, task(), failed(FaultKind::Moderated, "inappropriate content")]),
        record(5, "lost", &[SubmitStarted, Setback(Stage::Submit, lost)]),
        record(6, "killed", &[SubmitStarted]),
        record(7, "new", &[]),
        record(8, "polled", &[SubmitStarted, task()]),
        record(9, "fetched", &[SubmitStarted, task(), Ready(vec![])]),
        record(10, "never sent", &[failed(FaultKind::Unauthorized, "the token is wrong")]),
    ];
    insta::assert_snapshot!(table(&[], &jobs));
}

#[test]
fn text_of_every_kind_comes_back_as_it_was() {
    let prompts =
        ["a, b", "say \"cat\"", "two\nlines\r\n", "一只金色的猫，高清 🐈", " spaces ", "=1+1", "", "\u{202e}\u{7}"];
    let jobs: Vec<JobRecord> = prompts.iter().zip(1..).map(|(prompt, index)| record(index, prompt, &[])).collect();
    let text = table(&[], &jobs);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let back: Vec<String> = reader.records().map(|record| record.unwrap()[4].to_owned()).collect();
    assert_eq!(back, prompts);
    insta::assert_snapshot!(lines_of(&jobs[0]), @r#"1,01010101010101010101,pending,,"a, b",,Qwen/Qwen-Image,,,,,modelscope,,0,,,,,,,,,,,0,0,,,"#);
    insta::assert_snapshot!(lines_of(&jobs[1]), @r#"2,02020202020202020202,pending,,"say ""cat""",,Qwen/Qwen-Image,,,,,modelscope,,0,,,,,,,,,,,0,0,,,"#);
}

#[test]
fn further_columns_follow_under_names_that_nothing_else_has() {
    let extras = [("status", "mine"), ("input_status", "also mine"), ("artist", "Ada, L."), ("input_seed", "7")];
    let job = with(record(1, "x", &[]), |job| {
        job.extras = extras.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    });
    let other = record(2, "y", &[]);
    let text = table(&["status", "input_status", "artist", "absent", "input_seed", "seed", "artist"], &[job, other]);
    let own = COLUMNS.join(",");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0].strip_prefix(&own),
        Some(",input_input_status,input_status,artist,absent,input_seed,input_input_seed,cost,row,currency")
    );
    assert!(lines[1].ends_with(",,0,0,mine,also mine,\"Ada, L.\",,7,,,,"), "{}", lines[1]);
    assert!(lines[2].ends_with(",,0,0,,,,,,,,,"), "{}", lines[2]);
}

#[test]
fn as_json_the_same_columns_have_types_and_the_request_has_its_lists() {
    let job = with(
        record(
            7,
            "say \"cat\"\n猫 🐈",
            &[SubmitStarted, task(), Finished(Outcome::Succeeded(vec![artifact("images/7.png")]))],
        ),
        |job| {
            job.request.seed = Some(u64::MAX);
            job.request.guidance = Some(4.0);
            job.request.image_url = vec!["https://a/b.png".into()];
            job.request.params = [("tiles".to_owned(), Json("[1,2]".into()))].into();
            job.extras = vec![("params".into(), "mine".into()), ("score".into(), "7".into())];
        },
    );
    let mut results =
        Results::new(Vec::new(), ResultsFileFormat::Jsonl, "modelscope", &strings(&["params", "score"]), true).unwrap();
    for record in [job, record(8, "new", &[])] {
        results.write(&record, None).unwrap();
    }
    let text = String::from_utf8(results.finish().unwrap()).unwrap();
    insta::assert_snapshot!(text, @r#"
    {"index":7,"id":"07070707070707070707","status":"succeeded","file_name":"images/7.png","prompt":"say \"cat\"\n猫 🐈","negative_prompt":null,"model":"Qwen/Qwen-Image","size":null,"seed":18446744073709551615,"steps":null,"guidance":4.0,"provider":"modelscope","task_id":"5075521","attempts":1,"submitted_at":"2027-01-15T08:00:00.000Z","finished_at":"2027-01-15T08:00:02.468Z","seconds":2.468,"width":64,"height":48,"bytes":1000,"format":"png","sha256":"abababababababababababababababababababababababababababababababab","error_code":null,"error":null,"submits_in_doubt":0,"tasks_lost":0,"image_url":["https://a/b.png"],"loras":null,"params":{"tiles":[1,2]},"input_params":"mine","score":"7","cost":null,"row":7,"currency":null}
    {"index":8,"id":"08080808080808080808","status":"pending","file_name":null,"prompt":"new","negative_prompt":null,"model":"Qwen/Qwen-Image","size":null,"seed":null,"steps":null,"guidance":null,"provider":"modelscope","task_id":null,"attempts":0,"submitted_at":null,"finished_at":null,"seconds":null,"width":null,"height":null,"bytes":null,"format":null,"sha256":null,"error_code":null,"error":null,"submits_in_doubt":0,"tasks_lost":0,"image_url":null,"loras":null,"params":null,"input_params":null,"score":null,"cost":null,"row":8,"currency":null}
    "#);
}

#[test]
fn no_two_columns_share_a_name() {
    let mut columns = strings(&COLUMNS);
    columns.extend(COLUMNS.iter().map(|name| format!("input_{name}")));
    columns.extend(strings(&["input_input_index", "x", "x", ""]));
    let text = table(&columns.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let mut names: Vec<&str> = text.trim_end().split(',').collect();
    let n_names = names.len();
    assert_eq!(n_names, COLUMNS.len() * 3 + 3 + LAST_COLUMNS.len());
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), n_names);
}

/// Goal: the column `cost` adds up and comes after all others. Method: a job with two images, a job without one, and a
/// manifest with a column of that name.
#[test]
fn the_cost_of_a_job_stands_in_its_first_line_behind_all_columns() {
    let two = vec![artifact("images/1.png"), artifact("images/1-2.png")];
    let mut two = record(1, "x", &[SubmitStarted, task(), Finished(Outcome::Succeeded(two))]);
    Arc::make_mut(&mut two.job).extras = vec![("cost".into(), "mine".into())];
    let moderated = record(2, "y", &[SubmitStarted, task(), failed(FaultKind::Moderated, "")]);
    let mut results =
        Results::new(Vec::new(), ResultsFileFormat::Csv, "modelscope", &strings(&["cost"]), false).unwrap();
    results.write(&two, Some(&"0.04 USD".parse().unwrap())).unwrap();
    results.write(&moderated, Some(&"2 USD".parse().unwrap())).unwrap();
    results.write(&record(3, "z", &[]), None).unwrap();
    let text = String::from_utf8(results.finish().unwrap()).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(names[COLUMNS.len()..], ["input_cost", "cost", "row", "currency"]);
    let last = |record: &csv::StringRecord| [4, 3, 1].map(|back| record[record.len() - back].to_owned());
    let cells: Vec<[String; 3]> = reader.records().map(|record| last(&record.unwrap())).collect();
    let expected = [["mine", "0.04", "USD"], ["mine", "", ""], ["", "2", "USD"], ["", "", ""]];
    assert_eq!(cells, expected.map(|cells| cells.map(str::to_owned)));
}

/// Goal: a manifest's own column `currency` or `row` keeps its name and its values.
#[test]
fn our_currency_gives_way_to_that_of_the_manifest() {
    let mut own = record(1, "x", &[SubmitStarted, task()]);
    Arc::make_mut(&mut own.job).extras = vec![("currency".into(), "JPY".into())];
    let columns = strings(&["currency"]);
    let mut results = Results::new(Vec::new(), ResultsFileFormat::Csv, "modelscope", &columns, true).unwrap();
    results.write(&own, Some(&"2 USD".parse().unwrap())).unwrap();
    let text = String::from_utf8(results.finish().unwrap()).unwrap();
    let (header, line) = text.split_once('\n').unwrap();
    assert!(header.ends_with(",currency,cost,row") && line.trim_end().ends_with(",JPY,2,1"), "{text}");
}

#[test]
fn a_job_in_doubt_is_not_explained_by_an_older_fault() {
    let old = Fault::new(FaultKind::Throttled { retry_after: None }, "too many requests");
    let line = lines_of(&record(1, "x", &[SubmitStarted, Setback(Stage::Submit, old), SubmitStarted]));
    assert!(line.contains(",in_doubt,the response to the submission was lost") && !line.contains("too many"), "{line}");
}

#[test]
fn times_are_rfc_3339_in_utc_to_the_millisecond() {
    let table = [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000_007, "2027-01-15T08:00:00.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, ""),
        (i64::MAX, ""),
        (i64::MIN, ""),
    ];
    for (millis, text) in table {
        assert_eq!(rfc3339(Timestamp::from_millis(millis)), text, "{millis}");
    }
}

fn names_in(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("results.csv");
    let before = table(&[], &[]);
    fs::write(&path, &before).unwrap();
    let mut writer = ResultsWriter::create(&path, ResultsFileFormat::Csv, false, "modelscope", &[], false).unwrap();
    let jobs: Vec<JobRecord> = (1..=200).map(|index| record(index, &"long ".repeat(100), &[])).collect();
    for record in &jobs {
        writer.write(record, None).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), before, "until the end");
    writer.finish().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), table(&[], &jobs));
    assert_eq!(names_in(&out), ["results.csv"]);
}

/// Goal: results are recognised, and nothing else is. Method: results of every format as they are written, and after a
/// spreadsheet added a byte order mark; then files that resemble them.
#[test]
fn only_results_are_replaced_by_results() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("results");
    let is_replaced = |text: &str| {
        fs::write(&path, text).unwrap();
        check(&path).is_ok()
    };
    let jobs = [record(1, "a cat", &[])];
    let [csv, guarded, jsonl] = [ResultsFileFormat::Csv, ResultsFileFormat::GuardedCsv, ResultsFileFormat::Jsonl]
        .map(|format| written(format, &["note"], &jobs));
    for ours in ["", &csv, &format!("\u{feff}{csv}"), &guarded, &jsonl] {
        assert!(is_replaced(ours), "{ours}");
    }
    for other in ["index,id,status\n1,a,done\n", "id;index\n", "{\"index\":1,\"text\":\"x\"}\n", "notes", "\u{feff}"] {
        assert!(!is_replaced(other), "{other}");
    }
}

#[test]
fn a_writer_dropped_unfinished_leaves_nothing() {
    let out = TempDir::new().unwrap();
    let mut writer =
        ResultsWriter::create(&out.path().join("results.csv"), ResultsFileFormat::Csv, false, "modelscope", &[], true)
            .unwrap();
    writer.write(&record(1, "x", &[]), None).unwrap();
    assert_eq!(names_in(&out).len(), 1);
    drop(writer);
    assert_eq!(names_in(&out), [""; 0]);
}

/// Goal: no link redirects the results out of their folder. Method: create links at the file's name and at every
/// temporary name.
#[cfg(unix)]
#[test]
fn links_are_replaced_and_not_followed() {
    let (out, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let path = out.path().join("results.csv");
    let partials = (0..500).map(|n| format!(".results.csv.partial-{}-{n}", std::process::id()));
    for name in partials.chain(["results.csv".to_owned()]) {
        std::os::unix::fs::symlink(elsewhere.path().join(&name), out.path().join(&name)).unwrap();
    }
    ResultsWriter::create(&path, ResultsFileFormat::Csv, false, "modelscope", &[], true).unwrap().finish().unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert_eq!(names_in(&elsewhere), [""; 0]);
    assert_eq!(names_in(&out).len(), 500, "one link has become the file");
}

#[test]
fn two_writers_at_once_do_not_meet() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("results.csv");
    let mut writers = ["one", "two"]
        .map(|provider| ResultsWriter::create(&path, ResultsFileFormat::Csv, false, provider, &[], true).unwrap());
    for writer in &mut writers {
        writer.write(&record(1, "x", &[]), None).unwrap();
    }
    let [one, two] = writers;
    two.finish().unwrap();
    one.finish().unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains(",one,"), "the last one stays, whole");
    assert_eq!(names_in(&out), ["results.csv"]);
}

#[test]
fn what_a_killed_process_left_is_cleared_away_when_it_is_old() {
    let out = TempDir::new().unwrap();
    let leave = |name: &str, age: u64| {
        let file = fs::File::create(out.path().join(name)).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(age)).unwrap();
    };
    leave(".results.csv.partial-1-0", 0);
    leave(".other.csv.partial-1-0", 0);
    leave(".results.csv.partial-2-0", u64::from(u32::MAX));
    drop(
        ResultsWriter::create(&out.path().join("results.csv"), ResultsFileFormat::Csv, false, "modelscope", &[], true)
            .unwrap(),
    );
    assert_eq!(names_in(&out), [".other.csv.partial-1-0", ".results.csv.partial-2-0"]);
}

#[test]
fn an_error_names_the_file() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("absent/results.csv");
    let error =
        ResultsWriter::create(&path, ResultsFileFormat::Csv, false, "modelscope", &[], true).err().unwrap().to_string();
    assert!(error.starts_with(&format!("could not write {}: ", path.display())), "{error}");
    assert!(error.ends_with("; nothing is lost, write it again with `promptbatch results`"), "{error}");

    let folder = out.path().join("results.csv");
    fs::create_dir(&folder).unwrap();
    let writer = ResultsWriter::create(&folder, ResultsFileFormat::Csv, false, "modelscope", &[], true);
    assert!(writer.is_err(), "a folder is not replaced");
    assert_eq!(names_in(&out), ["results.csv"], "and nothing else is left");
}
