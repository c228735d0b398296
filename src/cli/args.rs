//! The flags, each with its environment variable; precedence: flag, environment, manifest, default.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use promptbatch::model::limits::{Concurrency, InDoubt, Rate};
use promptbatch::model::request::Size;
use promptbatch::provider::modelscope;
use promptbatch::provider::simulator::faults::FaultSetting;

/// Runs image prompts from a manifest: every paid task ends as a verified file, and none is paid for twice.
#[derive(Debug, Parser)]
#[command(name = "promptbatch", version, max_term_width = 100, after_help = HELP_TOP)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

const HELP_TOP: &str = "\
Try it, with no account and no cost:
  promptbatch run examples/prompts.yaml --provider simulator

Exit codes: 0 every job has its image, 1 unexpected error, 2 usage or manifest wrong (nothing was sent),
3 token refused, 75 stopped before the end (quota, limit), 100 some jobs failed, 130 and 143 interrupted.
After 1, 3, 75, 130 and 143 the same command goes on where it left off.";

const HELP_RUN: &str = "\
Examples:
  promptbatch run prompts.yaml                          to out/prompts, with the token in MODELSCOPE_API_KEY
  promptbatch run prompts.csv -o out/cats --rate 30/m   at most 30 submissions a minute
  promptbatch run prompts.yaml --set size=1024x1024     another default than the manifest's
The same command goes on after an interruption: what was accepted is fetched and never submitted again.";

const HELP_PLAN: &str = "\
new:      the run does not have this job yet
changed:  a new job in the place of one that goes: the same id, or else the same position
back:     it was dropped once and returns, with its image if it has one
dropped:  it is no longer in the manifest; its image stays on disk and leaves the results
Every job that is not among them is kept, wherever it has moved.

--json prints one object:
  manifest, out     the two that are compared
  provider          where the run's tasks are; null where no run has begun
  jobs              wanted images: kept + back + new + changed
  moved             kept at another position
  relabelled        kept with another id or with other carried-through columns
  dropped           jobs that go and that no changed job replaces
  submit, fetch     jobs that would be submitted for certain; accepted ones to be fetched
  standing          where the jobs stand that are kept or back:
                    pending, in_doubt, running, succeeded, failed, moderated
  leaving           the same of the jobs that go, dropped or replaced
  first             the first of each: new, changed, back, dropped;
                    every one with index, id (or null) and prompt, and a changed one also with
                    was (index, id and prompt before) and changes (a list of field, was, is)";

const HELP_RESULTS: &str = "\
Jobs that are no longer in the manifest are left out, and their images stay on disk.
With --include-dropped they come last, with an empty index, until the next `run` writes
results.csv again: a run always leaves the jobs of its manifest there, and no others.";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a manifest, or go on with it
    #[command(after_help = HELP_RUN)]
    Run(Box<RunArgs>),
    /// Show what `run` would do with a manifest: new, changed, kept and dropped jobs; sends and writes nothing
    #[command(after_help = HELP_PLAN)]
    Plan(PlanArgs),
    /// Show every mistake in a manifest, with file, line and a remedy; sends nothing
    Validate(ManifestArgs),
    /// Show where a run stands: counts and failures; works beside a live run
    Status(OutArgs),
    /// Write results.csv again from the ledger
    #[command(after_help = HELP_RESULTS)]
    Results(ResultsArgs),
    /// Serve a simulated API on this machine, for trying things out and for tests
    Simulate(SimulateArgs),
}

#[derive(Debug, Args)]
pub struct ManifestArgs {
    /// The prompts: a YAML or CSV file
    pub manifest: PathBuf,

    /// Override a default of the manifest; a prompt's own value stays
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = pair, env = "PROMPTBATCH_SET", value_delimiter = None)]
    pub set: Vec<(String, String)>,

    /// The CSV column that holds the prompts
    #[arg(long, value_name = "NAME", env = "PROMPTBATCH_PROMPT_COL")]
    pub prompt_col: Option<String>,

    /// The CSV column that holds your own id of each prompt
    #[arg(long, value_name = "NAME", env = "PROMPTBATCH_ID_COL")]
    pub id_col: Option<String>,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,

    /// Output folder [default: out/<name of the manifest>]
    #[arg(short, long, env = "PROMPTBATCH_OUT")]
    pub out: Option<PathBuf>,

    /// Print one JSON object instead of words
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Add the jobs that are no longer in the manifest, after all others
    #[arg(long)]
    pub include_dropped: bool,
}

