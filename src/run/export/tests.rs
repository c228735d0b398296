//! Tests of exports after edits, damage and crashes: with a real ledger, and with arbitrary bytes as images, hashed correctly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, os::unix::fs::MetadataExt};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::images::verify::Damage;
use crate::manifest::{self, source::Source};
use crate::model::event::{Event, EventKind};
use crate::model::job::JobId;
use crate::model::outcome::{Artifact, ImageFormat, TaskId};
use crate::model::phase::JobRecord;
use crate::model::progress::NoProgress;
use crate::model::time::Timestamp;
use crate::plan;
use crate::report::dataset::metadata::TableFormat;
use crate::store::selection::RetrySelection;
use crate::store::{JobScope, RunWriter, sqlite::SqliteStore};

#[cfg(feature = "cloud")]
mod bucket;
mod copies;
mod edits;
#[cfg(feature = "cloud")]
mod place;
mod upload;

/// Run, and the folder of its dataset.
struct World {
    folder: TempDir,
}

impl World {
    fn new(prompts: &[&str]) -> Self {
        let world = Self { folder: TempDir::new().unwrap() };
        world.run(prompts);
        world
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("dataset")
    }

    /// Imports these prompts, and gives every job without an image one named after its prompt.
    fn run(&self, prompts: &[&str]) {
        let path = self.folder.path().join("m.csv");
        let mut table = csv::Writer::from_path(&path).unwrap();
        table.write_record(["prompt", "style"]).unwrap();
        for prompt in prompts {
            table.write_record([prompt, &prompt.to_uppercase().as_str()]).unwrap();
        }
        table.flush().unwrap();
        let manifest = manifest::open(Source { path, default_model: Some("m".into()), ..Source::default() }).unwrap();
        let mut file = SqliteStore::open(&self.out(), "simulator").unwrap();
        plan::import(&manifest, &self.out(), &mut file, false, &mut NoProgress).unwrap();
        self.make_images(file, "first");
    }

    /// Makes an image again, with other bytes under the same name.
    fn make_again(&self, prompt: &str) {
        let mut file = SqliteStore::open(&self.out(), "simulator").unwrap();
        let wanted = RetrySelection::Jobs([self.job(prompt)].into());
        file.reopen(Timestamp::default(), &wanted).unwrap();
        self.make_images(file, "other");
    }

    fn job(&self, prompt: &str) -> JobId {
        let mut id = None;
        let file = SqliteStore::open_for_reading(&self.out()).unwrap();
        let look = |known: JobRecord| {
            id = id.or((known.job.request.prompt == prompt).then_some(known.job.id));
            Ok::<_, ExportError>(())
        };
        file.for_each_job(JobSet::InManifest, look).unwrap();
        id.unwrap()
    }

    fn make_images(&self, file: SqliteStore, take: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut ledger = Box::new(file).start(JobScope::Unfinished).unwrap();
        runtime.block_on(async {
            let jobs = ledger.load(1000).await.unwrap().jobs;
            let mut events = vec![];
            for JobRecord { job, .. } in &jobs {
                let bytes = format!("{take} image of {}", job.request.prompt);
                let file_name = format!("images/{}/{}.png", job.index / 100, job.request.prompt);
                let path = self.out().join(&file_name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                // Creates a new file, as a run does, and does not write other bytes into the old one.
                let _ = fs::remove_file(&path);
                fs::write(&path, &bytes).unwrap();
                let (sha256, format) = (Sha256::digest(&bytes).into(), ImageFormat::Png);
                let artifact = Artifact { file_name, sha256, bytes: bytes.len() as u64, width: 1, height: 1, format };
                let task = EventKind::Accepted(TaskId("7".into()));
                let end = EventKind::Finished(Outcome::Succeeded(vec![artifact]));
                let event = |kind| Event { job: job.id, index: job.index, at: Timestamp::default(), kind };
                events.extend([EventKind::SubmitStarted, task, end].map(event));
            }
            ledger.record(events.into()).await.unwrap();
        });
        ledger.close().unwrap();
    }

    fn options(&self, format: DatasetFormat) -> ExportOptions {
        ExportOptions {
            place: None,
            out: self.out(),
            dir: self.dir(),
            format,
            splits: None,
            caption: "prompt".into(),
            metadata: TableFormat::Jsonl,
            shard: ShardLimits { images_max: 3, ..ShardLimits::default() },
            is_copied: false,
            is_fresh: false,
        }
    }

    fn export(&self, format: DatasetFormat) -> Exported {
        export(&self.options(format), &mut NoProgress).unwrap()
    }

    /// Returns every file of the dataset except its card: name, bytes and inode.
    fn files(&self) -> BTreeMap<String, (Vec<u8>, u64)> {
        let mut files = files_below(&self.dir());
        files.remove("README.md");
        files
    }

    fn names(&self) -> Vec<String> {
        self.files().into_keys().collect()
    }

    /// Returns the names in a table, and whether the file of each exists.
    fn told(&self, table: &str) -> Vec<(String, bool)> {
        let folder = self.dir().join(table);
        let text = fs::read_to_string(folder.join("metadata.jsonl")).unwrap();
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let name = line["file_name"].as_str().unwrap().to_owned();
            let is_there = folder.join(&name).is_file();
            (name, is_there)
        };
        text.lines().map(line).collect()
    }
}

