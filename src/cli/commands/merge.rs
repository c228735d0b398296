//! Command `merge`: makes one run of the parts that several machines have worked on.

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::flags::ProgressArgs;
use crate::cli::flags::folders::{folder, is_ledger};
use crate::cli::messages::merged;
use crate::cli::messages::progress::operation_progress;
use crate::cli::messages::summary::jobs;
use crate::cli::output::{fail, print, print_message};
use crate::cli::shared_run;
use crate::model::escape::escape;
use crate::report::tty_reporter::PrintAbove;
use crate::run::merge::error::MergeError;
use crate::run::merge::{self, Merged};

/// Text below the flags in the help: examples, and what the command needs.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch merge out/cats                            all parts in out/cats/shards, into out/cats
  promptbatch merge a/1-of-2 b/2-of-2 -o out/cats       parts from two machines
  promptbatch merge 'postgres://me@db/images?run=cats' -o out/cats    a shared run
Every part must be there. If some are not, their numbers are named as `sbatch --array` reads them,
and nothing is written (exit code 5). The parts are not changed: images become hard links, or copies
on another file system. Afterwards the folder is a run like any other, for `run`, `retry`, `verify`,
`gallery` and `export`. A job that two parts have submitted keeps the finished image, and both
submissions are counted. The exit code is that of a run: 5 if jobs are unfinished, 100 if some have
no image. A shared run is closed for workers, and goes into a new folder, into the one that it came
from, or into the one that has its images.";

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// The run folders of the parts, or one folder with all of them in its folder `shards`; or the address of one shared run
    #[arg(required = true, value_name = "SHARD")]
    pub shards: Vec<PathBuf>,

    #[arg(help = "Output folder [default: the one folder that is given]", short, long, value_parser = folder(), env = "PROMPTBATCH_OUT")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// Merges the parts of a run.
pub(crate) fn merge(args: &MergeArgs) -> Exit {
    let ledger = args.shards.iter().map(|shard| shard.to_string_lossy()).find(|shard| is_ledger(shard));
    match (ledger, &args.shards[..]) {
        (Some(ledger), [_]) => return shared_run::merge(&ledger, args.out.as_ref(), args.progress.display()),
        (Some(_), _) => {
            print_message(
                "error: could not merge: a shared run is brought back alone, and folders of parts are merged alone",
            );
            return Exit::Usage;
        }
        (None, _) => (),
    }
    let out = match (&args.out, &args.shards[..]) {
        (Some(out), _) => out.clone(),
        (None, [only]) => only.clone(),
        (None, _) => {
            print_message("error: could not merge: say where the merged run goes, with -o OUT");
            return Exit::Usage;
        }
    };
    let mut progress = operation_progress(args.progress.display(), &PrintAbove::default());
    let merged = merge::merge(&args.shards, &out, &mut *progress);
    drop(progress);
    match merged {
        Ok(Merged { counts, n_parts, n_repeated, n_dropped, results }) => {
            let mut lines = vec![format!(
                "{n_parts} parts, {}: {} succeeded, {} failed, {} to do",
                jobs(counts.n_jobs()),
                counts.n_succeeded,
                counts.n_failed + counts.n_moderated,
                counts.n_unfinished()
            )];
            if n_repeated > 0 {
                lines.push(format!(
                    "{} were submitted in more than one part; both submissions are counted",
                    jobs(n_repeated)
                ));
            }
            if n_dropped > 0 {
                lines.push(format!("{} are no longer in the manifest, and stay in the parts", jobs(n_dropped)));
            }
            lines.push(escape(&results.display().to_string()));
            let (exit, next) = merged::ending(&counts, &out);
            lines.push(next);
            match print(&(lines.join("\n") + "\n")) {
                Exit::Done => exit,
                failed => failed,
            }
        }
        Err(error) => fail(exit_of(&error), &error),
    }
}

fn exit_of(error: &MergeError) -> Exit {
    match error {
        MergeError::Missing { .. } | MergeError::Open { .. } => Exit::Part,
        MergeError::Running { .. } => Exit::Busy,
        MergeError::Output(_)
        | MergeError::NoParts(_)
        | MergeError::NoPart(_)
        | MergeError::Different { .. }
        | MergeError::Taken(_) => Exit::Usage,
        MergeError::Ledger(error) => Exit::of_ledger(error),
        MergeError::Redo(error) => Exit::of_error(error),
        MergeError::Image { .. } | MergeError::Store(_) | MergeError::Results(_) => Exit::Error,
    }
}
