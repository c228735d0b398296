//! Groups of flags that several commands share: access to the provider, rate and limits, and output.

pub(super) mod folders;
pub(super) mod json_messages;
pub(super) mod manifest;
pub(super) mod named;
pub(super) mod provider;
pub(super) mod reports;
pub(super) mod shared;
pub(super) mod style;
pub(super) mod units;

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{ArgAction, Args, ValueEnum};

use crate::cli::flags::named::{NamedValue, for_own, of_rows, own_token};
use crate::cli::flags::provider::{request_timeout_help, token_file_help};
use crate::cli::flags::units::{BYTES_MAX, PIXELS_MAX, bytes, pixels};
use crate::images::validate::verdict::CheckLimits;
use crate::model::cost::CostLimit;
use crate::model::limits::{Concurrency, FailureLimit, InDoubtPolicy, Limits, QuotaPolicy, Rate};
use crate::model::price::Price;
use crate::provider::spec::ProviderSpec;
use crate::report::tty_reporter::can_be_drawn;
use crate::run::consent::Consent;
use crate::run::credentials::Credentials;

/// How the provider is reached.
#[derive(Debug, Args)]
pub(super) struct AccessArgs {
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().map(NamedValue::from), env = "PROMPTBATCH_TOKEN_FILE", help = token_file_help())]
    pub token_file: Vec<NamedValue<PathBuf>>,

    #[arg(long, value_name = "D", value_parser = duration, env = "PROMPTBATCH_REQUEST_TIMEOUT", help = request_timeout_help())]
    pub request_timeout: Option<Duration>,
}

/// How the provider is reached that a ledger names.
#[derive(Debug, Args)]
pub(super) struct LedgerAccessArgs {
    /// API base URL, if neither the provider's own nor on this machine: the token is sent nowhere else unless you say so. NAME=URL is
    /// for one of several providers
    #[arg(long, value_name = "URL", env = "PROMPTBATCH_BASE_URL", hide_env_values = true)]
    base_url: Vec<NamedValue<String>>,

    /// Provider of the run's tasks; needed only if a file describes it
    #[arg(long, value_parser = provider::provider, value_name = "NAME|FILE")]
    provider: Option<&'static ProviderSpec>,

    #[command(flatten)]
    access: AccessArgs,

    #[command(flatten)]
    pub consent: ConsentArgs,
}

impl LedgerAccessArgs {
    /// Returns the name of the run's own provider, if the user gives it.
    pub(super) fn own_name(&self) -> &'static str {
        self.provider.map_or("", |spec| spec.name)
    }

    /// Returns the access, with the settings of single providers. The run's own provider is known from the ledger.
    pub(super) fn access(&self, pace: Option<&PaceArgs>) -> Credentials {
        let AccessArgs { token_file, request_timeout } = &self.access;
        let own = self.own_name();
        let (rates, concurrency) = pace.map_or((&[][..], &[][..]), |pace| (&pace.rate, &pace.concurrency));
        Credentials {
            token: own_token(token_file, own),
            provider: None,
            provider_name: self.provider.map(|spec| spec.name),
            base_url: for_own(&self.base_url, own),
            of_rows: of_rows(own, &self.base_url, token_file, rates, concurrency),
            request_timeout: *request_timeout,
            consent: self.consent.consent(),
        }
    }
}

/// What a run does not go on with unasked.
#[derive(Debug, Args)]
pub(super) struct ConsentArgs {
    /// Resume with a ledger that is older than OUT/run.mark says, such as one restored from a copy: the jobs that may have been
    /// submitted since then are in doubt (--in-doubt)
    #[arg(long, env = "PROMPTBATCH_ACCEPT_OLDER_LEDGER", action = ArgAction::SetTrue)]
    accept_older_ledger: bool,

    /// Continue the batch with the account of this token: tasks of the old account that this one does not know are lost, and
    /// submitted again
    #[arg(long, env = "PROMPTBATCH_NEW_ACCOUNT", action = ArgAction::SetTrue)]
    new_account: bool,
}

impl ConsentArgs {
    pub(super) fn consent(&self) -> Consent {
        Consent { is_older_accepted: self.accept_older_ledger, is_account_new: self.new_account, ..Consent::default() }
    }
}

/// The pace, and what is done when something goes wrong.
#[derive(Debug, Args)]
pub(super) struct PaceArgs {
    /// Maximum tasks in flight: a number, or `auto` to start low and learn the limit. NAME=N sets it for one provider
    #[arg(short = 'j', long, value_name = "N|auto", default_value = "auto", env = "PROMPTBATCH_CONCURRENCY")]
    pub concurrency: Vec<NamedValue<Concurrency>>,

