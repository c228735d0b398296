//! Command `plan`: shows what `run` would do with a manifest, as text or as JSON.

use std::io;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::exit::Exit;
use crate::cli::flags::folders::folder;
use crate::cli::flags::manifest::{ListFormat, ManifestArgs, choice, out_dir, source};
use crate::cli::flags::provider::ProviderArgs;
use crate::cli::flags::units::{InFlight, in_flight};
use crate::cli::flags::{Display, ProgressArgs, some_jobs};
use crate::cli::messages::estimate::{PlanEstimate, PlanSettings, SHOWN_MAX};
use crate::cli::messages::progress::operation_progress;
use crate::cli::messages::run_status::provider_line;
use crate::cli::messages::summary::{PROMPT_CHARS_MAX, choosing, jobs, near};
use crate::cli::messages::{diagnostics, notes};
use crate::cli::output::{fail, print};
use crate::manifest;
use crate::manifest::listing::{self, Listing, ListingError};
use crate::model::choice::JobChoice;
use crate::model::cost::CostLimit;
use crate::model::counts::StatusCounts;
use crate::model::escape::{escape, excerpt, excerpts_apart};
use crate::model::limits::Rate;
use crate::model::price::Price;
use crate::model::request_diff::{FieldDiff, changes};
use crate::plan::{self, Plan, PlanError};
use crate::provider::spec::ProviderSpec;
use crate::report::tty_reporter::PrintAbove;
use crate::run::money::check_price;
use crate::store::diff::DiffEntry;

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
new:      the run does not have this job yet
changed:  a new job that replaces an old one with the same id, or else at the same position
back:     it was dropped earlier and returns, with its image if it has one
dropped:  it is no longer in the manifest; its image stays on disk and leaves the results
All other jobs are kept, wherever they have moved.

Examples:
  promptbatch plan prompts.yaml --rate 30/m --price '2 magicube'    time, cost and disk
  promptbatch plan prompts.yaml --list > jobs.csv                   every job, as a manifest
  promptbatch plan prompts.yaml --list=jsonl | head                 the same as JSON Lines

--json prints one object:
  manifest, out     the manifest and the output folder that are compared
  provider          where the run's tasks are; null if no run has begun
  row_providers     where the tasks of rows are that name a provider: a list
  jobs              wanted images: kept + back + new + changed
  moved             kept at another position
  relabelled        kept with another id or with other carried-through columns
  dropped           jobs that are removed and that no changed job replaces
  chosen            jobs that --where and --sample choose; null without these options. With them,
                    submit, fetch, kinds and estimate are of these jobs
  skipped           entries that are left out because of their `skip`
  repeated          entries with the prompt and the parameters of an earlier one
  submit, fetch     jobs that would be submitted for certain; accepted ones to be fetched
  standing          states of the jobs that are kept or back:
                    pending, in_doubt, running, succeeded, failed, moderated
  leaving           states of the jobs that are removed: dropped, replaced or skipped
  first             the first of each: new, changed, back, dropped;
                    every one with index, id (or null) and prompt, and a changed one also with
                    was (index, id and prompt before) and changes (a list of field, was, is)
  kinds             number of jobs by kind, for the whole manifest: a list of provider (null for the
                    run's own), model, size (or null) and jobs
  estimate          of what would be submitted: seconds, latency_seconds, disk_bytes and
                    cost (unit, from, to), which is null if a price is not known;
                    `to` includes the jobs in doubt, as they may be submitted again
  limit             the most jobs that would be worked on (--limit), or null
  refused           why `run` would refuse the manifest in this folder (--replace-manifest), or null
  paid              what the run has cost so far: unit, amount (for certain), amount_max (if every
                    submission in doubt was accepted), submissions_in_doubt; null without a price
  max_cost          the amount of --max-cost, or null";

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,

    #[command(flatten)]
    pub provider: ProviderArgs,

    #[arg(help = "Output folder [default: out/<name of the manifest>]", short, long, value_parser = folder(), env = "PROMPTBATCH_OUT")]
    pub out: Option<PathBuf>,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,

    /// Write out every job instead, as a manifest of its own: one row or line per job, with nothing left to combine
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "csv", require_equals = true, conflicts_with = "json")]
    pub list: Option<ListFormat>,

    /// Estimate the time for submissions at this rate, for example 30/m
    #[arg(long, env = "PROMPTBATCH_RATE")]
    pub rate: Option<Rate>,

    /// Estimate the time for this many tasks in flight
    #[arg(short = 'j', long, value_name = "N", env = "PROMPTBATCH_CONCURRENCY", value_parser = in_flight)]
    pub concurrency: Option<InFlight>,

    /// Price of an image, for example '2 magicube' [default: the manifest's `price`, or else that of an earlier
    /// run, or else the prices of the provider's description]
    #[arg(long, env = "PROMPTBATCH_PRICE")]
    pub price: Option<Price>,

    /// Show how much is left of this limit on the cost of all runs in the folder, for example 20 or '20 magicube'
    #[arg(long, value_name = "AMOUNT", env = "PROMPTBATCH_MAX_COST")]
    pub max_cost: Option<CostLimit>,

    /// Plan for at most this many unfinished jobs; those already under way come first
    #[arg(long, value_name = "N", value_parser = some_jobs, env = "PROMPTBATCH_LIMIT")]
    pub limit: Option<NonZeroU64>,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// Maximum length of an old or a new value, in characters.
