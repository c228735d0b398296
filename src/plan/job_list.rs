//! Jobs that a program makes, without a manifest: what they may hold, and how a resume knows them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::de::IgnoredAny;

use crate::manifest::error::ManifestError;
use crate::model::escape::excerpt;
use crate::model::job::JobSpec;
use crate::model::price::Price;
use crate::model::request::{Json, Request, RequestValue};
use crate::model::request_field::{REQUEST_FIELDS, RequestFieldKind};
use crate::plan::checked_jobs::{CheckedJobs, JobSpecs};

/// Limit on the length of a label and of a column's name, in characters: a label becomes a part of file names.
const NAME_CHARS_MAX: usize = 200;

/// Limit on the columns of all jobs together.
const COLUMNS_MAX: usize = 1_000;

/// Longest excerpt of a text in an error, in characters.
const EXCERPT_CHARS_MAX: usize = 40;

/// Jobs that a program made, in their order. A clone shares them.
///
/// All jobs are in memory. For more jobs than that allows, write a manifest, which is streamed.
///
/// # Identity
///
/// A job is identified by its request, not by its position. Of equal requests, the second one is another image, and so on. A
/// run of the same jobs into the same folder resumes, in whatever order they are. Jobs that are new are added. Jobs that are no
/// longer in the list keep their records and images, and are not paid for again when they return.
/// If most jobs of the run are not in the list, the run is refused, unless the user
/// [agrees](crate::run::consent::Consent::is_manifest_replaced).
#[derive(Clone, Debug, PartialEq)]
pub struct JobList {
    jobs: Arc<[JobSpec]>,
    /// Model of the requests that name none; `None` if each must name its own.
    pub default_model: Option<String>,
}

/// Job that cannot be run, and the reason. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not use job {position} of {n_jobs}: {what}; {remedy}")]
pub struct JobListError {
    /// Position of the job in the list, from 1.
    pub position: usize,
    /// Number of jobs in the list.
    pub n_jobs: usize,
    /// Description of the problem.
    pub what: String,
    /// Remedy.
    pub remedy: &'static str,
}

/// Problem of a job, and the remedy.
type Problem = (String, &'static str);

/// Jobs of a list that passed all checks.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedJobList {
    list: JobList,
    columns: Vec<String>,
}

impl FromIterator<JobSpec> for JobList {
    fn from_iter<I: IntoIterator<Item = JobSpec>>(jobs: I) -> Self {
        Self { jobs: jobs.into_iter().collect(), default_model: None }
    }
}

impl JobList {
    /// Checks all jobs: each can be sent, named and shown in the results. The error names the first job that cannot.
    pub fn check(&self) -> Result<CheckedJobList, JobListError> {
        let (mut columns, mut seen, mut prompts) = (Vec::new(), HashSet::new(), HashMap::new());
        for (i, job) in self.jobs.iter().enumerate() {
            let error = |(what, remedy)| JobListError { position: i + 1, n_jobs: self.jobs.len(), what, remedy };
            check_request(&job.request, self.default_model.is_some()).map_err(error)?;
            if let Some(label) = &job.label {
                check_name("label", label).map_err(error)?;
                let prompt = &*job.request.prompt;
                if *prompts.entry(&**label).or_insert(prompt) != prompt {
                    let what = format!("its label {} is also that of another prompt", shown(label));
                    return Err(error((what, "give one of them another label")));
                }
            }
            check_columns(job).map_err(error)?;
            columns.extend(job.extras.iter().map(|(column, _)| column).filter(|column| seen.insert(*column)).cloned());
            if columns.len() > COLUMNS_MAX {
                let what = format!("the jobs up to it have more than {COLUMNS_MAX} columns");
                return Err(error((what, "use the same columns in all jobs")));
            }
        }
        Ok(CheckedJobList { list: self.clone(), columns })
    }

