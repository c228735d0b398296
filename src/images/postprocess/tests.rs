//! Tests of post-processing: every result is a whole image, carries its metadata, and is the same file every time.

use std::collections::BTreeMap;
use std::fs;

use futures::{StreamExt, stream};
use image::GenericImageView;
use tempfile::TempDir;

use super::*;
use crate::images::local::LocalStore;
use crate::images::validate::fixtures::{
    JPEG_BASELINE, JPEG_PROGRESSIVE, WEBP_ALPHA, WEBP_ANIMATED, WEBP_LOSSLESS, WEBP_LOSSY, bytes, png,
};
use crate::images::validate::inspect;
use crate::images::validate::verdict::CheckLimits;
use crate::images::{ImageStore, IncomingImage};
use crate::model::job::{Job, JobId, ManifestRow};
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, TaskId};
use crate::model::output_options::{Conversion, PostProcessing};
use crate::model::request::Request;

/// Quality at which every build can write every format.
const QUALITY: u8 = if cfg!(feature = "webp") { 90 } else { 100 };

const PROMPT: &str = "一只金色的猫\nwith \"quotes\" 🐈";

fn origin(prompt: &str) -> Provenance {
    let request = Request {
        prompt: prompt.into(),
        model: "Qwen/Qwen-Image".into(),
        negative_prompt: Some("blurry".into()),
        size: Some("1024x768".parse().unwrap()),
        seed: Some(42),
        ..Request::default()
    };
    let id = JobId::new(&request.content(), 0);
    let extras = vec![("artist".to_owned(), "Ada, L.".to_owned())];
    let job = Job { id, index: 1, label: None, request, extras, row: ManifestRow::default() };
    Provenance { task: Some(TaskId("5075521".into())), ..Provenance::of_job(job) }
}

/// Returns one image of each kind.
fn samples() -> Vec<Vec<u8>> {
    let webp = [WEBP_LOSSY, WEBP_LOSSLESS, WEBP_ALPHA, WEBP_ANIMATED].map(bytes);
    [png(9, 7, 1), bytes(JPEG_BASELINE), bytes(JPEG_PROGRESSIVE)].into_iter().chain(webp).collect()
}

fn checked(bytes: &[u8]) -> Checked {
    inspect(bytes, &CheckLimits::default()).unwrap().unwrap_or_else(|why| panic!("{why}"))
}

fn pixels(bytes: &[u8]) -> image::DynamicImage {
    image::load_from_memory(bytes).unwrap()
}

fn tagged(bytes: &[u8], prompt: &str) -> Vec<u8> {
    let mut tagged = bytes.to_vec();
    assert!(tag(checked(bytes).format, &mut tagged, &origin(prompt)));
    tagged
}

/// Goal: metadata changes no pixel, damages no image, and is present once.
#[test]
fn every_format_takes_the_words_and_stays_the_image_that_it_was() {
    for before in samples() {
        let after = tagged(&before, PROMPT);
        let (was, is) = (checked(&before), checked(&after));
        assert_eq!((is.format, is.width, is.height), (was.format, was.width, was.height));
        assert_eq!(pixels(&after), pixels(&before));
        let utf16: Vec<u8> = PROMPT.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let words = if was.format == ImageFormat::Png { PROMPT.as_bytes() } else { &utf16 };
        let n_found = after.windows(words.len()).filter(|window| *window == words).count();
        assert_eq!(n_found, 1, "{:?}", was.format);
        if was.format != ImageFormat::Png {
            let mut again = after.clone();
            assert!(!tag(was.format, &mut again, &origin("another")), "an image keeps the EXIF that it has");
            assert_eq!(again, after);
        }
    }
}

#[test]
fn words_of_any_length_fit_where_they_go() {
    for prompt in ["", "a", "ab\0c", &"猫".repeat(40_000), &"𠀀x".repeat(40_000)] {
        for before in samples() {
            assert_eq!(pixels(&tagged(&before, prompt)), pixels(&before));
        }
    }
}

#[test]
fn what_is_no_image_is_left_alone() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        for head in samples().iter().flat_map(|sample| (0..40).map(|n| &sample[..n.min(sample.len())])) {
            let mut bytes = head.to_vec();
            if !tag(format, &mut bytes, &origin("x")) {
                assert_eq!(bytes, head);
            }
        }
    }
}

