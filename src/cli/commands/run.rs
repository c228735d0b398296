//! Command `run`: builds settings from flags, selects the progress output, and prints the summary.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};

use crate::cli::commands::gallery;
use crate::cli::commands::plan;
use crate::cli::exit::Exit;
use crate::cli::flags::folders::folder;
use crate::cli::flags::manifest::{ManifestArgs, choice, out_dir, source};
use crate::cli::flags::named::{NamedValue, for_own, of_rows, own_token};
use crate::cli::flags::provider::{ProviderArgs, base_url_help};
use crate::cli::flags::reports::{PrintedError, ReportArgs};
use crate::cli::flags::shared::{WorkRequest, images_at};
use crate::cli::flags::style::StyleArgs;
use crate::cli::flags::{AccessArgs, ConsentArgs, GuardArgs, ImageArgs, PaceArgs, ShowArgs};
use crate::cli::messages::estimate::PlanSettings;
use crate::cli::messages::progress::{ended, operation_progress, reporters};
use crate::cli::messages::start;
use crate::cli::messages::{diagnostics, notes, summary};
use crate::cli::output::{fail, print_message};
use crate::cli::runtime::runtime;
use crate::cli::shared_run;
use crate::cli::signals;
use crate::driver::stop::stopper;
use crate::model::escape::escape;
use crate::model::limits::{Concurrency, Limits};
use crate::model::partition::Partition;
use crate::provider::config::ProviderConfig;
use crate::provider::default_provider::DEFAULT;
use crate::report::Reporters;
use crate::report::tty_reporter::PrintAbove;
use crate::run;
use crate::run::consent::Consent;
use crate::run::credentials::Credentials;
use crate::run::error::RunError;
use crate::run::options::Options;
use crate::run::outputs;
use crate::run::summary::{RunStart, Summary};

/// Text below the flags in the help; `$TOKEN` stands for the variable of the default provider's token.
const HELP: &str = "\
Examples:
  promptbatch run prompts.yaml                          to out/prompts; token in $TOKEN
  promptbatch run prompts.csv -o out/cats --rate 30/m   at most 30 submissions per minute
  promptbatch run prompts.yaml --set size=1024x1024     override a default of the manifest
  promptbatch run prompts.csv --name '{category}/{time}-{slug}' --sidecar txt
  promptbatch run prompts.csv --price '2 magicube' --max-cost 200 --max-duration 8h
  promptbatch run prompts.csv --limit 10 --shuffle 1    ten random ones; run again for more
  promptbatch run prompts.csv --where category=birds    these first; the others stay outstanding
  promptbatch run prompts.csv --gallery --report md=summary.md --fail-under 98%
After an interruption, run the same command again to resume: accepted tasks are fetched and never
submitted again.";

