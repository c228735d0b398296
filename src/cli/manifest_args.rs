//! Flags of the commands that read a manifest: how to read the manifest, and what to print.

use std::env;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use promptbatch::manifest::{Encoding, Format, Listing};
use promptbatch::model::cost::CostLimit;
use promptbatch::model::limits::Rate;
use promptbatch::model::price::Price;

use crate::cli::flags::{ProgressArgs, some_jobs};

#[derive(Debug, Args)]
pub struct ManifestArgs {
    /// The prompts: a YAML, CSV, TSV, JSONL or TXT file, or - for standard input; any of them may be gzipped
    pub manifest: PathBuf,

    /// Format of the manifest, if the file's extension does not show it
    #[arg(long, value_enum, env = "PROMPTBATCH_FORMAT")]
    pub format: Option<FormatArg>,

    /// Encoding of the file, such as gb18030, if it is not UTF-8 and cannot be detected
    #[arg(long, value_name = "NAME", env = "PROMPTBATCH_ENCODING")]
    pub encoding: Option<Encoding>,

    /// Override a default of the manifest; a prompt's own value stays
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = pair, env = "PROMPTBATCH_SET", value_delimiter = None)]
    pub set: Vec<(String, String)>,

    /// The column (CSV, TSV) or key (JSONL) that holds the prompts
    #[arg(long, value_name = "NAME", env = "PROMPTBATCH_PROMPT_COL")]
    pub prompt_col: Option<String>,

    /// The column or key that holds your own id for each prompt
    #[arg(long, value_name = "NAME", env = "PROMPTBATCH_ID_COL")]
    pub id_col: Option<String>,

    /// Another folder that the manifest may read lists from; may be repeated, or separated by : in the variable
    #[arg(long = "allow-files", value_name = "DIR", value_parser = folders, env = "PROMPTBATCH_ALLOW_FILES")]
    pub allow_files: Vec<FolderArgs>,

    /// Maximum number of jobs that lists, ranges, vars and `n` may expand to; prompts that are one job each are not limited
    /// [default: 10000]
    #[arg(long, value_name = "N", env = "PROMPTBATCH_MAX_JOBS")]
    pub max_jobs: Option<u64>,

    /// Do the work in a random order given by this seed, so that a run stopped early is a fair sample; names and results stay in
    /// manifest order
    #[arg(long, value_name = "SEED", env = "PROMPTBATCH_SHUFFLE")]
    pub shuffle: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FormatArg {
    /// A list of prompts, or documents separated by ---
    Yaml,
    /// A table with a header
    Csv,
    /// A table with tabs, where most quotes are just part of the text
    Tsv,
    /// One JSON object per line
    Jsonl,
    /// One prompt per line
    Txt,
}

impl From<FormatArg> for Format {
    fn from(arg: FormatArg) -> Self {
        match arg {
            FormatArg::Yaml => Self::Yaml,
            FormatArg::Csv => Self::Csv,
            FormatArg::Tsv => Self::Tsv,
            FormatArg::Jsonl => Self::Jsonl,
            FormatArg::Txt => Self::Txt,
        }
    }
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// File to write, with a name that ends in .yaml or .yml; - for stdout
    #[arg(default_value = "prompts.yaml")]
    pub manifest: PathBuf,

    /// Do not write prompts.schema.json beside it, nor refer to it
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

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,

    /// Write out every job instead, as a manifest of its own: one row or line per job, with nothing left to combine
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "csv", require_equals = true, conflicts_with = "json")]
    pub list: Option<ListFormat>,

    /// Estimate the time for submissions at this rate, for example 30/m
    #[arg(long, env = "PROMPTBATCH_RATE")]
    pub rate: Option<Rate>,

    /// Estimate the time for this many tasks in flight
    #[arg(short = 'j', long, value_name = "N", env = "PROMPTBATCH_CONCURRENCY", value_parser = in_flight)]
    pub concurrency: Option<InFlight>,

    /// Price of an image, for example '2 magicube' [default: the manifest's `price`]
    #[arg(long, env = "PROMPTBATCH_PRICE")]
    pub price: Option<Price>,

    /// Show how much is left of this limit on the cost of all runs in the folder, for example 20 or '20 magicube'
    #[arg(long, value_name = "AMOUNT", env = "PROMPTBATCH_MAX_COST")]
    pub max_cost: Option<CostLimit>,

    /// Plan for at most this many unfinished jobs; those already under way come first
    #[arg(long, value_name = "N", value_parser = some_jobs, env = "PROMPTBATCH_LIMIT")]
    pub limit: Option<NonZeroU64>,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ListFormat {
    /// A table
    Csv,
    /// One JSON object per line
    Jsonl,
}

impl From<ListFormat> for Listing {
    fn from(format: ListFormat) -> Self {
        match format {
            ListFormat::Csv => Self::Csv,
            ListFormat::Jsonl => Self::Jsonl,
        }
    }
}

/// Number of tasks in flight. `None` means `auto`.
#[derive(Clone, Copy, Debug)]
pub struct InFlight(pub Option<u32>);

fn in_flight(text: &str) -> Result<InFlight, String> {
    match text.trim() {
        "auto" => Ok(InFlight(None)),
        number => match number.parse() {
            Ok(n @ 1..) => Ok(InFlight(Some(n))),
            _ => Err("write a whole number of at least 1, or auto".to_owned()),
        },
    }
}

/// One or several folders.
#[derive(Clone, Debug)]
pub struct FolderArgs(pub Vec<PathBuf>);

/// Parses one folder, or several with the separator of `PATH` between them. A text that names an existing folder is not
/// split.
fn folders(text: &str) -> Result<FolderArgs, String> {
    let whole = PathBuf::from(text);
    let all: Vec<_> = if whole.is_dir() { vec![whole] } else { env::split_paths(text).collect() };
    match all.iter().find(|folder| !folder.is_dir()) {
        Some(folder) => Err(format!("there is no folder {}", folder.display())),
        None => Ok(FolderArgs(all)),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("write it as FIELD=VALUE, for example size=1024x1024")?;
    Ok((field.trim().to_owned(), value.to_owned()))
}
