//! `JUnit` XML report, which every CI shows: one case per job, failed without an image, skipped if unfinished.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use crate::model::counts::StatusCounts;
use crate::model::escape::{escape, excerpt};
use crate::model::outcome::{Fault, Outcome};
use crate::model::phase::{JobRecord, Phase};
use crate::report::ci::{ReportSpec, ReportWriter, RunReport};
use crate::report::value::rfc3339;

/// Maximum length of a prompt in the name of a case, in characters.
const PROMPT_CHARS_MAX: usize = 120;

/// Maximum length of a reason, in characters.
const REASON_CHARS_MAX: usize = 1000;

/// Hostname of the suite, an attribute that only Ant requires.
const HOST: &str = "localhost";

/// Description of this report.
pub static SPEC: ReportSpec = ReportSpec {
    name: "junit",
    help: "JUnit XML: one test case per job",
    begin: |out, facts| Ok(Box::new(JunitReport::new(out, facts)?)),
};

/// Writes a run as `JUnit` XML.
pub(crate) struct JunitReport<W: Write> {
    xml: Writer<W>,
    class: String,
}

impl<W: Write> JunitReport<W> {
    /// Writes the start of the document: the totals and the properties of the run.
    pub(crate) fn new(out: W, facts: &RunReport) -> io::Result<Self> {
        let mut junit = Self { xml: Writer::new_with_indent(out, b' ', 1), class: class(&facts.name) };
        let StatusCounts { n_failed, n_moderated, n_in_doubt, n_pending, n_running, .. } = facts.counts;
        let n_errors = u64::from(facts.error().is_some());
        let totals = [
            ("tests", (facts.counts.n_jobs() + n_errors).to_string()),
            ("failures", (n_failed + n_moderated).to_string()),
            ("errors", (n_in_doubt + n_errors).to_string()),
            ("time", format!("{:.3}", facts.elapsed.as_secs_f64())),
        ];
        junit.xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let mut suites = BytesStart::new("testsuites");
        push(&mut suites, "name", "promptbatch");
        for (name, value) in &totals {
            push(&mut suites, name, value);
        }
        junit.xml.write_event(Event::Start(suites))?;
        let mut suite = BytesStart::new("testsuite");
        push(&mut suite, "name", &facts.name);
        for (name, value) in &totals {
            push(&mut suite, name, value);
        }
        push(&mut suite, "skipped", &(n_pending + n_running).to_string());
        // The schema allows no time zone here.
        push(&mut suite, "timestamp", rfc3339(facts.ended_at.before(facts.elapsed)).split('.').next().unwrap_or(""));
        push(&mut suite, "hostname", HOST);
        junit.xml.write_event(Event::Start(suite))?;
        junit.properties(facts)?;
        if let Some(error) = facts.error() {
            junit.error(error)?;
        }
        Ok(junit)
    }

    /// Writes the only case of a command that failed before it had any job to report.
    fn error(&mut self, error: &str) -> io::Result<()> {
        let mut case = BytesStart::new("testcase");
        push(&mut case, "name", "promptbatch");
        push(&mut case, "classname", &self.class);
        push(&mut case, "time", "0.000");
        self.xml.write_event(Event::Start(case))?;
        let mut verdict = BytesStart::new("error");
        push(&mut verdict, "type", "error");
        push(&mut verdict, "message", &excerpt(error, REASON_CHARS_MAX));
        self.xml.write_event(Event::Empty(verdict))?;
        self.xml.write_event(Event::End(BytesEnd::new("testcase")))
    }

