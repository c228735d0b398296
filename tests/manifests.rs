//! Snapshot tests of every manifest in the corpus: the jobs of a good one, the messages about a bad one.
//!
//! A snapshot is the contract with its readers. `INSTA_UPDATE=always cargo test --test manifests` writes the snapshots
//! again. Check the difference before you keep it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use boon::{Compiler, Schemas};
use promptbatch::manifest::diagnostics::Diagnostic;
use promptbatch::manifest::error::ManifestError;
use promptbatch::manifest::formats::format::Format;
use promptbatch::manifest::formats::{self, FORMATS};
use promptbatch::manifest::schema;
use promptbatch::manifest::source::Source;
use promptbatch::manifest::syntax::Syntax;
use promptbatch::manifest::{self, Manifest};
use promptbatch::model::job::JobSpec;
use promptbatch::model::request::{Json, Lora, Request};
use promptbatch::provider::default_provider::DEFAULT;
use serde_json::Value;

/// Returns the manifests of one folder of the corpus, by name.
fn corpus(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(folder);
    let entries = fs::read_dir(folder).expect("the corpus is there");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    // A subfolder holds files that manifests refer to.
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}

fn source(path: &Path) -> Source {
    Source {
        path: path.to_owned(),
        default_model: Some("default/model".into()),
        limits: Some(&DEFAULT.limits),
        ..Source::default()
    }
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file has a name").to_string_lossy().into_owned()
}

/// Formats the draft with the values that are set, and without all others.
fn note(draft: &JobSpec) -> String {
    // The patterns list every field, so that no field can be forgotten here.
    let JobSpec { label, request, extras, row } = draft;
    let Request { prompt, provider, model, negative_prompt, size, seed, steps, guidance, image_url, loras, params } =
        request;
    let mut note = format!("{prompt:?}");
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(note, "\n    {name}: {value}").expect("memory can be written");
        }
    };
    let text = |text: &String| format!("{text:?}");
    add("id", label.as_ref().map(text));
    add("provider", provider.as_ref().map(text));
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
    if row.is_skipped { format!("{note}\n    skipped") } else { note }
}

fn notes(manifest: &Manifest, path: &Path) -> String {
    let mut notes = format!("{} jobs, carried through: {:?}\n", manifest.n_jobs(), manifest.columns());
    for warning in manifest.warnings() {
        writeln!(notes, "warning: {}", at(warning, path)).expect("memory can be written");
    }
    for places in manifest.repeats().places() {
        writeln!(notes, "repeated: {}", places.words()).expect("memory can be written");
    }
    if manifest.skipped().n() > 0 {
        writeln!(notes, "skipped: {}", manifest.skipped().words()).expect("memory can be written");
    }
    for draft in manifest.drafts().expect("the file is the same") {
        let draft = draft.expect("the file is the same");
        writeln!(notes, "{}", note(&draft)).expect("memory can be written");
    }
    notes
}

fn at(mistake: &Diagnostic, path: &Path) -> String {
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

/// Opens a manifest and formats its jobs, or its mistakes.
fn outcome(source: Source) -> String {
    let (path, is_verbatim) = (source.path.clone(), source.is_verbatim);
    let words = match manifest::open(source) {
        Ok(manifest) => {
            let used = manifest.used_columns().iter().filter(|(title, field)| title != field);
            let used: Vec<_> = used.map(|(title, field)| format!("used: {title} as {field}\n")).collect();
            used.concat() + &notes(&manifest, &path)
        }
        Err(error) if error.mistakes().is_empty() => {
            format!("error: {error}\n").replace(&path.display().to_string(), &name(&path))
        }
        Err(error) => {
            let warnings = match &error {
                ManifestError::Mistakes { mistakes } => mistakes.warnings(),
                _ => &[],
            };
            let found = warnings.iter().map(|warning| format!("warning: {}\n", at(warning, &path)));
            let found = found.chain(error.mistakes().iter().map(|mistake| format!("error: {}\n", at(mistake, &path))));
            found.collect()
        }
    };
    assert!(!words.is_empty() || is_verbatim, "{} has no outcome", path.display());
    words
}

/// Reads a line of a case's options: the name of a file, then `verbatim`, `unique`, `fold-seeds`, `sheet NAME`, `encoding NAME`, `map COLUMN=FIELD`,
/// `carry COLUMN`, `syntax NAME` or `format NAME`.
fn with_options(folder: &Path, line: &str) -> Source {
    let mut words = line.split(' ');
    let mut source = source(&folder.join(words.next().expect("a line has a name")));
    while let Some(option) = words.next() {
        let mut value = || words.next().expect("the option has a value");
        match option {
            "verbatim" => source.is_verbatim = true,
            "unique" => source.is_unique = true,
            "fold-seeds" => source.is_folding_seeds = true,
            "sheet" => source.sheet = Some(value().to_owned()),
            "encoding" => source.encoding = value().parse().ok(),
            "syntax" => source.syntax = Some(Syntax::named(value()).expect("it is a syntax")),
            "format" => source.format = formats::named(value()),
            "carry" => source.carried_columns.push(value().to_owned()),
            "map" => {
                let (column, field) = value().split_once('=').expect("it is written as COLUMN=FIELD");
                source.mapped_columns.push((column.to_owned(), field.to_owned()));
            }
            other => panic!("unknown option {other}"),
        }
    }
    source
}

/// Goal: nothing is misread or dropped in silence. Method: files as people have them, each case in a folder with its outcome.
#[test]
fn cases_have_their_outcomes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<_> =
        fs::read_dir(root).expect("the cases are there").map(|entry| entry.expect("it can be read").path()).collect();
    folders.sort();
    for folder in folders {
        let mut told = String::new();
        let mut files: Vec<_> =
            fs::read_dir(&folder).expect("it is a folder").map(|entry| entry.expect("it can be read").path()).collect();
        files.sort();
        for path in files.iter().filter(|path| !["options", "expected.snap"].contains(&name(path).as_str())) {
            writeln!(told, "== {}\n{}", name(path), outcome(source(path))).expect("memory can be written");
        }
        let options = fs::read_to_string(folder.join("options")).unwrap_or_default();
        for line in options.lines() {
            writeln!(told, "== {line}\n{}", outcome(with_options(&folder, line))).expect("memory can be written");
        }
        insta::with_settings!({ snapshot_path => &folder, prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("expected", told);
        });
    }
}

