//! Test fixtures of the reporters: events, counts, a log and a terminal.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::model::counts::StatusCounts;
use crate::model::event::{Event, EventKind};
use crate::model::job::{Job, JobId, ManifestRow};
use crate::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, Outcome, TaskId};
use crate::model::phase::{JobRecord, JobState};
use crate::model::request::{Request, Size};
use crate::model::snapshot::{PauseReason, RunSnapshot, SubmitPause};
use crate::model::time::{Moment, Timestamp};
use crate::report::progress_totals::ProgressTotals;
use crate::report::terminal::{Terminal, Tty};

/// Returns the moment `secs` seconds into the run.
pub(super) fn at(secs: f64) -> Moment {
    let start = Moment::new(0, Timestamp::from_millis(1_800_000_000_000));
    if secs < 0.0 { Moment::new(-1, start.wall()) } else { start + Duration::from_secs_f64(secs) }
}

pub(super) fn pending(n_pending: u64) -> StatusCounts {
    StatusCounts { n_pending, ..StatusCounts::default() }
}

pub(super) fn in_flight(n_in_flight: usize) -> RunSnapshot {
    RunSnapshot { n_running: n_in_flight, ..RunSnapshot::default() }
}

/// Returns the totals of a run of `n_jobs` jobs, none of them done.
pub(super) fn totals(n_jobs: u64) -> ProgressTotals {
    ProgressTotals::new(&pending(n_jobs))
}

/// Returns a hold that keeps submissions back until `secs` seconds into the run.
pub(super) fn throttled(secs: f64) -> SubmitPause {
    SubmitPause { why: PauseReason::Throttled, until: at(secs) }
}

pub(super) fn event(index: u64, kind: EventKind) -> Event {
    Event { job: JobId::from_bytes([7; 10]), index, at: at(0.0).wall(), kind }
}

pub(super) fn artifact(file_name: &str) -> Artifact {
    let format = ImageFormat::Png;
    Artifact { file_name: file_name.into(), sha256: [0xab; 32], bytes: 1000, width: 64, height: 48, format }
}

pub(super) fn succeeded(index: u64) -> Event {
    event(index, EventKind::Finished(Outcome::Succeeded(vec![artifact("images/000001-a-cat.png")])))
}

pub(super) fn failed(index: u64, kind: FaultKind, message: &str) -> Event {
    event(index, EventKind::Finished(Outcome::Failed(Fault::new(kind, message))))
}

pub(super) fn accepted(index: u64, task: &str) -> Event {
    event(index, EventKind::Accepted(TaskId(task.into())))
}

/// Log that a test can read while the reporter holds it.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Simulated terminal with the features that a block needs: it wraps at its width, and may rewrap when the width
/// changes.
#[derive(Clone, Debug)]
pub(super) struct Screen(Arc<Mutex<Cells>>);

#[derive(Debug)]
struct Cells {
    columns: usize,
    reflows: bool,
    /// Characters of each row, and whether the line continues in the next row.
    rows: Vec<(Vec<char>, bool)>,
    row: usize,
    column: usize,
    n_writes: usize,
}

impl Cells {
    /// Returns the row of the cursor, extended up to its column.
    fn here(&mut self) -> &mut Vec<char> {
        let n_rows = self.rows.len().max(self.row + 1);
        self.rows.resize(n_rows, (vec![], false));
        let row = &mut self.rows[self.row].0;
        row.resize(row.len().max(self.column), ' ');
        row
    }

    fn put(&mut self, c: char) {
        if self.column == self.columns {
            self.here();
            self.rows[self.row].1 = true;
            (self.row, self.column) = (self.row + 1, 0);
        }
        let column = self.column;
        let row = self.here();
        row.truncate(row.len().max(column));
        if row.len() > column {
            row[column] = c;
        } else {
            row.push(c);
        }
        self.column += 1;
    }

    /// Erases from the cursor to the end of its row.
    fn erase(&mut self) {
        let column = self.column;
        self.here().truncate(column);
        self.rows[self.row].1 = false;
    }

