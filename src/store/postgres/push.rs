//! Way of a run folder to the server: every job, event and state, in one transaction.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, CopyInSink};

use crate::model::event::{Event, EventKind};
use crate::model::phase::{JobRecord, JobState};
use crate::model::price::Price;
use crate::model::progress::{Meter, Operation, Progress};
use crate::model::request::Request;
use crate::store::error::LedgerError;
use crate::store::postgres::blocking::BlockingRun;
use crate::store::postgres::client::{StatementError, StatementResult};
use crate::store::postgres::encode::{cost_text, events_text, state_text, task_key};
use crate::store::postgres::run::{BASE_KEY, ID_KEY, PUSHED_KEY, VERSION, VERSION_KEY};
use crate::store::postgres::statements::phase_of;
use crate::store::setting::Setting;
use crate::store::settings::ReadSettings;
use crate::store::shared::cost::{CostTotals, RequestPrice};
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, format};

/// Jobs of a block: what a worker claims at a time, and what a worker that dies leaves to others.
const BLOCK_JOBS: i64 = 64;

/// Bytes that are sent at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Events of one row of the table of commits, about.
const COMMIT_EVENTS: usize = 500;

/// Time limit of a step of a push: an index of many jobs takes minutes.
const STEP_MAX: Duration = Duration::from_secs(30 * 60);

/// What a push did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The run is at the server now. The number is that of the last commit that came from the folder.
    Now(i64),
    /// The same run was there before, and nothing was changed.
    Before(i64),
}

impl BlockingRun {
    /// Copies a run to the server, all or nothing. `id` is the number of the run. A run of the same number that is open is left as it is, and one
    /// that was merged back is replaced. Any other run of this name is an error.
    pub(crate) fn push(
        &self,
        run: &dyn RunReader,
        id: &str,
        progress: &mut dyn Progress,
    ) -> Result<Pushed, LedgerError> {
        self.push_in_blocks(BLOCK_JOBS, run, id, progress)
    }

    /// Copies a run as [`push`](Self::push) does, in blocks of so many jobs.
    pub(super) fn push_in_blocks(
        &self,
        block_jobs: i64,
        run: &dyn RunReader,
        id: &str,
        progress: &mut dyn Progress,
    ) -> Result<Pushed, LedgerError> {
        let client = self.runtime.block_on(self.run.client.connection()).map_err(LedgerError::from)?;
        let push = Push { shared: self, client, block_jobs };
        let pushed = push.whole(run, id, progress);
        if pushed.is_err() {
            // A connection that is lost rolls back as well.
            let _ = self.runtime.block_on(push.client.batch_execute("ROLLBACK"));
        }
        pushed
    }
}

/// Push under way, in one transaction.
struct Push<'a> {
    shared: &'a BlockingRun,
    client: Arc<Client>,
    block_jobs: i64,
}

