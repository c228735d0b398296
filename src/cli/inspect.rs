//! Commands that leave a run unchanged: `validate`, `status` and `results`.

use promptbatch::manifest;
use promptbatch::model::escape::escape;
use promptbatch::provider::modelscope;
use promptbatch::report::tty_reporter::PrintAbove;
use promptbatch::run::projection::{Projection, ProjectionError, ResultRows};
use promptbatch::store::error::LedgerError;
use promptbatch::store::sqlite::SqliteStore;

use crate::cli::args::{ResultsArgs, StatusArgs};
use crate::cli::exit::Exit;
use crate::cli::manifest_args::ValidateArgs;
use crate::cli::progress::chores;
use crate::cli::run_status::RunStatus;
use crate::cli::{diagnostics, fail, print, run, summary};

/// Prints every mistake in a manifest.
pub fn validate(args: &ValidateArgs) -> Exit {
    let path = escape(&args.manifest.manifest.display().to_string());
    let mut chores = chores(args.progress.display(), &PrintAbove::default());
    let source = run::source(&args.manifest, modelscope::MODEL);
    let read = manifest::open_watched(source.clone(), &mut *chores);
    if args.json {
        let printed = print(&format!("{:#}\n", diagnostics::object(&source, read.as_ref())));
        return if read.is_ok() { printed } else { Exit::Usage };
    }
    match read {
        Ok(manifest) => {
            diagnostics::warn(&manifest);
            print(&format!("{path}: {}, no mistakes\n", summary::jobs(manifest.n_jobs())))
        }
        Err(error) => diagnostics::refuse(&error, &source),
    }
}

/// Prints the status of a run.
pub fn status(args: &StatusArgs) -> Exit {
    match RunStatus::of(&args.out).map(|standing| if args.json { standing.json() } else { standing.words() }) {
        Ok(text) => print(&text),
        Err(error) => fail(exit_of(&error), &error),
    }
}

/// Writes the results again from the ledger.
pub fn results(args: &ResultsArgs) -> Exit {
    let projection = Projection::written_as(args.format.into(), &args.out).guarding(args.guard.is_wanted());
    let rows = if args.include_dropped { ResultRows::WithDropped } else { ResultRows::OfManifest };
    let file = SqliteStore::open_for_reading(&args.out).map_err(ProjectionError::from);
    let mut chores = chores(args.progress.display(), &PrintAbove::default());
    match file.and_then(|file| projection.rewrite(&file, rows, &mut *chores)) {
        Ok(()) => print(&format!("{}\n", escape(&projection.path().display().to_string()))),
        Err(ProjectionError::Ledger(error)) => fail(exit_of(&error), &error),
        Err(error) => fail(Exit::Error, &error),
    }
}

/// Returns the exit code for a ledger error. A folder without a run is the user's mistake, an unreadable ledger is not.
pub fn exit_of(error: &LedgerError) -> Exit {
    match error {
        LedgerError::Missing { .. } | LedgerError::Older { .. } => Exit::Usage,
        LedgerError::Held { .. }
        | LedgerError::Foreign { .. }
        | LedgerError::Newer { .. }
        | LedgerError::OtherProvider { .. }
        | LedgerError::Link { .. }
        | LedgerError::Moved { .. }
        | LedgerError::Full { .. }
        | LedgerError::Sqlite { .. }
        | LedgerError::Io { .. }
        | LedgerError::Damaged { .. }
        | LedgerError::Gone => Exit::Error,
    }
}
