//! Command line: the commands and their flags. Precedence of a flag's value: flag, environment, manifest, default.

use clap::{Parser, Subcommand};

use crate::cli::commands::export::{self, ExportArgs};
use crate::cli::commands::gallery::{self, GalleryArgs};
use crate::cli::commands::init::{self, InitArgs};
use crate::cli::commands::log::{self, LogArgs};
use crate::cli::commands::manuals::{self, CompletionsArgs, ManArgs};
use crate::cli::commands::merge::{self, MergeArgs};
use crate::cli::commands::plan::{self, PlanArgs};
use crate::cli::commands::providers::{self, ProvidersArgs};
use crate::cli::commands::redo::{self, RedoArgs};
use crate::cli::commands::results::{self, ResultsArgs};
use crate::cli::commands::retry::{self, RetryArgs};
use crate::cli::commands::run::{self, RunArgs};
use crate::cli::commands::share::{self, ShareArgs};
use crate::cli::commands::simulate::{self, SimulateArgs};
use crate::cli::commands::status::{self, StatusArgs};
use crate::cli::commands::validate::{self, ValidateArgs};
use crate::cli::commands::verify::{self, VerifyArgs};
use crate::cli::commands::work::{self, WorkArgs};

/// Text below the list of commands.
const TOP: &str = "\
Try it, with no account and no cost:
  promptbatch run examples/prompts.yaml --provider simulator

Exit codes: 0 every job has its image, 1 unexpected error, 2 usage or manifest wrong, or the
folder belongs to another run (nothing was sent), 3 token missing or refused, or every job refused
for the same reason, 4 another process runs this batch, 5 this part is done and others are
outstanding (--limit, --where, --sample, or a merge with unfinished jobs), 75 stopped before the
end (quota, outage, a limit on cost, time or failures), 100 some jobs have no image, 129, 130 and
143 interrupted.
After 1, 3, 4, 5, 75, 129, 130 and 143, run the same command again to resume.";

/// Runs image prompts from a manifest: every paid task ends as a verified file, and an accepted one is never paid for again.
#[derive(Debug, Parser)]
#[command(name = "promptbatch", version = env!("PROMPTBATCH_VERSION"), max_term_width = 100, after_help = TOP)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub command: CliCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CliCommand {
    /// Run a manifest, or resume it
    #[command(after_help = run::help(), alias = "resume")]
    Run(Box<RunArgs>),
    /// Show what `run` would do with a manifest: new, changed, kept and dropped jobs; sends and writes nothing
    #[command(after_help = plan::HELP)]
    Plan(Box<PlanArgs>),
    /// List every mistake in a manifest, with its line and a fix; sends nothing
    #[command(after_help = validate::HELP)]
    Validate(ValidateArgs),
    /// Write a starter manifest, and its JSON Schema beside it
    #[command(after_help = init::HELP)]
    Init(InitArgs),
    /// Print the JSON Schema of YAML manifests, for completion and checks in editors
    #[command(after_help = init::SCHEMA_HELP)]
    Schema,
    /// Show the state of a run: counts and failures; works during a live run
    #[command(after_help = status::HELP)]
    Status(StatusArgs),
    /// Retry the failed jobs of a run, and nothing else
    #[command(after_help = retry::HELP)]
    Retry(Box<RetryArgs>),
    /// Copy a run folder to a PostgreSQL server, for workers on many machines
    #[command(after_help = share::HELP)]
    Share(ShareArgs),
    /// Work on a run that several machines share
    #[command(after_help = work::HELP)]
    Work(Box<WorkArgs>),
    /// Make one run of the parts that several machines have worked on, or bring a shared run back
    #[command(after_help = merge::HELP)]
    Merge(MergeArgs),
    /// Make new images for jobs that succeeded; this is paid for again, and the old images are kept
    #[command(after_help = redo::HELP)]
    Redo(Box<RedoArgs>),
    /// Check every image against its recorded size and sha256
    #[command(after_help = verify::HELP)]
    Verify(Box<VerifyArgs>),
    /// Show the history of one job: every event, with its time
    #[command(after_help = log::HELP)]
    Log(LogArgs),
    /// Rewrite results.csv, or results.jsonl, from the ledger
    #[command(after_help = results::HELP)]
    Results(ResultsArgs),
    /// Make gallery.html, one page that shows the images; works during a live run
    #[command(after_help = gallery::HELP)]
    Gallery(GalleryArgs),
    /// Export (or update) a dataset of the verified images that trainers load directly
    #[command(after_help = export::HELP)]
    Export(ExportArgs),
    /// List the providers, show one, or check the description of your own
    #[command(after_help = providers::HELP)]
    Providers(ProvidersArgs),
    /// Serve a simulated API on this machine, for trying things out and for tests
    #[command(after_help = simulate::help())]
    Simulate(SimulateArgs),
    /// Generate shell completions for commands, flags and their values
    #[command(after_help = manuals::COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them
    #[command(after_help = manuals::MAN_HELP)]
    Man(ManArgs),
}
