//! Number formats of an XLS workbook: which numbers are dates, durations or percentages.

use std::collections::HashMap;

use crate::manifest::formats::xlsx::cells::shows_percentage;

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    Plain,
    Percentage,
    Date,
    Duration,
}

/// Kinds of the numbers of a workbook, by the format of their cell.
#[derive(Debug, Default)]
pub(super) struct NumberKinds {
    formats: HashMap<u16, NumberKind>,
    cell_formats: Vec<u16>,
}

impl NumberKinds {
    pub(super) fn add_format(&mut self, number: u16, code: &str) {
        self.formats.insert(number, of_code(code));
    }

    pub(super) fn add_cell_format(&mut self, number: u16) {
        self.cell_formats.push(number);
    }

    /// Returns the kind of the numbers in a cell with this format.
    pub(super) fn of(&self, cell_format: u16) -> NumberKind {
        let Some(number) = self.cell_formats.get(usize::from(cell_format)) else { return NumberKind::Plain };
        self.formats.get(number).copied().unwrap_or_else(|| of_number(*number))
    }
}

/// Returns the kind of a format that every workbook has.
const fn of_number(number: u16) -> NumberKind {
    match number {
        9 | 10 => NumberKind::Percentage,
        14..=22 | 27..=36 | 45 | 47 | 50..=58 => NumberKind::Date,
        46 => NumberKind::Duration,
        _ => NumberKind::Plain,
    }
}

fn of_code(code: &str) -> NumberKind {
    if shows_percentage(code) {
        return NumberKind::Percentage;
    }
    let (mut is_quoted, mut is_escaped, mut bracket) = (false, false, None::<String>);
    let mut is_date = false;
    for c in code.chars().map(|c| c.to_ascii_lowercase()) {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted {
            is_quoted = c != '"';
        } else if let Some(inside) = &mut bracket {
            if c != ']' {
                inside.push(c);
                continue;
            }
            let is_unit = !inside.is_empty() && inside.chars().all(|c| matches!(c, 'h' | 'm' | 's'));
            if is_unit {
                return NumberKind::Duration;
            }
            bracket = None;
        } else {
            match c {
                '\\' | '_' | '*' => is_escaped = true,
                '"' => is_quoted = true,
                '[' => bracket = Some(String::new()),
                'y' | 'm' | 'd' | 'h' | 's' => is_date = true,
                _ => {}
            }
        }
    }
    if is_date { NumberKind::Date } else { NumberKind::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_tell_what_numbers_stand_for() {
        for (code, kind) in [
            ("General", NumberKind::Plain),
            ("0.00", NumberKind::Plain),
            ("[Red]0.0;\"days\"0", NumberKind::Plain),
            ("0.00E+00", NumberKind::Plain),
            ("yyyy-mm-dd", NumberKind::Date),
            ("[$-804]yyyy\"年\"m\"月\"d\"日\"", NumberKind::Date),
            ("hh:mm:ss", NumberKind::Date),
            ("[h]:mm:ss", NumberKind::Duration),
            ("0.0%", NumberKind::Percentage),
            ("0\\d", NumberKind::Plain),
        ] {
            assert_eq!(of_code(code), kind, "{code}");
        }
        let mut kinds = NumberKinds::default();
        for number in [0, 9, 14, 46, 164] {
            kinds.add_cell_format(number);
        }
        kinds.add_format(164, "d/m/yy");
        let found: Vec<_> = (0..6).map(|n| kinds.of(n)).collect();
        let [plain, percent, date] = [NumberKind::Plain, NumberKind::Percentage, NumberKind::Date];
        assert_eq!(found, [plain, percent, date, NumberKind::Duration, date, plain]);
    }
}
