//! Layout of the progress block: a narrower terminal gets shorter words and more lines, but never half a word.

use console::{Style, measure_text_width};
use indicatif::{ProgressBar, ProgressStyle};

use crate::model::counts::StatusCounts;
use crate::model::escape::grouped;
use crate::model::snapshot::RunSnapshot;
use crate::model::time::Moment;
use crate::report::facts::{self, Emphasis, Fact};
use crate::report::progress_totals::ProgressTotals;

/// Separator between two facts on one line.
const BETWEEN: &str = " · ";

/// Minimum width of a bar, in columns. A shorter bar is left out.
const BAR_MIN: usize = 4;

/// Characters of a bar: a done cell, the tip of the done part, and a cell that is left.
const BAR: &str = "━╸─";

/// Space in which a block is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    /// Width in columns.
    pub width: usize,
    /// Maximum height in rows.
    pub height: usize,
    /// Whether colours are shown.
    pub is_coloured: bool,
}

/// Block of lines: a bar and, below it, facts.
#[derive(Clone, Debug)]
pub(super) struct Block {
    bar: BarLine,
    lines: Vec<String>,
    is_coloured: bool,
}

/// First line of a block.
#[derive(Clone, Debug)]
enum BarLine {
    /// Bar of this many cells, and the text behind it.
    Bar { n_cells: usize, n_done: u64, n_all: u64, text: String },
    /// Text alone, on a terminal that is too narrow for a bar.
    Text(String),
}

impl Block {
    /// Draws the block in one frame.
    pub(super) fn draw(&self, bar: &ProgressBar) {
        let (first, n_done, n_all) = match &self.bar {
            BarLine::Text(text) => (literal(text), 0, 1),
            BarLine::Bar { n_cells, n_done, n_all, text } => {
                let colours = if self.is_coloured { ".green/dim" } else { "" };
                (format!("{{bar:{n_cells}{colours}}}{}", literal(text)), *n_done, *n_all)
            }
        };
        let template = std::iter::once(first).chain(self.lines.iter().map(|line| literal(line))).collect::<Vec<_>>();
        let style =
            ProgressStyle::with_template(&template.join("\n")).expect("texts are literal, and the bar is well formed");
        bar.set_style(style.progress_chars(BAR));
        bar.update(|state| {
            state.set_len(n_all.max(1));
            state.set_pos(n_done);
        });
    }
}

/// Escapes a text, so that a template shows it as it is.
fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Lays out the block of a run at one moment.
pub(super) fn block(totals: &ProgressTotals, now: Moment, pace: &RunSnapshot, area: Area) -> Block {
    let rows = [
        facts::outcomes(totals, now, pace),
        facts::flight(pace),
        facts::speed(totals, pace),
        facts::why(totals, now, pace).into_iter().collect(),
    ];
    let mut rows = rows.map(|row| flow(&row, area));
    // On a terminal with too few rows, facts are dropped in this order: tasks in flight, rates, reason for slowness.
    for dropped in [1, 2, 3] {
        if rows.iter().map(Vec::len).sum::<usize>() < area.height {
            break;
        }
        rows[dropped].clear();
    }
    let lines = rows.into_iter().flatten().take(area.height.max(1) - 1).collect();
    Block { bar: run_bar(totals, area), lines, is_coloured: area.is_coloured }
}

fn run_bar(totals: &ProgressTotals, area: Area) -> BarLine {
    let (n_done, n_all) = (totals.n_done(), totals.n_jobs());
    let progress = format!("{}/{}", grouped(n_done), grouped(n_all));
    // Rounded down, so that 100 % means all.
    let percent = format!(" {:>3}%", u128::from(n_done) * 100 / u128::from(n_all.max(1)));
    bar_line(n_done, n_all, &progress, &percent, area)
}

