//! Tests of names that people can read and no prompt can abuse.

use proptest::prelude::*;

use std::sync::Arc;

use super::slug::is_mark;
use super::template::NameTemplate;
use super::*;
use crate::model::job::{Job, JobId, ManifestRow};
use crate::model::outcome::TaskId;
use crate::model::request::Request;
use crate::model::time::Timestamp;
use crate::test_effort::cases;

fn job(index: u64, prompt: &str) -> Provenance {
    let request = Request { prompt: prompt.into(), ..Request::default() };
    let id = JobId::new(&request.content(), 0);
    Provenance::of_job(Job { id, index, label: None, request, extras: vec![], row: ManifestRow::default() })
}

/// Creates a name with a stem that the user chose, in the job's own folder.
fn custom(origin: Provenance, nth: usize, stem: &str) -> ImageName {
    ImageName::with_stem(folder(origin.job.index), stem, origin, nth)
}

#[test]
fn a_slug_reads_like_its_prompt() {
    let table = [
        ("a golden cat", "a-golden-cat"),
        ("  A Golden CAT!  ", "a-golden-cat"),
        ("cat, dog & bird -- 8k.png", "cat-dog-bird-8k-png"),
        ("一只金色的猫，高清", "一只金色的猫-高清"),
        ("Ein Mädchen in Übergröße", "ein-mädchen-in-übergröße"),
        ("قطة ذهبية", "قطة-ذهبية"),
        ("золотой КОТ", "золотой-кот"),
        ("सुनहरी बिल्ली", "सुनहरी-बिल्ली"),
        ("แมวสีทอง", "แมวสีทอง"),
        ("cafe\u{301} noir", "cafe\u{301}-noir"),
        ("\u{301}cafe", "cafe"),
        ("cat \u{301}dog", "cat-dog"),
        ("\u{9be}", ""),
        ("cat \u{9be}", "cat"),
        ("½ cup ① ٣", "½-cup-①-٣"),
        ("../../etc/passwd", "etc-passwd"),
        ("C:\\Windows\\con", "c-windows-con"),
        ("a\0b\x1b[31mc\nd\u{202e}e", "a-b-31mc-d-e"),
        ("🐈🐈‍⬛❤️", ""),
        ("", ""),
        ("---", ""),
        ("a_b", "a-b"),
        ("İstanbul", "i\u{307}stanbul"),
    ];
    for (prompt, expected) in table {
        assert_eq!(slug(prompt), expected, "{prompt:?}");
    }
}

#[test]
fn a_long_prompt_is_cut_between_words() {
    let prompt = "a very long prompt about a golden cat that sits on a wooden chair in the evening sun";
    assert_eq!(slug(prompt), "a-very-long-prompt-about-a-golden-cat-that-sits-on-a-wooden");
    assert_eq!(slug(&format!("{} {}", "a".repeat(60), "b")), "a".repeat(60));
}

#[test]
fn a_long_word_is_cut_at_a_letter_with_its_marks() {
    assert_eq!(slug(&"猫".repeat(500)), "猫".repeat(60));
    assert_eq!(slug(&"𠀀".repeat(500)), "𠀀".repeat(50), "200 bytes");
    assert_eq!(slug(&format!("a-{}", "b".repeat(500))), format!("a-{}", "b".repeat(58)));
    let accented = "e\u{301}".repeat(500);
    assert_eq!(slug(&accented), "e\u{301}".repeat(30));
    assert_eq!(slug(&format!("x{accented}")), format!("x{}", "e\u{301}".repeat(29)), "59 characters, not half an é");
    assert_eq!(slug(&format!("a{}", "\u{301}".repeat(500))), "", "one letter that never ends");
    assert_eq!(slug(&format!("{}-a{}", "b".repeat(20), "\u{301}".repeat(500))), "b".repeat(20));
}