const VALUE_CHARS_MAX: usize = 48;

/// Shows what a run would do.
pub(crate) fn plan(args: &PlanArgs) -> Exit {
    if let Some(format) = args.list {
        return write_list(args, format.into());
    }
    let in_flight = args.concurrency.and_then(|InFlight(in_flight)| NonZeroU32::new(in_flight?));
    let part = args.manifest.partition;
    let told = PlanSettings {
        rate: args.rate.map(|rate| part.map_or(rate, |part| part.rate(rate))),
        in_flight: in_flight.map(|n| part.map_or(n, |part| part.in_flight(n)).get()),
        price: args.price.as_ref(),
        cost_max: args.max_cost.as_ref(),
        jobs_max: args.limit.map(NonZeroU64::get),
    };
    show(&args.manifest, args.provider.provider, args.out.as_deref(), &told, args.json, args.progress.display())
}

/// Shows what a run of this manifest would do with the user's settings.
pub(crate) fn show(
    args: &ManifestArgs,
    provider: &'static ProviderSpec,
    out: Option<&Path>,
    told: &PlanSettings<'_>,
    is_json: bool,
    display: Display,
) -> Exit {
    let out = match out_dir(out, args) {
        Ok(out) => out,
        Err(exit) => return exit,
    };
    let mut progress = operation_progress(display, &PrintAbove::default());
    let source = source(args, provider);
    let choice = choice(args);
    let planned = manifest::open_watched(source.clone(), &mut *progress).map_err(PlanError::from);
    let planned = planned.and_then(|manifest| {
        diagnostics::warn(&manifest);
        let plan = plan::plan(&manifest, &out, &choice, SHOWN_MAX, &mut *progress)?;
        let (price, paid) = plan::paid(&manifest, &out, told.price, provider.listed_price().as_ref())?;
        let census = if choice.is_all() {
            manifest.census().clone()
        } else {
            listing::summary::<PlanError>(&manifest, &choice)?
        };
        Ok((manifest, census, plan, price, paid))
    });
    drop(progress);
    let path = &args.manifest;
    match planned {
        Ok((manifest, census, plan, price, paid)) => {
            if let Err(error) = check_price(told.cost_max, price.as_ref()) {
                return fail(Exit::Usage, &error);
            }
            let estimate = PlanEstimate::new(told, &census, &plan, price.as_ref(), paid);
            if is_json {
                let mut object = object(&plan, path, &out);
                object["kinds"] = estimate.kinds_object();
                object["estimate"] = estimate.object();
                object["chosen"] = plan.chosen.as_ref().map(|chosen| chosen.counts.n_jobs()).into();
                object["skipped"] = manifest.skipped().n().into();
                object["repeated"] = manifest.repeats().n_again().into();
                object["limit"] = told.jobs_max.into();
                object["refused"] = plan.refusal.as_ref().map(ToString::to_string).into();
                object["paid"] = estimate.paid_object();
                object["max_cost"] = told.cost_max.map(|max| max.amount.number()).into();
                return print(&format!("{object}\n"));
            }
            let mut lines = words(&plan, path, &out, &choice);
            lines.extend(notes::notes(&manifest));
            lines.extend(estimate.words());
            print(&(lines.join("\n") + "\n"))
        }
        Err(PlanError::Manifest(error)) => diagnostics::refuse(&error, &source),
        Err(error @ PlanError::Choice(_)) => fail(Exit::Usage, &error),
        Err(error @ (PlanError::Ledger(_) | PlanError::Replacement(_))) => fail(Exit::Error, &error),
    }
}

