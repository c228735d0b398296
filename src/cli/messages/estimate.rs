//! Estimate for a manifest, as text and as JSON: its jobs by kind, and the time, cost and disk of a run.

use serde_json::{Value, json};

use crate::cli::flags::units;
use crate::cli::messages::summary::{PROMPT_CHARS_MAX, jobs};
use crate::manifest::summary::{JobKind, ManifestSummary};
use crate::model::amount::Amount;
use crate::model::cost::{Cost, CostLimit};
use crate::model::escape::{escape, excerpt, grouped};
use crate::model::job::JobSpec;
use crate::model::limits::Rate;
use crate::model::price::Price;
use crate::plan::Plan;
use crate::plan::estimate::{Estimate, PaceLimits, estimate as reckon};
use crate::report::format::span;

/// Maximum number of jobs shown for each kind of difference.
pub(crate) const SHOWN_MAX: usize = 5;

/// Maximum number of kinds of jobs shown.
const KINDS_MAX: usize = 12;

/// Settings from the user for a planned run. `None` means that the user did not set the value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlanSettings<'a> {
    /// Maximum rate of submissions.
    pub rate: Option<Rate>,
    /// Maximum number of tasks in flight.
    pub in_flight: Option<u32>,
    /// Price of an image.
    pub price: Option<&'a Price>,
    /// Limit on the cost.
    pub cost_max: Option<&'a CostLimit>,
    /// Maximum number of jobs to work on.
    pub jobs_max: Option<u64>,
}

/// Inputs and result of the estimate for a plan.
pub(crate) struct PlanEstimate<'a> {
    census: &'a ManifestSummary,
    price: Option<&'a Price>,
    /// Cost of the run so far. `None` if a price is unknown.
    paid: Option<Cost>,
    cost_max: Option<&'a CostLimit>,
    /// Number of jobs to work on, and number of unfinished jobs. `None` if the run works on all unfinished jobs.
    part: Option<(u64, u64)>,
    /// Number of jobs in doubt that may be submitted again.
    n_in_doubt: u64,
    pace: PaceLimits,
    /// Whether the ledger knows the duration of tasks, and whether it knows the size of images.
    is_known: (bool, bool),
    is_new: bool,
    n_to_submit: u64,
    estimate: Estimate,
}

impl<'a> PlanEstimate<'a> {
    pub(crate) fn new(
        told: &PlanSettings<'a>,
        census: &'a ManifestSummary,
        plan: &Plan,
        price: Option<&'a Price>,
        paid: Option<Cost>,
    ) -> Self {
        let pace = PaceLimits { rate: told.rate, in_flight: told.in_flight };
        let counts = plan.work();
        let n_unfinished = counts.n_unfinished();
        let part = told.jobs_max.filter(|max| *max < n_unfinished).map(|max| (max, n_unfinished));
        // Jobs in progress come first: those in doubt, then the accepted ones.
        let n_part = part.map_or(n_unfinished, |(n, _)| n);
        let n_in_doubt = counts.n_in_doubt.min(n_part);
        let n_to_submit = counts.n_pending.min(n_part.saturating_sub(counts.n_in_doubt + counts.n_running));
        let mut estimate = reckon(n_to_submit, census, price, pace, plan.experience);
        // Jobs in doubt may be submitted again in addition, which is paid for again.
        let with_doubts = reckon(n_to_submit + n_in_doubt, census, price, pace, plan.experience).cost;
        estimate.cost = estimate.cost.zip(with_doubts).map(|((from, _), (_, to))| (from, to));
        Self {
            census,
            price,
            paid,
            cost_max: told.cost_max,
            part,
            n_in_doubt,
            pace,
            is_known: (plan.experience.latency.is_some(), plan.experience.image_bytes.is_some()),
            is_new: plan.provider.is_none() && plan.chosen.is_none(),
            n_to_submit,
            estimate,
        }
    }

