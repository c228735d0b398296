//! Markdown report of a run, for a pull request or a CI job summary: status, failures with reasons, next steps.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::time::Duration;

use crate::model::cost::Cost;
use crate::model::counts::StatusCounts;
use crate::model::escape::{excerpt, grouped};
use crate::model::outcome::Outcome;
use crate::model::phase::{JobRecord, Phase};
use crate::report::ci::{ReportSpec, ReportWriter, RunReport, is_failure};
use crate::report::format::{rate, span};

/// Maximum number of failures listed individually.
const FAILURES_MAX: usize = 50;

/// Maximum number of slowest jobs listed.
const SLOWEST_MAX: usize = 5;

/// Maximum length of a prompt or a reason, in characters.
const TEXT_CHARS_MAX: usize = 160;

/// Description of this report.
pub static SPEC: ReportSpec = ReportSpec {
    name: "md",
    help: "Page in Markdown",
    begin: |out, facts| Ok(Box::new(MarkdownReport::new(out, facts.clone()))),
};

/// Writes a run as a Markdown page.
pub(crate) struct MarkdownReport<W: Write> {
    out: W,
    facts: RunReport,
    failures: Vec<String>,
    /// Sorted, the slowest first.
    slowest: Vec<(Reverse<Duration>, u64, String)>,
}

impl<W: Write> MarkdownReport<W> {
    /// Creates the report from the facts known before the jobs.
    pub(crate) const fn new(out: W, facts: RunReport) -> Self {
        Self { out, facts, failures: vec![], slowest: vec![] }
    }

    fn counts(&self) -> Vec<String> {
        let StatusCounts { n_pending, n_in_doubt, n_running, n_succeeded, n_moderated, n_failed } = self.facts.counts;
        let rows = [
            ("succeeded", n_succeeded),
            ("failed", n_failed),
            ("moderated", n_moderated),
            ("in doubt", n_in_doubt),
            ("running at the provider", n_running),
            ("pending", n_pending),
        ];
        let mut lines = vec!["| | jobs |".to_owned(), "|---|---:|".to_owned()];
        let rows = rows.into_iter().filter(|(_, n)| *n > 0);
        lines.extend(rows.map(|(word, n)| format!("| {word} | {} |", grouped(n))));
        lines.push(format!("| **all** | **{}** |", grouped(self.facts.counts.n_jobs())));
        lines
    }

    /// Formats the duration, rate, submissions, cost and exit code of the run.
    fn effort(&self) -> String {
        let facts = &self.facts;
        let mut words = vec![format!("Took {}", span(facts.elapsed))];
        #[expect(clippy::cast_precision_loss, reason = "no run ends 2^53 jobs")]
        let per_second = facts.n_ended as f64 / facts.elapsed.as_secs_f64();
        words.extend((facts.n_ended > 0 && per_second.is_normal()).then(|| rate(per_second)));
        words.push(format!("{} submissions", grouped(facts.incidents.n_submits)));
        let so_far = if facts.counts.n_unfinished() > 0 { " so far" } else { "" };
        let cost = |(cost, unit): &(Cost, String)| format!("{}{so_far}", text(&cost.words(unit)));
        words.extend(facts.cost.as_ref().map(cost));
        words.push(format!("exit code {}", facts.exit_code));
        words.join(", ") + "."
    }

    fn next(&self) -> Vec<String> {
        let facts = &self.facts;
        let mut lines = vec![];
        let n_unfinished = facts.counts.n_unfinished();
        if facts.stop.is_some() && n_unfinished > 0 {
            lines.push(format!("Run the same command again to resume: {} left to do.", grouped(n_unfinished)));
        }
        if facts.counts.n_failed > 0 {
            lines.push(format!("Retry the failed jobs: {}", code(&format!("promptbatch retry {}", facts.out))));
        }
        lines
    }
}

