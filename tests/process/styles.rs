//! Names and formats of images, and the data written into them and next to them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use promptbatch::simulator::config::SimulatorConfig;
use serde_json::Value;

use crate::bench::{Bench, expect_code, files, quick, stderr, wait_until};

/// Creates a bench with fourteen jobs in seven categories.
fn named(config: SimulatorConfig) -> Bench {
    let bench = Bench::new(config);
    bench.csv(14);
    bench
}

fn names(bench: &Bench) -> Vec<String> {
    bench.results().iter().map(|row| row["file_name"].clone()).collect()
}

#[test]
fn a_template_names_folders_and_files() {
    let bench = named(quick());
    expect_code(&bench.run("prompts.csv", &["--name", "{category}/{date}_{index:03}-{slug:5}-{task_id}"]), 0);
    bench.check_images(14);
    for row in bench.results() {
        let (n, day) = (&row["index"], &row["submitted_at"][..10]);
        let category = row["category"].replace(' ', "-");
        assert_eq!(row["file_name"], format!("images/{category}/{day}_{n:0>3}-a-cat-{}.png", row["task_id"]));
    }
    expect_code(&bench.output(&["verify", "out"]), 0);
}

/// Goal: equal names overwrite nothing, and the user is informed.
#[test]
fn names_that_collide_get_the_id_behind_them() {
    let bench = named(quick());
    let output = bench.run("prompts.csv", &["--name", "{category}"]);
    expect_code(&output, 0);
    assert!(
        stderr(&output).contains("note: `{category}` may give several images the same name"),
        "{}",
        stderr(&output)
    );
    bench.check_images(14);
    let plain = names(&bench).iter().filter(|name| name.len() == "images/kind-1.png".len()).count();
    assert_eq!(plain, 7, "one of each category has the plain name: {:?}", names(&bench));
}

