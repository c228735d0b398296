//! Gallery: written, updated and reported, and opened in a real browser, without a server and without a network.

use std::fs;
use std::path::Path;
use std::process::Command;

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, files, quick, stderr, stdout};
use crate::served::Served;

/// Environment variable with a Python that has Selenium. The default is the Python on the PATH.
const PYTHON: &str = "PROMPTBATCH_TEST_PYTHON";

/// Environment variable that makes a missing Selenium or Chromium a failure, and not a reason to skip.
const BROWSER_REQUIRED: &str = "PROMPTBATCH_TEST_BROWSER_REQUIRED";

fn thumbnails(bench: &Bench) -> Vec<String> {
    files(&bench.path("out/gallery"))
}

/// Goal: a second gallery makes only what is new, and removes what is unused. Method: make a gallery, damage and remove
/// some of its inputs, and make it again.
#[test]
fn a_gallery_is_made_once_and_brought_up_to_date() {
    let bench = Bench::new(quick());
    bench.csv(6);
    let none = bench.output(&["gallery", "out"]);
    assert_eq!(none.status.code(), Some(2), "{}", stderr(&none));
    let run = bench.run("prompts.csv", &["--gallery"]);
    assert_eq!(run.status.code(), Some(0));
    assert!(stderr(&run).contains("6 images, 6 new thumbnails\ngallery: out/gallery.html\n"), "{}", stderr(&run));
    assert_eq!(thumbnails(&bench).len(), 6);

    let again = bench.output(&["gallery", "out"]);
    assert_eq!(
        (stdout(&again).as_str(), stderr(&again).as_str()),
        ("out/gallery.html\n", "6 images, 0 new thumbnails\n")
    );

    // A dropped job has no thumbnail. A damaged image keeps the thumbnail from before the damage.
    let images = files(&bench.path("out/images"));
    fs::write(bench.path("out").join(&images[0]), "damaged").unwrap();
    fs::remove_file(bench.path("out").join(&images[1])).unwrap();
    fs::remove_dir_all(bench.path("out/gallery")).unwrap();
    bench.csv(5);
    let less =
        bench.run_command("prompts.csv", &["--progress", "none"]).env("PROMPTBATCH_GALLERY", "true").output().unwrap();
    // The run also reports the missing images.
    assert_eq!(less.status.code(), Some(100), "{}", stderr(&less));
    let told = stderr(&less);
    assert!(told.contains("5 images, 3 new thumbnails, 2 without a thumbnail\n"), "{told}");
    assert!(told.contains(&format!("  {}: 7 bytes long instead of ", images[0])), "{told}");
    assert!(told.contains(&format!("  {}: missing\n", images[1])), "{told}");
    bench.csv(3);
    bench.run("prompts.csv", &[]);
    let pruned = stderr(&bench.output(&["gallery", "out"]));
    assert!(pruned.starts_with("3 images, 0 new thumbnails, 2 removed, 2 without a thumbnail\n"), "{pruned}");
    assert_eq!(thumbnails(&bench).len(), 1);
}

#[test]
fn a_run_that_stops_early_has_its_gallery_and_a_part_can_be_asked_for() {
    let bench = Bench::new(SimulatorConfig { quota: Some(4), ..quick() });
    bench.csv(9);
    let stopped = bench.run("prompts.csv", &["--gallery", "-j", "1"]);
    assert_eq!(stopped.status.code(), Some(75));
    assert!(stderr(&stopped).contains("4 images, 4 new thumbnails\n"), "{}", stderr(&stopped));
    let page = || fs::read_to_string(bench.path("out/gallery.html")).unwrap();
    assert_eq!(page().matches("\"status\":\"pending\"").count(), 5);
    let part = bench.output(&["gallery", "out", "--jobs", "3-"]);
    assert_eq!(stderr(&part), "2 images, 0 new thumbnails\n");
    assert_eq!(page().matches("\"status\":").count(), 7);
    assert_eq!(thumbnails(&bench).len(), 4, "the next look may be at the others again");
    assert_eq!(bench.output(&["gallery", "out", "--jobs", "5-3"]).status.code(), Some(2));
    bench.output(&["gallery", "out", "--progress", "none"]);
    let quiet = bench.run("prompts.csv", &["--gallery", "-q"]);
    let words = stderr(&quiet);
    assert!(words.starts_with("stopped: the daily quota is used up") && words.lines().count() == 1, "{words}");
}

