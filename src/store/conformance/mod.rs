//! Conformance suite: every promise of [`Ledger`](super::Ledger), [`RunReader`] and [`RunWriter`], checked for every store.
//!
//! A new store adds one line at the end of this file, and a [`TestPlace`] for its runs.

mod counting;
mod following;
mod handing_out;
mod importing;
mod model;
mod opening;
mod paying;
mod recording;
mod redoing;
mod retrying;
mod settings;

use std::path::Path;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::model::event::{Event, EventKind, Stage};
use crate::model::job::{JobId, JobSpec, ManifestRow};
use crate::model::more::More;
use crate::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, Outcome, TaskId, Url};
use crate::model::phase::JobRecord;
use crate::model::request::Request;
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::import::{Imported, ManifestFacts};
use crate::store::memory::{self, MemoryRun};
use crate::store::spec::{OpenOptions, StoreSpec};
use crate::store::typed::Typed;
use crate::store::{JobScope, JobSet, LedgerSession, Loaded, RunReader, RunWriter, TaskOwner, sqlite};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Place for one run of a store, empty at first.
trait TestPlace {
    fn new() -> Self;

    fn store(&self) -> &'static StoreSpec;

    fn out(&self) -> &Path;

    /// Opens the run for writing, as a session does.
    fn open(&self) -> Box<dyn RunWriter> {
        self.try_open(Some("simulator")).unwrap()
    }

    fn try_open(&self, provider: Option<&str>) -> Result<Box<dyn RunWriter>, LedgerError> {
        (self.store().open)(self.out(), OpenOptions { provider, accepts_older: None })
    }

    fn read(&self) -> Box<dyn RunReader> {
        (self.store().open_for_reading)(self.out()).unwrap()
    }

    /// Opens the run and imports these prompts.
    fn import(&self, prompts: &[&str]) -> Box<dyn RunWriter> {
        let mut run = self.open();
        import(&mut *run, prompts);
        run
    }

    /// Imports these prompts, and drives the run with all of their jobs handed out.
    fn drive(&self, prompts: &[&str]) -> (Driven, Vec<JobRecord>) {
        let mut driven = Driven::start(self.import(prompts), JobScope::Unfinished);
        let jobs = driven.load(prompts.len() + 1).jobs;
        (driven, jobs)
    }
}

/// Place for a run in a `SQLite` file.
struct Sqlite(TempDir);

impl TestPlace for Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> &'static StoreSpec {
        &sqlite::STORE
    }

    fn out(&self) -> &Path {
        self.0.path()
    }
}

/// Place for a run in memory.
struct Memory {
    folder: TempDir,
    /// Keeps the ledger.
    _run: MemoryRun,
}

impl TestPlace for Memory {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { _run: memory::create(folder.path()), folder }
    }

    fn store(&self) -> &'static StoreSpec {
        &memory::STORE
    }

    fn out(&self) -> &Path {
        self.folder.path()
    }
}

/// Run that is being driven, without `async`.
struct Driven {
    session: Box<dyn LedgerSession>,
    runtime: Runtime,
}

impl Driven {
    fn start(run: Box<dyn RunWriter>, scope: JobScope) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { session: run.start(scope).unwrap(), runtime }
    }

    fn try_record(&mut self, events: &[Event]) -> Result<(), LedgerError> {
        self.runtime.block_on(self.session.record(events.into()))
    }

    fn record(&mut self, events: &[Event]) {
        self.try_record(events).unwrap();
    }

    /// Records these events of one job, one after the other, at the time 1.
    fn live(&mut self, record: &JobRecord, kinds: impl IntoIterator<Item = EventKind>) {
        let events: Vec<_> = kinds.into_iter().map(|kind| event(record, 1, kind)).collect();
        self.record(&events);
    }

    fn load(&mut self, max: usize) -> Loaded {
        self.runtime.block_on(self.session.load(max)).unwrap()
    }

    fn owner(&mut self, task: &str) -> Option<TaskOwner> {
        self.runtime.block_on(self.session.owners(vec![TaskId(task.into())])).unwrap()[0]
    }

    /// Returns the prompts of all jobs that are handed out, in their order, `max` at a time.
    fn hand_out(&mut self, max: usize) -> Vec<String> {
        let mut prompts = vec![];
        loop {
            let Loaded { jobs, more } = self.load(max);
            assert!(jobs.len() <= max);
            prompts.extend(jobs.iter().map(|record| record.job.request.prompt.clone()));
            if more == More::Done {
                return prompts;
            }
        }
    }

    fn close(self) -> Box<dyn RunWriter> {
        self.session.close().unwrap()
    }
}

