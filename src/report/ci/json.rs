//! JSON report of a run: one object, for scripts.
//!
//! | field | |
//! |---|---|
//! | `v` | version of this format: a version may gain fields, and never renames or drops one |
//! | `out`, `provider` | output folder, and the provider that made the images |
//! | `exit_code` | exit code of the program |
//! | `stop`, `stop_reason` | why the run stopped before its end, as a word (`interrupted`, `unauthorized`, `refused`, `quota`, `failures`, `unreachable`, `disk`, `cost`, `duration`, `limit`, or `error` for a command that failed before it began) and a sentence; else `null` |
//! | `ended_at`, `seconds` | end of the run as RFC 3339 in UTC, and its duration |
//! | `counts` | `jobs`, `succeeded`, `failed`, `moderated`, `in_doubt`, `running`, `pending` |
//! | `success_share`, `fail_under` | share of the jobs that succeeded, 0 to 1; the required share as the user wrote it, or `null` |
//! | `submissions`, `submissions_in_doubt`, `tasks_lost` | numbers of this run |
//! | `cost` | `amount` and `unit` of all runs in the folder, as far as certainly paid; `null` if the price is unknown |
//! | `cost_max` | amount if every submission in doubt was accepted too; `null` if the price is unknown |
//! | `failures` | first thousand jobs without an image: `index`, `id`, `status`, `prompt`, `model`, `task_id`, `error_code`, `error` |
//! | `failures_more` | number of further jobs without an image |

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::model::counts::StatusCounts;
use crate::model::phase::JobRecord;
use crate::report::ci::{ReportSpec, ReportWriter, RunReport, is_failure};
use crate::report::value::rfc3339;

/// Maximum number of failures listed individually.
const FAILURES_MAX: usize = 1000;

/// Description of this report.
pub static SPEC: ReportSpec =
    ReportSpec { name: "json", help: "One JSON object", begin: |out, facts| Ok(Box::new(JsonReport::new(out, facts))) };

/// Writes a run as one JSON object.
pub(crate) struct JsonReport<W: Write> {
    out: W,
    object: Value,
    failures: Vec<Value>,
    n_more: u64,
}

impl<W: Write> JsonReport<W> {
    /// Creates the report from the facts known before the jobs.
    pub(crate) fn new(out: W, facts: &RunReport) -> Self {
        let StatusCounts { n_pending, n_in_doubt, n_running, n_succeeded, n_moderated, n_failed } = facts.counts;
        let object = json!({
            "v": 1,
            "out": facts.out,
            "provider": facts.provider,
            "exit_code": facts.exit_code,
            "stop": facts.stop.as_ref().map(|(word, _)| word),
            "stop_reason": facts.stop.as_ref().map(|(_, sentence)| sentence),
            "ended_at": rfc3339(facts.ended_at),
            "seconds": facts.elapsed.as_secs_f64(),
            "counts": {
                "jobs": facts.counts.n_jobs(),
                "succeeded": n_succeeded,
                "failed": n_failed,
                "moderated": n_moderated,
                "in_doubt": n_in_doubt,
                "running": n_running,
                "pending": n_pending,
            },
            "success_share": facts.success_share(),
            "fail_under": facts.fail_under,
            "submissions": facts.incidents.n_submits,
            "submissions_in_doubt": facts.incidents.n_in_doubt,
            "tasks_lost": facts.incidents.n_lost,
            "cost": facts.cost.as_ref().map(|(cost, unit)| json!({ "amount": cost.sure.number(), "unit": unit })),
            "cost_max": facts.cost.as_ref().map(|(cost, _)| cost.most().number()),
        });
        Self { out, object, failures: vec![], n_more: 0 }
    }
}

impl<W: Write> ReportWriter for JsonReport<W> {
    fn job(&mut self, record: &JobRecord) -> io::Result<()> {
        if !is_failure(record) {
            return Ok(());
        }
        if self.failures.len() == FAILURES_MAX {
            self.n_more += 1;
            return Ok(());
        }
        let JobRecord { job, state } = record;
        let fault = state.last_fault.as_ref();
        self.failures.push(json!({
            "index": job.index,
            "id": super::id(record),
            "status": state.status(),
            "prompt": job.request.prompt,
            "model": job.request.model,
            "provider": job.request.provider,
            "task_id": state.task.as_ref().map(|task| &task.0),
            "error_code": fault.map(|fault| fault.kind.code()),
            "error": fault.map(|fault| &fault.message),
        }));
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let Self { mut out, mut object, failures, n_more } = *self;
        object["failures"] = failures.into();
        object["failures_more"] = n_more.into();
        serde_json::to_writer_pretty(&mut out, &object)?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ci::fixtures::{facts, jobs, report};

    /// Goal: the format stays stable. Change a line of this snapshot only with a new version.
    #[test]
    fn a_run_is_one_object() {
        insta::assert_snapshot!(report(|out| Box::new(JsonReport::new(out, &facts())), &jobs()), @r#"
        {
          "cost": {
            "amount": 10.0,
            "unit": "magicube"
          },
          "cost_max": 12.0,
          "counts": {
            "failed": 1,
            "in_doubt": 1,
            "jobs": 6,
            "moderated": 1,
            "pending": 1,
            "running": 1,
            "succeeded": 1
          },
          "ended_at": "2027-01-15T08:00:00.000Z",
          "exit_code": 75,
          "fail_under": "98%",
          "failures": [
            {
              "error": "no *such* | <model> @you #1",
              "error_code": "invalid_request",
              "id": "my <id>",
              "index": 2,
              "model": "a/b",
              "prompt": "一只狗 & \"<b>\" \u001b[31m\n| `x` ￿",
              "provider": null,
              "status": "failed",
              "task_id": null
            },
            {
              "error": "inappropriate\ncontent",
              "error_code": "moderated",
              "id": "59c1b20410bb453e969d",
              "index": 3,
              "model": "a/b",
              "prompt": "a cow",
              "provider": null,
              "status": "moderated",
              "task_id": "5075521"
            }
          ],
          "failures_more": 0,
          "out": "out/prompts.v2",
          "provider": "modelscope",
          "seconds": 90.5,
          "stop": "quota",
          "stop_reason": "stopped: the daily quota is used up",
          "submissions": 6,
          "submissions_in_doubt": 1,
          "success_share": 0.16666666666666666,
          "tasks_lost": 1,
          "v": 1
        }
        "#);
    }

    #[test]
    fn of_many_failures_the_first_are_told_and_the_rest_counted() {
        let failures = vec![jobs()[1].clone(); 1003];
        let text = report(|out| Box::new(JsonReport::new(out, &facts())), &failures);
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((object["failures"].as_array().unwrap().len(), object["failures_more"].as_u64()), (1000, Some(3)));
    }
}
