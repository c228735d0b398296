//! Flags of the commands that read a manifest: where it is, and how to read it.

use std::env;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, ValueEnum};

use crate::cli::exit::Exit;
use crate::cli::output::print_message;
use crate::manifest::formats::format::Format;
use crate::manifest::formats::{self, FORMATS};
use crate::manifest::input::encoding::Encoding;
use crate::manifest::input::path::{is_nameless, stem};
use crate::manifest::listing::Listing;
use crate::manifest::source::Source;
use crate::manifest::syntax::Syntax;
use crate::model::choice::{Condition, JobChoice};
use crate::model::partition::{Partition, PartitionError};
use crate::model::request_limits::ProviderLookup;
use crate::provider::registry;
use crate::provider::spec::ProviderSpec;

#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    #[arg(help = manifest_help(), value_parser = manifest_file())]
    pub manifest: PathBuf,

    /// Format of the manifest, if the file's extension does not show it
    #[arg(long, value_parser = format(), env = "PROMPTBATCH_FORMAT")]
    pub format: Option<&'static dyn Format>,

    /// Sheet of a workbook to read [default: the first visible one]
    #[arg(long, value_name = "NAME", env = "PROMPTBATCH_SHEET")]
    pub sheet: Option<String>,

    /// Encoding of the file, such as gb18030, if it is not UTF-8 and cannot be detected
    #[arg(long, value_name = "NAME", env = "PROMPTBATCH_ENCODING")]
    pub encoding: Option<Encoding>,

    /// Override a default of the manifest; a prompt's own value stays. Several models, sizes, seeds, steps or guidances, separated by
    /// commas, make every prompt with each of them
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = pair, env = "PROMPTBATCH_SET", value_delimiter = None)]
    pub set: Vec<(String, String)>,

    /// The column (CSV, TSV) or key (JSONL) that holds the prompts
    #[arg(long, value_name = "NAME", env = "PROMPTBATCH_PROMPT_COL")]
    pub prompt_col: Option<String>,

    /// The column or key that holds your own id for each prompt
    #[arg(long, value_name = "NAME", env = "PROMPTBATCH_ID_COL")]
    pub id_col: Option<String>,

    /// Use a column or key as a field, such as `cfg_scale=guidance`; `width` and `height` together make the size; may be
    /// repeated, or separated by commas (`\,` is a comma in a name)
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = pairs_of_columns, env = "PROMPTBATCH_MAP")]
    pub map: Vec<MapArgs>,

    /// Pass a column or key through to the results and never send it, whatever its name means; may be repeated, or separated by
    /// commas (`\,` is a comma in a name)
    #[arg(long = "carry", value_name = "COLUMN", value_parser = columns, env = "PROMPTBATCH_CARRY")]
    pub carry: Vec<CarryArgs>,

    /// Work only on the jobs in which a column or field has this value, such as `category=birds`; several values are separated by
    /// commas, `!=` means any other value, and `row=1..100` a range. May be repeated: all conditions must be met. The other jobs
    /// stay outstanding (exit code 5), and the folder keeps the results of all
    #[arg(long = "where", value_name = "COLUMN=VALUE", env = "PROMPTBATCH_WHERE", value_delimiter = None)]
    pub conditions: Vec<Condition>,

    /// Work only on a random sample of this many jobs, of those that --where chooses: the same in every run. A larger sample has
    /// the jobs of a smaller one, and --shuffle draws another
    #[arg(long, value_name = "N", value_parser = sample_size, env = "PROMPTBATCH_SAMPLE")]
    pub sample: Option<NonZeroU64>,

    /// Work only on one part of the manifest, in a folder of its own below OUT: `hash:2/8` is the second of eight parts, by a hash of each
    /// prompt; `slice:2/8` takes every eighth job; `auto` asks the scheduler (Slurm, Kubernetes, CI),
    /// or reads `PROMPTBATCH_PART` and `PROMPTBATCH_PARTITIONS`. --rate, --poll-rate and -j are those
    /// of all parts together. `promptbatch merge OUT` makes one run of all parts
    #[arg(long, value_name = "PART", value_parser = partition, env = "PROMPTBATCH_PARTITION")]
    pub partition: Option<Partition>,

    /// Make one job of the prompts that are repeated with the same parameters: all but the first are skipped
    #[arg(long, env = "PROMPTBATCH_UNIQUE", action = ArgAction::SetTrue)]
    pub unique: bool,

    /// Send seeds above 2147483647, as other programs draw them, modulo 2147483648
    #[arg(long, env = "PROMPTBATCH_FOLD_SEEDS", action = ArgAction::SetTrue)]
    pub fold_seeds: bool,

    /// Read all texts exactly as they are, even if they look damaged, empty or made for another program
    #[arg(long, env = "PROMPTBATCH_VERBATIM", action = ArgAction::SetTrue)]
    pub verbatim: bool,

    /// What is a placeholder in texts; `columns` fills {name} in from the column or key of that name
    #[arg(long, value_parser = syntax(), env = "PROMPTBATCH_SYNTAX")]
    pub syntax: Option<Syntax>,

    /// Another folder that the manifest may read lists and pictures from; may be repeated, or separated by : in the variable
    #[arg(long = "allow-files", value_name = "DIR", value_parser = folders, env = "PROMPTBATCH_ALLOW_FILES")]
    pub allow_files: Vec<FolderArgs>,

    /// Maximum number of jobs that lists, ranges, vars and `n` may expand to; prompts that are one job each are not limited
    /// [default: 10000]
    #[arg(long, value_name = "N", env = "PROMPTBATCH_MAX_JOBS")]
    pub max_jobs: Option<u64>,

    /// Process the jobs in a random order given by this seed, so that a run stopped early is a fair sample; names and results stay in
    /// manifest order
    #[arg(long, value_name = "SEED", env = "PROMPTBATCH_SHUFFLE")]
    pub shuffle: Option<u64>,
}