/// Returns events of every kind, in an order that a job's life could have.
pub(super) fn life() -> Vec<EventKind> {
    let ready = |names: &[&str]| EventKind::Ready(names.iter().map(|name| Url(format!("https://x/{name}"))).collect());
    let retry_after = Some(std::time::Duration::from_secs(3));
    vec![
        EventKind::SubmitStarted,
        setback(Stage::Submit, FaultKind::Throttled { retry_after }),
        EventKind::SubmitStarted,
        setback(Stage::Submit, FaultKind::InDoubt),
        EventKind::SubmitStarted,
        accepted("5075521"),
        setback(Stage::Poll, FaultKind::Transient),
        setback(Stage::Task, FaultKind::TaskLost),
        EventKind::SubmitStarted,
        accepted("5075522"),
        ready(&["1", "2"]),
        setback(Stage::Download, FaultKind::BadOutput),
        ready(&["3"]),
        succeeded(&["a", "b"]),
    ]
}

pub(super) fn draft(prompt: &str) -> JobSpec {
    let request = Request { prompt: prompt.into(), model: "a/b".into(), ..Request::default() };
    JobSpec { label: None, request, extras: vec![("note".into(), format!("about {prompt}"))], ..JobSpec::default() }
}

fn import(run: &mut dyn RunWriter, prompts: &[&str]) -> Imported {
    let facts =
        ManifestFacts { fingerprint: &prompts.join("|"), columns: &["note".into()], ..ManifestFacts::default() };
    run.import(&facts, rows(prompts)).unwrap()
}

fn rows(prompts: &[&str]) -> impl Iterator<Item = Result<JobSpec, LedgerError>> {
    prompts.iter().map(|prompt| Ok(draft(prompt)))
}

fn jobs_of(run: &dyn RunReader, jobs: JobSet) -> Vec<JobRecord> {
    let mut found = vec![];
    let keep = |record| {
        found.push(record);
        Ok::<_, LedgerError>(())
    };
    run.for_each_job(jobs, keep).unwrap();
    found
}

pub(super) fn all(run: &dyn RunReader) -> Vec<JobRecord> {
    jobs_of(run, JobSet::InManifest)
}

fn statuses(run: &dyn RunReader) -> Vec<&'static str> {
    all(run).iter().map(|record| record.state.status()).collect()
}

pub(super) fn event(record: &JobRecord, millis: i64, kind: EventKind) -> Event {
    Event { job: record.job.id, index: record.job.index, at: Timestamp::from_millis(millis), kind }
}

pub(super) fn artifact(name: &str) -> Artifact {
    let file_name = format!("images/{name}.png");
    Artifact { file_name, sha256: [7; 32], bytes: 12_345, width: 64, height: 32, format: ImageFormat::Png }
}

fn accepted(task: &str) -> EventKind {
    EventKind::Accepted(TaskId(task.into()))
}

fn setback(stage: Stage, kind: FaultKind) -> EventKind {
    EventKind::Setback(stage, Fault::new(kind, "what happened: \"quoted\"\n二"))
}

fn failed(kind: FaultKind) -> EventKind {
    EventKind::Finished(Outcome::Failed(Fault::new(kind, "words")))
}

fn succeeded(images: &[&str]) -> EventKind {
    EventKind::Finished(Outcome::Succeeded(images.iter().map(|name| artifact(name)).collect()))
}

/// Makes a test of each promise, for one store.
macro_rules! tests {
    ($place:ty: $($file:ident { $($promise:ident)* })*) => {
        $($(
            #[test]
            fn $promise() {
                super::$file::$promise::<$place>();
            }
        )*)*
    };
}

