//! Reads a table whose header row names the fields; other columns are carried through to the results untouched.

use std::collections::HashMap;
use std::io::{self, BufRead};

use crate::manifest::entry::{Entry, Given, Raw};
use crate::manifest::field::{Field, misspelt, nearest};
use crate::manifest::mistake::{Findings, Found, Place, Wrong, wrong};
use crate::manifest::read::{self, shown_text};
use crate::manifest::rows::{BadRow, Row, Rows};

/// Which columns hold the prompt and the id, where they are not called so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) prompt: Option<&'a str>,
    pub(super) id: Option<&'a str>,
}

/// The entries of a table.
#[derive(Debug)]
pub(super) struct Table<R> {
    rows: Rows<R>,
    columns: Vec<Column>,
    n_rows: u64,
}

/// What becomes of the cells of a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Column {
    Known(Field),
    Extra(String),
}

impl Column {
    fn name(&self) -> &str {
        match self {
            Self::Known(field) => field.name(),
            Self::Extra(title) => title,
        }
    }
}

impl<R: BufRead> Table<R> {
    /// Reads the header. None means that there is nothing to go on with, and that the mistakes say why.
    pub(super) fn open(input: R, delimiter: u8, names: Names, findings: &mut Findings) -> io::Result<Option<Self>> {
        let mut rows = Rows::new(input, delimiter);
        let header = match rows.next_row()? {
            Some(Ok(header)) => header,
            Some(Err(bad)) => {
                findings.mistakes.push(Place::Line(bad.line), bad.wrong);
                return Ok(None);
            }
            None => {
                let remedy = "write a header row with a column `prompt`, then one row for each image";
                findings.mistakes.push(Place::File, wrong("the table is empty", remedy));
                return Ok(None);
            }
        };
        let columns = columns(&header, names, findings);
        Ok(columns.map(|columns| Self { rows, columns, n_rows: 0 }))
    }

    /// The next row as an entry; what is wrong with the rows before it goes to the mistakes.
    pub(super) fn next_entry(&mut self, mistakes: &mut Found) -> io::Result<Option<Entry>> {
        while let Some(row) = self.rows.next_row()? {
            self.n_rows += 1;
            match row {
                Ok(row) if row.cells.len() == self.columns.len() => return Ok(Some(self.entry(row))),
                Ok(row) => mistakes.push(Place::Line(row.line), wrong_count(row.cells.len(), self.columns.len())),
                Err(BadRow { line, wrong, .. }) => mistakes.push(Place::Line(line), wrong),
            }
        }
        if self.n_rows == 0 {
            let remedy = "write one row for each image below the header";
            mistakes.push(Place::File, wrong("the table has a header and no rows", remedy));
        }
        Ok(None)
    }

    /// What the rows are read from.
    pub(super) fn input(&self) -> &R {
        self.rows.input()
    }

    fn entry(&self, row: Row) -> Entry {
        let place = Place::Line(row.line);
        let mut entry = Entry { place, given: Vec::new(), extras: Vec::new(), ways: None };
        for (column, cell) in self.columns.iter().zip(row.cells) {
            match column {
                Column::Extra(name) => entry.extras.push((name.clone(), cell)),
                Column::Known(_) if cell.is_empty() => {}
                Column::Known(field) => entry.given.push(Given::one(*field, Raw::Cell(cell), place)),
            }
        }
        entry
    }
}

fn wrong_count(n_cells: usize, n_columns: usize) -> Wrong {
    let cells = if n_cells == 1 { "cell" } else { "cells" };
    let remedy = if n_cells > n_columns {
        "put a cell that holds a comma in quotes"
    } else {
        "add the cells that are missing, empty ones too"
    };
    wrong(format!("this row has {n_cells} {cells} and the header {n_columns}"), remedy)
}

