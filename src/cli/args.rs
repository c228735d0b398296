//! The flags, each with its environment variable; precedence: flag, environment, manifest, default.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use promptbatch::model::limits::Rate;
use promptbatch::model::outcome::FaultKind;
use promptbatch::model::request::Size;
use promptbatch::provider::modelscope;
use promptbatch::provider::simulator::faults::FaultSetting;

use crate::cli::flags::{AccessArgs, ImageArgs, KnownAccessArgs, PaceArgs, ProgressArgs, ShowArgs, duration};

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
3 token refused, 75 stopped before the end (quota, outage, limit), 100 some jobs failed, 129, 130 and 143 interrupted.
After 1, 3, 75, 129, 130 and 143 the same command goes on where it left off.";

const HELP_RUN: &str = "\
Examples:
  promptbatch run prompts.yaml                          to out/prompts, with the token in MODELSCOPE_API_KEY
  promptbatch run prompts.csv -o out/cats --rate 30/m   at most 30 submissions a minute
  promptbatch run prompts.yaml --set size=1024x1024     another default than the manifest's
The same command goes on after an interruption: what was accepted is fetched and never submitted again.";

const HELP_RETRY: &str = "\
Examples:
  promptbatch retry out/cats                            every failure but moderated ones and those in doubt
  promptbatch retry out/cats --only moderated           the same words once more, which is paid for again
  promptbatch retry out/cats --only in_doubt,timeout    those that were held, and lost tasks
A job whose task may still give the image that is paid for is asked for before it is submitted again. Jobs that are only
pending are left to `run`.";

const HELP_VERIFY: &str = "\
Exit code 0: every image is what was recorded; 100: some are not.
With --repair a missing or damaged image is fetched again from its task, if the provider still has it. Nothing is
submitted: a job whose task is gone becomes pending, and `run` submits it again. A damaged file is kept in OUT/damaged.";

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

const HELP_VALIDATE: &str = "\
Examples:
  promptbatch validate prompts.yaml                     the first 20 mistakes, each with its line
  promptbatch validate prompts.yaml --json              up to a thousand of them, for an editor or a script
Exit code 0: it can be run, perhaps with warnings; 2: it cannot.

--json prints one object:
  manifest          the file
  jobs              wanted images; null where something is wrong
  mistakes          the first of them and of the warnings, by line; every one with severity (error or
                    warning), path (null for the command line), line, column and end_column (from 1, in
                    characters, end_column behind the last one; null where they are not known),
                    message and help
  n_mistakes        how many mistakes there are
  n_warnings        how many warnings";

const HELP_INIT: &str = "\
Examples:
  promptbatch init                                      prompts.yaml and prompts.schema.json
  promptbatch init cats.yaml --no-schema                only cats.yaml
  promptbatch init -                                    to stdout
Nothing that is there is written over. The first line of the starter names the schema, for editors with a YAML language
server (VS Code with the YAML extension, Neovim, Helix and others).";

const HELP_SCHEMA: &str = "\
Example:
  promptbatch schema > prompts.schema.json
and as the first line of a manifest:
  # yaml-language-server: $schema=prompts.schema.json
It is of draft 2020-12. `validate` knows more than it: ids that are the same, lists that do not fit, names in prompts.";

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
    /// Show every mistake in a manifest, with its line, a caret under the place, and a remedy; sends nothing
    #[command(after_help = HELP_VALIDATE)]
    Validate(ValidateArgs),
    /// Write a manifest to start from, and its JSON Schema beside it
    #[command(after_help = HELP_INIT)]
    Init(InitArgs),
    /// Print the JSON Schema of YAML manifests, by which editors complete and check
    #[command(after_help = HELP_SCHEMA)]
    Schema,
    /// Show where a run stands: counts and failures; works beside a live run
    Status(StatusArgs),
    /// Try the failed jobs of a run again, and nothing else
    #[command(after_help = HELP_RETRY)]
    Retry(Box<RetryArgs>),
    /// Hold every image against its recorded size and sha256
    #[command(after_help = HELP_VERIFY)]
    Verify(Box<VerifyArgs>),
    /// Tell the story of one job: every event, with its time
    Log(LogArgs),
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

    /// How many jobs lists, ranges, vars and `n` may make; prompts that are one job each are not limited [default: 10000]
    #[arg(long, value_name = "N", env = "PROMPTBATCH_MAX_JOBS")]
    pub max_jobs: Option<u64>,

    /// Do the work in an order that this seed draws, so that a run stopped early is a fair sample; names and results stay in
    /// manifest order
    #[arg(long, value_name = "SEED", env = "PROMPTBATCH_SHUFFLE")]
    pub shuffle: Option<u64>,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,

    /// Print one JSON object instead of words
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where to write it, a name that ends in .yaml or .yml; - for stdout
    #[arg(default_value = "prompts.yaml")]
    pub manifest: PathBuf,

    /// Write no prompts.schema.json beside it, and do not name it
    #[arg(long)]
    pub no_schema: bool,
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

    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Add the jobs that are no longer in the manifest, after all others
    #[arg(long)]
    pub include_dropped: bool,

    #[command(flatten)]
    pub progress: ProgressArgs,
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

    #[command(flatten)]
    pub access: AccessArgs,

    #[command(flatten)]
    pub pace: PaceArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Only failures of these kinds, by their words in the column `error_code`; also `timeout` (for `task_lost`) and `in_doubt`
    /// [default: every kind but `moderated` and `in_doubt`]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = failure_kind, env = "PROMPTBATCH_ONLY")]
    pub only: Vec<String>,

    /// Submit them anew even where a task may still give the image that is paid for
    #[arg(long)]
    pub anew: bool,

    #[command(flatten)]
    pub known: KnownAccessArgs,

    #[command(flatten)]
    pub pace: PaceArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Fetch what is missing or damaged again, from the tasks that are paid for; nothing is submitted
    #[arg(long)]
    pub repair: bool,

    #[command(flatten)]
    pub known: KnownAccessArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct LogArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Which job: its id as in results.csv, or else its index, the beginning of its 20-digit id, or the id of one of its tasks
    pub job: String,
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

fn failure_kind(text: &str) -> Result<String, String> {
    let text = if text.trim() == "timeout" { "task_lost" } else { text.trim() };
    let is_known = FaultKind::CODES.contains(&text);
    is_known.then(|| text.to_owned()).ok_or_else(|| format!("the kinds are timeout, {}", FaultKind::CODES.join(", ")))
}

/// What `retry` tries again if nobody says more: not what was refused for its content, nor what may have been paid for.
pub fn failure_kinds_by_default() -> Vec<String> {
    let is_default = |kind: &&str| !matches!(*kind, "moderated" | "in_doubt");
    FaultKind::CODES.into_iter().filter(is_default).map(str::to_owned).collect()
}
