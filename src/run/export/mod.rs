//! Export of a run's images as a dataset: takes verified images, keeps existing ones, and resumes after an interruption.
//!
//! A folder of files (`folder`) follows the run: an image that was made again replaces the earlier one. An image that is no
//! longer in the manifest is removed. Shards (`shards`) are written once and stay; new images go into new shards. Both record
//! the location of each image (`state`). A kill at any moment therefore costs one batch or one shard of work. Another export
//! reads only what is new.

mod error;
mod folder;
mod record;
mod shards;
mod temp_file;

use std::fs;
use std::path::{Path, PathBuf, absolute};

pub use crate::run::export::error::ExportError;

use crate::images::verify::Damage;
use crate::model::outcome::{Artifact, Outcome};
use crate::model::phase::{JobRecord, Phase};
use crate::model::progress::{Meter, Operation, Progress};
use crate::report::dataset::DatasetFormat;
use crate::report::dataset::metadata::TableFormat;
use crate::report::dataset::record::Columns;
use crate::report::dataset::split::Splits;
use crate::run::export::error::at;
use crate::run::export::folder::FolderWriter;
use crate::run::export::record::ExportRecord;
use crate::run::export::shards::ShardWriter;
use crate::store::sqlite::SqliteStore;

/// Left-out images that are named, at most.
const LEFT_OUT_MAX: usize = 50;

/// Options of an export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Output folder of the run.
    pub out: PathBuf,
    /// Folder of the dataset.
    pub dir: PathBuf,
    /// Format of the dataset.
    pub format: DatasetFormat,
    /// Splits of the dataset. `None` puts all images into `train`, except captions, which then have no folder of a split.
    pub splits: Option<Splits>,
    /// Column that provides the captions.
    pub caption: String,
    /// Format of the table of an image folder.
    pub metadata: TableFormat,
    /// Size limits of a shard.
    pub shard: ShardLimits,
    /// Forces copies of images that could be hard links.
    pub is_copied: bool,
    /// Replaces the earlier content of the dataset.
    pub is_fresh: bool,
}

/// Size limits of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardLimits {
    /// Images per shard, at most.
    pub images_max: u64,
    /// Bytes per shard, at most, unless one image has more.
    pub bytes_max: u64,
}

impl Default for ShardLimits {
    fn default() -> Self {
        Self { images_max: 10_000, bytes_max: 512 << 20 }
    }
}

/// Result of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Images of the run that are in the dataset.
    pub n_images: u64,
    /// Images of the dataset that were not there before.
    pub n_new: u64,
    /// Images of the dataset whose file replaced an earlier one.
    pub n_renewed: u64,
    /// Files that are hard links to the run's own.
    pub n_linked: u64,
    /// Files that were copied.
    pub n_copied: u64,
    /// Shards that were written.
    pub n_shards: u64,
    /// Images whose file was removed, because the run no longer has them.
    pub n_removed: u64,
    /// Images in shards that have changed since, or whose metadata has.
    pub n_changed: u64,
    /// Images in shards that the run no longer has.
    pub n_gone: u64,
    /// Jobs of the manifest without an image.
    pub n_without: u64,
    /// Images that are missing or damaged.
    pub n_left_out: u64,
    /// First images that are missing or damaged.
    pub left_out: Vec<LeftOut>,
}

/// Image that is not what was recorded, and is therefore not in the dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Index of its job in the manifest.
    pub index: u64,
    /// File name of the image, relative to OUT.
    pub file_name: String,
    /// Damage of the image.
    pub damage: Damage,
}

/// Writer of a dataset in one format.
trait DatasetWriter {
    /// Adds an image, if it is not there: the `nth` (from 1) of its job.
    fn take(
        &mut self,
        work: &mut ExportContext<'_>,
        known: &JobRecord,
        nth: usize,
        artifact: &Artifact,
    ) -> Result<(), ExportError>;

    /// Completes everything that is under way.
    fn finish(&mut self, work: &mut ExportContext<'_>) -> Result<(), ExportError>;
}

/// Data that every dataset writer needs.
struct ExportContext<'a> {
    options: &'a ExportOptions,
    columns: &'a Columns,
    splits: Option<Splits>,
    state: ExportRecord,
    seen: SeenRows,
    told: Exported,
}

/// Exports the verified images of a run, resumes that, or adds new images. Works during a live run, and changes nothing of it.
pub fn export(options: &ExportOptions, progress: &mut dyn Progress) -> Result<Exported, ExportError> {
    if options.format == DatasetFormat::Parquet && !cfg!(feature = "parquet") {
        return Err(ExportError::NoParquet);
    }
    let file = SqliteStore::open_for_reading(&options.out)?;
    file.at_once(|| {
        let provider = file.provider()?;
        let name = provider.split(' ').next().unwrap_or_default();
        let columns = Columns::new(name, &file.columns()?, &options.caption)?;
        let state = open(options, &columns, &file.origin()?)?;
        let splits = match (options.format, &options.splits) {
            (DatasetFormat::Captions, None) => None,
            (_, Some(splits)) => Some(splits.clone()),
            (_, None) => Some("train".parse().expect("one word is a split")),
        };
        let (seen, told) = (SeenRows::default(), Exported::default());
        let mut work = ExportContext { options, columns: &columns, splits, state, seen, told };
        let mut keep: Box<dyn DatasetWriter> = match options.format {
            DatasetFormat::ImageFolder | DatasetFormat::Captions => Box::new(FolderWriter::new(&work)?),
            DatasetFormat::WebDataset | DatasetFormat::Parquet => Box::new(ShardWriter::new(&work)?),
        };
        let counts = file.counts()?;
        work.told.n_without = counts.n_jobs() - counts.n_succeeded;
        let mut meter = Meter::begin(progress, Operation::Export, Some(counts.n_succeeded));
        file.each_known(|known| {
            for (nth, artifact) in (1..).zip(known.state.artifacts()) {
                keep.take(&mut work, &known, nth, artifact)?;
            }
            if let Phase::Finished(Outcome::Succeeded(_)) = &known.state.phase {
                meter.step();
            }
            Ok::<_, ExportError>(())
        })?;
        keep.finish(&mut work)?;
        temp_file::clear(&options.dir)?;
        Ok(work.told)
    })
}