#[test]
fn marks_are_told_from_letters_and_from_everything_else() {
    for c in ['\u{301}', '\u{94d}', '\u{e48}', '\u{64e}', '\u{3099}'] {
        assert!(is_mark(c), "{c:?}");
    }
    for c in [
        'a',
        'é',
        '猫',
        '-',
        '"',
        '\'',
        '\\',
        '\n',
        '\0',
        '\u{1b}',
        '\u{202e}',
        ' ',
        '🐈',
        '\u{200c}',
        '\u{200d}',
        '\u{1f3fd}',
        '\u{e000}',
    ] {
        assert!(!is_mark(c), "{c:?}");
    }
}

#[test]
fn a_name_is_its_index_and_its_slug() {
    let name = ImageName::new(job(12, "A golden cat"), 1);
    assert_eq!(name.path(ImageFormat::Png), "images/000012-a-golden-cat.png");
    assert_eq!(name.path_apart(ImageFormat::Jpeg), format!("images/000012-a-golden-cat-{}.jpg", name.origin.job.id));
    assert_eq!(name.partial(), format!("{}-1", name.origin.job.id));
    assert_eq!(ImageName::new(job(12, "🐈"), 1).path(ImageFormat::WebP), "images/000012.webp");
    assert_eq!(ImageName::new(job(12, "cat"), 3).path(ImageFormat::Png), "images/000012-cat-3.png");
    assert_eq!(ImageName::new(job(12, "CON"), 1).path(ImageFormat::Png), "images/000012-con.png");
    assert_eq!(ImageName::new(job(1_234_567, "cat"), 1).path(ImageFormat::Png), "images/00123/1234567-cat.png");
}

#[test]
fn a_stem_of_the_users_making_is_kept_where_it_can_be() {
    let path = |stem| custom(job(7, "x"), 1, stem).path(ImageFormat::Png);
    assert_eq!(path("Cat_01-Final"), "images/Cat_01-Final.png");
    assert_eq!(path("../../etc/passwd"), "images/etc-passwd.png");
    assert_eq!(path("a.b"), "images/a-b.png");
    assert_eq!(path("..."), "images/000007.png");
    for device in ["con", "NUL", "Com1", "lpt9", "COM²"] {
        assert_eq!(path(device), format!("images/000007-{device}.png"));
    }
    for stem in ["com0", "com10", "comb", "console", "lpt"] {
        assert_eq!(path(stem), format!("images/{stem}.png"));
    }
}

#[test]
fn a_new_folder_begins_after_every_ten_thousand() {
    let table = [
        (0, "images"),
        (1, "images"),
        (10_000, "images"),
        (10_001, "images/00001"),
        (20_000, "images/00001"),
        (20_001, "images/00002"),
        (10_000_000, "images/00999"),
    ];
    for (index, expected) in table {
        assert_eq!(folder(index), expected, "{index}");
    }
}

/// Generates letters, marks, controls, separators and symbols, far more often than purely random text would mix them.
fn nasty() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-zA-Z0-9 ._/\\\\:-]{0,80}",
        "[猫金色的𠀀]{0,80}",
        "(e\u{301}|\u{301}|\u{e01}\u{e49}|İ|ς|ẞ){0,60}",
        Just("..".to_owned()),
        Just("CON".to_owned()),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(500)))]

    #[test]
    fn a_slug_has_nothing_but_letters_digits_marks_and_single_hyphens(text in nasty()) {
        let slug = slug(&text);
        prop_assert!(slug.chars().all(|c| c == '-' || c.is_alphanumeric() || is_mark(c)), "{slug:?}");
        prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"), "{slug:?}");
        prop_assert!(!slug.starts_with(is_mark), "{slug:?}");
        prop_assert!(slug.chars().count() <= 60 && slug.len() <= 200);
    }

    #[test]
    fn a_slug_is_its_own_slug(text in nasty()) {
        let once = slug(&text);
        prop_assert_eq!(slug(&once), once);
    }

    #[test]
    fn a_path_stays_in_its_folder_and_fits(text in nasty(), index: u64, nth in 1..=999_usize, is_custom: bool) {
        let job = job(index, &text);
        let name = if is_custom { custom(job, nth, &text) } else { ImageName::new(job, nth) };
        for path in [name.path(ImageFormat::WebP), name.path_apart(ImageFormat::WebP)] {
            let file = path.strip_prefix(&format!("{}/", name.folder())).unwrap();
            prop_assert!(file.len() <= 255, "{} bytes", file.len());
            prop_assert!(!file.contains(['/', '\\', ':', '\0']) && !file.contains(".."), "{file:?}");
            prop_assert!(!file.starts_with(['.', '-']) && file.matches('.').count() == 1, "{file:?}");
            prop_assert!(!is_device(file.split('.').next().unwrap()), "{file:?}");
            prop_assert!(!file.chars().any(char::is_control), "{file:?}");
        }
    }
}

