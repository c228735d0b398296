//! Tests of vars, list files and the dynamic syntax in whole manifests.

use super::*;

/// Opens a manifest with other files in the same folder.
fn open_beside(text: &str, files: &[(&str, &str)]) -> Result<Told, Vec<String>> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, text) in files.iter().chain(&[("p.yaml", text)]) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder can be made there");
        fs::write(path, text).expect("a file can be written there");
    }
    let path = folder.path().join("p.yaml");
    let sentences = |mistakes: &[Diagnostic]| mistakes.iter().map(|mistake| mistake.at(Path::new("p"))).collect();
    let source = Source { path, default_model: Some(MODEL.into()), ..Source::default() };
    let manifest = open(source).map_err(|error| sentences(error.mistakes()))?;
    let drafts: Vec<JobSpec> =
        manifest.drafts().expect("the file is still there").map(|draft| draft.expect("and the same")).collect();
    Ok(Told { drafts, columns: manifest.columns().to_vec(), warnings: sentences(manifest.warnings()) })
}

#[test]
fn vars_stand_in_prompts_negative_prompts_and_ids() {
    let text = "vars: {animal: [cat, dog]}\nprompts:\n- {prompt: 'a {animal}', negative_prompt: 'no {animal}s', id: 'x-{animal}'}";
    let told = yaml(text).expect("it is good");
    let all: Vec<_> = told
        .drafts
        .iter()
        .map(|draft| (&*draft.request.prompt, draft.request.negative_prompt.as_deref(), draft.label.as_deref()))
        .collect();
    assert_eq!(
        all,
        [("a cat", Some("no cats"), Some("x-cat")), ("a dog", Some("no dogs"), Some("x-dog"))],
        "and each time the same"
    );
}

#[test]
fn vars_are_columns_of_the_results() {
    let told = yaml("vars: {b: [1, 2], a: x}\nprompts: ['{b} {a}', {prompt: '{a}', meta: {a: own}}, plain]");
    let told = told.expect("it is good");
    assert_eq!(told.columns, ["a", "b"]);
    assert_eq!(told.drafts[0].extras, [("a".to_owned(), "x".to_owned()), ("b".to_owned(), "1".to_owned())]);
    assert_eq!(told.drafts[2].extras, [("a".to_owned(), "own".to_owned())], "what the prompt says itself stays");
    assert_eq!(told.drafts[3].extras, []);
}

#[test]
fn braces_stand_for_themselves_where_there_are_no_vars() {
    for text in
        ["- {prompt: 'a {cat} }{ {{x}}', syntax: plain}", "syntax: plain\nvars: {}\nprompts: ['a {cat} }{ {{x}}']"]
    {
        assert_eq!(prompts(yaml(text)), ["a {cat} }{ {{x}}"], "{text}");
    }
    let doubled = "vars: {a: 1}\nprompts: ['{{\"k\": {a}}} }}']";
    assert_eq!(prompts(yaml(doubled)), ["{\"k\": 1} }"]);
}

#[test]
fn a_prompt_is_made_for_the_vars_that_it_names_only() {
    let text = "vars: {a: [1, 2, 3], b: [x, y]}\nprompts: [{prompt: ['{a}', '{b}', '{a}{b}']}]";
    assert_eq!(prompts(yaml(text)), ["1", "2", "3", "x", "y", "1x", "1y", "2x", "2y", "3x", "3y"]);
}

#[test]
fn own_vars_come_before_those_of_all() {
    let text = "vars: {a: [1, 2]}\nprompts: ['{a}', {prompt: '{a}{b}', vars: {a: z, b: '7..8'}}]";
    assert_eq!(prompts(yaml(text)), ["1", "2", "z7", "z8"]);
}

#[test]
fn numbers_are_written_as_their_author_sees_them() {
    let text = "vars: {a: [012, 1e3, 0x1F, 1.50, 007, 2024-01-01]}\nprompts: ['{a}']";
    assert_eq!(prompts(yaml(text)), ["012", "1e3", "0x1F", "1.50", "007", "2024-01-01"]);
}