    /// Maximum submission rate: 10/s, 30/m, 500/h, 125/d; NAME=RATE sets it for one provider [default: unlimited]
    #[arg(long, env = "PROMPTBATCH_RATE")]
    pub rate: Vec<NamedValue<Rate>>,

    /// Submissions that may be sent at once under --rate
    #[arg(long, value_name = "N", value_parser = at_least_one, env = "PROMPTBATCH_BURST")]
    pub burst: Option<NonZeroU32>,

    /// Maximum poll rate, for example 50/s [default: unlimited]
    #[arg(long, value_name = "RATE", env = "PROMPTBATCH_POLL_RATE")]
    pub poll_rate: Option<Rate>,

    /// Maximum downloads at once; on a slow connection there are fewer
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one, env = "PROMPTBATCH_DOWNLOADS")]
    pub downloads: NonZeroU32,

    /// Longest wait to accept from a provider's Retry-After or rate-limit header
    #[arg(long, value_name = "D", default_value = "15m", value_parser = duration, env = "PROMPTBATCH_MAX_WAIT")]
    pub max_wait: Duration,

    /// Consecutive errors before a job fails, while submitting or downloading
    #[arg(long, value_name = "N", default_value_t = 8, env = "PROMPTBATCH_RETRIES")]
    pub retries: u32,

    /// How often a job may be submitted again at the risk of paying twice: after a lost response, or a lost or failed task
    #[arg(long, value_name = "N", default_value_t = 2, env = "PROMPTBATCH_RESUBMITS")]
    pub resubmits: u32,

    /// Give a task up as lost after the API has reported it running for this long; time offline or in the provider's queue does not count
    #[arg(long, value_name = "D", default_value = "30m", value_parser = duration, env = "PROMPTBATCH_TASK_TIMEOUT")]
    pub task_timeout: Duration,

    /// What to do with a submission whose response was lost, and which may have been accepted
    #[arg(long, default_value = "auto", env = "PROMPTBATCH_IN_DOUBT")]
    pub in_doubt: InDoubtArg,

    /// What to do when the daily quota is used up
    #[arg(long, default_value = "stop", env = "PROMPTBATCH_ON_QUOTA")]
    pub on_quota: OnQuotaArg,

    /// How long the API may be unreachable before the run stops with exit code 75
    #[arg(long, value_name = "D", default_value = "1h", value_parser = duration, env = "PROMPTBATCH_MAX_OUTAGE")]
    pub max_outage: Duration,

    /// Price of an image, for example '2 magicube', to count the cost [default: the manifest's `price`, or else that of an
    /// earlier run, or else the prices of the provider's description]
    #[arg(long, env = "PROMPTBATCH_PRICE")]
    pub price: Option<Price>,

    /// Submit nothing more that could raise the cost of all runs in this folder, or of the whole shared run, above this amount, for example 20 or '20
    /// magicube'. Submissions in doubt count in full. The tasks in flight are completed, and the exit code is 75. Needs a price
    #[arg(long, value_name = "AMOUNT", env = "PROMPTBATCH_MAX_COST")]
    pub max_cost: Option<CostLimit>,

    /// Submit nothing more after this time, for example 90m or 8h. The tasks in flight are completed, and the exit code is 75 if
    /// jobs are left
    #[arg(long, value_name = "D", value_parser = duration, env = "PROMPTBATCH_MAX_DURATION")]
    pub max_duration: Option<Duration>,

    /// Work on at most this many unfinished jobs; those already under way come first. The exit code is 5 if others are
    /// outstanding, and the same command continues with them
    #[arg(long, value_name = "N", value_parser = some_jobs, env = "PROMPTBATCH_LIMIT")]
    pub limit: Option<NonZeroU64>,

    /// Stop when this many jobs have failed, or this percentage of the jobs that have ended, once 20 have ended: for example 20 or 5%
    #[arg(long, value_name = "N|P%", env = "PROMPTBATCH_MAX_FAILURES")]
    pub max_failures: Option<FailureLimit>,
}

impl PaceArgs {
    /// Returns the limits for the run's own provider, by its name, and those of the whole run.
    pub(super) fn limits(&self, own: &str) -> Limits {
        Limits {
            concurrency: for_own(&self.concurrency, own).unwrap_or(Concurrency::Auto),
            rate: for_own(&self.rate, own),
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
            // A random seed keeps two machines that start together from retrying in lockstep forever.
            seed: fastrand::u64(..),
            ..Limits::default()
        }
    }
}

