//! Command `work`: works on a run that several machines share.

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::flags::folders::folder;
use crate::cli::flags::shared::{WorkRequest, images_at};
use crate::cli::flags::{ImageArgs, LedgerAccessArgs, PaceArgs, ShowArgs};
use crate::cli::shared_run;

/// Text below the flags in the help: examples, and what the command needs.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch work --ledger 'postgres://me@db.example/images?run=cats' --images s3://bucket/cats
  promptbatch work --ledger 'postgres://me@db.example/images?run=cats' -o /shared/cats
Any number of workers may work at once; each claims blocks of 64 jobs. A worker that dies, or is not
heard of for 30 s, is taken over by the others: its accepted tasks are polled, and never submitted
again. --rate, -j and --max-cost apply to all workers together, and the newest value wins. --limit,
--max-duration, --max-failures and --poll-rate apply to this worker alone. It ends when every job
of the run has ended. Then `promptbatch merge` brings the run back into a folder.";

#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// Address of the shared run in PostgreSQL: `postgres://user@host/database?run=NAME`
    #[arg(long, value_name = "URL", env = "PROMPTBATCH_LEDGER", hide_env_values = true)]
    pub ledger: String,

    #[arg(help = "Folder of the images, on a file system that all workers share", short, long, value_parser = folder(), env = "PROMPTBATCH_OUT")]
    pub out: Option<PathBuf>,

    /// Where the images go, instead of a folder: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///folder`. The
    /// first worker decides it for all
    #[arg(long = "images", value_name = "URL", env = "PROMPTBATCH_IMAGES", hide_env_values = true)]
    pub images_at: Option<String>,

    #[command(flatten)]
    pub access: LedgerAccessArgs,

    #[command(flatten)]
    pub pace: PaceArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

/// Works on a shared run.
pub(crate) fn work(args: &WorkArgs) -> Exit {
    let images = match images_at(args.images_at.as_deref()) {
        Ok(images) => images,
        Err(exit) => return exit,
    };
    shared_run::work(WorkRequest {
        ledger: &args.ledger,
        out: args.out.clone(),
        images,
        access: args.access.access(Some(&args.pace)),
        limits: args.pace.limits(args.access.own_name()),
        image_limits: args.images.limits(),
        show: &args.show,
    })
}
