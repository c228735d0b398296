//! Datasets with one file per image: with a table of the images, or with a caption for each.
//!
//! The folder holds exactly the images that the run has.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::fsio::filesystem::FileSystem;
use crate::fsio::temp_file::TempFile;
use crate::images::local::folders::Folders;
use crate::model::one_line::one_line;
use crate::model::outcome::Artifact;
use crate::model::phase::JobRecord;
use crate::report::dataset::DatasetFormat;
use crate::report::dataset::column_form::ColumnForm;
use crate::report::dataset::metadata::TableFormat;
use crate::run::export::caption_file::{self, CAPTION, mark};
use crate::run::export::card_file;
use crate::run::export::error::{ExportError, at};
use crate::run::export::record::{ExportRecord, ExportedImage, PAGE};
use crate::run::export::table::MetadataTables;
use crate::run::export::temp_file::{create, remove, settle, sync_names, written};
use crate::run::export::writer::{DatasetWriter, ExportContext};

/// Images per folder, at most. The Hub accepts 10,000 entries, and the table and the subfolders are among them.
const FOLDER_IMAGES_MAX: u64 = if cfg!(test) { 4 } else { 9_000 };

/// Images that are recorded and put in place together.
const BATCH: usize = if cfg!(test) { 3 } else { 256 };

/// Bytes of a stem, at most; leaves space for a suffix that distinguishes it from another.
const STEM_BYTES_MAX: usize = 200;

/// Dataset folder that follows the run.
pub(super) struct FolderWriter<'a> {
    folders: Folders,
    file_system: FileSystem,
    /// `None` if there are captions instead.
    tables: Option<MetadataTables<'a>>,
    batch: Vec<PendingImage>,
    can_link: bool,
}

/// Image whose location is recorded, but whose file is not in place yet.
struct PendingImage {
    artifact: Artifact,
    stem: String,
    caption: Option<String>,
}

impl<'a> FolderWriter<'a> {
    pub(super) fn new(work: &ExportContext<'a>) -> Result<Self, ExportError> {
        let dir = &work.options.dir;
        let has_tables = work.options.format == DatasetFormat::ImageFolder;
        let n_splits = work.splits.as_ref().map_or(0, |splits| splits.names().count());
        work.state.begin()?;
        Ok(Self {
            folders: Folders::open(dir)?,
            file_system: FileSystem::of(dir),
            tables: has_tables.then(|| MetadataTables::new(work.columns, n_splits)),
            batch: vec![],
            can_link: !work.options.is_copied,
        })
    }

    /// Records the images of the batch, and then puts their files in place. Every file in the folder is therefore on record. An
    /// image on record whose file is missing is exported again.
    fn flush(&mut self, work: &mut ExportContext<'_>) -> Result<(), ExportError> {
        work.state.commit()?;
        let dir = &work.options.dir;
        let (mut waiting, mut touched) = (vec![], BTreeSet::new());
        for (n, entry) in self.batch.drain(..).enumerate() {
            let folder = match entry.stem.rsplit_once('/') {
                Some((folder, _)) => self.folders.make_ready(folder)?,
                None => dir.clone(),
            };
            touched.insert(folder);
            let place = dir.join(format!("{}.{}", entry.stem, entry.artifact.format.extension()));
            // Links are given up after the first failure, because the disk would refuse all others. Other causes are reported
            // by the copy.
            self.can_link = self.can_link && work.images.link(&entry.artifact, &place).is_ok();
            if self.can_link {
                work.told.n_linked += 1;
            } else {
                let changed = |damage| ExportError::Changed { file_name: entry.artifact.file_name.clone(), damage };
                let bytes = work.images.read(&entry.artifact).map_err(changed)?;
                waiting.push((write(dir, &format!("{n}.image"), &bytes)?, place.clone()));
                work.told.n_copied += 1;
            }
            if let Some(caption) = &entry.caption {
                waiting
                    .push((write(dir, &format!("{n}.{CAPTION}"), caption.as_bytes())?, place.with_extension(CAPTION)));
            }
        }
        let files: Vec<&File> = waiting.iter().map(|(file, _)| file.file()).collect();
        self.file_system.sync(&files).into_iter().collect::<io::Result<()>>().map_err(at(dir))?;
        waiting.into_iter().try_for_each(|(file, place)| settle(file, &place))?;
        touched.iter().try_for_each(|folder| sync_names(folder))?;
        work.state.begin()
    }
}

