//! Terminal for indicatif: one write per frame, no padding at line ends, and no block lost after a resize.
//!
//! The last block is found again at the present width of the terminal.
//!
//! Without this module, indicatif fills each line with blanks up to the edge and leaves its cursor there. A resize then
//! wraps all of these lines, and a `^C` that the keyboard echoes starts a new line. Both leave something behind. Here
//! the cursor rests at the start of the row below.

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::{Term, measure_text_width};
use indicatif::{ProgressDrawTarget, TermLike};

/// Operations that a terminal provides to this module.
pub(crate) trait Tty: fmt::Debug + Send + Sync {
    /// Returns the numbers of rows and columns.
    fn size(&self) -> (u16, u16);

    /// Reports whether the terminal rewraps its text when its width changes.
    fn reflows(&self) -> bool;

    /// Writes text and control sequences.
    fn write(&self, text: &str) -> io::Result<()>;
}

#[derive(Debug)]
struct Stderr;

impl Tty for Stderr {
    fn size(&self) -> (u16, u16) {
        Term::stderr().size_checked().filter(|(rows, columns)| *rows > 0 && *columns > 0).unwrap_or((24, 80))
    }

    fn reflows(&self) -> bool {
        let is_set = |name| env::var_os(name).is_some();
        // xterm, GNU screen and the Linux console cut off text that no longer fits.
        let cuts_off =
            is_set("XTERM_VERSION") || is_set("STY") || env::var_os("TERM").is_some_and(|term| term == "linux");
        is_set("TMUX") || !cuts_off
    }

    fn write(&self, text: &str) -> io::Result<()> {
        io::stderr().lock().write_all(text.as_bytes())
    }
}

/// Terminal with at most one block of lines, at the end of its text.
#[derive(Clone, Debug)]
pub(crate) struct Terminal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tty: Box<dyn Tty>,
    is_coloured: bool,
    frame: Mutex<Frame>,
}

/// Lines that indicatif draws, collected until it flushes them.
#[derive(Debug, Default)]
struct Frame {
    lines: Vec<String>,
    /// Number of rows of the last frame that are to be overwritten.
    n_stale: usize,
    /// Whether the next write is padding up to the edge.
    is_filler_next: bool,
    /// Lines of the last frame.
    drawn: Vec<Drawn>,
}

#[derive(Clone, Copy, Debug)]
struct Drawn {
    width: usize,
    rows: usize,
}

impl Terminal {
    /// Returns the terminal of standard error.
    pub(crate) fn stderr() -> Self {
        Self::on(Stderr, console::colors_enabled_stderr())
    }

    /// Creates a terminal, with or without colours.
    pub(crate) fn on(tty: impl Tty + 'static, is_coloured: bool) -> Self {
        Self(Arc::new(Inner { tty: Box::new(tty), is_coloured, frame: Mutex::default() }))
    }

    /// Returns the target on which indicatif draws, without a rate limit.
    pub(crate) fn target(&self) -> ProgressDrawTarget {
        ProgressDrawTarget::term_like(Box::new(self.clone()))
    }

    /// Reports whether the terminal shows colours.
    pub(crate) fn is_coloured(&self) -> bool {
        self.0.is_coloured
    }

    /// Forgets the position of the block, because other text was written below it. The next block starts there.
    pub(crate) fn forget(&self) {
        self.frame().drawn.clear();
    }

    fn frame(&self) -> MutexGuard<'_, Frame> {
        self.0.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Frame {
    /// Returns the number of rows that the stale lines take at this width.
    fn rows_stale(&self, columns: usize, reflows: bool) -> usize {
        let (mut n_left, mut rows) = (self.n_stale, 0);
        for drawn in self.drawn.iter().rev() {
            if n_left == 0 {
                break;
            }
            n_left = n_left.saturating_sub(drawn.rows);
            rows += if reflows { rows_of(drawn.width, columns) } else { drawn.rows };
        }
        rows
    }
}

fn rows_of(width: usize, columns: usize) -> usize {
    width.div_ceil(columns).max(1)
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.0.tty.size().1
    }

    /// Returns the maximum height of a block: all rows but one, which the cursor takes.
    fn height(&self) -> u16 {
        self.0.tty.size().0.saturating_sub(1).max(1)
    }

    // Moves of the cursor are ignored, because this type knows better where the cursor must go.
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.frame().n_stale += 1;
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.frame().lines.push(text.to_owned());
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut frame = self.frame();
        if !std::mem::take(&mut frame.is_filler_next) {
            frame.lines.push(text.to_owned());
            frame.is_filler_next = true;
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let columns = usize::from(self.width()).max(1);
        let mut frame = self.frame();
        let rows_up = frame.rows_stale(columns, self.0.tty.reflows());
        let lines = std::mem::take(&mut frame.lines);
        (frame.n_stale, frame.is_filler_next) = (0, false);
        frame.drawn.clear();
        if lines.is_empty() && rows_up == 0 {
            return Ok(());
        }
        let mut text = "\r".to_owned();
        if rows_up > 0 {
            text.extend(["\x1b[", &rows_up.to_string(), "A"]);
        }
        for line in lines {
            let width = measure_text_width(&line);
            let rows = rows_of(width, columns);
            // Each row is cleared just before it is rewritten, so that no row is blank in between.
            text += if rows > 1 { "\x1b[J" } else { "\x1b[K" };
            text += &line;
            text += "\r\n";
            frame.drawn.push(Drawn { width, rows });
        }
        drop(frame);
        self.0.tty.write(&(text + "\x1b[J"))
    }
}
