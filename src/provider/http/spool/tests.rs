//! Tests of the spool: complete answers are found later, and the rest of killed processes is removed.

use super::*;
use crate::model::job::JobId;

fn spool() -> (tempfile::TempDir, Spool) {
    let root = tempfile::tempdir().unwrap();
    let spool = Spool::new(root.path().join("spool"), 1000);
    (root, spool)
}

fn id(number: u32) -> SubmissionId {
    SubmissionId::new("run", JobId::from_bytes([1; 10]), number)
}

async fn bytes(spool: &Spool, url: &Url) -> Vec<u8> {
    let pieces: Vec<_> = spool.open(url).unwrap().body.collect().await;
    pieces.into_iter().flat_map(Result::unwrap).collect()
}

/// Goal: an answer is there as a whole for a later process, or not at all.
#[tokio::test]
async fn an_answer_is_found_later_once_it_is_complete() {
    let (root, spool) = spool();
    let mut entry = spool.entry(&id(1)).unwrap();
    let task = entry.task();
    let links = [entry.add(b"one").unwrap(), entry.add(b"two").unwrap(), Url("https://a.example/3.png".into())];
    assert_eq!(spool.links(&task), None, "it is not complete");
    entry.commit(&links).await.unwrap();
    let later = Spool::new(root.path().join("spool"), 1000);
    assert_eq!(later.links(&task).as_deref(), Some(&links[..]));
    assert_eq!((bytes(&later, &links[0]).await, bytes(&later, &links[1]).await), (b"one".to_vec(), b"two".to_vec()));
    later.remove(std::slice::from_ref(&task));
    assert_eq!(later.links(&task), None);
    assert!(!root.path().join("spool").exists(), "nothing is left behind");
}

#[tokio::test]
async fn files_of_a_killed_process_are_removed_and_no_others() {
    let (root, first) = spool();
    let whole = [first.entry(&id(1)).unwrap().add(b"whole").unwrap()];
    first.entry(&id(1)).unwrap().commit(&whole).await.unwrap();
    first.entry(&id(2)).unwrap().add(b"cut").unwrap();
    let folder = root.path().join("spool");
    fs::write(folder.join("notes.txt"), "of the user").unwrap();
    fs::write(folder.join(format!(".{}.json.partial-77-0", id(4))), "[").unwrap();
    let later = Spool::new(folder.clone(), 1000);
    later.entry(&id(3)).unwrap();
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let expected = [format!("{}-1", id(1)), format!("{}.json", id(1)), "notes.txt".into()];
    let mut expected = expected.map(std::ffi::OsString::from);
    expected.sort();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_longer_image_than_is_accepted_is_cut_one_byte_too_late() {
    let (_root, spool) = spool();
    let url = spool.entry(&id(1)).unwrap().add(&[7; 5000]).unwrap();
    assert_eq!(bytes(&spool, &url).await.len(), 1001, "the check of the image then refuses it");
}

#[test]
fn an_address_leads_nowhere_else() {
    let (root, spool) = spool();
    fs::write(root.path().join("secret"), "x").unwrap();
    fs::create_dir(root.path().join("spool")).unwrap();
    for url in ["spool:///../secret", "spool:///", "spool:secret", "file:///etc/passwd", "spool:////etc/passwd", ""] {
        let fault = spool.open(&Url(url.into())).unwrap_err();
        assert_eq!(fault.kind, FaultKind::BadOutput, "{url}");
    }
    assert_eq!(spool.links(&TaskId("../secret".into())), None);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_leaves_a_doubt() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("spool"), "a file in the way").unwrap();
    let fault = Spool::new(root.path().join("spool"), 9).entry(&id(1)).unwrap_err();
    assert!(fault.kind == FaultKind::InDoubt && fault.message.contains("may be paid for"), "{fault}");
}

/// Goal: an answer that arrives while another one is saved finds its folder. Method: the folder is empty between the two.
#[tokio::test]
async fn an_answer_that_still_arrives_keeps_the_folder() {
    let (root, spool) = spool();
    let mut first = spool.entry(&id(1)).unwrap();
    let second = spool.entry(&id(2)).unwrap();
    let task = second.task();
    second.commit(&[Url("https://a.example/1.png".into())]).await.unwrap();
    spool.remove(&[task]);
    let url = first.add(b"one").unwrap();
    let task = first.task();
    first.commit(std::slice::from_ref(&url)).await.unwrap();
    assert_eq!(bytes(&spool, &url).await, b"one");
    spool.remove(&[task]);
    assert!(!root.path().join("spool").exists(), "nothing is left behind");
}
