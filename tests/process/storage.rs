//! Images in object storage: every command finds them, and no kill, no fault and no outage loses, doubles or replaces one.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use promptbatch::model::limits::{InDoubtPolicy, Limits};
use promptbatch::simulator::config::SimulatorConfig;
use sha2::{Digest, Sha256};

use crate::bench::{Bench, expect_code, files, hex, quick, stderr, stdout};
use crate::books::Books;
use crate::bucket::{Bucket, KEYS, URL};

const FLAGS: [&str; 8] = ["-j", "8", "--resubmits", "20", "--in-doubt", "resubmit", "--progress", "none"];

fn limits() -> Limits {
    Limits { resubmits_max: 20, in_doubt: InDoubtPolicy::Resubmit, ..Limits::default() }
}

/// Runs a command with access to the bucket.
fn output(bench: &Bench, bucket: &Bucket, args: &[&str]) -> Output {
    bucket.reach(&mut bench.command(args)).output().unwrap()
}

fn run(bench: &Bench, bucket: &Bucket, more: &[&str]) -> Output {
    bucket.reach(&mut bench.run_command("prompts.csv", more)).output().unwrap()
}

/// Goal: a run with its images in a bucket is a run like any other. Method: every command that reads or moves images, one after the other.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn every_command_finds_the_images_of_a_run_in_a_bucket() {
    let Some(bucket) = Bucket::start() else { return };
    let bench = Bench::new(quick());
    bench.csv(12);
    let url = bench.simulator.url().to_owned();
    expect_code(&run(&bench, &bucket, &["--images", URL, "--metadata", "off"]), 0);
    bucket.check_images(&bench, 12);

    let (n_submits, n_writes) = (bench.stats().n_submits, bucket.n_writes());
    expect_code(&run(&bench, &bucket, &[]), 0);
    expect_code(&run(&bench, &bucket, &["--images", &format!("{URL}/")]), 0);
    let refused = run(&bench, &bucket, &["--images", "s3://bucket/elsewhere"]);
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("those of the run in out are at s3://bucket/cats/all"), "{}", stderr(&refused));
    assert_eq!((bench.stats().n_submits, bucket.n_writes()), (n_submits, n_writes), "nothing is sent again");

    expect_code(&output(&bench, &bucket, &["verify", "out"]), 0);
    for args in [&["status", "out"][..], &["results", "out"], &["gallery", "out"]] {
        expect_code(&output(&bench, &bucket, args), 0);
    }
    assert_eq!(files(&bench.path("out/gallery")).len(), 12, "a thumbnail each");
    for format in ["webdataset", "imagefolder", "captions", "parquet"] {
        let exported = output(&bench, &bucket, &["export", "out", "--to", format, "-o", format]);
        expect_code(&exported, 0);
        assert!(stderr(&exported).contains("12 images"), "{}", stderr(&exported));
    }

    let names: Vec<_> = bucket.objects().into_keys().collect();
    bucket.ask(&format!("delete cats/all/{}", names[0]));
    bucket.ask(&format!("delete cats/all/{}", names[1]));
    bucket.ask(&format!("put cats/all/{} damaged", names[1]));
    let found = output(&bench, &bucket, &["verify", "out"]);
    expect_code(&found, 100);
    assert!(stdout(&found).contains("12 images, 2 of them missing or damaged"), "{}{}", stdout(&found), stderr(&found));
    expect_code(&output(&bench, &bucket, &["verify", "out", "--repair", "--base-url", &url]), 0);
    let objects = bucket.objects();
    assert!(objects.contains_key(&format!("damaged/{}", names[1])), "damaged bytes are kept: {objects:?}");
    assert_eq!(objects.len(), 13, "{objects:?}\n{}", fs::read_to_string(bench.path("out/results.csv")).unwrap());
    assert_eq!(bench.stats().n_submits, n_submits, "a repair pays for nothing");

    let redone = output(&bench, &bucket, &["redo", "out", "3", "--new-seed", "--base-url", &url]);
    expect_code(&redone, 0);
    let kept = format!("the images so far are kept in {URL}/replaced\n");
    assert!(stderr(&redone).contains(&kept), "{}", stderr(&redone));
    let objects = bucket.objects();
    assert!(objects.contains_key(&format!("replaced/{}", names[2])), "{objects:?}");
    expect_code(&output(&bench, &bucket, &["verify", "out"]), 0);
}

