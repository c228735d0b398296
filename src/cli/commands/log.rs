//! Command `log`: prints the history of one job, from its events.

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::flags::folders::run_folder;
use crate::cli::messages::local_time::beside;
use crate::cli::output::{fail, print, print_message};
use crate::model::escape::{escape, excerpt};
use crate::model::event::{EventKind, Redo, ReopenTarget, ReplacedImage, Restored};
use crate::model::outcome::{Artifact, Fault, Outcome};
use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::report::value::{hex, rfc3339};
use crate::store::error::LedgerError;
use crate::store::{RunReader, stores};

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch log out/cats 17                           the seventeenth row of the manifest
  promptbatch log out/cats cat-blue                     by its own id in the manifest
  promptbatch log out/cats 5075521                      by the id of a task";

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The output folder of a run
    #[arg(value_parser = run_folder())]
    pub out: PathBuf,

    /// Which job: its id as in results.csv, or else its index, the beginning of its 20-digit id, or the id of one of its tasks
    pub job: String,
}

/// Maximum length of a prompt, a link or a fault message, in characters.
const TEXT_CHARS_MAX: usize = 2000;

/// Prints the history of one job.
pub(crate) fn log(args: &LogArgs) -> Exit {
    let told = stores::open_for_reading(&args.out).and_then(|run| {
        let found = run.find(&args.job)?;
        match found.as_slice() {
            [record] => Ok(Ok(story(&*run, record)?)),
            _ => Ok(Err(found)),
        }
    });
    match told {
        Ok(Ok(text)) => print(&text),
        Ok(Err(found)) => {
            print_message(&not_one(&args.job, &found));
            Exit::Usage
        }
        Err(error) => fail(Exit::of_ledger(&error), &error),
    }
}

fn not_one(name: &str, found: &[JobRecord]) -> String {
    let name = escape(name);
    if found.is_empty() {
        return format!(
            "error: could not find the job {name:?}: give its index, its id as in results.csv, or its task id"
        );
    }
    let ids: Vec<_> = found.iter().map(|record| format!("{} ({})", record.job.index, record.job.id)).collect();
    format!("error: several jobs match {name:?}: {}", ids.join(", "))
}

fn story(run: &dyn RunReader, record: &JobRecord) -> Result<String, LedgerError> {
    let JobRecord { job, state } = record;
    let place = if job.index == 0 { "no longer in the manifest".to_owned() } else { format!("job {}", job.index) };
    let label = job.label.as_ref().map_or_else(String::new, |label| format!(", {}", excerpt(label, TEXT_CHARS_MAX)));
    let mut lines = vec![
        format!("{place}{label}, id {}: {}", job.id, state.status()),
        format!("prompt: {}", excerpt(&job.request.prompt, TEXT_CHARS_MAX)),
        format!("model: {}", excerpt(&job.request.model, TEXT_CHARS_MAX)),
    ];
    lines.extend(job.request.provider.iter().map(|name| format!("provider: {}", excerpt(name, TEXT_CHARS_MAX))));
    lines.extend(run.events(job.id)?.iter().map(|(at, kind)| line(*at, kind)));
    for artifact in run.artifacts(job.id)? {
        let (name, bytes) = (escape(&artifact.file_name), artifact.bytes);
        lines.push(format!("image: {name}, {}x{}, {bytes} bytes", artifact.width, artifact.height));
    }
    lines.push(format!(
        "submissions: {}, of which {} in doubt; tasks lost: {}; reopened: {}",
        state.n_submits, state.n_in_doubt, state.n_lost, state.n_reopened
    ));
    Ok(lines.join("\n") + "\n")
}

fn line(at: Timestamp, kind: &EventKind) -> String {
    let words = match kind {
        EventKind::SubmitStarted => "submitting".to_owned(),
        EventKind::Accepted(task) => format!("accepted as task {}", excerpt(&task.0, TEXT_CHARS_MAX)),
        EventKind::Charged(charge) => {
            format!("cost, as the answer says: {}", excerpt(&charge.money.to_string(), TEXT_CHARS_MAX))
        }
        EventKind::Ready(urls) => {
            let links: Vec<_> = urls.iter().map(|url| excerpt(&url.0, TEXT_CHARS_MAX)).collect();
            format!("done at the provider: {}", links.join(" "))
        }
        EventKind::Setback(stage, fault) => format!("setback ({}): {}", stage.as_str(), fault_words(fault)),
        EventKind::Finished(Outcome::Succeeded(_)) => "succeeded".to_owned(),
        EventKind::Finished(Outcome::Failed(fault)) => format!("failed: {}", fault_words(fault)),
        EventKind::Reopened(ReopenTarget::Fetch) => "reopened, to fetch its images again".to_owned(),
        EventKind::Reopened(ReopenTarget::Submit) => "reopened, to be submitted again".to_owned(),
        EventKind::Redone(redo) => redone(redo),
        EventKind::Restored(restored) => restored_words(restored),
    };
    format!("{}{}  {words}", rfc3339(at), beside(at))
}

/// Formats a redo, with the images that the job had.
fn redone(Redo { seed, replaced, .. }: &Redo) -> String {
    let seed = seed.map_or_else(String::new, |seed| format!(" with the new seed {seed}"));
    let image = |image: &ReplacedImage| {
        let Artifact { bytes, width, height, sha256, .. } = &image.artifact;
        let (name, sha256) = (escape(&image.kept_as), hex(sha256));
        format!("; the image before is kept as {name}, {width}x{height}, {bytes} bytes, sha256 {sha256}")
    };
    let images: Vec<_> = replaced.iter().map(image).collect();
    format!("made again on request{seed}, to be submitted again{}", images.concat())
}

/// Formats the return of a job to its images.
fn restored_words(Restored { task, images, .. }: &Restored) -> String {
    let names: Vec<_> = images.iter().map(|image| escape(&image.artifact.file_name)).collect();
    let task = task.as_ref().map_or_else(String::new, |task| format!(" of task {}", excerpt(&task.0, TEXT_CHARS_MAX)));
    format!("its image before{task} is current again: {}", names.join(" "))
}

fn fault_words(fault: &Fault) -> String {
    excerpt(&fault.to_string(), TEXT_CHARS_MAX)
}
