//! Datasets with one object per image in object storage: with a table of the images, or with a caption for each.
//!
//! Every object is on record before it is written, so that the export knows its own. It creates objects only, and removes its own
//! before it creates another of the same name. What another program has written stays.

use sha2::{Digest, Sha256};

use crate::images::verify::Damage;
use crate::images::{Created, NewContent, NewObject};
use crate::model::one_line::one_line;
use crate::model::outcome::Artifact;
use crate::model::phase::JobRecord;
use crate::report::dataset::DatasetFormat;
use crate::report::dataset::column_form::ColumnForm;
use crate::report::dataset::metadata::TableFormat;
use crate::run::export::caption_file::{CAPTION, mark};
use crate::run::export::error::ExportError;
use crate::run::export::folder::new_stem;
use crate::run::export::object_place::{FoundObject, ObjectPlace};
use crate::run::export::record::{ExportedImage, PAGE};
use crate::run::export::table::MetadataTables;
use crate::run::export::writer::{DatasetWriter, ExportContext};

/// Images that are recorded together, and then written.
const BATCH: usize = if cfg!(test) { 3 } else { 512 };

/// Dataset in object storage that follows the run.
pub(super) struct ObjectWriter<'a> {
    place: &'a ObjectPlace,
    /// `None` if there are captions instead.
    tables: Option<MetadataTables<'a>>,
    batch: Vec<TakenImage>,
}

/// Image of the batch, and what has to be written of it.
struct TakenImage {
    known: JobRecord,
    artifact: Artifact,
    row: i64,
    history: History,
    stem: String,
    /// Says that the object of the image is missing.
    needs_image: bool,
    /// Text of the caption, if its object is missing.
    caption: Option<String>,
    /// Says that the user has edited the caption.
    is_edited: bool,
}

/// Says what is known of an image from earlier exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    New,
    Renewed,
    Whole,
}

impl TakenImage {
    fn image_name(&self) -> String {
        format!("{}.{}", self.stem, self.artifact.format.extension())
    }

    /// Returns the names of the missing objects, with their SHA-256.
    fn missing(&self) -> impl Iterator<Item = (String, [u8; 32])> {
        let image = self.needs_image.then(|| (self.image_name(), self.artifact.sha256));
        let caption = self.caption.as_ref().map(|text| (caption_name(&self.stem), Sha256::digest(text).into()));
        image.into_iter().chain(caption)
    }
}

impl<'a> ObjectWriter<'a> {
    pub(super) fn new(work: &ExportContext<'a>, place: &'a ObjectPlace) -> Result<Self, ExportError> {
        let has_tables = work.options.format == DatasetFormat::ImageFolder;
        let n_splits = work.splits.as_ref().map_or(0, |splits| splits.names().count());
        work.state.begin()?;
        let tables = has_tables.then(|| MetadataTables::new(work.columns, n_splits));
        Ok(Self { place, tables, batch: vec![] })
    }

    /// Compares what is there of an exported image with what is wanted, and removes what has to be written again. `None` if the image is
    /// left out.
    fn compare(
        &self,
        work: &mut ExportContext<'_>,
        had: ExportedImage,
        (known, artifact): (&JobRecord, &Artifact),
        (caption, mark): (Option<String>, u64),
    ) -> Result<Option<TakenImage>, ExportError> {
        let ExportedImage { row, mark: mark_before, place: had } = had;
        let (stem, extension_before) = had.unwrap_or_default();
        let extension = artifact.format.extension();
        let (name, before) = (format!("{stem}.{extension}"), format!("{stem}.{extension_before}"));
        let found_caption = match &caption {
            Some(text) => {
                let sha256 = Sha256::digest(text).into();
                let found = self.place.look(&work.state, &caption_name(&stem), Some(&sha256))?;
                if found == FoundObject::Own(sha256) { None } else { Some(found) }
            }
            None => None,
        };
        if found_caption == Some(FoundObject::Other) {
            return Err(self.place.taken(&caption_name(&stem)));
        }
        let is_edited = found_caption == Some(FoundObject::Edited);
        let caption = caption.filter(|_| found_caption.is_some() && !is_edited);
        let found = self.place.look(&work.state, &name, Some(&artifact.sha256))?;
        let needs_image = found != FoundObject::Own(artifact.sha256);
        let is_whole = mark_before == mark && before == name && !needs_image && caption.is_none();
        if !is_whole {
            match found {
                FoundObject::Edited | FoundObject::Other => return Err(self.place.taken(&name)),
                // The earlier image stays until it is certain that there is another one.
                FoundObject::Own(_) if needs_image => {
                    if let Err(damage) = work.images.verify(artifact) {
                        work.leave_out(known, artifact, damage);
                        return Ok(None);
                    }
                    self.place.remove_known(&work.state, std::slice::from_ref(&name))?;
                }
                FoundObject::Own(_) | FoundObject::Missing => (),
            }
            if before != name {
                self.place.remove(&work.state, &before)?;
            }
            if let (Some(FoundObject::Own(_)), Some(_)) = (found_caption, &caption) {
                self.place.remove_known(&work.state, &[caption_name(&stem)])?;
            }
            work.state.renew(row, mark, extension)?;
        }
        let history = if is_whole { History::Whole } else { History::Renewed };
        let (known, artifact) = (known.clone(), artifact.clone());
        Ok(Some(TakenImage { known, artifact, row, history, stem, needs_image, caption, is_edited }))
    }

