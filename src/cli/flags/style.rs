//! Flags for stored images: names, formats, embedded metadata and sidecar files.

use std::num::NonZeroU8;

use clap::{Args, ValueEnum};

use crate::model::name::template::NameTemplate;
use crate::model::outcome::ImageFormat;
use crate::model::output_options::{OutputOptions, OutputOverrides, Sidecar};

/// How the images are kept. What is not said is as in the first run into the same folder.
#[derive(Debug, Args)]
pub(crate) struct StyleArgs {
    /// Names of the image files, without their extension: letters, digits, `-`, `_`, `/` between folders, and in braces `index`,
    /// `row`, `id`, `task_id`, `slug`, `prompt`, `time`, `date`, `provider`, `model`, `size`, `seed`, `steps`, `guidance`, `n`, or a column of the manifest:
    /// `{category}/{index}`. `{index:06}` pads with zeros, `{slug:40}` truncates. Times are of the submission, in UTC. The template
    /// cannot change once there are images [default: {index:06}-{slug}]
    #[arg(long, value_name = "TEMPLATE", env = "PROMPTBATCH_NAME")]
    name: Option<NameTemplate>,

    /// Convert every image to this format [default: keep]
    #[arg(long, value_name = "FORMAT", env = "PROMPTBATCH_IMAGE_FORMAT")]
    image_format: Option<FormatArg>,

    /// JPEG/WebP quality, from 1 to 100 [default: 90]
    #[arg(long, value_name = "N", value_parser = quality, env = "PROMPTBATCH_IMAGE_QUALITY")]
    image_quality: Option<NonZeroU8>,

    /// Write a file beside every image, with the same name and another extension [default: none]
    #[arg(long, value_name = "KIND", env = "PROMPTBATCH_SIDECAR")]
    sidecar: Option<SidecarArg>,

    /// Embed the prompt and the parameters in every image, where other programs read them: PNG text, or EXIF [default: on]
    #[arg(long, value_name = "on|off", env = "PROMPTBATCH_METADATA")]
    metadata: Option<OnOff>,
}

impl StyleArgs {
    /// Warns of a quality that images with this style do not have. `None` if there is nothing to warn of.
    pub(crate) fn idle_quality_words(&self, style: &OutputOptions) -> Option<String> {
        let quality = self.image_quality?;
        let why = match style.postprocess.format.map(|conversion| conversion.to) {
            Some(ImageFormat::Jpeg | ImageFormat::WebP) => return None,
            Some(ImageFormat::Png) => "PNG is lossless",
            None => "the images are kept as they come",
        };
        Some(format!(
            "warning: --image-quality {quality} has no effect: {why}; add --image-format jpeg or webp, or leave it out"
        ))
    }

    pub(crate) fn overrides(&self) -> OutputOverrides {
        OutputOverrides {
            naming: self.name.clone(),
            format: self.image_format.map(|format| match format {
                FormatArg::Keep => None,
                FormatArg::Png => Some(ImageFormat::Png),
                FormatArg::Jpeg => Some(ImageFormat::Jpeg),
                FormatArg::Webp => Some(ImageFormat::WebP),
            }),
            quality: self.image_quality,
            has_metadata: self.metadata.map(|metadata| match metadata {
                OnOff::On => true,
                OnOff::Off => false,
            }),
            sidecar: self.sidecar.map(|sidecar| match sidecar {
                SidecarArg::None => None,
                SidecarArg::Txt => Some(Sidecar::Txt),
                SidecarArg::Json => Some(Sidecar::Json),
            }),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    /// The bytes from the API, unchanged
    Keep,
    /// PNG, lossless
    Png,
    /// JPEG; transparency becomes white
    #[value(alias = "jpg")]
    Jpeg,
    /// WebP, lossless at 100; below that, only in a build with the feature `webp`
    Webp,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SidecarArg {
    /// Nothing
    None,
    /// The prompt on one line, as training scripts read it
    Txt,
    /// Everything that the image was made from
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnOff {
    On,
    Off,
}

fn quality(text: &str) -> Result<NonZeroU8, String> {
    let quality = text.parse::<NonZeroU8>().ok().filter(|quality| quality.get() <= 100);
    quality.ok_or_else(|| "a quality is a number from 1 to 100".to_owned())
}
