//! Options of an export, and those of them that distinguish one dataset from another.

use std::path::PathBuf;

use crate::report::dataset::DatasetFormat;
use crate::report::dataset::metadata::TableFormat;
use crate::report::dataset::split::Splits;

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

impl ExportOptions {
    /// Returns the options that distinguish one dataset from another, as flags.
    pub(super) fn flags(&self) -> String {
        let splits = self.splits.as_ref().map(|splits| format!(" --split {splits}")).unwrap_or_default();
        let is_csv = self.format == DatasetFormat::ImageFolder && self.metadata == TableFormat::Csv;
        let metadata = if is_csv { " --metadata csv" } else { "" };
        format!("--to {} --caption {}{splits}{metadata}", self.format.as_str(), self.caption)
    }
}