/// Goal: the advice for other shapes of JSON works on the very file. Method: run each command that a mistake names, and open what it
/// writes with the option that the mistake names. Without `jq` on this machine, the test says so and passes.
#[test]
fn the_commands_that_convert_json_work() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/json-shapes");
    let mut n_commands = 0;
    for entry in fs::read_dir(&folder).expect("it is a folder") {
        let path = entry.expect("it can be read").path();
        let Err(error) = manifest::open(source(&path)) else { continue };
        for Diagnostic { remedy, .. } in error.mistakes() {
            let Some((filter, rest)) = remedy.split_once("jq -c '").and_then(|(_, rest)| rest.split_once("' OLD"))
            else {
                continue;
            };
            let Ok(output) = Command::new("jq").args(["-c", filter]).arg(&path).output() else {
                return println!("skipped: jq is not installed");
            };
            assert!(output.status.success(), "{}: {remedy}: {output:?}", name(&path));
            let new = tempfile::Builder::new().suffix(".jsonl").tempfile().expect("a temporary file can be made");
            fs::write(new.path(), output.stdout).expect("it can be written");
            let prompt_column = rest.split_once("--prompt-col ").map(|(_, key)| key.trim_matches('"').to_owned());
            let again = manifest::open(Source { prompt_column, ..source(new.path()) });
            assert!(again.is_ok_and(|manifest| manifest.n_jobs() > 0), "{}: {remedy}", name(&path));
            n_commands += 1;
        }
    }
    assert!(n_commands > 10, "{n_commands}");
}

/// Converts a YAML file to the JSON that editors validate against a schema.
fn as_json(text: &str) -> Value {
    let mut value: serde_yaml::Value = serde_yaml::from_str(text).expect("it is YAML");
    value.apply_merge().expect("its merges are good");
    serde_json::to_value(value).expect("all of it is JSON too")
}

/// Manifests that the schema and the reader both refuse.
const BAD: [&str; 46] = [
    "[]",
    "x",
    "5",
    "{}",
    "prompts: []",
    "- 5",
    "- true",
    "- null",
    "- ''",
    "- []",
    "- {}",
    "- {size: 64x64}",
    "- {prompt: null}",
    "- {prompt: x, promt: y}",
    "- {prompt: x, size: 1024}",
    "- {prompt: x, size: 1024*768}",
    "- {prompt: x, size: 0x64}",
    "- {prompt: x, size: 64x16385}",
    "- {prompt: x, seed: 2147483648}",
    "- {prompt: x, seed: '7'}",
    "- {prompt: x, seed: []}",
    "- {prompt: x, steps: 0}",
    "- {prompt: x, steps: 1001}",
    "- {prompt: x, guidance: -1}",
    "- {prompt: x, n: 0}",
    "- {prompt: x, n: [1]}",
    "- {prompt: x, n: 10001}",
    "- {prompt: x, skip: 2}",
    "- {prompt: x, skip: [true]}",
    "- {prompt: x, expand: product}",
    "- {prompt: x, expand: {sample: 0}}",
    "- {prompt: x, syntax: jinja}",
    "- {prompt: x, image_url: a}",
    "- {prompt: x, loras: a}",
    "- {prompt: x, params: [1]}",
    "- {prompt: x, meta: y}",
    "- {prompt: {from: 5}}",
    "{defaults: {prompt: x}, prompts: [y]}",
    "{defaults: {id: x}, prompts: [y]}",
    "{default: {}, prompts: [y]}",
    "{vars: {a: []}, prompts: [y]}",
    "{vars: {a b: x}, prompts: [y]}",
    "{vars: {a: true}, prompts: [y]}",
    "{price: 5, prompts: [y]}",
    "{price: {per_image: -1}, prompts: [y]}",
    "{shuffle: -1, prompts: [y]}",
];

