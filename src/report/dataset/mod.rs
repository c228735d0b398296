//! Datasets for training, in formats that the common libraries load directly.
//!
//! A dataset has a record for each image, and files that hold many images.
//!
//! All code here writes to a given writer and accesses no disk. `run::export` combines it with a ledger and its images.
//!
//! | file | what it is for |
//! |---|---|
//! | [`card`] | `README.md` of a dataset |
//! | [`caption`] | captions by template |
//! | [`column_form`], [`column_use`] | forms in which loaders infer one type for a column |
//! | `column_names` | names of the manifest's columns, as loaders accept them |
//! | [`record`] | columns of a dataset, and the values of an image in them |
//! | [`split`] | which of `train`, `test` and so on an image belongs to |
//! | [`metadata`] | `metadata.jsonl` or `metadata.csv` of an image folder |
//! | `webdataset` | tar shards |
//! | `parquet` | Parquet shards that contain the images |

pub(crate) mod caption;
pub(crate) mod card;
pub(crate) mod column_form;
mod column_names;
pub(crate) mod column_use;
pub(crate) mod metadata;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
pub(crate) mod record;
pub(crate) mod split;
mod timestamps;
pub(crate) mod webdataset;

/// Format of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetFormat {
    /// Image files and a table of them. Hugging Face's `datasets` loads it by the name `imagefolder`.
    ImageFolder,
    /// Tar archives, read sequentially by `webdataset`.
    WebDataset,
    /// Image files, each with a text file of the same name, for kohya's scripts and others.
    Captions,
    /// Parquet files that contain the images, as `datasets` and the Hub show them.
    Parquet,
}

impl DatasetFormat {
    /// Returns the name of the format, which is also the name of its default output folder.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImageFolder => "imagefolder",
            Self::WebDataset => "webdataset",
            Self::Captions => "captions",
            Self::Parquet => "parquet",
        }
    }

    /// Reports whether one file holds many images. Such a file is written once and not changed afterwards.
    pub const fn is_sharded(self) -> bool {
        match self {
            Self::WebDataset | Self::Parquet => true,
            Self::ImageFolder | Self::Captions => false,
        }
    }
}