impl Push<'_> {
    fn whole(&self, run: &dyn RunReader, id: &str, progress: &mut dyn Progress) -> Result<Pushed, LedgerError> {
        if let Some(pushed) = self.create(id)? {
            return Ok(Pushed::Before(pushed));
        }
        let rest = self.jobs(run, progress)?;
        for (table, file) in [
            ("COPY {states} (row, phase, state) FROM STDIN", rest.states),
            ("COPY found_tasks (key, row) FROM STDIN", rest.tasks),
            ("COPY {commits} (worker, n, events) FROM STDIN", rest.commits),
        ] {
            self.copy(table, file)?;
        }
        self.finish(run, id, rest.cost)
    }

    /// Creates the tables. Returns the number of the last commit that came from the folder if this run is there already.
    fn create(&self, id: &str) -> Result<Option<i64>, LedgerError> {
        let (run, schema) = (&self.shared.run, self.shared.run.schema());
        self.batch("BEGIN")?;
        match self.step(self.client.batch_execute(&format!("CREATE SCHEMA {schema}"))) {
            Ok(()) => (),
            Err(StatementError::Refused(Some(code), _))
                if [SqlState::DUPLICATE_SCHEMA, SqlState::UNIQUE_VIOLATION].contains(&code) =>
            {
                self.batch("ROLLBACK")?;
                let there = self.shared.status()?;
                if there.id != id {
                    let what = "another run of this name is there";
                    return Err(run.client.refusal(what, "give this run a name of its own with ?run=NAME"));
                }
                if !there.is_merged {
                    return Ok(Some(there.pushed));
                }
                self.batch(&format!("BEGIN; DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}"))?;
            }
            Err(error) => return Err(error.into()),
        }
        // The tables go into the schema of the run, for this transaction only.
        self.batch(&format!("SET LOCAL search_path = {schema}"))?;
        self.batch(include_str!("schema.sql"))?;
        self.batch("CREATE TEMPORARY TABLE found_tasks (key bytea, row bigint) ON COMMIT DROP")?;
        Ok(None)
    }

    /// Sends the jobs, and gathers what belongs to those that have begun.
    fn jobs(&self, run: &dyn RunReader, progress: &mut dyn Progress) -> Result<Spooled, LedgerError> {
        let mut meter = Meter::begin(progress, Operation::Import, Some(run.counts()?.n_jobs()));
        let mut spool = Spool::new(run.price_used()?).map_err(local)?;
        let mut sink = self.sink("COPY {jobs} (row, id, position, label, request, extras) FROM STDIN")?;
        let (mut piece, mut row) = (Vec::with_capacity(PIECE_BYTES * 2), 0_i64);
        for jobs in [JobSet::InManifest, JobSet::Dropped] {
            run.for_each_job(jobs, |record| {
                row += 1;
                job_line(&mut piece, row, &record);
                meter.step();
                if record.state != JobState::default() {
                    let events = run.whole_events(record.job.id, &record.state)?;
                    let events = events.into_iter().map(|(at, kind)| Event { job: record.job.id, index: 0, at, kind });
                    spool.add(row, &record.job.request, events.collect()).map_err(local)?;
                }
                if piece.len() >= PIECE_BYTES {
                    self.send(&mut sink, &mut piece)?;
                }
                Ok::<_, LedgerError>(())
            })?;
        }
        self.send(&mut sink, &mut piece)?;
        self.step(sink.as_mut().finish())?;
        spool.finish().map_err(local)
    }

    fn copy(&self, table: &str, file: File) -> Result<(), LedgerError> {
        let (mut sink, mut file) = (self.sink(table)?, BufReader::new(file));
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let limited = Read::by_ref(&mut file).take(PIECE_BYTES as u64);
            io::copy(&mut { limited }, &mut piece).map_err(local)?;
            if piece.is_empty() {
                break;
            }
            self.send(&mut sink, &mut piece)?;
        }
        self.step(sink.as_mut().finish())?;
        Ok(())
    }

    /// Makes the indexes, the blocks and the settings, and ends the transaction.
    fn finish(&self, run: &dyn RunReader, id: &str, cost: CostTotals) -> Result<Pushed, LedgerError> {
        self.batch(&self.shared.run.in_schema(&format!(
            "ALTER TABLE {{jobs}} ADD PRIMARY KEY (row); CREATE UNIQUE INDEX jobs_by_id ON {{jobs}} (id); \
             INSERT INTO {{blocks}} (n, first_row, last_row, is_done, has_begun) \
             SELECT (j.row - 1) / {block_jobs}, min(j.row), max(j.row), bool_and(coalesce(s.phase, 0) >= {ended}), \
                 coalesce(bool_or(s.phase BETWEEN 1 AND 3), false) \
             FROM {{jobs}} j LEFT JOIN {{states}} s ON s.row = j.row WHERE j.position IS NOT NULL GROUP BY 1 ORDER BY 1; \
             INSERT INTO {{tasks}} SELECT DISTINCT ON (key) key, row FROM found_tasks ORDER BY key, row; \
             INSERT INTO {{run}} (status) VALUES ('open'); \
             INSERT INTO {{pace}} (base_running) SELECT count(*) FROM {{states}} s JOIN {{jobs}} j ON j.row = s.row \
                 WHERE s.phase = {running} AND j.position IS NOT NULL; ANALYZE {{jobs}}; ANALYZE {{states}}; ANALYZE {{blocks}}; ANALYZE {{run}}; ANALYZE {{pace}}",
            block_jobs = self.block_jobs,
            ended = format::phase::SUCCEEDED,
            running = format::phase::RUNNING,
        )))?;
        let sql = self.shared.run.in_schema("UPDATE {pace} SET base_cost = $1::text::numeric[]");
        let cost = cost_text(cost);
        self.step(self.client.query_typed(&sql, &[(&cost, Type::TEXT)]))?;
        let sql = self.shared.run.in_schema("SELECT coalesce(max(seq), 0) FROM {commits}");
        let rows = self.step(self.client.query_typed(&sql, &[]))?;
        let pushed: i64 = rows.first().map_or(0, |row| row.get(0));
        let mut settings: Vec<(String, String)> = vec![
            (VERSION_KEY.to_owned(), VERSION.to_string()),
            (BASE_KEY.to_owned(), base_totals(run)?),
            (ID_KEY.to_owned(), id.to_owned()),
            (PUSHED_KEY.to_owned(), pushed.to_string()),
        ];
        for setting in Setting::ALL.into_iter().filter(|setting| setting.is_shared()) {
            settings.extend(run.setting(setting)?.map(|value| (setting.key().to_owned(), value)));
        }
        let (keys, values): (Vec<String>, Vec<String>) = settings.into_iter().unzip();
        let sql = self.shared.run.in_schema("INSERT INTO {meta} SELECT * FROM unnest($1, $2)");
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&keys, Type::TEXT_ARRAY), (&values, Type::TEXT_ARRAY)];
        self.step(self.client.query_typed(&sql, &params))?;
        self.batch("COMMIT")?;
        Ok(Pushed::Now(pushed))
    }

    fn sink(&self, table: &str) -> Result<Pin<Box<CopyInSink<Bytes>>>, LedgerError> {
        let sql = self.shared.run.in_schema(table);
        Ok(Box::pin(self.step(self.client.copy_in(&sql))?))
    }

    fn send(&self, sink: &mut Pin<Box<CopyInSink<Bytes>>>, piece: &mut Vec<u8>) -> Result<(), LedgerError> {
        let bytes = Bytes::from(std::mem::replace(piece, Vec::with_capacity(PIECE_BYTES * 2)));
        Ok(self.step(sink.as_mut().send(bytes))?)
    }

    fn batch(&self, sql: &str) -> Result<(), LedgerError> {
        Ok(self.step(self.client.batch_execute(sql))?)
    }

    fn step<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> StatementResult<T> {
        self.shared.runtime.block_on(self.shared.run.client.within(&self.client, STEP_MAX, work))
    }
}

