//! Encoding of the events that have a job made again, and that return it to the images that it had.

use serde_json::{Map, Value, json};

use crate::model::event::{Redo, ReplacedImage, Restored};
use crate::model::outcome::{Artifact, ImageFormat, TaskId};
use crate::model::picture::hex;
use crate::model::time::Timestamp;

/// Writes the data of a job that is made again as one JSON object.
pub(super) fn redo_text(redo: &Redo) -> String {
    let Redo { seed, seed_before, replaced } = redo;
    let mut parts = Map::new();
    parts.extend(seed.map(|seed| ("seed".to_owned(), json!(seed))));
    parts.extend(seed_before.map(|seed| ("seed_before".to_owned(), json!(seed))));
    parts.insert("replaced".to_owned(), replaced.iter().map(image_value).collect());
    Value::Object(parts).to_string()
}

/// Parses what [`redo_text`] wrote; `None` if the text is something else.
pub(super) fn redo_from(text: &str) -> Option<Redo> {
    let parts: Map<String, Value> = serde_json::from_str(text).ok()?;
    let seed = |name| parts.get(name).map_or(Some(None), |seed| seed.as_u64().map(Some));
    Some(Redo { seed: seed("seed")?, seed_before: seed("seed_before")?, replaced: images_from(&parts, "replaced")? })
}

/// Writes the data of a job that returns to its images as one JSON object.
pub(super) fn restored_text(restored: &Restored) -> String {
    let Restored { seed, task, submitted_at, finished_at, images } = restored;
    let mut parts = Map::new();
    parts.extend(seed.map(|seed| ("seed".to_owned(), json!(seed))));
    parts.extend(task.as_ref().map(|task| ("task".to_owned(), json!(task.0))));
    parts.extend(submitted_at.map(|at| ("submitted_at".to_owned(), json!(at.millis()))));
    parts.extend(finished_at.map(|at| ("finished_at".to_owned(), json!(at.millis()))));
    parts.insert("images".to_owned(), images.iter().map(image_value).collect());
    Value::Object(parts).to_string()
}

/// Parses what [`restored_text`] wrote; `None` if the text is something else.
pub(super) fn restored_from(text: &str) -> Option<Restored> {
    let parts: Map<String, Value> = serde_json::from_str(text).ok()?;
    let time = |name| {
        parts.get(name).map_or(Some(None), |time| time.as_i64().map(|millis| Some(Timestamp::from_millis(millis))))
    };
    Some(Restored {
        seed: parts.get("seed").map_or(Some(None), |seed| seed.as_u64().map(Some))?,
        task: parts.get("task").map_or(Some(None), |task| task.as_str().map(|task| Some(TaskId(task.to_owned()))))?,
        submitted_at: time("submitted_at")?,
        finished_at: time("finished_at")?,
        images: images_from(&parts, "images")?,
    })
}

fn images_from(parts: &Map<String, Value>, name: &str) -> Option<Vec<ReplacedImage>> {
    parts.get(name)?.as_array()?.iter().map(image_from).collect()
}

fn image_value(image: &ReplacedImage) -> Value {
    let ReplacedImage { artifact: Artifact { file_name, sha256, bytes, width, height, format }, kept_as } = image;
    json!({
        "file_name": file_name,
        "kept_as": kept_as,
        "sha256": hex(sha256),
        "bytes": bytes,
        "width": width,
        "height": height,
        "format": format.extension(),
    })
}

fn image_from(value: &Value) -> Option<ReplacedImage> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let number = |name: &str| value.get(name)?.as_u64();
    let artifact = Artifact {
        file_name: text("file_name")?,
        sha256: sha256_from(&text("sha256")?)?,
        bytes: number("bytes")?,
        width: number("width")?.try_into().ok()?,
        height: number("height")?.try_into().ok()?,
        format: ImageFormat::from_extension(&text("format")?)?,
    };
    Some(ReplacedImage { artifact, kept_as: text("kept_as")? })
}

fn sha256_from(digits: &str) -> Option<[u8; 32]> {
    let mut sha256 = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (i, byte) in sha256.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_event_is_refused() {
        let image = r#"{"file_name":"a","kept_as":"b","sha256":"00","bytes":1,"width":1,"height":1,"format":"png"}"#;
        let short = format!(r#"{{"replaced":[{image}]}}"#);
        for text in ["", "{}", "[]", r#"{"seed":-1,"replaced":[]}"#, r#"{"replaced":[1]}"#, &short] {
            assert_eq!(redo_from(text), None, "{text}");
        }
        for text in ["", "{}", "[]", r#"{"images":[1]}"#, r#"{"seed":-1,"images":[]}"#, r#"{"task":7,"images":[]}"#] {
            assert_eq!(restored_from(text), None, "{text}");
        }
        assert!(redo_from(&short.replace("\"00\"", &format!("\"{}\"", "00".repeat(32)))).is_some());
    }
}
