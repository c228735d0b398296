//! What a manifest comes to, and what a run of it would take, in words and as JSON.

use serde_json::{Value, json};

use promptbatch::manifest::{Census, Manifest};
use promptbatch::model::cost::{Amount, Cost, CostLimit};
use promptbatch::model::job::Draft;
use promptbatch::model::limits::Rate;
use promptbatch::model::price::Price;
use promptbatch::model::request::Size;
use promptbatch::model::text::{escape, excerpt, grouped};
use promptbatch::plan::Plan;
use promptbatch::plan::estimate::{Estimate, Pace, estimate as reckon};
use promptbatch::report::words::span;

use crate::cli::plan::SHOWN_MAX;
use crate::cli::summary::{PROMPT_CHARS_MAX, jobs};
use crate::cli::units;

/// Kinds of jobs that are shown.
const KINDS_MAX: usize = 12;

/// What the user tells of a run that is planned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'a> {
    /// How fast submissions may leave.
    pub rate: Option<Rate>,
    /// How many tasks may be in flight.
    pub in_flight: Option<u32>,
    /// What an image costs.
    pub price: Option<&'a Price>,
    /// The limit on the cost.
    pub cost_max: Option<&'a CostLimit>,
    /// The most jobs that are worked on.
    pub jobs_max: Option<u64>,
}

/// What a plan is reckoned with, and what comes of it.
pub struct Reckoning<'a> {
    census: &'a Census,
    price: Option<&'a Price>,
    /// What the run has cost so far. `None` where a price is not known.
    paid: Option<Cost>,
    cost_max: Option<&'a CostLimit>,
    /// How many of so many unfinished jobs are worked on, where that is not all of them.
    part: Option<(u64, u64)>,
    /// Jobs in doubt that may be submitted again.
    n_in_doubt: u64,
    pace: Pace,
    /// Whether the ledger told how long tasks take, and how large images are.
    is_known: (bool, bool),
    is_new: bool,
    n_to_submit: u64,
    estimate: Estimate,
}