/// Returns the error of a temporary file of this machine.
fn local(source: io::Error) -> LedgerError {
    LedgerError::Io { path: std::env::temp_dir(), source }
}

/// Totals of a folder, as JSON.
fn base_totals(run: &dyn RunReader) -> Result<String, LedgerError> {
    let (counts, incidents) = (run.counts()?, run.incidents()?);
    let totals = [
        counts.n_pending,
        counts.n_in_doubt,
        // Tasks that are polled and those that are fetched count as one.
        counts.n_running,
        0,
        counts.n_succeeded,
        counts.n_moderated,
        counts.n_failed,
        incidents.n_submits,
        incidents.n_in_doubt,
        incidents.n_doubts_held,
        incidents.n_doubts_failed,
        incidents.n_lost,
        incidents.n_reopened,
    ];
    Ok(serde_json::json!(totals).to_string())
}

/// What belongs to jobs that have begun, in temporary files: rows of three tables, while those of a fourth are being sent.
struct Spool {
    states: BufWriter<File>,
    tasks: BufWriter<File>,
    commits: BufWriter<File>,
    /// Price at which the cost is counted; `None` if it is unknown.
    price: Option<Price>,
    cost: CostTotals,
    /// Events of the next row of the table of commits.
    events: Vec<Event>,
    n_commits: i64,
}

/// Files of a spool, to be read from their beginning.
struct Spooled {
    states: File,
    tasks: File,
    commits: File,
    /// Cost of the run so far.
    cost: CostTotals,
}

impl Spool {
    fn new(price: Option<Price>) -> io::Result<Self> {
        let file = || Ok::<_, io::Error>(BufWriter::new(tempfile::tempfile()?));
        let (states, tasks, commits, cost) = (file()?, file()?, file()?, CostTotals::default());
        Ok(Self { states, tasks, commits, price, cost, events: Vec::new(), n_commits: 0 })
    }

    /// Adds the events of a job, whose fold is its state.
    fn add(&mut self, row: i64, request: &Request, events: Vec<Event>) -> io::Result<()> {
        let mut state = JobState::default();
        let price = RequestPrice::of(self.price.as_ref(), request);
        for event in &events {
            self.cost += CostTotals::of(&state, &event.kind, price);
            state.apply(event.at, &event.kind);
            if let EventKind::Accepted(task) = &event.kind {
                writeln!(self.tasks, "{}\t{row}", bytea(&task_key(task)))?;
            }
        }
        let mut line = format!("{row}\t{}\t", phase_of(&state)).into_bytes();
        escape(&mut line, &state_text(&state));
        line.push(b'\n');
        self.states.write_all(&line)?;
        self.events.extend(events);
        if self.events.len() >= COMMIT_EVENTS { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> io::Result<()> {
        if self.events.is_empty() {
            return Ok(());
        }
        self.n_commits += 1;
        let mut line = format!("0\t{}\t", self.n_commits).into_bytes();
        escape(&mut line, &events_text(&self.events));
        line.push(b'\n');
        self.events.clear();
        self.commits.write_all(&line)
    }

    fn finish(mut self) -> io::Result<Spooled> {
        self.commit()?;
        let whole = |file: BufWriter<File>| {
            let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            Ok::<_, io::Error>(file)
        };
        let (states, tasks, commits) = (whole(self.states)?, whole(self.tasks)?, whole(self.commits)?);
        Ok(Spooled { states, tasks, commits, cost: self.cost })
    }
}

/// Writes the row of a job in the text format of COPY.
fn job_line(line: &mut Vec<u8>, row: i64, JobRecord { job, .. }: &JobRecord) {
    let position = if job.index == 0 { "\\N".to_owned() } else { job.index.to_string() };
    line.extend(format!("{row}\t{}\t{position}\t", bytea(job.id.bytes())).into_bytes());
    let extras = format::extras_text(&job.extras, job.row, job.index);
    for (text, end) in
        [(job.label.as_deref(), b'\t'), (Some(&*format::request_text(&job.request)), b'\t'), (extras.as_deref(), b'\n')]
    {
        match text {
            Some(text) => escape(line, text),
            None => line.extend(b"\\N"),
        }
        line.push(end);
    }
}

/// Escapes a text for COPY.
fn escape(line: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => line.extend(b"\\\\"),
            b'\t' => line.extend(b"\\t"),
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            byte => line.push(byte),
        }
    }
}

/// Writes bytes for COPY.
fn bytea(bytes: &[u8]) -> String {
    bytes.iter().fold("\\\\x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
