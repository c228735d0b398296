//! Conformance suite of the servers of shared runs: every promise of [`SharedBackend`], checked for every backend.
//!
//! Each check gets a new run of [`JOBS`] pending jobs, in blocks of [`BLOCK_JOBS`]. None of them waits: a rest is zero, or far too long.

use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join, join_all};

use crate::model::event::{EventKind, Stage};
use crate::model::job::{Job, JobId, ManifestRow};
use crate::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, Outcome, TaskId};
use crate::model::phase::{JobState, Phase};
use crate::model::request::Request;
use crate::model::time::Timestamp;
use crate::store::TaskOwner;
use crate::store::shared::backend::{
    BlockNumber, Claim, Numbered, Outlook, Renewal, SharedBackend, SharedFlags, SharedJob, Testimony, WorkerId,
    WorkerNumbers, WorkerProfile, WorkerRow,
};
use crate::store::shared::conformance_cost::{amounts, cost_once, races_for_amounts, unknown_prices};
use crate::store::shared::conformance_jobs::{accepted, commit_of};
use crate::store::shared::conformance_pace::{bursts, places, rates, reserves};
use crate::store::totals::Totals;

/// Jobs of the run of a check.
pub(in crate::store) const JOBS: u64 = 6;

/// Jobs of a block.
pub(in crate::store) const BLOCK_JOBS: usize = 2;

const LONG: Duration = Duration::from_secs(3600);

const ONE: WorkerId = WorkerId(1);
const TWO: WorkerId = WorkerId(i64::MAX);

/// Check of one promise.
pub(in crate::store) type Check = for<'a> fn(&'a dyn SharedBackend) -> BoxFuture<'a, ()>;

/// All checks, by name.
pub(in crate::store) const CHECKS: [(&str, Check); 21] = [
    ("a join that is sent again is the same join", |server| joins(server).boxed()),
    ("a commit that is sent twice happens once", |server| commits_once(server).boxed()),
    ("a write with a wrong number does not happen", |server| numbers(server).boxed()),
    ("what was committed comes back", |server| comes_back(server).boxed()),
    ("a claim gives each block to one worker", |server| claims(server).boxed()),
    ("a claim that is sent again finds its blocks", |server| claims_once(server).boxed()),
    ("blocks under way come first", |server| begun_first(server).boxed()),
    ("a worker is taken over with the numbers seen only", |server| takeovers(server).boxed()),
    ("a commit that races a takeover happens before it or not at all", |server| races(server).boxed()),
    ("blocks of a worker that was taken over rest", |server| rests(server).boxed()),
    ("the totals are what a count of all jobs gives", |server| totals(server).boxed()),
    ("testimonies and owners come back", |server| testimonies(server).boxed()),
    ("flags reach every worker", |server| flags(server).boxed()),
    ("no time is reserved twice", |server| reserves(server).boxed()),
    ("the newest rate counts, and every worker hears it", |server| rates(server).boxed()),
    ("a burst reaches back", |server| bursts(server).boxed()),
    ("no more tasks are in flight than there are places", |server| places(server).boxed()),
    ("no more is reserved than the limit on the cost leaves", |server| amounts(server).boxed()),
    ("a cost counts once, and the newest limit counts", |server| cost_once(server).boxed()),
    ("nothing is reserved while a price is unknown", |server| unknown_prices(server).boxed()),
    ("workers that reserve at once share no amount", |server| races_for_amounts(server).boxed()),
];

/// Returns the jobs of the run of a check.
pub(in crate::store) fn jobs() -> Vec<Job> {
    (1..=JOBS).map(job).collect()
}

fn job(index: u64) -> Job {
    let request = Request { prompt: format!("cat {index}"), model: "a/b".into(), ..Request::default() };
    let id = JobId::new(&request.content(), 0);
    Job { id, index, label: None, request, extras: vec![], row: ManifestRow::default() }
}

async fn join_as(server: &dyn SharedBackend, worker: WorkerId) {
    let profile = WorkerProfile { host: "host".into(), pid: 1, version: "1".into() };
    server.join(worker, &profile).await.unwrap();
}

