//! Output options of images: their names, their conversion, and what is written into them and into sidecar files.

use std::num::NonZeroU8;

use crate::model::name::template::NameTemplate;
use crate::model::outcome::ImageFormat;

/// Output options of the images of a run. The ledger stores them, so that a resumed run, a retry and a repair apply the same ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputOptions {
    /// Template of the file names.
    pub naming: NameTemplate,
    /// Post-processing of the images.
    pub postprocess: PostProcessing,
}

impl Default for OutputOptions {
    /// Selects readable names, and images that contain their prompts.
    fn default() -> Self {
        Self {
            naming: NameTemplate::default(),
            postprocess: PostProcessing { has_metadata: true, ..PostProcessing::default() },
        }
    }
}

/// Post-processing of an image before it gets its name. By default there is none, and the bytes stay as they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostProcessing {
    /// Conversion of every image; `None` means none. An image is not changed if it already has that format or cannot be decoded.
    pub format: Option<Conversion>,
    /// Says whether prompt and parameters are written into the image, as PNG text or EXIF.
    pub has_metadata: bool,
    /// Sidecar file of each image; `None` means none.
    pub sidecar: Option<Sidecar>,
}

impl PostProcessing {
    /// Returns the conversion of an image of this format; `None` if the image stays as it is.
    pub fn conversion(&self, from: ImageFormat) -> Option<Conversion> {
        self.format.filter(|conversion| conversion.to != from)
    }
}

/// Quality of lossy formats unless another one is chosen.
pub const DEFAULT_QUALITY: NonZeroU8 = NonZeroU8::new(90).expect("it is not zero");

/// Conversion of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// Target format.
    pub to: ImageFormat,
    /// Quality from 1 to 100, for formats that are lossy: PNG is not.
    pub quality: NonZeroU8,
}

/// Sidecar file of each image, with the name of the image and another extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sidecar {
    /// Prompt, in the form that training on captions requires.
    Txt,
    /// All data from which the image was made.
    Json,
}

impl Sidecar {
    /// Returns the file extension.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Json => "json",
        }
    }
}

/// User's choice of output options. What is left open stays as in the first run, or else has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputOverrides {
    /// Template of the file names; `None` if it is left open.
    pub naming: Option<NameTemplate>,
    /// Format that images are converted to; `None` if it is left open, and an inner `None` to leave images as they come.
    pub format: Option<Option<ImageFormat>>,
    /// Quality from 1 to 100 of a lossy format; `None` if it is left open.
    pub quality: Option<NonZeroU8>,
    /// Says whether prompt and parameters are written into images; `None` if it is left open.
    pub has_metadata: Option<bool>,
    /// Sidecar file; `None` if it is left open, and an inner `None` for no file.
    pub sidecar: Option<Option<Sidecar>>,
}

impl OutputOverrides {
    /// Returns the options of this choice, and for all that is left open those of `before`.
    pub fn or(&self, before: &OutputOptions) -> OutputOptions {
        let format_before = before.postprocess.format;
        let quality = self.quality.or(format_before.map(|before| before.quality)).unwrap_or(DEFAULT_QUALITY);
        let format = self.format.unwrap_or(format_before.map(|before| before.to));
        OutputOptions {
            naming: self.naming.clone().unwrap_or_else(|| before.naming.clone()),
            postprocess: PostProcessing {
                format: format.map(|to| Conversion { to, quality }),
                has_metadata: self.has_metadata.unwrap_or(before.postprocess.has_metadata),
                sidecar: self.sidecar.unwrap_or(before.postprocess.sidecar),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what a later command leaves open stays, the quality of a format too. Method: every choice over a run that makes JPEG of 50.
    #[test]
    fn what_is_left_open_stays() {
        let quality = |n| NonZeroU8::new(n).unwrap();
        let to = |to, n| Some(Conversion { to, quality: quality(n) });
        let mut before = OutputOptions::default();
        let make = |format, quality, before: &OutputOptions| {
            OutputOverrides { format, quality, ..OutputOverrides::default() }.or(before).postprocess.format
        };
        let jpeg = Some(Some(ImageFormat::Jpeg));
        assert_eq!(make(jpeg, None, &before), to(ImageFormat::Jpeg, 90));
        assert_eq!(make(None, Some(quality(50)), &before), None);
        before.postprocess.format = to(ImageFormat::Jpeg, 50);
        for (format, n, expected) in [
            (None, None, to(ImageFormat::Jpeg, 50)),
            (jpeg, None, to(ImageFormat::Jpeg, 50)),
            (None, Some(70), to(ImageFormat::Jpeg, 70)),
            (Some(Some(ImageFormat::WebP)), Some(100), to(ImageFormat::WebP, 100)),
            (Some(None), Some(70), None),
        ] {
            assert_eq!(make(format, n.map(quality), &before), expected, "{format:?} {n:?}");
        }
        assert_eq!(OutputOverrides::default().or(&before), before);
    }
}
