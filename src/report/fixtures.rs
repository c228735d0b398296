//! A run in a few words, for the tests of this room.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressDrawTarget, TermLike};

use crate::model::counts::{Counts, Hold, HoldReason, Pace};
use crate::model::event::{Event, EventKind};
use crate::model::job::{Job, JobId};
use crate::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, Outcome, TaskId};
use crate::model::phase::{JobState, Known};
use crate::model::request::{Request, Size};
use crate::model::time::{Moment, Timestamp};

/// So many seconds into the run.
pub fn at(secs: f64) -> Moment {
    Moment::new(0, Timestamp::from_millis(1_800_000_000_000)) + Duration::from_secs_f64(secs)
}

pub fn pending(n_pending: u64) -> Counts {
    Counts { n_pending, ..Counts::default() }
}

pub fn in_flight(n_in_flight: usize) -> Pace {
    Pace { n_in_flight, n_downloading: 0, n_waiting: 0, hold: None }
}

/// Submissions are held back until so many seconds into the run.
pub fn throttled(secs: f64) -> Hold {
    Hold { why: HoldReason::Throttled, until: at(secs) }
}

pub fn event(index: u64, kind: EventKind) -> Event {
    Event { job: JobId::from_bytes([7; 10]), index, at: at(0.0).wall(), kind }
}

pub fn artifact(file_name: &str) -> Artifact {
    let format = ImageFormat::Png;
    Artifact { file_name: file_name.into(), sha256: [0xab; 32], bytes: 1000, width: 64, height: 48, format }
}

pub fn succeeded(index: u64) -> Event {
    event(index, EventKind::Finished(Outcome::Succeeded(vec![artifact("images/000001-a-cat.png")])))
}

pub fn failed(index: u64, kind: FaultKind, message: &str) -> Event {
    event(index, EventKind::Finished(Outcome::Failed(Fault::new(kind, message))))
}

pub fn accepted(index: u64, task: &str) -> Event {
    event(index, EventKind::Accepted(TaskId(task.into())))
}

/// A log that a test can read while the reporter holds it.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A terminal as far as indicatif needs one: it wraps at its width, and what is written over something replaces it.
#[derive(Clone, Debug)]
pub struct Screen {
    width: u16,
    cells: Arc<Mutex<Cells>>,
}

#[derive(Debug, Default)]
struct Cells {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Cells {
    fn step(&mut self, down: isize, right: isize) {
        self.row = self.row.saturating_add_signed(down);
        self.column = self.column.saturating_add_signed(right);
    }

    /// The row of the cursor, as long as its column needs.
    fn here(&mut self) -> &mut Vec<char> {
        let n_rows = self.rows.len().max(self.row + 1);
        self.rows.resize(n_rows, vec![]);
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + 1), ' ');
        row
    }

    fn write(&mut self, text: &str, width: usize) {
        for c in text.chars() {
            match c {
                '\r' => self.column = 0,
                '\n' => (self.row, self.column) = (self.row + 1, 0),
                _ => {
                    if self.column == width {
                        (self.row, self.column) = (self.row + 1, 0);
                    }
                    let column = self.column;
                    self.here()[column] = c;
                    self.column += 1;
                }
            }
        }
    }
}

impl Screen {
    pub fn new(width: u16) -> Self {
        Self { width, cells: Arc::default() }
    }

    /// For indicatif.
    pub fn target(&self) -> ProgressDrawTarget {
        ProgressDrawTarget::term_like(Box::new(self.clone()))
    }

    /// What can be read on it, line by line.
    pub fn text(&self) -> String {
        let rows = self.cells.lock().unwrap().rows.clone();
        let lines: Vec<_> = rows.into_iter().map(|row| String::from_iter(row).trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what every method of the trait returns")]
    fn change(&self, change: impl FnOnce(&mut Cells)) -> io::Result<()> {
        change(&mut self.cells.lock().unwrap());
        Ok(())
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.width
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.change(|cells| cells.step(-n.cast_signed(), 0))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.change(|cells| cells.step(n.cast_signed(), 0))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.change(|cells| cells.step(0, n.cast_signed()))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.change(|cells| cells.step(0, -n.cast_signed()))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.change(|cells| cells.write(&format!("{text}\n"), self.width.into()))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.change(|cells| cells.write(text, self.width.into()))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.change(|cells| {
            cells.column = 0;
            cells.here().clear();
        })
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A job that has an image, with these further columns.
pub fn known(prompt: &str, extras: &[(&str, &str)]) -> Known {
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
    let job = Job { id: JobId::from_bytes([7; 10]), index: 1, label: None, request, extras };
    let mut state = JobState::default();
    let task = EventKind::Accepted(TaskId("5075521".into()));
    for (secs, kind) in [(0.0, EventKind::SubmitStarted), (1.0, task), (2.5, succeeded(1).kind)] {
        state.apply(at(secs).wall(), &kind);
    }
    Known { job: Arc::new(job), state }
}
