//! Datasets of shards: many images per file, written as a temporary file, renamed, recorded, and never changed again.

use std::fs;
use std::io::{self, BufWriter, ErrorKind};

use crate::fsio::temp_file::TempFile;
use crate::images::verify::Damage;
use crate::model::job::JobId;
use crate::model::outcome::{Artifact, ImageFormat};
use crate::model::phase::JobRecord;
use crate::report::dataset::DatasetFormat;
use crate::report::dataset::column_form::ColumnForm;
#[cfg(feature = "parquet")]
use crate::report::dataset::parquet;
use crate::report::dataset::record::Record;
use crate::report::dataset::split::Splits;
use crate::report::dataset::webdataset;
use crate::run::export::error::{ExportError, at};
use crate::run::export::shard_place::ShardPlace;
use crate::run::export::temp_file::{create, remove, settle, sync_names, synced};
use crate::run::export::writer::{DatasetWriter, ExportContext};

/// Shards of a dataset, one open for each split.
pub(super) struct ShardWriter {
    open: Vec<Option<OpenShard>>,
    /// Place to which shards are moved; `None` if they stay in the folder.
    place: Option<ShardPlace>,
}

/// Shard that is being written.
struct OpenShard {
    content: ShardContent,
    images: Vec<(JobId, usize, u64)>,
}

enum ShardContent {
    Tar(webdataset::TarShard<BufWriter<TempFile>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::ParquetShard<BufWriter<TempFile>>>),
}

impl ShardWriter {
    /// Checks that the shards on record exist, moves those that an interrupted export did not, and removes any that was cut short.
    pub(super) fn new(work: &ExportContext<'_>) -> Result<Self, ExportError> {
        let (dir, state) = (&work.options.dir, &work.state);
        let place = work.options.place.as_ref().map(ShardPlace::open).transpose()?;
        for (name, bytes) in state.shards()? {
            let path = dir.join(&name);
            if bytes == 0 {
                remove(&path)?;
                state.forget_shard(&name)?;
                continue;
            }
            if let Some(place) = &place
                && place.has(dir, state, &name, bytes)?
            {
                continue;
            }
            let damage = match fs::symlink_metadata(&path) {
                Ok(found) if !found.is_file() => Damage::NotAFile,
                Ok(found) if found.len() != bytes => Damage::Length { bytes: found.len(), recorded: bytes },
                Ok(_) => {
                    if let Some(place) = &place {
                        place.take(dir, state, &name)?;
                    }
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => Damage::Missing,
                Err(error) => Damage::Unreadable(error.to_string()),
            };
            return Err(ExportError::Shard { path, damage });
        }
        let n_splits = work.splits.as_ref().map_or(1, |splits| splits.names().count());
        Ok(Self { open: (0..n_splits).map(|_| None).collect(), place })
    }

    /// Puts the open shard of a split in place, and then records its images. A crash in between leaves a shard that is written
    /// again, because its name is recorded before the file exists.
    fn close(&mut self, work: &mut ExportContext<'_>, (at_split, split): (usize, &str)) -> Result<(), ExportError> {
        let Some(OpenShard { content, images }) = self.open[at_split].take() else { return Ok(()) };
        let dir = &work.options.dir;
        let number = work.state.n_shards(split)?;
        let name = match work.options.format {
            DatasetFormat::Parquet => format!("{split}-{number:05}.parquet"),
            DatasetFormat::WebDataset | DatasetFormat::ImageFolder | DatasetFormat::Captions => {
                format!("{split}-{number:06}.tar")
            }
        };
        let path = dir.join(&name);
        let file = synced(content.finish().map_err(at(&path))?)?;
        work.state.set_shard(&name, split, 0)?;
        settle(file, &path)?;
        sync_names(dir)?;
        let bytes = fs::symlink_metadata(&path).map_err(at(&path))?.len();
        work.state.at_once(|| {
            work.state.set_shard(&name, split, bytes)?;
            for (job, nth, mark) in images {
                let row = work.state.add((job, nth), mark, None)?;
                work.seen.insert(row);
            }
            Ok(())
        })?;
        work.told.n_shards += 1;
        match &self.place {
            Some(place) => place.take(&work.options.dir, &work.state, &name),
            None => Ok(()),
        }
    }
}

impl DatasetWriter for ShardWriter {
    fn take(
        &mut self,
        work: &mut ExportContext<'_>,
        known: &JobRecord,
        nth: usize,
        artifact: &Artifact,
    ) -> Result<(), ExportError> {
        let record = work.columns.record(known, artifact);
        let mark = record.mark();
        if let Some(had) = work.state.find(known.job.id, nth)? {
            work.count_image(known, artifact, &record);
            work.told.n_changed += u64::from(had.mark != mark);
            work.seen.insert(had.row);
            return Ok(());
        }
        let image = match work.images.read(artifact) {
            Ok(image) => image,
            Err(damage) => {
                work.leave_out(known, artifact, damage);
                return Ok(());
            }
        };
        let (at_split, split) = work.split_of(known);
        let limits = work.options.shard;
        let is_full = |open: &OpenShard| {
            let n = open.images.len() as u64;
            n >= limits.images_max || open.content.bytes() + image.len() as u64 > limits.bytes_max
        };
        if self.open[at_split].as_ref().is_some_and(is_full) {
            self.close(work, (at_split, &split))?;
        }
        let dir = &work.options.dir;
        let open = match &mut self.open[at_split] {
            Some(open) => open,
            none => none.insert(OpenShard::begin(work, &split)?),
        };
        let key = webdataset::key(known.job.id, nth);
        open.content.add(&key, (&image, artifact.format), &record, &work.forms).map_err(at(dir))?;
        open.images.push((known.job.id, nth, mark));
        work.count_image(known, artifact, &record);
        work.told.n_new += 1;
        Ok(())
    }

