//! Groups of flags that several verbs share: how the provider is reached, the pace and the limits, and what is shown.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use promptbatch::driver::images::check::CheckLimits;
use promptbatch::model::cost::CostLimit;
use promptbatch::model::limits::{Concurrency, FailuresMax, InDoubt, Limits, OnQuota, Rate};
use promptbatch::model::price::Price;
use promptbatch::report::bars::can_be_drawn;
use promptbatch::run::consent::Consent;
use promptbatch::run::retry::Access;

use crate::cli::units::{BYTES_MAX, PIXELS_MAX, bytes, pixels};

/// How the provider is reached.
#[derive(Debug, Args)]
pub struct AccessArgs {
    /// File that holds the token, instead of the variable `MODELSCOPE_API_KEY`
    #[arg(long, value_name = "FILE", env = "PROMPTBATCH_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// How long one request may take: 500ms, 30s, 2m; an image may take longer, but not be silent for so long
    #[arg(long, value_name = "D", default_value = "60s", value_parser = duration, env = "PROMPTBATCH_REQUEST_TIMEOUT")]
    pub request_timeout: Duration,
}

/// How the provider is reached that a ledger names.
#[derive(Debug, Args)]
pub struct KnownAccessArgs {
    /// Where the API is, if neither at its own address nor on this machine: the token goes nowhere else unasked
    #[arg(long, value_name = "URL", env = "PROMPTBATCH_BASE_URL", hide_env_values = true)]
    base_url: Option<String>,

    #[command(flatten)]
    access: AccessArgs,

    #[command(flatten)]
    pub consent: ConsentArgs,
}

impl KnownAccessArgs {
    pub fn access(&self) -> Access {
        let AccessArgs { token_file, request_timeout } = &self.access;
        let (token_file, base_url) = (token_file.clone(), self.base_url.clone());
        Access { token_file, base_url, request_timeout: *request_timeout, consent: self.consent.consent() }
    }
}

/// What a run does not go on with unasked.
#[derive(Debug, Args)]
pub struct ConsentArgs {
    /// Go on with a ledger that is older than OUT/run.mark says, such as one restored from a copy: the jobs that may have been
    /// submitted since are in doubt (--in-doubt)
    #[arg(long, env = "PROMPTBATCH_ACCEPT_OLDER_LEDGER", action = ArgAction::SetTrue)]
    accept_older_ledger: bool,

    /// Go on with the account of this token as the batch's own: tasks of the account that it was begun with and that this one
    /// does not know are lost, and submitted again
    #[arg(long, env = "PROMPTBATCH_NEW_ACCOUNT", action = ArgAction::SetTrue)]
    new_account: bool,
}

impl ConsentArgs {
    pub fn consent(&self) -> Consent {
        Consent { is_older_accepted: self.accept_older_ledger, is_account_new: self.new_account }
    }
}

/// The pace, and what is done when something goes wrong.
#[derive(Debug, Args)]
pub struct PaceArgs {
    /// Tasks in flight: a number, or `auto` to start low and learn
    #[arg(short = 'j', long, value_name = "N|auto", default_value = "auto", env = "PROMPTBATCH_CONCURRENCY")]
    pub concurrency: Concurrency,

    /// Submissions at most: 10/s, 30/m, 500/h, 125/d [default: no limit of ours]
    #[arg(long, env = "PROMPTBATCH_RATE")]
    pub rate: Option<Rate>,

    /// Submissions that may leave at once under --rate
    #[arg(long, value_name = "N", value_parser = at_least_one, env = "PROMPTBATCH_BURST")]
    pub burst: Option<NonZeroU32>,

    /// Polls at most, for example 50/s [default: no limit of ours]
    #[arg(long, value_name = "RATE", env = "PROMPTBATCH_POLL_RATE")]
    pub poll_rate: Option<Rate>,