/// Claims blocks as the worker's write `n`, and returns their jobs.
async fn claim(server: &dyn SharedBackend, worker: WorkerId, n: u64, n_blocks: usize) -> Vec<SharedJob> {
    let claimed = server.claim(worker, n, &Claim::Next(n_blocks)).await.unwrap();
    let Numbered::Written(blocks, _) = claimed else { panic!("{claimed:?}") };
    server.load(&blocks).await.unwrap()
}

fn succeeded() -> EventKind {
    let (file_name, format) = ("images/x.png".to_owned(), ImageFormat::Png);
    let image = Artifact { file_name, sha256: [7; 32], bytes: 12, width: 3, height: 4, format };
    EventKind::Finished(Outcome::Succeeded(vec![image]))
}

async fn row_of(server: &dyn SharedBackend, worker: WorkerId) -> Option<WorkerRow> {
    server.workers().await.unwrap().into_iter().find(|row| row.id == worker)
}

async fn state_of(server: &dyn SharedBackend, job: &SharedJob) -> JobState {
    let jobs = server.load(&[job.block]).await.unwrap();
    jobs.into_iter().find(|other| other.row == job.row).unwrap().record.state
}

async fn joins(server: &dyn SharedBackend) {
    assert_eq!(server.renew(ONE).await.unwrap(), Renewal::Unknown);
    assert_eq!(server.claim(ONE, 1, &Claim::Next(1)).await.unwrap(), Numbered::Unknown);
    join_as(server, ONE).await;
    claim(server, ONE, 1, 1).await;
    join_as(server, ONE).await;
    let numbers = WorkerNumbers { n_writes: 1, n_renewals: 0 };
    let row = row_of(server, ONE).await.unwrap();
    assert_eq!((row.is_live, row.numbers), (true, numbers));
    server.leave(ONE, Duration::ZERO).await.unwrap();
    join_as(server, ONE).await;
    assert_eq!(server.renew(ONE).await.unwrap(), Renewal::Fenced, "a worker that left does not come back");
    assert_eq!(row_of(server, ONE).await, None);
}

async fn commits_once(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    let jobs = claim(server, ONE, 1, 1).await;
    let commit = commit_of(&jobs[0], &accepted("t1"), &[]);
    assert!(matches!(server.commit(ONE, 2, &commit).await.unwrap(), Numbered::Written((), _)));
    assert_eq!(server.commit(ONE, 2, &commit).await.unwrap(), Numbered::LastIs(2));
    assert_eq!(row_of(server, ONE).await.unwrap().totals, commit.totals);
    let next = commit_of(&jobs[1], &[EventKind::SubmitStarted], &[]);
    let (one, two) = join(server.commit(ONE, 3, &next), server.commit(ONE, 3, &next)).await;
    let mut answers = [one.unwrap(), two.unwrap()];
    answers.sort_by_key(|answer| matches!(answer, Numbered::LastIs(_)));
    assert!(matches!(answers, [Numbered::Written((), _), Numbered::LastIs(3)]), "{answers:?}");
}

async fn numbers(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    let jobs = claim(server, ONE, 1, 1).await;
    let commit = commit_of(&jobs[0], &accepted("t1"), &[]);
    for n in [0, 1, 3, 9] {
        assert_eq!(server.commit(ONE, n, &commit).await.unwrap(), Numbered::LastIs(1), "{n}");
        assert_eq!(server.claim(ONE, n, &Claim::Next(1)).await.unwrap(), Numbered::LastIs(1), "{n}");
    }
    assert_eq!(state_of(server, &jobs[0]).await, JobState::default());
    assert_eq!(server.owned(ONE).await.unwrap(), [jobs[0].block]);
    assert_eq!(server.owners(&[TaskId("t1".into())]).await.unwrap(), [None]);
}