    fn properties(&mut self, facts: &RunReport) -> io::Result<()> {
        let mut properties = vec![
            ("out", facts.out.clone()),
            ("provider", facts.provider.clone()),
            ("exit_code", facts.exit_code.to_string()),
            ("success_share", format!("{:.6}", facts.success_share())),
            ("submissions", facts.incidents.n_submits.to_string()),
            ("submissions_in_doubt", facts.incidents.n_in_doubt.to_string()),
            ("tasks_lost", facts.incidents.n_lost.to_string()),
        ];
        properties.extend(facts.stop.iter().map(|(word, _)| ("stop", (*word).to_owned())));
        properties.extend(
            facts.cost.iter().flat_map(|(cost, unit)| {
                [("cost", cost.sure.with_unit(unit)), ("cost_max", cost.most().with_unit(unit))]
            }),
        );
        self.xml.write_event(Event::Start(BytesStart::new("properties")))?;
        for (name, value) in properties {
            let mut property = BytesStart::new("property");
            push(&mut property, "name", name);
            push(&mut property, "value", &value);
            self.xml.write_event(Event::Empty(property))?;
        }
        self.xml.write_event(Event::End(BytesEnd::new("properties")))
    }

    fn failed(&mut self, record: &JobRecord, fault: &Fault) -> io::Result<()> {
        self.verdict(record, "failure", fault.kind.code(), &fault.message)
    }

    /// Writes why a case did not succeed, and below it a text with all details that help to investigate.
    fn verdict(&mut self, record: &JobRecord, element: &str, kind: &str, reason: &str) -> io::Result<()> {
        let mut verdict = BytesStart::new(element);
        push(&mut verdict, "type", kind);
        push(&mut verdict, "message", &excerpt(reason, REASON_CHARS_MAX));
        self.xml.write_event(Event::Start(verdict))?;
        let task = record.state.task.as_ref().map_or("none", |task| &task.0);
        let lines = [
            format!("{kind}: {}", excerpt(reason, REASON_CHARS_MAX)),
            format!("job: {}, id {}", record.job.index, escape(&super::id(record))),
            format!("task: {}", escape(task)),
            format!("model: {}{}", escape(&record.job.request.model), super::at_provider(record)),
            format!("prompt: {}", excerpt(&record.job.request.prompt, REASON_CHARS_MAX)),
        ];
        self.xml.write_event(Event::Text(BytesText::new(&legal(&lines.join("\n")))))?;
        self.xml.write_event(Event::End(BytesEnd::new(element)))
    }

    fn skipped(&mut self, why: &str) -> io::Result<()> {
        let mut skipped = BytesStart::new("skipped");
        push(&mut skipped, "message", why);
        self.xml.write_event(Event::Empty(skipped))
    }
}

impl<W: Write> ReportWriter for JunitReport<W> {
    fn job(&mut self, record: &JobRecord) -> io::Result<()> {
        let name = format!("{:06} {}", record.job.index, excerpt(&record.job.request.prompt, PROMPT_CHARS_MAX));
        let mut case = BytesStart::new("testcase");
        push(&mut case, "name", &name);
        push(&mut case, "classname", &self.class);
        let seconds = record.state.duration().map_or(0.0, |duration| duration.as_secs_f64());
        push(&mut case, "time", &format!("{seconds:.3}"));
        if let Phase::Finished(Outcome::Succeeded(_)) = record.state.phase {
            return self.xml.write_event(Event::Empty(case));
        }
        self.xml.write_event(Event::Start(case))?;
        match &record.state.phase {
            Phase::Finished(Outcome::Succeeded(_)) => Ok(()),
            Phase::Finished(Outcome::Failed(fault)) => self.failed(record, fault),
            Phase::Submitting => {
                let reason = record.state.last_fault.as_ref().map_or("its response was lost", |fault| &fault.message);
                self.verdict(record, "error", "in_doubt", reason)
            }
            Phase::Pending => self.skipped("pending"),
            Phase::Running(_) | Phase::Downloading(_) => self.skipped("running at the provider"),
        }?;
        self.xml.write_event(Event::End(BytesEnd::new("testcase")))
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.xml.write_event(Event::End(BytesEnd::new("testsuite")))?;
        self.xml.write_event(Event::End(BytesEnd::new("testsuites")))?;
        self.xml.get_mut().write_all(b"\n")?;
        self.xml.get_mut().flush()
    }
}

