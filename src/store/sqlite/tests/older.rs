//! Tests of ledgers of earlier versions: read unchanged, and resumed as if they were of the current version.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::store::sqlite::schema::VERSION;

/// Kept ledger of an earlier version, with its expected content.
struct Kept {
    path: &'static str,
    provider: &'static str,
    statuses: &'static [&'static str],
    incidents: RunStats,
    /// Indexes of the unfinished jobs, in the order in which they are handed out.
    unfinished: &'static [u64],
}

/// Version 1: two jobs succeeded, one moderated, one held in doubt, one failed, one pending after a failed attempt. Version 2:
/// killed while three jobs were downloading. Two had succeeded, one of them after a doubt, and one was moderated. Version 3:
/// killed while one job was running and one was held in doubt. Six had succeeded, and one had left the manifest.
const KEPT: [Kept; 3] = [
    Kept {
        path: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ledgers/v1.db"),
        provider: "modelscope http://127.0.0.1:18200",
        statuses: &["succeeded", "succeeded", "moderated", "in_doubt", "failed", "pending"],
        incidents: RunStats {
            n_submits: 8,
            n_in_doubt: 1,
            n_doubts_held: 1,
            n_doubts_failed: 0,
            n_lost: 1,
            n_reopened: 0,
        },
        unfinished: &[4, 6],
    },
    Kept {
        path: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ledgers/v2.db"),
        provider: "modelscope http://127.0.0.1:18300",
        statuses: &["succeeded", "running", "running", "running", "moderated", "succeeded"],
        incidents: RunStats {
            n_submits: 7,
            n_in_doubt: 1,
            n_doubts_held: 0,
            n_doubts_failed: 0,
            n_lost: 0,
            n_reopened: 0,
        },
        unfinished: &[2, 3, 4],
    },
    Kept {
        path: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ledgers/v3.db"),
        provider: "modelscope http://127.0.0.1:18400",
        statuses: &[
            "succeeded",
            "succeeded",
            "succeeded",
            "succeeded",
            "succeeded",
            "succeeded",
            "running",
            "in_doubt",
        ],
        incidents: RunStats {
            n_submits: 12,
            n_in_doubt: 4,
            n_doubts_held: 1,
            n_doubts_failed: 0,
            n_lost: 0,
            n_reopened: 0,
        },
        unfinished: &[8, 7],
    },
];

fn statuses(file: &SqliteStore) -> Vec<&'static str> {
    all(file).iter().map(|known| known.state.status()).collect()
}

impl Kept {
    fn copy(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(self.path, folder.path().join("run.db")).unwrap();
        folder
    }
}

#[test]
fn an_older_ledger_is_read_without_a_change() {
    for kept in KEPT {
        let folder = kept.copy();
        let file = SqliteStore::open_for_reading(folder.path()).unwrap();
        assert_eq!(statuses(&file), kept.statuses);
        assert_eq!(file.incidents().unwrap(), kept.incidents);
        assert_eq!(
            (file.provider().unwrap(), file.provider_name().unwrap()),
            (kept.provider.into(), "modelscope".into())
        );
        let n_running = kept.statuses.iter().filter(|status| **status == "running").count() as u64;
        let n_jobs = kept.statuses.len() as u64;
        assert_eq!((file.counts().unwrap().n_jobs(), file.counts().unwrap().n_running), (n_jobs, n_running));
        assert!(all(&file).iter().all(|known| match &known.state.phase {
            Phase::Downloading(urls) => !urls.is_empty(),
            _ => true,
        }));
        drop(file);
        let (now, then) =
            [folder.path().join("run.db").as_path(), Path::new(kept.path)].map(|path| fs::read(path).unwrap()).into();
        assert_eq!(now, then, "not a byte is changed");
    }
}

#[test]
fn an_older_ledger_is_gone_on_with() {
    for kept in KEPT {
        let folder = kept.copy();
        let before = all(&SqliteStore::open_for_reading(folder.path()).unwrap());
        let file = SqliteStore::open(folder.path(), kept.provider).unwrap();
        assert_eq!((all(&file), file.incidents().unwrap()), (before, kept.incidents), "every job is what it was");
        let mut journal = writer(file).unwrap();
        let jobs = journal.load(10).unwrap().jobs;
        assert_eq!(jobs.iter().map(|known| known.job.index).collect::<Vec<_>>(), kept.unfinished);
        let mut n_tasks = 0;
        for known in &jobs {
            // Tasks of older ledgers have owners too.
            let Some(task) = &known.state.task else { continue };
            assert_eq!(journal.owner(task).unwrap().map(|owner| owner.job), Some(known.job.id));
            n_tasks += 1;
        }
        assert!(n_tasks > 0 || !kept.statuses.contains(&"running"));
        let ended = |known: &JobRecord| event(known, 1, EventKind::Finished(Outcome::Succeeded(vec![artifact("x")])));
        journal.commit(&jobs.iter().map(ended).collect::<Vec<_>>()).unwrap();
        drop(journal);
        let file = SqliteStore::open(folder.path(), kept.provider).unwrap();
        let version = file.database.connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        assert_eq!((version.unwrap(), file.counts().unwrap().n_unfinished()), (VERSION, 0));
    }
}

/// Returns the definitions of a ledger, with uniform white space.
fn schema(file: &SqliteStore) -> BTreeMap<String, String> {
    let mut statement = file.database.connection.prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema").unwrap();
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get::<_, String>(1)?.replace('"', "")))).unwrap();
    rows.map(|row| row.unwrap())
        .map(|(name, sql)| (name, sql.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

/// Migrated ledgers equal new ones in all but their jobs. This includes the columns that were added at the end of `jobs`, which
/// is why that table is created again.
#[test]
fn every_way_leads_to_the_same_schema() {
    let folder = tempfile::tempdir().unwrap();
    let new = schema(&SqliteStore::open(folder.path(), "simulator").unwrap());
    for kept in KEPT {
        let folder = kept.copy();
        let file = SqliteStore::open(folder.path(), kept.provider).unwrap();
        assert_eq!(schema(&file), new);
        file.check_whole().unwrap();
    }
}
