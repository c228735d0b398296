//! The verbs that only look: `validate`, `status`, `results`.

use promptbatch::ledger::error::LedgerError;
use promptbatch::ledger::sqlite::RunFile;
use promptbatch::manifest::{self, Manifest};
use promptbatch::model::text::escape;
use promptbatch::provider::modelscope;
use promptbatch::run::projection::{Projection, ProjectionError, Rows};

use crate::cli::args::{ManifestArgs, OutArgs, ResultsArgs};
use crate::cli::exit::Exit;
use crate::cli::{fail, print, run, summary, tell};

/// Failed jobs that `status` shows.
const FAILURES_MAX: usize = 20;

/// Shows every mistake in a manifest.
pub fn validate(args: &ManifestArgs) -> Exit {
    let path = escape(&args.manifest.display().to_string());
    match manifest::open(run::source(args, modelscope::MODEL)) {
        Ok(manifest) => {
            warn(&manifest);
            print(&format!("{path}: {}, no mistakes\n", summary::jobs(manifest.n_jobs())))
        }
        Err(error) => fail(Exit::Usage, &error),
    }
}

/// Tells what is allowed in a manifest and probably not meant.
pub fn warn(manifest: &Manifest) {
    for warning in manifest.warnings() {
        tell(&format!("warning: {}", warning.at(manifest.path())));
    }
}

/// Shows where a run stands.
pub fn status(args: &OutArgs) -> Exit {
    match status_text(args) {
        Ok(text) => print(&text),
        Err(error) => fail(exit_of(&error), &error),
    }
}

fn status_text(args: &OutArgs) -> Result<String, LedgerError> {
    let file = RunFile::open_for_reading(&args.out)?;
    let (counts, incidents) = (file.counts()?, file.incidents()?);
    let mut lines = vec![summary::standing(&counts)];
    lines.push(format!("provider: {}", escape(&file.provider()?)));
    lines.push(format!("submissions so far: {}", incidents.n_submits));
    lines.extend(summary::noted(&incidents));
    if counts.n_without_image() > 0 {
        lines.push("without an image:".to_owned());
        lines.extend(summary::failed(&file.failures(FAILURES_MAX)?, &counts));
    }
    Ok(lines.join("\n") + "\n")
}

/// Writes `results.csv` again.
pub fn results(args: &ResultsArgs) -> Exit {
    let projection = Projection::new(&args.out);
    let rows = if args.include_dropped { Rows::WithDropped } else { Rows::OfManifest };
    let file = RunFile::open_for_reading(&args.out).map_err(ProjectionError::from);
    match file.and_then(|file| projection.rewrite(&file, rows)) {
        Ok(()) => print(&format!("{}\n", escape(&projection.path().display().to_string()))),
        Err(ProjectionError::Ledger(error)) => fail(exit_of(&error), &error),
        Err(error) => fail(Exit::Error, &error),
    }
}

/// A folder without a run is the user's mistake; a ledger that cannot be read is not.
fn exit_of(error: &LedgerError) -> Exit {
    match error {
        LedgerError::Missing { .. } => Exit::Usage,
        LedgerError::Held { .. }
        | LedgerError::Foreign { .. }
        | LedgerError::Newer { .. }
        | LedgerError::OtherProvider { .. }
        | LedgerError::Full { .. }
        | LedgerError::Sqlite { .. }
        | LedgerError::Io { .. }
        | LedgerError::Damaged { .. }
        | LedgerError::Gone => Exit::Error,
    }
}
