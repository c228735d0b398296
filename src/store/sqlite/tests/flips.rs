//! Tests of bits that flip on the disk: reported by row, or harmless; never read as another value.

use std::fs;

use super::*;

/// Returns the whole content of a ledger, through every reader.
fn told(out: &Path) -> Result<String, LedgerError> {
    let file = SqliteStore::open_for_reading(out)?;
    file.check_if_small()?;
    read(&file)
}

fn read(file: &SqliteStore) -> Result<String, LedgerError> {
    let mut told = vec![
        format!("{:?} {:?} {:?}", file.provider()?, file.columns()?, file.manifest_fingerprint()?),
        format!("{:?} {:?} {:?}", file.style()?, file.counts()?, file.incidents()?),
        format!("{:?} {:?}", file.failures(100)?, file.history()?),
    ];
    let mut show = |known: JobRecord| {
        let events = file.events(known.job.id)?;
        told.push(format!("{known:?} {events:?} {:?}", file.artifacts(known.job.id)?));
        for (_, kind) in events {
            if let EventKind::Accepted(task) = kind {
                told.push(format!("{:?}", owner::owner(&file.database, &task)?));
            }
        }
        Ok::<_, LedgerError>(())
    };
    file.for_each_job(JobSet::InManifest, &mut show)?;
    file.for_each_job(JobSet::Dropped, &mut show)?;
    Ok(told.join("\n"))
}

