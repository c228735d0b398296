//! How images are kept: what they are called, what they are made into, and what is written into and beside them.

use std::num::NonZeroU8;

use crate::model::name::template::Template;
use crate::model::outcome::ImageFormat;

/// How the images of a run are kept. The ledger knows it, so that a resumed run, a retry and a repair keep them alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// What they are called.
    pub naming: Template,
    /// What else is done with them.
    pub making: Making,
}

impl Default for Style {
    /// Readable names, and pictures that tell their prompts.
    fn default() -> Self {
        Self { naming: Template::default(), making: Making { has_metadata: true, ..Making::default() } }
    }
}

/// What is done with an image before it gets its name. The default is nothing: its bytes stay as they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Making {
    /// What every image is made into; one that has that format already is not touched, nor is one that cannot be decoded.
    pub format: Option<Conversion>,
    /// Whether prompt and parameters are written into it, as PNG text or EXIF.
    pub has_metadata: bool,
    /// What is written beside it.
    pub sidecar: Option<Sidecar>,
}

impl Making {
    /// What an image of this format is made into.
    pub fn conversion(&self, from: ImageFormat) -> Option<Conversion> {
        self.format.filter(|conversion| conversion.to != from)
    }
}

/// What an image is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The format.
    pub to: ImageFormat,
    /// From 1 to 100, for formats that lose something: PNG does not.
    pub quality: NonZeroU8,
}

/// A file beside each image, with its name and another extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sidecar {
    /// The prompt, as those who train on captions want it.
    Txt,
    /// All of what the image was made from.
    Json,
}

impl Sidecar {
    /// Its extension.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Json => "json",
        }
    }
}

/// What a user says of the style; what is left open is as it was in the first run, or else as it is by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StyleWish {
    /// What images are called.
    pub naming: Option<Template>,
    /// What they are made into; the inner nothing is to leave them as they come.
    pub format: Option<Option<Conversion>>,
    /// Whether prompt and parameters are written into them.
    pub has_metadata: Option<bool>,
    /// What is written beside them; the inner nothing is nothing.
    pub sidecar: Option<Option<Sidecar>>,
}

impl StyleWish {
    /// The style that keeps to this wish, and in all else to `before`.
    pub fn or(&self, before: &Style) -> Style {
        Style {
            naming: self.naming.clone().unwrap_or_else(|| before.naming.clone()),
            making: Making {
                format: self.format.unwrap_or(before.making.format),
                has_metadata: self.has_metadata.unwrap_or(before.making.has_metadata),
                sidecar: self.sidecar.unwrap_or(before.making.sidecar),
            },
        }
    }
}