    fn control(&mut self, letter: char, n: usize) {
        match letter {
            'A' => self.row = self.row.saturating_sub(n.max(1)),
            'K' => self.erase(),
            'J' => {
                self.erase();
                self.rows.truncate(self.row + 1);
            }
            'm' => (),
            other => panic!("no terminal of this test knows {other}"),
        }
    }

    fn write(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['));
                    let mut number = String::new();
                    let letter = loop {
                        match chars.next().expect("a sequence ends") {
                            c if c.is_ascii_digit() || c == ';' => number.push(c),
                            letter => break letter,
                        }
                    };
                    self.control(letter, number.parse().unwrap_or(0));
                }
                c => self.put(c),
            }
        }
        self.here();
    }

    /// Joins wrapped rows, then wraps lines longer than the new width. The cursor stays in its line.
    fn resize(&mut self, columns: usize) {
        let before = std::mem::replace(&mut self.columns, columns);
        if !self.reflows {
            return;
        }
        let (cursor_row, cursor_column) = (self.row, self.column.min(before));
        let mut line: Vec<char> = vec![];
        let mut cursor = None;
        let rows = std::mem::take(&mut self.rows);
        for (n, (row, goes_on)) in rows.into_iter().enumerate() {
            if n == cursor_row {
                cursor = Some(line.len() + cursor_column);
            }
            line.extend(row);
            if goes_on {
                continue;
            }
            let first = self.rows.len();
            let mut chunks = line.chunks(columns).map(|chunk| (chunk.to_vec(), true)).collect::<Vec<_>>();
            chunks.last_mut().map(|last| last.1 = false).unwrap_or_else(|| chunks.push((vec![], false)));
            self.rows.extend(chunks);
            if let Some(at) = cursor.take() {
                (self.row, self.column) = (first + at / columns, at % columns);
            }
            line.clear();
        }
    }
}

impl Screen {
    pub(super) fn new(columns: usize) -> Self {
        Self::that_reflows(columns, true)
    }

    pub(super) fn that_reflows(columns: usize, reflows: bool) -> Self {
        let cells = Cells { columns, reflows, rows: vec![], row: 0, column: 0, n_writes: 0 };
        Self(Arc::new(Mutex::new(cells)))
    }

    /// Returns a terminal for drawing, without colours.
    pub(super) fn terminal(&self) -> Terminal {
        Terminal::on(self.clone(), false)
    }

    pub(super) fn resize(&self, columns: usize) {
        self.0.lock().unwrap().resize(columns);
    }

    /// Writes what the keyboard echoes.
    pub(super) fn echo(&self, text: &str) {
        self.0.lock().unwrap().write(text);
    }

    /// Returns the visible text, line by line.
    pub(super) fn text(&self) -> String {
        let rows = self.0.lock().unwrap().rows.clone();
        let lines: Vec<_> = rows.into_iter().map(|(row, _)| String::from_iter(row).trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    pub(super) fn n_writes(&self) -> usize {
        self.0.lock().unwrap().n_writes
    }
}

impl Tty for Screen {
    fn size(&self) -> (u16, u16) {
        (24, self.0.lock().unwrap().columns.try_into().unwrap())
    }

    fn reflows(&self) -> bool {
        self.0.lock().unwrap().reflows
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut cells = self.0.lock().unwrap();
        cells.n_writes += 1;
        cells.write(text);
        Ok(())
    }
}

/// Returns a job that has an image, with these further columns.
pub(super) fn known(prompt: &str, extras: &[(&str, &str)]) -> JobRecord {
    let request = Request {
        prompt: prompt.into(),
        model: "Qwen/Qwen-Image".into(),
        size: Some(Size { width: 64, height: 48 }),
        seed: Some(7),
        steps: Some(30),
        guidance: Some(3.5),
        ..Request::default()
    };
    let extras = extras.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let job =
        Job { id: JobId::from_bytes([7; 10]), index: 1, label: None, request, extras, row: ManifestRow::default() };
    let mut state = JobState::default();
    let task = EventKind::Accepted(TaskId("5075521".into()));
    for (secs, kind) in [(0.0, EventKind::SubmitStarted), (1.0, task), (2.5, succeeded(1).kind)] {
        state.apply(at(secs).wall(), &kind);
    }
    JobRecord { job: Arc::new(job), state }
}