/// Returns the text below the flags in the help: examples, and what an interruption needs.
pub(crate) fn help() -> String {
    let variable = DEFAULT.api.map_or("", |api| api.token.variables[0]);
    HELP.replace("$TOKEN", variable)
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,

    #[arg(help = "Output folder [default: out/<name of the manifest>]", short, long, value_parser = folder(), env = "PROMPTBATCH_OUT")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub provider: ProviderArgs,

    #[arg(long, value_name = "URL", env = "PROMPTBATCH_BASE_URL", hide_env_values = true, help = base_url_help())]
    pub base_url: Vec<NamedValue<String>>,

    #[command(flatten)]
    pub access: AccessArgs,

    #[command(flatten)]
    pub consent: ConsentArgs,

    /// Continue in OUT although more than half of its jobs are not in this manifest: they leave the results, and their images
    /// stay on disk
    #[arg(long, env = "PROMPTBATCH_REPLACE_MANIFEST", action = ArgAction::SetTrue)]
    pub replace_manifest: bool,

    #[command(flatten)]
    pub pace: PaceArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    /// Where the images go, instead of OUT: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///folder`. Keys come
    /// from the environment. Later runs in OUT use the same place
    #[arg(long = "images", value_name = "URL", env = "PROMPTBATCH_IMAGES", hide_env_values = true)]
    pub images_at: Option<String>,

    /// Share the run with other machines that run the same command: address in PostgreSQL, `postgres://user@host/database?run=NAME`. `merge`
    /// brings it back
    #[arg(long, value_name = "URL", env = "PROMPTBATCH_LEDGER", hide_env_values = true)]
    pub ledger: Option<String>,

    /// Show what the run would do, like `plan`; send and write nothing
    #[arg(long, env = "PROMPTBATCH_DRY_RUN", action = ArgAction::SetTrue)]
    pub dry_run: bool,

    /// Make or update OUT/gallery.html at the end, even if the run stops early
    #[arg(long, env = "PROMPTBATCH_GALLERY", action = ArgAction::SetTrue)]
    pub gallery: bool,

    #[command(flatten)]
    pub style: StyleArgs,

    #[command(flatten)]
    pub guard: GuardArgs,

    #[command(flatten)]
    pub reports: ReportArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

/// Runs a manifest, or continues its run.
pub(crate) fn run(args: &RunArgs) -> Exit {
    if args.dry_run && args.ledger.is_some() {
        print_message(
            "error: could not use --dry-run with --ledger: it would plan the whole manifest, and not what is left of the shared run; see \
             `promptbatch status` with its address, or leave out --ledger (and PROMPTBATCH_LEDGER)",
        );
        return Exit::Usage;
    }
    if args.dry_run {
        return plan::show(
            &args.manifest,
            args.provider.provider,
            args.out.as_deref(),
            &told(&args.pace, args.provider.provider.name),
            false,
            args.show.display(),
        );
    }
    if let Err(exit) = args.reports.check(Some(&args.manifest.manifest)) {
        return exit;
    }
    let options = match (options(args), &args.ledger) {
        (Ok(options), None) => options,
        (Ok(options), Some(ledger)) => return run_shared(args, &options, ledger),
        (Err(exit), _) => return exit,
    };
    let (out, provider) = (options.out.clone(), args.provider.provider.name);
    if let Some(conflict) = outputs::check_gallery(&out).err().filter(|_| args.gallery) {
        return args.reports.write_error(&out, provider, &PrintedError::print(Exit::Usage, &conflict));
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::Error, &error),
    };
    let above = PrintAbove::default();
    let ended_with = runtime.block_on(async {
        let (stopper, mut stops) = stopper();
        signals::listen(stopper, args.show.quiet, above.clone())
            .map_err(|error| PrintedError::print(Exit::Error, &error))?;
        let make_reporters = |start: &RunStart<'_>| make_reporters(args, &out, start, &above);
        let mut progress = operation_progress(args.show.display(), &above);
        let source = source(&args.manifest, args.provider.provider);
        run::run(options, make_reporters, &mut *progress, &mut stops).await.map_err(|error| match &error {
            RunError::Manifest(error) => {
                PrintedError { exit: diagnostics::refuse(error, &source), error: format!("error: {error}") }
            }
            error => PrintedError::print(Exit::of_error(error), error),
        })
    });
    // The process does not wait for an image that a slow disk still writes: the next run downloads it again.
    runtime.shutdown_background();
    match ended_with {
        Err(failure) => {
            let exit = args.reports.write_error(&out, provider, &failure);
            ended(&args.show, exit, None);
            exit
        }
        Ok(summary) => finish(args, &out, &summary, &above),
    }
}

/// Shares the manifest, or joins its run, and works on it. Flags for which a shared run has no use are refused.
fn run_shared(args: &RunArgs, options: &Options, ledger: &str) -> Exit {
    let unknown = [
        (!options.choice.is_all(), "--where and --sample"),
        (args.manifest.partition.is_some(), "--partition"),
        (args.gallery, "--gallery"),
        (args.reports.is_wanted(), "--report and --fail-under"),
    ];
    if let Some((_, flags)) = unknown.into_iter().find(|(is_given, _)| *is_given) {
        print_message(&format!(
            "error: could not use {flags} with --ledger: give it to the folder once `promptbatch merge` has brought the run back"
        ));
        return Exit::Usage;
    }
    let settings = options.provider.settings();
    let request = WorkRequest {
        ledger,
        out: Some(options.out.clone()),
        images: options.images.clone(),
        access: Credentials {
            token: settings.token.clone(),
            provider: Some(options.provider.clone()),
            provider_name: None,
            base_url: settings.base_url.clone(),
            of_rows: settings.of_rows.clone(),
            request_timeout: settings.request_timeout,
            consent: options.consent,
        },
        limits: options.limits.clone(),
        image_limits: options.image_limits,
        show: &args.show,
    };
    shared_run::run(options, request)
}

/// Prints the summary, writes the reports and the gallery, and returns the exit code.
fn finish(args: &RunArgs, out: &Path, summary: &Summary, above: &PrintAbove) -> Exit {
    let exit = Exit::of_summary(summary, args.reports.fail_under);
    if args.show.is_for_people() {
        for line in summary::words(summary, out, exit, args.reports.fail_under) {
            print_message(&line);
        }
        if let Some(line) = summary::gallery(summary, out).filter(|_| !args.gallery) {
            print_message(&line);
        }
    } else if args.show.quiet
        && let Some(line) = summary::quiet_words(summary, out, exit)
    {
        print_message(&line);
    }
    let exit = args.reports.write(out, summary, exit);
    let exit = if args.gallery {
        let mut progress = operation_progress(args.show.display(), above);
        gallery::after_run(out, args.show.quiet, exit, &mut *progress)
    } else {
        exit
    };
    ended(&args.show, exit, Some(summary));
    exit
}

/// Returns the settings for the estimate of this run.
fn told<'a>(pace: &'a PaceArgs, own: &str) -> PlanSettings<'a> {
    PlanSettings {
        rate: for_own(&pace.rate, own),
        in_flight: match for_own(&pace.concurrency, own) {
            Some(Concurrency::Fixed(n)) => Some(n.get()),
            Some(Concurrency::Auto) | None => None,
        },
        price: pace.price.as_ref(),
        cost_max: pace.max_cost.as_ref(),
        jobs_max: pace.limit.map(NonZeroU64::get),
    }
}

