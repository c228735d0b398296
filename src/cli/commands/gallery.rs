//! Command `gallery`, also used by `run --gallery` at the end of a run.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::flags::ProgressArgs;
use crate::cli::flags::folders::run_folder;
use crate::cli::messages::progress::operation_progress;
use crate::cli::output::{fail, print, print_message};
use crate::model::escape::{escape, grouped};
use crate::model::progress::Progress;
use crate::report::tty_reporter::PrintAbove;
use crate::run::gallery::{ALL, Gallery, GalleryError, gallery as make};

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch gallery out/cats                          out/cats/gallery.html, for any browser
  promptbatch gallery out/cats --jobs 100001-200000     the second hundred thousand of a large run
The page needs no server and no network. Move it together with OUT, whose images it shows.
Thumbnails are in OUT/gallery, and only new ones are made. Prints the path of the page.";

#[derive(Debug, Args)]
pub(crate) struct GalleryArgs {
    /// The output folder of a run
    #[arg(value_parser = run_folder())]
    pub out: PathBuf,

    /// Only the jobs with these indices, for example 100001-200000: a page holds at most 100,000
    #[arg(long, value_name = "FROM-TO", value_parser = job_range, allow_hyphen_values = true)]
    pub jobs: Option<RangeInclusive<u64>>,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// Maximum number of images without a thumbnail that are listed.
const WITHOUT_MAX: usize = 5;

/// Writes the gallery of a run.
pub(crate) fn gallery(args: &GalleryArgs) -> Exit {
    let mut progress = operation_progress(args.progress.display(), &PrintAbove::default());
    let made = make(&args.out, args.jobs.as_ref().unwrap_or(&ALL), &mut *progress);
    drop(progress);
    match made {
        Ok(gallery) => {
            for line in words(&gallery, &args.out) {
                print_message(&line);
            }
            print(&format!("{}\n", escape(&gallery.path.display().to_string())))
        }
        Err(GalleryError::Ledger(error)) => fail(Exit::of_ledger(&error), &error),
        Err(error) => fail(Exit::Error, &error),
    }
}

/// Writes the gallery at the end of a run, after the summary. A gallery that fails turns a successful run into an
/// error.
pub(crate) fn after_run(out: &Path, is_quiet: bool, exit: Exit, progress: &mut dyn Progress) -> Exit {
    match make(out, &ALL, progress) {
        Ok(gallery) => {
            if !is_quiet {
                for line in words(&gallery, out) {
                    print_message(&line);
                }
                print_message(&format!("gallery: {}", escape(&gallery.path.display().to_string())));
            }
            exit
        }
        Err(error) => {
            let failed = fail(Exit::Error, &error);
            if exit == Exit::Done { failed } else { exit }
        }
    }
}

/// Formats the result, line by line.
fn words(gallery: &Gallery, out: &Path) -> Vec<String> {
    let Gallery { n_jobs, n_wanted, n_shown, shown, n_images, n_new, n_pruned, without, .. } = gallery;
    let out = escape(&out.display().to_string());
    let count = |n: u64, one: &str| format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" });
    let mut all = vec![count(*n_images, "image"), count(*n_new, "new thumbnail")];
    all.extend((*n_pruned > 0).then(|| format!("{} removed", grouped(*n_pruned))));
    all.extend((!without.is_empty()).then(|| format!("{} without a thumbnail", grouped(without.len() as u64))));
    let mut lines = vec![all.join(", ")];
    lines.extend(without.iter().take(WITHOUT_MAX).map(|(image, why)| format!("  {}: {why}", escape(&image.file_name))));
    if without.len() > WITHOUT_MAX {
        lines.push(format!("  and {} more: see `promptbatch verify {out}`", without.len() - WITHOUT_MAX));
    }
    if n_shown < n_wanted {
        let last = shown.map_or(0, |(_, last)| last);
        lines.push(format!(
            "the page holds {} of {}: see the others with `promptbatch gallery {out} --jobs {}-{n_jobs}`",
            grouped(*n_shown),
            count(*n_wanted, "job"),
            last + 1
        ));
    }
    lines
}

/// Parses a range of job indices: `N`, `FROM-TO`, `FROM-` or `-TO`.
pub(crate) fn job_range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str, default| if text.is_empty() { Some(default) } else { text.parse().ok() };
    let (from, to) = text.trim().split_once('-').unwrap_or((text, text));
    let range = number(from.trim(), 1).zip(number(to.trim(), u64::MAX));
    range
        .filter(|(from, to)| 0 < *from && from <= to && !text.trim().trim_matches('-').is_empty())
        .map(|(from, to)| from..=to)
        .ok_or_else(|| "jobs are a first and a last index, for example 1-5000 or 100001-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_asked_for_by_their_first_and_last_index() {
        assert_eq!(
            ["1-5000", " 7 ", "100001-", "-9"].map(job_range),
            [Ok(1..=5000), Ok(7..=7), Ok(100_001..=u64::MAX), Ok(1..=9)]
        );
        for text in ["", "-", "0-3", "5-4", "a-b", "1-2-3", "1..3", "-1-3"] {
            assert!(job_range(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_said_with_the_way_to_it() {
        let gallery = Gallery {
            n_jobs: 250_000,
            n_wanted: 250_000,
            shown: Some((1, 100_000)),
            n_shown: 100_000,
            n_images: 99_000,
            n_new: 1,
            n_pruned: 2,
            ..Gallery::default()
        };
        insta::assert_snapshot!(words(&gallery, Path::new("out/cats")).join("\n"), @r"
        99,000 images, 1 new thumbnail, 2 removed
        the page holds 100,000 of 250,000 jobs: see the others with `promptbatch gallery out/cats --jobs 100001-250000`
        ");
    }
}
