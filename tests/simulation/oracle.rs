//! What must be true of a world, after a crash and at the end.

use std::collections::{BTreeMap, BTreeSet};

use promptbatch::driver::images::check::{CheckLimits, inspect};
use promptbatch::model::event::{Event, EventKind};
use promptbatch::model::outcome::{Artifact, Outcome};
use promptbatch::model::phase::{JobState, Phase};
use promptbatch::provider::modelscope::body;
use promptbatch::provider::simulator::stats::Stats;

use crate::crash::Crash;
use crate::world::World;

/// Status, file name and sha256 of a job.
pub type End = (&'static str, String, [u8; 32]);

impl World {
    /// How every job ended, by its place in the manifest.
    pub fn outcomes(&self) -> BTreeMap<u64, End> {
        let ends = self.ledger.known().into_iter().map(|known| {
            let artifact = artifacts(&known.state).first().cloned();
            let (name, sha256) =
                artifact.map_or((String::new(), [0; 32]), |artifact| (artifact.file_name, artifact.sha256));
            (known.job.index, (known.state.status(), name, sha256))
        });
        ends.collect()
    }

    /// Runs this world without any trouble, and says how it ended.
    pub async fn outcomes_of_a_calm_run(self) -> BTreeMap<u64, End> {
        self.session(crate::limits(0), &Crash::never()).await.unwrap();
        self.check();
        self.outcomes()
    }

    /// What holds at every moment, also right after a crash.
    pub fn check_after_crash(&self) {
        self.check_fold();
        self.check_money();
        self.check_files();
    }

    /// What holds after a run.
    pub fn check(&self) {
        self.check_after_crash();
        let owned: BTreeSet<String> = self
            .ledger
            .known()
            .iter()
            .flat_map(|known| artifacts(&known.state))
            .map(|artifact| artifact.file_name)
            .collect();
        let files: BTreeSet<String> = self.store.files().into_keys().collect();
        assert_eq!(files, owned, "no file without a job, and no job's file missing");
        assert_eq!(self.server_stats().n_token_leaks, 0);
    }

    /// The stored state of every job is the fold of its events.
    fn check_fold(&self) {
        let mut states: BTreeMap<_, JobState> = BTreeMap::new();
        for event in self.ledger.events() {
            states.entry(event.job).or_default().apply(event.at, &event.kind);
        }
        for known in self.ledger.known() {
            assert_eq!(states.remove(&known.job.id).unwrap_or_default(), known.state, "job {}", known.job.index);
        }
    }

    /// Accepted tasks, by content: one for each job, and one more only for each doubt and each loss on record. A submission
    /// under way at a crash is the doubt of the next session.
    fn check_money(&self) {
        let mut allowed: BTreeMap<String, u32> = BTreeMap::new();
        for known in self.ledger.known() {
            let state = &known.state;
            let has_been_paid = u32::from(state.n_submits > 0);
            let body = body::text(&known.job.request).unwrap();
            *allowed.entry(body).or_default() += has_been_paid + state.n_in_doubt + state.n_lost;
        }
        let server = self.server.lock().unwrap();
        for (body, allowed) in allowed {
            let accepted = server.n_accepted(body.as_bytes());
            assert!(accepted <= allowed, "{body}: {accepted} tasks accepted, {allowed} accounted for");
        }
    }

    /// Every image that the ledger calls done is there, whole, and the one that was recorded.
    fn check_files(&self) {
        let files = self.store.files();
        let mut seen = BTreeSet::new();
        for artifact in self.ledger.known().iter().flat_map(|known| artifacts(&known.state)) {
            let bytes = files.get(&artifact.file_name).unwrap_or_else(|| panic!("{} is missing", artifact.file_name));
            let checked = inspect(bytes.as_slice(), &CheckLimits::default()).unwrap().unwrap();
            assert_eq!(checked.sha256, artifact.sha256, "{}", artifact.file_name);
            assert!(seen.insert(artifact.file_name.clone()), "{} belongs to two jobs", artifact.file_name);
        }
    }

    pub fn server_stats(&self) -> Stats {
        self.server.lock().unwrap().stats().clone()
    }

    pub fn ledger_events(&self) -> Vec<Event> {
        self.ledger.events()
    }

    pub fn n_in_doubt(&self) -> u64 {
        self.ledger.known().iter().map(|known| u64::from(known.state.n_in_doubt)).sum()
    }

    pub fn n_lost(&self) -> u64 {
        let is_loss =
            |event: &&Event| matches!(event.kind, EventKind::Setback(promptbatch::model::event::Stage::Task, _));
        self.ledger.events().iter().filter(is_loss).count() as u64
    }
}

fn artifacts(state: &JobState) -> Vec<Artifact> {
    match &state.phase {
        Phase::Finished(Outcome::Succeeded(artifacts)) => artifacts.clone(),
        Phase::Finished(Outcome::Failed(_))
        | Phase::Pending
        | Phase::Submitting
        | Phase::Running(_)
        | Phase::Downloading(_) => vec![],
    }
}
