//! Comparison of both sides: the ledger of a run, job by job, against the simulated API and the disk.

use std::collections::BTreeMap;
use std::fs;

use promptbatch::internals::provider::body;
use promptbatch::model::event::{Event, EventKind};
use promptbatch::model::limits::Limits;
use promptbatch::model::outcome::Outcome;
use promptbatch::model::phase::{JobRecord, JobState, Phase};
use promptbatch::store::error::LedgerError;
use promptbatch::store::typed::Typed;
use promptbatch::store::{JobSet, stores};
use sha2::{Digest, Sha256};

use crate::bench::{Bench, hex};
use crate::story::{self, Told};

/// Content of the ledger at one moment.
pub struct Books {
    pub known: Vec<JobRecord>,
    /// Events of every job, one job after the other.
    pub events: Vec<Event>,
}

impl Books {
    /// Reads a copy, so that the next process finds the file exactly as the last one left it.
    pub fn read(bench: &Bench) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for name in ["run.db", "run.db-wal"] {
            let from = bench.path("out").join(name);
            if from.exists() {
                fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        let (mut known, mut events) = (vec![], vec![]);
        let file = match stores::open_for_reading(copy.path()) {
            Ok(file) => file,
            // The process died before it had anything to record.
            Err(LedgerError::Missing { .. }) => return Self { known, events },
            Err(error) => panic!("{error}"),
        };
        file.for_each_job(JobSet::InManifest, |job| {
            known.push(job);
            Ok::<_, LedgerError>(())
        })
        .unwrap();
        for JobRecord { job, state } in &known {
            for (at, mut kind) in file.events(job.id).unwrap() {
                // The images of a success are separate rows, which the state already contains.
                if let (EventKind::Finished(outcome), Phase::Finished(with_images)) = (&mut kind, &state.phase) {
                    outcome.clone_from(with_images);
                }
                events.push(Event { job: job.id, index: job.index, at, kind });
            }
        }
        Self { known, events }
    }

    /// Returns the numbers of jobs by phase: pending, submitting, running, downloading, finished.
    pub fn phases(&self) -> [usize; 5] {
        let mut phases = [0; 5];
        for known in &self.known {
            let phase = match &known.state.phase {
                Phase::Pending => 0,
                Phase::Submitting => 1,
                Phase::Running(_) => 2,
                Phase::Downloading(_) => 3,
                Phase::Finished(_) => 4,
                phase => panic!("{phase:?} has no number here"),
            };
            phases[phase] += 1;
        }
        phases
    }

    /// Goal: every accepted task is on record or in doubt. No task was repeated without a recorded reason. Every image
    /// of a succeeded job is on disk. This holds at every moment at which no process runs.
    pub fn check(&self, bench: &Bench, limits: &Limits) -> Told {
        let on_disk = |name: &str| hex(&Sha256::digest(fs::read(bench.path("out").join(name)).unwrap()));
        self.check_with(bench, limits, on_disk)
    }

    /// Checks the same for a run whose images are elsewhere: `sha256` returns the hash of the image with a name.
    pub fn check_with(&self, bench: &Bench, limits: &Limits, sha256: impl Fn(&str) -> String) -> Told {
        let told = story::read(&self.events, limits);
        let server = bench.simulator.server().lock().unwrap();
        let mut states: BTreeMap<_, JobState> = BTreeMap::new();
        for event in &self.events {
            states.entry(event.job).or_default().apply(event.at, &event.kind);
        }
        for JobRecord { job, state } in &self.known {
            let of = |counts: &BTreeMap<_, u32>| counts.get(&job.id).copied().unwrap_or(0);
            let (n_known, n_doubts, n_open) = (of(&told.accepted), of(&told.doubts), of(&told.open));
            let n_accepted = server.n_accepted(body::text(&job.request).unwrap().as_bytes());
            assert!(n_accepted >= n_known, "{}: on record {n_known}, accepted {n_accepted}", job.index);
            assert!(n_accepted <= n_known + n_doubts + n_open, "{}: {n_accepted} for {n_known}", job.index);
            assert!(n_known <= 1 + state.n_lost, "{}: {n_known} for {} lost", job.index, state.n_lost);
            assert_eq!(n_doubts, state.n_in_doubt, "{}: every doubt is counted", job.index);
            let fold = states.remove(&job.id).unwrap_or_default();
            assert_eq!(&fold, state, "{}: the state is the fold of the events", job.index);
            check_files(state, &sha256);
        }
        told
    }
}

fn check_files(state: &JobState, sha256: impl Fn(&str) -> String) {
    let Phase::Finished(Outcome::Succeeded(artifacts)) = &state.phase else { return };
    assert!(!artifacts.is_empty(), "a success has images");
    for artifact in artifacts {
        assert_eq!(hex(&artifact.sha256), sha256(&artifact.file_name), "{}", artifact.file_name);
    }
}
