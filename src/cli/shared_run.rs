//! Commands for runs that several machines share: share, work, status and merge.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::flags::Display;
use crate::cli::flags::shared::WorkRequest;
use crate::cli::messages::progress::{ended, operation_progress, reporters};
use crate::cli::messages::{diagnostics, merged, start, summary};
use crate::cli::output::{fail, print, print_message};
use crate::cli::runtime::runtime;
use crate::cli::signals;
use crate::driver::stop::stopper;
use crate::model::amount::Amount;
use crate::model::cost::CostLimit;
use crate::model::escape::escape;
use crate::model::price::Price;
use crate::report::format::span;
use crate::report::tty_reporter::PrintAbove;
use crate::run::error::RunError;
use crate::run::options::Options;
use crate::run::shared::error::SharedRunError;
use crate::run::shared::fetch::{self, Fetched};
use crate::run::shared::import;
use crate::run::shared::share::{self, ShareCost, Shared};
use crate::run::shared::start_limit::StartLimit;
use crate::run::shared::status::{SharedRunStatus, SharedRunWatch};
use crate::run::shared::work::{self, WorkOptions, WorkStart};
use crate::run::source::JobSource;
use crate::run::summary::Summary;
use crate::store::error::LedgerError;
use crate::store::postgres::address::SharedAddress;

/// Silence after which a worker is taken over. The tests shorten it.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Variable of the tests that shortens the silence, in milliseconds.
const SILENCE_VARIABLE: &str = "PROMPTBATCH_TEST_SILENCE_MS";

/// Interval between two lines of `status --watch`.
const WATCHED_EVERY: Duration = Duration::from_secs(10);

fn silence_max() -> Duration {
    let told = std::env::var(SILENCE_VARIABLE).ok().and_then(|text| text.parse().ok());
    told.map_or(SILENCE_MAX, Duration::from_millis)
}

fn address(text: &str) -> Result<SharedAddress, Exit> {
    text.parse().map_err(|error| fail(Exit::Usage, &error))
}

/// Copies a run folder to a server.
pub(crate) fn share(
    out: &Path,
    ledger: &str,
    (price, max): (Option<Price>, Option<CostLimit>),
    display: Display,
) -> Exit {
    let address = match address(ledger) {
        Ok(address) => address,
        Err(exit) => return exit,
    };
    let mut progress = operation_progress(display, &PrintAbove::default());
    let shared = share::share(out, &address, &ShareCost { price, max }, &mut *progress);
    drop(progress);
    match shared {
        Ok(shared) => {
            tell_shared(&shared, &address);
            print(&format!("{address}\n"))
        }
        Err(error) => fail(exit_of(&error), &error),
    }
}

fn tell_shared(Shared { counts, was_there, warning }: &Shared, address: &SharedAddress) {
    if let Some(warning) = warning {
        print_message(&format!("warning: {warning}"));
    }
    let verb = if *was_there { "was shared already" } else { "shared" };
    print_message(&format!("{}: {verb}, run {}", summary::standing(counts), address.run()));
}

/// Works on a shared run.
pub(crate) fn work(request: WorkRequest<'_>) -> Exit {
    match address(request.ledger) {
        Ok(address) => drive(request, &address),
        Err(exit) => exit,
    }
}

/// Shares a manifest, or joins its run, and works on it.
pub(crate) fn run(options: &Options, request: WorkRequest<'_>) -> Exit {
    let address = match address(request.ledger) {
        Ok(address) => address,
        Err(exit) => return exit,
    };
    let mut progress = operation_progress(request.show.display(), &PrintAbove::default());
    let shared = import::share_manifest(options, &address, &mut *progress);
    drop(progress);
    match shared {
        Ok(Some(shared)) if request.show.is_for_people() => tell_shared(&shared, &address),
        Ok(_) => (),
        Err(SharedRunError::Run(RunError::Manifest(error))) if let JobSource::Manifest(source) = &options.source => {
            return diagnostics::refuse(&error, source);
        }
        Err(error) => return fail(exit_of(&error), &error),
    }
    drive(request, &address)
}