    fn finish(&mut self, work: &mut ExportContext<'_>) -> Result<(), ExportError> {
        let names: Vec<String> = work.splits.iter().flat_map(Splits::names).map(str::to_owned).collect();
        for (at_split, split) in names.iter().enumerate() {
            self.close(work, (at_split, split))?;
        }
        work.told.n_gone = work.state.n_images()? - work.seen.n;
        Ok(())
    }
}

impl OpenShard {
    fn begin(work: &ExportContext<'_>, split: &str) -> Result<Self, ExportError> {
        let dir = &work.options.dir;
        let out = create(dir, split)?;
        let content = match work.options.format {
            #[cfg(feature = "parquet")]
            DatasetFormat::Parquet => {
                ShardContent::Parquet(Box::new(parquet::ParquetShard::new(out, work.columns).map_err(at(dir))?))
            }
            _ => ShardContent::Tar(webdataset::TarShard::new(out)),
        };
        Ok(Self { content, images: vec![] })
    }
}

impl ShardContent {
    fn add(
        &mut self,
        key: &str,
        image: (&[u8], ImageFormat),
        record: &Record<'_>,
        forms: &[ColumnForm],
    ) -> io::Result<()> {
        match self {
            Self::Tar(shard) => shard.add(key, image, record, forms),
            #[cfg(feature = "parquet")]
            Self::Parquet(shard) => shard.add(image.0, record),
        }
    }

    /// Returns the present length of the shard, in bytes.
    fn bytes(&self) -> u64 {
        match self {
            Self::Tar(shard) => shard.bytes(),
            #[cfg(feature = "parquet")]
            Self::Parquet(shard) => shard.bytes(),
        }
    }

    fn finish(self) -> io::Result<BufWriter<TempFile>> {
        match self {
            Self::Tar(shard) => shard.finish(),
            #[cfg(feature = "parquet")]
            Self::Parquet(shard) => shard.finish(),
        }
    }
}
