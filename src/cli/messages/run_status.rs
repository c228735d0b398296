//! Status of a run, for `status`: as text for people, as one JSON object for scripts.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::messages::summary;
use crate::driver::clock::Clock;
use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::escape::{escape, grouped};
use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::report::format::{rate, span};
use crate::store::error::LedgerError;
use crate::store::settings::ReadSettings;
use crate::store::stores;

/// Maximum number of failed jobs shown.
const FAILURES_MAX: usize = 20;

/// Period over which the rate is measured.
const LATELY: Duration = Duration::from_secs(10 * 60);

/// Status of a run, read from its ledger.
pub(crate) struct RunStatus {
    /// Output folder, escaped for the terminal.
    out: String,
    provider: String,
    /// Identities of the providers that rows name.
    row_providers: Vec<String>,
    counts: StatusCounts,
    incidents: RunStats,
    failures: Vec<JobRecord>,
    /// Id of the process that runs it now. `None` if no process does.
    pid: Option<String>,
    /// Jobs ended per second during the last ten minutes. `None` if the run is not live, or the rate is unknown.
    per_second: Option<f64>,
    /// Reason why the ledger is older than its watermark says. `None` if it is not.
    older: Option<String>,
    /// Cost so far, and its unit. `None` if a price is unknown.
    cost: Option<(Cost, String)>,
    /// Whether the whole ledger was compared with its checksums. If not, the shown rows were.
    is_checked_whole: bool,
}

impl RunStatus {
    /// Reads the status of the run in this folder. Works next to a live run.
    pub(crate) fn of(out: &Path) -> Result<Self, LedgerError> {
        let older = stores::find_rollback(out)?.map(|error| error.to_string());
        let run = stores::open_for_reading(out)?;
        let is_checked_whole = run.check_if_small()?;
        let pid = stores::lock_owner(out);
        let now = Clock::system().now().wall();
        let lately = match &pid {
            Some(_) => run.ended_since(now.before(LATELY))?,
            None => None,
        };
        // The first end only marks the time from which the others are counted.
        #[expect(clippy::cast_precision_loss, reason = "ten minutes have fewer than 2^53 jobs")]
        let rate = |(n, first): (u64, Timestamp)| n.saturating_sub(1) as f64 / now.since(first).as_secs_f64();
        let per_second = lately.map(rate).filter(|rate| rate.is_normal());
        let cost = match run.price_used()? {
            Some(price) => run.total_cost(&price)?.map(|cost| (cost, price.unit)),
            None => None,
        };
        Ok(Self {
            cost,
            out: escape(&out.display().to_string()),
            provider: run.provider()?,
            row_providers: run.row_identities()?.into_values().collect(),
            counts: run.counts()?,
            incidents: run.incidents()?,
            failures: run.failures(FAILURES_MAX)?,
            pid,
            per_second,
            older,
            is_checked_whole,
        })
    }

    /// Returns the counts, and the number of submissions in progress. In a live run, only a held submission is in
    /// doubt.
    fn told(&self) -> (StatusCounts, u64) {
        let n_submitting = match &self.pid {
            Some(_) => self.counts.n_in_doubt.saturating_sub(self.incidents.n_doubts_held),
            None => 0,
        };
        (StatusCounts { n_in_doubt: self.counts.n_in_doubt - n_submitting, ..self.counts }, n_submitting)
    }

    /// Reports whether a process runs it now.
    pub(crate) fn is_live(&self) -> bool {
        self.pid.is_some()
    }

    /// Returns the numbers of jobs by status.
    pub(crate) fn counts(&self) -> &StatusCounts {
        &self.counts
    }

    /// Formats the facts about a live run, except the outcomes of its jobs.
    pub(crate) fn live_words(&self) -> Vec<String> {
        let (counts, n_submitting) = self.told();
        let there = [
            (n_submitting, "being submitted"),
            (counts.n_running, "running at the provider"),
            (counts.n_in_doubt, "in doubt"),
            (counts.n_pending, "pending"),
        ];
        let there = there.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", grouped(n)));
        let mut words: Vec<String> = there.collect();
        words.extend(self.per_second.map(rate));
        words.extend(self.left().map(|left| format!("about {} left", span(left))));
        words.extend(self.pid.iter().map(|pid| format!("process {}", escape(pid))));
        words
    }

