//! Rows that sum up a spreadsheet, such as `TOTAL` at its end: they are part of an export, and no prompts.

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::value::shown_text;
use crate::manifest::fields::{Fields, Text};

/// Labels of such rows, in lower case.
const LABELS: [&str; 47] = [
    "total",
    "totals",
    "grand total",
    "subtotal",
    "sub-total",
    "sub total",
    "total general",
    "sum",
    "sum total",
    "average",
    "avg",
    "avg.",
    "mean",
    "median",
    "合计",
    "总计",
    "共计",
    "小计",
    "总和",
    "求和",
    "平均",
    "平均值",
    "平均数",
    "合計",
    "総計",
    "總計",
    "小計",
    "平均値",
    "합계",
    "총계",
    "평균",
    "summe",
    "gesamt",
    "gesamtsumme",
    "gesamtergebnis",
    "mittelwert",
    "durchschnitt",
    "somme",
    "moyenne",
    "total général",
    "suma",
    "suma total",
    "promedio",
    "totale",
    "totaal",
    "итого",
    "всего",
];

/// Longest label in bytes, with white space and a colon.
const LABEL_BYTES_MAX: usize = 40;

/// Rows with such a label that are kept until it is known whether a prompt follows.
const ROWS_MAX: usize = 8;

/// Search for such rows in one pass over a manifest.
#[derive(Debug, Default)]
pub(crate) struct TotalRows {
    /// Rows since the last prompt.
    last: Vec<TotalRow>,
    /// Records that a prompt came before them.
    has_prompts: bool,
}

#[derive(Debug)]
struct TotalRow {
    place: Location,
    label: String,
    has_numbers: bool,
}

impl TotalRows {
    /// Looks at a row with these fields and other columns. A text in any other column shows that it is meant.
    pub(crate) fn see(
        &mut self,
        fields: &Fields,
        columns: &[(String, String)],
        entry: Location,
        findings: &mut PassDiagnostics,
    ) {
        match total_row(fields, columns, entry) {
            Some(row) if self.has_prompts => {
                if self.last.len() < ROWS_MAX {
                    self.last.push(row);
                }
            }
            Some(_) | None => {
                self.has_prompts = true;
                for row in self.last.drain(..) {
                    row.warn("", findings);
                }
            }
        }
    }

    /// Reports the rows at the end. With numbers beside the label, they are plainly not meant.
    pub(crate) fn finish(self, findings: &mut PassDiagnostics) {
        for row in self.last {
            if row.has_numbers {
                let what =
                    format!("this last row is labelled {}, and sums up the rows above it", shown_text(&row.label));
                findings.mistakes.push(row.place, wrong(what, "remove it; --verbatim sends the word as a prompt"));
            } else {
                row.warn("last ", findings);
            }
        }
    }
}

impl TotalRow {
    fn warn(self, which: &str, findings: &mut PassDiagnostics) {
        let what = format!("the prompt of this {which}row is only {}, which is sent as it is", shown_text(&self.label));
        findings.warnings.push(self.place, wrong(what, "remove the row if it sums up others"));
    }
}

/// Returns the row if it has a label, and numbers or nothing beside it.
fn total_row(fields: &Fields, columns: &[(String, String)], entry: Location) -> Option<TotalRow> {
    let Some(OneOrManyValues::One(Text { text: prompt, place })) = &fields.prompt else { return None };
    // Nearly all prompts are longer.
    if prompt.len() > LABEL_BYTES_MAX {
        return None;
    }
    let Fields {
        negative_prompt, provider, model, size, seed, steps, guidance, image_url, loras, id, n, params, ..
    } = fields;
    let has_texts = negative_prompt.is_some()
        || provider.is_some()
        || model.is_some()
        || size.is_some()
        || image_url.is_some()
        || loras.is_some()
        || params.is_some();
    let id = id.iter().flat_map(OneOrManyValues::values).map(|id| id.text.as_str());
    let cells = || columns.iter().map(|(_, text)| text.as_str()).chain(id.clone()).map(str::trim);
    let cells = || cells().filter(|text| !text.is_empty());
    let mut has_numbers = seed.is_some() || steps.is_some() || guidance.is_some() || n.is_some();
    let (label, place) = if is_label(prompt) {
        (prompt.trim(), *place)
    } else if is_number(prompt.trim()) {
        // The label may be in another column, and the number of the prompts in this one.
        has_numbers = true;
        (cells().find(|text| is_label(text))?, entry)
    } else {
        return None;
    };
    let others = || cells().filter(|text| *text != label);
    if has_texts || !others().all(is_number) {
        return None;
    }
    has_numbers |= others().next().is_some();
    // Without another column, the word may be one of a list of words.
    let has_others = has_numbers || !columns.is_empty();
    has_others.then(|| TotalRow { place, label: label.to_owned(), has_numbers })
}

