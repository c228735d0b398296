//! Start of an export: the dataset's folder, its export record, and the check that both belong to this export.

use std::fs;
use std::path::{Path, PathBuf, absolute};

use crate::report::dataset::DatasetFormat;
use crate::report::dataset::card;
use crate::report::dataset::metadata::TableFormat;
use crate::report::dataset::record::Columns;
use crate::run::export::error::{ExportError, at};
use crate::run::export::object_place::ObjectPlace;
use crate::run::export::options::ExportOptions;
use crate::run::export::record::ExportRecord;
use crate::run::export::{card_file, folder, record_place, shard_place, temp_file};

/// Prepares the dataset's folder and its export record. Refuses a folder, or a place in object storage, that holds anything but an
/// export like this one.
pub(super) fn open(
    options: &ExportOptions,
    objects: Option<&ObjectPlace>,
    columns: &Columns,
    origin: &str,
) -> Result<ExportRecord, ExportError> {
    let dir = &options.dir;
    let places = absolute(&options.out).and_then(|out| Ok((out, absolute(dir)?)));
    let (out, place) = places.map_err(at(dir))?;
    if place.starts_with(out.join("images")) {
        return Err(ExportError::AmongImages { dir: dir.clone() });
    }
    objects.map_or(Ok(()), |objects| objects.check(&options.out))?;
    make(&place)?;
    let has_files = has_files(dir, true)?;
    if has_files && !record_place::exists(dir)? {
        return Err(ExportError::Foreign { dir: dir.clone() });
    }
    let state = ExportRecord::open(dir)?;
    if let Some(objects) = objects {
        // The names of shards are looked up one by one.
        if !options.format.is_sharded() {
            objects.survey(&state)?;
        }
    } else if !has_files {
        // The dataset was deleted, or never got a file. Its record says nothing about a new one.
        state.at_once(|| state.clear())?;
    } else if !is_of_record(dir, &state)? {
        return Err(ExportError::Foreign { dir: dir.clone() });
    }
    let (was, wanted) = (state.setting("flags")?, options.flags());
    if options.is_fresh {
        if let Some(place) = &options.place {
            shard_place::remove_all(place, dir, &state)?;
        }
        if let Some(objects) = objects {
            objects.remove_all(&state, card::FILE_NAME)?;
        }
        folder::remove_all(dir, &state)?;
    } else if let Some(was) = was.filter(|was| *was != wanted) {
        let [was, wanted] = [was, wanted].map(|flags| format!("`{flags}`"));
        return Err(ExportError::Other { dir: named(options), was, wanted });
    } else if state.setting("origin")?.is_some_and(|was| was != origin) {
        return Err(ExportError::OtherRun { dir: named(options) });
    }
    temp_file::make_ready(dir)?;
    let names = columns.names().join(", ");
    match state.setting("columns")? {
        // Shards of a Parquet dataset have the same columns.
        Some(was) if options.format == DatasetFormat::Parquet && was != names => {
            let [was, wanted] = [was, names].map(|names| format!("the columns {names}"));
            return Err(ExportError::Other { dir: named(options), was, wanted });
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

/// Returns the folder of the dataset, or its address, for messages.
fn named(options: &ExportOptions) -> PathBuf {
    options.place.as_ref().map_or_else(|| options.dir.clone(), |place| PathBuf::from(place.to_string()))
}

/// Reports whether the folder holds any file, in any depth, besides those that an export may leave before its first image.
fn has_files(dir: &Path, is_top: bool) -> Result<bool, ExportError> {
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let entry = entry.map_err(at(dir))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_top && (record_place::is_former_name(&name) || name == temp_file::FOLDER) {
            continue;
        }
        let is_folder = entry.file_type().map_err(at(dir))?.is_dir();
        if !is_folder || has_files(&entry.path(), false)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reports whether a file of the dataset is where it was recorded. Otherwise the record is of another folder that had this name.
fn is_of_record(dir: &Path, state: &ExportRecord) -> Result<bool, ExportError> {
    let is_there = |name: &str| fs::symlink_metadata(dir.join(name)).is_ok();
    if state.shards()?.iter().any(|(name, _)| is_there(name)) || card_file::is_there(dir, state)? {
        return Ok(true);
    }
    for split in state.splits_with_table()? {
        if [TableFormat::Jsonl, TableFormat::Csv].iter().any(|form| is_there(&format!("{split}/{}", form.file_name())))
        {
            return Ok(true);
        }
    }
    state.any_image(|image| image.place.as_ref().is_some_and(|(stem, end)| is_there(&format!("{stem}.{end}"))))
}

/// Creates a folder and its missing parents, durably.
fn make(dir: &Path) -> Result<(), ExportError> {
    let missing = dir.ancestors().take_while(|folder| !folder.exists()).count();
    fs::create_dir_all(dir).map_err(at(dir))?;
    dir.ancestors().skip(1).take(missing).try_for_each(temp_file::sync_names)
}