/// Arranges facts on one line, the last ones in short form if necessary. If they do not fit, uses several lines in
/// short form.
fn flow(said: &[Fact], area: Area) -> Vec<String> {
    let width = |texts: &[&str]| {
        let between = texts.len().saturating_sub(1) * measure_text_width(BETWEEN);
        texts.iter().map(|text| measure_text_width(text)).sum::<usize>() + between
    };
    let in_words = |n_long: usize| {
        let texts = said.iter().enumerate().map(|(n, said)| if n < n_long { &said.long } else { &said.short });
        texts.map(String::as_str).collect::<Vec<_>>()
    };
    let texts = (0..=said.len()).rev().map(in_words).find(|texts| width(texts) <= area.width);
    let mut lines: Vec<(usize, String)> = vec![];
    for (text, said) in texts.unwrap_or_else(|| in_words(0)).into_iter().zip(said) {
        let text = cut(text, area.width);
        let width = measure_text_width(&text);
        let text = paint(&text, said.tone, area);
        match lines.last_mut() {
            Some((taken, line)) if *taken + measure_text_width(BETWEEN) + width <= area.width => {
                *taken += measure_text_width(BETWEEN) + width;
                line.push_str(&paint(BETWEEN, Emphasis::Faint, area));
                line.push_str(&text);
            }
            _ => lines.push((width, text)),
        }
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Truncates text to the whole words that fit. If the first word does not fit, keeps its beginning.
fn cut(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for word in text.split_inclusive(' ') {
        if measure_text_width(&kept) + measure_text_width(word.trim_end()) > width {
            break;
        }
        kept.push_str(word);
    }
    let kept = kept.trim_end().trim_end_matches([',', ':']);
    if kept.is_empty() { console::truncate_str(text, width, "").into_owned() } else { kept.to_owned() }
}

/// Lays out the status of a run of another process: its bar, the outcomes of its jobs, and further facts.
pub(super) fn standing(counts: &StatusCounts, words: &[String], area: Area) -> Block {
    let totals = ProgressTotals::new(counts);
    let mut lines = flow(&facts::ended(&totals), area);
    lines.extend(flow(&plain(words), area));
    Block { bar: run_bar(&totals, area), lines, is_coloured: area.is_coloured }
}

/// Lays out an operation that is not a run: its bar, and a line with its details. `n_total` is `None` if unknown.
pub(super) fn operation(n_done: u64, n_total: Option<u64>, progress: &str, words: &[String], area: Area) -> Block {
    let n_done = if n_total.is_some() { n_done } else { 0 };
    let bar = bar_line(n_done, n_total.unwrap_or(0), progress, "", area);
    Block { bar, lines: flow(&plain(words), area), is_coloured: area.is_coloured }
}

fn plain(words: &[String]) -> Vec<Fact> {
    words.iter().map(|text| Fact::one(Emphasis::Plain, text.clone())).collect()
}

/// Lays out a bar, followed by the progress text, and by `more` if it fits.
fn bar_line(n_done: u64, n_all: u64, progress: &str, more: &str, area: Area) -> BarLine {
    if progress.is_empty() {
        return BarLine::Bar { n_cells: area.width, n_done, n_all, text: String::new() };
    }
    let mut text = format!(" {progress}{more}");
    if area.width < 2 * BAR_MIN + text.len() {
        text = format!(" {progress}");
    }
    if area.width < BAR_MIN + text.len() {
        return BarLine::Text(cut(progress, area.width));
    }
    BarLine::Bar { n_cells: area.width - text.len(), n_done, n_all, text }
}

fn paint(text: &str, tone: Emphasis, area: Area) -> String {
    let style = match tone {
        _ if text.is_empty() => return String::new(),
        Emphasis::Plain => return text.to_owned(),
        Emphasis::Strong => Style::new().bold(),
        Emphasis::Faint => Style::new().dim(),
        Emphasis::Good => Style::new().green(),
        Emphasis::Bad => Style::new().red(),
        Emphasis::Wary => Style::new().yellow(),
    };
    style.force_styling(area.is_coloured).apply_to(text).to_string()
}
