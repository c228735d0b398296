//! A column `n` that counts the rows: it is not meant as the number of images of each.

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};

/// Rows from which such a column is a mistake. Two numbers prove nothing, and three may be meant.
const ROWS_MIN: u64 = 4;

/// Search for such a column in one pass over a manifest.
#[derive(Debug, Default)]
pub(super) struct RowNumbers {
    first: Option<(Location, u32)>,
    n_rows: u64,
    n_jobs: u64,
    /// Records that a row has another number than the next one.
    has_others: bool,
}

impl RowNumbers {
    /// Looks at the number of images of a row.
    pub(super) fn see(&mut self, n: Option<u32>, place: Location) {
        if self.has_others {
            return;
        }
        let Some(n) = n else {
            self.has_others = true;
            return;
        };
        let (_, first) = *self.first.get_or_insert((place, n));
        self.has_others = u64::from(n) != u64::from(first) + self.n_rows;
        self.n_rows += 1;
        self.n_jobs += u64::from(n);
    }

    /// Reports the column if each row has the number after that of the row before.
    pub(super) fn finish(&self, findings: &mut PassDiagnostics) {
        let Some((place, first)) = self.first.filter(|_| !self.has_others && self.n_rows >= ROWS_MIN - 1) else {
            return;
        };
        let Self { n_rows, n_jobs, .. } = self;
        let [second, third] = [first + 1, first + 2];
        let what = format!(
            "`n` counts {first}, {second}, {third} and so on, like a number of the rows, and makes {n_jobs} images of {n_rows} rows"
        );
        let remedy = "add --carry n if it numbers the rows, or --map n=n if it is the number of images";
        let list = if *n_rows < ROWS_MIN { &mut findings.warnings } else { &mut findings.mistakes };
        list.push(place, wrong(what, remedy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_rows_are_no_numbers_of_images() {
        for (numbers, expected) in [
            (&[1, 2, 3, 4][..], [1, 0]),
            (&[5, 6, 7, 8, 9], [1, 0]),
            (&[1, 2, 3], [0, 1]),
            (&[1, 2], [0, 0]),
            (&[1, 1, 1, 1], [0, 0]),
            (&[1, 2, 3, 4, 4], [0, 0]),
            (&[1, 2, 4, 8], [0, 0]),
            (&[4, 3, 2, 1], [0, 0]),
            (&[1, 2, 3, 4, 0], [0, 0]),
            (&[], [0, 0]),
        ] {
            let (mut seen, mut findings) = (RowNumbers::default(), PassDiagnostics::default());
            for n in numbers {
                // Zero stands for a row without a number.
                seen.see(Some(*n).filter(|n| *n > 0), Location::Line(2));
            }
            seen.finish(&mut findings);
            assert_eq!([findings.mistakes.n(), findings.warnings.n()], expected, "{numbers:?}");
        }
    }
}