    /// Downloads at once, at most: on a slow line fewer are
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one, env = "PROMPTBATCH_DOWNLOADS")]
    pub downloads: NonZeroU32,

    /// The longest wait that a provider's Retry-After or rate-limit header is followed for
    #[arg(long, value_name = "D", default_value = "15m", value_parser = duration, env = "PROMPTBATCH_MAX_WAIT")]
    pub max_wait: Duration,

    /// Setbacks in a row that a job survives while submitting or downloading
    #[arg(long, value_name = "N", default_value_t = 8, env = "PROMPTBATCH_RETRIES")]
    pub retries: u32,

    /// How often a job may be submitted again although that may be paid for again: after a lost answer, or a lost or failed task
    #[arg(long, value_name = "N", default_value_t = 2, env = "PROMPTBATCH_RESUBMITS")]
    pub resubmits: u32,

    /// How long a task may take from its acceptance
    #[arg(long, value_name = "D", default_value = "30m", value_parser = duration, env = "PROMPTBATCH_TASK_TIMEOUT")]
    pub task_timeout: Duration,

    /// What becomes of a submission whose answer was lost, which may have been accepted
    #[arg(long, default_value = "resubmit", env = "PROMPTBATCH_IN_DOUBT")]
    pub in_doubt: InDoubtArg,

    /// What a used-up daily quota does to the run
    #[arg(long, default_value = "stop", env = "PROMPTBATCH_ON_QUOTA")]
    pub on_quota: OnQuotaArg,

    /// How long the API may be out of reach before the run stops with exit code 75
    #[arg(long, value_name = "D", default_value = "1h", value_parser = duration, env = "PROMPTBATCH_MAX_OUTAGE")]
    pub max_outage: Duration,

    /// What an image costs, for example '2 magicube': what is paid for is counted [default: the manifest's `price`, or else what an
    /// earlier run was told]
    #[arg(long, env = "PROMPTBATCH_PRICE")]
    pub price: Option<Price>,

    /// Submit nothing more that could bring the cost of all runs into this folder above this amount, for example 20 or '20 magicube'.
    /// Submissions in doubt count in full. The tasks in flight are seen through, and the exit code is 75. It needs a price
    #[arg(long, value_name = "AMOUNT", env = "PROMPTBATCH_MAX_COST")]
    pub max_cost: Option<CostLimit>,

    /// Submit nothing more after this time, for example 90m or 8h. The tasks in flight are seen through, and the exit code is 75 if jobs
    /// are left
    #[arg(long, value_name = "D", value_parser = duration, env = "PROMPTBATCH_MAX_DURATION")]
    pub max_duration: Option<Duration>,

    /// Work on at most so many unfinished jobs; those that are under way come first. The exit code is 5 if others are outstanding, and the
    /// same command goes on with them
    #[arg(long, value_name = "N", value_parser = some_jobs, env = "PROMPTBATCH_LIMIT")]
    pub limit: Option<NonZeroU64>,

    /// Stop when so many jobs have failed, or such a part of those that have ended, once 20 have: for example 20 or 5%
    #[arg(long, value_name = "N|P%", env = "PROMPTBATCH_MAX_FAILURES")]
    pub max_failures: Option<FailuresMax>,
}

impl PaceArgs {
    pub fn limits(&self) -> Limits {
        Limits {
            concurrency: self.concurrency,
            rate: self.rate,
            burst: self.burst,
            poll_rate: self.poll_rate,
            downloads_max: self.downloads.get() as usize,
            retries_max: self.retries,
            resubmits_max: self.resubmits,
            task_timeout: self.task_timeout,
            wait_max: self.max_wait,
            in_doubt: self.in_doubt.into(),
            on_quota: self.on_quota.into(),
            outage_max: self.max_outage,
            failures_max: self.max_failures,
            jobs_max: self.limit.map(NonZeroU64::get),
            duration_max: self.max_duration,
            cost_max: self.max_cost.clone(),
            price: self.price.clone(),
            // Two machines that start together must not knock together for ever.
            seed: fastrand::u64(..),
            ..Limits::default()
        }
    }
}

