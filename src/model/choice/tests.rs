//! Tests of conditions and samples.

use std::collections::BTreeSet;

use super::*;
use crate::model::choice::job_view::JobField;
use crate::model::job::{JobId, JobSpec, ManifestRow};
use crate::model::request::Request;
use crate::model::request_field::RequestFieldKind;

fn choice(conditions: &[&str]) -> JobChoice {
    let conditions = conditions.iter().map(|text| text.parse().unwrap()).collect();
    JobChoice { conditions, titles: vec![("Prompt text".into(), "prompt".into())], ..JobChoice::default() }
}

fn job(prompt: &str, category: &str) -> JobSpec {
    let request = Request {
        prompt: prompt.into(),
        model: "a/b".into(),
        size: "1024x768".parse().ok(),
        seed: Some(42),
        guidance: Some(3.5),
        ..Request::default()
    };
    let row = ManifestRow { number: Some(7), is_skipped: false };
    JobSpec { label: Some("k1".into()), request, extras: vec![("category".into(), category.into())], row }
}

fn has(condition: &str, job: &JobSpec) -> bool {
    let mut chooser = choice(&[condition]).among(&["category".to_owned()]).unwrap();
    chooser.has(JobView::of_row(job, 1, None))
}

#[test]
fn conditions_compare_fields_and_columns() {
    let bird = job("a heron, asleep", " birds ");
    for condition in [
        "category=birds",
        "Category = birds",
        "category=boats,birds",
        "category!=boats",
        "category!=",
        "prompt=a heron, asleep",
        "prompt text=a heron, asleep",
        "negative_prompt=",
        "model=c/d, a/b",
        "size=1024X768",
        "width=1024",
        "seed=42.0",
        "seed=40..50",
        "guidance=3.50",
        "id=k1",
        "row=7",
        "steps!=30",
    ] {
        assert!(has(condition, &bird), "{condition}");
    }
    for condition in [
        "category=Birds",
        "category=bird",
        "category=",
        "category!=boats,birds",
        "category=boats,",
        "prompt=a heron",
        "prompt=asleep",
        "seed=4",
        "seed=43..50",
        "row=1..6",
        "id=K1",
        "guidance=3",
    ] {
        assert!(!has(condition, &bird), "{condition}");
    }
    assert!(has("category=red, green", &job("a", "red, green")), "a text may hold commas of its own");
    assert!(has("category=x=y", &job("a", "x=y")));
}

#[test]
fn other_signs_are_refused() {
    for text in ["category", "=birds", "!=birds", "category==birds", "seed>=4", "seed<=4", "name~=x", ""] {
        assert_eq!(text.parse::<Condition>(), Err(ConditionError), "{text}");
    }
    assert_eq!("a!=b".parse::<Condition>().unwrap().to_string(), "a!=b");
}

#[test]
fn a_column_of_the_manifest_comes_before_a_field() {
    let columns = ["model".to_owned(), "Art Style".to_owned()];
    let choice = choice(&["model=x"]);
    assert_eq!(choice.target("model", &columns), Ok(Target::Column("model".into())));
    assert_eq!(
        choice.target("Model", &columns),
        Ok(Target::Field(JobField::OfRequest("model", RequestFieldKind::Name)))
    );
    assert_eq!(choice.target("art_style", &columns), Ok(Target::Column("Art Style".into())));
    let Err(ChoiceError::NoColumn { nearest, .. }) = choice.target("art-stlye", &columns) else { panic!() };
    assert_eq!(nearest.as_deref(), Some("Art Style"));
}

#[test]
fn what_no_job_has_is_named_with_the_values_that_there_are() {
    let error = |conditions: &[&str]| {
        let mut chooser = choice(conditions).among(&["category".to_owned()]).unwrap();
        for (index, category) in (1..).zip(["birds", "boats", "birds"]) {
            let pending = StatusCounts { n_pending: 1, ..StatusCounts::default() };
            chooser.see(JobView::of_row(&job("a", category), index, None), pending);
        }
        chooser.chosen().unwrap_err().to_string()
    };
    let none =
        "could not choose jobs by --where: no job has category=fish; the values of `category` are `birds`, `boats`";
    assert_eq!(error(&["category=fish"]), none);
    assert_eq!(error(&["seed=42", "category=fish"]), none);
    assert_eq!(error(&["category=birds,fish"]), none, "a part of a list may be misspelt too");
    assert!(error(&["category=birds", "category=boats"]).contains("no job meets them all"));
}

/// Goal: a value in another case is named, whether it is chosen or not. Method: conditions that mean either of two spellings.
#[test]
fn a_value_in_another_case_is_named() {
    let near = |condition: &str| {
        let mut chooser = choice(&[condition]).among(&["category".to_owned()]).unwrap();
        let pending = StatusCounts { n_pending: 1, ..StatusCounts::default() };
        for (index, category) in (1..).zip(["yes", "Yes", "YES", "no"]) {
            chooser.see(JobView::of_row(&job("a", category), index, None), pending);
        }
        let Chosen { counts, near } = chooser.chosen().unwrap();
        (counts.n_pending, near.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let told = |n: &str, condition: &str| vec![format!("{n} `Yes`, which differs in case from --where {condition}")];
    assert_eq!(near("category=yes"), (1, told("2 jobs have", "category=yes")));
    assert_eq!(near("category!=yes"), (3, told("2 jobs have", "category!=yes")));
    assert_eq!(near("category=yes,Yes,YES"), (3, vec![]));
    assert_eq!(near("category=yes,YES"), (2, told("1 job has", "category=yes,YES")));
    assert_eq!(near("category!=no,never"), (3, vec![]));
    assert_eq!(near("seed=42"), (4, vec![]));
}

/// Goal: a sample has the jobs with the lowest hashes, whatever their order. Method: samples of every size of 50 jobs.
#[test]
fn a_larger_sample_has_the_jobs_of_a_smaller_one() {
    let drawn = |max, seed, ids: &mut dyn Iterator<Item = JobId>| {
        let mut sample = Sample::new(max, seed);
        ids.for_each(|id| sample.add(id, StatusCounts::default()));
        all().filter(|id| sample.has(*id)).collect::<BTreeSet<_>>()
    };
    let mut before = BTreeSet::new();
    for max in 1..=50 {
        let sample = drawn(max, 0, &mut all());
        assert_eq!(sample.len() as u64, max);
        assert!(before.is_subset(&sample));
        assert_eq!(sample, drawn(max, 0, &mut all().collect::<Vec<_>>().into_iter().rev()));
        before = sample;
    }
    assert_ne!(drawn(10, 0, &mut all()), drawn(10, 1, &mut all()));
}

fn all() -> impl Iterator<Item = JobId> {
    (0..50).map(|n| JobId::from_bytes([n; 10]))
}
