//! One pass over a manifest in any format: from its bytes to checked entries.

use std::io;
use std::path::PathBuf;

use crate::manifest::Source;
use crate::manifest::check::{Checked, Checker, Shared};
use crate::manifest::columns::Names;
use crate::manifest::documents::Documents;
use crate::manifest::encoding::Encoding;
use crate::manifest::entry::{Entry, Given, Raw};
use crate::manifest::field::{Field, nearest};
use crate::manifest::format::Format;
use crate::manifest::ids::Ids;
use crate::manifest::input::Input;
use crate::manifest::jsonl::Jsonl;
use crate::manifest::mistake::{Findings, Found, ManifestError, Place, wrong};
use crate::manifest::read::shown_text;
use crate::manifest::table::Table;
use crate::manifest::texts::Texts;

/// A pass that is under way.
pub(super) struct Pass {
    path: PathBuf,
    /// Nothing where there is nothing to be read, as the findings say.
    entries: Option<Box<dyn Entries>>,
    checker: Checker,
}

/// The entries of a manifest in any format, one after the other.
pub(super) trait Entries {
    /// The next one; what is wrong before it goes to the findings.
    fn next_entry(&mut self, findings: &mut Findings) -> io::Result<Option<Entry>>;

    /// What they are read from.
    fn input(&self) -> &Input;
}

impl Pass {
    /// Begins to read, in the encoding that an earlier pass found out. Mistakes that are found go to the findings; what cannot be read
    /// at all is an error.
    pub(super) fn start(
        source: &Source,
        encoding: Option<Encoding>,
        ids: Ids,
        findings: &mut Findings,
    ) -> Result<Self, ManifestError> {
        let path = &source.path;
        let format = source.format.or_else(|| Format::of(path));
        let format = format.ok_or_else(|| ManifestError::UnknownFormat { path: path.clone() })?;
        let mut shared = Shared::default();
        shared.lay_under(given_overrides(source, &mut findings.mistakes), &mut findings.mistakes);
        refuse_column_options(source, format, &mut findings.mistakes);
        let input = Input::open(path, source.encoding.or(encoding));
        let entries = input.and_then(|input| {
            warn_of_encoding(source, &input, &mut findings.warnings);
            open(format, input, source, &mut shared, findings)
        });
        let entries = entries.map_err(|source| ManifestError::Read { path: path.clone(), source })?;
        shared.lay_under(given_model(source), &mut findings.mistakes);
        Ok(Self { path: path.clone(), entries, checker: Checker::new(shared, ids) })
    }

    /// The next good entry; the mistakes of those before it go to the findings.
    pub(super) fn next_checked(&mut self, findings: &mut Findings) -> Result<Option<Checked>, ManifestError> {
        loop {
            let Some(entries) = &mut self.entries else { return Ok(None) };
            let entry = entries.next_entry(findings);
            let entry = entry.map_err(|source| ManifestError::Read { path: self.path.clone(), source })?;
            let Some(entry) = entry else { return Ok(None) };
            if let Some(checked) = self.checker.check(entry, findings) {
                return Ok(Some(checked));
            }
        }
    }

    /// How many bytes of the file have been read, compressed as they are.
    pub(super) fn n_bytes(&self) -> Option<u64> {
        self.entries.as_ref().map(|entries| entries.input().n_bytes())
    }

    /// The columns that are carried through, the hash of all bytes that were read, and the ids.
    pub(super) fn finish(self, findings: &mut Findings) -> (Vec<String>, blake3::Hash, Ids) {
        let digest = self.entries.map_or(blake3::hash(&[]), |entries| entries.input().digest());
        let (columns, ids) = self.checker.finish(findings);
        (columns, digest, ids)
    }
}

/// The entries of a file in this format; what it says for all of them is laid under what they share already.
fn open(
    format: Format,
    input: Input,
    source: &Source,
    shared: &mut Shared,
    findings: &mut Findings,
) -> io::Result<Option<Box<dyn Entries>>> {
    let names = Names { prompt: source.prompt_column.clone(), id: source.id_column.clone() };
    let boxed = |table: Option<Table>| table.map(|table| Box::new(table) as Box<dyn Entries>);
    Ok(match format {
        Format::Yaml => {
            let (documents, head) = Documents::open(input, findings)?;
            shared.lay_under(head.defaults, &mut findings.mistakes);
            shared.extras = head.extras;
            Some(Box::new(documents))
        }
        Format::Csv => boxed(Table::open_csv(input, &names, findings)?),
        Format::Tsv => boxed(Table::open_tsv(input, &names, findings)?),
        Format::Jsonl => Some(Box::new(Jsonl::new(input, names))),
        Format::Txt => Some(Box::new(Texts::new(input))),
    })
}

/// What is not read as UTF-8, and nobody asked to be, is told.
fn warn_of_encoding(source: &Source, input: &Input, warnings: &mut Found) {
    let encoding = input.encoding();
    if encoding != Encoding::UTF8 && source.encoding.is_none() {
        let what = format!("the file is not UTF-8 and is read as {encoding}");
        let remedy = format!("see that its prompts are right; --encoding {encoding} says that it is so");
        warnings.push(Place::File, wrong(what, remedy));
    }
}

fn given_overrides(source: &Source, mistakes: &mut Found) -> Vec<Given> {
    let place = Place::CommandLine;
    let mut given = Vec::new();
    for (name, value) in &source.overrides {
        match Field::named(name) {
            Some(field) if field.is_of_one_entry() => {
                let what = format!("--set {name} would give all entries the same `{name}`");
                mistakes.push(place, wrong(what, "write it in the manifest, entry by entry"));
            }
            Some(field) => given.push(Given::one(field, Raw::Cell(value.clone()), place)),
            None => {
                let known = Field::ALL.into_iter().filter(|field| !field.is_of_one_entry()).map(Field::name);
                let remedy = match nearest(name, known.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the fields are {}", known.collect::<Vec<_>>().join(", ")),
                };
                mistakes.push(place, wrong(format!("--set names the unknown field {}", shown_text(name)), remedy));
            }
        }
    }
    given
}

fn given_model(source: &Source) -> Vec<Given> {
    let raw = source.default_model.clone().map(Raw::Cell);
    raw.into_iter().map(|raw| Given::one(Field::Model, raw, Place::CommandLine)).collect()
}

/// Only tables and objects have columns to name.
fn refuse_column_options(source: &Source, format: Format, mistakes: &mut Found) {
    let remedy = match format {
        Format::Csv | Format::Tsv | Format::Jsonl => return,
        Format::Yaml => |field: Field| format!("call the field `{}` in the manifest", field.name()),
        Format::Txt => |_| "every line is a prompt".to_owned(),
    };
    for (option, column, field) in
        [("--prompt-col", &source.prompt_column, Field::Prompt), ("--id-col", &source.id_column, Field::Id)]
    {
        if column.is_some() {
            let name = format.name().to_uppercase();
            let what = format!("{option} names a column, and a {name} manifest has none");
            mistakes.push(Place::CommandLine, wrong(what, format!("{}, and leave {option} out", remedy(field))));
        }
    }
}