#[cfg(unix)]
#[test]
fn a_gallery_that_cannot_be_written_is_an_error_and_costs_nothing_else() {
    let bench = Bench::new(quick());
    bench.csv(2);
    bench.run("prompts.csv", &[]);
    std::os::unix::fs::symlink(bench.folder.path(), bench.path("out/gallery")).unwrap();
    let verb = bench.output(&["gallery", "out"]);
    assert_eq!(verb.status.code(), Some(1));
    assert!(stderr(&verb).contains("could not write to out/gallery: it is a symbolic link"), "{}", stderr(&verb));
    let run = bench.run("prompts.csv", &["--gallery"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(!bench.path("out/gallery.html").exists());
    bench.check_images(2);
}

/// Prompts with markup, scripts, direction marks, long text and several scripts, over models, sizes and seeds.
const MANIFEST: &str = r#"
defaults: {size: 64x64}
prompts:
- {prompt: a calm lake at dawn, model: m/one, seed: 1, meta: {kind: place}}
- {prompt: a calm lake at dawn, model: m/two, seed: 1, meta: {kind: place}}
- {prompt: a calm lake at dawn, model: m/one, seed: 2, meta: {kind: place}}
- {id: jiangnan-1, prompt: "江南水乡的清晨，薄雾笼罩石桥", negative_prompt: smudged ink, model: m/one, seed: 30, size: 96x64, meta: {kind: place}}
- {prompt: "قطة نائمة على نافذة", model: m/two, meta: {kind: animal}}
- {prompt: "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>", model: m/one, meta: {kind: "<b>hostile</b>"}}
- {prompt: "</script><script>document.title='taken'</script><!-- ", model: m/one, meta: {kind: "</script>"}}
- {prompt: "left \u202Eright to left, and a line\u2028separator", model: m/one, meta: {kind: odd}}
"#;

/// One prompt for three models and three seeds, of which the second seed of the second model comes later, and two images
/// of an equal request.
fn barns(is_whole: bool) -> String {
    let mut lines = vec!["- {prompt: a pair of twins, model: m/one, n: 2}\n".to_owned()];
    for model in ["m/one", "m/two", "m/three"] {
        for seed in [1, 2, 10].into_iter().filter(|seed| is_whole || (model, *seed) != ("m/two", 2)) {
            lines.push(format!("- {{prompt: a red barn, model: {model}, seed: {seed}, negative_prompt: fog}}\n"));
        }
    }
    lines.concat()
}

#[test]
fn a_browser_shows_all_of_it_and_runs_nothing_of_it() {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".into());
    let has = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
    };
    let is_there = has(&python, &["-c", "import selenium"])
        && has("chromium", &["--version"])
        && has("chromedriver", &["--version"]);
    if !is_there {
        assert!(
            std::env::var_os(BROWSER_REQUIRED).is_none(),
            "{python} has no selenium, or there is no chromium or chromedriver"
        );
        eprintln!("SKIPPED: no selenium in {python} ({PYTHON}), no chromium or no chromedriver on the PATH");
        return;
    }
    let bench = Bench::new(quick());
    let many = (1..=400).fold(MANIFEST.to_owned(), |text, n| {
        text + &format!("- {{prompt: \"cat number {n} of many\", model: m/one, meta: {{kind: animal}}}}\n")
    });
    let run = |served: &Served, manifest: &str, args: &[&str], code: i32| {
        bench.write("prompts.yaml", manifest);
        let args = [&["run", "prompts.yaml", "-o", "out", "--base-url", &served.url], args].concat();
        let run = bench.output(&args);
        assert_eq!(run.status.code(), Some(code), "{}", stderr(&run));
    };
    let served = Served::new(&bench, &[]);
    run(&served, &(many.clone() + &barns(false)), &[], 0);
    // The provider refuses three jobs, the answer to one is lost, one is not submitted, and one image is missing.
    let served = served.again(&bench, &["--fail-rate", "1"]);
    let two = "- {prompt: refused for its content, model: m/two}\n- {prompt: refused too, model: m/two}\n";
    let refused = many + &barns(true) + two;
    run(&served, &refused, &[], 100);
    let served = served.again(&bench, &["--fault", "submit-cut-after=1"]);
    let doubtful = refused + "- {prompt: whose answer is lost, model: m/two}\n";
    run(&served, &doubtful, &["--in-doubt", "hold"], 100);
    let waiting = doubtful + "- {prompt: not submitted, model: m/one}\n";
    run(&served, &waiting, &["--max-duration", "0s"], 75);
    let gone = &files(&bench.path("out/images"))[407];
    fs::remove_file(bench.path("out").join(gone)).unwrap();
    let made = bench.output(&["gallery", "out"]);
    assert!(stderr(&made).contains("418 images"), "{}", stderr(&made));
    assert!(stderr(&made).contains("1 without"), "{}", stderr(&made));

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/gallery.py");
    let looked = Command::new(python).arg(script).arg(bench.path("out/gallery.html")).output().unwrap();
    assert!(looked.status.success(), "{}\n{}", stdout(&looked), stderr(&looked));
}
