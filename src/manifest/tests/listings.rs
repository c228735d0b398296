//! Tests of listings: a listing that is read back gives the same jobs with the same ids.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::manifest::fields::synonyms;
use crate::model::choice::JobChoice;
use crate::model::job::JobId;
use crate::model::request::ContentHash;
use crate::test_effort::cases;

/// Returns all jobs of a file with this name, and its listing in both formats.
fn listed(name: &str, text: &[u8]) -> (Vec<JobSpec>, [Vec<u8>; 2]) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file can be written there");
    let source = Source { path, default_model: Some(MODEL.into()), is_verbatim: true, ..Source::default() };
    let manifest = open(source).unwrap_or_else(|error| panic!("{error}"));
    let drafts = manifest.drafts().expect("the file is the same").map(|draft| draft.expect("and stays so")).collect();
    let lists = [Listing::Csv, Listing::Jsonl].map(|listing| {
        let mut out = Vec::new();
        list(&manifest, &JobChoice::default(), listing, &mut out).expect("memory can be written");
        out
    });
    (drafts, lists)
}

/// Returns the ids that the ledger assigns to these jobs, in their order.
fn ids(drafts: &[JobSpec]) -> Vec<JobId> {
    let mut occurrences: BTreeMap<[u8; 32], u32> = BTreeMap::new();
    let mut id = |content: ContentHash| {
        let occurrence = occurrences.entry(*content.bytes()).or_default();
        *occurrence += 1;
        JobId::new(&content, *occurrence - 1)
    };
    drafts.iter().map(|draft| id(draft.request.content())).collect()
}

/// Sorts the passthrough values of a job by name, because a listing has one column order for all jobs.
fn in_order(draft: &JobSpec) -> JobSpec {
    let mut draft = draft.clone();
    draft.extras.sort();
    // Removes empty values, because an empty cell of a table means no value.
    draft.extras.retain(|(_, text)| !text.is_empty());
    // A listing has a row for each job.
    draft.row.number = None;
    draft
}

fn assert_same(name: &str, text: &[u8]) {
    let (drafts, lists) = listed(name, text);
    for (list, name) in lists.iter().zip(["p.csv", "p.jsonl"]) {
        let (again, _) = listed(name, list);
        let both = [&drafts, &again].map(|drafts| drafts.iter().map(in_order).collect::<Vec<_>>());
        assert_eq!(both[0], both[1], "{name}: {}", String::from_utf8_lossy(list));
        assert_eq!(ids(&drafts), ids(&again));
    }
}

/// Goal: a listing needs no option to be read. Method: columns that are refused without one, in a table and under `meta`.
#[test]
fn columns_that_mean_a_parameter_elsewhere_come_back() {
    let wanted = [("cfg", "5"), ("height", "512"), ("style", "ink"), ("width", "768")];
    let text = b"- {prompt: a cat, meta: {cfg: 5, height: 512, style: ink, width: 768}}\n";
    let (drafts, lists) = listed("p.yaml", text);
    for (list, name) in lists.iter().zip(["p.csv", "p.jsonl"]) {
        let (again, _) = listed(name, list);
        let extras = again[0].extras.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let extras: BTreeMap<_, _> = extras.collect();
        assert_eq!(extras, wanted.into(), "{name}");
        assert_eq!(in_order(&again[0]), in_order(&drafts[0]));
    }
}

