//! Tests of whole manifests through the public API, in a temporary folder.

mod axes;
mod bombs;
mod documents;
mod encodings;
mod folders;
mod inputs;
mod json;
mod jsonl;
mod listings;
mod options;
mod passes;
mod pictures;
mod properties;
mod refusals;
mod rows;
#[cfg(feature = "xlsx")]
mod sheets;
mod streams;
mod surprises;
mod tables;
mod texts;
mod tsv;
mod values;
mod vars;

use std::fs;
use std::path::Path;

use super::*;
use crate::manifest::diagnostics::{Diagnostic, Span};
use crate::manifest::listing::{Listing, list};
use crate::model::request::Request;
use crate::model::request_limits::RequestLimits;

const MODEL: &str = "Qwen/Qwen-Image";

/// Result of opening a manifest.
#[derive(Debug, PartialEq)]
struct Told {
    drafts: Vec<JobSpec>,
    columns: Vec<String>,
    warnings: Vec<String>,
}

/// Limits of a provider whose models have ids of the form `org/name`.
const LIMITS: RequestLimits = RequestLimits { repo_id_example: Some("Qwen/Qwen-Image"), ..RequestLimits::NONE };

/// Opens `bytes` as a file with this name. `change` sets further options.
fn open_with(name: &str, bytes: &[u8], change: impl FnOnce(&mut Source)) -> Result<Told, Vec<String>> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file can be written there");
    let mut source = Source { path, default_model: Some(MODEL.into()), limits: Some(&LIMITS), ..Source::default() };
    change(&mut source);
    let sentences = |mistakes: &[Diagnostic]| mistakes.iter().map(|mistake| mistake.at(Path::new("p"))).collect();
    let manifest = open(source).map_err(|error| sentences(error.mistakes()))?;
    let drafts: Vec<JobSpec> =
        manifest.drafts().expect("the file is still there").map(|draft| draft.expect("and the same")).collect();
    assert_eq!(drafts.len() as u64, manifest.n_jobs());
    Ok(Told { drafts, columns: manifest.columns().to_vec(), warnings: sentences(manifest.warnings()) })
}

fn yaml(text: &str) -> Result<Told, Vec<String>> {
    open_with("p.yaml", text.as_bytes(), |_| ())
}

/// Opens a manifest whose texts are taken as they are.
fn verbatim(name: &str, bytes: &[u8]) -> Result<Told, Vec<String>> {
    open_with(name, bytes, |source| source.is_verbatim = true)
}

fn csv(text: &str) -> Result<Told, Vec<String>> {
    open_with("p.csv", text.as_bytes(), |_| ())
}

/// Returns the requests of a valid manifest without warnings.
fn requests(told: Result<Told, Vec<String>>) -> Vec<Request> {
    let told = told.expect("the manifest is good");
    assert_eq!(told.warnings, [""; 0]);
    told.drafts.into_iter().map(|draft| draft.request).collect()
}

fn prompts(told: Result<Told, Vec<String>>) -> Vec<String> {
    requests(told).into_iter().map(|request| request.prompt).collect()
}

/// Checks that each manifest has exactly the listed mistakes.
fn assert_mistakes(read: fn(&str) -> Result<Told, Vec<String>>, cases: &[(&str, &[&str])]) {
    for (text, mistakes) in cases {
        match read(text) {
            Ok(told) => panic!("{text:?} is taken as {told:?}"),
            Err(told) => assert_eq!(told, *mistakes, "{text:?}"),
        }
    }
}

fn a_cat() -> Request {
    Request { prompt: "a cat".into(), model: MODEL.into(), ..Request::default() }
}
