//! Interface of the dataset writers: the data that each needs, and the result of their work.

use std::collections::{BTreeMap, BTreeSet};

use crate::images::SavedImages;
use crate::images::verify::Damage;
use crate::model::outcome::Artifact;
use crate::model::phase::JobRecord;
use crate::report::dataset::column_form::ColumnForm;
use crate::report::dataset::metadata::TableFormat;
use crate::report::dataset::record::{Columns, Record};
use crate::report::dataset::split::Splits;
use crate::run::export::error::ExportError;
use crate::run::export::object_place::ObjectPlace;
use crate::run::export::options::ExportOptions;
use crate::run::export::record::ExportRecord;

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
    /// Files that object storage copied by itself.
    pub n_copied_there: u64,
    /// Shards that were written.
    pub n_shards: u64,
    /// Images whose file was removed, because the run no longer has them.
    pub n_removed: u64,
    /// Images in shards that have changed since, or whose metadata has.
    pub n_changed: u64,
    /// Images in shards that the run no longer has.
    pub n_gone: u64,
    /// Images whose caption has no visible character.
    pub n_empty_captions: u64,
    /// Captions that the user has edited, and that stay as they are.
    pub n_captions_kept: u64,
    /// Tables that the user has edited, and that stay as they are: images that are new or gone are not in them.
    pub n_tables_kept: u64,
    /// Whether another file is at the place of the dataset card: one of the user, or a card that the user has edited.
    pub has_other_card: bool,
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

/// Left-out images that are named, at most.
const LEFT_OUT_MAX: usize = 50;

/// Writer of a dataset in one format.
pub(super) trait DatasetWriter {
    /// Adds an image, if it is not there: the `nth` (from 1) of its job.
    fn take(
        &mut self,
        work: &mut ExportContext<'_>,
        known: &JobRecord,
        nth: usize,
        artifact: &Artifact,
    ) -> Result<(), ExportError>;

    /// Completes what waits for further images. No image comes after it.
    fn settle(&mut self, _work: &mut ExportContext<'_>) -> Result<(), ExportError> {
        Ok(())
    }

    /// Returns the forms of the columns in the tables of the images, once every image was taken. `None` if there are no tables.
    fn forms_of_table(&self, _format: TableFormat) -> Option<Vec<ColumnForm>> {
        None
    }

    /// Adds an image to the table of its split, if it was taken. All images are taken before.
    fn tabulate(
        &mut self,
        _work: &ExportContext<'_>,
        _known: &JobRecord,
        _nth: usize,
        _artifact: &Artifact,
    ) -> Result<(), ExportError> {
        Ok(())
    }

    /// Completes everything that is under way.
    fn finish(&mut self, work: &mut ExportContext<'_>) -> Result<(), ExportError>;
}

/// Data that every dataset writer needs.
pub(super) struct ExportContext<'a> {
    pub(super) options: &'a ExportOptions,
    pub(super) images: &'a dyn SavedImages,
    /// Place in object storage; `None` if the dataset is in its folder.
    pub(super) place: Option<&'a ObjectPlace>,
    pub(super) columns: &'a Columns,
    /// Forms of the columns in shards, or in the tables of an image folder, where they are known last.
    pub(super) forms: Vec<ColumnForm>,
    pub(super) splits: Option<Splits>,
    pub(super) state: ExportRecord,
    pub(super) seen: SeenRows,
    pub(super) told: Exported,
    /// Number of the images that each model made.
    pub(super) models: BTreeMap<String, u64>,
    /// Extensions of the images.
    pub(super) extensions: BTreeSet<&'static str>,
}

impl<'a> ExportContext<'a> {
    /// Creates the data of an export that has taken no image.
    pub(super) fn new(
        (options, images, columns): (&'a ExportOptions, &'a dyn SavedImages, &'a Columns),
        place: Option<&'a ObjectPlace>,
        forms: Vec<ColumnForm>,
        splits: Option<Splits>,
        state: ExportRecord,
    ) -> Self {
        let (seen, told) = (SeenRows::default(), Exported::default());
        let (models, extensions) = (BTreeMap::new(), BTreeSet::new());
        Self { options, images, place, columns, forms, splits, state, seen, told, models, extensions }
    }

    /// Returns the split of a job's images: its number and its name, which is empty without splits.
    pub(super) fn split_of(&self, known: &JobRecord) -> (usize, String) {
        self.splits.as_ref().map_or((0, String::new()), |splits| {
            let at = splits.of(known.job.id);
            (at, splits.names().nth(at).unwrap_or_default().to_owned())
        })
    }

    /// Counts an image that is in the dataset.
    pub(super) fn count_image(&mut self, known: &JobRecord, artifact: &Artifact, record: &Record<'_>) {
        self.told.n_images += 1;
        self.told.n_empty_captions += u64::from(record.caption().trim().is_empty());
        self.extensions.insert(artifact.format.extension());
        let model = &known.job.request.model;
        match self.models.get_mut(model) {
            Some(n) => *n += 1,
            None => drop(self.models.insert(model.clone(), 1)),
        }
    }

    pub(super) fn leave_out(&mut self, known: &JobRecord, artifact: &Artifact, damage: Damage) {
        self.told.n_left_out += 1;
        if self.told.left_out.len() < LEFT_OUT_MAX {
            let (index, file_name) = (known.job.index, artifact.file_name.clone());
            self.told.left_out.push(LeftOut { index, file_name, damage });
        }
    }
}

/// Set of the recorded images that the run still has, with one bit per image.
#[derive(Debug, Default)]
pub(super) struct SeenRows {
    bits: Vec<u64>,
    pub(super) n: u64,
}

impl SeenRows {
    pub(super) fn insert(&mut self, row: i64) {
        let (word, bit) = Self::place(row);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.n += u64::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }

    pub(super) fn contains(&self, row: i64) -> bool {
        let (word, bit) = Self::place(row);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn place(row: i64) -> (usize, u64) {
        let row = usize::try_from(row).expect("rows are counted from 1");
        (row / 64, 1 << (row % 64))
    }
}
