//! Merges of small parts that are made by hand: what each part left open, and what lies in the way.

use std::fs;
use std::os::unix::fs::symlink;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::model::event::{Redo, ReplacedImage};
use crate::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, TaskId};
use crate::model::progress::NoProgress;
use crate::model::request::Request;
use crate::model::time::Timestamp;
use crate::run::consent::is_of_all;
use crate::store::JobScope;
use crate::store::selection::RetrySelection;
use crate::store::settings::WriteSettings;
use crate::store::sqlite::SqliteStore;

const NAME: &str = "images/cat.png";
const KEPT: &str = "replaced/images/cat.png";

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn part(&self, nth: u32) -> PathBuf {
        self.folder.path().join(format!("part{nth}"))
    }

    /// Makes part `nth` of two, with one job, and lets these things happen to it. Returns its run and the id of the job.
    fn make(&self, nth: u32, kinds: Vec<EventKind>) -> (Box<dyn RunWriter>, JobId) {
        let mut run = SqliteStore::open(&self.part(nth), "simulator").unwrap();
        let partition: Partition = format!("slice:{nth}/2").parse().unwrap();
        let facts = ManifestFacts {
            fingerprint: "f",
            path: "p.csv",
            part: Some((partition, "whole")),
            ..ManifestFacts::default()
        };
        let rows = (1..=2).map(|index| {
            let request = Request { prompt: format!("cat {index}"), model: "m".into(), ..Request::default() };
            let row = ManifestRow { is_skipped: index != nth, ..ManifestRow::default() };
            Ok::<_, LedgerError>(JobSpec { row, ..JobSpec::from(request) })
        });
        run.import(&facts, rows).unwrap();
        run.account_salt().unwrap();
        live(Box::new(run), kinds)
    }

    fn merge(&self) -> Result<Merged, MergeError> {
        merge(&[self.part(1), self.part(2)], &self.out(), &mut NoProgress)
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn now(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn image(text: &str) -> Artifact {
    let (sha256, bytes) = (Sha256::digest(text).into(), text.len() as u64);
    Artifact { file_name: NAME.into(), sha256, bytes, width: 1, height: 1, format: ImageFormat::Png }
}

fn paid(task: &str) -> Vec<EventKind> {
    vec![EventKind::SubmitStarted, EventKind::Accepted(TaskId(task.into()))]
}

fn succeeded(task: &str, text: &str) -> Vec<EventKind> {
    [paid(task), vec![EventKind::Finished(Outcome::Succeeded(vec![image(text)]))]].concat()
}

fn failed(task: &str) -> Vec<EventKind> {
    let fault = Fault::new(FaultKind::Moderated, "words");
    [paid(task), vec![EventKind::Finished(Outcome::Failed(fault))]].concat()
}

fn live(run: Box<dyn RunWriter>, kinds: Vec<EventKind>) -> (Box<dyn RunWriter>, JobId) {
    let mut ledger = run.start(JobScope::Unfinished).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let id = runtime.block_on(async {
        let job = ledger.load(2).await.unwrap().jobs.remove(0).job;
        let events: Vec<_> =
            kinds.into_iter().map(|kind| Event { job: job.id, index: job.index, at: now(1), kind }).collect();
        if !events.is_empty() {
            ledger.record(events.into()).await.unwrap();
        }
        job.id
    });
    (ledger.close().unwrap(), id)
}

/// Has the job of a part made again, as `redo` does; its image is kept.
fn redone(world: &World, nth: u32, run: &mut dyn RunWriter, id: JobId) {
    write(&world.part(nth).join(KEPT), "old");
    let replaced = vec![ReplacedImage { artifact: image("old"), kept_as: KEPT.into() }];
    run.set_setting(Setting::Redoing, &id.to_string()).unwrap();
    run.redo(now(2), &[(id, Redo { seed: None, seed_before: None, replaced })]).unwrap();
}

/// Goal: an image stays current if its repetition fails, also if the redo was interrupted and the part is merged. Method: two parts with a redo
/// each, one that failed and one that has not ended.
#[test]
fn an_interrupted_redo_in_a_part_is_completed_in_the_merged_run() {
    let world = World::new();
    let (mut run, one) = world.make(1, succeeded("7", "old"));
    redone(&world, 1, &mut *run, one);
    drop(live(run, failed("8")));
    let (mut run, two) = world.make(2, succeeded("9", "old"));
    redone(&world, 2, &mut *run, two);
    run.set_setting(Setting::Redo, "2").unwrap();
    drop(run);
    let merged = world.merge().unwrap();
    assert_eq!((merged.counts.n_succeeded, merged.counts.n_pending), (1, 1));
    assert_eq!(fs::read_to_string(world.out().join(NAME)).unwrap(), "old");
    let run = stores::open_for_reading(&world.out()).unwrap();
    assert_eq!(run.setting(Setting::Redoing).unwrap(), Some(two.to_string()));
    assert_eq!(run.setting(Setting::Redo).unwrap().as_deref(), Some("2"));
}

/// Goal: what a part did after a merge was killed counts. Method: a merge that stopped before its end, with the events of one part.
#[test]
fn a_killed_merge_is_begun_anew() {
    let world = World::new();
    let (run, id) = world.make(1, failed("7"));
    drop(run);
    drop(world.make(2, vec![]));
    let shards = open_shards(&[world.part(1), world.part(2)]).unwrap();
    let mut jobs = BTreeMap::new();
    (0..2).for_each(|nth| gather(nth, &shards, &mut jobs).unwrap());
    let mut run = create(&world.out(), &shards[0], &[]).unwrap();
    import(&mut *run, &shards[0], &jobs).unwrap();
    let events: Vec<_> = events_of(1, &jobs[&1], &shards).unwrap().into_iter().map(|(_, event)| event).collect();
    assert_eq!(run.adopt_events(&events).unwrap(), 1);
    drop((run, shards));

    let mut run = stores::open(&world.part(1), OpenOptions::default()).unwrap();
    run.select(&RetrySelection::Jobs(vec![id])).unwrap();
    run.reopen_selected(now(2), &RetrySelection::Jobs(vec![id])).unwrap();
    write(&world.part(1).join(NAME), "new");
    drop(live(run, succeeded("8", "new")));
    let merged = world.merge().unwrap();
    assert_eq!((merged.counts.n_succeeded, merged.counts.n_pending), (1, 1));
    let run = stores::open_for_reading(&world.out()).unwrap();
    assert_eq!(run.incidents().unwrap().n_submits, 2);
    run.check_whole().unwrap();
    drop(run);
    assert!(matches!(world.merge(), Err(MergeError::Taken(_))), "it is complete");
}

/// Goal: a task of another account is not given up. Method: parts whose tokens differ; the merged run is of neither account alone.
#[test]
fn parts_of_several_accounts_keep_all_of_them() {
    let world = World::new();
    let mut salts = Vec::new();
    for nth in [1, 2] {
        let (mut run, _) = world.make(nth, paid(&nth.to_string()));
        run.settle_account(&format!("token{nth}")).unwrap();
        salts.push(run.account_salt().unwrap());
    }
    world.merge().unwrap();
    let mut run = stores::open(&world.out(), OpenOptions::default()).unwrap();
    assert_eq!(run.setting(Setting::Account).unwrap(), None, "of neither alone");
    let parts = run.part_accounts().unwrap();
    assert_eq!(parts.iter().map(|(salt, _)| salt.clone()).collect::<Vec<_>>(), salts);
    let of = |token: [&'static str; 2]| {
        let salts = salts.clone();
        move |salt: &str| salts.iter().position(|known| known == salt).map(|nth| token[nth].to_owned())
    };
    assert!(!is_of_all(&parts, of(["token1", "other"])) && !is_of_all(&parts, of(["other", "token2"])));
    assert!(is_of_all(&parts, of(["token1", "token2"])));
    run.adopt_account("token1").unwrap();
    assert_eq!(run.part_accounts().unwrap(), vec![]);
}

/// Goal: no file of the user's is replaced, and no link is followed. Method: a file where an old image goes, and a dangling link where a new one
/// goes.
#[test]
fn nothing_that_lies_in_the_way_is_replaced() {
    let world = World::new();
    let (mut run, id) = world.make(1, succeeded("7", "old"));
    redone(&world, 1, &mut *run, id);
    drop(run);
    write(&world.part(2).join(NAME), "two");
    drop(world.make(2, succeeded("9", "two")));
    write(&world.out().join(KEPT), "mine");
    fs::create_dir_all(world.out().join("images")).unwrap();
    symlink("nowhere", world.out().join(NAME)).unwrap();
    world.merge().unwrap();
    assert_eq!(fs::read_to_string(world.out().join(KEPT)).unwrap(), "mine");
    assert_eq!(fs::read_link(world.out().join(NAME)).unwrap(), Path::new("nowhere"));
    let run = stores::open_for_reading(&world.out()).unwrap();
    let two = run.find("2").unwrap().remove(0).job.id;
    let placed = run.artifacts(two).unwrap().remove(0);
    assert_eq!(fs::read_to_string(world.out().join(&placed.file_name)).unwrap(), "two");
    let Some((_, EventKind::Redone(redo))) = run.events(id).unwrap().pop() else {
        panic!("the last event is the redo")
    };
    assert_eq!(fs::read_to_string(world.out().join(&redo.replaced[0].kept_as)).unwrap(), "old");
    // A folder of images that leads elsewhere.
    let world = World::new();
    write(&world.part(1).join(NAME), "one");
    drop(world.make(1, succeeded("7", "one")));
    drop(world.make(2, vec![]));
    fs::create_dir_all(world.out()).unwrap();
    symlink(world.folder.path(), world.out().join("images")).unwrap();
    let error = world.merge().unwrap_err().to_string();
    assert!(error.contains("images is not a folder; move it away"), "{error}");
}

#[test]
fn sidecar_files_come_with_their_images() {
    let world = World::new();
    for (name, text) in [(NAME, "one"), ("images/cat.txt", "a cat\n"), ("images/cat.json", "{}")] {
        write(&world.part(1).join(name), text);
    }
    drop(world.make(1, succeeded("7", "one")));
    drop(world.make(2, vec![]));
    write(&world.out().join("images/cat.json"), "mine");
    world.merge().unwrap();
    assert_eq!(fs::read_to_string(world.out().join("images/cat.txt")).unwrap(), "a cat\n");
    assert_eq!(fs::read_to_string(world.out().join("images/cat.json")).unwrap(), "mine");
}

/// Goal: the merged run has one price and one address of each provider, or there is no merge.
#[test]
fn settings_of_parts_are_united_or_refused() {
    let world = World::new();
    let settle = |nth: u32, price: &str, providers: &str| {
        let mut run = match stores::open(&world.part(nth), OpenOptions::default()) {
            Ok(run) => run,
            Err(_) => world.make(nth, paid(&nth.to_string())).0,
        };
        run.settle_price(price.parse().ok(), None).unwrap();
        run.set_setting(Setting::RowProviders, providers).unwrap();
    };
    settle(1, "2 USD", r#"{"a":"a http://x"}"#);
    settle(2, "3 USD", r#"{"b":"b http://y"}"#);
    let error = world.merge().unwrap_err().to_string();
    assert!(error.contains("with the same --price"), "{error}");
    settle(2, "2 USD", r#"{"a":"a http://y"}"#);
    let error = world.merge().unwrap_err().to_string();
    assert!(error.contains("at different addresses"), "{error}");
    settle(2, "2 USD", r#"{"b":"b http://y"}"#);
    let error = merge(&[world.part(1), world.part(1), world.part(2)], &world.out(), &mut NoProgress).unwrap_err();
    assert!(error.to_string().contains("named twice or copied"), "{error}");
    world.merge().unwrap();
    let run = stores::open_for_reading(&world.out()).unwrap();
    assert_eq!(run.price_used().unwrap(), "2 USD".parse().ok());
    assert_eq!(run.row_identities().unwrap().len(), 2);
}

/// Goal: results that are guarded against formulas stay so.
#[test]
fn the_guard_against_formulas_stays() {
    let world = World::new();
    for nth in [1, 2] {
        let (mut run, _) = world.make(nth, vec![]);
        Projection::new(&world.part(nth)).guarding(Some(true)).refresh(&mut *run, &mut NoProgress).unwrap();
    }
    world.merge().unwrap();
    assert!(Projection::is_guarded(&*stores::open_for_reading(&world.out()).unwrap()).unwrap());
}

#[test]
fn a_missing_part_is_named_by_a_command_that_works() {
    let world = World::new();
    drop(world.make(2, vec![]));
    let error = merge(&[world.part(2)], &world.out(), &mut NoProgress).unwrap_err().to_string();
    let words = "1 of 2 parts is missing: 1; run it with --partition slice:M/2, or as a Slurm array job with --array=1 and --partition \
                 slice:$SLURM_ARRAY_TASK_ID/2";
    assert!(error.contains(words), "{error}");
}