/// Parses a partition; `auto` looks it up in the environment.
fn partition(text: &str) -> Result<Partition, PartitionError> {
    Partition::read(text, |name| env::var(name).ok())
}

/// Parses the name of a format. The names and their help come from the table of formats.
fn format() -> impl TypedValueParser<Value = &'static dyn Format> {
    let values = FORMATS.map(|format| PossibleValue::new(format.name()).help(format.help()));
    PossibleValuesParser::new(values).map(|name| formats::named(&name).expect("only names of formats are possible"))
}

/// Parses the name of a syntax.
fn syntax() -> impl TypedValueParser<Value = Syntax> {
    let values = Syntax::ALL.map(|syntax| PossibleValue::new(syntax.name()).help(syntax.help()));
    PossibleValuesParser::new(values).map(|name| Syntax::named(&name).expect("only names of syntaxes are possible"))
}

/// Describes the manifest argument, with the names of all formats.
fn manifest_help() -> String {
    // A format without an extension is named by an option only.
    let by_ending = FORMATS.iter().filter(|format| !format.endings().is_empty());
    let names: Vec<_> = by_ending.map(|format| format.name().to_uppercase()).collect();
    let (last, others) = names.split_last().expect("there are formats");
    format!(
        "The prompts: a {} or {last} file (which may be gzipped), a folder of .txt files, or - for standard input",
        others.join(", ")
    )
}

/// Format of a list of all jobs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ListFormat {
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

/// Builds the source of the manifest: its path, and how to read it for this provider.
pub(crate) fn source(args: &ManifestArgs, provider: &'static ProviderSpec) -> Source {
    Source {
        path: args.manifest.clone(),
        format: args.format,
        encoding: args.encoding,
        sheet: args.sheet.clone(),
        prompt_column: args.prompt_col.clone(),
        id_column: args.id_col.clone(),
        mapped_columns: mapped(args).collect(),
        carried_columns: args.carry.iter().flat_map(|columns| &columns.0).cloned().collect(),
        choosing_columns: args.conditions.iter().map(|condition| condition.column.clone()).collect(),
        is_verbatim: args.verbatim,
        is_unique: args.unique,
        is_folding_seeds: args.fold_seeds,
        partition: args.partition,
        syntax: args.syntax,
        overrides: args.set.clone(),
        default_model: Some(provider.default_model.to_owned()).filter(|model| !model.is_empty()),
        limits: Some(&provider.limits),
        providers: Some(ProviderLookup(registry::facts_of_row)),
        jobs_max: args.max_jobs,
        shuffle: args.shuffle,
        allowed_folders: args.allow_files.iter().flat_map(|folders| &folders.0).cloned().collect(),
    }
}

/// Builds the choice of the jobs to work on.
pub(crate) fn choice(args: &ManifestArgs) -> JobChoice {
    let named = [(&args.prompt_col, "prompt"), (&args.id_col, "id")];
    let named = named.into_iter().filter_map(|(title, field)| Some((title.clone()?, field.to_owned())));
    JobChoice {
        conditions: args.conditions.clone(),
        sample: args.sample.map(NonZeroU64::get),
        seed: args.shuffle.unwrap_or_default(),
        titles: mapped(args).chain(named).collect(),
    }
}