fn drive(request: WorkRequest<'_>, address: &SharedAddress) -> Exit {
    let WorkRequest { ledger: _, out, images, access, limits, image_limits, show } = request;
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::Error, &error),
    };
    let above = PrintAbove::default();
    let jobs_max = limits.jobs_max;
    let silence_max = silence_max();
    // With --partition, the same flags are those of all parts together.
    let has_poll_rate = limits.poll_rate.is_some();
    let options = WorkOptions { address: address.clone(), out, images, access, limits, image_limits, silence_max };
    let ended_with = runtime.block_on(async {
        let (stopper, mut stops) = stopper();
        signals::listen(stopper, show.quiet, above.clone()).map_err(|error| fail(Exit::Error, &error))?;
        let make_reporters = |started: &WorkStart| {
            if let Some(warning) = &started.warning {
                print_message(&format!("warning: {warning}"));
            }
            start::warn(started.is_other_account, &started.counts, &[]);
            if has_poll_rate {
                print_message(
                    "warning: --poll-rate is that of each worker, not of the whole run; divide it by the number of workers",
                );
            }
            tell_limit("rate", "--rate", started.rate.as_ref(), show.is_for_people());
            tell_limit("number of tasks in flight", "-j", started.places.as_ref(), show.is_for_people());
            tell_limit("limit on the cost", "--max-cost", started.cost.as_ref(), show.is_for_people());
            if show.is_for_people() {
                let others = match started.n_others {
                    0 => String::new(),
                    1 => ", beside 1 other worker".to_owned(),
                    n => format!(", beside {n} other workers"),
                };
                print_message(&format!("{}: {}{others}", address.run(), summary::standing(&started.counts)));
            }
            reporters(show, &started.counts, None, jobs_max, &above)
        };
        work::work(options, make_reporters, &mut stops).await.map_err(|error| fail(exit_of(&error), &error))
    });
    runtime.shutdown_background();
    match ended_with {
        Err(exit) => {
            ended(show, exit, None);
            exit
        }
        Ok(worked) => {
            let exit = Exit::of_summary(&worked, None);
            if show.is_for_people() {
                tell_end(&worked, address);
            }
            ended(show, exit, Some(&worked));
            exit
        }
    }
}

/// Says which limit counts, of all workers together. Another one than the user gave, or than the other workers had, is said in any case.
fn tell_limit<T: std::fmt::Display>(name: &str, flag: &str, limit: Option<&StartLimit<T>>, is_for_people: bool) {
    match limit {
        Some(StartLimit { limit, replaced: Some(replaced), .. }) => print_message(&format!(
            "warning: the {name} of the run was {replaced}, and is {limit} from now on, for all its workers together"
        )),
        Some(StartLimit { limit, is_own: false, replaced: None }) if is_for_people => print_message(&format!(
            "the run has a {name} of {limit}, which all workers keep together; {flag} replaces it"
        )),
        Some(_) | None => (),
    }
}

fn tell_end(worked: &Summary, address: &SharedAddress) {
    if let Some(stop) = &worked.stop {
        print_message(&summary::stopped(stop, worked));
    }
    print_message(&format!("{}: {}", address.run(), summary::standing(&worked.counts)));
    if let Some(noted) = summary::noted(&worked.incidents) {
        print_message(&noted);
    }
    if let Some((cost, price)) = worked.cost.as_ref().zip(worked.price.as_ref()) {
        print_message(&format!("cost so far: {}", escape(&cost.words(&price.unit))));
        if let Some(excess) = worked.excess {
            print_message(&start::excess_words(excess, &price.unit));
        }
    }
    if worked.counts.n_unfinished() == 0 {
        print_message(&format!("to bring the run back into a folder: promptbatch merge '{address}' -o OUT"));
    }
}

/// Prints the state of a shared run, once or until it is over.
pub(crate) fn status(ledger: &str, is_json: bool, is_watched: bool) -> Exit {
    let address = match address(ledger) {
        Ok(address) => address,
        Err(exit) => return exit,
    };
    let watch = match SharedRunWatch::new(address.clone()) {
        Ok(watch) => watch,
        Err(error) => return fail(Exit::of_ledger(&error), &error),
    };
    loop {
        let status = match watch.status() {
            Ok(status) => status,
            // A watch goes on through an outage of the server.
            Err(error @ LedgerError::NoAnswer { .. }) if is_watched => {
                print_message(&format!("warning: {error}"));
                thread::sleep(WATCHED_EVERY);
                continue;
            }
            Err(error) => return fail(Exit::of_ledger(&error), &error),
        };
        let printed = print(&if is_json { object(&status) } else { words(&status, &address) });
        let is_over = status.is_merged || status.counts.n_unfinished() == 0 || status.workers.is_empty();
        if !is_watched || is_over || printed != Exit::Done {
            return printed;
        }
        thread::sleep(WATCHED_EVERY);
    }
}