/// Writes every job to stdout.
fn write_list(args: &PlanArgs, listing: Listing) -> Exit {
    let mut progress = operation_progress(args.progress.display(), &PrintAbove::default());
    let source = source(&args.manifest, args.provider.provider);
    let manifest = match manifest::open_watched(source.clone(), &mut *progress) {
        Ok(manifest) => manifest,
        Err(error) => return diagnostics::refuse(&error, &source),
    };
    diagnostics::warn(&manifest);
    drop(progress);
    match listing::list(&manifest, &choice(&args.manifest), listing, io::stdout().lock()) {
        Ok(()) => Exit::Done,
        Err(ListingError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error @ ListingError::Write(_)) => fail(Exit::Error, &error),
        Err(error @ (ListingError::Manifest(_) | ListingError::Choice(_))) => fail(Exit::Usage, &error),
    }
}

/// Formats the headline, the differences and their consequences, line by line.
fn words(plan: &Plan, manifest: &Path, out: &Path, choice: &JobChoice) -> Vec<String> {
    let diff = &plan.diff;
    let mut lines = vec![headline(plan, manifest, out)];
    let kept = [(diff.n_moved, "moved"), (diff.n_relabelled, "with a new id or new values in other columns")];
    let kept: Vec<_> = kept.into_iter().filter(|(n, _)| *n > 0).map(|(n, how)| format!("{n} {how}")).collect();
    if !kept.is_empty() {
        lines.push(format!("of those kept: {}", kept.join(", ")));
    }
    let of = |shown: &[DiffEntry]| shown.iter().map(job).collect::<Vec<_>>();
    let changed: Vec<_> = diff.changed.iter().map(|(was, is)| changed(was, is)).collect();
    lines.extend(list("new", diff.n_new, &of(&diff.new)));
    lines.extend(list("changed, to be made again; the old images stay on disk", diff.n_changed, &changed));
    lines.extend(list("back again", diff.n_back, &of(&diff.back)));
    lines.extend(list("dropped; their images stay on disk", diff.n_dropped, &of(&diff.dropped)));
    lines.extend(leaving(&diff.leaving));
    lines.extend(
        plan.refusal
            .as_ref()
            .map(|refusal| format!("warning: `run` would stop here: {}", escape(&refusal.to_string()))),
    );
    lines.extend(plan.chosen.as_ref().map(|chosen| {
        let (n, of) = (chosen.counts.n_jobs(), plan.counts().n_jobs());
        let n_others = plan.counts().n_unfinished() - chosen.counts.n_unfinished();
        let near = near(chosen);
        format!("chosen: {n} of {} ({}); {} left for other runs{near}", jobs(of), choosing(choice), jobs(n_others))
    }));
    lines.extend(would(plan));
    lines.extend(plan.provider.as_ref().map(|provider| provider_line(provider, &plan.row_providers)));
    lines
}

fn headline(plan: &Plan, manifest: &Path, out: &Path) -> String {
    let [manifest, out] = [manifest, out].map(|path| escape(&path.display().to_string()));
    let n_jobs = jobs(plan.counts().n_jobs());
    if plan.provider.is_none() {
        return format!("{manifest}: {n_jobs}, all new: there is no run in {out} yet");
    }
    let diff = &plan.diff;
    let kinds = [
        (diff.n_new, "new"),
        (diff.n_changed, "changed"),
        (diff.n_back, "back again"),
        (diff.n_kept, "kept"),
        (diff.n_skipped, "skipped from now on"),
        (diff.n_dropped, "dropped"),
    ];
    let kinds: Vec<_> = kinds.into_iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
    format!("{manifest}: {n_jobs}, compared with {out}: {}", kinds.join(", "))
}

/// Formats a kind of difference with its first jobs. Empty if there are none.
fn list(kind: &str, n: u64, shown: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    if n > 0 {
        lines.push(format!("{kind}:"));
        lines.extend(shown.iter().cloned());
    }
    let n_more = n - shown.len() as u64;
    if n_more > 0 {
        lines.push(format!("  and {n_more} more"));
    }
    lines
}

fn job(shown: &DiffEntry) -> String {
    let label = shown.label.as_ref().map_or(String::new(), |label| format!("[{}] ", excerpt(label, PROMPT_CHARS_MAX)));
    format!("  {:06} {label}{}", shown.index, excerpt(&shown.request.prompt, PROMPT_CHARS_MAX))
}

