//! Tests of thumbnails of whole, damaged and unusual images: made once, made again only if needed, and removed.

use std::collections::BTreeSet;

use image::{Luma, Rgba, RgbaImage};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::images::local::saved::LocalImages;

/// Output folder with the images of a test.
struct Out(TempDir);

impl Out {
    fn new() -> Self {
        let out = tempfile::tempdir().unwrap();
        fs::create_dir(out.path().join("images")).unwrap();
        Self(out)
    }

    /// Writes an image into the folder and returns its record.
    fn put(&self, name: &str, image: &DynamicImage, codec: Codec) -> Artifact {
        let mut bytes = Cursor::new(vec![]);
        image.write_to(&mut bytes, codec).unwrap();
        let bytes = bytes.into_inner();
        fs::write(self.0.path().join(name), &bytes).unwrap();
        let format = match codec {
            Codec::Png => ImageFormat::Png,
            Codec::Jpeg => ImageFormat::Jpeg,
            _ => ImageFormat::WebP,
        };
        Artifact {
            file_name: name.to_owned(),
            sha256: Sha256::digest(&bytes).into(),
            bytes: bytes.len() as u64,
            width: image.width(),
            height: image.height(),
            format,
        }
    }

    fn thumbnails(&self) -> Thumbnails {
        Thumbnails::open(self.0.path(), Box::new(LocalImages::new(self.0.path()))).unwrap()
    }

    fn path(&self, artifact: &Artifact) -> PathBuf {
        self.0.path().join(FOLDER).join(name(&artifact.sha256))
    }

    fn thumbnail(&self, artifact: &Artifact) -> RgbImage {
        image::open(self.path(artifact)).unwrap().to_rgb8()
    }
}

fn plain(width: u32, height: u32, red: u8) -> DynamicImage {
    RgbImage::from_pixel(width, height, Rgb([red, 128, 40])).into()
}

#[test]
fn the_name_of_a_thumbnail_is_the_first_half_of_the_sha256() {
    let sha256 = std::array::from_fn(|i| u8::try_from(i).unwrap() + 0xa0);
    assert_eq!(name(&sha256), "a0/a1a2a3a4a5a6a7a8a9aaabacadaeaf.jpg");
    assert!(is_name("a0", "a1a2a3a4a5a6a7a8a9aaabacadaeaf.jpg"));
    for (shard, file) in [("a0", "a1.jpg"), ("A0", "a1a2a3a4a5a6a7a8a9aaabacadaeaf.jpg"), ("a0", "readme")] {
        assert!(!is_name(shard, file), "{shard}/{file}");
    }
}

#[test]
fn every_format_becomes_a_small_jpeg_of_the_same_shape_and_colours() {
    let out = Out::new();
    for codec in [Codec::Png, Codec::Jpeg, Codec::WebP] {
        let artifact = out.put("images/a", &plain(1000, 500, 200), codec);
        assert_eq!(out.thumbnails().make(&artifact).unwrap(), Ok(Made::New), "{codec:?}");
        let thumbnail = out.thumbnail(&artifact);
        assert_eq!(thumbnail.dimensions(), (320, 160));
        let Rgb([red, green, blue]) = *thumbnail.get_pixel(100, 80);
        let is_near = |a: u8, b: u8| a.abs_diff(b) < 8;
        assert!(is_near(red, 200) && is_near(green, 128) && is_near(blue, 40), "{red} {green} {blue}");
    }
    let small = out.put("images/b", &plain(64, 48, 1), Codec::Png);
    assert_eq!(out.thumbnails().make(&small).unwrap(), Ok(Made::New));
    assert_eq!(out.thumbnail(&small).dimensions(), (64, 48), "none is made larger than its image");
    let thin = out.put("images/c", &plain(4000, 1, 1), Codec::Png);
    assert_eq!(out.thumbnails().make(&thin).unwrap(), Ok(Made::New));
    assert_eq!(out.thumbnail(&thin).dimensions(), (320, 1));
}

#[test]
fn what_is_let_through_is_white_and_sixteen_bits_become_eight() {
    let out = Out::new();
    let clear = RgbaImage::from_fn(40, 20, |x, _| Rgba([0, 0, 0, if x < 20 { 0 } else { 255 }]));
    let artifact = out.put("images/clear.png", &clear.into(), Codec::Png);
    assert_eq!(out.thumbnails().make(&artifact).unwrap(), Ok(Made::New));
    let thumbnail = out.thumbnail(&artifact);
    assert!(thumbnail.get_pixel(4, 10).0[0] > 245 && thumbnail.get_pixel(35, 10).0[0] < 10);
    let deep = image::ImageBuffer::from_pixel(20, 20, Luma([0xffff_u16]));
    let artifact = out.put("images/deep.png", &DynamicImage::ImageLuma16(deep), Codec::Png);
    assert_eq!(out.thumbnails().make(&artifact).unwrap(), Ok(Made::New));
    assert!(out.thumbnail(&artifact).get_pixel(10, 10).0[0] > 250);
}