impl DatasetWriter for FolderWriter<'_> {
    fn take(
        &mut self,
        work: &mut ExportContext<'_>,
        known: &JobRecord,
        nth: usize,
        artifact: &Artifact,
    ) -> Result<(), ExportError> {
        let record = work.columns.record(known, artifact);
        let caption = self.tables.is_none().then(|| one_line(&record.caption()));
        let mark = mark(&artifact.sha256, caption.as_deref().unwrap_or_default().as_bytes());
        let (split, prefix) = work.split_of(known);
        let extension = artifact.format.extension();
        let had = work.state.find(known.job.id, nth)?;
        let dir = &work.options.dir;
        let is_edited = match (&had, &caption) {
            (Some(had), Some(caption)) => caption_file::is_edited(dir, had, Some(artifact), Some(caption))?,
            _ => false,
        };
        let caption = caption.filter(|_| !is_edited);
        let is_whole =
            had.as_ref().is_some_and(|had| had.mark == mark && is_there(work, had, artifact, caption.as_deref()));
        let row = match had {
            Some(ExportedImage { row, .. }) if is_whole => row,
            had => {
                if let Err(damage) = work.images.verify(artifact) {
                    work.leave_out(known, artifact, damage);
                    return Ok(());
                }
                let (row, stem) = if let Some(had) = had {
                    work.told.n_renewed += 1;
                    remove_files(dir, &had, is_edited)?;
                    work.state.renew(had.row, mark, extension)?;
                    (had.row, had.place.map(|(stem, _)| stem).unwrap_or_default())
                } else {
                    work.told.n_new += 1;
                    // A caption without an image is one that the user has edited.
                    let is_kept = |stem: &str| Ok(caption_file::path(&work.options.dir, stem).exists());
                    let stem = new_stem(work, &prefix, (known, nth, artifact), is_kept)?;
                    (work.state.add((known.job.id, nth), mark, Some((&stem, extension)))?, stem)
                };
                self.batch.push(PendingImage { artifact: artifact.clone(), stem, caption });
                row
            }
        };
        work.told.n_captions_kept += u64::from(is_edited);
        work.seen.insert(row);
        work.count_image(known, artifact, &record);
        if let Some(tables) = &mut self.tables {
            tables.note(split, &record);
        }
        if self.batch.len() == BATCH { self.flush(work) } else { Ok(()) }
    }

    fn forms_of_table(&self, format: TableFormat) -> Option<Vec<ColumnForm>> {
        self.tables.as_ref().map(|tables| tables.forms(format))
    }

    fn tabulate(
        &mut self,
        work: &ExportContext<'_>,
        known: &JobRecord,
        nth: usize,
        artifact: &Artifact,
    ) -> Result<(), ExportError> {
        self.tables.as_mut().map_or(Ok(()), |tables| tables.tabulate(work, known, nth, artifact))
    }

    fn finish(&mut self, work: &mut ExportContext<'_>) -> Result<(), ExportError> {
        self.flush(work)?;
        // The hash of a table is durable before the table is in place.
        work.state.commit()?;
        if let Some(tables) = &mut self.tables {
            work.told.n_tables_kept = tables.settle(work)?;
        }
        work.state.begin()?;
        let has_captions = self.tables.is_none();
        // Files are removed before their records, so that no file is left behind.
        each_image(&work.state, |had| {
            if !work.seen.contains(had.row) {
                let dir = &work.options.dir;
                let is_edited = has_captions && caption_file::is_edited(dir, had, None, None)?;
                remove_files(dir, had, is_edited)?;
                work.state.forget(had.row)?;
                work.told.n_removed += 1;
                work.told.n_captions_kept += u64::from(is_edited);
            }
            Ok(())
        })?;
        work.state.commit()
    }
}