#[derive(Debug, Args)]
pub struct OutArgs {
    /// The output folder of a run
    pub out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ProviderName {
    /// ModelScope's API-Inference
    Modelscope,
    /// A simulated API inside this process: no account, no cost
    Simulator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A bar on a terminal, plain lines elsewhere
    Auto,
    /// A bar
    Bar,
    /// A line now and then
    Plain,
    /// Nothing
    None,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,

    /// Output folder [default: out/<name of the manifest>]
    #[arg(short, long, env = "PROMPTBATCH_OUT")]
    pub out: Option<PathBuf>,

    /// Who makes the images
    #[arg(long, default_value = "modelscope", env = "PROMPTBATCH_PROVIDER")]
    pub provider: ProviderName,

    /// Where the API is
    #[arg(long, value_name = "URL", default_value = modelscope::BASE_URL, env = "PROMPTBATCH_BASE_URL")]
    pub base_url: String,

    /// File that holds the token, instead of the variable `MODELSCOPE_API_KEY`
    #[arg(long, value_name = "FILE", env = "PROMPTBATCH_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// Tasks in flight: a number, or `auto` to start low and learn
    #[arg(short = 'j', long, value_name = "N|auto", default_value = "auto", env = "PROMPTBATCH_CONCURRENCY")]
    pub concurrency: Concurrency,

    /// Submissions at most: 10/s, 30/m, 500/h, 125/d [default: no limit of ours]
    #[arg(long, env = "PROMPTBATCH_RATE")]
    pub rate: Option<Rate>,

    /// Submissions that may leave at once under --rate
    #[arg(long, value_name = "N", env = "PROMPTBATCH_BURST")]
    pub burst: Option<NonZeroU32>,

    /// Polls at most, for example 50/s [default: no limit of ours]
    #[arg(long, value_name = "RATE", env = "PROMPTBATCH_POLL_RATE")]
    pub poll_rate: Option<Rate>,

    /// Downloads at once
    #[arg(long, value_name = "N", default_value = "16", env = "PROMPTBATCH_DOWNLOADS")]
    pub downloads: NonZeroU32,

    /// Setbacks in a row that a job survives while submitting or downloading
    #[arg(long, value_name = "N", default_value_t = 8, env = "PROMPTBATCH_RETRIES")]
    pub retries: u32,

    /// Lost or failed tasks that a job may submit again; each is paid for again
    #[arg(long, value_name = "N", default_value_t = 1, env = "PROMPTBATCH_RESUBMITS")]
    pub resubmits: u32,

    /// How long one request may take: 500ms, 30s, 2m
    #[arg(long, value_name = "D", default_value = "60s", value_parser = duration, env = "PROMPTBATCH_REQUEST_TIMEOUT")]
    pub request_timeout: Duration,

    /// How long a task may take from its acceptance
    #[arg(long, value_name = "D", default_value = "30m", value_parser = duration, env = "PROMPTBATCH_TASK_TIMEOUT")]
    pub task_timeout: Duration,

    /// What becomes of a submission whose answer was lost, which may have been accepted
    #[arg(long, default_value = "resubmit", env = "PROMPTBATCH_IN_DOUBT")]
    pub in_doubt: InDoubtArg,

    /// Stop when so many jobs have failed
    #[arg(long, value_name = "N", env = "PROMPTBATCH_MAX_FAILURES")]
    pub max_failures: Option<u64>,

    /// How progress is shown
    #[arg(long, default_value = "auto", env = "PROMPTBATCH_PROGRESS")]
    pub progress: Progress,

    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose", env = "PROMPTBATCH_QUIET")]
    pub quiet: bool,

    /// Tell of every accepted job, with its task id, and of every setback
    #[arg(short, long, env = "PROMPTBATCH_VERBOSE", action = ArgAction::SetTrue)]
    pub verbose: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum InDoubtArg {
    /// Submit it again, and count it
    Resubmit,
    /// Leave it for you
    Hold,
    /// Fail the job
    Fail,
}

impl From<InDoubtArg> for InDoubt {
    fn from(arg: InDoubtArg) -> Self {
        match arg {
            InDoubtArg::Resubmit => Self::Resubmit,
            InDoubtArg::Hold => Self::Hold,
            InDoubtArg::Fail => Self::Fail,
        }
    }
}

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Port on 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 8080, env = "PROMPTBATCH_PORT")]
    pub port: u16,

    /// Median time that a task takes
    #[arg(long, value_name = "D", default_value = "2s", value_parser = duration)]
    pub latency: Duration,

    /// How much it varies: sigma of the lognormal distribution
    #[arg(long, value_name = "F", default_value_t = 0.3)]
    pub latency_sigma: f64,

    /// Refuse submissions beyond this rate, for example 5/s
    #[arg(long)]
    pub rate: Option<Rate>,

    /// Refuse submissions beyond so many unfinished tasks
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,

    /// Submissions a day, then the quota is used up
    #[arg(long, value_name = "N")]
    pub quota: Option<u32>,

    /// Share of the tasks that are refused for their content, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub fail_rate: f64,

    /// A fault and its probability, for example submit-500=0.05; may be repeated
    #[arg(long = "fault", value_name = "KIND=P")]
    pub faults: Vec<FaultSetting>,

    /// Seed of every draw
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Draw every image at this size, whatever is asked for
    #[arg(long, value_name = "WxH")]
    pub image_size: Option<Size>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("write it as FIELD=VALUE, for example size=1024x1024")?;
    Ok((field.trim().to_owned(), value.to_owned()))
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "a duration is a number and a unit, for example 500ms, 30s, 10m or 2h".to_owned())
}
