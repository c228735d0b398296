//! Tests of the options of a manifest: their precedence and their limits.

use super::*;

const LAYERED: &str = "defaults: {model: d/d, size: 64x64, steps: 10, params: {a: 1, b: 1, c: 1}, meta: {x: 1, y: 1}}\n\
                       prompts:\n\
                       - bare\n\
                       - {prompt: own, size: 128x128, params: {a: 3}, meta: {z: 3, x: 3}}\n";

fn set(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect()
}

fn layered(overrides: &[(&str, &str)]) -> Vec<Request> {
    requests(open_with("p.yaml", LAYERED.as_bytes(), |source| source.overrides = set(overrides)))
}

#[test]
fn an_entry_beats_the_defaults_of_the_manifest() {
    let told = layered(&[]);
    assert_eq!(told[0].size, "64x64".parse().ok());
    assert_eq!(told[1].size, "128x128".parse().ok());
    assert_eq!(told[1].steps, Some(10));
}

#[test]
fn an_override_beats_the_defaults_and_not_the_entry() {
    let told = layered(&[("size", "256x256"), ("model", "o/o"), ("seed", "4")]);
    assert_eq!(told[0].size, "256x256".parse().ok());
    assert_eq!(told[1].size, "128x128".parse().ok());
    assert_eq!(told[0].model, "o/o");
    assert_eq!(told[0].seed, Some(4));
}

#[test]
fn an_override_that_is_repeated_is_named_and_the_last_one_counts() {
    let overrides = [("seed", "3"), ("seed", "4")];
    let told =
        open_with("p.yaml", b"- a\n", |source| source.overrides = set(&overrides)).expect("the manifest is good");
    assert_eq!(told.drafts[0].request.seed, Some(4));
    assert_eq!(told.warnings.len(), 1, "{:?}", told.warnings);
}