async fn comes_back(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    let jobs = claim(server, ONE, 1, 3).await;
    assert_eq!(jobs.iter().map(|job| job.record.job.index).collect::<Vec<_>>(), (1..=JOBS).collect::<Vec<_>>());
    let fault = Fault::new(FaultKind::InDoubt, "the answer 'was' lost\u{0301}");
    let lives = [
        vec![EventKind::SubmitStarted],
        vec![EventKind::SubmitStarted, EventKind::Setback(Stage::Submit, fault)],
        accepted("t3").to_vec(),
        [&accepted("t4")[..], &[succeeded()]].concat(),
    ];
    for ((n, job), life) in (2..).zip(&jobs).zip(lives) {
        let commit = commit_of(job, &life, &[]);
        assert!(matches!(server.commit(ONE, n, &commit).await.unwrap(), Numbered::Written((), _)));
        let found = state_of(server, job).await;
        match (&found.phase, &commit.jobs[0].state.phase) {
            // Only a visit of all jobs passes the images on.
            (Phase::Finished(Outcome::Succeeded(_)), Phase::Finished(Outcome::Succeeded(_))) => {
                assert_eq!(
                    (found.n_submits, found.task, found.finished_at.is_some()),
                    (1, Some(TaskId("t4".into())), true)
                );
            }
            _ => assert_eq!(found, commit.jobs[0].state),
        }
    }
    assert_eq!(server.load(&[]).await.unwrap(), []);
}

async fn claims(server: &dyn SharedBackend) {
    join_all([ONE, TWO, WorkerId(7)].map(|worker| join_as(server, worker))).await;
    let (two, next) = (Claim::Next(2), Claim::Next(2));
    let (one, two, three) =
        futures::join!(server.claim(ONE, 1, &two), server.claim(TWO, 1, &next), server.claim(WorkerId(7), 1, &next));
    let mut blocks = vec![];
    for answer in [one, two, three] {
        let Numbered::Written(claimed, _) = answer.unwrap() else { panic!("each has its own number") };
        blocks.extend(claimed);
    }
    // What a racing claim had locked may be left.
    let rest = claim(server, ONE, 2, 3).await;
    blocks.extend(rest.iter().map(|job| job.block));
    blocks.sort();
    blocks.dedup();
    assert_eq!(blocks, [0, 1, 2].map(BlockNumber));
    let owned = join_all([ONE, TWO, WorkerId(7)].map(|worker| server.owned(worker))).await;
    let n_owned: usize = owned.into_iter().map(|owned| owned.unwrap().len()).sum();
    assert_eq!((n_owned, server.outlook().await.unwrap()), (3, Outlook::Owned));
    assert_eq!(claim(server, TWO, 2, 3).await, []);
}

async fn claims_once(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    join_as(server, TWO).await;
    claim(server, ONE, 1, 1).await;
    assert_eq!(server.claim(ONE, 1, &Claim::Next(1)).await.unwrap(), Numbered::LastIs(1));
    assert_eq!(server.owned(ONE).await.unwrap(), [BlockNumber(0)]);
    claim(server, TWO, 1, 1).await;
    let again = Claim::These([0, 1, 2].map(BlockNumber).to_vec());
    let Numbered::Written(blocks, _) = server.claim(ONE, 2, &again).await.unwrap() else { panic!("it is the next") };
    assert_eq!(blocks, [0, 2].map(BlockNumber), "the other one belongs to the other worker");
}

async fn begun_first(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    let jobs = claim(server, ONE, 1, 3).await;
    let commit = commit_of(&jobs[4], &accepted("t5"), &[]);
    server.commit(ONE, 2, &commit).await.unwrap();
    let ended = commit_of(&jobs[0], &[&accepted("t1")[..], &[succeeded()]].concat(), &[]);
    server.commit(ONE, 3, &ended).await.unwrap();
    server.leave(ONE, Duration::ZERO).await.unwrap();
    join_as(server, TWO).await;
    let blocks: Vec<_> = claim(server, TWO, 1, 1).await.iter().map(|job| job.block).collect();
    assert_eq!(blocks, [BlockNumber(2), BlockNumber(2)]);
    let next: Vec<_> = claim(server, TWO, 2, 1).await.iter().map(|job| job.block).collect();
    assert_eq!(next, [BlockNumber(0), BlockNumber(0)]);
}

