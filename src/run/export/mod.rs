//! Export of a run's images as a dataset: takes verified images, keeps existing ones, and resumes after an interruption.
//!
//! A folder of files (`folder`) follows the run: an image that was made again replaces the earlier one. An image that is no
//! longer in the manifest is removed. Shards (`shards`) are written once and stay; new images go into new shards. Both record
//! the location of each image (`state`). A kill at any moment therefore costs one batch or one shard of work. Another export
//! reads only what is new.

mod error;
mod folder;
mod options;
mod record;
mod shards;
mod table;
mod temp_file;
mod writer;

use std::fs;
use std::path::{Path, absolute};

pub use crate::report::dataset::DatasetFormat;
pub use crate::report::dataset::metadata::TableFormat;
pub use crate::report::dataset::record::UnknownCaptionColumn;
pub use crate::report::dataset::split::{Splits, SplitsError};
pub use crate::run::export::error::ExportError;
pub use crate::run::export::options::{ExportOptions, ShardLimits};
pub use crate::run::export::writer::{Exported, LeftOut};

use crate::images::adapters;
use crate::model::outcome::Outcome;
use crate::model::phase::Phase;
use crate::model::progress::{Meter, Operation, Progress};
use crate::report::dataset::DatasetFormat;
use crate::report::dataset::column_form::{self, ColumnForm};
use crate::report::dataset::column_use::ColumnUse;
use crate::report::dataset::record::Columns;
use crate::run::export::error::at;
use crate::run::export::folder::FolderWriter;
use crate::run::export::record::ExportRecord;
use crate::run::export::shards::ShardWriter;
use crate::run::export::writer::{DatasetWriter, ExportContext, SeenRows};
use crate::store::settings::ReadSettings;
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, stores};

/// Setting of the export record: the names of the numbers that are text in shards, separated by commas.
const NUMBERS_AS_TEXT: &str = "numbers as text";

/// Exports the verified images of a run, resumes that, or adds new images. Works during a live run, and changes nothing of it.
pub fn export(options: &ExportOptions, progress: &mut dyn Progress) -> Result<Exported, ExportError> {
    if options.format == DatasetFormat::Parquet && !cfg!(feature = "parquet") {
        return Err(ExportError::NoParquet);
    }
    let run = stores::open_for_reading(&options.out)?;
    let images = adapters::saved(&options.out);
    run.in_snapshot(|| {
        let columns = Columns::new(&run.provider_name()?, &run.columns()?, &options.caption)?;
        let state = open(options, &columns, &run.origin()?)?;
        let splits = match (options.format, &options.splits) {
            (DatasetFormat::Captions, None) => None,
            (_, Some(splits)) => Some(splits.clone()),
            (_, None) => Some("train".parse().expect("one word is a split")),
        };
        let forms = match options.format {
            DatasetFormat::WebDataset => forms_of_shards(&columns, &*run, &state)?,
            DatasetFormat::ImageFolder | DatasetFormat::Captions | DatasetFormat::Parquet => vec![],
        };
        let (seen, told) = (SeenRows::default(), Exported::default());
        let mut work = ExportContext { options, images: &*images, columns: &columns, forms, splits, state, seen, told };
        let mut keep: Box<dyn DatasetWriter + '_> = match options.format {
            DatasetFormat::ImageFolder | DatasetFormat::Captions => Box::new(FolderWriter::new(&work)?),
            DatasetFormat::WebDataset | DatasetFormat::Parquet => Box::new(ShardWriter::new(&work)?),
        };
        let counts = run.counts()?;
        work.told.n_without = counts.n_jobs() - counts.n_succeeded;
        let mut meter = Meter::begin(progress, Operation::Export, Some(counts.n_succeeded));
        run.for_each_job(JobSet::InManifest, |known| {
            for (nth, artifact) in (1..).zip(known.state.artifacts()) {
                keep.take(&mut work, &known, nth, artifact)?;
            }
            if let Phase::Finished(Outcome::Succeeded(_)) = &known.state.phase {
                meter.step();
            }
            Ok::<_, ExportError>(())
        })?;
        if let Some(forms) = keep.forms_of_table(options.metadata) {
            work.forms = forms;
            run.for_each_job(JobSet::InManifest, |known| {
                let mut images = (1..).zip(known.state.artifacts());
                images.try_for_each(|(nth, artifact)| keep.tabulate(&work, &known, nth, artifact))
            })?;
        }
        keep.finish(&mut work)?;
        temp_file::clear(&options.dir)?;
        Ok(work.told)
    })
}

/// Returns the forms of the columns in shards. The first export decides which numbers are text, and records it, because later
/// shards must have the same types.
fn forms_of_shards(
    columns: &Columns,
    run: &dyn RunReader,
    state: &ExportRecord,
) -> Result<Vec<ColumnForm>, ExportError> {
    let names = if let Some(names) = state.setting(NUMBERS_AS_TEXT)? {
        names
    } else {
        let mut used = ColumnUse::new(columns, 1);
        run.for_each_job(JobSet::InManifest, |known| {
            known.state.artifacts().iter().for_each(|artifact| used.add(0, &columns.record(&known, artifact)));
            Ok::<_, ExportError>(())
        })?;
        let names = used.partial_numbers().join(",");
        if !used.is_empty() {
            state.set(NUMBERS_AS_TEXT, &names)?;
        }
        names
    };
    Ok(column_form::forms_of_shards(columns, &names.split(',').collect::<Vec<_>>()))
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

#[cfg(all(test, unix))]
mod tests;
