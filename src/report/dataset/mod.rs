//! Datasets for trainers, written so that the libraries they use load them as they are: what one image is told by, and the files that
//! hold many.
//!
//! Everything here writes to what it is given and asks no disk; `run::export` joins it with a ledger and its images.
//!
//! | file | what it is for |
//! |---|---|
//! | [`record`] | the columns of a dataset, and an image's values in them |
//! | [`split`] | which of `train`, `test` and so on an image belongs to |
//! | [`metadata`] | `metadata.jsonl` or `metadata.csv` of an image folder |
//! | [`webdataset`] | tar shards |
//! | `parquet` | Parquet shards, with the images in them |

pub mod metadata;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod record;
pub mod split;
pub mod webdataset;

/// What a dataset is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Files and a table of them, as Hugging Face's `datasets` loads it by the name `imagefolder`.
    ImageFolder,
    /// Tar archives, read from one end to the other by `webdataset`.
    WebDataset,
    /// Every image with a text of the same name beside it, as kohya's scripts and others train on.
    Captions,
    /// Parquet with the images in it, as `datasets` and the Hub show them.
    Parquet,
}

impl Format {
    /// The word for it, and the folder that it goes to unless another is named.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ImageFolder => "imagefolder",
            Self::WebDataset => "webdataset",
            Self::Captions => "captions",
            Self::Parquet => "parquet",
        }
    }

    /// Whether many images are in one file, which is written once and stays as it is.
    pub const fn is_sharded(self) -> bool {
        match self {
            Self::WebDataset | Self::Parquet => true,
            Self::ImageFolder | Self::Captions => false,
        }
    }
}