fn words(status: &SharedRunStatus, address: &SharedAddress) -> String {
    let mut lines = vec![summary::standing(&status.counts)];
    if status.is_merged {
        lines.push("the run was brought back into a folder".to_owned());
    }
    for worker in &status.workers {
        let (host, since) = (escape(&worker.host), span(worker.since));
        lines.push(format!(
            "worker: {host}, process {}, for {since}, {} ended",
            worker.pid,
            summary::jobs(worker.n_ended)
        ));
    }
    lines.push(format!("provider: {}", escape(&status.provider)));
    lines.push(format!("submissions so far: {}", status.incidents.n_submits));
    lines.extend(summary::noted(&status.incidents));
    lines.extend(cost_words(status));
    if !status.is_merged && status.workers.is_empty() {
        lines.push(match status.counts.n_unfinished() {
            0 => format!("to bring the run back into a folder: promptbatch merge '{address}' -o OUT"),
            _ => format!("no worker is at work: promptbatch work --ledger '{address}'"),
        });
    }
    lines.join("\n") + "\n"
}

/// Says what the run has cost, and of how much; `None` if no price is known.
fn cost_words(status: &SharedRunStatus) -> Option<String> {
    let price = status.price.as_ref()?;
    let cost = status.cost.map_or_else(|| "not known".to_owned(), |cost| cost.words(&price.unit));
    let limit = status.cost_max.map_or_else(String::new, |max| format!(", of at most {}", max.with_unit(&price.unit)));
    Some(escape(&format!("cost so far: {cost}{limit}")))
}

fn object(status: &SharedRunStatus) -> String {
    let counts = &status.counts;
    let worker = |worker: &crate::run::shared::status::SharedWorkerStatus| {
        json!({
            "host": worker.host,
            "pid": worker.pid,
            "seconds": worker.since.as_secs(),
            "ended": worker.n_ended,
        })
    };
    let object = json!({
        "provider": status.provider,
        "jobs": counts.n_jobs(),
        "succeeded": counts.n_succeeded,
        "failed": counts.n_failed,
        "moderated": counts.n_moderated,
        "in_doubt": counts.n_in_doubt,
        "running": counts.n_running,
        "pending": counts.n_pending,
        "submissions": status.incidents.n_submits,
        "submissions_in_doubt": status.incidents.n_in_doubt,
        "tasks_lost": status.incidents.n_lost,
        "cost": status.cost.map(|cost| cost.sure.number()),
        "cost_max": status.cost.map(|cost| cost.most().number()),
        "currency": status.price.as_ref().map(|price| &price.unit).filter(|unit| !unit.is_empty()),
        "max_cost": status.cost_max.map(Amount::number),
        "workers": status.workers.iter().map(worker).collect::<Vec<_>>(),
        "merged": status.is_merged,
    });
    object.to_string() + "\n"
}

/// Brings a shared run back into a folder.
pub(crate) fn merge(ledger: &str, out: Option<&PathBuf>, display: Display) -> Exit {
    let address = match address(ledger) {
        Ok(address) => address,
        Err(exit) => return exit,
    };
    let Some(out) = out else {
        print_message("error: could not merge: say which folder the run goes into, with -o OUT");
        return Exit::Usage;
    };
    let mut progress = operation_progress(display, &PrintAbove::default());
    let fetched = fetch::fetch(&address, out, silence_max(), &mut *progress, &mut |notice| print_message(notice));
    drop(progress);
    match fetched {
        Ok(Fetched { counts, n_ended, results }) => {
            let ended = match n_ended {
                0 => String::new(),
                n => format!("; {n} of its workers had died"),
            };
            print_message(&format!(
                "the run is still at the server, closed; `share` replaces it, and DROP SCHEMA removes it{ended}"
            ));
            let (exit, next) = merged::ending(&counts, out);
            let results = escape(&results.display().to_string());
            match print(&format!("{}\n{results}\n{next}\n", summary::standing(&counts))) {
                Exit::Done => exit,
                failed => failed,
            }
        }
        Err(error) => fail(exit_of(&error), &error),
    }
}

fn exit_of(error: &SharedRunError) -> Exit {
    match error {
        SharedRunError::NotShareable { .. }
        | SharedRunError::Other { .. }
        | SharedRunError::Folder { .. }
        | SharedRunError::Taken(_)
        | SharedRunError::BroughtBack { .. }
        | SharedRunError::Output(_) => Exit::Usage,
        SharedRunError::Live { .. } => Exit::Busy,
        SharedRunError::Run(error) => Exit::of_error(error),
        SharedRunError::Books { .. }
        | SharedRunError::Io { .. }
        | SharedRunError::Store(_)
        | SharedRunError::Results(_) => Exit::Error,
    }
}