#[test]
fn a_list_has_the_columns_that_its_jobs_need() {
    let (_, [csv, jsonl]) = listed(
        "p.yaml",
        b"vars: {animal: [cat, dog]}\nprompts: [{prompt: 'a {animal}', seed: 1..2, n: 1}, {prompt: x}]",
    );
    assert_eq!(
        String::from_utf8(csv).unwrap(),
        "prompt,model,seed,animal\na cat,Qwen/Qwen-Image,1,cat\na cat,Qwen/Qwen-Image,2,cat\n\
         a dog,Qwen/Qwen-Image,1,dog\na dog,Qwen/Qwen-Image,2,dog\nx,Qwen/Qwen-Image,,\n"
    );
    assert_eq!(
        String::from_utf8(jsonl).unwrap().lines().next(),
        Some(r#"{"animal":"cat","model":"Qwen/Qwen-Image","prompt":"a cat","seed":1}"#)
    );
}

#[test]
fn every_field_comes_back() {
    assert_same(
        "p.yaml",
        b"- prompt: \"two\\nlines, \\\"quoted\\\"  \"\n  negative_prompt: ''\n  size: 64x128\n  seed: 0\n  steps: 100\n  guidance: 1.7\n\
          \x20 id: ' a b '\n  n: 3\n  image_url: ['https://a/b.png', 'data:image/png;base64,AAAA']\n  loras: {a/b: 0.3, c/d: 0.7}\n\
          \x20 params: {scheduler: euler, deep: {list: [1, null, 2.5]}}\n  meta: {style: ink}\n\
          - {prompt: x, loras: a/b, model: c/d}\n- {prompt: x, loras: {a/b: 1.0}}\n- '[not a list]'\n- '1..8'\n- '{\"k\": 1}'\n",
    );
}

#[test]
fn what_is_carried_through_is_never_taken_for_a_field() {
    assert_same(
        "p.yaml",
        b"- {prompt: x, meta: {seed: five, Prompt: p, 'negative prompt': n, meta: m, expand: zip, ' spaced ': s, '': e, n: '3', tab: \"a\\rb\"}}\n\
          - {prompt: y, meta: {tab: plain, vars: v, syntax: dynamic, style: '{\"a\": 1}'}}\n",
    );
    assert_same(
        "p.jsonl",
        br#"{"prompt": "x", "meta": {"id": 7, "model": "m"}, "expand": "as text", "include": [{"class": "bench"}]}"#,
    );
    assert_same("p.csv", b"prompt,meta,model \nx,words,a/b\ny,\"{\"\"seed\"\": \"\"s\"\"}\",\n");
}

#[test]
fn grids_and_samples_come_back_as_their_jobs() {
    assert_same("p.yaml", b"defaults: {model: [a/b, c/d], seed: 1..3}\nprompts: [x, {prompt: [y, z], n: 1, expand: {sample: 4, seed: 2}}]");
    assert_same("p.yaml", b"- {prompt: '{a|b} {2$$c|d|e}', syntax: dynamic, n: 2}");
}

/// Generates any valid prompt.
fn prompt() -> impl Strategy<Value = String> {
    "[\\PC\n\t]{1,40}".prop_filter("it must say something", |text| {
        !text.trim().is_empty() && !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'))
    })
}

fn job() -> impl Strategy<Value = serde_json::Value> {
    let sizes = prop::option::of((64..=2048_u32, 64..=2048_u32).prop_map(|(w, h)| format!("{w}x{h}")));
    let name = "[a-zA-Z_ äß猫]{0,8}".prop_filter("it means nothing elsewhere", |name| synonyms::of(name).is_none());
    let extras = prop::collection::btree_map(name, "[\\PC\r\n\t]{0,12}", 0..4);
    let numbers =
        (prop::option::of(0..=2_147_483_647_u32), prop::option::of(1..=100_u32), prop::option::of(1.5..=20.0_f64));
    let texts = (prompt(), prop::option::of("[\\PC\n]{0,20}"), prop::option::of("[a-z0-9 猫-]{1,10}"));
    (texts, sizes, numbers, extras, 1..3_u32).prop_map(|((prompt, negative, model), size, (seed, steps, guidance), meta, n)| {
        let model = model.map(|model| format!("m/{}", model.trim()));
        let value = serde_json::json!({
            "prompt": prompt, "negative_prompt": negative, "model": model, "size": size, "seed": seed.map(|seed| seed / 2),
            "steps": steps, "guidance": guidance, "meta": meta, "n": n,
        });
        value
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(200)))]

    /// Goal: a listing is equivalent to its manifest. Method: random jobs as JSONL, written in both formats and read back.
    #[test]
    #[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
    fn any_jobs_come_back(jobs in prop::collection::vec(job(), 1..6)) {
        let text: String = jobs.iter().map(|job| job.to_string() + "\n").collect();
        assert_same("p.jsonl", text.as_bytes());
    }
}