/// Goal: no key is shown or stored. Method: look for it in all that was printed and in all files.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn keys_are_shown_and_stored_nowhere() {
    let Some(bucket) = Bucket::start() else { return };
    let bench = Bench::new(quick());
    bench.csv(2);
    let mut said = vec![run(&bench, &bucket, &["--images", URL, "-v"])];
    expect_code(&said[0], 0);
    for place in ["s3://missing/cats", "s3://PUBLICPART5075521:secretpart5075522@bucket/cats"] {
        let args = ["run", "prompts.csv", "-o", "other", "--base-url", bench.simulator.url(), "--images", place];
        let refused = output(&bench, &bucket, &args);
        assert!(matches!(refused.status.code(), Some(1 | 2)), "{}", stderr(&refused));
        said.push(refused);
    }
    assert!(stderr(&said[1]).contains("there is no such bucket"), "{}", stderr(&said[1]));
    assert_eq!(bench.stats().n_submits, 2, "nothing is paid for without a place for its image");
    // A mistake in the address does not stay.
    expect_code(&bench.output(&["run", "prompts.csv", "-o", "other", "--base-url", bench.simulator.url()]), 0);
    assert_eq!(files(&bench.path("other/images")).len(), 2);
    // The program's messages do not repeat what a user has typed either.
    let mut texts: Vec<_> = said.iter().flat_map(|output| [output.stdout.clone(), output.stderr.clone()]).collect();
    for folder in ["out", "other"] {
        texts.extend(files(&bench.path(folder)).iter().map(|name| fs::read(bench.path(name)).unwrap()));
    }
    for (_, key) in KEYS {
        let is_shown = |text: &Vec<u8>| text.windows(key.len()).any(|part| part == key.as_bytes());
        assert!(!texts.iter().any(is_shown), "{key}");
    }
}

/// Goal: no kill loses, doubles or replaces an image. Method: kill -9 around the moment at which an image is in the bucket, and not yet in
/// the ledger: writes are answered late. Then the bucket, the results and the books of the API are compared.
fn kill_around_writes(n_kills: usize, n_jobs: usize) {
    let Some(bucket) = Bucket::start() else { return };
    let began = Instant::now();
    let answer_delay = Duration::from_millis(20);
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_millis(300), answer_delay, ..quick() });
    bench.csv(n_jobs);
    bucket.ask("delay 0.05");
    let args = [&["--images", URL][..], &FLAGS].concat();
    let mut rng = fastrand::Rng::with_seed(4711);
    let (mut n_around, mut n_in_books) = (0, 0);
    for _ in 0..n_kills {
        let n_before = bucket.n_writes();
        let mut command = bench.run_command("prompts.csv", &args);
        let mut child = bucket.reach(&mut command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_writing = || bucket.n_writes() > n_before;
        while !is_writing() && child.try_wait().unwrap().is_none() {}
        std::thread::sleep(Duration::from_millis(rng.u64(0..80)));
        child.kill().unwrap();
        child.wait().unwrap();
        let books = Books::read(&bench);
        let objects = bucket.objects();
        books.check_with(&bench, &limits(), |name| objects[name].clone());
        let n_finished = books.phases()[4];
        n_around += usize::from(bucket.n_writes() > n_finished as u64);
        n_in_books += usize::from(n_finished > 0);
    }
    bucket.ask("delay 0");
    expect_code(&run(&bench, &bucket, &args), 0);
    bucket.check_images(&bench, n_jobs);
    let objects = bucket.objects();
    let told = Books::read(&bench).check_with(&bench, &limits(), |name| objects[name].clone());
    let stats = bench.stats();
    let n_doubts = told.doubts.values().sum::<u32>();
    println!(
        "{n_kills} kills in {:.0?}: {n_around} left images in the bucket that no ledger had; {} tasks for {n_jobs} jobs, {n_doubts} doubts",
        began.elapsed(),
        stats.n_accepted
    );
    assert!(stats.n_accepted_twice <= u64::from(n_doubts + told.n_lost), "{stats:?}");
    assert!(n_around * 2 >= n_kills && n_in_books > 0, "only {n_around} of {n_kills} kills came after a write");
    expect_code(&output(&bench, &bucket, &["verify", "out"]), 0);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn killed_between_a_write_and_its_record_it_loses_and_doubles_nothing() {
    kill_around_writes(20, 60);
}

#[test]
#[ignore = "a hundred kills, a minute"]
fn killed_a_hundred_times_around_writes_it_loses_and_doubles_nothing() {
    kill_around_writes(100, 400);
}

/// Goal: a bucket that is overloaded delays a run, and nothing else. Method: 503 to a fifth of the requests; half of the writes among them
/// are done all the same.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_bucket_that_refuses_a_fifth_of_all_requests_only_delays() {
    let Some(bucket) = Bucket::start() else { return };
    let bench = Bench::new(quick());
    bench.csv(60);
    bucket.ask("fail 0.2");
    expect_code(&run(&bench, &bucket, &[&["--images", URL][..], &FLAGS].concat()), 0);
    expect_code(&output(&bench, &bucket, &["verify", "out"]), 0);
    let n_failures = bucket.ask("count")["failures"].as_u64().unwrap();
    assert!(n_failures >= 10, "the fault must bite: {n_failures}");
    bucket.ask("fail 0");
    bucket.check_images(&bench, 60);
    assert_eq!(bench.stats().n_accepted, 60, "each is paid for once");
}

