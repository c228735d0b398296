//! Tests that the totals equal a count of every job, whatever has happened.

use proptest::prelude::*;

use super::*;
use crate::model::event::ReopenTarget;
use crate::store::sqlite::totals::recount;
use crate::test_effort::cases;

fn totals(file: &SqliteStore) -> Vec<(String, i64)> {
    let mut statement = file.database.connection.prepare("SELECT name, n FROM totals ORDER BY name").unwrap();
    statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

/// Returns a step of a job's life. Not every sequence of steps makes sense, which the ledger does not check.
fn step(n: u8) -> EventKind {
    let fault = |kind| Fault::new(kind, "words");
    match n {
        0 => EventKind::SubmitStarted,
        1 => EventKind::Accepted(TaskId("t".into())),
        2 => EventKind::Ready(vec![Url("https://x/1".into())]),
        3 => EventKind::Setback(Stage::Submit, fault(FaultKind::InDoubt)),
        4 => EventKind::Setback(Stage::Task, fault(FaultKind::TaskLost)),
        5 => EventKind::Setback(Stage::Download, fault(FaultKind::Transient)),
        6 => EventKind::Finished(Outcome::Succeeded(vec![artifact("a")])),
        7 => EventKind::Finished(Outcome::Failed(fault(FaultKind::Moderated))),
        8 => EventKind::Finished(Outcome::Failed(fault(FaultKind::InDoubt))),
        _ => EventKind::Reopened(ReopenTarget::Submit),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    /// Method: commits of any events of a few jobs, with manifests in between that drop and restore some. After each, recount.
    #[test]
    #[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
    fn totals_are_what_a_count_of_all_jobs_gives(
        rounds in prop::collection::vec(
            (prop::collection::vec((0..4_usize, 0..10_u8), 0..12), prop::collection::vec(0..6_u8, 0..6)), 1..6,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
        file.database.connection.pragma_update(None, "synchronous", "off").unwrap();
        for (commits, rows) in rounds {
            let prompts: Vec<String> = rows.iter().map(|row| format!("prompt {row}")).collect();
            import(&mut file, &prompts.iter().map(String::as_str).collect::<Vec<_>>());
            let mut journal = writer(file).unwrap();
            let jobs = journal.load(4).unwrap().jobs;
            for (job, kind) in commits {
                let Some(known) = jobs.get(job) else { continue };
                // Finished jobs are no longer held by the journal.
                drop(journal.commit(&[event(known, 1, step(kind))]));
            }
            file = store(journal);
            let kept_up = totals(&file);
            recount(&file.database.connection).unwrap();
            prop_assert_eq!(kept_up, totals(&file));
            let n_links: u64 = file.database.connection.query_row("SELECT count(*) FROM links", (), |row| row.get(0)).unwrap();
            let of_all: u64 = file.database.connection.query_row("SELECT count(*) FROM jobs WHERE phase = 3", (), |row| row.get(0)).unwrap();
            prop_assert_eq!(n_links, of_all);
        }
    }
}

#[test]
fn a_total_that_is_missing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), &["one"]);
    file.database.connection.execute("DELETE FROM totals WHERE name = 'moderated'", ()).unwrap();
    let words = file.counts().unwrap_err().to_string();
    assert!(words.contains("its total of moderated is missing"), "{words}");
}