impl<'a> Reckoning<'a> {
    pub fn new(
        told: &Told<'a>,
        manifest: &'a Manifest,
        plan: &Plan,
        price: Option<&'a Price>,
        paid: Option<Cost>,
    ) -> Self {
        let pace = Pace { rate: told.rate, in_flight: told.in_flight };
        let (census, counts) = (manifest.census(), plan.counts());
        let n_unfinished = counts.n_unfinished();
        let part = told.jobs_max.filter(|max| *max < n_unfinished).map(|max| (max, n_unfinished));
        // What is under way comes first: what is in doubt, then what was accepted.
        let n_part = part.map_or(n_unfinished, |(n, _)| n);
        let n_in_doubt = counts.n_in_doubt.min(n_part);
        let n_to_submit = plan.n_to_submit().min(n_part.saturating_sub(counts.n_in_doubt + counts.n_running));
        let mut estimate = reckon(n_to_submit, census, price, pace, plan.experience);
        // Those in doubt may be submitted again on top, which is paid for again.
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
            is_new: plan.provider.is_none(),
            n_to_submit,
            estimate,
        }
    }

    /// Kinds of jobs, the last of them, and what it takes, line by line.
    pub fn words(&self) -> Vec<String> {
        let mut lines = self.kinds();
        if self.is_new {
            let first = self.census.n_jobs() - self.census.last().count() as u64 + 1;
            // Those that are among the first ones are shown above.
            let last: Vec<_> =
                (first..).zip(self.census.last()).filter(|(index, _)| *index > SHOWN_MAX as u64).collect();
            if !last.is_empty() {
                lines.push("the last:".to_owned());
            }
            lines.extend(last.into_iter().map(|(index, draft)| ending(index, draft)));
        }
        lines.extend(self.part.map(|(n, of)| {
            format!(
                "limit: {n} of {of} unfinished jobs would be worked on, {} left for the next such run (--limit)",
                of - n
            )
        }));
        if self.n_to_submit > 0 {
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
        let widest = kinds.iter().take(KINDS_MAX).map(|(_, _, n)| grouped(*n).len()).max().unwrap_or(0);
        let mut lines = vec!["models and sizes:".to_owned()];
        for (model, size, n) in kinds.iter().take(KINDS_MAX) {
            let size = size.map_or("the size that the model chooses".to_owned(), |size| size.to_string());
            lines.push(format!("  {:>widest$}  {}, {size}", grouped(*n), escape(model)));
        }
        let n_more = kinds.len().saturating_sub(KINDS_MAX) as u64;
        if n_more > 0 || self.census.n_others() > 0 {
            let n_shown: u64 = kinds.iter().take(KINDS_MAX).map(|(_, _, n)| n).sum();
            let rest = grouped(self.census.n_jobs() - n_shown);
            lines.push(format!("  {rest:>widest$}  of other models and sizes"));
        }
        lines
    }

    fn time(&self) -> String {
        let Estimate { latency, time, .. } = &self.estimate;
        let known = if self.is_known.0 { "as they took so far" } else { "a guess" };
        let tasks = format!("tasks of {}, {known}", span(*latency));
        let pace = match (self.pace.rate, self.pace.in_flight) {
            (None, None) => {
                return format!(
                    "time: about {} one task at a time ({tasks}); more at a time take less: say --rate and -j to reckon with them",
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
            return "cost: unknown; tell the price of an image with `price:` in the manifest or --price \"2 magicube\""
                .to_owned();
        };
        match self.estimate.cost {
            None => {
                let unknown = self.census.kinds().map(|(model, _, _)| model).find(|model| price.of(model).is_none());
                let model = unknown.map_or_else(String::new, |model| format!(" of {}", escape(model)));
                format!("cost: unknown; no price{model} is told")
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

    /// What the run has cost so far, where it has cost anything.
    fn paid_words(&self) -> Option<String> {
        let paid = self.paid.filter(|paid| paid.most() > Amount::ZERO)?;
        Some(format!("cost so far: {}", escape(&paid.words(&self.price?.unit))))
    }

    /// What is left of the limit on the cost.
    fn left(&self) -> Option<String> {
        let (max, price) = (self.cost_max?, self.price?);
        let limit = format!("--max-cost {}", max.amount.with_unit(&price.unit));
        let (Some(paid), Some((from, to))) = (self.paid, self.estimate.cost) else {
            return Some(format!("{}: cannot be kept, as a price is not told; `run` would refuse it", escape(&limit)));
        };
        let left = max.amount.without(paid.most());
        let verdict = if Amount::new(to) <= left {
            "enough for this"
        } else if Amount::new(from) <= left {
            "perhaps not enough for this: the run might stop before its end, with exit code 75"
        } else {
            "not enough for this: the run would stop before its end, with exit code 75"
        };
        Some(escape(&format!("{limit}: {left} left of it, {verdict}")))
    }

    /// What the run has cost so far, for scripts.
    pub fn paid_object(&self) -> Value {
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
        let known = if self.is_known.1 { "as large as the images so far" } else { "a guess by the sizes" };
        format!("disk: about {} ({known})", units::shown(self.estimate.disk_bytes))
    }

    /// How many jobs of each model and size, for scripts.
    pub fn kinds_object(&self) -> Value {
        let kind = |(model, size, n): (&str, Option<_>, u64)| json!({ "model": model, "size": size.map(|size: Size| size.to_string()), "jobs": n });
        self.census.kinds().map(kind).collect()
    }

    /// The estimate, for scripts.
    pub fn object(&self) -> Value {
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

fn ending(index: u64, draft: &Draft) -> String {
    let label = draft.label.as_ref().map_or(String::new(), |label| format!("[{}] ", excerpt(label, PROMPT_CHARS_MAX)));
    format!("  {index:06} {label}{}", excerpt(&draft.request.prompt, PROMPT_CHARS_MAX))
}