    /// Formats the kinds of jobs, the last jobs, and the estimate, line by line.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut lines = self.kinds();
        if self.is_new {
            // Jobs that are among the first ones are already shown above.
            let n_before = self.census.n_jobs() - self.census.last().count() as u64;
            let n_shown = (SHOWN_MAX as u64).saturating_sub(n_before);
            let last: Vec<_> =
                (1..).zip(self.census.last()).filter(|(n, _)| *n > n_shown).map(|(_, last)| last).collect();
            if !last.is_empty() {
                lines.push("the last:".to_owned());
            }
            lines.extend(last.into_iter().map(|(index, draft)| ending(index, draft)));
        }
        lines.extend(self.part.map(|(n, of)| {
            format!("limit: {n} of {of} unfinished jobs would be worked on, {} left for later runs (--limit)", of - n)
        }));
        if self.n_to_submit > 0 {
            let n_bytes = self.census.n_picture_bytes();
            lines.extend(
                (n_bytes > 0)
                    .then(|| format!("upload: {} of pictures, in all requests together", units::shown(n_bytes))),
            );
            lines.extend([self.time(), self.cost(), self.disk()]);
        } else if self.n_in_doubt > 0 && self.price.is_some() {
            lines.push(self.cost());
        }
        lines.extend(self.paid_words());
        lines.extend(self.left());
        lines
    }

    fn kinds(&self) -> Vec<String> {
        let kinds: Vec<_> = self.census.kinds().collect();
        let widest = kinds.iter().take(KINDS_MAX).map(|kind| grouped(kind.n).len()).max().unwrap_or(0);
        // Without a row that names a provider, all jobs are at the run's own.
        let has_providers = kinds.iter().any(|kind| kind.provider.is_some());
        let mut lines =
            vec![if has_providers { "providers, models and sizes:" } else { "models and sizes:" }.to_owned()];
        for JobKind { provider, model, size, n } in kinds.iter().take(KINDS_MAX) {
            let size = size.map_or("the model's default size".to_owned(), |size| size.to_string());
            let provider = provider.map_or("the run's provider".to_owned(), escape);
            let provider = if has_providers { provider + ": " } else { String::new() };
            lines.push(format!("  {:>widest$}  {provider}{}, {size}", grouped(*n), escape(model)));
        }
        let n_more = kinds.len().saturating_sub(KINDS_MAX) as u64;
        if n_more > 0 || self.census.n_others() > 0 {
            let n_shown: u64 = kinds.iter().take(KINDS_MAX).map(|kind| kind.n).sum();
            let rest = grouped(self.census.n_jobs() - n_shown);
            lines.push(format!("  {rest:>widest$}  of other models and sizes"));
        }
        lines
    }

    fn time(&self) -> String {
        let Estimate { latency, time, .. } = &self.estimate;
        let tasks = if self.is_known.0 { "measured" } else { "assuming" };
        let tasks = format!("{tasks} {} each", span(*latency));
        let pace = match (self.pace.rate, self.pace.in_flight) {
            (None, None) => {
                return format!(
                    "time: about {} sequentially ({tasks}); pass --rate and -j for a better estimate",
                    span(*time)
                );
            }
            (Some(rate), None) => format!("at {rate}"),
            (None, Some(places)) => format!("with {places} in flight"),
            (Some(rate), Some(places)) => format!("at {rate} and with {places} in flight"),
        };
        format!("time: about {} {pace} ({tasks})", span(*time))
    }

    fn cost(&self) -> String {
        let Some(price) = self.price else {
            return "cost: unknown; give the price of an image with `price:` in the manifest or --price \"2 magicube\""
                .to_owned();
        };
        match self.estimate.cost {
            None => {
                let mut kinds = self.census.kinds();
                let unknown = kinds.find(|kind| price.of(kind.model, kind.size).is_none());
                let name = |kind: JobKind<'_>| format!(" for {}", escape(&price.name_of(kind.model, kind.size)));
                let model = unknown.map_or_else(String::new, name);
                format!("cost: unknown; no price{model} is given")
            }
            Some((from, to)) if (to - from).abs() < 1e-9 => {
                format!("cost: {} ({} an image)", escape(&price.amount(to)), escape(&price.to_string()))
            }
            Some((from, to)) => {
                let doubts = match self.n_in_doubt {
                    0 => String::new(),
                    n => format!(" ({} in doubt may be submitted again)", jobs(n)),
                };
                format!("cost: {} to {}{doubts}", escape(&price.amount(from)), escape(&price.amount(to)))
            }
        }
    }

    /// Formats the cost of the run so far. `None` if the run has cost nothing.
    fn paid_words(&self) -> Option<String> {
        let paid = self.paid.filter(|paid| paid.most() > Amount::ZERO)?;
        Some(format!("cost so far: {}", escape(&paid.words(&self.price?.unit))))
    }

    /// Formats how much is left of the cost limit. `None` without a limit or a price.
    fn left(&self) -> Option<String> {
        let (max, price) = (self.cost_max?, self.price?);
        let limit = format!("--max-cost {}", max.amount.with_unit(&price.unit));
        let (Some(paid), Some((from, to))) = (self.paid, self.estimate.cost) else {
            return Some(format!("{}: cannot be enforced, as a price is missing; `run` refuses it", escape(&limit)));
        };
        let left = max.amount.without(paid.most());
        let verdict = if Amount::new(to) <= left {
            "enough"
        } else if Amount::new(from) <= left {
            "perhaps not enough: the run might stop early, with exit code 75"
        } else {
            "not enough: the run would stop early, with exit code 75"
        };
        Some(escape(&format!("{limit}: {left} left, {verdict}")))
    }

    /// Returns the cost of the run so far, as JSON for scripts.
    pub(crate) fn paid_object(&self) -> Value {
        self.paid.zip(self.price).map_or(Value::Null, |(paid, price)| {
            json!({
                "unit": price.unit,
                "amount": paid.sure.number(),
                "amount_max": paid.most().number(),
                "submissions_in_doubt": paid.n_in_doubt,
            })
        })
    }

    fn disk(&self) -> String {
        let known = if self.is_known.1 { "based on the images so far" } else { "estimated from the sizes" };
        format!("disk: about {} ({known})", units::shown(self.estimate.disk_bytes))
    }

    /// Returns the numbers of jobs by kind, as JSON for scripts.
    pub(crate) fn kinds_object(&self) -> Value {
        let object = |JobKind { provider, model, size, n }: JobKind<'_>| json!({ "provider": provider, "model": model, "size": size.map(|size| size.to_string()), "jobs": n });
        self.census.kinds().map(object).collect()
    }

    /// Returns the estimate, as JSON for scripts.
    pub(crate) fn object(&self) -> Value {
        let Estimate { latency, time, cost, disk_bytes } = &self.estimate;
        let unit = self.price.map(|price| price.unit.as_str());
        json!({
            "seconds": time.as_secs(),
            "latency_seconds": latency.as_secs_f64(),
            "disk_bytes": disk_bytes,
            "cost": cost.map(|(from, to)| json!({ "unit": unit, "from": from, "to": to })),
        })
    }
}

fn ending(index: u64, draft: &JobSpec) -> String {
    let label = draft.label.as_ref().map_or(String::new(), |label| format!("[{}] ", excerpt(label, PROMPT_CHARS_MAX)));
    format!("  {index:06} {label}{}", excerpt(&draft.request.prompt, PROMPT_CHARS_MAX))
}
