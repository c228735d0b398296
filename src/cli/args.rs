//! Command-line flags, each with its environment variable. Precedence: flag, environment, manifest, default.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use promptbatch::model::limits::Rate;
use promptbatch::model::outcome::FaultKind;
use promptbatch::model::request::Size;
use promptbatch::provider::modelscope;
use promptbatch::report::results::ResultsFileFormat;
use promptbatch::simulator::faults::FaultSetting;

use crate::cli::after_help;
use crate::cli::export::ExportArgs;
use crate::cli::flags::{
    AccessArgs, ConsentArgs, GuardArgs, ImageArgs, LedgerAccessArgs, PaceArgs, ProgressArgs, ShowArgs, duration,
};
use crate::cli::gallery::jobs;
use crate::cli::manifest_args::{InitArgs, ManifestArgs, PlanArgs, ValidateArgs};
use crate::cli::manuals::{CompletionsArgs, ManArgs};
use crate::cli::reports::ReportArgs;
use crate::cli::style_args::StyleArgs;
use crate::cli::units::bytes;

/// Runs image prompts from a manifest: every paid task ends as a verified file, and none is paid for twice.
#[derive(Debug, Parser)]
#[command(name = "promptbatch", version, max_term_width = 100, after_help = after_help::TOP)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: CliCommand,
}

