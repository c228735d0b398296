//! Export of a run's images as a dataset: takes verified images, keeps existing ones, and resumes after an interruption.
//!
//! A folder of files (`folder`) follows the run: an image that was made again replaces the earlier one. An image that is no
//! longer in the manifest is removed. In object storage (`objects`) it follows too. Shards (`shards`) are written once and stay; new images go into new shards. Both record
//! the location of each image (`state`). A kill at any moment therefore costs one batch or one shard of work. Another export
//! reads only what is new.

mod caption_file;
mod card_file;
mod error;
mod folder;
mod object_place;
mod objects;
mod opening;
mod options;
mod own_objects;
mod record;
mod record_place;
mod shard_place;
mod shards;
mod table;
mod temp_file;
mod writer;

pub use crate::report::dataset::DatasetFormat;
pub use crate::report::dataset::caption::CaptionError;
pub use crate::report::dataset::metadata::TableFormat;
pub use crate::report::dataset::split::{Splits, SplitsError};
pub use crate::run::export::error::ExportError;
pub use crate::run::export::options::{ExportOptions, ShardLimits, folder_of_place};
pub use crate::run::export::writer::{Exported, LeftOut};

use crate::model::outcome::Outcome;
use crate::model::phase::Phase;
use crate::model::progress::{Meter, Operation, Progress};
use crate::report::dataset::column_form::{self, ColumnForm};
use crate::report::dataset::column_use::ColumnUse;
use crate::report::dataset::record::Columns;
use crate::run::export::folder::FolderWriter;
use crate::run::export::object_place::ObjectPlace;
use crate::run::export::objects::ObjectWriter;
use crate::run::export::record::ExportRecord;
use crate::run::export::shards::ShardWriter;
use crate::run::export::writer::{DatasetWriter, ExportContext};
use crate::run::place;
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
    let images = place::saved::<ExportError>(&options.out, &*run)?;
    let images_at = run.images()?;
    let objects = options.place.as_ref().map(|url| ObjectPlace::open(url, images_at.as_ref())).transpose()?;
    run.in_snapshot(|| {
        let provider = run.provider_name()?;
        let columns = Columns::new(&provider, &run.columns()?, &options.caption)?;
        let state = opening::open(options, objects.as_ref(), &columns, &run.origin()?)?;
        let splits = match (options.format, &options.splits) {
            (DatasetFormat::Captions, None) => None,
            (_, Some(splits)) => Some(splits.clone()),
            (_, None) => Some("train".parse().expect("one word is a split")),
        };
        let forms = match options.format {
            DatasetFormat::WebDataset => forms_of_shards(&columns, &*run, &state)?,
            DatasetFormat::ImageFolder | DatasetFormat::Captions | DatasetFormat::Parquet => vec![],
        };
        let mut work = ExportContext::new((options, &*images, &columns), objects.as_ref(), forms, splits, state);
        let mut keep: Box<dyn DatasetWriter + '_> = match (options.format, &objects) {
            (DatasetFormat::ImageFolder | DatasetFormat::Captions, None) => Box::new(FolderWriter::new(&work)?),
            (DatasetFormat::ImageFolder | DatasetFormat::Captions, Some(place)) => {
                Box::new(ObjectWriter::new(&work, place)?)
            }
            (DatasetFormat::WebDataset | DatasetFormat::Parquet, _) => Box::new(ShardWriter::new(&work)?),
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
        keep.settle(&mut work)?;
        if let Some(forms) = keep.forms_of_table(options.metadata) {
            work.forms = forms;
            run.for_each_job(JobSet::InManifest, |known| {
                let mut images = (1..).zip(known.state.artifacts());
                images.try_for_each(|(nth, artifact)| keep.tabulate(&work, &known, nth, artifact))
            })?;
        }
        keep.finish(&mut work)?;
        work.told.has_other_card = card_file::write(&work, &provider)?;
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

#[cfg(all(test, unix))]
mod tests;
