//! The server of shared runs against a real PostgreSQL: the conformance suite, and the way of a run to the server and back.

#[expect(unreachable_pub, dead_code, reason = "the tests of the program use all of it")]
#[path = "../../../tests/process/postgres.rs"]
mod cluster;

use crate::model::event::{Event, EventKind, Redo, ReopenTarget, Stage};
use crate::model::job::{Job, JobSpec};
use crate::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, Outcome, TaskId};
use crate::model::phase::{JobRecord, JobState};
use crate::model::progress::NoProgress;
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::import::RestoredJob;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::blocking::BlockingRun;
use crate::store::postgres::push::Pushed;
use crate::store::setting::Setting;
use crate::store::settings::WriteSettings;
use crate::store::shared::conformance::{BLOCK_JOBS, CHECKS, jobs};
use crate::store::sqlite::SqliteStore;
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, RunWriter};

/// Returns the job of a ledger as another ledger gets it.
fn restored(Job { id, index, label, request, extras, row }: Job) -> RestoredJob {
    let spec = JobSpec { label, request, extras, row };
    RestoredJob { id, index: (index > 0).then_some(index), spec }
}

fn ledger(folder: &std::path::Path, jobs: Vec<Job>) -> SqliteStore {
    let mut store = SqliteStore::open(folder, "simulator").unwrap();
    store.restore_jobs(&mut jobs.into_iter().map(|job| Ok(restored(job)))).unwrap();
    store
}

fn server(address: &str) -> BlockingRun {
    BlockingRun::new(address.parse::<SharedAddress>().unwrap()).unwrap()
}

/// Goal: the server keeps every promise. Method: every check of the suite, each with a new run.
#[test]
fn the_server_conforms() {
    let Some(cluster) = cluster::shared() else { return };
    for (n, (name, check)) in CHECKS.into_iter().enumerate() {
        println!("{name}");
        let folder = tempfile::tempdir().unwrap();
        let run = ledger(folder.path(), jobs());
        let shared = server(&cluster.address(&format!("check_{n}")));
        shared.push_in_blocks(i64::try_from(BLOCK_JOBS).unwrap(), &run, "1", &mut NoProgress).unwrap();
        shared.runtime.block_on(check(&shared.run));
    }
}

/// Goal: no time is reserved twice, however many connections reserve at once. Method: four connections in threads of their own, each of
/// which reserves two hundred times; all times together.
#[test]
fn connections_that_reserve_at_once_share_no_time() {
    use crate::model::shared_cost::CostRequest;
    use crate::model::shared_rate::ReserveRequest;
    use crate::store::shared::backend::{SharedBackend, WorkerId, WorkerProfile};

    let Some(cluster) = cluster::shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = ledger(folder.path(), jobs());
    server(&cluster.address("reserved")).push(&run, "1", &mut NoProgress).unwrap();
    let rate = "1000/s".parse().unwrap();
    let reserve = |id| {
        let own = server(&cluster.address("reserved"));
        own.runtime.block_on(async {
            own.run.join(WorkerId(id), &WorkerProfile::default()).await.unwrap();
            own.run.share_rate(rate).await.unwrap();
            let mut times = Vec::new();
            for n in 1..=200 {
                let request = ReserveRequest { max: 3, held: 0, cost: CostRequest::default() };
                let found = own.run.reserve(WorkerId(id), n, request).await.unwrap();
                times.extend((0..i64::from(found.count)).map(|n| found.first + n * found.interval.cast_signed()));
            }
            times
        })
    };
    let mut times: Vec<i64> = std::thread::scope(|scope| {
        let threads = [1, 2, 3, 4].map(|id| scope.spawn(move || reserve(id)));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    times.sort_unstable();
    assert!(times.len() > 500, "{}", times.len());
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 1000), "two are too close");
}

/// Returns events of six jobs, in every kind of state.
fn pasts(jobs: &[Job]) -> Vec<Event> {
    let image = |name: &str| Artifact {
        file_name: format!("images/{name}.png"),
        sha256: [7; 32],
        bytes: 5,
        width: 1,
        height: 2,
        format: ImageFormat::Png,
    };
    let task = |name: &str| EventKind::Accepted(TaskId(name.to_owned()));
    let fault = |kind| Fault::new(kind, "tab\tline\nback\\slash");
    let kept = Fault { kept: vec![image("kept")], ..fault(FaultKind::BadOutput) };
    let pasts = [
        vec![EventKind::SubmitStarted],
        vec![EventKind::SubmitStarted, task("t2")],
        vec![
            EventKind::SubmitStarted,
            task("t3"),
            EventKind::Finished(Outcome::Succeeded(vec![image("a"), image("b")])),
        ],
        vec![
            EventKind::SubmitStarted,
            EventKind::Setback(Stage::Submit, fault(FaultKind::InDoubt)),
            EventKind::SubmitStarted,
            task("t4"),
            EventKind::Finished(Outcome::Failed(kept)),
            EventKind::Reopened(ReopenTarget::Fetch),
        ],
        vec![
            EventKind::SubmitStarted,
            task("t5"),
            EventKind::Finished(Outcome::Succeeded(vec![image("old")])),
            EventKind::Redone(Redo { seed: Some(5), ..Redo::default() }),
        ],
    ];
    let at = Timestamp::from_millis(1_800_000_000_000);
    let of = |(job, past): (&Job, Vec<EventKind>)| {
        let (job, index) = (job.id, job.index);
        past.into_iter().map(move |kind| Event { job, index, at, kind }).collect::<Vec<_>>()
    };
    jobs.iter().zip(pasts).flat_map(of).collect()
}