#[test]
fn lines_of_a_file_are_values() {
    let files =
        [("animals.txt", "\u{feff}cat\r\n# not this\r\n\r\n  two spaces  \r\n"), ("sub/sizes.txt", "64x64\n128x64")];
    let text = "vars: {a: {from: animals.txt}}\nprompts: [{prompt: '[{a}]', size: {from: sub/sizes.txt}}]";
    let told = open_beside(text, &files).expect("it is good");
    assert_eq!(told.drafts.len(), 4);
    assert_eq!(told.drafts[3].request.prompt, "[  two spaces  ]");
    let told = open_beside("- {prompt: {from: animals.txt}}", &files).expect("it is good");
    assert_eq!(told.drafts.len(), 2, "prompts too");
}

#[test]
fn files_that_are_not_there_are_told_once() {
    assert_eq!(
        open_beside("- {prompt: {from: animal.txt}}", &[("animals.txt", "cat")]),
        Err(vec!["p:1: list not found: `animal.txt`; did you mean `animals.txt`?".to_owned()])
    );
    let told = open_beside("vars: {a: {from: 7}}\nprompts: ['{a}']", &[]).expect_err("7 is no file");
    assert_eq!(
        told,
        [
            "p:1: `from` is the number 7, not the name of a file; write the name of a text file with one value per line, such as `{from: animals.txt}`"
        ]
    );
}

/// Goal: a list file is a part of its manifest. Method: change the list between two passes, and compare the fingerprints.
#[test]
fn a_list_that_was_changed_is_a_changed_manifest() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let [path, list] = ["p.yaml", "animals.txt"].map(|name| folder.path().join(name));
    fs::write(&path, "- {prompt: {from: animals.txt}}").expect("a file can be written there");
    fs::write(&list, "cat\n").expect("a file can be written there");
    let source = Source { path, default_model: Some(MODEL.into()), ..Source::default() };
    let manifest = open(source.clone()).expect("it is good");
    assert!(fingerprint(&source).is_err(), "what is in the list is not known before the manifest is read");
    fs::write(&list, "dog\n").expect("a file can be written there");
    let end = manifest.drafts().expect("the manifest is the same").last();
    assert!(matches!(end, Some(Err(ManifestError::Changed { .. }))), "{end:?}");
    assert_ne!(open(source).expect("it is good").fingerprint(), manifest.fingerprint());
}

#[test]
fn the_syntax_of_dynamic_prompts_is_read_where_it_is_asked_for() {
    let files = [("wildcards/style.txt", "oil\n{pen|brush} and ink\n"), ("wildcards/a/b.txt", "x\n")];
    let text = "syntax: dynamic\nprompts: ['a {red|blue} cat, __style__', {prompt: '{a|b}', syntax: plain}]";
    let told = open_beside(text, &files).expect("it is good");
    let all: Vec<_> = told.drafts.iter().map(|draft| draft.request.prompt.as_str()).collect();
    assert_eq!(
        all,
        [
            "a red cat, oil",
            "a red cat, pen and ink",
            "a red cat, brush and ink",
            "a blue cat, oil",
            "a blue cat, pen and ink",
            "a blue cat, brush and ink",
            "{a|b}",
        ]
    );
}

#[test]
fn a_sample_draws_from_dynamic_prompts() {
    let text = "- {prompt: '{a|b|c} {1|2|3}', syntax: dynamic, expand: {sample: 4, seed: 1}}";
    let all = prompts(yaml(text));
    assert_eq!(all.len(), 4);
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "none twice: {all:?}");
}

#[test]
fn what_is_wrong_with_vars_is_told_where_it_is() {
    assert_mistakes(
        yaml,
        &[
            (
                "vars: {animal: cat}\nprompts:\n- a {animl}\n- '{animal} {'\n",
                &[
                    "p:3: no var is called `animl`; did you mean `animal`? write `{{animl}}` for literal braces",
                    "p:4: a `{` is never closed; write `{{` for a literal brace",
                ],
            ),
            (
                "vars: {a: [true, null, []]}\nprompts: ['{a}']",
                &[
                    "p:1: a value of the var `a` is a list, not text; write one text; put it in quotes if it is meant to be text",
                    "p:1: a value of the var `a` is `true`, not text; write one text; put it in quotes if it is meant to be text",
                    "p:1: a value of the var `a` is null, not text; write one text; put it in quotes if it is meant to be text",
                ],
            ),
            (
                "vars: [a]\nprompts: [b]",
                &["p:1: `vars` is a list, not a map; write names and values below it, such as `animal: [cat, dog]`"],
            ),
            (
                "vars: {a b: 1}\nprompts: [b]",
                &["p:1: the var `a b` has a character that is not allowed in names; use letters, digits, `_` and `-`"],
            ),
            (
                "vars: {a: []}\nprompts: ['{a}']",
                &["p:1: the var `a` is an empty list; write at least one value, or remove `a`"],
            ),
            (
                "vars: {a: ['', b]}\nprompts: ['{a}']",
                &["p:2: `prompt` is empty; describe the image, or remove the entry"],
            ),
        ],
    );
}