/// Creates a ledger on small pages, in which something of every kind is recorded. Its structure is that of any other ledger.
fn small(out: &Path) {
    let path = out.join("run.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("PRAGMA page_size = 512; VACUUM;").unwrap();
    drop(raw);
    let mut journal =
        writer(file(out, &["cat", "dog", "cow", "a prompt that is rather long ".repeat(30).trim()])).unwrap();
    let jobs = journal.load(10).unwrap().jobs;
    let events: Vec<_> = (0..).zip(life()).map(|(millis, kind)| event(&jobs[0], millis, kind)).collect();
    journal.commit(&events).unwrap();
    let running = [EventKind::SubmitStarted, EventKind::Accepted(TaskId("0f8fad5b-d9cb".into()))];
    journal.commit(&running.map(|kind| event(&jobs[1], 1, kind))).unwrap();
    let refused = Outcome::Failed(Fault::new(FaultKind::Moderated, "no"));
    journal.commit(&[event(&jobs[2], 5, EventKind::Finished(refused))]).unwrap();
    let accepted = EventKind::Accepted(TaskId("77777777".into()));
    let links = EventKind::Ready(vec![Url("https://x/1".into())]);
    journal.commit(&[EventKind::SubmitStarted, accepted, links].map(|kind| event(&jobs[3], 7, kind))).unwrap();
    drop(store(journal));
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_bit_that_flips_is_told_or_harmless() {
    flip_every(7);
}

#[test]
#[ignore = "it takes a minute, and the one above looks at an even part of it"]
fn each_byte_may_flip() {
    flip_every(1);
}

/// Goal: no flipped bit is read as another value. Method: flip a bit of every `step`-th byte of a small ledger in turn, another
/// bit each time. Read everything after each flip. A result that is not reported as damage must be unchanged.
fn flip_every(step: usize) {
    let (folder, flipped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small(folder.path());
    let whole = fs::read(folder.path().join("run.db")).unwrap();
    let expected = told(folder.path()).unwrap();
    let path = flipped.path().join("run.db");
    let (mut n_told, mut n_harmless) = (0, 0);
    for byte in (0..whole.len()).step_by(step) {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1 << (byte.wrapping_mul(2_654_435_761) >> 16 & 7);
        fs::write(&path, &bytes).unwrap();
        match told(flipped.path()) {
            Ok(text) => {
                assert!(text == expected, "byte {byte} of page {} is believed:\n{text}\n{expected}", byte / 512 + 1);
                n_harmless += 1;
            }
            Err(_) => n_told += 1,
        }
    }
    assert!(n_told > whole.len() / step / 3 && n_harmless > 0, "{n_told} told, {n_harmless} harmless");
}

/// Goal: the content that a run resumes is checked too, and nothing is written into a damaged ledger. Method: flip some of the
/// bytes as above, but resume the run.
#[test]
fn a_run_does_not_go_on_with_a_flipped_bit() {
    let (folder, flipped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    small(folder.path());
    let whole = fs::read(folder.path().join("run.db")).unwrap();
    let go_on = |out: &Path| {
        let mut journal = writer(SqliteStore::open(out, "simulator")?)?;
        let jobs = journal.load(10)?.jobs;
        Ok::<_, LedgerError>((jobs, read(&store(journal))?))
    };
    let expected = go_on(folder.path()).unwrap();
    let path = flipped.path().join("run.db");
    let mut n_told = 0;
    for byte in (0..whole.len()).step_by(97) {
        drop(fs::remove_file(flipped.path().join("run.mark")));
        drop(fs::remove_file(flipped.path().join("run.db-wal")));
        let mut bytes = whole.clone();
        bytes[byte] ^= 1 << (byte % 8);
        fs::write(&path, &bytes).unwrap();
        match go_on(flipped.path()) {
            Ok(all) => assert!(all == expected, "byte {byte} of page {} is believed", byte / 512 + 1),
            Err(error) => {
                assert_eq!(fs::read(&path).unwrap(), bytes, "byte {byte}: {error}");
                n_told += 1;
            }
        }
    }
    assert!(n_told > 20, "{n_told}");
}

/// Goal: in a large ledger, whose rows are checked only when read, each row that is read is checked. Method: change each column
/// of each table.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn every_column_of_every_row_has_its_checksum() {
    let columns = [
        ("jobs", "request", "'{\"prompt\":\"x\",\"model\":\"m\"}'", "its request"),
        ("jobs", "label", "'other'", "its request"),
        ("jobs", "extras", "NULL", "its request"),
        ("jobs", "task", "'5075523'", "its state"),
        ("jobs", "n_submits", "n_submits + 1", "its state"),
        ("jobs", "n_in_doubt", "n_in_doubt + 1", "its state"),
        ("jobs", "n_lost", "n_lost + 1", "its state"),
        ("jobs", "n_forgiven", "9", "its state"),
        ("jobs", "n_reopened", "9", "its state"),
        ("jobs", "n_setbacks", "9", "its state"),
        ("jobs", "submitted_at", "9", "its state"),
        ("jobs", "finished_at", "9", "its state"),
        ("jobs", "fault", "'[\"transient\",\"x\"]'", "its state"),
        ("links", "urls", "'[\"https://x/2\"]'", "its list of links"),
        ("artifacts", "file_name", "'images/other.png'", "image 1 of the job in row 1"),
        ("artifacts", "sha256", "x'00'", "image 1 of the job in row 1"),
        ("artifacts", "bytes", "bytes + 1", "image 1 of the job in row 1"),
        ("artifacts", "width", "width + 1", "image 1 of the job in row 1"),
        ("artifacts", "format", "'webp'", "image 1 of the job in row 1"),
        ("events", "detail", "'5075523'", "event"),
        ("events", "at", "at + 1", "event"),
        ("events", "kind", "'submit'", "event"),
        ("events", "job", "job + 1", "event"),
        ("totals", "n", "n + 1", "its total of"),
        ("meta", "value", "'other'", "its meta entry"),
    ];
    for (table, column, value, words) in columns {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let raw = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
        raw.execute(&format!("UPDATE {table} SET {column} = {value}"), ()).unwrap();
        drop(raw);
        let error = match SqliteStore::open_for_reading(folder.path()) {
            Ok(file) => read(&file).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(words), "{table}.{column}: {error}");
        let whole = SqliteStore::open_for_reading(folder.path()).and_then(|file| file.check_whole());
        assert!(whole.is_err(), "{table}.{column}");
    }
}

/// Goal: missing rows are reported although no query reads them. Method: delete each row through another connection.
#[test]
fn a_row_that_is_gone_is_told() {
    for (table, is_told_by_load) in
        [("jobs", true), ("totals", true), ("links", true), ("tasks", false), ("meta", true)]
    {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let raw = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
        raw.execute(&format!("DELETE FROM {table}"), ()).unwrap();
        drop(raw);
        let file = SqliteStore::open_for_reading(folder.path());
        let whole = file.and_then(|file| {
            if is_told_by_load {
                return writer(file).and_then(|mut journal| journal.load(10)).map(drop);
            }
            file.check_whole()
        });
        assert!(whole.is_err(), "{table}");
    }
}
