//! One pass over a manifest in any format: from its bytes to checked entries.

use std::io::{self, BufRead};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::Source;
use crate::manifest::check::{Checked, Checker, Shared};
use crate::manifest::columns::Names;
use crate::manifest::documents::Documents;
use crate::manifest::encoding::Encoding;
use crate::manifest::entry::{Entry, Given, Raw};
use crate::manifest::expand::Expand;
use crate::manifest::field::{Field, nearest};
use crate::manifest::format::{Format, is_nameless};
use crate::manifest::guard::JOBS_MAX;
use crate::manifest::ids::Ids;
use crate::manifest::input::Input;
use crate::manifest::jsonl::Jsonl;
use crate::manifest::lists::Lists;
use crate::manifest::mistake::{Findings, Found, ManifestError, Place, wrong};
use crate::manifest::read::shown_text;
use crate::manifest::table::Table;
use crate::manifest::texts::Texts;
use crate::manifest::yaml::{self, Settings};
use crate::model::job::Draft;

/// A pass that is under way.
pub(super) struct Pass {
    path: PathBuf,
    /// Nothing where there is nothing to be read, as the findings say.
    entries: Option<Box<dyn Entries>>,
    settings: Settings,
    lists: Lists,
    checker: Checker,
    /// What is left of the present entry.
    jobs: Option<Expand>,
}

/// The entries of a manifest in any format, one after the other.
pub(super) trait Entries {
    /// The next one; what is wrong before it goes to the findings. It may name lists that lie beside the manifest.
    fn next_entry(&mut self, lists: &mut Lists, findings: &mut Findings) -> io::Result<Option<Entry>>;

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
        // What has no name of its own is as if it were typed here.
        let folder = path.parent().filter(|_| !is_nameless(path)).unwrap_or(Path::new(""));
        let mut lists = Lists::new(folder.to_owned(), &source.allowed_folders);
        let mut shared = Shared::default();
        let mut settings = Settings::default();
        shared.lay_under(given_overrides(source, &mut findings.mistakes), &mut findings.mistakes);
        refuse_column_options(source, format, &mut findings.mistakes);
        let input = Input::open(path, source.encoding.or(encoding));
        let entries = input.and_then(|input| {
            warn_of_encoding(source, &input, &mut findings.warnings);
            open(
                format,
                input,
                source,
                &mut Head { shared: &mut shared, settings: &mut settings, lists: &mut lists },
                findings,
            )
        });
        let entries = entries.map_err(|source| ManifestError::Read { path: path.clone(), source })?;
        shared.lay_under(given_model(source), &mut findings.mistakes);
        let checker = Checker::new(shared, ids, source.jobs_max.unwrap_or(JOBS_MAX));
        Ok(Self { path: path.clone(), entries, settings, lists, checker, jobs: None })
    }

    /// The next good job; the mistakes of those before it go to the findings.
    pub(super) fn next_draft(&mut self, findings: &mut Findings) -> Result<Option<Draft>, ManifestError> {
        loop {
            if let Some(draft) = self.jobs.as_mut().and_then(|jobs| jobs.next(&mut self.checker, findings)) {
                return Ok(Some(draft));
            }
            let Some(entries) = &mut self.entries else { return Ok(None) };
            let entry = entries.next_entry(&mut self.lists, findings);
            let entry = entry.map_err(|source| ManifestError::Read { path: self.path.clone(), source })?;
            let Some(entry) = entry else { return Ok(None) };
            let place = entry.place;
            self.jobs = self.checker.check(entry, &mut self.lists, findings).map(|jobs| Expand::new(jobs, place));
        }
    }

    /// Takes a job as one of those that are shown.
    pub(super) fn keep(&mut self, draft: Draft) {
        self.checker.keep(draft);
    }

    /// How many bytes of the file have been read, compressed as they are.
    pub(super) fn n_bytes(&self) -> Option<u64> {
        self.entries.as_ref().map(|entries| entries.input().n_bytes())
    }

    /// What the manifest says of the run as a whole.
    pub(super) fn take_settings(&mut self) -> Settings {
        mem::take(&mut self.settings)
    }

    /// What is known at the end.
    pub(super) fn finish(self, findings: &mut Findings) -> End {
        let digest = self.entries.map_or(blake3::hash(&[]), |entries| entries.input().digest());
        End { checked: self.checker.finish(findings), digest, lists: self.lists.digest() }
    }
}

/// What is known when a manifest has been read to its end.
pub(super) struct End {
    pub(super) checked: Checked,
    /// The hash of all bytes of the file.
    pub(super) digest: blake3::Hash,
    /// The hash of all lists that were read beside it, if there were any.
    pub(super) lists: Option<blake3::Hash>,
}

/// Whether the manifest may name other files, as far as a look at its words can tell.
pub(super) fn may_name_lists(source: &Source) -> io::Result<bool> {
    if source.format.or_else(|| Format::of(&source.path)) != Some(Format::Yaml) {
        return Ok(false);
    }
    let words = yaml::WORDS_OF_OTHER_FILES;
    let n_kept = words.iter().map(|word| word.len()).max().unwrap_or(0);
    let mut input = Input::open(&source.path, source.encoding)?;
    let mut held = Vec::new();
    loop {
        // A word may begin at the end of one piece and go on in the next.
        held.drain(..held.len().saturating_sub(n_kept));
        let piece = input.fill_buf()?;
        let n_bytes = piece.len();
        held.extend_from_slice(piece);
        input.consume(n_bytes);
        if words.iter().any(|word| held.windows(word.len()).any(|part| part == word.as_bytes())) {
            return Ok(true);
        }
        if n_bytes == 0 {
            return Ok(false);
        }
    }
}

/// What a manifest says before its entries.
struct Head<'a> {
    shared: &'a mut Shared,
    settings: &'a mut Settings,
    lists: &'a mut Lists,
}

/// The entries of a file in this format; what it says for all of them is laid under what they share already.
fn open(
    format: Format,
    input: Input,
    source: &Source,
    head: &mut Head,
    findings: &mut Findings,
) -> io::Result<Option<Box<dyn Entries>>> {
    let names = Names { prompt: source.prompt_column.clone(), id: source.id_column.clone() };
    let boxed = |table: Option<Table>| table.map(|table| Box::new(table) as Box<dyn Entries>);
    Ok(match format {
        Format::Yaml => {
            let (documents, parsed) = Documents::open(input, head.lists, findings)?;
            head.shared.ways = Arc::new(parsed.ways);
            head.shared.lay_under(parsed.defaults, &mut findings.mistakes);
            head.shared.extras = parsed.extras;
            *head.settings = parsed.settings;
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
