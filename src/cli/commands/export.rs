//! Command `export`: writes the images of a run as a dataset.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::exit::Exit;
use crate::cli::flags::ProgressArgs;
use crate::cli::flags::folders::run_folder;
use crate::cli::flags::units::bytes;
use crate::cli::messages::progress::operation_progress;
use crate::cli::output::{fail, print, print_message};
use crate::model::escape::{escape, grouped};
use crate::model::storage_url::StorageUrl;
use crate::report::dataset::DatasetFormat;
use crate::report::dataset::metadata::TableFormat;
use crate::report::dataset::split::Splits;
use crate::report::tty_reporter::PrintAbove;
use crate::run::export::{
    ExportError, ExportOptions, Exported, LeftOut, ShardLimits, export as run_export, folder_of_place,
};

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch export out/cats --to imagefolder
      from datasets import load_dataset
      load_dataset(\"imagefolder\", data_dir=\"out/cats/export/imagefolder\")
  promptbatch export out/cats --to webdataset -o cats --split train=0.95,test=0.05
      webdataset.WebDataset(\"cats/train-{000000..000012}.tar\")
  promptbatch export out/cats --to captions --caption 'ohwx cat, {tags}' -o train_data/10_cats
  promptbatch export out/cats --to parquet --shard-bytes 1GiB
      load_dataset(\"parquet\", data_dir=\"out/cats/export/parquet\")
  promptbatch export out/cats --to imagefolder -o s3://bucket/cats

Every image is checked against its recorded size and sha256 as it is exported. An image that is
missing or damaged is left out and named, and the exit code is 100. Jobs without an image are left
out too, which is not an error.

After an interruption the same command resumes, and later it adds what is new: existing files stay
as they are, byte for byte, and new images go into new shards. An imagefolder and captions follow
the run: an image that was made again replaces the earlier one, and an image that is no longer in
the manifest is removed. Shards keep both; a message says so, and --fresh rebuilds all shards.
Another format, split or caption, or another run, needs another folder, or --fresh.

imagefolder  train/*.png, a folder for every 9,000, and train/metadata.jsonl: file_name, text
             (the caption), the columns of results.csv that are about the image, and the
             manifest's own (prefixed with input_ if a name is already used, and with filename
             in place of file_name). Empty columns are left out. A column that only some splits
             have values in is text in all of them
webdataset   train-000000.tar and so on: ID.png (.jpg, .webp), ID.json with all columns, and
             ID.txt with the caption. ID is the job's own id of 20 digits; -2 is appended for its
             second image. The same run gives the same bytes. Missing text is empty, and a number
             is text if an image of the first export lacks it
captions     000001-a-golden-cat.png, 000001-a-golden-cat.txt and so on, all in one folder.
             A caption is on one line
parquet      train-00000.parquet and so on: image (bytes and path) and all columns with their
             types, 100 images per row group

With -o s3://bucket/prefix (gs://, az://, file://), the dataset is written there. Each shard,
image and caption is created whole or not at all, and only if there is no object of its name.
Images that are in the same bucket are read, to verify them, and copied inside the storage. Only
metadata and the card of this export are ever written over. The record of the export stays in
OUT/export.

What is exported is recorded beside the folder, in .NAME.promptbatch-export.db: move both together.
README.md in the folder is a dataset card, with which load_dataset(\"FOLDER\") works too. Once
you edit it, it stays as it is.

Images in folders are hard links if the disk supports them: the same file under a second name,
which takes no extra space and must not be changed in place. --copy makes copies. Splits keep the
images of one job together, not the jobs of one prompt.";

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The output folder of a run
    #[arg(value_parser = run_folder())]
    pub out: PathBuf,

    /// Format of the dataset
    #[arg(long, value_name = "FORMAT")]
    pub to: ExportFormat,

    /// The dataset's folder, or a place in object storage, such as `s3://bucket/prefix`
    /// [default: OUT/export/FORMAT]
    #[arg(short = 'o', long = "dir", value_name = "DIR|URL")]
    pub dir: Option<PathBuf>,

    /// One split name, or several with shares: train=0.9,test=0.1. The id of an image decides its split, so it stays there when
    /// others are added [default: train; none for captions]
    #[arg(long, value_name = "NAME|SHARES")]
    pub split: Option<Splits>,

    /// The column to use for captions, or a template with columns in braces: 'ohwx cat, {tags}' ({{ and }} are braces)
    #[arg(long, value_name = "COLUMN|TEMPLATE", default_value = "prompt")]
    pub caption: String,

    /// Format of the metadata table of an imagefolder [default: jsonl]
    #[arg(long)]
    pub metadata: Option<MetadataFormat>,

    /// Maximum images per shard, for webdataset and parquet [default: 10000]
    #[arg(long, value_name = "N")]
    pub shard_images: Option<NonZeroU64>,

    /// Maximum size of a shard, for webdataset and parquet [default: 512MiB]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub shard_bytes: Option<u64>,

    /// Copy images even where hard links are possible, so that files can be changed in place
    #[arg(long)]
    pub copy: bool,

    /// Replace the earlier export in the folder
    #[arg(long)]
    pub fresh: bool,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Image files and a metadata table, for Hugging Face's `datasets`
    Imagefolder,
    /// Tar shards, for `webdataset`
    Webdataset,
    /// Every image with its caption in a text file beside it, for kohya and other trainers
    Captions,
    /// Parquet shards with the images in them, for `datasets`, the Hub, pandas and others
    Parquet,
}

impl From<ExportFormat> for DatasetFormat {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Imagefolder => Self::ImageFolder,
            ExportFormat::Webdataset => Self::WebDataset,
            ExportFormat::Captions => Self::Captions,
            ExportFormat::Parquet => Self::Parquet,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MetadataFormat {
    /// metadata.jsonl, which keeps numbers apart from text
    Jsonl,
    /// metadata.csv, where loaders read texts such as null and NA as missing
    Csv,
}

impl From<MetadataFormat> for TableFormat {
    fn from(format: MetadataFormat) -> Self {
        match format {
            MetadataFormat::Jsonl => Self::Jsonl,
            MetadataFormat::Csv => Self::Csv,
        }
    }
}

/// Exports the images of a run, and prints the result.
pub(crate) fn export(args: &ExportArgs) -> Exit {
    let options = match options(args) {
        Ok(options) => options,
        Err(words) => {
            print_message(&format!("error: {words}"));
            return Exit::Usage;
        }
    };
    let mut progress = operation_progress(args.progress.display(), &PrintAbove::default());
    let exported = match run_export(&options, &mut *progress) {
        Ok(exported) => exported,
        Err(error) => return fail(exit_of_export(&error), &error),
    };
    let place = options.place.as_ref().map_or_else(|| options.dir.display().to_string(), ToString::to_string);
    let printed = print(&format!("{}\n", escape(&place)));
    for line in words(args, &exported) {
        print_message(&line);
    }
    match printed {
        Exit::Done if exported.n_left_out > 0 => Exit::Failures,
        printed => printed,
    }
}

/// Converts the arguments to options. Returns an error text for flags that do not work together.
fn options(args: &ExportArgs) -> Result<ExportOptions, String> {
    let format = DatasetFormat::from(args.to);
    let word = format.as_str();
    if args.metadata.is_some() && format != DatasetFormat::ImageFolder {
        return Err(format!("could not use --metadata with {word}: only imagefolder has a metadata table"));
    }
    if !format.is_sharded() && (args.shard_images.is_some() || args.shard_bytes.is_some()) {
        return Err(format!("could not use --shard-images or --shard-bytes with {word}: it has no shards"));
    }
    if format.is_sharded() && args.copy {
        return Err(format!("could not use --copy with {word}: its shards hold copies anyway"));
    }
    let default = ShardLimits::default();
    let place = args.dir.as_deref().and_then(|dir| dir.to_str()).filter(|text| text.contains("://"));
    // The text is not repeated, because it may contain a key.
    let place = place.map(str::parse::<StorageUrl>).transpose();
    let place = place.map_err(|error| format!("could not use the address of -o: {error}"))?;
    if place.is_some() && args.copy {
        return Err("could not use --copy with an address: object storage has no links".to_owned());
    }
    let dir = match (&place, &args.dir) {
        (Some(place), _) => folder_of_place(&args.out, format, place),
        (None, Some(dir)) => dir.clone(),
        (None, None) => args.out.join("export").join(word),
    };
    Ok(ExportOptions {
        out: args.out.clone(),
        dir,
        place,
        format,
        splits: args.split.clone(),
        caption: args.caption.clone(),
        metadata: args.metadata.map_or(TableFormat::Jsonl, TableFormat::from),
        shard: ShardLimits {
            images_max: args.shard_images.map_or(default.images_max, NonZeroU64::get),
            bytes_max: args.shard_bytes.unwrap_or(default.bytes_max),
        },
        is_copied: args.copy,
        is_fresh: args.fresh,
    })
}

fn exit_of_export(error: &ExportError) -> Exit {
    match error {
        ExportError::Ledger(error) => Exit::of_ledger(error),
        ExportError::Column(_)
        | ExportError::Foreign { .. }
        | ExportError::AmongImages { .. }
        | ExportError::Other { .. }
        | ExportError::OtherRun { .. }
        | ExportError::Taken { .. }
        | ExportError::ForeignObject { .. }
        | ExportError::NoParquet => Exit::Usage,
        ExportError::Store(_)
        | ExportError::Held { .. }
        | ExportError::Shard { .. }
        | ExportError::StoredShard { .. }
        | ExportError::Changed { .. }
        | ExportError::State { .. }
        | ExportError::Io { .. } => Exit::Error,
    }
}

/// Formats the result, line by line: images in the dataset, new images, and unexpected findings.
fn words(args: &ExportArgs, exported: &Exported) -> Vec<String> {
    let images = |n: u64| if n == 1 { "1 image".to_owned() } else { format!("{} images", grouped(n)) };
    let mut parts = vec![images(exported.n_images)];
    let counts = [
        (exported.n_new, "new"),
        (exported.n_renewed, "written again"),
        (exported.n_removed, "removed (no longer in the run)"),
    ];
    parts.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", grouped(*n))));
    let files = [
        (exported.n_linked, "hard link"),
        (exported.n_copied, "copy"),
        (exported.n_copied_there, "copy inside the storage"),
        (exported.n_shards, "shard"),
    ];
    let plural = |n: u64, what: &str| match (n, what) {
        (1, what) => format!("1 {what}"),
        (n, "copy") => format!("{} copies", grouped(n)),
        (n, "copy inside the storage") => format!("{} copies inside the storage", grouped(n)),
        (n, what) => format!("{} {what}s", grouped(n)),
    };
    let files: Vec<String> = files.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| plural(n, what)).collect();
    let files = if files.is_empty() { String::new() } else { format!(" ({})", files.join(", ")) };
    let mut lines = vec![format!("{}{files}", parts.join(", "))];
    if exported.n_new + exported.n_renewed + exported.n_removed == 0 {
        lines[0] += ", nothing new";
    }
    match exported.n_captions_kept {
        0 => (),
        1 => lines.push("1 caption was edited by hand and is kept; --fresh overwrites it".to_owned()),
        n => lines.push(format!("{} captions were edited by hand and are kept; --fresh overwrites them", grouped(n))),
    }
    if exported.n_tables_kept > 0 {
        lines.push(
            "a metadata table was edited by hand and is kept, without what is new since; --fresh writes it again"
                .to_owned(),
        );
    }
    if exported.has_other_card {
        lines.push("README.md was not written by this export, or was edited since, and stays as it is".to_owned());
    }
    lines.extend(empty_captions(&args.caption, exported.n_empty_captions));
    if exported.n_without > 0 {
        let have = if exported.n_without == 1 { "has no image yet and was" } else { "have no image yet and were" };
        lines.push(format!("{} {have} skipped", plural(exported.n_without, "job")));
    }
    if exported.n_changed > 0 {
        let n = images(exported.n_changed);
        lines.push(format!(
            "warning: {n} changed since the last export, and the shards keep the old versions: --fresh rebuilds all shards"
        ));
    }
    if exported.n_gone > 0 {
        let n = images(exported.n_gone);
        lines.push(format!("warning: {n} in shards but no longer in the run: --fresh rebuilds all shards"));
    }
    if exported.n_left_out > 0 {
        lines.push(format!("{} missing or damaged, and left out:", images(exported.n_left_out)));
        let named = exported.left_out.iter();
        lines.extend(named.map(|LeftOut { index, file_name, damage }| format!("  {index:06} {file_name}: {damage}")));
        let n_more = exported.n_left_out - exported.left_out.len() as u64;
        lines.extend((n_more > 0).then(|| format!("  and {n_more} more")));
        let out = args.out.display();
        lines.push(format!("fetch them again with `promptbatch verify {out} --repair`, then export again"));
    }
    lines
}

/// Formats the number of images without a caption, and where the captions come from. `None` if all have one.
fn empty_captions(caption: &str, n: u64) -> Option<String> {
    let kind = if caption.contains('{') { "template" } else { "column" };
    let count = match n {
        0 => return None,
        1 => "1 image has".to_owned(),
        n => format!("{} images have", grouped(n)),
    };
    Some(format!("{count} an empty caption: the {kind} `{}` is empty there", escape(caption)))
}
