//! What a manifest comes to, and what a run of it would take, in words and as JSON.

use serde_json::{Value, json};

use promptbatch::manifest::{Census, Manifest};
use promptbatch::model::job::Draft;
use promptbatch::model::price::Price;
use promptbatch::model::request::Size;
use promptbatch::model::text::{escape, excerpt, grouped};
use promptbatch::plan::Plan;
use promptbatch::plan::estimate::{Estimate, Pace, estimate};
use promptbatch::report::words::span;

use crate::cli::manifest_args::{InFlight, PlanArgs};
use crate::cli::plan::SHOWN_MAX;
use crate::cli::summary::PROMPT_CHARS_MAX;
use crate::cli::units;

/// Kinds of jobs that are shown.
const KINDS_MAX: usize = 12;

/// What a plan is reckoned with, and what comes of it.
pub struct Reckoning<'a> {
    census: &'a Census,
    price: Option<&'a Price>,
    pace: Pace,
    /// Whether the ledger told how long tasks take, and how large images are.
    is_known: (bool, bool),
    is_new: bool,
    n_to_submit: u64,
    estimate: Estimate,
}

impl<'a> Reckoning<'a> {
    pub fn new(args: &'a PlanArgs, manifest: &'a Manifest, plan: &Plan) -> Self {
        let in_flight = args.concurrency.and_then(|InFlight(in_flight)| in_flight);
        let pace = Pace { rate: args.rate, in_flight };
        let (census, price) = (manifest.census(), args.price.as_ref().or(manifest.price()));
        let n_to_submit = plan.n_to_submit();
        Self {
            census,
            price,
            pace,
            is_known: (plan.experience.latency.is_some(), plan.experience.image_bytes.is_some()),
            is_new: plan.provider.is_none(),
            n_to_submit,
            estimate: estimate(n_to_submit, census, price, pace, plan.experience),
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
        if self.n_to_submit > 0 {
            lines.extend([self.time(), self.cost(), self.disk()]);
        }
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
            Some((from, to)) => format!("cost: {} to {}", escape(&price.amount(from)), escape(&price.amount(to))),
        }
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