#[test]
fn the_words_are_those_that_other_programs_look_for() {
    let mut origin = origin("a cat");
    let job = Job {
        request: Request { steps: Some(30), guidance: Some(3.5), ..origin.job.request.clone() },
        ..(*origin.job).clone()
    };
    origin.job = job.into();
    let tags = EmbeddedMetadata::of(&origin);
    insta::assert_snapshot!(tags.parameters, @r"
    a cat
    Negative prompt: blurry
    Steps: 30, CFG scale: 3.5, Seed: 42, Size: 1024x768, Model: Qwen/Qwen-Image
    ");
    let image = checked(&png(9, 7, 1));
    insta::assert_snapshot!(beside(Sidecar::Json, &origin, &image), @r#"
    {
      "columns": {
        "artist": "Ada, L."
      },
      "guidance": 3.5,
      "height": 7,
      "id": "85b05843633b7854ae21",
      "model": "Qwen/Qwen-Image",
      "negative_prompt": "blurry",
      "prompt": "a cat",
      "seed": 42,
      "size": "1024x768",
      "steps": 30,
      "task_id": "5075521",
      "width": 9
    }
    "#);
    assert_eq!(beside(Sidecar::Txt, &self::origin(" two\r\n\nlines "), &image), "two lines\n");
}

fn conversion(to: ImageFormat, quality: u8) -> Conversion {
    Conversion { to, quality: quality.try_into().unwrap() }
}

#[test]
fn every_format_becomes_every_other() {
    for before in samples() {
        let from = checked(&before);
        for to in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            for quality in [1, 90, 100].into_iter().filter(|quality| is_available(conversion(to, *quality))) {
                let made = convert(&before, from.format, conversion(to, quality)).unwrap();
                let is = checked(&made);
                assert_eq!((is.format, is.width, is.height), (to, from.width, from.height));
                assert_eq!(
                    convert(&before, from.format, conversion(to, quality)).unwrap(),
                    made,
                    "the same every time"
                );
            }
        }
        let lossless = [(ImageFormat::Png, 1), (ImageFormat::WebP, 100)];
        for (to, quality) in lossless {
            let made = convert(&before, from.format, conversion(to, quality)).unwrap();
            assert_eq!(pixels(&made).into_rgba8(), pixels(&before).into_rgba8(), "{:?} to {to:?}", from.format);
        }
    }
}

#[test]
fn quality_tells() {
    let noise = png(200, 200, 1);
    for to in [ImageFormat::Jpeg, ImageFormat::WebP] {
        if !is_available(conversion(to, 10)) {
            continue;
        }
        let size = |quality| convert(&noise, ImageFormat::Png, conversion(to, quality)).unwrap().len();
        assert!(size(10) * 2 < size(95), "{to:?}: {} and {} bytes", size(10), size(95));
    }
}

#[test]
fn what_is_transparent_becomes_white() {
    let clear = image::RgbaImage::from_pixel(4, 4, image::Rgba([255, 0, 0, 0]));
    let mut png = std::io::Cursor::new(vec![]);
    clear.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let jpeg = convert(png.get_ref(), ImageFormat::Png, conversion(ImageFormat::Jpeg, 90)).unwrap();
    assert_eq!(pixels(&jpeg).get_pixel(1, 1).0, [255; 4]);
}

#[test]
fn what_cannot_be_decoded_stays_what_it_is() {
    // The image uses arithmetic coding, which libjpeg supports and the decoder used here does not.
    let parts = [
        &b"\xff\xd8\xff\xdb\0\x43\0"[..],
        &[1; 64],
        b"\xff\xc9\0\x0b\x08\0\x02\0\x03\x01\x01\x11\0",
        b"\xff\xda\0\x08\x01\x01\0\0\x3f\0data\xff\xd9",
    ];
    let unknown = parts.concat();
    checked(&unknown);
    assert_eq!(convert(&unknown, ImageFormat::Jpeg, conversion(ImageFormat::Png, 90)), None);
    let postprocess = PostProcessing { format: Some(conversion(ImageFormat::Png, 90)), ..PostProcessing::default() };
    let (artifact, files) = saved(postprocess, std::slice::from_ref(&unknown));
    assert_eq!(files[&artifact[0].file_name], unknown);
}

/// Goal: the limit applies to received bytes. Metadata of this program does not make a paid image too long.
#[tokio::test]
async fn an_image_of_just_the_length_that_is_taken_gets_its_words_too() {
    for body in samples().into_iter().chain([png(400, 400, 1)]) {
        let out = TempDir::new().unwrap();
        let limits = CheckLimits { bytes_max: body.len() as u64, ..CheckLimits::default() };
        let postprocess = PostProcessing { has_metadata: true, ..PostProcessing::default() };
        let store = LocalStore::open_with(out.path(), limits, postprocess).unwrap();
        let name = || ImageName::new(origin("a cat"), 1);
        let artifact = save(&store, name(), &body).await;
        assert!(artifact.bytes > body.len() as u64, "{:?}", artifact.format);
        assert_eq!(save(&store, name(), &body).await, artifact, "and the same again is the same file");
    }
}

/// Saves each body for a separate job with the same image name. Returns the reported artifacts and the files on disk.
#[tokio::main(flavor = "current_thread")]
async fn saved(postprocess: PostProcessing, bodies: &[Vec<u8>]) -> (Vec<Artifact>, BTreeMap<String, Vec<u8>>) {
    let out = TempDir::new().unwrap();
    let store = LocalStore::open_with(out.path(), CheckLimits::default(), postprocess).unwrap();
    let mut artifacts = vec![];
    for (n, body) in bodies.iter().enumerate() {
        let job = (*origin(&format!("cat {n}")).job).clone();
        let name =
            "cat".parse::<crate::model::name::template::NameTemplate>().unwrap().name(Provenance::of_job(job), 1);
        artifacts.push(save(&store, name, body).await);
    }
    let files = fs::read_dir(out.path().join("images")).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        (format!("images/{name}"), fs::read(out.path().join("images").join(&name)).unwrap())
    });
    (artifacts, files.collect())
}