/// Returns every file below a folder: name, bytes and inode.
fn files_below(dir: &Path) -> BTreeMap<String, (Vec<u8>, u64)> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            files.insert(name, (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().ino()));
        }
    }
    files
}

fn of(n: usize) -> Vec<String> {
    (1..=n).map(|n| format!("cat {n}")).collect()
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn an_image_folder_follows_the_run() {
    let world = World::new(&["a", "b", "c", "d", "e"]);
    let exported = world.export(DatasetFormat::ImageFolder);
    assert_eq!((exported.n_images, exported.n_new, exported.n_linked, exported.n_copied), (5, 5, 5, 0));
    // Folders hold four images in this test.
    let names =
        ["train/00001/e.png", "train/a.png", "train/b.png", "train/c.png", "train/d.png", "train/metadata.jsonl"];
    assert_eq!(world.names(), names);
    let before = world.files();
    assert_eq!(world.export(DatasetFormat::ImageFolder), Exported { n_images: 5, ..Exported::default() });
    assert_eq!(world.files(), before, "nothing is touched, the table neither");

    world.run(&["x", "a", "c", "d", "e", "B"]);
    world.make_again("c");
    let exported = world.export(DatasetFormat::ImageFolder);
    let counts = (exported.n_images, exported.n_new, exported.n_renewed, exported.n_removed);
    assert_eq!(counts, (6, 2, 1, 1));
    let after = world.files();
    for name in ["train/a.png", "train/d.png", "train/00001/e.png"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(after["train/c.png"].0, b"other image of c");
    assert!(!after.contains_key("train/b.png") && after.contains_key("train/00001/x.png"));
    let told = world.told("train");
    assert!(told.len() == 6 && told.iter().all(|(_, is_there)| *is_there), "{told:?}");
    assert_eq!(told[0].0, "00001/x.png", "in the order of the manifest");
    assert_eq!(told.len() + 1, after.len(), "and no file that the table does not name");
}

#[test]
fn captions_stand_beside_their_images() {
    let world = World::new(&["a", "b"]);
    let options = ExportOptions { caption: "style".into(), ..world.options(DatasetFormat::Captions) };
    export(&options, &mut NoProgress).unwrap();
    assert_eq!(world.names(), ["a.png", "a.txt", "b.png", "b.txt"]);
    assert_eq!(fs::read_to_string(world.dir().join("a.txt")).unwrap(), "A");
    fs::remove_file(world.dir().join("a.txt")).unwrap();
    assert_eq!(export(&options, &mut NoProgress).unwrap().n_renewed, 1, "what was deleted is there again");
    assert_eq!(world.names().len(), 4);
}

#[test]
fn shards_stay_as_they_are_and_what_is_new_goes_into_new_ones() {
    let all = of(9);
    for format in [DatasetFormat::WebDataset, DatasetFormat::Parquet] {
        if format == DatasetFormat::Parquet && !cfg!(feature = "parquet") {
            continue;
        }
        let world = World::new(&strs(&all[..5]));
        let exported = world.export(format);
        assert_eq!((exported.n_images, exported.n_new, exported.n_shards), (5, 5, 2));
        let before = world.files();
        assert_eq!(world.export(format), Exported { n_images: 5, ..Exported::default() });
        world.run(&strs(&all[1..]));
        world.make_again("cat 2");
        let exported = world.export(format);
        assert_eq!((exported.n_images, exported.n_new, exported.n_shards), (8, 4, 2));
        assert_eq!((exported.n_changed, exported.n_gone), (1, 1));
        let after = world.files();
        assert_eq!(after.len(), 4);
        assert!(before.iter().all(|(name, file)| after[name] == *file), "{format:?}");

        let exported = export(&ExportOptions { is_fresh: true, ..world.options(format) }, &mut NoProgress).unwrap();
        assert_eq!((exported.n_images, exported.n_new, exported.n_shards, exported.n_gone), (8, 8, 3, 0));
        assert_eq!(world.names().len(), 3, "and the fourth of before is gone");
    }
}

#[test]
fn a_shard_is_as_long_as_was_asked_for() {
    let world = World::new(&strs(&of(6)));
    let shard = ShardLimits { images_max: 100, bytes_max: 8 << 10 };
    export(&ExportOptions { shard, ..world.options(DatasetFormat::WebDataset) }, &mut NoProgress).unwrap();
    let files = world.files();
    assert!(files.len() > 1 && files.values().all(|(bytes, _)| bytes.len() <= 10 << 10), "{:?}", world.names());
    let shard = ShardLimits { images_max: 100, bytes_max: 1 };
    let options = ExportOptions { shard, is_fresh: true, ..world.options(DatasetFormat::WebDataset) };
    assert_eq!(export(&options, &mut NoProgress).unwrap().n_shards, 6, "one image is not parted");
}

#[test]
fn a_damaged_image_is_left_out_until_it_is_whole() {
    for format in [DatasetFormat::ImageFolder, DatasetFormat::Captions, DatasetFormat::WebDataset] {
        let world = World::new(&["a", "b", "c"]);
        fs::write(world.out().join("images/0/b.png"), "worst image of b").unwrap();
        let exported = world.export(format);
        assert_eq!((exported.n_images, exported.n_left_out), (2, 1));
        let [left_out] = exported.left_out.as_slice() else { panic!("{exported:?}") };
        assert_eq!(
            (left_out.index, left_out.file_name.as_str(), &left_out.damage),
            (2, "images/0/b.png", &Damage::Content)
        );
        fs::write(world.out().join("images/0/b.png"), "first image of b").unwrap();
        let exported = world.export(format);
        assert_eq!((exported.n_images, exported.n_new, exported.n_left_out), (3, 1, 0));
    }
}

#[test]
fn splits_part_the_images_and_each_stays_where_it_is() {
    let all = of(40);
    let world = World::new(&strs(&all[..20]));
    let splits = "train=0.5,test=0.5".parse().ok();
    let options = ExportOptions { splits, ..world.options(DatasetFormat::ImageFolder) };
    export(&options, &mut NoProgress).unwrap();
    let before = world.files();
    world.run(&strs(&all));
    export(&options, &mut NoProgress).unwrap();
    let after = world.files();
    assert!(before.keys().all(|name| after.contains_key(name)), "{:?}", before.keys());
    assert_eq!(world.told("train").len() + world.told("test").len(), 40);
    assert!(world.told("train").iter().chain(&world.told("test")).all(|(_, is_there)| *is_there));
}

/// Goal: nothing is written outside the folder, and no foreign file is changed. Method: links in the place of later files and
/// folders.
#[test]
fn no_link_leads_out_of_the_folder() {
    let world = World::new(&["a"]);
    let elsewhere = TempDir::new().unwrap();
    world.export(DatasetFormat::ImageFolder);
    let link = |name: &str| {
        let place = world.dir().join(name);
        let _ = fs::remove_file(&place);
        std::os::unix::fs::symlink(elsewhere.path().join("target"), place).unwrap();
    };
    fs::write(elsewhere.path().join("target"), "mine").unwrap();
    ["train/a.png", "train/metadata.jsonl", ".partial"].into_iter().for_each(link);
    assert_eq!(world.export(DatasetFormat::ImageFolder).n_renewed, 1);
    assert!(
        ["a.png", "metadata.jsonl"]
            .iter()
            .all(|name| { fs::symlink_metadata(world.dir().join("train").join(name)).unwrap().is_file() })
    );
    fs::remove_dir_all(world.dir().join("train")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), world.dir().join("train")).unwrap();
    assert!(matches!(export(&world.options(DatasetFormat::ImageFolder), &mut NoProgress), Err(ExportError::Store(_))));
    let names: Vec<_> = fs::read_dir(elsewhere.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["target"]);
    assert_eq!(fs::read_to_string(elsewhere.path().join("target")).unwrap(), "mine");
}

#[test]
fn a_name_from_a_strange_ledger_is_made_safe() {
    let table = [
        ("000001-a-cat", "000001-a-cat"),
        ("一只猫 é", "一只猫 é"),
        ("a.b:c\u{7}\\d", "a-b-c--d"),
        ("..", "image"),
        ("", "image"),
    ];
    for (name, expected) in table {
        assert_eq!(folder::safe(name), expected, "{name:?}");
    }
    assert!(folder::safe(&"猫".repeat(300)).len() <= 200);
}

#[test]
fn what_is_no_export_like_this_one_is_refused() {
    let world = World::new(&["a"]);
    let try_with = |change: &dyn Fn(&mut ExportOptions)| {
        let mut options = world.options(DatasetFormat::WebDataset);
        change(&mut options);
        export(&options, &mut NoProgress)
            .map_err(|error| error.to_string().replace(world.folder.path().to_str().unwrap(), ""))
    };
    fs::create_dir(world.dir()).unwrap();
    fs::write(world.dir().join("mine"), "").unwrap();
    assert_eq!(
        try_with(&|_| ()).unwrap_err(),
        "could not export to /dataset: it holds other files and no export; choose a new or empty folder with -o"
    );
    assert!(try_with(&|options| options.is_fresh = true).is_err(), "whatever is asked for");
    fs::remove_file(world.dir().join("mine")).unwrap();
    try_with(&|_| ()).unwrap();
    let error = try_with(&|options| options.format = DatasetFormat::ImageFolder).unwrap_err();
    assert_eq!(
        error,
        "could not export to /dataset: it holds an export with `--to webdataset --caption prompt`, and this is one with `--to imagefolder --caption prompt`; choose another folder with -o, or add --fresh to replace it"
    );
    assert!(try_with(&|options| options.caption = "style".into()).is_err());
    assert!(try_with(&|options| options.splits = "a=1,b=1".parse().ok()).is_err());
    assert!(try_with(&|options| options.dir = options.out.clone()).is_err());
    let error = try_with(&|options| options.dir = options.out.join("images/set")).unwrap_err();
    assert!(error.contains("the run keeps its own images there"), "{error}");
    let other = World::new(&["b"]);
    let error = try_with(&|options| options.out = other.out()).unwrap_err();
    assert!(error.contains("it holds an export of another run"), "{error}");
    fs::remove_file(world.dir().join("train-000000.tar")).unwrap();
    let error = try_with(&|_| ()).unwrap_err();
    assert_eq!(
        error,
        "could not continue the export: /dataset/train-000000.tar is missing; put it back, or add --fresh to rebuild all shards"
    );
    assert_eq!(try_with(&|options| options.is_fresh = true).unwrap().n_images, 1);
    let _held = ExportRecord::open(&world.dir()).unwrap();
    let error = try_with(&|_| ()).unwrap_err();
    assert!(error.contains("another export is writing there"), "{error}");
}
