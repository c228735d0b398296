//! The flags, each with its environment variable; precedence: flag, environment, manifest, default.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use promptbatch::model::limits::{Concurrency, InDoubt, Rate};
use promptbatch::model::request::Size;
use promptbatch::provider::modelscope;
use promptbatch::provider::simulator::faults::FaultSetting;

use crate::cli::units::{BYTES_MAX, PIXELS_MAX, bytes, pixels};

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

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a manifest, or go on with it
    #[command(after_help = HELP_RUN)]
    Run(Box<RunArgs>),
    /// Show every mistake in a manifest, with file, line and a remedy; sends nothing
    Validate(ManifestArgs),
    /// Show where a run stands: counts and failures; works beside a live run
    Status(OutArgs),
    /// Write results.csv again from the ledger
    Results(OutArgs),
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

    /// How long an image file may be: 64MiB, 20MB, or bytes
    #[arg(long, value_name = "SIZE", default_value = BYTES_MAX, value_parser = bytes, env = "PROMPTBATCH_IMAGE_BYTES_MAX")]
    pub image_bytes_max: u64,

    /// How many pixels an image may have, width times height: 100MP, or pixels
    #[arg(long, value_name = "N", default_value = PIXELS_MAX, value_parser = pixels, env = "PROMPTBATCH_IMAGE_PIXELS_MAX")]
    pub image_pixels_max: u64,

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

    /// How long a link to an image lasts, for example 30s [default: for ever]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub link_lifetime: Option<Duration>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("write it as FIELD=VALUE, for example size=1024x1024")?;
    Ok((field.trim().to_owned(), value.to_owned()))
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "a duration is a number and a unit, for example 500ms, 30s, 10m or 2h".to_owned())
}
