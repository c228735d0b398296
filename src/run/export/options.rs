//! Options of an export, and those of them that distinguish one dataset from another.

use std::path::{Path, PathBuf};

use crate::model::storage_url::StorageUrl;
use crate::report::dataset::DatasetFormat;
use crate::report::dataset::metadata::TableFormat;
use crate::report::dataset::split::Splits;

/// Options of an export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Output folder of the run.
    pub out: PathBuf,
    /// Folder of the dataset. If it has another `place`, that of files on their way there.
    pub dir: PathBuf,
    /// Address of the dataset in object storage; `None` if it is in the folder.
    pub place: Option<StorageUrl>,
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

/// Returns the folder that files pass on their way to a place in object storage. Each place has its own, which stays with the run.
pub fn folder_of_place(out: &Path, format: DatasetFormat, place: &StorageUrl) -> PathBuf {
    let hash = blake3::hash(place.to_string().as_bytes()).to_hex();
    out.join("export").join(format!("{}-{}", format.as_str(), &hash[..12]))
}

impl ExportOptions {
    /// Returns the options that distinguish one dataset from another, as flags.
    pub(super) fn flags(&self) -> String {
        let splits = self.splits.as_ref().map(|splits| format!(" --split {splits}")).unwrap_or_default();
        let is_csv = self.format == DatasetFormat::ImageFolder && self.metadata == TableFormat::Csv;
        let metadata = if is_csv { " --metadata csv" } else { "" };
        let place = self.place.as_ref().map(|place| format!(" -o {place}")).unwrap_or_default();
        format!("--to {} --caption {}{splits}{metadata}{place}", self.format.as_str(), self.caption)
    }
}
