//! File of the dataset card: written when its content changes, and left alone once the user has edited it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, absolute};

use crate::fsio::temp_file::TempFile;
use crate::report::dataset::DatasetFormat;
use crate::report::dataset::card::{DatasetCard, FILE_NAME};
use crate::report::dataset::split::Splits;
use crate::run::export::error::{ExportError, at};
use crate::run::export::record::ExportRecord;
use crate::run::export::temp_file::{create, remove, settle, sync_names, synced};
use crate::run::export::writer::ExportContext;

/// Setting of the export record: the hash of the card, and during a replacement those of the earlier and of the new one.
const CARD: &str = "card";

/// Setting of the export record: the extensions of all images that were ever exported.
const EXTENSIONS: &str = "extensions";

/// Writes the card of a dataset, unless it is in place, or another file is. Returns whether another file is there.
pub(super) fn write(work: &ExportContext<'_>, provider: &str) -> Result<bool, ExportError> {
    let Some(splits) = work.splits.as_ref().filter(|_| work.options.format != DatasetFormat::Captions) else {
        return Ok(false);
    };
    let extensions = extensions(work)?;
    let out = absolute(&work.options.out).map_err(at(&work.options.out))?;
    let title = out.file_name().map_or_else(|| "Dataset".into(), |name| name.to_string_lossy());
    let card = DatasetCard {
        title: &title,
        format: work.options.format,
        splits: count(&work.state, splits)?,
        columns: work.columns,
        forms: &work.forms,
        extensions: extensions.iter().map(String::as_str).collect(),
        models: work.models.iter().map(|(model, n)| (model.as_str(), *n)).collect(),
        provider,
        caption: &work.options.caption,
    };
    let dir = &work.options.dir;
    match work.place {
        Some(place) => place.put(&work.state, FILE_NAME, written(dir, &card.text())?.path()),
        None => put(dir, &work.state, &card.text()),
    }
}

/// Writes the text to a temporary file.
fn written(dir: &Path, text: &str) -> Result<TempFile, ExportError> {
    let mut out = create(dir, FILE_NAME)?;
    out.write_all(text.as_bytes()).map_err(at(&dir.join(FILE_NAME)))?;
    synced(out)
}

/// Content of the file at the place of the card.
enum FoundCard {
    Missing,
    /// File with this hash.
    File(String),
    /// Folder, link or another object that is no file.
    Other,
}

/// Puts the text in place. Returns whether another file is there.
fn put(dir: &Path, state: &ExportRecord, text: &str) -> Result<bool, ExportError> {
    let (path, hash) = (dir.join(FILE_NAME), hash_of(text.as_bytes()));
    let under_way = match find(&path)? {
        FoundCard::Missing => hash.clone(),
        FoundCard::File(found) if found == hash => return state.set(CARD, &hash).map(|()| false),
        // A crash in between leaves one of the two.
        FoundCard::File(found) if is_own(state, &found)? => format!("{found} {hash}"),
        FoundCard::File(_) | FoundCard::Other => return Ok(true),
    };
    let file = written(dir, text)?;
    state.set(CARD, &under_way)?;
    settle(file, &path)?;
    sync_names(dir)?;
    state.set(CARD, &hash)?;
    Ok(false)
}

/// Removes the card, unless the user has edited it.
pub(super) fn remove_own(dir: &Path, state: &ExportRecord) -> Result<(), ExportError> {
    if is_there(dir, state)? { remove(&dir.join(FILE_NAME)) } else { Ok(()) }
}

/// Reports whether the card is in place as it was written.
pub(super) fn is_there(dir: &Path, state: &ExportRecord) -> Result<bool, ExportError> {
    match find(&dir.join(FILE_NAME))? {
        FoundCard::File(found) => is_own(state, &found),
        FoundCard::Missing | FoundCard::Other => Ok(false),
    }
}

fn is_own(state: &ExportRecord, hash: &str) -> Result<bool, ExportError> {
    Ok(state.setting(CARD)?.is_some_and(|recorded| recorded.split(' ').any(|own| own == hash)))
}

fn find(path: &Path) -> Result<FoundCard, ExportError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(FoundCard::File(hash_of(&fs::read(path).map_err(at(path))?))),
        Ok(_) => Ok(FoundCard::Other),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(FoundCard::Missing),
        Err(error) => Err(at(path)(error)),
    }
}

fn hash_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Returns the splits with the number of their images in the dataset, also of those that the run no longer has.
fn count<'a>(state: &ExportRecord, splits: &'a Splits) -> Result<Vec<(&'a str, u64)>, ExportError> {
    let mut counts: Vec<(&str, u64)> = splits.names().map(|name| (name, 0)).collect();
    state.for_each_job(|job| counts[splits.of(job)].1 += 1)?;
    Ok(counts)
}

/// Returns the extensions of all images that were ever exported, and records them.
fn extensions(work: &ExportContext<'_>) -> Result<Vec<String>, ExportError> {
    let recorded = work.state.setting(EXTENSIONS)?.unwrap_or_default();
    let mut extensions: BTreeSet<&str> = recorded.split(' ').filter(|extension| !extension.is_empty()).collect();
    extensions.extend(&work.extensions);
    let all: Vec<String> = extensions.into_iter().map(str::to_owned).collect();
    if all.join(" ") != recorded {
        work.state.set(EXTENSIONS, &all.join(" "))?;
    }
    Ok(all)
}
