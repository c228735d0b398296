//! Thumbnails: small JPEGs of the images of a run, each made once and removed when no longer needed.
//!
//! The name of a thumbnail belongs to one image only.

use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{Cursor, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat as Codec, ImageReader, Limits, Rgb, RgbImage};

use crate::fsio::temp_file::TempFile;
use crate::images::SavedImages;
use crate::images::decoders::admit;
use crate::images::error::{StoreError, at};
use crate::images::local::folders::Folders;
use crate::images::verify::Damage;
use crate::model::outcome::{Artifact, ImageFormat};

/// Folder of the thumbnails, below the output folder. Its 256 subfolders hold few files each, even for a million images.
pub(crate) const FOLDER: &str = "gallery";

/// Longer side of a thumbnail, in pixels.
const SIDE_MAX: u32 = 320;

/// JPEG quality, from 1 to 100.
const QUALITY: u8 = 80;

/// Maximum number of pixels of an image with a thumbnail. Decoding takes four bytes per pixel.
const PIXELS_MAX: u64 = 100_000_000;

/// Maximum length of an image with a thumbnail, in bytes.
const BYTES_MAX: u64 = 256 << 20;

/// Age at which a half-written file of a killed process is removed.
const STALE_AGE: Duration = Duration::from_secs(3600);

/// Prefix of the names of half-written files.
const PARTIAL: &str = ".partial-";

/// Returns the name of an image's thumbnail, below [`FOLDER`]: `ab/cd…ef.jpg`, the first half of its SHA-256. Other
/// programs compute the name from the SHA-256 too, so it must not change.
pub(crate) fn name(sha256: &[u8; 32]) -> String {
    let mut name = String::with_capacity(37);
    for (i, byte) in sha256[..16].iter().enumerate() {
        name.push_str(if i == 1 { "/" } else { "" });
        write!(name, "{byte:02x}").expect("a string takes any text");
    }
    name + ".jpg"
}

/// Result of a successful request for a thumbnail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// Thumbnail made by this request.
    New,
    /// Thumbnail that existed before.
    Before,
}

/// Reason why an image has no thumbnail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThumbnailError {
    /// Image file that differs from its record.
    Damaged(Damage),
    /// Image with too many bytes or pixels to be held in memory.
    TooLarge,
    /// Image file that matches its record but cannot be decoded, with the decoder's message.
    Undecodable(String),
}

impl fmt::Display for ThumbnailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(damage) => damage.fmt(f),
            Self::TooLarge => write!(f, "more than {} megapixels or {} MiB", PIXELS_MAX / 1_000_000, BYTES_MAX >> 20),
            Self::Undecodable(why) => write!(f, "cannot be decoded: {why}"),
        }
    }
}

/// Thumbnails of one output folder. Any number of threads may make thumbnails at once.
pub(crate) struct Thumbnails {
    images: Box<dyn SavedImages>,
    out: PathBuf,
    folders: Folders,
    n_written: AtomicU64,
}

impl Thumbnails {
    /// Opens the thumbnails below `out`, which must exist. They are made from `images`.
    pub(crate) fn open(out: &Path, images: Box<dyn SavedImages>) -> Result<Self, StoreError> {
        let folders = Folders::open(out)?;
        folders.make(FOLDER)?;
        Ok(Self { images, out: out.to_owned(), folders, n_written: AtomicU64::new(0) })
    }

    /// Makes the thumbnail of an image, unless it exists. The outer error is a failure of the local disk.
    pub(crate) fn make(&self, artifact: &Artifact) -> Result<Result<Made, ThumbnailError>, StoreError> {
        let name = name(&artifact.sha256);
        let (shard, file) = name.split_once('/').expect("it is in a folder");
        let path = self.out.join(FOLDER).join(shard).join(file);
        if is_whole(&path) {
            return Ok(Ok(Made::Before));
        }
        let jpeg = match shrink(&*self.images, artifact) {
            Ok(jpeg) => jpeg,
            Err(why) => return Ok(Err(why)),
        };
        let folder = self.folders.make(&format!("{FOLDER}/{shard}"))?;
        let n = self.n_written.fetch_add(1, Ordering::Relaxed);
        let partial = folder.join(format!("{PARTIAL}{}-{n}", std::process::id()));
        // The rest of a failed write is removed: it may be what fills the disk.
        let write = || {
            let mut file = TempFile::create_anew(partial)?;
            file.write_all(&jpeg)?;
            file.rename_over(&path)
        };
        write().map_err(at("write", &path)).map(|()| Ok(Made::New))
    }

