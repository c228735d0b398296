//! Conversion of an image to another format.
//!
//! An image that cannot be decoded or encoded keeps its format: the user has paid for it.

use std::io::Cursor;
use std::panic::catch_unwind;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageReader, Rgb, RgbImage};

use crate::images::decoders::{DecoderPermit, admit};
use crate::model::outcome::ImageFormat;
use crate::model::output_options::Conversion;

/// Memory limit of a decoder, in bytes. The check has already limited the number of pixels.
const DECODED_BYTES_MAX: u64 = 2 << 30;

/// WebP quality at which compression is lossless.
const LOSSLESS: u8 = 100;

/// Returns whether this build has the encoder of a conversion. The one of lossy WebP is optional.
pub(crate) fn is_available(conversion: Conversion) -> bool {
    cfg!(feature = "webp") || conversion.to != ImageFormat::WebP || conversion.quality.get() == LOSSLESS
}

/// Converts the whole image to another format, upright, with its colour profile if the encoder can write one. `None` if
/// the conversion fails.
pub(crate) fn convert(bytes: &[u8], from: ImageFormat, conversion: Conversion) -> Option<Vec<u8>> {
    // A panic of a decoder must not lose the image.
    catch_unwind(|| {
        let (picture, _admitted) = decode(bytes, from)?;
        encode(picture, conversion)
    })
    .ok()
    .flatten()
}

struct Picture {
    pixels: DynamicImage,
    profile: Option<Vec<u8>>,
}

/// Decodes the picture. Also returns its decoder permit, to hold while the picture is in memory.
fn decode(bytes: &[u8], from: ImageFormat) -> Option<(Picture, DecoderPermit<'static>)> {
    let format = match from {
        ImageFormat::Png => image::ImageFormat::Png,
        ImageFormat::Jpeg => image::ImageFormat::Jpeg,
        ImageFormat::WebP => image::ImageFormat::WebP,
    };
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (profile, orientation) = (decoder.icc_profile().ok()?, decoder.orientation().ok()?);
    let admitted = admit(decoder.total_bytes());
    let mut pixels = DynamicImage::from_decoder(decoder).ok()?;
    pixels.apply_orientation(orientation);
    Some((Picture { pixels, profile }, admitted))
}

fn encode(Picture { pixels, profile }: Picture, Conversion { to, quality }: Conversion) -> Option<Vec<u8>> {
    let (mut out, quality) = (Vec::new(), quality.get());
    match to {
        ImageFormat::Png => {
            let encoder = PngEncoder::new_with_quality(&mut out, CompressionType::Default, FilterType::Adaptive);
            write(encoder, &pixels, profile)?;
        }
        ImageFormat::Jpeg => {
            let pixels = DynamicImage::ImageRgb8(on_white(pixels));
            write(JpegEncoder::new_with_quality(&mut out, quality), &pixels, profile)?;
        }
        ImageFormat::WebP if quality == LOSSLESS => {
            let has_alpha = pixels.color().has_alpha();
            let pixels = if has_alpha { pixels.into_rgba8().into() } else { pixels.into_rgb8().into() };
            write(WebPEncoder::new_lossless(&mut out), &pixels, profile)?;
        }
        #[cfg(feature = "webp")]
        ImageFormat::WebP => {
            let (width, height) = (pixels.width(), pixels.height());
            let memory = if pixels.color().has_alpha() {
                webp::Encoder::from_rgba(&pixels.into_rgba8(), width, height)
                    .encode_simple(false, quality.into())
                    .ok()?
            } else {
                webp::Encoder::from_rgb(&pixels.into_rgb8(), width, height).encode_simple(false, quality.into()).ok()?
            };
            out.extend_from_slice(&memory);
        }
        #[cfg(not(feature = "webp"))]
        ImageFormat::WebP => return None,
    }
    Some(out)
}

fn write(mut encoder: impl ImageEncoder, pixels: &DynamicImage, profile: Option<Vec<u8>>) -> Option<()> {
    if let Some(profile) = profile {
        // Without the profile, the colours are slightly wrong, but the image is usable.
        let _ = encoder.set_icc_profile(profile);
    }
    pixels.write_with_encoder(encoder).ok()
}

/// Converts the picture for JPEG: eight bits per colour, and white in place of transparency.
fn on_white(pixels: DynamicImage) -> RgbImage {
    if !pixels.color().has_alpha() {
        return pixels.into_rgb8();
    }
    let pixels = pixels.into_rgba8();
    let blend = |colour: u8, alpha: u8| {
        let sum = u32::from(colour) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
        u8::try_from((sum + 127) / 255).expect("a mean of two bytes is one")
    };
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0;
        Rgb([red, green, blue].map(|colour| blend(colour, alpha)))
    })
}