/// Formats the present job, and below it each field that had another value.
fn changed(was: &DiffEntry, is: &DiffEntry) -> String {
    let value = |text: &Option<String>| text.clone().unwrap_or_else(|| "(none)".to_owned());
    let changes = changes(&was.request, &is.request).into_iter().map(|FieldDiff { field, was, is }| {
        let [was, is] = excerpts_apart(&value(&was), &value(&is), VALUE_CHARS_MAX);
        format!("\n         {}: {was} -> {is}", escape(&field))
    });
    job(is) + &changes.collect::<String>()
}

/// Warns about leaving jobs that are or may be paid for, and whose images would be lost.
fn leaving(leaving: &StatusCounts) -> Option<String> {
    let n = leaving.n_running + leaving.n_in_doubt;
    (n > 0).then(|| {
        format!(
            "warning: {} that would leave the manifest may be at the provider and paid for, and would not be fetched; \
             to get the images, first let a run with the old manifest finish",
            jobs(n)
        )
    })
}

/// Formats what `run` would send, and what it would leave unchanged.
fn would(plan: &Plan) -> Vec<String> {
    let StatusCounts { n_pending: n_to_submit, n_in_doubt, n_running, n_succeeded, n_moderated, n_failed } =
        plan.work();
    let mut lines = Vec::new();
    if n_to_submit > 0 {
        lines.push(format!("would submit: {}", jobs(n_to_submit)));
    }
    if n_running > 0 {
        lines.push(format!("would fetch: {}, accepted already", jobs(n_running)));
    }
    if n_in_doubt > 0 {
        lines.push(format!(
            "in doubt: {}, handled as --in-doubt says (by default: submitted again once)",
            jobs(n_in_doubt)
        ));
    }
    if lines.is_empty() {
        lines.push("nothing to do: `run` would send nothing".to_owned());
    }
    let ends = [(n_succeeded, "succeeded"), (n_failed, "failed"), (n_moderated, "moderated")];
    let ends: Vec<_> = ends.into_iter().filter(|(n, _)| *n > 0).map(|(n, end)| format!("{n} {end}")).collect();
    if !ends.is_empty() {
        lines.push(format!("stay as they are: {}", ends.join(", ")));
    }
    lines
}

/// Builds the whole plan as JSON for scripts. Texts are complete and unescaped.
fn object(plan: &Plan, manifest: &Path, out: &Path) -> Value {
    let diff = &plan.diff;
    let first = |shown: &[DiffEntry]| shown.iter().map(shown_object).collect::<Vec<_>>();
    let changed = |(was, is): &(DiffEntry, DiffEntry)| {
        let changes = changes(&was.request, &is.request).into_iter();
        let changes: Vec<_> =
            changes.map(|FieldDiff { field, was, is }| json!({ "field": field, "was": was, "is": is })).collect();
        let mut object = shown_object(is);
        object["was"] = shown_object(was);
        object["changes"] = changes.into();
        object
    };
    json!({
        "manifest": manifest.display().to_string(),
        "out": out.display().to_string(),
        "provider": plan.provider,
        "row_providers": plan.row_providers,
        "jobs": plan.counts().n_jobs(),
        "kept": diff.n_kept,
        "moved": diff.n_moved,
        "relabelled": diff.n_relabelled,
        "back": diff.n_back,
        "new": diff.n_new,
        "changed": diff.n_changed,
        "dropped": diff.n_dropped,
        "submit": plan.work().n_pending,
        "fetch": plan.work().n_running,
        "standing": counts_object(&diff.standing),
        "leaving": counts_object(&diff.leaving),
        "first": {
            "new": first(&diff.new),
            "changed": diff.changed.iter().map(changed).collect::<Vec<_>>(),
            "back": first(&diff.back),
            "dropped": first(&diff.dropped),
        },
    })
}

fn shown_object(DiffEntry { index, label, request }: &DiffEntry) -> Value {
    json!({ "index": index, "id": label, "prompt": request.prompt })
}

fn counts_object(counts: &StatusCounts) -> Value {
    let StatusCounts { n_pending, n_in_doubt, n_running, n_succeeded, n_moderated, n_failed } = *counts;
    json!({
        "pending": n_pending,
        "in_doubt": n_in_doubt,
        "running": n_running,
        "succeeded": n_succeeded,
        "failed": n_failed,
        "moderated": n_moderated,
    })
}