/// Creates a job with a value in every field.
fn full() -> Provenance {
    let request = Request {
        prompt: "A golden Cat".into(),
        model: "Qwen/Qwen-Image".into(),
        size: Some("1024x768".parse().unwrap()),
        seed: Some(42),
        steps: Some(30),
        guidance: Some(3.5),
        ..Request::default()
    };
    let id = JobId::new(&request.content(), 2);
    let extras = [("category", "Katzen & Hunde"), ("page", "7"), ("nothing", "")];
    let extras = extras.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    let job = Job {
        id,
        index: 12,
        label: Some("IMG_7".into()),
        request,
        extras,
        row: ManifestRow { number: Some(9), is_skipped: false },
    };
    // 2027-01-15T08:00:00Z
    let submitted_at = Some(Timestamp::from_millis(1_800_000_000_999));
    Provenance { task: Some(TaskId("5075521".into())), submitted_at, ..Provenance::of_job(job) }
}

fn columns() -> Vec<String> {
    ["category", "page", "nothing"].map(str::to_owned).to_vec()
}

#[test]
fn every_field_of_a_template_is_filled_in() {
    let table = [
        ("{index}", "images/12"),
        ("{index:06}-{slug}", "images/000012-a-golden-cat"),
        ("{time}-{slug}", "images/20270115-080000-a-golden-cat"),
        ("{date}/{time}_{prompt}", "images/2027-01-15/20270115-080000_A-golden-Cat"),
        ("{id}", "images/IMG_7"),
        ("{row:05}/samples/{n}", "images/00009/samples/3"),
        ("{task_id}", "images/5075521"),
        ("{model}/{size}/{seed}", "images/Qwen-Qwen-Image/1024x768/42"),
        ("s{steps}-g{guidance}-{n}", "images/s30-g3-5-3"),
        ("{category}/{page:03}", "images/Katzen-Hunde/007"),
        ("{category:6}", "images/Katzen"),
        ("{slug:8}", "images/a-golden"),
        ("{nothing}/{index}", "images/_/12"),
        ("{nothing}", "images/000012"),
        ("con/{page}", "images/_con/7"),
        ("aux", "images/000012-aux"),
        ("猫_{index}", "images/猫_12"),
    ];
    for (text, expected) in table {
        let template: NameTemplate = text.parse().unwrap();
        template.check(&columns()).unwrap();
        assert_eq!(template.name(full(), 1).path(ImageFormat::Png), format!("{expected}.png"), "{text}");
        assert_eq!(template.to_string(), text);
    }
    let nothing_known: NameTemplate = "{time}{task_id}{seed}{n}".parse().unwrap();
    let first = Provenance::of_job(Arc::clone(&job(7, "x").job));
    assert_eq!(nothing_known.name(first, 2).path(ImageFormat::Png), "images/1-2.png");
}