async fn save(store: &LocalStore, name: ImageName, body: &[u8]) -> Artifact {
    let pieces: Vec<_> = body.chunks(1000).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
    store.save(name, IncomingImage::whole(stream::iter(pieces).boxed())).await.unwrap().unwrap()
}

/// Goal: the record matches the file on disk, for all post-processing of short and long images. A repetition gives the same file.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn every_making_is_recorded_as_it_is_on_disk() {
    let long = png(400, 400, 1);
    assert!(long.len() > 300_000, "longer than what is gathered in memory");
    let bodies: Vec<_> = samples().into_iter().chain([long]).collect();
    let formats = [None, Some(ImageFormat::Png), Some(ImageFormat::Jpeg), Some(ImageFormat::WebP)];
    for format in formats {
        for (has_metadata, sidecar) in [(false, None), (true, Some(Sidecar::Txt)), (true, Some(Sidecar::Json))] {
            let postprocess =
                PostProcessing { format: format.map(|to| conversion(to, QUALITY)), has_metadata, sidecar };
            for body in &bodies {
                let (artifacts, files) = saved(postprocess, &[body.clone(), body.clone()]);
                for artifact in &artifacts {
                    let is = checked(&files[&artifact.file_name]);
                    assert_eq!((is.sha256, is.bytes, is.format), (artifact.sha256, artifact.bytes, artifact.format));
                    assert_eq!(is.format, format.unwrap_or(checked(body).format));
                    assert!(artifact.file_name.ends_with(is.format.extension()));
                }
                let is_untouched = !has_metadata && format.is_none_or(|format| format == checked(body).format);
                assert_eq!(files[&artifacts[0].file_name] == *body, is_untouched);
            }
        }
    }
}

/// Goal: an image and its sidecar file keep one stem, and no file is overwritten. A repetition finds its own files.
#[test]
fn a_sidecar_goes_with_its_image() {
    let postprocess = PostProcessing { sidecar: Some(Sidecar::Txt), ..PostProcessing::default() };
    let (artifacts, files) = saved(postprocess, &[png(9, 7, 1), png(9, 7, 2), bytes(JPEG_BASELINE), png(9, 7, 1)]);
    let stems: Vec<_> = artifacts.iter().map(|artifact| artifact.file_name.rsplit_once('.').unwrap().0).collect();
    assert_eq!(stems[0], "images/cat");
    assert_ne!(stems[1], "images/cat");
    assert_eq!(stems[2], "images/cat", "its extension is another");
    assert_eq!(files["images/cat.txt"], b"cat 0\n");
    assert_eq!(files[&format!("{}.txt", stems[1])], b"cat 1\n");
    let third = (*origin("cat 2").job).clone();
    assert_eq!(files[&format!("images/cat-{}.txt", third.id)], b"cat 2\n", "the stem has words of another image");
    // The fourth image has the bytes of the first, so it counts as the first. Only its prompt differs.
    assert_eq!(stems[3], "images/cat");
    assert_eq!(files.len(), 3 + 4);
}
