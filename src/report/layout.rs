//! Layout of the progress block: a narrower terminal gets shorter words and more lines, but never half a word.

use console::{Style, measure_text_width};

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

/// Characters of a bar: a done cell, half a done cell, and a cell that is left.
const BAR: [char; 3] = ['━', '╸', '─'];

/// Space in which a block is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// Width in columns.
    pub width: usize,
    /// Maximum height in rows.
    pub height: usize,
    /// Whether colours are shown.
    pub is_coloured: bool,
}

/// Lays out the block of a run at one moment, as lines.
pub fn block(tally: &ProgressTotals, now: Moment, pace: &RunSnapshot, area: Area) -> Vec<String> {
    let rows = [
        facts::outcomes(tally, now, pace),
        facts::flight(pace),
        facts::speed(tally, pace),
        facts::why(tally, now, pace).into_iter().collect(),
    ];
    let mut rows = rows.map(|row| flow(&row, area));
    // On a terminal with too few rows, facts are dropped in this order: tasks in flight, rates, reason for slowness.
    for dropped in [1, 2, 3] {
        if rows.iter().map(Vec::len).sum::<usize>() < area.height {
            break;
        }
        rows[dropped].clear();
    }
    let mut lines = vec![run_bar(tally, area)];
    lines.extend(rows.into_iter().flatten());
    lines.truncate(area.height.max(1));
    lines
}

fn run_bar(tally: &ProgressTotals, area: Area) -> String {
    let far = format!("{}/{}", grouped(tally.n_done()), grouped(tally.n_jobs()));
    let percent = format!(" {:>3}%", share(tally.n_done(), tally.n_jobs(), 100));
    let done = Done { good: tally.n_succeeded(), bad: tally.n_without_image(), all: tally.n_jobs() };
    bar(done, &far, &percent, area)
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
pub fn standing(counts: &StatusCounts, words: &[String], area: Area) -> Vec<String> {
    let tally = ProgressTotals::new(counts);
    let mut lines = vec![run_bar(&tally, area)];
    lines.extend(flow(&facts::ended(&tally), area));
    lines.extend(flow(&words.iter().map(|text| Fact::one(Emphasis::Plain, text.clone())).collect::<Vec<_>>(), area));
    lines
}

/// Lays out an operation that is not a run: its bar, and a line with its details. `n_total` is `None` if unknown.
pub fn chore(n_done: u64, n_total: Option<u64>, far: &str, words: &[String], area: Area) -> Vec<String> {
    let said: Vec<_> = words.iter().map(|text| Fact::one(Emphasis::Plain, text.clone())).collect();
    let lines = flow(&said, area);
    std::iter::once(bar(Done { good: n_done, bad: 0, all: n_total.unwrap_or(0) }, far, "", area)).chain(lines).collect()
}

/// Numbers of items: ended well, ended badly, and all.
#[derive(Clone, Copy)]
struct Done {
    good: u64,
    bad: u64,
    all: u64,
}

/// Draws a bar, followed by the progress text, and by `more` if it fits.
fn bar(done: Done, far: &str, more: &str, area: Area) -> String {
    let mut words = format!(" {far}{more}");
    if area.width < 2 * BAR_MIN + words.len() {
        words = format!(" {far}");
    }
    if area.width < BAR_MIN + words.len() {
        return cut(far, area.width);
    }
    if far.is_empty() { strip(done, area.width, area) } else { strip(done, area.width - words.len(), area) + &words }
}

/// Draws a bar of `n_cells` cells. Failures are a different colour, at the tip of the done part.
fn strip(done: Done, n_cells: usize, area: Area) -> String {
    let Done { good, bad, all } = done;
    let halves = share(good + bad, all, 2 * n_cells);
    let n_full = halves / 2;
    let n_red = share(bad, good + bad, n_full).max(usize::from(bad > 0 && n_full > 1));
    let of = |cell: char, n: usize| cell.to_string().repeat(n);
    let green = paint(&of(BAR[0], n_full - n_red), Emphasis::Good, area);
    let red = paint(&of(BAR[0], n_red), Emphasis::Bad, area);
    let tip = paint(&of(BAR[1], halves % 2), if n_red > 0 { Emphasis::Bad } else { Emphasis::Good }, area);
    green + &red + &tip + &paint(&of(BAR[2], n_cells - n_full - halves % 2), Emphasis::Faint, area)
}

/// Returns the part of `whole` that corresponds to `n` of `all`, rounded down.
fn share(n: u64, all: u64, whole: usize) -> usize {
    let part = u128::from(n) * (whole as u128) / u128::from(all.max(1));
    usize::try_from(part).unwrap_or(usize::MAX).min(whole)
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