    fn specs(&self) -> impl Iterator<Item = JobSpec> + use<> {
        let Self { jobs, default_model } = self.clone();
        (0..jobs.len()).map(move |i| {
            let mut job = jobs[i].clone();
            if job.request.model.is_empty() {
                job.request.model = default_model.clone().unwrap_or_default();
            }
            job
        })
    }
}

fn check_request(request: &Request, has_default_model: bool) -> Result<(), Problem> {
    let Request { prompt, model, loras, params, .. } = request;
    if prompt.trim().is_empty() {
        return Err(("its prompt is empty".to_owned(), "describe the image, or leave the job out"));
    }
    if model.is_empty() && !has_default_model {
        return Err(("it names no model, and the provider has no default".to_owned(), "name its model"));
    }
    let reals = request
        .given()
        .filter_map(|(_, value)| if let RequestValue::Real(number) = value { Some(number) } else { None });
    let mut numbers = reals.chain(loras.iter().filter_map(|lora| lora.weight));
    if let Some(number) = numbers.find(|number| !number.is_finite()) {
        let reals = REQUEST_FIELDS.iter().filter(|field| field.kind == RequestFieldKind::Real).map(|field| field.name);
        let reals = reals.collect::<Vec<_>>().join(", ");
        return Err((format!("its {reals} or the weight of an adapter is {number}"), "give a finite number"));
    }
    for (name, Json(text)) in params {
        if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
            return Err((
                format!("its parameter {} is not JSON: {error}", shown(name)),
                "give a JSON value as its text",
            ));
        }
    }
    Ok(())
}