    /// Removes thumbnails whose names are not needed, and half-written files of killed processes. Other files stay.
    /// Returns the number of removed files.
    pub(crate) fn prune(&self, is_needed: impl Fn(&str) -> bool) -> Result<u64, StoreError> {
        let folder = self.folders.make(FOLDER)?;
        let mut n_removed = 0;
        for shard in entries(&folder)? {
            let shard = shard.to_string_lossy().into_owned();
            let path = folder.join(&shard);
            let is_shard = shard.len() == 2 && fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
            for file in if is_shard { entries(&path)? } else { vec![] } {
                let (path, file) = (path.join(&file), file.to_string_lossy().into_owned());
                let is_over = match file.strip_prefix(PARTIAL) {
                    Some(_) => is_stale(&path),
                    None => is_name(&shard, &file) && !is_needed(&format!("{shard}/{file}")),
                };
                if is_over {
                    fs::remove_file(&path).map_err(at("remove", &path))?;
                    n_removed += 1;
                }
            }
            if is_shard {
                // The folder is removed only if it is empty.
                let _ = fs::remove_dir(&path);
            }
        }
        Ok(n_removed)
    }
}

fn shrink(images: &dyn SavedImages, artifact: &Artifact) -> Result<Vec<u8>, ThumbnailError> {
    let pixels = u64::from(artifact.width) * u64::from(artifact.height);
    if pixels > PIXELS_MAX || artifact.bytes > BYTES_MAX {
        return Err(ThumbnailError::TooLarge);
    }
    let bytes = images.read(artifact).map_err(ThumbnailError::Damaged)?;
    encode(&bytes, artifact).map_err(|error| ThumbnailError::Undecodable(error.to_string()))
}

/// Returns whether a folder and a file have the form that [`name`] gives them.
fn is_name(shard: &str, file: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    file.strip_suffix(".jpg").is_some_and(|stem| stem.len() == 30 && is_hex(stem)) && is_hex(shard)
}

fn is_stale(path: &Path) -> bool {
    let age = fs::symlink_metadata(path).and_then(|found| found.modified()).map(|made| made.elapsed());
    matches!(age, Ok(Ok(age)) if age > STALE_AGE)
}

fn entries(folder: &Path) -> Result<Vec<std::ffi::OsString>, StoreError> {
    let names = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    match names {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(vec![]),
        names => names.map_err(at("read", folder)),
    }
}

/// Returns whether a thumbnail is complete to its end marker. No thumbnail is synced, and a power loss can leave a file
/// of zeros under the right name.
fn is_whole(path: &Path) -> bool {
    let read_end = || {
        let mut end = [0; 2];
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-2))?;
        file.read_exact(&mut end).map(|()| end)
    };
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) && read_end().is_ok_and(|end| end == [0xff, 0xd9])
}

/// Encodes the image as a small JPEG: upright as its file says, and with white in place of transparency.
fn encode(bytes: &[u8], artifact: &Artifact) -> Result<Vec<u8>, ImageError> {
    let codec = match artifact.format {
        ImageFormat::Png => Codec::Png,
        ImageFormat::Jpeg => Codec::Jpeg,
        ImageFormat::WebP => Codec::WebP,
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(PIXELS_MAX * 8);
    // The file matches its record, so its pixels are as many as recorded.
    (limits.max_image_width, limits.max_image_height) = (Some(artifact.width), Some(artifact.height));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), codec);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let _admitted = admit(decoder.total_bytes());
    let mut image = DynamicImage::from_decoder(decoder)?;
    if image.color().has_alpha() {
        image = on_white(image).into();
    }
    if image.width().max(image.height()) > SIDE_MAX {
        image = image.thumbnail(SIDE_MAX, SIDE_MAX);
    }
    image.apply_orientation(orientation);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&image.to_rgb8())?;
    Ok(jpeg)
}

fn on_white(image: DynamicImage) -> RgbImage {
    let image = image.into_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(u32::from);
        let over = |part: u32| u8::try_from((part * alpha + 255 * (255 - alpha) + 127) / 255).unwrap_or(u8::MAX);
        Rgb([over(red), over(green), over(blue)])
    })
}

#[cfg(test)]
mod tests;
