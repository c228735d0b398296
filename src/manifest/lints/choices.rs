//! Columns that say which rows are wanted, such as `active` or `done`. They are carried through like any other column, with a warning.

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::fields::option_titles::{as_option, as_word};
use crate::manifest::fields::title_chars::joined;
use crate::manifest::fields::value::shown_text;
use crate::manifest::fields::yes_or_no::meaning;

/// What yes means in a column of such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Yes {
    /// The row is left out.
    Out,
    /// The row is run, and others are not.
    In,
    /// The column holds words, of which some mean that the row is done.
    Done,
}

/// Names of such columns, in lower case and without spaces, `-` and `_`.
const NAMES: [(Yes, &str); 3] = [
    (
        Yes::Out,
        "exclude excluded disable disabled ignore ignored omit omitted skips skipped skipit done finished completed complete \
         generated 跳过 排除 忽略 禁用 已完成 完成 已生成 スキップ 除外 無効 無視 完了 済 生成済み",
    ),
    (
        Yes::In,
        "active enable enabled include included use selected select wanted todo pending render 启用 有效 包含 选中 使用 有効 対象 \
         使う 選択",
    ),
    (Yes::Done, "status state progress 状态 進捗 状態 ステータス"),
];

/// Words for a row that is done.
const DONE: &str =
    "done finished completed complete ok generated succeeded success skip skipped 完成 已完成 已生成 完了 済 生成済み";

/// Spellings of yes that are kept. There are no more in most files.
const VALUES_MAX: usize = 8;

/// Columns of a manifest that may say which rows are wanted.
#[derive(Debug, Default)]
pub(crate) struct ChoiceColumns(Vec<ChoiceColumn>);

#[derive(Debug)]
struct ChoiceColumn {
    title: String,
    yes: Yes,
    place: Location,
    /// First values that mean yes or done, as they are written, and the number of rows with any of them.
    values: Vec<String>,
    n_yes: u64,
    n_rows: u64,
    /// Records that a value is neither yes nor no. Never set for words.
    has_others: bool,
}

impl ChoiceColumns {
    /// Adds a column if it has such a name.
    pub(crate) fn add(&mut self, title: &str, place: Location) {
        let name = joined(title);
        let found = NAMES.into_iter().find(|(_, names)| names.split_whitespace().any(|other| other == name));
        self.0.extend(found.map(|(yes, _)| ChoiceColumn {
            title: title.to_owned(),
            yes,
            place,
            values: Vec::new(),
            n_yes: 0,
            n_rows: 0,
            has_others: false,
        }));
    }

    /// Looks at the values of an entry.
    pub(crate) fn see(&mut self, extras: &[(String, String)]) {
        for column in &mut self.0 {
            let text = extras.iter().find(|(title, _)| *title == column.title).map_or("", |(_, text)| text.trim());
            let is_yes = match column.yes {
                Yes::Done => is_done(text),
                Yes::Out | Yes::In => meaning(text).unwrap_or_else(|| {
                    column.has_others = true;
                    false
                }),
            };
            column.n_rows += 1;
            if is_yes {
                column.n_yes += 1;
                if column.values.len() < VALUES_MAX && !column.values.iter().any(|value| value == text) {
                    column.values.push(text.to_owned());
                }
            }
        }
    }

    /// Warns of the columns whose values say that some rows are not wanted.
    pub(crate) fn finish(self, findings: &mut PassDiagnostics) {
        for ChoiceColumn { title, yes, place, values, n_yes, n_rows, has_others } in self.0 {
            if values.is_empty() || has_others {
                continue;
            }
            // A condition takes several values with commas between them.
            let value = values.join(",");
            let shown: Vec<_> = values.iter().map(|value| shown_text(value)).collect();
            let option = as_option(&title);
            let condition = |sign: &str| as_word(&format!("{title}{sign}{value}"));
            let remedy = match yes {
                Yes::Out => format!("add --map {option}=skip to leave those rows out"),
                Yes::In if n_yes == n_rows => continue,
                Yes::In => format!("add --where {} to run only those rows", condition("=")),
                Yes::Done => format!("add --where {} to leave those rows out", condition("!=")),
            };
            let s = if n_yes == 1 { "" } else { "s" };
            let what = format!(
                "the column {} is only carried through, and all rows are run; it is {} in {n_yes} row{s}",
                shown_text(&title),
                shown.join(" or ")
            );
            findings.warnings.push(place, wrong(what, format!("{remedy}, or --carry {option} if all are meant")));
        }
    }
}

fn is_done(text: &str) -> bool {
    let word = joined(text);
    !word.is_empty() && DONE.split(' ').any(|other| other == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the warnings about a column with these values.
    fn warnings(title: &str, values: &[&str]) -> Vec<String> {
        let (mut columns, mut findings) = (ChoiceColumns::default(), PassDiagnostics::default());
        columns.add(title, Location::Line(1));
        for value in values {
            columns.see(&[("animal".to_owned(), "yes".to_owned()), (title.to_owned(), (*value).to_owned())]);
        }
        columns.finish(&mut findings);
        findings.warnings.list().iter().map(|warning| format!("{}; {}", warning.what, warning.remedy)).collect()
    }

    #[test]
    fn columns_that_choose_rows_are_named_with_the_option_that_obeys_them() {
        for (title, values, remedy) in [
            ("exclude", &["", "x", ""][..], "--map exclude=skip"),
            ("Done", &["yes", "no"], "--map Done=skip"),
            ("disabled", &["1", "0"], "--map disabled=skip"),
            ("Is Active", &["1", "0"], ""),
            ("active", &["1", "0"], "--where 'active=1'"),
            (
                "active",
                &["yes", "0", "1", "Yes", "1", ""],
                "it is `yes` or `1` or `Yes` in 4 rows; add --where 'active=yes,1,Yes'",
            ),
            ("status", &["done", "OK", "todo"], "--where 'status!=done,OK'"),
            ("启用", &["是", "否"], "--where '启用=是'"),
            ("include", &["", "TRUE"], "--where 'include=TRUE'"),
            ("status", &["done", "", "todo"], "--where 'status!=done'"),
            ("状态", &["已完成", "待办"], "--where '状态!=已完成'"),
        ] {
            let found = warnings(title, values);
            match remedy {
                "" => assert_eq!(found, Vec::<String>::new(), "{title}"),
                remedy => assert!(found.len() == 1 && found[0].contains(remedy), "{title}: {found:?}"),
            }
        }
    }

    #[test]
    fn columns_with_other_values_are_the_users_own() {
        for (title, values) in [
            ("status", &["endangered", "extinct"][..]),
            ("active", &["volcano", "yes"]),
            ("active", &["yes", "yes"]),
            ("done", &["no", ""]),
            ("use", &["kitchen", "1"]),
            ("ignored", &["", ""]),
            ("category", &["yes", "no"]),
        ] {
            assert_eq!(warnings(title, values), Vec::<String>::new(), "{title}");
        }
    }
}
