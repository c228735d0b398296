//! Command `run`: builds settings from flags, selects the progress output, and prints the summary.

use std::path::{Path, PathBuf};

use promptbatch::driver::stopper;
use promptbatch::manifest::{Source, is_nameless, stem};
use promptbatch::model::escape::escape;
use promptbatch::model::limits::Concurrency;
use promptbatch::model::price::Price;
use promptbatch::provider::registry::ProviderConfig;
use promptbatch::report::Reporters;
use promptbatch::report::tty_reporter::PrintAbove;
use promptbatch::run::{self, Options, RunError, RunStart};
use promptbatch::store::sqlite::SqliteStore;

use crate::cli::args::{ProviderName, RunArgs};
use crate::cli::estimate::PlanSettings;
use crate::cli::exit::Exit;
use crate::cli::flags::PaceArgs;
use crate::cli::manifest_args::ManifestArgs;
use crate::cli::progress::{chores, ended, reporters};
use crate::cli::{diagnostics, fail, gallery, plan, runtime, signals, summary, tell};

/// Warning about a token that belongs to another account than the batch.
pub const OTHER_ACCOUNT: &str = "warning: the token belongs to a different account than the one that this batch was started with. \
Tasks of the old account cannot be fetched with it and stay unfinished: use the old token again to get them. New submissions go to the \
account of this token. If the old account is gone for good, --new-account submits its unfinished tasks again, which is paid for again";

/// Runs a manifest, or continues its run.
pub fn run(args: &RunArgs) -> Exit {
    if args.dry_run {
        return plan::show(&args.manifest, args.out.as_deref(), &told(&args.pace), false, args.show.display());
    }
    if let Err(exit) = args.reports.check() {
        return exit;
    }
    let options = match options(args) {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    let out = options.out.clone();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::Error, &error),
    };
    let above = PrintAbove::default();
    let came_to = runtime.block_on(async {
        let (stopper, mut stops) = stopper();
        signals::listen(stopper, args.show.quiet, above.clone()).map_err(|error| fail(Exit::Error, &error))?;
        let face = |start: &RunStart<'_>| face(args, &out, start, &above);
        let mut chores = chores(args.show.display(), &above);
        let source = options.source.clone();
        Box::pin(run::run(options, face, &mut *chores, &mut stops)).await.map_err(|error| match &error {
            RunError::Manifest(error) => diagnostics::refuse(error, &source),
            error => fail(Exit::of_error(error), error),
        })
    });
    // The process does not wait for an image that a slow disk still writes: the next run downloads it again.
    runtime.shutdown_background();
    match came_to {
        Err(exit) => {
            ended(&args.show, exit, None);
            exit
        }
        Ok(summary) => {
            let exit = Exit::of_summary(&summary, args.reports.fail_under);
            if args.show.is_for_people() {
                for line in summary::words(&summary, &out, exit, args.reports.fail_under) {
                    tell(&line);
                }
            }
            let exit = args.reports.write(&out, &summary, price(&args.pace, &out).as_ref(), exit);
            let exit = if args.gallery {
                let mut chores = chores(args.show.display(), &above);
                gallery::after_run(&out, args.show.quiet, exit, &mut *chores)
            } else {
                exit
            };
            ended(&args.show, exit, Some(&summary));
            exit
        }
    }
}

/// Returns the settings for the estimate of this run.
const fn told(pace: &PaceArgs) -> PlanSettings<'_> {
    PlanSettings {
        rate: pace.rate,
        in_flight: match pace.concurrency {
            Concurrency::Auto => None,
            Concurrency::Fixed(n) => Some(n.get()),
        },
        price: pace.price.as_ref(),
        cost_max: pace.max_cost.as_ref(),
        jobs_max: match pace.limit {
            Some(n) => Some(n.get()),
            None => None,
        },
    }
}

/// Returns the price of an image: the user's, or else the price that the last run used. `None` if both are unknown.
pub fn price(pace: &PaceArgs, out: &Path) -> Option<Price> {
    pace.price.clone().or_else(|| SqliteStore::glance(out, SqliteStore::price_used).unwrap_or_default())
}