/// Goal: no job fails because of an outage of the bucket, and nothing is paid for again after it. Method: no request is answered for longer
/// than --max-outage; then the same command.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_outage_of_the_bucket_stops_the_run_and_is_told() {
    let Some(bucket) = Bucket::start() else { return };
    let bench = Bench::new(quick());
    bench.csv(30);
    let args = [&["--images", URL, "--limit", "3"][..], &FLAGS].concat();
    expect_code(&run(&bench, &bucket, &args), 5);
    let mut command = bench.run_command("prompts.csv", &["-j", "4", "--max-outage", "2s", "--progress", "plain"]);
    let child = bucket.reach(&mut command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let n_before = bucket.n_writes();
    while bucket.n_writes() < n_before + 2 {}
    bucket.ask("fail 1");
    let stopped = child.wait_with_output().unwrap();
    expect_code(&stopped, 75);
    let told = stderr(&stopped);
    assert!(told.contains(&format!("could not write {URL}/images/")) && told.contains("still trying"), "{told}");
    assert!(told.contains("the answer was 503 SlowDown"), "{told}");
    let n_accepted = bench.stats().n_accepted;
    bucket.ask("fail 0");
    expect_code(&run(&bench, &bucket, &FLAGS), 0);
    bucket.check_images(&bench, 30);
    assert_eq!(bench.stats().n_accepted, 30, "{n_accepted} were paid for before");
}