/// Removes all files on record that were ever exported to this folder, and then the record.
pub(super) fn remove_all(dir: &Path, state: &ExportRecord) -> Result<(), ExportError> {
    let mut folders = BTreeSet::new();
    each_image(state, |had| {
        if let Some((folder, _)) = had.place.as_ref().and_then(|(stem, _)| stem.rsplit_once('/')) {
            folders.insert(folder.to_owned());
        }
        remove_files(dir, had, false)
    })?;
    for (name, _) in state.shards()? {
        remove(&dir.join(name))?;
    }
    for split in folders.clone().iter().filter_map(|folder| folder.split('/').next()) {
        for form in [TableFormat::Jsonl, TableFormat::Csv] {
            remove(&dir.join(split).join(form.file_name()))?;
        }
        folders.insert(split.to_owned());
    }
    card_file::remove_own(dir, state)?;
    // Deepest folders come first. A folder with other content stays.
    folders.iter().rev().for_each(|folder| drop(fs::remove_dir(dir.join(folder))));
    state.at_once(|| state.clear())
}

fn each_image(
    state: &ExportRecord,
    mut show: impl FnMut(&ExportedImage) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut last = 0;
    loop {
        let page = state.images_after(last, PAGE)?;
        let Some(end) = page.last() else { return Ok(()) };
        last = end.row;
        page.iter().try_for_each(&mut show)?;
    }
}

/// Returns whether the files of an image are in place, by name, type and size.
fn is_there(work: &ExportContext<'_>, had: &ExportedImage, artifact: &Artifact, caption: Option<&str>) -> bool {
    let Some((stem, extension)) = &had.place else { return false };
    let has = |extension: &str, bytes: u64| {
        let found = fs::symlink_metadata(work.options.dir.join(format!("{stem}.{extension}")));
        found.is_ok_and(|found| found.is_file() && found.len() == bytes)
    };
    has(extension, artifact.bytes) && caption.is_none_or(|caption| has(CAPTION, caption.len() as u64))
}

/// Removes the files of an image, except a caption that the user has edited. A caption is removed first: without one, the image would be taken
/// for whole.
fn remove_files(dir: &Path, had: &ExportedImage, keeps_caption: bool) -> Result<(), ExportError> {
    let Some((stem, extension)) = &had.place else { return Ok(()) };
    if !keeps_caption {
        remove(&caption_file::path(dir, stem))?;
    }
    remove(&dir.join(format!("{stem}.{extension}")))
}

/// Returns a stem that no other image has: the name of the run's own file, below its split. `is_kept` says that another file needs it.
pub(super) fn new_stem(
    work: &ExportContext<'_>,
    prefix: &str,
    (known, nth, artifact): (&JobRecord, usize, &Artifact),
    is_kept: impl Fn(&str) -> Result<bool, ExportError>,
) -> Result<String, ExportError> {
    let n = work.state.place_one(prefix)?;
    // Training programs for captions read one folder and no subfolder.
    let folder = match n / FOLDER_IMAGES_MAX {
        n @ 1.. if work.options.format == DatasetFormat::ImageFolder => format!("{n:05}"),
        _ => String::new(),
    };
    let name = artifact.file_name.rsplit('/').next().unwrap_or_default();
    let name = safe(name.rsplit_once('.').map_or(name, |(stem, _)| stem));
    let apart = format!("{name}-{}-{nth}", known.job.id);
    let numbered = (2..).map(|n: u64| format!("{apart}-{n}"));
    for name in [name, apart.clone()].into_iter().chain(numbered) {
        let parts = [prefix, &folder, &name];
        let stem = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        if !work.state.is_taken(&stem)? && !is_kept(&stem)? {
            return Ok(stem);
        }
    }
    unreachable!("there are more numbers than images")
}

/// Replaces by `-` all characters of a file name that some file systems reject, or that lead elsewhere. A run's own names have
/// none of these, but a ledger may come from any source.
pub(super) fn safe(name: &str) -> String {
    let is_kept = |c: char| !c.is_control() && !"/\\:*?\"<>|.".contains(c);
    let mut kept = String::new();
    for c in name.chars().map(|c| if is_kept(c) { c } else { '-' }) {
        if kept.len() + c.len_utf8() > STEM_BYTES_MAX {
            break;
        }
        kept.push(c);
    }
    if kept.trim_matches(['-', ' ']).is_empty() { "image".to_owned() } else { kept }
}

/// Writes a temporary file.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<TempFile, ExportError> {
    let mut out = create(dir, name)?;
    out.write_all(bytes).map_err(at(dir))?;
    written(out)
}