/// Builds the source of the manifest: its path, and how to read it.
pub fn source(args: &ManifestArgs, default_model: &str) -> Source {
    Source {
        path: args.manifest.clone(),
        format: args.format.map(Into::into),
        encoding: args.encoding,
        prompt_column: args.prompt_col.clone(),
        id_column: args.id_col.clone(),
        overrides: args.set.clone(),
        default_model: Some(default_model.to_owned()),
        jobs_max: args.max_jobs,
        shuffle: args.shuffle,
        allowed_folders: args.allow_files.iter().flat_map(|folders| &folders.0).cloned().collect(),
    }
}

fn options(args: &RunArgs) -> Result<Options, Exit> {
    let provider = match args.provider {
        ProviderName::Modelscope => ProviderConfig::ModelScope {
            base_url: args.base_url.clone(),
            token_file: args.access.token_file.clone(),
            request_timeout: args.access.request_timeout,
        },
        ProviderName::Simulator => ProviderConfig::Simulator(Box::default()),
    };
    Ok(Options {
        source: source(&args.manifest, provider.default_model()),
        out: out(args.out.as_deref(), &args.manifest)?,
        provider,
        limits: args.pace.limits(),
        image_limits: args.images.limits(),
        style: args.style.wish(),
        formula_guard: args.guard.is_wanted(),
        consent: args.consent.consent(),
    })
}

/// Returns the output folder: the given one, or one named after the manifest. A pipe has another name each time, so its
/// folder must be given.
pub fn out(named: Option<&Path>, args: &ManifestArgs) -> Result<PathBuf, Exit> {
    let path = &args.manifest;
    match named {
        Some(named) => Ok(named.to_owned()),
        None if is_nameless(path) && path != Path::new("-") => {
            let path = path.display();
            tell(&format!("error: could not choose an output folder: {path} has no name of its own; add -o OUT"));
            Err(Exit::Usage)
        }
        None => Ok(Path::new("out").join(stem(path).unwrap_or("run".as_ref()))),
    }
}

/// Prints what is about to happen, and selects how progress is shown.
fn face(args: &RunArgs, out: &Path, start: &RunStart<'_>, above: &PrintAbove) -> Reporters {
    if args.show.quiet {
        return Reporters::default();
    }
    start.manifest.iter().for_each(|manifest| diagnostics::warn(manifest));
    if start.counts.n_unfinished() == 0 {
        return Reporters::default();
    }
    tell(&opening(args, out, start));
    if start.is_other_account {
        tell(OTHER_ACCOUNT);
    }
    if start.n_left_behind > 0 {
        tell(&format!(
            "warning: {} no longer in the manifest may be paid for and will not be fetched; put the rows back to get the images",
            summary::jobs(start.n_left_behind)
        ));
    }
    if !start.style.naming.tells_apart() && start.counts.n_jobs() > 1 {
        tell(&format!(
            "note: `{}` may give several images the same name; all but the first get their job's id appended",
            escape(&start.style.naming.to_string())
        ));
    }
    reporters(&args.show, &start.counts, start.price.clone(), args.pace.limit.map(u64::from), above)
}

fn opening(args: &RunArgs, out: &Path, start: &RunStart<'_>) -> String {
    let counts = &start.counts;
    let n_done = counts.n_jobs() - counts.n_unfinished();
    let past = match (n_done, start.imported) {
        (0, _) => String::new(),
        (done, Some(imported)) if imported.n_new > 0 => format!(", {done} already done, {} new", imported.n_new),
        (done, _) => format!(", {done} already done"),
    };
    let manifest = escape(&args.manifest.manifest.display().to_string());
    let limit = args.pace.limit.map(u64::from).filter(|limit| *limit < counts.n_unfinished());
    let now = limit.map_or_else(String::new, |limit| format!(", {limit} of them now (--limit)"));
    format!("{manifest}: {}{past}{now} -> {}", summary::jobs(counts.n_jobs()), escape(&out.display().to_string()))
}