#[test]
fn a_template_that_is_none_says_why() {
    let table = [
        ("", "a folder or the file has no name"),
        ("/{index}", "a folder or the file has no name"),
        ("a//b", "a folder or the file has no name"),
        ("a/", "a folder or the file has no name"),
        ("../{index}", "leave out `../{index}`"),
        ("{index}.png", "leave out `.png`"),
        ("a{index", "character 2 is a single brace"),
        ("a}b", "character 2 is a single brace"),
        ("{{index}}", "character 1 is a single brace"),
        ("a b", "` ` cannot be part of the name"),
        ("C:\\{index}", "`:` cannot be part of the name"),
        ("a\u{202e}", "`\\u{202e}` cannot be part of the name"),
        ("{index:x}", "`{index:x}`: after the colon comes a number"),
        ("{index:+6}", "after the colon comes a number"),
        ("{index:0}", "after the colon comes a number"),
        ("{slug:999}", "after the colon comes a number"),
        ("a/a/a/a/a/a/a/a/a/a", "more than 8 nested folders"),
    ];
    for (text, words) in table {
        let error = text.parse::<NameTemplate>().unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    assert!("a".repeat(501).parse::<NameTemplate>().is_err());
}

#[test]
fn a_field_that_no_job_has_is_refused_with_the_one_that_was_meant() {
    let error = |text: &str| text.parse::<NameTemplate>().unwrap().check(&columns()).unwrap_err().to_string();
    insta::assert_snapshot!(error("{categroy}/{index}"), @"there is no field {categroy}, perhaps {category}; the fields are {index} {row} {id} {task_id} {slug} {prompt} {time} {date} {provider} {model} {size} {seed} {steps} {guidance} {n}, and of this manifest {category} {page} {nothing}");
    assert!(error("{}").starts_with("there is no field {}"), "{}", error("{}"));
    assert!(error("{indx}").contains("perhaps {index}"));
}

#[test]
fn a_long_value_gives_way_and_what_tells_apart_stays() {
    let long = Provenance { job: Arc::new(Job { label: Some("猫".repeat(300)), ..(*full().job).clone() }), ..full() };
    let template: NameTemplate = "{id}-{index:06}".parse().unwrap();
    let path = template.name(long, 1).path(ImageFormat::Png);
    assert!(path.ends_with("猫-000012.png") && path.len() <= 255, "{path}");
    assert!(template.tells_apart());
    assert!(!"{slug}/{seed}".parse::<NameTemplate>().unwrap().tells_apart());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(500)))]

    #[test]
    fn the_default_template_is_the_default_name(text in nasty(), index: u64, nth in 1..=9_usize) {
        let origin = job(index, &text);
        prop_assert_eq!(NameTemplate::default().name(origin.clone(), nth), ImageName::new(origin, nth));
    }

    #[test]
    fn no_template_and_no_value_lead_out_of_the_folder(template in "[a-z{}:0-9_/.-]{0,30}", text in nasty(), index: u64) {
        for written in [template, "{category}/{id}-{task_id}/{prompt}-{index}".to_owned()] {
            let Ok(parsed) = written.parse::<NameTemplate>() else { continue };
            let Job { id, request, .. } = (*job(index, &text).job).clone();
            let extras = vec![("category".to_owned(), text.clone())];
            let job = Job { id, index, label: Some(text.clone()), request, extras, row: ManifestRow::default() };
            let origin = Provenance { task: Some(TaskId(text.clone())), ..Provenance::of_job(job) };
            let name = parsed.name(origin, 1);
            for path in [name.path(ImageFormat::WebP), name.path_apart(ImageFormat::WebP), name.beside_apart("json")] {
                let parts: Vec<&str> = path.split('/').collect();
                prop_assert_eq!(parts[0], "images");
                for part in &parts {
                    prop_assert!((1..=255).contains(&part.len()) && !part.starts_with(['.', '-']), "{:?}", path);
                    prop_assert!(!is_device(part.split('.').next().unwrap()), "{:?}", path);
                    prop_assert!(!part.contains(['\\', ':', '\0', ' ']) && !part.chars().any(char::is_control), "{:?}", path);
                }
            }
        }
    }
}
