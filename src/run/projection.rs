//! `results.csv`: a projection of the ledger, made anew whenever it is out of date, and never read back.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::RunFile;
use crate::report::results::{ResultsError, ResultsWriter};

/// The shortest time between two rewrites during a run.
const INTERVAL_MIN: Duration = Duration::from_secs(30);

/// Rewriting during a run takes at most one part in so many of its time.
const SHARE: u32 = 50;

/// Why the results could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] ResultsError),
}

/// The results of one output folder.
#[derive(Clone, Debug)]
pub struct Projection {
    out: PathBuf,
    path: PathBuf,
    /// One rewrite at a time.
    turn: Arc<Mutex<()>>,
}

impl Projection {
    /// The results of the run in this folder.
    pub fn new(out: &Path) -> Self {
        Self { out: out.to_owned(), path: out.join("results.csv"), turn: Arc::default() }
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes them if something has happened since they were written last, or if they are not there.
    pub fn refresh(&self, file: &RunFile) -> Result<(), ProjectionError> {
        // The results of another run may be at this path by now.
        file.check_in_place()?;
        let mark = file.mark()?;
        if file.results_mark()?.as_ref() == Some(&mark) && self.path.exists() {
            return Ok(());
        }
        self.rewrite(file)?;
        Ok(file.set_results_mark(&mark)?)
    }

    /// Writes them.
    pub fn rewrite(&self, file: &RunFile) -> Result<(), ProjectionError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let provider = file.provider()?;
        let name = provider.split(' ').next().unwrap_or_default();
        let mut writer = ResultsWriter::create(&self.path, name, &file.columns()?)?;
        file.each_known(|known| Ok::<_, ProjectionError>(writer.write(&known)?))?;
        Ok(writer.finish()?)
    }

    /// Rewrites them now and then beside a run, so that a look at them is never a look at yesterday. Never returns.
    pub async fn keep_fresh(&self) -> Infallible {
        let mut wait = INTERVAL_MIN;
        loop {
            tokio::time::sleep(wait).await;
            let results = self.clone();
            let rewrite = move || {
                let began = Instant::now();
                // If it fails, it fails at the end of the run too, and is told there.
                let _ = RunFile::open_for_reading(&results.out).map(|file| results.rewrite(&file));
                began.elapsed()
            };
            let cost = tokio::task::spawn_blocking(rewrite).await.unwrap_or_default();
            wait = INTERVAL_MIN.max(cost * SHARE);
        }
    }
}
