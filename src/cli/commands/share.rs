//! Command `share`: copies a run folder to a server, for workers on many machines.

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::flags::ProgressArgs;
use crate::cli::flags::folders::run_folder;
use crate::cli::shared_run;
use crate::model::cost::CostLimit;
use crate::model::price::Price;

/// Text below the flags in the help: examples, and what the command needs.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch share out/cats --ledger 'postgres://me@db.example/images?run=cats'
  PGHOST=db.example promptbatch share out/cats --ledger 'postgres://?run=cats'
All jobs, states and events go to a schema of their own, in one transaction. From then on any
number of workers work on the run (`promptbatch work`), and the folder is marked: `run`, `retry`,
`redo` and `verify --repair` refuse it until `promptbatch merge` has brought the run back. Parts
of the address that are left out come from PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE,
PGSSLMODE and ~/.pgpass.";

#[derive(Debug, Args)]
pub(crate) struct ShareArgs {
    /// The output folder of a run
    #[arg(value_parser = run_folder())]
    pub out: PathBuf,

    /// Address of the shared run in PostgreSQL: `postgres://user@host/database?run=NAME`
    #[arg(long, value_name = "URL", env = "PROMPTBATCH_LEDGER", hide_env_values = true)]
    pub ledger: String,

    /// Price of an image, for example '2 magicube', to count the cost [default: that of the folder]
    #[arg(long, env = "PROMPTBATCH_PRICE")]
    pub price: Option<Price>,

    /// Limit on the cost of the whole run, with what the folder has cost, for all its workers together. Needs a price
    #[arg(long, value_name = "AMOUNT", env = "PROMPTBATCH_MAX_COST")]
    pub max_cost: Option<CostLimit>,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// Shares a run.
pub(crate) fn share(args: &ShareArgs) -> Exit {
    let cost = (args.price.clone(), args.max_cost.clone());
    shared_run::share(&args.out, &args.ledger, cost, args.progress.display())
}
