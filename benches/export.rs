//! Benchmark of `export` by format: time and memory for a whole run, again without changes, and with new images.
//!
//! `cargo bench --bench export [--features parquet] [-- IMAGES [SIDE]]`: square pictures with `SIDE` pixels per side. A
//! thousand images are added for the last table. The ledger and the images are real, and none of them was paid for.
//! Ends with an error if the memory exceeds its limit, which does not depend on the number of images.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use promptbatch::internals::simulator::Picture;
use promptbatch::internals::store::SqliteStore;
use promptbatch::manifest;
use promptbatch::manifest::source::Source;
use promptbatch::model::event::{Event, EventKind};
use promptbatch::model::job::Job;
use promptbatch::model::outcome::{Artifact, ImageFormat, Outcome, TaskId};
use promptbatch::model::phase::JobRecord;
use promptbatch::model::progress::NoProgress;
use promptbatch::model::request::Size;
use promptbatch::model::time::Timestamp;
use promptbatch::plan;
use promptbatch::store::{JobScope, RunWriter};
use sha2::{Digest, Sha256};

/// Default number of images. `SIDE` is their default side, in pixels.
const IMAGES: u64 = 10_000;
const SIDE: u32 = 32;

/// Number of images that are added later.
const MORE: u64 = 1_000;

/// Number of images in one folder of the run.
const FOLDER_IMAGES: u64 = 10_000;

/// Number of jobs that are recorded together.
const BATCH: usize = 4000;

/// Maximum memory of an export, in kB.
const PEAK_MAX: u64 = 150_000;

/// Interval at which a process is sampled. Its memory during the last interval before its end is missed.
const LOOK: Duration = Duration::from_millis(2);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let n_images = numbers.next().unwrap_or(IMAGES);
    let side = numbers.next().map_or(Ok(SIDE), u32::try_from)?;
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    let bytes = run(folder.path(), n_images, side)?;
    println!("{n_images} images, {} MB; made in {:.0} s", bytes / 1_000_000, began.elapsed().as_secs_f64());
    println!("{:24} {:>10} {:>10} {:>10} {:>10}", "", "seconds", "images/s", "MB/s", "peak MB");
    let formats: &[&str] = &["imagefolder", "captions", "webdataset", "parquet"];
    let n_formats = if cfg!(feature = "parquet") { formats.len() } else { formats.len() - 1 };
    let mut is_met = true;
    let mut export = |name: &str, args: &[&str], n: u64, bytes: u64| -> Result<(), Box<dyn Error>> {
        let (seconds, peak) = measure(folder.path(), args)?;
        is_met &= peak <= PEAK_MAX;
        #[expect(clippy::cast_precision_loss, reason = "figures of a bench")]
        let (per_second, rate) = (n as f64 / seconds, bytes as f64 / 1e6 / seconds);
        println!("{name:24} {seconds:>10.2} {per_second:>10.0} {rate:>10.1} {:>10}", peak / 1000);
        Ok(())
    };
    for format in &formats[..n_formats] {
        export(format, &["--to", format], n_images, bytes)?;
        export("  nothing new", &["--to", format], 0, 0)?;
    }
    export("captions, copied", &["--to", "captions", "--copy", "-o", "copied"], n_images, bytes)?;
    let more = run(folder.path(), n_images + MORE, side)?;
    for format in &formats[..n_formats] {
        export(&format!("{format}, {MORE} new"), &["--to", format], MORE, more)?;
    }
    Ok(if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Extends the run to `n_images` jobs, all with their images. Returns the size of the new images, in bytes.
fn run(folder: &Path, n_images: u64, side: u32) -> Result<u64, Box<dyn Error>> {
    let path = folder.join("m.csv");
    let rows = (0..n_images).map(|n| format!("\"a cat, number {n}\",{n},shelf {}\n", n / 100));
    fs::write(&path, format!("prompt,seed,shelf\n{}", rows.collect::<String>()))?;
    let manifest = manifest::open(Source { path, default_model: Some("Qwen/Qwen-Image".into()), ..Source::default() })?;
    let out = folder.join("out");
    let mut file = SqliteStore::open(&out, "simulator")?;
    plan::import(&manifest, &out, &mut file, false, &mut NoProgress)?;
    let mut ledger = Box::new(file).start(JobScope::Unfinished)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let bytes = runtime.block_on(async {
        let mut bytes = 0;
        loop {
            let jobs = ledger.load(BATCH).await?.jobs;
            if jobs.is_empty() {
                return Ok::<_, Box<dyn Error>>(bytes);
            }
            let mut events = vec![];
            for JobRecord { job, .. } in &jobs {
                let artifact = image(&out, job, side)?;
                bytes += artifact.bytes;
                let task = EventKind::Accepted(TaskId(format!("{}", 5_000_000 + job.index)));
                let end = EventKind::Finished(Outcome::Succeeded(vec![artifact]));
                let at = Timestamp::from_millis(1_800_000_000_000);
                let event = |kind| Event { job: job.id, index: job.index, at, kind };
                events.extend([EventKind::SubmitStarted, task, end].map(event));
            }
            ledger.record(events.into()).await?;
        }
    })?;
    ledger.close()?;
    Ok(bytes)
}

/// Draws a job's picture at the path that a run uses.
fn image(out: &Path, job: &Job, side: u32) -> Result<Artifact, Box<dyn Error>> {
    let file_name = match (job.index - 1) / FOLDER_IMAGES {
        0 => format!("images/{:06}-a-cat.png", job.index),
        n => format!("images/{n:05}/{:06}-a-cat.png", job.index),
    };
    let bytes = Picture::new(job.index, Size { width: side, height: side }).png();
    let path = out.join(&file_name);
    if job.index % FOLDER_IMAGES == 1 {
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    }
    fs::write(&path, &bytes)?;
    let (sha256, format) = (Sha256::digest(&bytes).into(), ImageFormat::Png);
    Ok(Artifact { file_name, sha256, bytes: bytes.len() as u64, width: side, height: side, format })
}

/// Runs `export`. Returns its duration in seconds and its peak memory in kB.
fn measure(folder: &Path, args: &[&str]) -> Result<(f64, u64), Box<dyn Error>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_promptbatch"));
    command.args(["export", "out"]).args(args).current_dir(folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).env("PROMPTBATCH_PROGRESS", "none");
    let began = Instant::now();
    let mut child = Killed(command.spawn()?);
    let mut peak = 0;
    loop {
        // The kernel discards a process's peak when it ends, so the last sample counts.
        peak = peak_kilobytes(child.0.id()).unwrap_or(peak);
        if let Some(status) = child.0.try_wait()? {
            let seconds = began.elapsed().as_secs_f64();
            return status.success().then_some((seconds, peak)).ok_or_else(|| format!("{args:?}: {status}").into());
        }
        thread::sleep(LOOK);
    }
}

/// Process that does not outlive the benchmark.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the peak resident memory of a process, in kB, as Linux reports it. `None` if the process has ended.
fn peak_kilobytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches(" kB").parse().ok()
}