#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Run a manifest, or resume it
    #[command(after_help = after_help::RUN)]
    Run(Box<RunArgs>),
    /// Show what `run` would do with a manifest: new, changed, kept and dropped jobs; sends and writes nothing
    #[command(after_help = after_help::PLAN)]
    Plan(PlanArgs),
    /// List every mistake in a manifest, with its line and a fix; sends nothing
    #[command(after_help = after_help::VALIDATE)]
    Validate(ValidateArgs),
    /// Write a starter manifest, and its JSON Schema beside it
    #[command(after_help = after_help::INIT)]
    Init(InitArgs),
    /// Print the JSON Schema of YAML manifests, for completion and checks in editors
    #[command(after_help = after_help::SCHEMA)]
    Schema,
    /// Show the state of a run: counts and failures; works during a live run
    #[command(after_help = after_help::STATUS)]
    Status(StatusArgs),
    /// Retry the failed jobs of a run, and nothing else
    #[command(after_help = after_help::RETRY)]
    Retry(Box<RetryArgs>),
    /// Check every image against its recorded size and sha256
    #[command(after_help = after_help::VERIFY)]
    Verify(Box<VerifyArgs>),
    /// Show the history of one job: every event, with its time
    #[command(after_help = after_help::LOG)]
    Log(LogArgs),
    /// Rewrite results.csv, or results.jsonl, from the ledger
    #[command(after_help = after_help::RESULTS)]
    Results(ResultsArgs),
    /// Make gallery.html, one page that shows the images; works during a live run
    #[command(after_help = after_help::GALLERY)]
    Gallery(GalleryArgs),
    /// Export (or update) a dataset of the verified images that trainers load directly
    #[command(after_help = after_help::EXPORT)]
    Export(ExportArgs),
    /// Serve a simulated API on this machine, for trying things out and for tests
    #[command(after_help = after_help::simulate())]
    Simulate(SimulateArgs),
    /// Generate shell completions for commands, flags and their values
    #[command(after_help = after_help::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them
    #[command(after_help = after_help::MAN)]
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Add the jobs that are no longer in the manifest, after all others
    #[arg(long)]
    pub include_dropped: bool,

    /// Format of the results
    #[arg(long, default_value = "csv")]
    pub format: ResultsFormat,

    #[command(flatten)]
    pub guard: GuardArgs,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ResultsFormat {
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

#[derive(Debug, Args)]
pub struct GalleryArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Only the jobs with these indices, for example 100001-200000: a page holds at most 100,000
    #[arg(long, value_name = "FROM-TO", value_parser = jobs, allow_hyphen_values = true)]
    pub jobs: Option<RangeInclusive<u64>>,

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

    /// Image provider
    #[arg(long, default_value = "modelscope", env = "PROMPTBATCH_PROVIDER")]
    pub provider: ProviderName,

    /// API base URL
    #[arg(long, value_name = "URL", default_value = modelscope::BASE_URL, env = "PROMPTBATCH_BASE_URL", hide_env_values = true)]
    pub base_url: String,

    #[command(flatten)]
    pub access: AccessArgs,

    #[command(flatten)]
    pub consent: ConsentArgs,

    #[command(flatten)]
    pub pace: PaceArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    /// Show what the run would do, like `plan`; send and write nothing
    #[arg(long, env = "PROMPTBATCH_DRY_RUN", action = ArgAction::SetTrue)]
    pub dry_run: bool,

    /// Make or update OUT/gallery.html at the end, even if the run stops early
    #[arg(long, env = "PROMPTBATCH_GALLERY", action = ArgAction::SetTrue)]
    pub gallery: bool,

    #[command(flatten)]
    pub style: StyleArgs,

    #[command(flatten)]
    pub guard: GuardArgs,

    #[command(flatten)]
    pub reports: ReportArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Only failures of these kinds, as named in the column `error_code`; also `timeout` (for `task_lost`) and `in_doubt`
    /// [default: every kind except `moderated` and `in_doubt`]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = failure_kind, env = "PROMPTBATCH_ONLY")]
    pub only: Vec<String>,

    /// Submit them again even if a task may still give the image that is paid for
    #[arg(long)]
    pub anew: bool,

    #[command(flatten)]
    pub known: LedgerAccessArgs,

    #[command(flatten)]
    pub pace: PaceArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    #[command(flatten)]
    pub reports: ReportArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Fetch missing or damaged images again, from the tasks that are already paid for; nothing is submitted
    #[arg(long)]
    pub repair: bool,

    #[command(flatten)]
    pub known: LedgerAccessArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The output folder of a run
    pub out: PathBuf,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,

    /// Refresh until the run ends: in place on a terminal, every 10 s elsewhere
    #[arg(long)]
    pub watch: bool,
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
    /// Port on 127.0.0.1, or 0 for any free port
    #[arg(long, default_value_t = 8080, env = "PROMPTBATCH_PORT")]
    pub port: u16,

    /// Median time of a task
    #[arg(long, value_name = "D", default_value = "2s", value_parser = duration)]
    pub latency: Duration,

    /// How much it varies: sigma of the lognormal distribution
    #[arg(long, value_name = "F", default_value_t = 0.3)]
    pub latency_sigma: f64,

    /// Refuse submissions beyond this rate, for example 5/s
    #[arg(long)]
    pub rate: Option<Rate>,

    /// Refuse submissions beyond this many unfinished tasks
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,

    /// Submissions per day before the quota is used up
    #[arg(long, value_name = "N")]
    pub quota: Option<u32>,

    /// Share of the tasks to refuse for their content, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub fail_rate: f64,

    /// A fault of those listed below and its probability, for example submit-500=0.05; may be
    /// repeated
    #[arg(long = "fault", value_name = "KIND=P")]
    pub faults: Vec<FaultSetting>,

    /// Seed of all random choices
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Draw every image at this size, whatever size is requested
    #[arg(long, value_name = "WxH")]
    pub image_size: Option<Size>,

    /// How long a link to an image lasts, for example 30s [default: forever]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub link_lifetime: Option<Duration>,

    /// Bandwidth that all images share, in bytes per second, for example 100kB [default: unlimited]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub line: Option<u64>,
}

fn failure_kind(text: &str) -> Result<String, String> {
    let text = if text.trim() == "timeout" { "task_lost" } else { text.trim() };
    let is_known = FaultKind::CODES.contains(&text);
    is_known.then(|| text.to_owned()).ok_or_else(|| format!("the kinds are timeout, {}", FaultKind::CODES.join(", ")))
}

/// Returns the failure kinds that `retry` retries by default: all except content refusals and submissions that may have
/// been paid for.
pub fn failure_kinds_by_default() -> Vec<String> {
    let is_default = |kind: &&str| !matches!(*kind, "moderated" | "in_doubt");
    FaultKind::CODES.into_iter().filter(is_default).map(str::to_owned).collect()
}