fn options(args: &RunArgs) -> Result<Options, Exit> {
    let own = args.provider.provider.name;
    let provider = ProviderConfig::new(args.provider.provider).with(|settings| {
        settings.base_url = for_own(&args.base_url, own);
        settings.of_rows =
            of_rows(own, &args.base_url, &args.access.token_file, &args.pace.rate, &args.pace.concurrency);
        settings.token = own_token(&args.access.token_file, own);
        settings.request_timeout = args.access.request_timeout;
    });
    Ok(Options {
        source: source(&args.manifest, args.provider.provider).into(),
        choice: choice(&args.manifest),
        out: out_dir(args.out.as_deref(), &args.manifest)?,
        provider,
        limits: share(args, args.pace.limits(own)),
        image_limits: args.images.limits(),
        images: images_at(args.images_at.as_deref())?,
        style: args.style.overrides(),
        formula_guard: args.guard.is_wanted(),
        consent: Consent { is_manifest_replaced: args.replace_manifest, ..args.consent.consent() },
    })
}

/// Returns this part's share of the limits, which are those of all parts.
fn share(args: &RunArgs, limits: Limits) -> Limits {
    args.manifest.partition.map_or(limits.clone(), |partition| partition.share(limits))
}

/// Prints what is about to happen, and selects how progress is shown.
fn make_reporters(args: &RunArgs, out: &Path, start: &RunStart<'_>, above: &PrintAbove) -> Reporters {
    if args.show.quiet {
        return Reporters::default();
    }
    start.manifest.iter().for_each(|manifest| diagnostics::warn(manifest));
    let notes: Vec<_> = start.manifest.into_iter().flat_map(notes::notes).collect();
    let has_new = start.imported.is_some_and(|imported| imported.n_new > 0);
    let restyled = start
        .style_before
        .as_ref()
        .and_then(|before| start::restyled_words(before, start.style, start.counts.n_succeeded, start.n_to_do));
    for words in restyled.iter().chain(&args.style.idle_quality_words(start.style)) {
        print_message(words);
    }
    let leaving = (start.n_leaving > 0).then(|| start::leaving_words(&summary::jobs(start.n_leaving), has_new));
    if start.counts.n_unfinished() == 0 {
        for note in notes.iter().chain(&leaving) {
            print_message(note);
        }
        return Reporters::default();
    }
    print_message(&std::iter::once(opening(args, out, start)).chain(notes).collect::<Vec<_>>().join("\n"));
    start::warn(start.is_other_account, &start.counts, &start.changed_fields);
    if let Some(words) = &leaving {
        print_message(words);
    }
    if start.n_orphaned > 0 {
        print_message(&format!(
            "warning: the tasks of {} that left the manifest may be running and paid for, and their images will not be fetched; \
             to get them, restore the rows (without `skip`)",
            summary::jobs(start.n_orphaned)
        ));
    }
    if !start.style.naming.tells_apart() && start.counts.n_jobs() > 1 {
        print_message(&format!(
            "note: `{}` may give several images the same name; all but the first get their job's id appended",
            escape(&start.style.naming.to_string())
        ));
    }
    let n_max = args.pace.limit.map_or(start.n_to_do, u64::from).min(start.n_to_do);
    let part = (n_max < start.counts.n_unfinished()).then_some(n_max);
    reporters(&args.show, &start.counts, start.price.clone(), part, above)
}

/// Describes the part, and its share of the limits of all parts.
fn part_words(args: &RunArgs, partition: Partition) -> String {
    let limits = partition.share(args.pace.limits(args.provider.provider.name));
    let rate = limits.rate.map(|rate| format!("one submission every {}", humantime::format_duration(rate.interval())));
    let in_flight = match limits.concurrency {
        Concurrency::Auto => None,
        Concurrency::Fixed(n) => Some(format!("{n} in flight")),
    };
    let share: Vec<_> = rate.into_iter().chain(in_flight).collect();
    let share = if share.is_empty() { String::new() } else { format!(" with {}", share.join(" and ")) };
    format!(" in part {} of {}{share}", partition.part, partition.count)
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
    let choosing = summary::choosing(&choice(&args.manifest));
    let chosen = start.chosen.as_ref();
    let chosen = chosen.map_or_else(String::new, |chosen| format!(", {} chosen ({choosing})", chosen.counts.n_jobs()));
    let limit = args.pace.limit.map(u64::from).filter(|limit| *limit < start.n_to_do);
    let now = limit.map_or_else(String::new, |limit| format!(", {limit} of them now (--limit)"));
    let past = past + &chosen;
    let near = start.chosen.as_ref().map_or_else(String::new, summary::near);
    let (jobs, out) = (summary::jobs(counts.n_jobs()), escape(&out.display().to_string()));
    let share = args.manifest.partition.map_or_else(String::new, |partition| part_words(args, partition));
    format!("{manifest}: {jobs}{share}{past}{now} -> {out}{near}")
}