/// The largest image that is taken.
#[derive(Debug, Args)]
pub(super) struct ImageArgs {
    /// Maximum image file size: 64MiB, 20MB, or bytes
    #[arg(long, value_name = "SIZE", default_value = BYTES_MAX, value_parser = bytes, env = "PROMPTBATCH_IMAGE_BYTES_MAX")]
    pub image_bytes_max: u64,

    /// Maximum pixels of an image, width times height: 100MP, or pixels
    #[arg(long, value_name = "N", default_value = PIXELS_MAX, value_parser = pixels, env = "PROMPTBATCH_IMAGE_PIXELS_MAX")]
    pub image_pixels_max: u64,
}

impl ImageArgs {
    pub(super) fn limits(&self) -> CheckLimits {
        CheckLimits { bytes_max: self.image_bytes_max, pixels_max: self.image_pixels_max }
    }
}

/// What becomes of texts that spreadsheets would compute.
#[derive(Debug, Args)]
pub(super) struct GuardArgs {
    /// Put ' before cells of results.csv that a spreadsheet would read as formulas; later runs in the folder do the same
    #[arg(
        long, value_name = "on|off", num_args = 0..=1, require_equals = true, default_missing_value = "on",
        env = "PROMPTBATCH_FORMULA_GUARD"
    )]
    formula_guard: Option<FormulaGuard>,
}

impl GuardArgs {
    /// Returns the user's choice. `None` means that the user did not choose.
    pub(super) fn is_wanted(&self) -> Option<bool> {
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
    /// Every text is written as it was given
    Off,
}

/// What is shown while it goes on.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    progress: ProgressArgs,

    /// Print errors only, and one line if the run stops early or images are missing
    #[arg(short, long, conflicts_with = "verbose", env = "PROMPTBATCH_QUIET")]
    pub quiet: bool,

    /// Also print every accepted job, with its task id, and every setback
    #[arg(short, long, env = "PROMPTBATCH_VERBOSE", action = ArgAction::SetTrue)]
    pub verbose: bool,
}

impl ShowArgs {
    /// Reports whether text other than errors and warnings is printed.
    pub(super) fn is_for_people(&self) -> bool {
        !self.quiet && self.display() != Display::Json
    }

    pub(super) fn display(&self) -> Display {
        if self.quiet { Display::Nothing } else { self.progress.display() }
    }
}

/// How long work is shown by those who say nothing else.
#[derive(Debug, Args)]
pub(super) struct ProgressArgs {
    /// How progress is shown
    #[arg(long, default_value = "auto", env = "PROMPTBATCH_PROGRESS")]
    progress: Progress,
}

impl ProgressArgs {
    pub(super) fn display(&self) -> Display {
        match self.progress {
            Progress::Auto | Progress::Bar if can_be_drawn() => Display::Bar,
            Progress::Auto | Progress::Bar | Progress::Plain => Display::Lines,
            Progress::Json => Display::Json,
            Progress::None => Display::Nothing,
        }
    }
}

/// Form of the progress output on the present standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Display {
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
    /// One line of JSON per event, and nothing else on stderr
    Json,
    /// Nothing
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum InDoubtArg {
    /// Ask the provider, if it can tell; otherwise submit it again once if that may be paid for twice, and then leave it for you to decide
    Auto,
    /// Submit it again, up to --resubmits times, and count it
    Resubmit,
    /// Leave it for you to decide
    Hold,
    /// Fail the job
    Fail,
}

impl From<InDoubtArg> for InDoubtPolicy {
    fn from(arg: InDoubtArg) -> Self {
        match arg {
            InDoubtArg::Auto => Self::Auto,
            InDoubtArg::Resubmit => Self::Resubmit,
            InDoubtArg::Hold => Self::Hold,
            InDoubtArg::Fail => Self::Fail,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnQuotaArg {
    /// Complete the tasks in flight, then stop with exit code 75
    Stop,
    /// Wait for the quota to reset, then try with one submission
    Wait,
}

impl From<OnQuotaArg> for QuotaPolicy {
    fn from(arg: OnQuotaArg) -> Self {
        match arg {
            OnQuotaArg::Stop => Self::Stop,
            OnQuotaArg::Wait => Self::Wait,
        }
    }
}

/// Parses a number of jobs, at least 1. Zero is refused as a mistake, because some programs use it for no limit.
pub(super) fn some_jobs(text: &str) -> Result<NonZeroU64, String> {
    text.trim().parse().map_err(|_| {
        "write a whole number of at least 1, or leave --limit out to work on all jobs (`plan` works on none)".to_owned()
    })
}

fn at_least_one(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "write a whole number of at least 1".to_owned())
}

/// Parses a duration as users write it, such as `500ms`, `30s` or `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "a duration is a number and a unit, for example 500ms, 30s, 10m or 2h".to_owned())
}