    /// Records the missing objects of the batch, writes them, and records what was written. An image on record whose object is missing is
    /// exported again.
    fn flush(&mut self, work: &mut ExportContext<'_>) -> Result<(), ExportError> {
        for taken in &self.batch {
            taken.missing().try_for_each(|(name, sha256)| work.state.plan_object(&name, &sha256, None))?;
        }
        work.state.commit()?;
        let (place, images) = (self.place, work.images);
        let mut objects = self.batch.iter().flat_map(|taken| {
            let image = taken.needs_image.then(|| {
                let content = if place.has_images() {
                    NewContent::Image(taken.artifact.clone())
                } else {
                    NewContent::Bytes(images.read(&taken.artifact)?.into())
                };
                Ok::<_, Damage>(NewObject { name: taken.image_name(), content })
            });
            let caption = taken
                .caption
                .clone()
                .map(|text| Ok(NewObject { name: caption_name(&taken.stem), content: NewContent::Bytes(text.into()) }));
            image.into_iter().chain(caption)
        });
        let created = place.create_all(&mut objects)?;
        drop(objects);
        work.state.begin()?;
        let (mut created, mut taken_name) = (created.into_iter(), None);
        for taken in std::mem::take(&mut self.batch) {
            let mut damage = None;
            for (name, _) in taken.missing() {
                match created.next().expect("each object has a result") {
                    Created::Whole { object, is_copied_there } => {
                        work.state.confirm_object(&name, &object)?;
                        let is_image = name == taken.image_name();
                        work.told.n_copied_there += u64::from(is_image && is_copied_there);
                        work.told.n_copied += u64::from(is_image && !is_copied_there);
                    }
                    Created::Taken => taken_name = taken_name.or(Some(name)),
                    Created::Damaged(found) => damage = Some(found),
                }
            }
            match damage {
                Some(damage) => self.give_up(work, &taken, damage)?,
                None => self.count(work, &taken),
            }
        }
        if let Some(name) = taken_name {
            work.state.commit()?;
            return Err(self.place.taken(&name));
        }
        Ok(())
    }

    /// Leaves out an image that is not as recorded, with its caption unless the user has edited that.
    fn give_up(&self, work: &mut ExportContext<'_>, taken: &TakenImage, damage: Damage) -> Result<(), ExportError> {
        work.leave_out(&taken.known, &taken.artifact, damage);
        for name in [taken.image_name(), caption_name(&taken.stem)] {
            self.place.remove(&work.state, &name)?;
        }
        work.state.forget(taken.row)
    }

    /// Counts an image that is in the dataset.
    fn count(&mut self, work: &mut ExportContext<'_>, taken: &TakenImage) {
        let columns = work.columns;
        let record = columns.record(&taken.known, &taken.artifact);
        work.told.n_new += u64::from(taken.history == History::New);
        work.told.n_renewed += u64::from(taken.history == History::Renewed);
        work.told.n_captions_kept += u64::from(taken.is_edited);
        work.seen.insert(taken.row);
        work.count_image(&taken.known, &taken.artifact, &record);
        if let Some(tables) = &mut self.tables {
            tables.note(work.split_of(&taken.known).0, &record);
        }
    }

    /// Removes the objects of images that the run no longer has, and then their records.
    fn remove_gone(&self, work: &mut ExportContext<'_>) -> Result<(), ExportError> {
        let mut last = 0;
        loop {
            let page = work.state.images_after(last, PAGE)?;
            let Some(end) = page.last() else { return Ok(()) };
            last = end.row;
            let (mut names, mut rows) = (vec![], vec![]);
            for ExportedImage { row, place, .. } in page {
                let Some((stem, extension)) = place.filter(|_| !work.seen.contains(row)) else { continue };
                let caption = self.tables.is_none().then(|| caption_name(&stem));
                for name in [Some(format!("{stem}.{extension}")), caption.clone()].into_iter().flatten() {
                    match self.place.look(&work.state, &name, None)? {
                        FoundObject::Own(_) => names.push(name),
                        FoundObject::Edited => work.told.n_captions_kept += u64::from(Some(name) == caption),
                        FoundObject::Other => (),
                        FoundObject::Missing => work.state.forget_object(&name)?,
                    }
                }
                rows.push(row);
            }
            self.place.remove_known(&work.state, &names)?;
            work.told.n_removed += rows.len() as u64;
            rows.into_iter().try_for_each(|row| work.state.forget(row))?;
        }
    }
}

impl DatasetWriter for ObjectWriter<'_> {
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
        let taken = if let Some(had) = work.state.find(known.job.id, nth)? {
            self.compare(work, had, (known, artifact), (caption, mark))?
        } else {
            let (_, prefix) = work.split_of(known);
            // A caption without an image is one that the user has edited.
            let is_kept = |stem: &str| Ok(work.state.found(&caption_name(stem))?.is_some());
            let stem = new_stem(work, &prefix, (known, nth, artifact), is_kept)?;
            let place = Some((&*stem, artifact.format.extension()));
            let row = work.state.add((known.job.id, nth), mark, place)?;
            let (known, artifact, history) = (known.clone(), artifact.clone(), History::New);
            Some(TakenImage { known, artifact, row, history, stem, needs_image: true, caption, is_edited: false })
        };
        self.batch.extend(taken);
        if self.batch.len() >= BATCH { self.flush(work) } else { Ok(()) }
    }

    fn settle(&mut self, work: &mut ExportContext<'_>) -> Result<(), ExportError> {
        self.flush(work)
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
        work.state.commit()?;
        if let Some(tables) = &mut self.tables {
            for table in tables.written(work)? {
                let is_other = match &table.file {
                    Some((file, _)) => self.place.put(&work.state, &table.name, file.path())?,
                    None => self.place.remove(&work.state, &table.name)?,
                };
                work.told.n_tables_kept += u64::from(is_other);
            }
        }
        work.state.begin()?;
        self.remove_gone(work)?;
        work.state.commit()
    }
}

fn caption_name(stem: &str) -> String {
    format!("{stem}.{CAPTION}")
}
