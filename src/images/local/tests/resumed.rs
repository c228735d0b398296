//! Tests of resumed downloads: kept over broken connections and restarts, resumed as far as valid, and removed when useless.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tempfile::TempDir;

use crate::images::local::LocalStore;
use crate::images::tests::big;
use crate::images::tests::conformance::partial_downloads::{cat, download, n_there, save, validator};
use crate::images::validate::verdict::CheckLimits;
use crate::images::{ImageStore, IncomingImage};
use crate::model::output_options::PostProcessing;

fn open(out: &TempDir) -> LocalStore {
    LocalStore::open(out.path(), CheckLimits::default()).unwrap()
}

/// Returns the paths of the temporary file and its journal.
fn left(out: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(out.join(".partial")) else { return vec![] };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Goal: a restart loses no bytes, and metadata is inserted once. Method: a new store for each part, with and without
/// metadata, compared with the file of a single download.
#[tokio::test]
async fn a_part_outlives_its_process_whatever_is_written_into_the_image() {
    for has_metadata in [false, true] {
        let postprocess = PostProcessing { has_metadata, ..PostProcessing::default() };
        let [whole, parts] = [0; 2].map(|_| TempDir::new().unwrap());
        let open = |out: &TempDir| LocalStore::open_with(out.path(), CheckLimits::default(), postprocess).unwrap();
        let image = big(1);
        let expected = save(&open(&whole), cat("t"), download(&image, 0, image.len())).await.unwrap();
        let mut n_before = 0;
        for end in [10_000, 600_000, 1_900_000, image.len()] {
            let store = open(&parts);
            assert_eq!(n_there(&store, &cat("t")).await.unwrap_or(0), n_before);
            let saved = save(&store, cat("t"), download(&image, n_before, end)).await;
            assert_eq!(saved.ok(), (end == image.len()).then(|| expected.clone()));
            n_before = end;
        }
        assert!(
            fs::read(whole.path().join(&expected.file_name)).unwrap()
                == fs::read(parts.path().join(&expected.file_name)).unwrap()
        );
        let other = LocalStore::open_with(parts.path(), CheckLimits::default(), postprocess).unwrap();
        drop(other);
        assert!(!parts.path().join(".partial").exists());
    }
}

/// Goal: a download resumes only from valid bytes. Method: damage to both files, as a power loss or a manual change may
/// leave it. Each case states whether any bytes may still be trusted.
#[tokio::test]
async fn of_a_damaged_part_only_what_is_sure_is_used() {
    type Damage = fn(&mut Vec<u8>, &mut Vec<u8>);
    let damages: [(&str, Damage, bool); 10] = [
        ("nothing", |_, _| (), true),
        ("a longer file", |file, _| file.extend([7; 5000]), true),
        ("a lost tail", |file, _| file.truncate(900_000), true),
        ("zeros for a tail", |file, _| file[700_000..].fill(0), true),
        ("a bit at the end", |file, _| file[1_190_000] ^= 1, true),
        ("a bit at the beginning", |file, _| file[100] ^= 1, false),
        ("an empty file", |file, _| file.clear(), false),
        ("an empty journal", |_, journal| journal.clear(), false),
        ("a cut journal", |_, journal| journal.truncate(journal.len() - 10), true),
        ("another journal", |_, journal| *journal = b"{\"version\":2}\n".to_vec(), false),
    ];
    let image = big(1);
    for (what, damage, is_some_left) in damages {
        let out = TempDir::new().unwrap();
        save(&open(&out), cat("t"), download(&image, 0, 1_200_000)).await.unwrap_err();
        let [file, journal] = left(out.path()).try_into().unwrap();
        let [mut bytes, mut lines] = [&file, &journal].map(|path| fs::read(path).unwrap());
        damage(&mut bytes, &mut lines);
        fs::write(&file, &bytes).unwrap();
        fs::write(&journal, &lines).unwrap();
        let store = open(&out);
        let there = n_there(&store, &cat("t")).await;
        assert_eq!(there.is_some(), is_some_left, "{what}");
        let n_before = there.unwrap_or(0);
        assert!(
            n_before <= 1_200_000 && (n_before == 0 || bytes[..n_before] == image[..n_before]),
            "{what}: {n_before}"
        );
        assert!(what != "nothing" || n_before == 1_200_000, "{n_before}");
        save(&store, cat("t"), download(&image, n_before, image.len())).await.unwrap();
        assert!(fs::read(out.path().join("images/000001-a-cat.png")).unwrap() == image, "{what}");
        drop(store);
        assert!(!out.path().join(".partial").exists(), "{what}");
    }
}

#[tokio::test]
async fn a_part_of_another_task_or_another_making_is_none() {
    let image = big(1);
    let tagged = PostProcessing { has_metadata: true, ..PostProcessing::default() };
    for (name, postprocess) in [(cat("other"), PostProcessing::default()), (cat("t"), tagged)] {
        let out = TempDir::new().unwrap();
        save(&open(&out), cat("t"), download(&image, 0, 1_200_000)).await.unwrap_err();
        let store = LocalStore::open_with(out.path(), CheckLimits::default(), postprocess).unwrap();
        assert_eq!(n_there(&store, &name).await, None);
        assert_eq!(left(out.path()), Vec::<PathBuf>::new());
    }
}

/// Goal: bytes of a slow download are on disk one second later. Method: a body that stalls, and a second store that
/// opens the folder as after a kill.
#[tokio::test]
async fn what_has_come_is_soon_on_the_disk() {
    let out = TempDir::new().unwrap();
    let store = open(&out);
    let image = big(1);
    let some = stream::iter([Ok(Bytes::copy_from_slice(&image[..5000]))]).chain(stream::pending()).boxed();
    let stuck = IncomingImage { n_before: 0, bytes_total: None, validator: Some(validator()), body: some };
    let saving = store.save(cat("t"), stuck);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(1500), saving).await.is_err());
    assert_eq!(left(out.path()).len(), 2);
    std::mem::forget(store);
    let store = open(&out);
    assert_eq!(n_there(&store, &cat("t")).await, Some(5000));
    save(&store, cat("t"), download(&image, 5000, image.len())).await.unwrap();
    assert!(fs::read(out.path().join("images/000001-a-cat.png")).unwrap() == image);
}

/// Goal: the folder of temporary files offers no path out of the output folder. Method: symbolic links in place of the
/// temporary files and their folder.
#[cfg(unix)]
#[tokio::test]
async fn links_among_the_parts_are_removed_and_not_followed() {
    let [out, elsewhere] = [0; 2].map(|_| TempDir::new().unwrap());
    save(&open(&out), cat("t"), download(&big(1), 0, 1_200_000)).await.unwrap_err();
    let [file, journal] = left(out.path()).try_into().unwrap();
    let target = elsewhere.path().join("precious");
    fs::rename(&file, &target).unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    let store = open(&out);
    assert_eq!(n_there(&store, &cat("t")).await, None);
    assert!(target.exists() && !file.exists() && !journal.exists());
    drop(store);
    std::os::unix::fs::symlink(elsewhere.path(), out.path().join(".partial")).unwrap();
    drop(open(&out));
    assert!(target.exists() && fs::symlink_metadata(out.path().join(".partial")).is_err());
}