async fn takeovers(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    let jobs = claim(server, ONE, 1, 1).await;
    let seen = row_of(server, ONE).await.unwrap().numbers;
    assert!(matches!(server.renew(ONE).await.unwrap(), Renewal::Renewed { n_writes: 1, .. }));
    assert!(!server.take_over(ONE, seen, LONG).await.unwrap(), "it was heard of since");
    let seen = row_of(server, ONE).await.unwrap().numbers;
    let commit = commit_of(&jobs[0], &accepted("t1"), &[]);
    server.commit(ONE, 2, &commit).await.unwrap();
    assert!(!server.take_over(ONE, seen, LONG).await.unwrap(), "it has committed since");
    let seen = row_of(server, ONE).await.unwrap().numbers;
    assert!(server.take_over(ONE, seen, LONG).await.unwrap());
    assert!(!server.take_over(ONE, seen, LONG).await.unwrap(), "it happens once");
    assert!(!server.take_over(TWO, seen, LONG).await.unwrap(), "there is no such worker");
    let late = commit_of(&jobs[1], &accepted("t2"), &[]);
    assert_eq!(server.commit(ONE, 3, &late).await.unwrap(), Numbered::Fenced);
    assert_eq!(server.claim(ONE, 3, &Claim::Next(1)).await.unwrap(), Numbered::Fenced);
    assert_eq!(server.renew(ONE).await.unwrap(), Renewal::Fenced);
    assert_eq!(state_of(server, &jobs[1]).await, JobState::default());
    assert_eq!(server.owned(ONE).await.unwrap(), []);
}