/// Parts of one manifest at once, with a common bucket; some are killed.
fn parts_share_a_bucket(n_jobs: usize, count: usize, n_kills: usize) {
    let Some(bucket) = Bucket::start() else { return };
    let began = Instant::now();
    let bench = Bench::new(SimulatorConfig { answer_delay: Duration::from_millis(10), ..quick() });
    bench.csv(n_jobs);
    let start = |nth: usize| {
        let partition = format!("hash:{nth}/{count}");
        let args = [&["--partition", &partition, "--images", URL][..], &FLAGS].concat();
        let mut command = bench.run_command("prompts.csv", &args);
        bucket.reach(&mut command).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut running: Vec<_> = (1..=count).map(start).collect();
    let mut rng = fastrand::Rng::with_seed(7);
    for kill in 0..n_kills {
        std::thread::sleep(Duration::from_millis(rng.u64(300..700)));
        let nth = kill % count;
        running[nth].kill().unwrap();
        running[nth].wait().unwrap();
        running[nth] = start(nth + 1);
    }
    for child in running {
        expect_code(&child.wait_with_output().unwrap(), 0);
    }
    let worked = began.elapsed();
    expect_code(&output(&bench, &bucket, &["merge", "out"]), 0);
    println!("{n_jobs} jobs in {count} parts: {worked:.0?}, and merged after {:.0?}", began.elapsed());
    bucket.check_images(&bench, n_jobs);
    let objects = bucket.objects();
    Books::read(&bench).check_with(&bench, &limits(), |name| objects[name].clone());
    for args in [&["verify", "out"][..], &["gallery", "out"], &["status", "out"]] {
        expect_code(&output(&bench, &bucket, args), 0);
    }
    let n_submits = bench.stats().n_submits;
    expect_code(&run(&bench, &bucket, &["--images", URL, "--progress", "none"]), 0);
    assert_eq!(bench.stats().n_submits, n_submits, "a finished run sends nothing");
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn parts_with_a_common_bucket_become_one_run() {
    parts_share_a_bucket(60, 3, 2);
}

#[test]
#[ignore = "ten thousand jobs in eight processes"]
fn ten_thousand_jobs_in_eight_parts_share_a_bucket() {
    parts_share_a_bucket(10_000, 8, 24);
}

/// Goal: parts whose images are at different places are not merged into a run that has only one.
#[test]
fn parts_with_images_at_different_places_are_not_merged() {
    let bench = Bench::new(quick());
    bench.csv(8);
    for (part, place) in [("slice:1/2", "a"), ("slice:2/2", "b")] {
        let place = format!("file://{}", bench.path(place).display());
        expect_code(&bench.run("prompts.csv", &["--partition", part, "--images", &place]), 0);
    }
    let refused = bench.output(&["merge", "out"]);
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("their images are at different places"), "{}", stderr(&refused));
}

/// Goal: shards in a bucket are those of a folder, each written once. Method: a fifth of all requests fails, and the export is killed again
/// and again.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_export_into_a_bucket_is_resumed() {
    let Some(bucket) = Bucket::start() else { return };
    let bench = Bench::new(quick());
    bench.csv(40);
    expect_code(&bench.run("prompts.csv", &["-j", "8"]), 0);
    let export = ["export", "out", "--to", "webdataset", "--shard-images", "3", "-o"];
    expect_code(&bench.output(&[&export[..], &["folder"]].concat()), 0);
    bucket.ask("delay 0.02");
    bucket.ask("fail 0.2");
    let place = format!("{URL}/shards");
    let args = [&export[..], &[&place]].concat();
    let mut rng = fastrand::Rng::with_seed(4712);
    for _ in 0..12 {
        let mut command = bench.command(&args);
        let mut child = bucket.reach(&mut command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(rng.u64(50..400)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let exported = output(&bench, &bucket, &args);
    expect_code(&exported, 0);
    assert!(stderr(&exported).contains("40 images"), "{}", stderr(&exported));
    assert_eq!(stdout(&exported), format!("{place}\n"));
    bucket.ask("fail 0");
    let hash = |name: &str| hex(&Sha256::digest(fs::read(bench.path(name)).unwrap()));
    let shards = files(&bench.path("folder")).into_iter().filter(|name| !name.contains(".db"));
    let expected: BTreeMap<_, _> = shards.map(|name| (name.replace("folder/", "shards/"), hash(&name))).collect();
    assert_eq!((bucket.objects(), expected.len()), (expected, 15), "fourteen shards and a card");
    let n_writes = bucket.n_writes();
    assert!(stderr(&output(&bench, &bucket, &args)).contains("nothing new"));
    assert_eq!(bucket.n_writes(), n_writes);
}

/// Goal: an address is never taken for a folder called `s3:`. Method: each flag that names a folder.
#[test]
fn an_address_is_not_taken_for_a_folder() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let url = "s3://bucket/cats";
    let commands: [&[&str]; 5] = [
        &["run", "prompts.csv", "-o", url],
        &["plan", "prompts.csv", "-o", url],
        &["merge", "out", "-o", url],
        &["verify", url],
        &["gallery", url],
    ];
    for args in commands {
        let refused = bench.output(args);
        expect_code(&refused, 2);
        assert!(stderr(&refused).contains("it is an address, and this is a folder on disk"), "{}", stderr(&refused));
    }
    let refused = bench.output(&["export", "out", "--to", "webdataset", "-o", "http://bucket/a"]);
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("could not use the address of -o: write s3://"), "{}", stderr(&refused));
    for place in ["images", "http://bucket/a", "s3://bucket/a?b", "s3://", "s3://bucket/../a", "file://images"] {
        let refused = bench.run("prompts.csv", &["--images", place]);
        expect_code(&refused, 2);
        assert!(stderr(&refused).contains("could not use the address of --images: "), "{}", stderr(&refused));
    }
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 1, "nothing is written");
    assert_eq!(bench.stats().n_submits, 0);
}