/// The columns that the header names, unless some of it is wrong.
fn columns(header: &Row, names: Names, findings: &mut Findings) -> Option<Vec<Column>> {
    let place = Place::Line(header.line);
    let n_mistakes = findings.mistakes.n();
    let titles: Vec<String> = header.cells.iter().enumerate().map(|(i, cell)| title(i, cell)).collect();
    for (option, name) in [("--prompt-col", names.prompt), ("--id-col", names.id)] {
        if let Some(name) = name.filter(|name| !titles.iter().any(|title| title == name.trim())) {
            findings.mistakes.push(place, no_such_column(option, name, &titles));
        }
    }
    let columns: Vec<Column> = titles.iter().map(|title| column(title, names)).collect();
    let mut first = HashMap::new();
    for (i, column) in columns.iter().enumerate() {
        if let Some(before) = first.insert(column, i) {
            let what = format!("columns {} and {} are both {}", before + 1, i + 1, shown_text(column.name()));
            findings.mistakes.push(place, wrong(what, "rename or remove one of them"));
        }
        if let Column::Extra(title) = column {
            // Said before the rows are read, each of which carries the name along.
            read::column(title).unwrap_or_else(|wrong| findings.mistakes.push(place, wrong));
            warn_of_slip(title, place, findings);
        }
    }
    if names.prompt.is_none() && !columns.contains(&Column::Known(Field::Prompt)) {
        findings.mistakes.push(place, no_prompt_column(&titles));
    }
    (findings.mistakes.n() == n_mistakes).then_some(columns)
}

/// The name of a column; data frames leave that of their index empty.
fn title(i: usize, cell: &str) -> String {
    match cell.trim() {
        "" => format!("column_{}", i + 1),
        title => title.to_owned(),
    }
}

fn column(title: &str, names: Names) -> Column {
    let is = |name: Option<&str>| name.is_some_and(|name| name.trim() == title);
    let known = Field::named(&title.to_lowercase());
    match known {
        _ if is(names.prompt) => Column::Known(Field::Prompt),
        _ if is(names.id) => Column::Known(Field::Id),
        Some(Field::Prompt) if names.prompt.is_some() => Column::Extra(title.to_owned()),
        Some(Field::Id) if names.id.is_some() => Column::Extra(title.to_owned()),
        Some(field) => Column::Known(field),
        None => Column::Extra(title.to_owned()),
    }
}

fn no_such_column(option: &str, name: &str, titles: &[String]) -> Wrong {
    let remedy = match misspelt(name, titles.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {}?", shown_text(near)),
        None => format!("the header has {}", listed(titles)),
    };
    wrong(format!("no column is called {}, which {option} asks for", shown_text(name)), remedy)
}

fn no_prompt_column(titles: &[String]) -> Wrong {
    if let [title] = titles
        && title.contains([';', '\t'])
    {
        let what = "no column is called `prompt`, and the cells of the header are not parted by commas";
        return wrong(what, "save the table with commas between the cells");
    }
    let meant = titles.iter().find(|title| nearest(title, [Field::Prompt.name()]).is_some());
    let remedy = match meant {
        Some(title) => format!("if it is {}, rename that column or run with --prompt-col {title:?}", shown_text(title)),
        None => format!("name it with --prompt-col NAME; the header has {}", listed(titles)),
    };
    wrong("no column is called `prompt`", remedy)
}

/// The first few titles, for a message.
fn listed(titles: &[String]) -> String {
    const SHOWN_MAX: usize = 8;
    let shown: Vec<String> = titles.iter().take(SHOWN_MAX).map(|title| shown_text(title)).collect();
    let more = if titles.len() > SHOWN_MAX { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn warn_of_slip(title: &str, place: Place, findings: &mut Findings) {
    let known = Field::ALL.into_iter().map(Field::name);
    if let Some(near) = misspelt(title, known).filter(|near| !near.eq_ignore_ascii_case(title)) {
        let what = format!("the column {} is carried through and not sent", shown_text(title));
        findings.warnings.push(place, wrong(what, format!("rename it if you meant `{near}`")));
    }
}
