//! Fuzz target for file names made from prompts and other texts: no name leads out of its folder.

use std::path::{Component, Path};

use promptbatch::internals::model::slug;
use promptbatch::model::job::{Job, JobId, ManifestRow};
use promptbatch::model::name::ImageName;
use promptbatch::model::name::template::NameTemplate;
use promptbatch::model::outcome::{ImageFormat, TaskId};
use promptbatch::model::provenance::Provenance;
use promptbatch::model::request::Request;

use crate::{Target, assert_safe};

pub const TARGET: Target = Target {
    name: "names",
    seeds: || {
        ["a golden cat", "一只金色的猫", "cafe\u{301}", "../../etc/passwd", "C:\\con.png"].map(Into::into).to_vec()
    },
    words: &[
        "..",
        "/",
        "\\",
        ":",
        "\0",
        "con",
        "COM1",
        "nul.",
        "~",
        "-",
        "_",
        ".",
        " ",
        "\u{301}",
        "\u{9be}",
        "\u{202e}",
        "猫",
        "𠀀",
        "İ",
        "ẞ",
        "🐈‍⬛",
        "\u{feff}",
        "%2e%2e%2f",
        "é",
        "A",
    ],
    mend: |_, _| (),
    check,
};

/// Reads an input. The first two bytes are the index and the number of the image, and the rest is the text.
fn check(input: &[u8]) -> String {
    let (numbers, text) = input.split_at(input.len().min(2));
    let text = String::from_utf8_lossy(text).into_owned();
    let index = numbers.first().map_or(0, |byte| u64::MAX >> (byte % 64));
    let nth = 1 + usize::from(numbers.get(1).copied().unwrap_or(0));
    let request = Request { prompt: text.clone(), ..Request::default() };
    let extras = vec![("column".to_owned(), text.clone())];
    let job = Job {
        id: JobId::new(&request.content(), 0),
        index,
        label: Some(text.clone()),
        request,
        extras,
        row: ManifestRow::default(),
    };
    let origin = Provenance { task: Some(TaskId(text.clone())), ..Provenance::of_job(job) };
    let custom: NameTemplate = "{column}/{task_id:30}/{id}-{prompt}".parse().unwrap();
    for name in [ImageName::new(origin.clone(), nth), custom.name(origin, nth)] {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            stays(&name.path(format));
            stays(&name.path_apart(format));
        }
        stays(&format!("images/{}", name.partial()));
    }
    let once = slug(&text);
    assert_eq!(slug(&once), once);
    once.chars().take(4).map(|c| if c.is_ascii() { 'a' } else { c }).collect()
}

/// Checks that a path is below `images`, and that every file system accepts its name.
fn stays(path: &str) {
    assert_safe(path);
    let parts: Vec<_> = Path::new(path).components().collect();
    assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
    assert_eq!(parts[0].as_os_str(), "images", "{path:?}");
    assert!(parts.len() <= 4 && !path.contains(['\\', ':', '\0', '\n']), "{path:?}");
    assert!(path.split('/').all(|part| (1..=255).contains(&part.len()) && !part.starts_with(['.', '-'])), "{path:?}");
}