/// Checks every promise for one store.
macro_rules! conformance {
    ($name:ident: $place:ident) => {
        mod $name {
            use super::$place;

            tests! {
                $place:
                counting {
                    counts_and_incidents_are_those_of_the_jobs
                    totals_are_what_a_count_of_all_jobs_gives
                    a_job_is_found_by_each_of_its_names
                    the_names_of_all_images_are_known_and_no_others
                    images_are_visited_and_measured
                    the_last_endings_are_counted
                    the_end_of_a_ledger_tells_how_long_tasks_took
                    revision_and_origin_follow_the_events
                    a_visit_ends_with_the_first_error
                }
                following {
                    a_copied_ledger_is_the_same_ledger
                    an_event_of_an_unknown_job_changes_nothing
                    a_reopened_job_is_followed_to_its_end
                }
                handing_out {
                    unfinished_jobs_are_handed_out_first_and_each_once
                    a_job_that_moves_on_while_others_are_loaded_is_not_handed_out_twice
                    every_job_is_handed_out_once_in_an_order_that_the_seed_draws
                    a_resume_continues_in_the_shuffled_order
                    finished_and_dropped_jobs_are_not_handed_out
                }
                importing {
                    an_edited_manifest_keeps_what_it_shares
                    equal_rows_are_jobs_of_their_own
                    what_is_carried_through_may_change_without_a_new_job
                    a_manifest_that_breaks_off_changes_nothing
                    an_import_that_is_not_accepted_changes_nothing
                    a_manifest_that_breaks_off_is_no_difference
                    a_second_difference_starts_afresh
                    a_dropped_job_comes_back_with_its_images
                    events_of_another_ledger_are_adopted_once
                }
                model {
                    the_difference_is_what_the_import_then_does
                }
                opening {
                    a_second_writer_is_refused_and_readers_are_not
                    a_session_keeps_the_lock_until_it_is_closed_and_dropped
                    opening_a_new_run_makes_its_folder
                    a_run_stays_with_its_provider
                    a_place_without_a_run_is_missing
                    a_snapshot_sees_one_state
                    a_closure_that_fails_ends_its_snapshot
                    a_whole_ledger_passes_its_check
                }
                paying {
                    every_accepted_task_is_paid_for
                    a_submission_in_doubt_may_be_paid_for
                    a_job_costs_as_often_as_it_was_accepted
                    what_an_answer_says_counts_in_place_of_the_price
                    a_job_under_way_is_handed_out_with_its_charge
                    a_model_without_a_price_is_found_with_its_first_job
                }
                recording {
                    the_stored_state_is_the_fold_of_the_events
                    a_failed_job_keeps_its_reason
                    an_event_of_a_job_that_is_not_under_way_is_refused_whole
                    a_submission_without_an_answer_is_in_doubt_after_a_crash
                    what_cannot_be_recorded_is_not_done
                    every_task_that_was_ever_accepted_has_its_owner
                }
                redoing {
                    a_job_that_is_made_again_is_submitted_anew_and_keeps_its_past
                    a_drawn_seed_stays_whatever_is_imported
                    only_jobs_that_succeeded_are_made_again
                    a_failed_repetition_returns_to_the_images_before
                }
                retrying {
                    any_jobs_can_be_selected
                    only_the_failures_that_are_selected_are_handed_out_again
                    a_job_returns_to_its_task_where_that_may_still_give_the_image
                    an_interrupted_retry_continues
                    a_new_submission_can_be_forced
                    jobs_left_to_others_are_not_selected
                    a_job_held_with_a_lost_task_is_not_paid_for_unasked
                    the_images_of_a_reopened_job_are_forgotten
                    many_jobs_are_reopened
                    a_selection_is_narrowed_to_jobs_under_way_first
                    a_selection_is_narrowed_to_the_jobs_that_ended_first
                    the_selection_is_that_of_the_rule
                }
                settings {
                    the_first_account_is_kept_until_another_is_adopted
                    the_price_is_that_of_the_flag_or_the_manifest_or_the_last_run
                    a_listed_price_is_the_last_resort
                    a_changed_description_is_noticed_once
                    settings_are_kept_for_the_next_session
                }
            }
        }
    };
}

conformance!(sqlite_store: Sqlite);
conformance!(memory_store: Memory);