fn push(element: &mut BytesStart<'_>, name: &str, value: &str) {
    element.push_attribute((name, legal(&escape(value)).as_str()));
}

/// Replaces the two code points that XML 1.0 cannot express. Control characters are already escaped as text.
fn legal(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// Converts the name of the run to a class name. Dots are replaced, because they would create packages.
fn class(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ci::fixtures::{facts, jobs, report};

    #[test]
    fn every_kind_of_job_is_a_case() {
        insta::assert_snapshot!(report(|out| Box::new(JunitReport::new(out, &facts()).unwrap()), &jobs()), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="promptbatch" tests="6" failures="2" errors="1" time="90.500">
         <testsuite name="prompts.v2" tests="6" failures="2" errors="1" time="90.500" skipped="2" timestamp="2027-01-15T07:58:29" hostname="localhost">
          <properties>
           <property name="out" value="out/prompts.v2"/>
           <property name="provider" value="modelscope"/>
           <property name="exit_code" value="75"/>
           <property name="success_share" value="0.166667"/>
           <property name="submissions" value="6"/>
           <property name="submissions_in_doubt" value="1"/>
           <property name="tasks_lost" value="1"/>
           <property name="stop" value="quota"/>
           <property name="cost" value="10 magicube"/>
           <property name="cost_max" value="12 magicube"/>
          </properties>
          <testcase name="000001 a golden cat" classname="prompts_v2" time="15.000"/>
          <testcase name="000002 一只狗 &amp; &quot;&lt;b&gt;&quot; \u{1b}[31m\n| `x` �" classname="prompts_v2" time="1.000">
           <failure type="invalid_request" message="no *such* | &lt;model&gt; @you #1">invalid_request: no *such* | &lt;model&gt; @you #1
        job: 2, id my &lt;id&gt;
        task: none
        model: a/b
        prompt: 一只狗 &amp; &quot;&lt;b&gt;&quot; \u{1b}[31m\n| `x` �</failure>
          </testcase>
          <testcase name="000003 a cow" classname="prompts_v2" time="12.000">
           <failure type="moderated" message="inappropriate\ncontent">moderated: inappropriate\ncontent
        job: 3, id 59c1b20410bb453e969d
        task: 5075521
        model: a/b
        prompt: a cow</failure>
          </testcase>
          <testcase name="000004 a heron" classname="prompts_v2" time="0.000">
           <error type="in_doubt" message="the answer was lost">in_doubt: the answer was lost
        job: 4, id fb9c419de15ec603ccf3
        task: none
        model: a/b
        prompt: a heron</error>
          </testcase>
          <testcase name="000005 an owl" classname="prompts_v2" time="0.000">
           <skipped message="running at the provider"/>
          </testcase>
          <testcase name="000006 a fox" classname="prompts_v2" time="0.000">
           <skipped message="pending"/>
          </testcase>
         </testsuite>
        </testsuites>
        "#);
    }

    /// Goal: no prompt produces XML that a parser rejects. Method: put every character below the first supplementary
    /// plane, and one beyond, into prompts. Then parse the result.
    #[test]
    fn every_character_can_stand_in_a_prompt() {
        let all: String = (0..0x1_0000).filter_map(char::from_u32).chain(['😀']).collect();
        let chunks: Vec<String> =
            all.chars().collect::<Vec<_>>().chunks(100).map(|chunk| chunk.iter().collect()).collect();
        let jobs: Vec<JobRecord> = chunks
            .iter()
            .map(|prompt| {
                let mut record = jobs()[1].clone();
                let mut job = (*record.job).clone();
                job.request.prompt.clone_from(prompt);
                record.job = job.into();
                record
            })
            .collect();
        let text = report(|out| Box::new(JunitReport::new(out, &facts()).unwrap()), &jobs);
        let is_legal = |c: char| matches!(c, '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        assert!(text.chars().all(is_legal));
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut n_cases = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(start) if start.name().as_ref() == "testcase" => n_cases += 1,
                _ => (),
            }
        }
        assert_eq!(n_cases, chunks.len());
    }
}