/// Goal: editors get correct results. Method: first validate the schema against that of its draft. Then it accepts
/// every good manifest of the corpus, and refuses each of these.
#[test]
fn the_schema_takes_good_manifests_and_no_bad_ones() {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let schema = serde_json::from_str(&schema::schema()).expect("a schema is JSON");
    compiler.add_resource("prompts.schema.json", schema).expect("it can be named so");
    let schema = compiler.compile("prompts.schema.json", &mut schemas).expect("it is a good schema");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = ["prompts.yaml", "starter.yaml"].map(|name| root.join("examples").join(name));
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    for path in corpus("good").into_iter().filter(is_yaml).chain(examples) {
        // Editors read UTF-8, and validate each document of a stream separately.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if text.lines().filter(|line| line.starts_with("---")).count() > 1 {
            continue;
        }
        if let Err(error) = schemas.validate(&as_json(&text), schema) {
            panic!("{}: {error:#}", name(&path));
        }
    }
    for good in [
        "- {prompt: x, seed: random}",
        "- {prompt: x, seed: [Random, 7], skip: 1}",
        "- {prompt: x, seed: 1..8, expand: zip, steps: [5, 10], guidance: 3.5..5..0.5}",
        "- {prompt: [x, y], id: [a, 7], expand: {sample: 5, seed: 1}, size: {from: sizes.txt}}",
        "{vars: {a: [1, x], 猫: {from: b.txt}}, price: {unit: EUR, per_image: {a/b: 0.5}}, shuffle: 3, syntax: dynamic, prompts: ['{a}']}",
        "- {prompt: x, skip: yes, image_url: [['https://a'], ['https://b']], loras: [a/b, {a/b: 0.5, c/d: 0.5}], params: [{k: [1]}, {}]}",
    ] {
        if let Err(error) = schemas.validate(&as_json(good), schema) {
            panic!("{good}: {error:#}");
        }
    }
    for bad in BAD {
        assert!(schemas.validate(&as_json(bad), schema).is_err(), "the schema takes {bad}");
        let path = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a temporary file can be made");
        fs::write(path.path(), bad).expect("it can be written");
        assert!(manifest::open(source(path.path())).is_err(), "{bad} is good, and the schema refuses it");
    }
}

/// Goal: the starter is valid and small, and shows no warning to a new user.
#[test]
fn the_starter_is_a_small_and_good_manifest() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/starter.yaml");
    let manifest = manifest::open(Source { path: path.clone(), limits: Some(&DEFAULT.limits), ..Source::default() })
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifest.warnings(), []);
    assert!(manifest.n_jobs() < 15, "{}", manifest.n_jobs());
    insta::assert_snapshot!("starter", notes(&manifest, &path));
}

/// Goal: the example that new users copy is valid, and shows what it announces.
#[test]
fn the_example_is_a_good_manifest_without_warnings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prompts.yaml");
    let manifest = manifest::open(Source { path: path.clone(), limits: Some(&DEFAULT.limits), ..Source::default() })
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifest.warnings(), []);
    insta::assert_snapshot!("example", notes(&manifest, &path));
}

/// Goal: the page about manifests lists exactly the formats of the table, with their extensions.
#[test]
fn the_page_about_manifests_lists_every_format() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manifest.md")).expect("it is there");
    let row = |format: &dyn Format| {
        let endings: Vec<_> = format.endings().iter().map(|ending| format!("`.{ending}`")).collect();
        format!("| {} | {} |", format.name().to_uppercase(), endings.join(" "))
    };
    let rows: Vec<_> = FORMATS.into_iter().map(row).collect();
    let table = page.split("| format | extension | contents |").nth(1).expect("there is a table of formats");
    let listed = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    assert!(listed.clone().zip(&rows).all(|(line, row)| line.starts_with(row.as_str())), "{rows:#?}");
    assert_eq!(listed.count(), rows.len());
}