/// Goal: after any interruption, names follow the first session. Method: kill the run in the middle, edit the manifest,
/// and continue without the flag. Then use another template.
#[test]
fn a_resumed_run_names_as_the_first_did() {
    let bench = named(SimulatorConfig { latency: std::time::Duration::from_millis(300), ..quick() });
    let flags = ["-j", "2", "--name", "{time}/{slug}"];
    let mut child = bench.spawn("prompts.csv", &flags);
    wait_until("some images are there", || {
        bench.path("out/images").is_dir() && files(&bench.path("out/images")).len() > 2
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let text = fs::read_to_string(bench.path("prompts.csv")).unwrap();
    bench.write("prompts.csv", &text.replace("prompt,category\n", "prompt,category\na dog,kind 9\n"));
    expect_code(&bench.run("prompts.csv", &[]), 0);
    bench.check_images(15);
    for row in bench.results() {
        let time = row["submitted_at"][..19].replace(['-', ':'], "").replace('T', "-");
        let slug = row["prompt"].replace(", ", "-").replace(' ', "-");
        assert_eq!(row["file_name"], format!("images/{time}/{slug}.png"));
    }
    let before = names(&bench);
    let output = bench.run("prompts.csv", &["--name", "{index}"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("are already named by `{time}/{slug}`"), "{}", stderr(&output));
    expect_code(&bench.run("prompts.csv", &["--name", "{time}/{slug}"]), 0);
    assert_eq!(names(&bench), before);
}

/// Goal: a wrong template is refused before anything is sent, and nothing is created for it.
#[test]
fn a_wrong_template_is_refused_before_anything_is_sent() {
    let bench = named(quick());
    for (template, words) in [
        ("{categroy}/{index}", "perhaps {category}"),
        ("../{index}", "a name has no dots"),
        ("{index}.png", "leave out `.png`"),
        ("{index", "is a single brace"),
        ("", "has no name"),
    ] {
        let output = bench.run("prompts.csv", &["--name", template]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains(words), "{template}: {}", stderr(&output));
        assert!(!bench.path("out").exists(), "{template}");
    }
    assert_eq!(bench.stats().n_submits, 0);
    // A column that is removed later is also missed before anything is sent.
    expect_code(&bench.run("prompts.csv", &["--name", "{category}-{index}"]), 0);
    bench.write("prompts.csv", "prompt\na dog\n");
    let output = bench.run("prompts.csv", &[]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("there is no field {category}"), "{}", stderr(&output));
    assert_eq!(bench.stats().n_submits, 14);
}

/// Goal: converted images are recorded, verified, and identical after a repair. A later run without the flags keeps the
/// format.
#[test]
fn images_become_what_is_asked_for_and_stay_so() {
    let bench = named(quick());
    let flags = ["--image-format", "jpeg", "--image-quality", "80", "--sidecar", "txt"];
    expect_code(&bench.run("prompts.csv", &flags), 0);
    let rows = bench.results();
    for row in &rows {
        assert_eq!(row["format"], "jpg");
        let text = fs::read_to_string(bench.path("out").join(row["file_name"].replace(".jpg", ".txt"))).unwrap();
        assert_eq!(text.trim_end(), row["prompt"]);
    }
    assert_eq!(files(&bench.path("out/images")).len(), 28);
    let verified = bench.output(&["verify", "out"]);
    expect_code(&verified, 0);
    assert!(!stderr(&verified).contains("no job"), "a sidecar is no stray: {}", stderr(&verified));
    let lost = bench.path("out").join(&rows[3]["file_name"]);
    fs::remove_file(&lost).unwrap();
    expect_code(&bench.output(&["verify", "out", "--repair"]), 0);
    assert!(lost.exists(), "under its old name");
    assert_eq!(bench.results()[3]["sha256"], rows[3]["sha256"], "and the same file");
    let text = fs::read_to_string(bench.path("prompts.csv")).unwrap() + "a dog,kind 1\n";
    bench.write("prompts.csv", &text);
    expect_code(&bench.run("prompts.csv", &["--sidecar", "json"]), 0);
    let added = bench.results().pop().unwrap();
    assert_eq!(added["format"], "jpg");
    let record = fs::read_to_string(bench.path("out").join(added["file_name"].replace(".jpg", ".json"))).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!((&record["prompt"], &record["columns"]["category"]), (&"a dog".into(), &"kind 1".into()));
    assert_eq!(bench.stats().n_submits, 15, "nothing was paid for twice");
}

/// Goal: no option of a run is ignored in silence, because the folder has images with another one. Method: each option that applies to later
/// images only, on a run that is done and on one with a new row; and a quality without a format that has one.
#[test]
fn an_option_that_comes_too_late_is_named() {
    let bench = Bench::new(quick());
    bench.write("prompts.csv", "prompt\na cat\na dog\n");
    let first = bench.run("prompts.csv", &["--image-quality", "50"]);
    expect_code(&first, 0);
    let words = stderr(&first);
    assert!(words.contains("--image-quality 50 has no effect: the images are kept as they come"), "{words}");
    assert!(!words.contains("made from now on"), "{words}");
    for (flags, named) in [
        (&["--image-format", "jpeg"][..], "--image-format applies to images that are made from now on"),
        (&["--image-quality", "60"], "--image-quality applies to images"),
        (&["--sidecar", "txt", "--metadata", "off"], "--metadata and --sidecar apply to images"),
    ] {
        let late = bench.run("prompts.csv", flags);
        expect_code(&late, 0);
        let words = stderr(&late);
        assert!(words.contains(named) && words.contains("and this run makes none"), "{words}");
        assert!(words.contains("the 2 images that are there stay as they are"), "{words}");
        let again = bench.run("prompts.csv", flags);
        assert!(!stderr(&again).contains("from now on"), "it is the style of the run by now: {}", stderr(&again));
    }
    // A quality that is left open stays as it was.
    bench.write("prompts.csv", "prompt\na cat\na dog\na hare\n");
    let more = bench.run("prompts.csv", &["--image-format", "jpeg"]);
    expect_code(&more, 0);
    assert!(!stderr(&more).contains("from now on"), "{}", stderr(&more));
    let formats: Vec<_> = bench.results().iter().map(|row| row["format"].clone()).collect();
    assert_eq!(formats, ["png", "png", "jpg"]);
    bench.write("prompts.csv", "prompt\na cat\na dog\na hare\na bee\n");
    let mixed = bench.run("prompts.csv", &["--image-format", "png", "--image-quality", "70"]);
    let words = stderr(&mixed);
    assert!(words.contains("--image-format applies to images that are made from now on; the 3 images"), "{words}");
    assert!(words.contains("--image-quality 70 has no effect: PNG is lossless"), "{words}");
    assert_eq!(bench.stats().n_submits, 4);
}

/// Goal: common programs can read the prompt of a picture. Method: Pillow reads pictures of every format.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_picture_tells_its_prompt() {
    let python = std::env::var("PROMPTBATCH_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_pillow =
        Command::new(&python).args(["-c", "import PIL"]).output().is_ok_and(|output| output.status.success());
    if !has_pillow {
        assert!(std::env::var_os("PROMPTBATCH_TEST_PYTHON_REQUIRED").is_none(), "{python} has no Pillow");
        eprintln!("SKIPPED: {python} has no Pillow; pip install pillow, or set PROMPTBATCH_TEST_PYTHON");
        return;
    }
    let prompt = "一只金色的猫 🐈, \"quoted\"";
    let bench = Bench::new(quick());
    let yaml = format!(
        "- prompt: '{prompt}'\n  negative_prompt: blurry\n  seed: 42\n  steps: 30\n  model: Qwen/Qwen-Image\n  meta:\n    artist: Ada\n"
    );
    bench.write("prompts.yaml", &yaml);
    let mut pictures = BTreeMap::new();
    for (format, extension) in [("keep", "png"), ("png", "png"), ("jpeg", "jpg"), ("webp", "webp")] {
        for metadata in ["on", "off"] {
            let out = format!("{format}-{metadata}");
            // Every build can write WebP of this quality.
            let quality = if extension == "webp" { "100" } else { "90" };
            let format = ["--image-format", format, "--image-quality", quality];
            let flags = ["-o", &out, "--metadata", metadata, "--name", "{index}"];
            let run = ["run", "prompts.yaml", "--base-url", bench.simulator.url()];
            expect_code(&bench.command(&run).args(flags).args(format).output().unwrap(), 0);
            pictures.insert(format!("{out}/images/1.{extension}"), (extension, metadata));
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/picture_words.py");
    let told =
        Command::new(&python).arg(script).args(pictures.keys()).current_dir(bench.folder.path()).output().unwrap();
    assert!(told.status.success(), "{}", stderr(&told));
    let told: BTreeMap<String, Value> = serde_json::from_slice(&told.stdout).unwrap();
    let words = format!("{prompt}\nNegative prompt: blurry\nSteps: 30, Seed: 42, Model: Qwen/Qwen-Image");
    for (path, (extension, metadata)) in pictures {
        let told = &told[&path];
        let parameters = [&told["parameters"], &told["comment"]].into_iter().find_map(Value::as_str);
        if metadata == "off" {
            assert_eq!(parameters, None, "{path}");
            continue;
        }
        assert_eq!(parameters, Some(words.as_str()), "{path}");
        if extension == "png" {
            assert_eq!(told["record"]["prompt"], prompt, "{path}");
            assert_eq!(told["record"]["columns"]["artist"], "Ada", "{path}");
        } else {
            assert!(told["description"].as_str().is_some_and(|text| !text.is_empty()), "{path}");
        }
    }
}

/// Goal: without the encoder of lossy WebP, nothing is paid for first, a folder from another build says so, and can be continued
/// in another format.
#[cfg(not(feature = "webp"))]
#[test]
fn a_build_without_lossy_webp_says_so_before_it_pays() {
    let bench = named(quick());
    let output = bench.run("prompts.csv", &["--image-format", "webp"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("add --image-quality 100, choose another --image-format"), "{}", stderr(&output));
    assert!(!bench.path("out/run.db").exists(), "a refused run leaves no folder behind");
    assert_eq!(bench.stats().n_submits, 0);
    expect_code(&bench.run("prompts.csv", &["--image-format", "webp", "--image-quality", "100"]), 0);
    bench.check_images(14);
}