/// Returns everything about the jobs of a run: the jobs with their images, and the events of each.
fn content(run: &dyn RunReader) -> Vec<(JobRecord, Vec<(Timestamp, EventKind)>)> {
    let mut content = Vec::new();
    for set in [JobSet::InManifest, JobSet::Dropped] {
        run.for_each_job(set, |record| {
            let events = run.events(record.job.id)?;
            content.push((record, events));
            Ok::<_, LedgerError>(())
        })
        .unwrap();
    }
    content
}

/// Goal: a run that is half done comes back as it went, and what happened meanwhile is added once. Method: jobs in every state, one of
/// them no longer in the manifest, to the server and into a new ledger, and further events into the old one, twice.
#[test]
fn a_run_goes_to_the_server_and_comes_back() {
    let Some(cluster) = cluster::shared() else { return };
    let mut jobs = jobs();
    jobs[5].index = 0;
    jobs[0].label = Some("a\tb\\N".to_owned());
    let past = pasts(&jobs);
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut run = ledger(one.path(), jobs.clone());
    run.follow_events(&past, (Setting::Columns, "[\"a\"]")).unwrap();
    run.settle_price("2 USD".parse().ok(), None).unwrap();
    let shared = server(&cluster.address("there_and_back"));
    let Pushed::Now(pushed) = shared.push(&run, "1", &mut NoProgress).unwrap() else { panic!("it is new") };
    assert_eq!(shared.push(&run, "1", &mut NoProgress).unwrap(), Pushed::Before(pushed));
    assert!(matches!(shared.push(&run, "2", &mut NoProgress), Err(LedgerError::Server { .. })));
    let status = shared.status().unwrap();
    assert_eq!((status.counts, status.incidents), (run.counts().unwrap(), run.incidents().unwrap()));
    assert_eq!(status.settings.get("columns").map(String::as_str), Some("[\"a\"]"));
    let price = "2 USD".parse().unwrap();
    assert_eq!((status.cost, status.price.as_ref()), (run.total_cost(&price).unwrap(), Some(&price)));

    let mut back = SqliteStore::open(two.path(), "simulator").unwrap();
    let (_, rows) = shared.jobs_after(0).unwrap().unwrap();
    back.restore_jobs(&mut rows.into_iter().map(Ok)).unwrap();
    let events: Vec<Event> = shared.commits_after(0).unwrap().into_iter().flat_map(|(_, events)| events).collect();
    back.follow_events(&events, (Setting::Lent, "")).unwrap();
    assert_eq!(content(&back), content(&run));
    assert_eq!((back.counts().unwrap(), back.incidents().unwrap()), (run.counts().unwrap(), run.incidents().unwrap()));
    back.check_whole().unwrap();
    let (again, was) = (tempfile::tempdir().unwrap(), content(&back));
    drop(back);
    assert_eq!(content(&SqliteStore::open_for_reading(two.path()).unwrap()), was);
    drop(again);
}

/// Goal: a state at the server is the fold of the events that the folder had. Method: load every block, and compare with the fold.
#[test]
fn states_at_the_server_are_folds() {
    use crate::store::shared::backend::{Claim, Numbered, SharedBackend, WorkerId, WorkerProfile};

    let Some(cluster) = cluster::shared() else { return };
    let (jobs, folder) = (jobs(), tempfile::tempdir().unwrap());
    let past = pasts(&jobs);
    let mut run = ledger(folder.path(), jobs.clone());
    run.follow_events(&past, (Setting::Lent, "")).unwrap();
    let shared = server(&cluster.address("folds"));
    shared.push(&run, "1", &mut NoProgress).unwrap();
    shared.runtime.block_on(async {
        shared.run.join(WorkerId(1), &WorkerProfile::default()).await.unwrap();
        let claimed = shared.run.claim(WorkerId(1), 1, &Claim::Next(9)).await.unwrap();
        let Numbered::Written(blocks, _) = claimed else { panic!("{claimed:?}") };
        for loaded in shared.run.load(&blocks).await.unwrap() {
            let mut state = JobState::default();
            past.iter()
                .filter(|event| event.job == loaded.record.job.id)
                .for_each(|event| state.apply(event.at, &event.kind));
            assert_eq!(loaded.record.state, state, "{}", loaded.record.job.index);
        }
    });
}