/// Prepares the dataset's folder and its export record. Refuses a folder that holds anything but an export like this one.
fn open(options: &ExportOptions, columns: &Columns, origin: &str) -> Result<ExportRecord, ExportError> {
    let dir = &options.dir;
    let places = absolute(&options.out).and_then(|out| Ok((out, absolute(dir)?)));
    let (out, place) = places.map_err(at(dir))?;
    if place.starts_with(out.join("images")) {
        return Err(ExportError::AmongImages { dir: dir.clone() });
    }
    make(&place)?;
    let is_own = |name: &str| ExportRecord::is_own_name(name) || name == temp_file::FOLDER;
    if !dir.join(record::NAME).exists() {
        for entry in fs::read_dir(dir).map_err(at(dir))? {
            if !is_own(&entry.map_err(at(dir))?.file_name().to_string_lossy()) {
                return Err(ExportError::Foreign { dir: dir.clone() });
            }
        }
    }
    let state = ExportRecord::open(dir)?;
    let (was, wanted) = (state.setting("flags")?, options.flags());
    if options.is_fresh {
        folder::remove_all(dir, &state)?;
    } else if let Some(was) = was {
        if was != wanted {
            return Err(ExportError::Other {
                dir: dir.clone(),
                was: format!("`{was}`"),
                wanted: format!("`{wanted}`"),
            });
        }
        if state.setting("origin")?.as_deref() != Some(origin) {
            return Err(ExportError::OtherRun { dir: dir.clone() });
        }
    }
    temp_file::make_ready(dir)?;
    let names = columns.names().join(", ");
    match state.setting("columns")? {
        // Shards of a Parquet dataset have the same columns.
        Some(was) if options.format == DatasetFormat::Parquet && was != names => {
            let [was, wanted] = [was, names].map(|names| format!("the columns {names}"));
            return Err(ExportError::Other { dir: dir.clone(), was, wanted });
        }
        _ => (),
    }
    state.at_once(|| {
        state.set("flags", &wanted)?;
        state.set("origin", origin)?;
        state.set("columns", &names)
    })?;
    Ok(state)
}

/// Creates a folder and its missing parents, durably.
fn make(dir: &Path) -> Result<(), ExportError> {
    let missing = dir.ancestors().take_while(|folder| !folder.exists()).count();
    fs::create_dir_all(dir).map_err(at(dir))?;
    dir.ancestors().skip(1).take(missing).try_for_each(temp_file::sync_names)
}

impl ExportOptions {
    /// Returns the options that distinguish one dataset from another, as flags.
    fn flags(&self) -> String {
        let splits = self.splits.as_ref().map(|splits| format!(" --split {splits}")).unwrap_or_default();
        let is_csv = self.format == DatasetFormat::ImageFolder && self.metadata == TableFormat::Csv;
        let metadata = if is_csv { " --metadata csv" } else { "" };
        format!("--to {} --caption {}{splits}{metadata}", self.format.word(), self.caption)
    }
}

impl ExportContext<'_> {
    /// Returns the split of a job's images: its number and its name, which is empty without splits.
    fn split_of(&self, known: &JobRecord) -> (usize, String) {
        self.splits.as_ref().map_or((0, String::new()), |splits| {
            let at = splits.of(known.job.id);
            (at, splits.names().nth(at).unwrap_or_default().to_owned())
        })
    }

    fn leave_out(&mut self, known: &JobRecord, artifact: &Artifact, damage: Damage) {
        self.told.n_left_out += 1;
        if self.told.left_out.len() < LEFT_OUT_MAX {
            let (index, file_name) = (known.job.index, artifact.file_name.clone());
            self.told.left_out.push(LeftOut { index, file_name, damage });
        }
    }
}

/// Set of the recorded images that the run still has, with one bit per image.
#[derive(Debug, Default)]
struct SeenRows {
    bits: Vec<u64>,
    n: u64,
}

impl SeenRows {
    fn insert(&mut self, row: i64) {
        let (word, bit) = Self::place(row);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.n += u64::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }

    fn contains(&self, row: i64) -> bool {
        let (word, bit) = Self::place(row);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn place(row: i64) -> (usize, u64) {
        let row = usize::try_from(row).expect("rows are counted from 1");
        (row / 64, 1 << (row % 64))
    }
}

#[cfg(all(test, unix))]
mod tests;