/// Returns the output folder: the given one, or one named after the manifest; and below it, the folder of a part.
pub(crate) fn out_dir(named: Option<&Path>, args: &ManifestArgs) -> Result<PathBuf, Exit> {
    let whole = whole_out_dir(named, args)?;
    Ok(args.partition.map_or(whole.clone(), |partition| whole.join(partition.folder())))
}

/// Returns the output folder of the whole manifest. A pipe has another name each time, so its folder must be given.
fn whole_out_dir(named: Option<&Path>, args: &ManifestArgs) -> Result<PathBuf, Exit> {
    let path = &args.manifest;
    match named {
        Some(named) if path.is_dir() && named.canonicalize().ok() == path.canonicalize().ok() => {
            print_message(
                "error: could not write into the folder of the prompts: choose another output folder with -o",
            );
            Err(Exit::Usage)
        }
        Some(named) => Ok(named.to_owned()),
        None if is_nameless(path) && path != Path::new("-") => {
            let path = path.display();
            print_message(&format!(
                "error: could not choose an output folder: {path} has no name of its own; add -o OUT"
            ));
            Err(Exit::Usage)
        }
        None => Ok(Path::new("out").join(stem(path).unwrap_or("run".into()))),
    }
}

/// One or several folders.
#[derive(Clone, Debug)]
pub(crate) struct FolderArgs(pub Vec<PathBuf>);

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

/// Parses the path of a manifest. The output folder of a run is refused, and so is a name without an extension that no file has.
fn manifest_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.join("run.db").exists() {
            Err("it is the output folder of a run; name the manifest, or use `status` or `retry` with this folder")
        } else if path.as_os_str() != "-" && path.extension().is_none() && !path.exists() {
            Err("there is no such file; check the path, or create a manifest with `promptbatch init`")
        } else {
            Ok(path)
        }
    })
}

fn sample_size(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| "write a whole number of at least 1, or leave --sample out for all jobs".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("write it as FIELD=VALUE, for example size=1024x1024")?;
    Ok((field.trim().to_owned(), value.to_owned()))
}

/// One or several columns with their fields.
#[derive(Clone, Debug)]
pub(crate) struct MapArgs(pub Vec<(String, String)>);

/// One or several columns.
#[derive(Clone, Debug)]
pub(crate) struct CarryArgs(pub Vec<String>);

fn pairs_of_columns(text: &str) -> Result<MapArgs, String> {
    parts(text).iter().map(|part| pair_of_column(part)).collect::<Result<_, _>>().map(MapArgs)
}

fn columns(text: &str) -> Result<CarryArgs, String> {
    let names = parts(text);
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err("write the name of a column".to_owned());
    }
    Ok(CarryArgs(names))
}

/// Splits a text at its commas. `\,` is a comma inside a part.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut is_open = false;
    for piece in text.split(',') {
        let (piece, goes_on) = piece.strip_suffix('\\').map_or((piece, false), |piece| (piece, true));
        match parts.last_mut().filter(|_| is_open) {
            Some(part) => part.push_str(piece),
            None => parts.push(piece.to_owned()),
        }
        if goes_on {
            parts.last_mut().expect("one was added").push(',');
        }
        is_open = goes_on;
    }
    parts
}

/// Returns the columns of `--map` with their fields.
fn mapped(args: &ManifestArgs) -> impl Iterator<Item = (String, String)> {
    args.map.iter().flat_map(|columns| &columns.0).cloned()
}

fn pair_of_column(text: &str) -> Result<(String, String), String> {
    let (column, field) = text.rsplit_once('=').ok_or("write it as COLUMN=FIELD, for example cfg_scale=guidance")?;
    Ok((column.trim().to_owned(), field.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_separate_columns_and_belong_to_names_with_a_backslash() {
        for (text, expected) in [
            ("a", &["a"][..]),
            ("a,b", &["a", "b"]),
            (r"Seed (0\, or random),b", &["Seed (0, or random)", "b"]),
            (r"a\,b\,c", &["a,b,c"]),
            (r"C:\a", &[r"C:\a"]),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
        let MapArgs(pairs) = pairs_of_columns(r"Seed (0\, or random)=seed,cfg=guidance").expect("they are pairs");
        assert_eq!(pairs[0], ("Seed (0, or random)".to_owned(), "seed".to_owned()));
        assert!(pairs_of_columns("a,b=c").is_err() && columns("a,,b").is_err());
    }
}