fn is_label(text: &str) -> bool {
    if text.len() > LABEL_BYTES_MAX {
        return false;
    }
    let label = text.trim().trim_end_matches([':', '：']).trim_end();
    if label.is_ascii() {
        return LABELS.iter().any(|other| other.eq_ignore_ascii_case(label));
    }
    LABELS.contains(&label.to_lowercase().as_str())
}

/// Returns whether a cell holds a number, perhaps with a currency, a percent sign or marks between thousands.
fn is_number(text: &str) -> bool {
    const MARKS: &str = ".,'’- %$€£¥￥+()\u{a0}\u{202f}";
    // Nearly all texts begin with a letter.
    text.chars().all(|c| c.is_ascii_digit() || MARKS.contains(c)) && text.contains(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (&'static str, &'static [&'static str]);

    /// Returns the number of mistakes and of warnings about rows with these prompts and other columns.
    fn reported(rows: &[Row]) -> [u64; 2] {
        let (mut totals, mut findings) = (TotalRows::default(), PassDiagnostics::default());
        for (line, (prompt, cells)) in (2..).zip(rows) {
            let place = Location::Line(line);
            let prompt = OneOrManyValues::One(Text { text: (*prompt).to_owned(), place });
            let columns: Vec<_> = cells.iter().map(|cell| ("cost".to_owned(), (*cell).to_owned())).collect();
            totals.see(&Fields { prompt: Some(prompt), ..Fields::default() }, &columns, place, &mut findings);
        }
        totals.finish(&mut findings);
        [findings.mistakes.n(), findings.warnings.n()]
    }

    /// Goal: a row that sums up a table is no prompt, and a text that is meant stays one. Method: rows as spreadsheets have them.
    #[test]
    fn rows_that_sum_up_are_reported() {
        let cat: Row = ("a cat", &["1", "ink"]);
        for (rows, expected) in [
            (&[cat, ("TOTAL", &["12.50", ""])][..], [1, 0]),
            (&[cat, ("Grand total:", &["$1,234.50", ""])], [1, 0]),
            (&[cat, ("合计", &["12", "34"])], [1, 0]),
            (&[cat, ("合計", &["12", ""]), ("平均", &["6", ""])], [2, 0]),
            (&[cat, (" Average ", &["", "50%"])], [1, 0]),
            (&[cat, ("25", &["Total", "3.40"])], [1, 0]),
            // Without a number, or in the middle, the word may be meant.
            (&[cat, ("Sum", &["", ""])], [0, 1]),
            (&[cat, ("Subtotal", &["5", ""]), cat], [0, 1]),
            (&[cat, ("Total", &["5", "ink"])], [0, 0]),
            (&[cat, ("a total eclipse", &["5", ""])], [0, 0]),
            (&[cat, ("total", &[])], [0, 0]),
            (&[("total", &["5"]), cat], [0, 0]),
            (&[cat, ("25", &["ink", "3"])], [0, 0]),
        ] {
            assert_eq!(reported(rows), expected, "{rows:?}");
        }
    }

    #[test]
    fn no_label_is_longer_than_the_limit_and_each_is_in_lower_case() {
        for label in LABELS {
            assert!(label.len() <= LABEL_BYTES_MAX && is_label(label) && is_label(&format!(" {label}: ")), "{label}");
        }
    }
}