async fn races(server: &dyn SharedBackend) {
    for n in 1..=10 {
        let worker = WorkerId(n);
        join_as(server, worker).await;
        let jobs = claim(server, worker, 1, 1).await;
        let seen = row_of(server, worker).await.unwrap().numbers;
        let commit = commit_of(&jobs[0], &[EventKind::SubmitStarted], &[]);
        let (taken, written) =
            join(server.take_over(worker, seen, Duration::ZERO), server.commit(worker, 2, &commit)).await;
        let n_before = jobs[0].record.state.n_submits;
        let n_submits = state_of(server, &jobs[0]).await.n_submits;
        match (taken.unwrap(), written.unwrap()) {
            (true, Numbered::Fenced) => assert_eq!(n_submits, n_before),
            (false, Numbered::Written((), _)) => {
                assert_eq!(n_submits, n_before + 1);
                server.leave(worker, Duration::ZERO).await.unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn rests(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    join_as(server, TWO).await;
    claim(server, ONE, 1, 3).await;
    let seen = row_of(server, ONE).await.unwrap().numbers;
    assert!(server.take_over(ONE, seen, LONG).await.unwrap());
    assert_eq!(claim(server, TWO, 1, 3).await, []);
    let outlook = server.outlook().await.unwrap();
    assert!(matches!(outlook, Outlook::Resting(wait) if wait > LONG / 2 && wait <= LONG), "{outlook:?}");
    // The server has forgotten that they were this worker's.
    let again = Claim::These(vec![BlockNumber(1)]);
    let claimed = server.claim(TWO, 2, &again).await.unwrap();
    assert!(matches!(claimed, Numbered::Written(blocks, _) if blocks == [BlockNumber(1)]));
    server.leave(TWO, Duration::ZERO).await.unwrap();
    assert_eq!(server.outlook().await.unwrap(), Outlook::Free);
}

async fn totals(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    let jobs = claim(server, ONE, 1, 3).await;
    let mut expected = Totals::default();
    for (n, job) in (2..).zip(&jobs) {
        let ends = [&accepted(&format!("t{n}"))[..], &[succeeded()]].concat();
        let is_last = job.row == jobs[1].row || job.row == jobs[3].row || job.row == jobs[5].row;
        let done: &[BlockNumber] = if is_last { &[job.block] } else { &[] };
        let commit = commit_of(job, &ends, done);
        expected += commit.totals;
        assert!(matches!(server.commit(ONE, n, &commit).await.unwrap(), Numbered::Written((), _)));
    }
    assert_eq!(row_of(server, ONE).await.unwrap().totals, expected);
    let counts = expected.0;
    assert_eq!((counts[0], counts[4], counts[7]), (-6, 6, 6));
    assert_eq!((server.outlook().await.unwrap(), server.owned(ONE).await.unwrap()), (Outlook::Done, vec![]));
    assert_eq!(claim(server, ONE, 8, 3).await, [], "a block that is done is not claimed");
}

async fn testimonies(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    let jobs = claim(server, ONE, 1, 1).await;
    let told = |n_submits, task: &str| (jobs[0].row, Testimony { n_submits, task: TaskId(task.into()) });
    server.testify(ONE, &[told(1, "t1"), told(2, "t2")]).await.unwrap();
    server.testify(ONE, &[told(2, "t2")]).await.unwrap();
    server.testify(WorkerId(99), &[]).await.unwrap();
    let found = server.load(&[jobs[0].block]).await.unwrap();
    let mut found_of = found[0].testimonies.clone();
    found_of.sort_by_key(|testimony| testimony.n_submits);
    assert_eq!(found_of, [told(1, "t1").1, told(2, "t2").1]);
    assert_eq!(found[1].testimonies, []);
    let commit = commit_of(&jobs[0], &accepted("t1"), &[]);
    server.commit(ONE, 2, &commit).await.unwrap();
    let other = commit_of(&jobs[1], &accepted("t1"), &[]);
    server.commit(ONE, 3, &other).await.unwrap();
    let tasks = ["t0", "t1"].map(|task| TaskId(task.into()));
    let owner = TaskOwner { job: jobs[0].record.job.id, index: Some(1) };
    assert_eq!(server.owners(&tasks).await.unwrap(), [None, Some(owner)], "the first owner stays");
}

async fn flags(server: &dyn SharedBackend) {
    join_as(server, ONE).await;
    let hold = |hold_for| SharedFlags { hold_for: Some(hold_for), ..SharedFlags::default() };
    server.raise(&hold(LONG)).await.unwrap();
    server.raise(&hold(LONG / 4)).await.unwrap();
    let stop = |words: &str| SharedFlags { stop: Some(words.to_owned()), ..SharedFlags::default() };
    server.raise(&stop("the quota is used up")).await.unwrap();
    server.raise(&stop("another reason")).await.unwrap();
    let is_told = |flags: SharedFlags| {
        assert!(flags.hold_for.is_some_and(|span| span > LONG / 2 && span <= LONG), "{flags:?}");
        assert_eq!(flags.stop.as_deref(), Some("the quota is used up"));
    };
    let Renewal::Renewed { flags, .. } = server.renew(ONE).await.unwrap() else { panic!("it is live") };
    is_told(flags);
    let Numbered::Written(_, flags) = server.claim(ONE, 1, &Claim::Next(1)).await.unwrap() else {
        panic!("it is live")
    };
    is_told(flags);
    // A worker that joins them hears it too. Those who come after all have left begin anew.
    join_as(server, TWO).await;
    let Renewal::Renewed { flags, .. } = server.renew(TWO).await.unwrap() else { panic!("it is live") };
    is_told(flags);
    server.leave(ONE, Duration::ZERO).await.unwrap();
    server.leave(TWO, Duration::ZERO).await.unwrap();
    join_as(server, WorkerId(3)).await;
    let Renewal::Renewed { flags, .. } = server.renew(WorkerId(3)).await.unwrap() else { panic!("it is live") };
    assert_eq!(flags.stop, None);
}

/// Goal: the server in memory keeps every promise. Method: every check, each with a new run, on one clock that stands still.
#[tokio::test]
async fn the_server_in_memory_conforms() {
    use crate::model::time::Moment;
    use crate::store::shared::memory::MemoryServer;

    for (name, check) in CHECKS {
        println!("{name}");
        let clock = std::sync::Arc::new(|| Moment::new(0, Timestamp::from_millis(0)));
        check(&MemoryServer::new(jobs(), BLOCK_JOBS, clock)).await;
    }
}
