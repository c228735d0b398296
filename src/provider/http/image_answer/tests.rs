//! Tests of answers with images in them, in pieces of any length.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::job::JobId;
use crate::model::submission_id::SubmissionId;
use crate::provider::http::spool::Spool;
use crate::test_effort::stride;

/// Reads an answer that arrives in pieces of `step` bytes. Returns the JSON that is left, and the images in order.
fn read(answer: &[u8], step: usize) -> (Vec<u8>, Option<&'static str>, Vec<Vec<u8>>) {
    let root = tempfile::tempdir().unwrap();
    let spool = Spool::new(root.path().into(), 1 << 30);
    let mut entry = spool.entry(&SubmissionId::new("run", JobId::from_bytes([1; 10]), 1)).unwrap();
    let (mut reader, mut inflater) = (ImageAnswer::default(), Inflater::default());
    for piece in answer.chunks(step) {
        reader.push(inflater.push(piece), &mut entry).unwrap();
    }
    let (json, excess) = reader.end(&mut entry).unwrap();
    let image = |n: usize| std::fs::read(root.path().join(format!("{}-{n}", entry.task()))).ok();
    (json, excess, (1..).map_while(image).collect())
}

/// Returns bytes that repeat no pattern.
fn noise(n: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(n).collect()
}

#[test]
fn images_leave_the_json_and_everything_else_stays() {
    let (one, two) = (noise(100_001, 1), noise(5_000, 2));
    let uri = format!("data:image/png;base64,{}", STANDARD.encode(&two));
    let answer = json!({
        "created": 1, "data": [{"b64_json": STANDARD.encode(&one), "revised_prompt": "a \"cat\" \\ 猫"}, {"url": uri}],
        "small": STANDARD.encode(b"tiny"), "long": "no, this is no image. ".repeat(1000),
    });
    for step in [1, 7, 4096, 1 << 20] {
        let (json, excess, images) = read(answer.to_string().as_bytes(), step);
        assert_eq!((excess, images), (None, vec![one.clone(), two.clone()]), "in pieces of {step}");
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert!(json["data"][0]["b64_json"].as_str().unwrap().ends_with("-1"), "{json}");
        assert!(json["data"][1]["url"].as_str().unwrap().starts_with("spool:///"), "{json}");
        assert_eq!(json["data"][0]["revised_prompt"], answer["data"][0]["revised_prompt"]);
        assert_eq!((&json["small"], &json["long"], &json["created"]), (&answer["small"], &answer["long"], &json!(1)));
    }
}

#[test]
fn base64_is_read_in_every_common_spelling() {
    let image = noise(9_001, 3);
    let plain = STANDARD.encode(&image);
    let lines: Vec<_> = plain.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let spellings = [
        plain.clone(),
        plain.trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(&image),
        plain.replace('/', "\\/"),
        lines.join("\\n"),
        lines.join("\\r\\n"),
        format!("data:image/webp;base64,{}", plain.replace('/', "\\/")),
    ];
    for spelling in spellings {
        for step in [1, 3, 5000, 1 << 20] {
            let (_, _, images) = read(format!("[{{\"image\":\"{spelling}\"}}]").as_bytes(), step);
            assert!(images == [image.clone()], "{}...", &spelling[..40]);
        }
    }
}

#[test]
fn a_damaged_image_is_kept_as_far_as_it_goes() {
    let image = noise(300_000, 4);
    let mut text = STANDARD.encode(&image);
    text.replace_range(200_000..200_001, "*");
    let (json, _, images) = read(format!("{{\"b64_json\":\"{text}\",\"id\":7}}").as_bytes(), 1000);
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["id"], 7, "the rest of the answer is read");
    assert!(images[0].len() >= 100_000 && image.starts_with(&images[0]), "{} bytes", images[0].len());
}

#[test]
fn an_answer_that_breaks_off_is_no_json() {
    let text = json!({"data": [{"b64_json": STANDARD.encode(noise(50_000, 5))}]}).to_string();
    for end in [1, 20, 5_000, 40_000, text.len() - 1] {
        let (json, _, _) = read(&text.as_bytes()[..end], 999);
        assert!(serde_json::from_slice::<Value>(&json).is_err(), "cut at {end}");
    }
}

/// Goal: a process that is killed at any byte of an answer leaves nothing that a later one takes for an answer; the submission is then in
/// doubt. Method: end the reading after each byte, and look with another spool, which also removes the rest.
#[test]
fn a_kill_at_any_byte_of_an_answer_leaves_no_answer() {
    let text = json!({"data": [{"b64_json": STANDARD.encode(noise(3_200, 8))}], "usage": {}}).to_string();
    let root = tempfile::tempdir().unwrap();
    let [id, next] = [1, 2].map(|number| SubmissionId::new("run", JobId::from_bytes([1; 10]), number));
    for end in (0..text.len()).step_by(stride(37)) {
        let killed = Spool::new(root.path().into(), 1 << 30);
        let (mut entry, mut reader) = (killed.entry(&id).unwrap(), ImageAnswer::default());
        reader.push(&text.as_bytes()[..end], &mut entry).unwrap();
        let task = entry.task();
        drop((reader, entry));
        let later = Spool::new(root.path().into(), 1 << 30);
        assert_eq!((later.links(&task), later.tasks()), (None, vec![]), "killed at byte {end}");
        drop(later.entry(&next).unwrap());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "killed at byte {end}");
    }
}

#[test]
fn an_answer_that_is_an_image_is_spooled_as_a_whole() {
    for begin in [&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff\xe0", b"RIFF", b"GIF89a"] {
        let image = [begin, &noise(20_000, 6)].concat();
        let (json, excess, images) = read(&image, 1500);
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert!(json["$body"].as_str().unwrap().starts_with("spool:///"), "{json}");
        assert!(excess.is_none() && images == [image]);
    }
}

#[test]
fn a_compressed_answer_is_read_too() {
    let image = noise(30_000, 7);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json!({"b64_json": STANDARD.encode(&image)}).to_string().as_bytes()).unwrap();
    let (json, _, images) = read(&gzip.finish().unwrap(), 1000);
    assert!(serde_json::from_slice::<Value>(&json).is_ok() && images == [image]);
}

#[test]
fn json_without_end_is_not_kept_in_memory() {
    let text = format!("{{\"a\":\"{}\"}}", "no image, ".repeat(300_000));
    let (json, excess, images) = read(text.as_bytes(), 10_000);
    assert!(json.len() <= JSON_BYTES_MAX && excess.is_some() && images.is_empty());
}

proptest! {
    /// Goal: an answer without images is the same bytes as before, whatever it contains.
    #[test]
    fn other_answers_stay_as_they_came(text in "\\{[ -~\u{4e00}-\u{4e10}\n\"\\\\]{0,300}", step in 1_usize..40) {
        let (json, excess, images) = read(text.as_bytes(), step);
        prop_assert_eq!(String::from_utf8(json).unwrap(), text);
        prop_assert!(excess.is_none() && images.is_empty());
    }
}
