//! Every manifest of the corpus against its snapshot: the drafts of a good one, the words about a bad one.
//!
//! A snapshot is the contract with those who read it. `INSTA_UPDATE=always cargo test --test manifests` writes them anew; look at
//! the difference before you keep it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use promptbatch::manifest::{self, Manifest, Mistake, Source};
use promptbatch::model::job::Draft;
use promptbatch::model::request::{Json, Lora, Request};

/// The manifests of one folder of the corpus, by name.
fn corpus(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(folder);
    let entries = fs::read_dir(folder).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    paths
}

fn source(path: &Path) -> Source {
    Source { path: path.to_owned(), default_model: Some("default/model".into()), ..Source::default() }
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file has a name").to_string_lossy().into_owned()
}

/// The draft as a reader would note it: what is there, and nothing of what is not.
fn note(draft: &Draft) -> String {
    // Taken apart, so that no field can be forgotten here.
    let Draft { label, request, extras } = draft;
    let Request { prompt, model, negative_prompt, size, seed, steps, guidance, image_url, loras, params } = request;
    let mut note = format!("{prompt:?}");
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(note, "\n    {name}: {value}").expect("memory can be written");
        }
    };
    let text = |text: &String| format!("{text:?}");
    add("id", label.as_ref().map(text));
    add("model", Some(model.clone()));
    add("negative_prompt", negative_prompt.as_ref().map(text));
    add("size", size.map(|size| size.to_string()));
    add("seed", seed.map(|seed| seed.to_string()));
    add("steps", steps.map(|steps| steps.to_string()));
    add("guidance", guidance.map(|guidance| guidance.to_string()));
    for url in image_url {
        add("image_url", Some(url.clone()));
    }
    for Lora { repo, weight } in loras {
        add("lora", Some(weight.map_or(repo.clone(), |weight| format!("{repo} x {weight}"))));
    }
    for (name, Json(text)) in params {
        add("param", Some(format!("{name} = {text}")));
    }
    for (column, text) in extras {
        add("carried", Some(format!("{column} = {text:?}")));
    }
    note
}

fn notes(manifest: &Manifest, path: &Path) -> String {
    let mut notes = format!("{} jobs, carried through: {:?}\n", manifest.n_jobs(), manifest.columns());
    for warning in manifest.warnings() {
        writeln!(notes, "warning: {}", at(warning, path)).expect("memory can be written");
    }
    for draft in manifest.drafts().expect("the file is the same") {
        let draft = draft.expect("the file is the same");
        writeln!(notes, "{}", note(&draft)).expect("memory can be written");
    }
    notes
}

fn at(mistake: &Mistake, path: &Path) -> String {
    mistake.at(Path::new(&name(path)))
}

#[test]
fn good_manifests_give_their_drafts() {
    for path in corpus("good") {
        let manifest = manifest::open(source(&path)).unwrap_or_else(|error| panic!("{error}"));
        insta::assert_snapshot!(format!("good_{}", name(&path)), notes(&manifest, &path));
    }
}

#[test]
fn bad_manifests_give_all_their_mistakes() {
    for path in corpus("bad") {
        let Err(error) = manifest::open(source(&path)) else { panic!("{} is taken for good", name(&path)) };
        let folder = format!("{}{}", path.parent().expect("it lies in a folder").display(), std::path::MAIN_SEPARATOR);
        insta::assert_snapshot!(format!("bad_{}", name(&path)), error.to_string().replace(&folder, ""));
        assert!(error.mistakes().iter().all(|mistake| !mistake.what.is_empty() && !mistake.remedy.is_empty()));
    }
}

/// Goal: what newcomers copy is right, and shows what it says it shows.
#[test]
fn the_example_is_a_good_manifest_without_warnings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prompts.yaml");
    let manifest =
        manifest::open(Source { path: path.clone(), ..Source::default() }).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifest.warnings(), []);
    insta::assert_snapshot!("example", notes(&manifest, &path));
}