#[test]
fn vars_that_nothing_names_are_told() {
    let told = yaml("vars: {a: 1, b: 2}\nprompts: ['{a}', {prompt: x, vars: {c: 3}}]").expect("it is good");
    assert_eq!(
        told.warnings,
        [
            "p:1: no prompt uses the var `b`; write {b} in a prompt, or remove `b`",
            "p:2: no prompt uses the var `c`; write {c} in a prompt, or remove `c`",
        ]
    );
}

#[test]
fn a_var_that_only_one_of_its_own_name_hides_is_named_by_nothing() {
    let told = yaml("vars: {a: 1}\nprompts: [{prompt: '{a}', vars: {a: 2}}]").expect("it is good");
    assert_eq!(told.warnings, ["p:1: no prompt uses the var `a`; write {a} in a prompt, or remove `a`"]);
}

#[test]
fn ids_with_vars_are_unique_too() {
    let text = "vars: {a: [x, y]}\nprompts: [{prompt: '{a}', id: 'i-{a}'}, {prompt: z, id: i-y}]";
    assert_eq!(
        yaml(text),
        Err(vec!["p:2: the id `i-y` is also used by line 2; give one of them another id".to_owned()])
    );
}

#[test]
fn the_price_and_the_order_are_read() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("p.yaml");
    let text = "price: {unit: magicube, per_image: {a/b: 2, c/d: 0.5}}\nshuffle: 7\nprompts: [x]";
    fs::write(&path, text).expect("a file can be written there");
    let manifest = open(Source { path, default_model: Some(MODEL.into()), ..Source::default() }).expect("it is good");
    assert_eq!(manifest.price().and_then(|price| price.of("c/d", None)), Some(0.5));
    assert_eq!(manifest.shuffle(), Some(7));
    assert_mistakes(
        yaml,
        &[
            (
                "price: 2\nshuffle: yes\nprompts: [x]",
                &[
                    "p:1: `price` is the number 2, not a map; write `price: {unit: magicube, per_image: 2}`, or numbers by model below `per_image:`",
                    "p:2: `shuffle` is `yes`, not a whole number; write any number from 0 up: the same number gives the same order",
                ],
            ),
            (
                "price: {unit: x, per_image: -1, of: 2}\nprompts: [x]",
                &[
                    "p:1: `per_image` of `price` is the number -1; write `price: {unit: magicube, per_image: 2}`, or numbers by model below `per_image:`",
                    "p:1: `price` holds the unknown field `of`; write `price: {unit: magicube, per_image: 2}`, or numbers by model below `per_image:`",
                ],
            ),
        ],
    );
}

/// Goal: what all entries share is checked, whichever of them needs it first. Method: a var with a mistake, and a first entry that is
/// skipped or not.
#[test]
fn a_skipped_entry_hides_no_mistake_of_the_others() {
    let mistakes = |first: &str| {
        let text = format!("{{syntax: dynamic, vars: {{a: ['{{x|y']}}, prompts: [{first}, '{{a}} two']}}");
        yaml(&text).map(|_| ()).unwrap_err()
    };
    let told = mistakes("'{a} one'");
    assert!(!told.is_empty());
    assert_eq!(mistakes("{prompt: '{a} one', skip: yes}"), told);
    let long = "x".repeat(201);
    for skip in ["no", "yes"] {
        let text =
            format!("[{{prompt: one, skip: {skip}, meta: {{{long}: 1}}}}, {{prompt: two, meta: {{{long}: 1}}}}]");
        assert!(yaml(&text).is_err(), "the name of a column is the same for all");
    }
}