    fn left(&self) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "no estimate needs the last digit of a number of jobs")]
        let n_unfinished = self.counts.n_unfinished() as f64;
        Duration::try_from_secs_f64(n_unfinished / self.per_second?).ok()
    }

    /// Formats the status for people.
    pub(crate) fn words(&self) -> String {
        let (counts, n_submitting) = self.told();
        let mut lines = vec![summary::standing(&counts)];
        lines.extend(self.older.as_ref().map(|older| format!("warning: {older}")));
        if let Some(pid) = &self.pid {
            let mut words = vec![format!("running now, as process {}", escape(pid))];
            words.extend((n_submitting > 0).then(|| format!("{n_submitting} being submitted")));
            words.extend(self.per_second.map(rate));
            words.extend(self.left().map(|left| format!("about {} left", span(left))));
            lines.push(words.join(", "));
        }
        lines.push(provider_line(&self.provider, &self.row_providers));
        if !self.is_checked_whole {
            lines.push("ledger: only what is shown here was checked; for the rest: promptbatch verify".to_owned());
        }
        lines.push(format!("submissions so far: {}", self.incidents.n_submits));
        lines.extend(self.cost.as_ref().map(|(cost, unit)| format!("cost so far: {}", escape(&cost.words(unit)))));
        lines.extend(summary::noted(&self.incidents));
        if self.counts.n_without_image() > 0 {
            lines.push("without an image:".to_owned());
            lines.extend(summary::failed(&self.failures, &self.counts));
        }
        if self.pid.is_none() && counts.n_pending == 0 {
            lines.extend(summary::next_steps_after_any_end(&counts, &self.out));
        }
        lines.join("\n") + "\n"
    }

    /// Formats the status as JSON for scripts.
    pub(crate) fn json(&self) -> String {
        self.object().to_string() + "\n"
    }

    /// Returns the status of a run among others, with its folder.
    pub(crate) fn object_of(&self, out: &str) -> Value {
        let mut object = self.object();
        object["out"] = json!(out);
        object
    }

    fn object(&self) -> Value {
        let (counts, n_submitting) = self.told();
        let StatusCounts { n_pending, n_in_doubt, n_running, n_succeeded, n_moderated, n_failed } = counts;
        let incidents = &self.incidents;
        let failures: Vec<_> = self.failures.iter().map(failure).collect();
        json!({
            "provider": self.provider,
            "row_providers": self.row_providers,
            "jobs": self.counts.n_jobs(),
            "succeeded": n_succeeded,
            "failed": n_failed,
            "moderated": n_moderated,
            "in_doubt": n_in_doubt,
            "submitting": n_submitting,
            "running": n_running,
            "pending": n_pending,
            "pid": self.pid.as_ref().and_then(|pid| pid.parse::<u32>().ok()),
            "jobs_per_second": self.per_second,
            "seconds_left": self.left().map(|left| left.as_secs()),
            "cost": self.cost.as_ref().map(|(cost, _)| cost.sure.number()),
            "cost_max": self.cost.as_ref().map(|(cost, _)| cost.most().number()),
            "currency": self.cost.as_ref().map(|(_, unit)| unit).filter(|unit| !unit.is_empty()),
            "submissions": incidents.n_submits,
            "submissions_in_doubt": {
                "all": incidents.n_in_doubt,
                "resubmitted": incidents.n_doubts_resubmitted(),
                "held": incidents.n_doubts_held,
                "failed": incidents.n_doubts_failed,
            },
            "tasks_lost": incidents.n_lost,
            "reopened": incidents.n_reopened,
            "failures": failures,
            "ledger_checked": if self.is_checked_whole { "whole" } else { "shown" },
            "ledger_older": self.older,
        })
    }
}

/// Names the provider of a run, and those that rows name.
pub(crate) fn provider_line(provider: &str, of_rows: &[String]) -> String {
    let rows = if of_rows.is_empty() { String::new() } else { format!("; rows name {}", of_rows.join(", ")) };
    escape(&format!("provider: {provider}{rows}"))
}

fn failure(known: &JobRecord) -> Value {
    let JobRecord { job, state } = known;
    let fault = state.last_fault.as_ref();
    json!({
        "index": job.index,
        "id": job.label.clone().unwrap_or_else(|| job.id.to_string()),
        "status": state.status(),
        "prompt": job.request.prompt,
        "provider": job.request.provider,
        "error_code": fault.map(|fault| fault.kind.code()),
        "error": fault.map(|fault| &fault.message),
    })
}