#[test]
fn params_are_laid_over_each_other_name_by_name() {
    let told = layered(&[("params", r#"{"a": 2, "b": 2}"#)]);
    let params = |i: usize| told[i].params.iter().map(|(name, json)| format!("{name}={}", json.0)).collect::<Vec<_>>();
    assert_eq!(params(0), ["a=2", "b=2", "c=1"]);
    assert_eq!(params(1), ["a=3", "b=2", "c=1"]);
}

#[test]
fn extras_of_the_defaults_come_first_with_the_text_of_the_entry() {
    let told = yaml(LAYERED).expect("the manifest is good");
    let pairs = |i: usize| {
        told.drafts[i].extras.iter().map(|(column, text)| format!("{column}={text}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(pairs(0), "x=1 y=1");
    assert_eq!(pairs(1), "x=3 y=1 z=3");
    assert_eq!(told.columns, ["x", "y", "z"]);
}

#[test]
fn the_default_model_comes_last() {
    let model = |text: &str, overrides: &[(&str, &str)]| {
        requests(open_with("p.yaml", text.as_bytes(), |source| source.overrides = set(overrides)))[0].model.clone()
    };
    assert_eq!(model("- a\n", &[]), MODEL);
    assert_eq!(model("{defaults: {model: d/d}, prompts: [a]}", &[]), "d/d");
    assert_eq!(model("{defaults: {model: d/d}, prompts: [a]}", &[("model", "o/o")]), "o/o");
    assert_eq!(model("[{prompt: a, model: e/e}]", &[("model", "o/o")]), "e/e");
}

#[test]
fn without_any_model_one_mistake_says_so_for_all() {
    let told = |name, text: &str| open_with(name, text.as_bytes(), |source| source.default_model = None);
    let remedy = "give it a `model`, or all of them: under `defaults:` (YAML) or with --set model=ORG/NAME";
    assert_eq!(
        told("p.csv", "prompt,model\na,\nb,x/y\nc,\n"),
        Err(vec![format!("p:2: 2 entries have no model, the first of them here; {remedy}")])
    );
    assert_eq!(told("p.yaml", "- {}\n- a\n").map_err(|told| told.len()), Err(2));
    assert_eq!(told("p.yml", "- a\n"), Err(vec![format!("p:1: this entry has no model; {remedy}")]));
    assert_eq!(
        told("p.yaml", "- {prompt: a, model: 7}\n"),
        Err(vec!["p:1: `model` is the number 7, not text; put it in quotes: model: \"7\"".to_owned()]),
        "a wrong model is not a missing one"
    );
}

#[test]
fn a_model_of_another_form_is_warned_of_once() {
    let told = csv("prompt,model\na,foo\nb,foo\nc,a/b/c\nd,x/y\n").expect("odd models are allowed");
    let check = "check its name, for example Qwen/Qwen-Image, or keep a column of your own with --carry model";
    assert_eq!(
        told.warnings,
        [
            format!("p:2: the model `foo` is not of the form org/name; {check}"),
            format!("p:4: the model `a/b/c` is not of the form org/name; {check}"),
        ]
    );
}

#[test]
fn an_odd_model_of_the_defaults_is_warned_of_where_it_is_given() {
    let text = "prompts: [a, {prompt: b, model: x/y}]\ndefaults: {model: foo}\n";
    let told = yaml(text).expect("odd models are allowed");
    assert!(told.warnings.len() == 1 && told.warnings[0].starts_with("p:2: the model `foo` is not"), "{told:?}");
    let told = open_with("p.yaml", b"- a\n", |source| source.default_model = Some("foo".into()));
    let warnings = told.expect("odd models are allowed").warnings;
    assert!(warnings.len() == 1 && warnings[0].starts_with("command line: the model `foo` is not"), "{warnings:?}");
}

#[test]
fn a_wrong_model_of_the_defaults_is_no_missing_one() {
    let told = open_with("p.yaml", b"defaults: {model: 7}\nprompts: [a]\n", |source| source.default_model = None);
    let mistake = "p:1: `model` is the number 7, not text; put it in quotes: model: \"7\"";
    assert_eq!(told, Err(vec![mistake.to_owned()]));
}

#[test]
fn overrides_that_cannot_be_used_are_refused() {
    for (field, value, mistake) in [
        ("sise", "64x64", "--set names the unknown field `sise`; did you mean `size`?"),
        (
            "colour",
            "red",
            "--set names the unknown field `colour`; the fields are negative_prompt, provider, model, size, seed, steps, guidance, \
             image_url, loras, n, params",
        ),
        (
            "prompt",
            "a",
            "--set prompt would give all entries the same `prompt`; write it in the manifest, entry by entry",
        ),
        ("id", "a", "--set id would give all entries the same `id`; write it in the manifest, entry by entry"),
        ("size", "1024", "`size` is `1024`, not WIDTHxHEIGHT; write 1024x1024"),
        ("steps", "", "`steps` is ``, not a whole number; write a whole number from 1 to 100"),
    ] {
        let told = open_with("p.yaml", b"- a\n", |source| source.overrides = set(&[(field, value)]));
        assert_eq!(told, Err(vec![format!("command line: {mistake}")]));
    }
}

#[test]
fn a_default_model_that_is_none_is_refused() {
    let told = open_with("p.yaml", b"- a\n", |source| source.default_model = Some(" ".into()));
    assert!(told.is_err_and(|told| told[0].starts_with("command line: `model` is empty; ")));
}

#[test]
fn the_columns_of_prompt_and_id_can_be_named() {
    let text = "caption,prompt,key,id\na cat,ignored,k1,i1\n";
    let told = open_with("p.csv", text.as_bytes(), |source| {
        source.prompt_column = Some(" caption ".into());
        source.id_column = Some("key".into());
    })
    .expect("the table is good");
    assert_eq!(told.drafts[0].request, a_cat());
    assert_eq!(told.drafts[0].label.as_deref(), Some("k1"));
    assert_eq!(told.columns, ["prompt", "id"], "what is not the prompt is carried through");
}

#[test]
fn columns_that_are_not_there_are_refused() {
    let told = |prompt: Option<&str>, id: Option<&str>| {
        open_with("p.csv", b"caption,key\na,b\n", |source| {
            source.prompt_column = prompt.map(Into::into);
            source.id_column = id.map(Into::into);
        })
        .expect_err("a column is missing")
    };
    assert_eq!(
        told(Some("captoin"), Some("nr")),
        [
            "p:1: no column is called `captoin`, which --prompt-col names; did you mean `caption`?",
            "p:1: no column is called `nr`, which --id-col names; the header has `caption`, `key`",
        ]
    );
}

#[test]
fn a_yaml_manifest_has_no_columns_to_name() {
    let told = open_with("p.yaml", b"- a\n", |source| source.id_column = Some("key".into()));
    let mistake = "command line: --id-col names a column, and a YAML manifest has none; \
                   name the field `id` in the manifest, and leave --id-col out";
    assert_eq!(told, Err(vec![mistake.to_owned()]));
}