/// The largest image that is taken.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// How long an image file may be: 64MiB, 20MB, or bytes
    #[arg(long, value_name = "SIZE", default_value = BYTES_MAX, value_parser = bytes, env = "PROMPTBATCH_IMAGE_BYTES_MAX")]
    pub image_bytes_max: u64,

    /// How many pixels an image may have, width times height: 100MP, or pixels
    #[arg(long, value_name = "N", default_value = PIXELS_MAX, value_parser = pixels, env = "PROMPTBATCH_IMAGE_PIXELS_MAX")]
    pub image_pixels_max: u64,
}

impl ImageArgs {
    pub fn limits(&self) -> CheckLimits {
        CheckLimits { bytes_max: self.image_bytes_max, pixels_max: self.image_pixels_max }
    }
}

/// What becomes of texts that spreadsheets would compute.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// Put ' before cells of results.csv that a spreadsheet would take for formulas; later runs of the folder keep to it
    #[arg(
        long, value_name = "on|off", num_args = 0..=1, require_equals = true, default_missing_value = "on",
        env = "PROMPTBATCH_FORMULA_GUARD"
    )]
    formula_guard: Option<FormulaGuard>,
}

impl GuardArgs {
    /// Whether it is wanted; `None` where nothing is said.
    pub fn is_wanted(&self) -> Option<bool> {
        self.formula_guard.map(|guard| match guard {
            FormulaGuard::On => true,
            FormulaGuard::Off => false,
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormulaGuard {
    /// A spreadsheet shows every text as text
    On,
    /// Every text is as it was given
    Off,
}

/// What is shown while it goes on.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    progress: ProgressArgs,

    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose", env = "PROMPTBATCH_QUIET")]
    pub quiet: bool,

    /// Tell of every accepted job, with its task id, and of every setback
    #[arg(short, long, env = "PROMPTBATCH_VERBOSE", action = ArgAction::SetTrue)]
    pub verbose: bool,
}

impl ShowArgs {
    /// Whether anything but errors and warnings is told in words.
    pub fn is_for_people(&self) -> bool {
        !self.quiet && self.display() != Display::Json
    }

    pub fn display(&self) -> Display {
        if self.quiet { Display::Nothing } else { self.progress.display() }
    }
}

/// How long work is shown by those who say nothing else.
#[derive(Debug, Args)]
pub struct ProgressArgs {
    /// How progress is shown
    #[arg(long, default_value = "auto", env = "PROMPTBATCH_PROGRESS")]
    progress: Progress,
}

impl ProgressArgs {
    pub fn display(&self) -> Display {
        match self.progress {
            Progress::Auto | Progress::Bar if can_be_drawn() => Display::Bar,
            Progress::Auto | Progress::Bar | Progress::Plain => Display::Lines,
            Progress::Json => Display::Json,
            Progress::None => Display::Nothing,
        }
    }
}

/// How progress is shown here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    Bar,
    Lines,
    Json,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Progress {
    /// A bar on a terminal, plain lines elsewhere
    Auto,
    /// A bar
    Bar,
    /// A line now and then, and one for every change
    Plain,
    /// A line of JSON for everything that happens, and nothing else on stderr
    Json,
    /// Nothing
    None,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnQuotaArg {
    /// See the tasks in flight through, and stop with exit code 75
    Stop,
    /// Wait for the next allowance, then try with one submission
    Wait,
}

impl From<OnQuotaArg> for OnQuota {
    fn from(arg: OnQuotaArg) -> Self {
        match arg {
            OnQuotaArg::Stop => Self::Stop,
            OnQuotaArg::Wait => Self::Wait,
        }
    }
}

/// A number of jobs. None at all is taken for a mistake: some programs mean no limit by it.
pub fn some_jobs(text: &str) -> Result<NonZeroU64, String> {
    text.trim().parse().map_err(|_| {
        "write a whole number of at least 1, or leave --limit out to work on all jobs (`plan` works on none)".to_owned()
    })
}

fn at_least_one(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "write a whole number of at least 1".to_owned())
}

/// A span of time as people write it.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "a duration is a number and a unit, for example 500ms, 30s, 10m or 2h".to_owned())
}
