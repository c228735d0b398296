//! Command `results`: writes the results of a run again from its ledger.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::exit::Exit;
use crate::cli::flags::folders::run_folder;
use crate::cli::flags::{GuardArgs, ProgressArgs};
use crate::cli::messages::progress::operation_progress;
use crate::cli::output::{fail, print};
use crate::model::escape::escape;
use crate::report::results::ResultsFileFormat;
use crate::report::tty_reporter::PrintAbove;
use crate::run::projection::{Projection, ProjectionError, ResultRows};
use crate::store::stores;

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch results out/cats                          out/cats/results.csv
  promptbatch results out/cats --format jsonl           out/cats/results.jsonl
  promptbatch results out/cats --bom                    for a double click in Excel
  promptbatch results out/cats --include-dropped        with the rows that were removed
Jobs that are no longer in the manifest are left out, and their images stay on disk.
With --include-dropped they come last, with an empty index, until the next `run` rewrites
results.csv: a run always writes the jobs of its manifest there, and no others.

With --format jsonl the same columns go to OUT/results.jsonl, one JSON object per line: numbers
are numbers, missing values are null, and image_url, loras and params are the lists and objects
that were given. The manifest's own columns stay text, as they are carried through.
No run updates that file: run this command again when you need it.";

#[derive(Debug, Args)]
pub(crate) struct ResultsArgs {
    /// The output folder of a run
    #[arg(value_parser = run_folder())]
    pub out: PathBuf,

    /// Add the jobs that are no longer in the manifest, after all others
    #[arg(long)]
    pub include_dropped: bool,

    /// Format of the results
    #[arg(long, default_value = "csv")]
    pub format: ResultsFormat,

    /// Start results.csv with a byte order mark, by which Excel recognises UTF-8; the next `run` writes it without
    #[arg(long)]
    pub bom: bool,

    #[command(flatten)]
    pub guard: GuardArgs,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ResultsFormat {
    /// OUT/results.csv, as every run writes it
    Csv,
    /// OUT/results.jsonl: one JSON object per line, with numbers as numbers
    Jsonl,
}

impl From<ResultsFormat> for ResultsFileFormat {
    fn from(format: ResultsFormat) -> Self {
        match format {
            ResultsFormat::Csv => Self::Csv,
            ResultsFormat::Jsonl => Self::Jsonl,
        }
    }
}

/// Writes the results again from the ledger.
pub(crate) fn results(args: &ResultsArgs) -> Exit {
    let projection = Projection::written_as(args.format.into(), &args.out).guarding(args.guard.is_wanted());
    let projection = projection.with_bom(args.bom && matches!(args.format, ResultsFormat::Csv));
    let rows = if args.include_dropped { ResultRows::WithDropped } else { ResultRows::OfManifest };
    let run = stores::open_for_reading(&args.out).map_err(ProjectionError::from);
    let mut progress = operation_progress(args.progress.display(), &PrintAbove::default());
    match run.and_then(|run| projection.rewrite(&*run, rows, &mut *progress)) {
        Ok(_) => print(&format!("{}\n", escape(&projection.path().display().to_string()))),
        Err(ProjectionError::Ledger(error)) => fail(Exit::of_ledger(&error), &error),
        Err(error) => fail(Exit::Error, &error),
    }
}
