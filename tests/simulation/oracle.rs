//! Invariants of a world, after a crash and at the end.

use std::collections::{BTreeMap, BTreeSet};

use promptbatch::images::validate::inspect;
use promptbatch::images::validate::verdict::CheckLimits;
use promptbatch::internals::provider::body;
use promptbatch::internals::simulator::Stats;
use promptbatch::model::event::Event;
use promptbatch::model::limits::{Concurrency, InDoubtPolicy};
use promptbatch::model::name::ImageName;
use promptbatch::model::outcome::{Artifact, ImageFormat, Outcome};
use promptbatch::model::phase::{JobRecord, JobState, Phase};
use promptbatch::model::provenance::Provenance;
use promptbatch::simulator::faults::InjectedFault;

use crate::pace;
use crate::story::{self, Told};
use crate::world::World;

/// Outcome of a job: status, file name and sha256.
pub type End = (&'static str, String, [u8; 32]);

/// Outcome of every job, by its index in the manifest.
pub type Ends = BTreeMap<u64, End>;

impl World {
    /// Returns the outcome of every job.
    pub fn outcomes(&self) -> Ends {
        let ends = self.ledger.known().into_iter().map(|known| {
            let artifact = artifacts(&known.state).first().cloned();
            let (name, sha256) =
                artifact.map_or((String::new(), [0; 32]), |artifact| (artifact.file_name, artifact.sha256));
            (known.job.index, (known.state.status(), name, sha256))
        });
        ends.collect()
    }

    /// Runs this world without faults, and returns its outcomes.
    pub async fn outcomes_of_a_calm_run(self) -> Ends {
        self.run(crate::limits(0)).await;
        self.check();
        self.outcomes()
    }

    /// Checks the invariants that hold at every moment, even right after a crash.
    pub fn check_after_crash(&self) {
        let told = self.check_records();
        self.check_money(&self.ledger.known(), &told);
    }

    /// Checks the invariants that hold at every moment, except those of the money: they do not know jobs that were made again.
    pub fn check_records(&self) -> Told {
        let complaints = self.complaints.lock().unwrap();
        assert!(complaints.is_empty(), "{complaints:?}");
        drop(complaints);
        let known = self.ledger.known();
        self.check_fold(&known);
        let told = self.check_stories();
        self.check_files(&known);
        told
    }

    /// Checks the invariants that hold after a run.
    pub fn check(&self) {
        self.check_after_crash();
        // A crash between a rename and its record leaves a complete file. No job owns the file if every later download
        // fails.
        let has_died = self.sessions.lock().unwrap().iter().any(|begun| begun.has_died);
        let is_left = |state: &JobState| state.status() == "failed" && has_died;
        let (mut files, known) = (self.store.files(), self.ledger.known());
        for JobRecord { job, state } in known {
            let name = ImageName::new(Provenance::of_job(job.clone()), 1).path(ImageFormat::Png);
            let is_there = files.remove(&name).is_some();
            assert!(is_there != artifacts(&state).is_empty() || is_left(&state), "{name}: {}", state.status());
        }
        assert!(files.is_empty(), "no file without a job: {:?}", files.keys());
        assert_eq!(self.server_stats().n_token_leaks, 0);
    }

    /// Checks the invariants of a completed run. Every job has its image, or a failure that its event history confirms,
    /// or is held.
    pub fn check_end(&self, expected: &Ends) {
        self.check();
        let limits = self.sessions.lock().unwrap().last().unwrap().limits.clone();
        // A job that may not be paid for again is held.
        let is_worn = |state: &JobState| state.n_repaid() >= limits.resubmits_max;
        let worn: BTreeSet<u64> =
            self.ledger.known().iter().filter(|known| is_worn(&known.state)).map(|known| known.job.index).collect();
        for (index, end) in self.outcomes() {
            match end.0 {
                "succeeded" => assert_eq!(end, expected[&index], "job {index}"),
                "failed" | "moderated" => (),
                "in_doubt" if limits.in_doubt == InDoubtPolicy::Hold => (),
                "in_doubt" | "running" if worn.contains(&index) => (),
                status => panic!("job {index} is {status} at the end"),
            }
        }
    }

    /// Checks that the server accepted exactly the tasks in the ledger and those hidden by faults. Not valid for a
    /// world with crashes, which hide answers too.
    pub fn check_exact(&self) {
        let told = self.check_stories();
        let stats = self.server_stats();
        self.check_places(&stats);
        let is_hidden = |fault: &&InjectedFault| matches!(fault, InjectedFault::Submit(fault) if fault.hides_task());
        let n_hidden: u64 = InjectedFault::all().filter(|fault| is_hidden(&fault)).map(|f| stats.n_faults(f)).sum();
        let n_known: u32 = told.accepted.values().sum();
        assert_eq!(stats.n_accepted, u64::from(n_known) + n_hidden, "{told:?}");
    }

    /// Goal: the server's own count confirms the requested concurrency. The check is skipped after a lost answer or a
    /// lost task: the first hides a task, the second may still run.
    fn check_places(&self, stats: &Stats) {
        let sessions = self.sessions.lock().unwrap();
        if let Concurrency::Fixed(max) = sessions.last().expect("a process has begun").limits.concurrency
            && self.n_in_doubt() == 0
            && self.n_lost() == 0
        {
            assert!(stats.n_unfinished_max <= max.get() as usize, "{} tasks at once", stats.n_unfinished_max);
        }
    }

    fn check_stories(&self) -> Told {
        let events = self.ledger.events();
        let sessions = self.sessions.lock().unwrap();
        let limits = &sessions.last().expect("a process has begun").limits;
        pace::check_in_flight(&events, limits);
        pace::check_rate(&events, limits);
        story::read(&events, limits)
    }

    /// Checks that the stored state of every job is the fold of its events.
    fn check_fold(&self, known: &[JobRecord]) {
        let mut states: BTreeMap<_, JobState> = BTreeMap::new();
        for event in self.ledger.events() {
            states.entry(event.job).or_default().apply(event.at, &event.kind);
        }
        for known in known {
            assert_eq!(states.remove(&known.job.id).unwrap_or_default(), known.state, "job {}", known.job.index);
        }
    }

    /// Checks the tasks that the server accepted, by content. There are at least as many as on record. There is one
    /// more only for each doubt, and for each submission whose answer a crash lost. On record, there is one for each
    /// job and one for each loss.
    fn check_money(&self, known: &[JobRecord], told: &Told) {
        let mut contents: BTreeMap<String, [u32; 4]> = BTreeMap::new();
        for JobRecord { job, state } in known {
            let of = |counts: &BTreeMap<_, u32>| counts.get(&job.id).copied().unwrap_or(0);
            let (n_accepted, n_hidden) = (of(&told.accepted), of(&told.doubts) + of(&told.open));
            assert_eq!(of(&told.doubts), state.n_in_doubt, "job {}: every doubt is counted", job.index);
            let n_paid = u32::from(state.n_submits > 0) + state.n_in_doubt + state.n_lost;
            let content = contents.entry(body::text(&job.request).unwrap()).or_default();
            for (sum, n) in content.iter_mut().zip([n_accepted, n_hidden, n_paid, 1 + state.n_lost]) {
                *sum += n;
            }
        }
        assert_eq!(told.n_lost, known.iter().map(|known| known.state.n_lost).sum::<u32>(), "every loss is counted");
        let server = self.server.lock().unwrap();
        for (body, [n_known, n_hidden, n_paid, n_due]) in contents {
            let n = server.n_accepted(body.as_bytes());
            assert!(n_known <= n_due, "{body}: {n_known} tasks on record, {n_due} due");
            assert!(n <= n_paid, "{body}: {n} tasks accepted, {n_paid} accounted for");
            assert!((n_known..=n_known + n_hidden).contains(&n), "{body}: {n} accepted, {n_known} + {n_hidden} known");
        }
    }

    /// Checks that every image of a succeeded job exists, is complete, and is the recorded one.
    fn check_files(&self, known: &[JobRecord]) {
        let files = self.store.files();
        let mut seen = BTreeSet::new();
        for artifact in known.iter().flat_map(|known| artifacts(&known.state)) {
            let bytes = files.get(&artifact.file_name).unwrap_or_else(|| panic!("{} is missing", artifact.file_name));
            let checked = inspect(bytes.as_slice(), &CheckLimits::default()).unwrap().unwrap();
            assert_eq!(checked.sha256, artifact.sha256, "{}", artifact.file_name);
            assert!(seen.insert(artifact.file_name.clone()), "{} belongs to two jobs", artifact.file_name);
        }
        for known in known.iter().filter(|known| known.state.n_submits == 0) {
            let name = ImageName::new(Provenance::of_job(known.job.clone()), 1).path(ImageFormat::Png);
            assert!(!files.contains_key(&name), "{name} is there, and was never asked for");
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
        self.ledger.known().iter().map(|known| u64::from(known.state.n_lost)).sum()
    }
}

fn artifacts(state: &JobState) -> Vec<Artifact> {
    match &state.phase {
        Phase::Finished(Outcome::Succeeded(artifacts)) => artifacts.clone(),
        _ => vec![],
    }
}