fn check_columns(job: &JobSpec) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for (column, _) in &job.extras {
        check_name("column", column)?;
        if !seen.insert(column) {
            return Err((format!("it has the column {} twice", shown(column)), "give each column once"));
        }
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<(), Problem> {
    let n_chars = name.chars().count();
    if n_chars > NAME_CHARS_MAX {
        return Err((format!("its {what} {} has {n_chars} characters", shown(name)), "shorten it to at most 200"));
    }
    if name.trim() != name || name.is_empty() || name.chars().any(char::is_control) {
        let what = format!("its {what} {} is empty, or has spaces around it or control characters", shown(name));
        return Err((what, "write a plain word"));
    }
    Ok(())
}

fn shown(text: &str) -> String {
    format!("`{}`", excerpt(text, EXCERPT_CHARS_MAX))
}

/// Hasher of a list. The length of each text precedes the text, so that two adjacent texts cannot be confused.
struct ListHasher(blake3::Hasher);

impl ListHasher {
    fn add(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
}

impl CheckedJobs for CheckedJobList {
    fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = ListHasher(blake3::Hasher::new());
        hasher.add("promptbatch jobs 1");
        for JobSpec { label, request, extras, row } in self.list.specs() {
            hasher.0.update(request.content().bytes());
            // An empty label is refused, so the empty text stands for no label.
            hasher.add(label.as_deref().unwrap_or_default());
            hasher.0.update(&(extras.len() as u64).to_le_bytes());
            for (column, text) in extras {
                hasher.add(&column);
                hasher.add(&text);
            }
            if row.is_skipped {
                hasher.add("skip");
            }
        }
        *hasher.0.finalize().as_bytes()
    }

    fn n_jobs(&self) -> u64 {
        self.list.jobs.iter().filter(|job| !job.row.is_skipped).count() as u64
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn price(&self) -> Option<&Price> {
        None
    }

    fn shuffle(&self) -> Option<u64> {
        None
    }

    fn specs(&self) -> Result<JobSpecs, ManifestError> {
        Ok(Box::new(self.list.specs().map(Ok)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Lora;

    type Change = fn(&mut JobSpec);

    fn job(prompt: &str) -> JobSpec {
        JobSpec {
            label: None,
            ..JobSpec::from(Request { prompt: prompt.into(), model: "a/b".into(), ..Request::default() })
        }
    }

    /// Goal: what no provider, file name or table can hold is refused before anything is sent, with its position.
    #[test]
    fn a_job_that_cannot_be_run_is_named() {
        let changes: [(&str, Change); 12] = [
            ("its prompt is empty", |job| job.request.prompt = " \n".into()),
            ("it names no model", |job| job.request.model.clear()),
            ("its guidance or the weight of an adapter is NaN", |job| job.request.guidance = Some(f64::NAN)),
            ("its guidance or the weight of an adapter is inf", |job| {
                job.request.loras = vec![Lora { repo: "a/b".into(), weight: Some(f64::INFINITY) }];
            }),
            ("its parameter `style` is not JSON", |job| {
                job.request.params = [("style".to_owned(), Json("ink".into()))].into();
            }),
            ("its label `` is empty", |job| job.label = Some(String::new())),
            ("its label ` a` is empty, or has spaces around it", |job| job.label = Some(" a".into())),
            ("has 201 characters", |job| job.label = Some("x".repeat(201))),
            ("its label `first` is also that of another prompt", |job| job.label = Some("first".into())),
            ("its column `` is empty", |job| job.extras = vec![(String::new(), "1".into())]),
            ("it has the column `a` twice", |job| {
                job.extras = vec![("a".into(), "1".into()), ("a".into(), "2".into())];
            }),
            ("more than 1000 columns", |job| job.extras = (0..1001).map(|n| (n.to_string(), String::new())).collect()),
        ];
        for (what, change) in changes {
            let mut second = job("a dog");
            change(&mut second);
            let list: JobList = [JobSpec { label: Some("first".into()), ..job("a cat") }, second].into_iter().collect();
            let error = list.check().unwrap_err();
            assert!(error.what.contains(what), "{what}: {error}");
            assert!(error.to_string().starts_with("could not use job 2 of 2: "), "{error}");
        }
    }

    /// Goal: a list that changed in any way is compared with the ledger, and the same list is not.
    #[test]
    fn every_part_of_a_job_changes_the_fingerprint() {
        let of = |jobs: Vec<JobSpec>| jobs.into_iter().collect::<JobList>().check().unwrap().fingerprint();
        let labelled = JobSpec { label: Some("a".into()), ..job("a cat") };
        let carrying =
            |column: &str, text: &str| JobSpec { extras: vec![(column.into(), text.into())], ..job("a cat") };
        let lists = [
            vec![],
            vec![job("a cat")],
            vec![job("a cat"), job("a cat")],
            vec![job("a cat"), job("a dog")],
            vec![job("a dog"), job("a cat")],
            vec![labelled],
            vec![carrying("ab", "c")],
            vec![carrying("a", "bc")],
        ];
        let different: HashSet<_> = lists.iter().map(|list| of(list.clone())).collect();
        assert_eq!(different.len(), lists.len());
        assert_eq!(of(lists[3].clone()), of(lists[3].clone()));
    }

    #[test]
    fn a_job_without_a_model_gets_the_default_one() {
        let nameless = JobSpec::from(Request { prompt: "a cat".into(), ..Request::default() });
        let list = JobList { default_model: Some("a/b".into()), ..[nameless].into_iter().collect() };
        let specs: Vec<_> = list.check().unwrap().specs().unwrap().map(Result::unwrap).collect();
        assert_eq!(specs, [job("a cat")]);
        let named: JobList = [job("a cat")].into_iter().collect();
        assert_eq!(list.check().unwrap().fingerprint(), named.check().unwrap().fingerprint());
    }

    #[test]
    fn columns_come_in_the_order_of_their_first_use() {
        let with = |columns: &[&str]| JobSpec {
            extras: columns.iter().map(|column| ((*column).to_owned(), String::new())).collect(),
            ..job("a cat")
        };
        let list: JobList = [with(&["b", "a"]), with(&["a", "c"])].into_iter().collect();
        assert_eq!(list.check().unwrap().columns(), ["b", "a", "c"]);
    }
}