/// Goal: a second request decodes no image, and half a thumbnail does not count as one. Method: damage the thumbnail between requests.
#[test]
fn a_thumbnail_is_made_once_and_again_if_it_is_not_whole() {
    let out = Out::new();
    let artifact = out.put("images/a.png", &plain(400, 400, 9), Codec::Png);
    let make = || out.thumbnails().make(&artifact).unwrap();
    assert_eq!(make(), Ok(Made::New));
    let whole = fs::read(out.path(&artifact)).unwrap();
    assert_eq!(make(), Ok(Made::Before));
    for left in [&whole[..whole.len() / 2], &[0; 900], &[]] {
        fs::write(out.path(&artifact), left).unwrap();
        assert_eq!(make(), Ok(Made::New));
        assert_eq!(fs::read(out.path(&artifact)).unwrap(), whole);
    }
    // An existing thumbnail does not need its image.
    fs::remove_file(out.0.path().join("images/a.png")).unwrap();
    assert_eq!(make(), Ok(Made::Before));
}

#[test]
fn a_damaged_image_is_said_to_be_and_gets_none() {
    let out = Out::new();
    let whole = out.put("images/a.png", &plain(400, 400, 9), Codec::Png);
    let make = |artifact: &Artifact| out.thumbnails().make(artifact).unwrap();
    let noise = |bytes: &[u8]| {
        fs::write(out.0.path().join("images/noise.png"), bytes).unwrap();
        let (sha256, bytes) = (Sha256::digest(bytes).into(), bytes.len() as u64);
        Artifact { file_name: "images/noise.png".into(), sha256, bytes, ..whole.clone() }
    };
    assert!(matches!(make(&noise(b"no image")), Err(ThumbnailError::Undecodable(_))));
    let other = Artifact { sha256: [7; 32], ..whole.clone() };
    assert_eq!(make(&other), Err(ThumbnailError::Damaged(Damage::Content)), "a name of what it does not show");
    let absent = Artifact { file_name: "images/b.png".into(), ..whole.clone() };
    assert_eq!(make(&absent), Err(ThumbnailError::Damaged(Damage::Missing)));
    let outside = Artifact { file_name: "../b.png".into(), ..whole.clone() };
    assert_eq!(make(&outside), Err(ThumbnailError::Damaged(Damage::Outside)));
    let vast = Artifact { width: 20_000, height: 20_000, ..whole.clone() };
    assert_eq!(make(&vast), Err(ThumbnailError::TooLarge));
    // A recorded size below the image's size is enforced: decoding takes no more memory than the record allows.
    assert!(matches!(make(&Artifact { width: 100, ..whole.clone() }), Err(ThumbnailError::Undecodable(_))));
    assert!(!out.path(&whole).exists());
    assert_eq!(make(&whole), Ok(Made::New));
}

#[test]
fn nobody_needs_a_thumbnail_for_ever_and_what_others_put_there_stays() {
    let out = Out::new();
    let artifacts: Vec<_> =
        (0..4).map(|i| out.put(&format!("images/{i}.png"), &plain(40, 40, i * 60), Codec::Png)).collect();
    let thumbnails = out.thumbnails();
    for artifact in &artifacts {
        assert_eq!(thumbnails.make(artifact).unwrap(), Ok(Made::New));
    }
    let folder = out.path(&artifacts[0]).parent().unwrap().to_owned();
    let (note, partial) = (folder.join("note.txt"), folder.join(".partial-1-1"));
    fs::write(&note, "mine").unwrap();
    fs::write(&partial, "").unwrap();
    let needed: BTreeSet<_> = artifacts[2..].iter().map(|artifact| name(&artifact.sha256)).collect();
    let prune = || thumbnails.prune(|name| needed.contains(name)).unwrap();
    assert_eq!((prune(), prune()), (2, 0));
    let left: Vec<_> = artifacts.iter().map(|artifact| out.path(artifact).exists()).collect();
    assert_eq!(left, [false, false, true, true]);
    assert!(note.exists() && partial.exists(), "another process may be writing it");
    let long_ago = std::time::UNIX_EPOCH;
    File::options().write(true).open(&partial).unwrap().set_modified(long_ago).unwrap();
    assert_eq!((prune(), partial.exists()), (1, false));
    assert!(!out.path(&artifacts[1]).parent().unwrap().exists(), "an empty folder goes");
}

#[cfg(unix)]
#[test]
fn no_thumbnail_leaves_the_output_folder() {
    let (out, elsewhere) = (Out::new(), tempfile::tempdir().unwrap());
    let artifact = out.put("images/a.png", &plain(40, 40, 9), Codec::Png);
    std::os::unix::fs::symlink(elsewhere.path(), out.0.path().join(FOLDER)).unwrap();
    assert!(matches!(
        Thumbnails::open(out.0.path(), Box::new(LocalImages::new(out.0.path()))),
        Err(StoreError::Link { .. })
    ));
    fs::remove_file(out.0.path().join(FOLDER)).unwrap();
    let thumbnails = out.thumbnails();
    std::os::unix::fs::symlink(elsewhere.path(), out.path(&artifact).parent().unwrap()).unwrap();
    assert!(matches!(thumbnails.make(&artifact), Err(StoreError::Link { .. })));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