impl<W: Write> ReportWriter for MarkdownReport<W> {
    fn job(&mut self, record: &JobRecord) -> io::Result<()> {
        let prompt = || code(&excerpt(&record.job.request.prompt, TEXT_CHARS_MAX));
        if is_failure(record) && self.failures.len() < FAILURES_MAX {
            let reason = record.state.last_fault.as_ref().map_or_else(String::new, ToString::to_string);
            let reason = text(&(excerpt(&reason, TEXT_CHARS_MAX) + &super::at_provider(record)));
            let task =
                record.state.task.as_ref().map_or_else(String::new, |task| code(&excerpt(&task.0, TEXT_CHARS_MAX)));
            self.failures.push(format!("| {} | {} | {reason} | {task} |", record.job.index, prompt()));
        }
        let Phase::Finished(Outcome::Succeeded(_)) = record.state.phase else { return Ok(()) };
        let Some(took) = record.state.duration() else { return Ok(()) };
        let is_slow = self.slowest.len() < SLOWEST_MAX || self.slowest.last().is_some_and(|last| took > last.0.0);
        if is_slow {
            self.slowest.truncate(SLOWEST_MAX - 1);
            self.slowest.push((Reverse(took), record.job.index, prompt()));
            self.slowest.sort();
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let facts = &self.facts;
        let StatusCounts { n_succeeded, .. } = facts.counts;
        let mark = if facts.exit_code == 0 { "✅" } else { "❌" };
        let (n, of) = (grouped(n_succeeded), grouped(facts.counts.n_jobs()));
        let mut lines = vec![format!("### {mark} {}: {n} of {of} images", text(&facts.name)), String::new()];
        lines.extend(self.counts());
        lines.extend([String::new(), self.effort()]);
        lines.extend(facts.fail_under.iter().map(|asked| {
            format!("At least {} had to succeed, and {:.1}% did.", text(asked), 100.0 * facts.success_share())
        }));
        lines.extend(facts.stop.iter().flat_map(|(_, sentence)| [String::new(), format!("**{}**", text(sentence))]));
        if !self.failures.is_empty() {
            lines.extend(["", "| job | prompt | reason | task |", "|---:|---|---|---|"].map(str::to_owned));
            lines.extend(self.failures.iter().cloned());
            let n_more = facts.counts.n_without_image().saturating_sub(self.failures.len() as u64);
            if n_more > 0 {
                lines.extend([String::new(), format!("And {} more without an image.", grouped(n_more))]);
            }
        }
        if !self.slowest.is_empty() {
            lines.extend(
                ["", "<details><summary>Slowest jobs</summary>", "", "| job | prompt | took |", "|---:|---|---:|"]
                    .map(str::to_owned),
            );
            lines.extend(
                self.slowest.iter().map(|(took, index, prompt)| format!("| {index} | {prompt} | {} |", span(took.0))),
            );
            lines.extend(["", "</details>"].map(str::to_owned));
        }
        for line in self.next() {
            lines.extend([String::new(), line]);
        }
        self.out.write_all((lines.join("\n") + "\n").as_bytes())?;
        self.out.flush()
    }
}

/// Escapes text from outside, so that no part of it is Markdown, HTML, a mention or a link.
fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '$' | '#' | '@' | '{' | '}' => {
                safe.extend(["&#", &u32::from(c).to_string(), ";"]);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Escapes text and marks it as code, so that no user is mentioned and no address becomes a link.
fn code(words: &str) -> String {
    format!("<code>{}</code>", text(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::counts::StatusCounts;
    use crate::report::ci::fixtures::{facts, jobs, report};

    #[test]
    fn a_run_is_a_page() {
        insta::assert_snapshot!(report(|out| Box::new(MarkdownReport::new(out, facts())), &jobs()), @r"
        ### ❌ prompts.v2: 1 of 6 images

        | | jobs |
        |---|---:|
        | succeeded | 1 |
        | failed | 1 |
        | moderated | 1 |
        | in doubt | 1 |
        | running at the provider | 1 |
        | pending | 1 |
        | **all** | **6** |

        Took 91 s, 2.0/min, 6 submissions, 10 to 12 magicube (1 submission in doubt) so far, exit code 75.
        At least 98% had to succeed, and 16.7% did.

        **stopped: the daily quota is used up**

        | job | prompt | reason | task |
        |---:|---|---|---|
        | 2 | <code>一只狗 &#38; &#34;&#60;b&#62;&#34; &#92;u&#123;1b&#125;&#91;31m&#92;n&#124; &#96;x&#96; ￿</code> | invalid&#95;request: no &#42;such&#42; &#124; &#60;model&#62; &#64;you &#35;1 |  |
        | 3 | <code>a cow</code> | moderated: inappropriate&#92;ncontent | <code>5075521</code> |

        <details><summary>Slowest jobs</summary>

        | job | prompt | took |
        |---:|---|---:|
        | 1 | <code>a golden cat</code> | 15 s |

        </details>

        Run the same command again to resume: 3 left to do.

        Retry the failed jobs: <code>promptbatch retry out/prompts.v2</code>
        ");
    }

    #[test]
    fn the_cost_of_a_finished_run_is_final() {
        let counts = StatusCounts { n_succeeded: 6, ..StatusCounts::default() };
        let page = report(|out| Box::new(MarkdownReport::new(out, RunReport { counts, ..facts() })), &[]);
        assert!(page.contains("10 to 12 magicube (1 submission in doubt), exit code"), "{page}");
    }

    #[test]
    fn a_page_is_short_however_much_has_failed() {
        let failures = vec![jobs()[1].clone(); 100_000];
        let page = report(|out| Box::new(MarkdownReport::new(out, facts())), &failures);
        assert!(page.len() < 64 << 10, "{} bytes", page.len());
    }

    #[test]
    fn the_slowest_are_told_slowest_first() {
        let mut markdown = MarkdownReport::new(vec![], facts());
        for secs in [3, 1, 9, 2, 8, 7, 7] {
            let mut record = jobs()[0].clone();
            record.state.finished_at = Some(crate::model::time::Timestamp::from_millis(1000 * secs));
            record.state.submitted_at = Some(crate::model::time::Timestamp::default());
            markdown.job(&record).unwrap();
        }
        let took: Vec<_> = markdown.slowest.iter().map(|(took, ..)| took.0.as_secs()).collect();
        assert_eq!(took, [9, 8, 7, 7, 3]);
    }
}
