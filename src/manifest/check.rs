//! Entry checks: validates each entry alone and against the other entries, and applies the shared defaults.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashSet};
use std::mem;
use std::sync::Arc;

use crate::manifest::columns_as_vars::with_columns;
use crate::manifest::cross_checks::CrossChecks;
use crate::manifest::diagnostics::{DiagnosticList, Location, PassDiagnostics, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::expand::grid::ParameterGrid;
use crate::manifest::expand::job_limit::{ExpansionLimit, JOBS_MAX};
use crate::manifest::expand::jobs::{EntryJobs, JobIterator};
use crate::manifest::expand::options::ExpandOptions;
use crate::manifest::expand::templates::{Scope, TextReader};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::value::shown_text;
use crate::manifest::fields::{Fields, TextMode, parse, take_skip};
use crate::manifest::lints::entries::EntryLints;
use crate::manifest::lints::seeds;
use crate::manifest::lists::ListFiles;
use crate::manifest::part::PartFilter;
use crate::manifest::places::{PlaceList, other_place};
use crate::manifest::row_providers::RowProviders;
use crate::manifest::shared_defaults::{SharedDefaults, with_shared};
use crate::manifest::summary::ManifestSummary;
use crate::manifest::syntax::Syntax;
use crate::manifest::template::plain;
use crate::manifest::template::wildcards::WildcardCache;
use crate::manifest::var_use::VarUse;
use crate::model::job::{JobSpec, ManifestRow};
use crate::model::partition::Partition;
use crate::model::request::Request;
use crate::model::request_limits::{RequestDoubt, RequestLimits};

/// Limit on the passthrough columns of all entries together.
const COLUMNS_MAX: usize = 1_000;

/// State of the checks in one pass over a manifest.
#[derive(Debug)]
pub(super) struct EntryValidator {
    limits: &'static RequestLimits,
    providers: RowProviders,
    shared: SharedDefaults,
    /// Shared vars and syntax, set when an entry first needs them. The inner `None` means that they have a mistake.
    scope: OnceCell<Option<Arc<Scope>>>,
    known: WildcardCache,
    vars_used: VarUse,
    guard: ExpansionLimit,
    lints: EntryLints,
    across: CrossChecks,
    models: HashSet<String>,
    without_model: Option<(Location, u64)>,
    columns: Vec<String>,
    columns_seen: HashSet<String>,
    census: ManifestSummary,
    part: PartFilter,
    n_entries: u64,
    /// Entries that are left out.
    skipped: PlaceList,
}

/// Results of the checks at the end of a pass.
pub(super) struct ValidationResult {
    /// Passthrough columns, in the order of their first occurrence.
    pub(super) columns: Vec<String>,
    pub(super) across: CrossChecks,
    pub(super) census: ManifestSummary,
    /// Entries that are left out.
    pub(super) skipped: PlaceList,
}

impl EntryValidator {
    pub(super) fn new(
        (limits, providers): (&'static RequestLimits, RowProviders),
        shared: SharedDefaults,
        across: CrossChecks,
        (jobs_max, partition): (u64, Option<Partition>),
        lints: EntryLints,
    ) -> Self {
        Self {
            limits,
            providers,
            shared,
            scope: OnceCell::new(),
            known: WildcardCache::default(),
            vars_used: VarUse::default(),
            guard: ExpansionLimit::new(jobs_max),
            lints,
            across,
            models: HashSet::new(),
            without_model: None,
            columns: Vec::new(),
            columns_seen: HashSet::new(),
            census: ManifestSummary::default(),
            part: PartFilter::new(partition),
            n_entries: 0,
            skipped: PlaceList::default(),
        }
    }

    /// Checks an entry with the shared defaults applied, and returns its jobs. Returns `None` after a mistake.
    pub(super) fn check(
        &mut self,
        mut entry: Entry,
        lists: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> Option<JobIterator> {
        self.n_entries += 1;
        let place = entry.place;
        let is_skipped = take_skip(&mut entry.given, &mut findings.mistakes).unwrap_or_default();
        let jobs = if is_skipped {
            self.skipped.add(place);
            // What all entries share is read with its mistakes, whichever entry needs it first.
            self.shared_scope(lists, findings);
            // Mistakes in an entry that is left out need no correction now.
            let unread = &mut PassDiagnostics::default();
            self.check_fields(entry, is_skipped, lists, unread).filter(|jobs| jobs.n() <= JOBS_MAX)
        } else {
            self.check_fields(entry, is_skipped, lists, findings)
        };
        if let Some(jobs) = jobs.as_ref().filter(|_| is_skipped) {
            self.note_columns(jobs.columns(), place, &mut findings.mistakes);
        }
        let row = ManifestRow { number: Some(self.n_entries), is_skipped };
        jobs.map(|jobs| JobIterator::new(jobs, row, place))
    }

    fn check_fields(
        &mut self,
        mut entry: Entry,
        is_skipped: bool,
        lists: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> Option<EntryJobs> {
        let n_mistakes = findings.mistakes.n();
        let [prompt_place, id_place, seed_place, image_place, provider_place] =
            [Field::Prompt, Field::Id, Field::Seed, Field::ImageUrl, Field::Provider]
                .map(|field| entry.place_of(field));
        if !entry.given.iter().any(|given| given.field == Field::Prompt) {
            let remedy = "describe the image, or remove the entry";
            findings.mistakes.push(prompt_place, wrong("this entry has no prompt", remedy));
        }
        let model_place = entry.given.iter().find(|given| given.field == Field::Model).map(|given| given.place);
        let own_ways = entry.ways.take();
        let extras = with_shared(&self.shared.extras, mem::take(&mut entry.extras));
        let mut ways = match &own_ways {
            Some(own) => Arc::new(own.as_ref().clone().or(&self.shared.ways)),
            None => Arc::clone(&self.shared.ways),
        };
        if ways.syntax == Some(Syntax::Columns) {
            ways = Arc::new(with_columns(&ways, &extras, entry.place));
        }
        let random_seed = seeds::take_random(&mut entry.given);
        self.lints.take_large_seed(&mut entry.given, is_skipped);
        let ranges = self.providers.ranges(&entry.given, self.shared.fields.provider.as_ref(), self.limits.ranges);
        let own = Fields::read(mem::take(&mut entry.given), ways.text_mode(), ranges, &mut findings.mistakes);
        if !is_skipped {
            let columns = (ways.text_mode() == TextMode::Literal).then_some(&extras[..]);
            self.lints.see(&own, columns, model_place.unwrap_or(entry.place), findings);
            self.lints.see_number(own.n, entry.place);
            self.lints.add_random_seeds(random_seed);
        }
        let is_default = own.model.is_none() && self.shared.is_default_model;
        let mut fields = own.or(&self.shared.fields);
        if let Err(wrong) = self.providers.see(&mut fields, is_default) {
            findings.mistakes.push(provider_place, wrong);
        }
        if random_seed.is_some() {
            fields.seed = None;
        }
        if !is_skipped {
            self.see_models(&fields, model_place, entry.place, &mut findings.warnings);
        }
        seeds::check_last(&fields, seed_place, &mut findings.mistakes);
        lists.check_pictures(&fields, image_place, &mut findings.mistakes);
        let jobs = if ways.text_mode() == TextMode::Literal && fields.is_one() {
            EntryJobs::of_fields(fields, extras)
        } else {
            let place = ways.combine.map_or(prompt_place, |(_, place)| place);
            let fields = (fields, extras);
            let places = (place, (!is_skipped).then_some(entry.place));
            self.grid(fields, (&ways, own_ways.as_deref()), places, lists, findings).map(EntryJobs::of_grid)
        };
        let jobs = jobs?;
        if is_skipped {
            return (findings.mistakes.n() == n_mistakes).then_some(jobs);
        }
        self.note_columns(jobs.columns(), entry.place, &mut findings.mistakes);
        if let EntryJobs::Alike { draft, .. } = &jobs {
            self.lints.see_choice(&draft.extras);
        }
        if let Some((id, prompt)) = jobs.only_id() {
            self.check_id(id, prompt, id_place, &mut findings.mistakes);
        }
        let is_few = self.guard.allows(jobs.n(), || jobs.factors(), prompt_place);
        (is_few && findings.mistakes.n() == n_mistakes).then_some(jobs)
    }

    /// Reads the vars that all entries share, unless they are read already.
    fn shared_scope(&mut self, lists: &mut ListFiles, findings: &mut PassDiagnostics) {
        let ways = Arc::clone(&self.shared.ways);
        if ways.names_vars() && ways.syntax != Some(Syntax::Columns) {
            let is_verbatim = self.lints.is_verbatim();
            let mut reader = TextReader { lists, known: &mut self.known, findings, is_verbatim };
            self.scope.get_or_init(|| Scope::read(&ways, &mut reader).map(Arc::new));
        }
    }

    /// Checks the models of an entry, or counts it if it has none. `own` is the place of its own model.
    fn see_models(&mut self, fields: &Fields, own: Option<Location>, entry: Location, warnings: &mut DiagnosticList) {
        let place = own.or(self.shared.model_place);
        match &fields.model {
            // Other providers have other names for their models.
            Some(_) if fields.provider.is_some() => (),
            Some(models) => {
                models.values().iter().for_each(|model| self.check_model(model, place.unwrap_or(entry), warnings));
            }
            None if place.is_some() => {}
            None => self.without_model.get_or_insert((entry, 0)).1 += 1,
        }
    }

    /// Builds the jobs of an entry with lists or templates.
    fn grid(
        &mut self,
        (mut fields, extras): (Fields, Vec<(String, String)>),
        (ways, own): (&Arc<ExpandOptions>, Option<&ExpandOptions>),
        (place, entry): (Location, Option<Location>),
        lists: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> Option<ParameterGrid> {
        let (prompt, negative_prompt, id) = (fields.prompt.take()?, fields.negative_prompt.take(), fields.id.take());
        let is_verbatim = self.lints.is_verbatim();
        let mut reader = TextReader { lists, known: &mut self.known, findings, is_verbatim };
        let has_columns = ways.syntax == Some(Syntax::Columns);
        let has_own_scope = has_columns || own.is_some_and(|own| !own.vars.is_empty() || own.syntax.is_some());
        let scope = if has_own_scope {
            Scope::read(ways, &mut reader).map(Arc::new)
        } else {
            self.scope.get_or_init(|| Scope::read(ways, &mut reader).map(Arc::new)).clone()
        };
        let says = scope.and_then(|scope| reader.says(&prompt, negative_prompt.as_ref(), id.as_ref(), &scope));
        // After a mistake it is unknown which vars were meant.
        self.vars_used.has_unread_texts |= says.is_none();
        let says = says?;
        self.vars_used.see(&says, (ways, own), (&extras, entry), &mut self.lints, findings);
        let combine = ways.combine.map_or_else(Default::default, |(combine, _)| combine);
        // Values of columns name no other columns.
        let names =
            if has_columns { BTreeSet::new() } else { says.vars.iter().map(|(name, _)| name.clone()).collect() };
        let extras = extras.into_iter().map(|(column, text)| (column, plain::read_known(&text, &names))).collect();
        match ParameterGrid::new(says, fields, extras, (combine, place)) {
            Ok(grid) => Some(grid),
            Err((place, wrong)) => {
                findings.mistakes.push(place, wrong);
                None
            }
        }
    }

    /// Returns the next valid job of an entry. The mistakes of jobs before it go to `findings`.
    pub(super) fn next_job(&mut self, jobs: &mut JobIterator, findings: &mut PassDiagnostics) -> Option<JobSpec> {
        loop {
            match jobs.next()? {
                Ok(mut draft) => {
                    let entry = draft.row.number.unwrap_or_default();
                    self.across.repeats.see(&mut draft, entry, jobs.place());
                    let is_in_part = self.part.takes(&draft);
                    if draft.row.is_skipped {
                        return Some(draft);
                    }
                    if is_in_part {
                        self.count(&draft.request, jobs.place(), findings);
                    }
                    if let (Some(place), Some(id)) = (jobs.place_of_ids(), &draft.label) {
                        self.check_id(id, &draft.request.prompt, place, &mut findings.mistakes);
                    }
                    draft.row.is_skipped = !is_in_part;
                    return Some(draft);
                }
                Err(_) if jobs.is_skipped() => {}
                Err((place, wrong)) => findings.mistakes.push(place, wrong),
            }
        }
    }

    /// Counts a job, and reports what the provider cannot do, or is not documented to do.
    fn count(&mut self, request: &Request, place: Location, findings: &mut PassDiagnostics) {
        let of_row = request.provider.as_ref().and_then(|name| self.providers.limits(name));
        let (refusal, doubt) = of_row.unwrap_or(self.limits).judge(request, self.census.count(request));
        for (found, list) in [(refusal, &mut findings.mistakes), (doubt, &mut findings.warnings)] {
            if let Some(RequestDoubt { what, remedy }) = found {
                list.push(place, wrong(what, remedy));
            }
        }
    }

    /// Adds a job to the summary, which keeps the first and the last jobs. Its pictures have this size in bytes.
    pub(super) fn keep(&mut self, draft: JobSpec, n_picture_bytes: u64) {
        self.census.n_picture_bytes += if draft.row.is_skipped { 0 } else { n_picture_bytes };
        self.census.add(draft);
    }

    /// Records the id of an entry, or of a job with an own id, and reports a duplicate.
    fn check_id(&mut self, id: &str, prompt: &str, place: Location, mistakes: &mut DiagnosticList) {
        let Some(first) = self.across.ids.add(id, prompt, place) else { return };
        let shown = shown_text(id);
        let wrong = if first == place {
            let remedy = "put a var in it, such as `{animal}`, or carry it through under `meta:`";
            wrong(format!("the id {shown} is used by several prompts"), remedy)
        } else {
            let remedy = match place {
                Location::Text(_) => "rename one of them: the id is the name without .txt",
                _ => "give one of them another id",
            };
            wrong(format!("the id {shown} is also used by {}", other_place(first)), remedy)
        };
        mistakes.push(place, wrong);
    }

    /// Warns once about each unusual model name, in however many entries it occurs.
    fn check_model(&mut self, model: &str, place: Location, warnings: &mut DiagnosticList) {
        let Some(example) = self.limits.repo_id_example else { return };
        if parse::is_repo_id(model) || self.models.contains(model) {
            return;
        }
        self.models.insert(model.to_owned());
        let what = format!("the model {} is not of the form org/name", shown_text(model));
        let carry = if self.lints.has_columns() { ", or keep a column of your own with --carry model" } else { "" };
        warnings.push(place, wrong(what, format!("check its name, for example {example}{carry}")));
    }

    fn note_columns<'a>(
        &mut self,
        columns: impl Iterator<Item = &'a str>,
        place: Location,
        mistakes: &mut DiagnosticList,
    ) {
        for column in columns {
            if self.columns_seen.contains(column) {
                continue;
            }
            if self.columns.len() == COLUMNS_MAX {
                let what = format!("the entries have more than {COLUMNS_MAX} columns to carry through");
                mistakes.push(place, wrong(what, "use the same names in all entries"));
            }
            if let Err(wrong) = parse::column(column) {
                mistakes.push(place, wrong);
            }
            self.lints.see_column(column);
            self.columns.push(column.to_owned());
            self.columns_seen.insert(column.to_owned());
        }
    }

    /// Reports the problems that are known only at the end.
    pub(super) fn finish(self, findings: &mut PassDiagnostics) -> ValidationResult {
        self.vars_used.finish(&self.shared.ways, &mut findings.warnings);
        if let Some((place, wrong)) = self.guard.refusal() {
            findings.mistakes.push(place, wrong);
        }
        if let Some((place, n_entries)) = self.without_model {
            let what = match n_entries {
                1 => "this entry has no model".to_owned(),
                n_entries => format!("{n_entries} entries have no model, the first of them here"),
            };
            let remedy = "give it a `model`, or all of them: under `defaults:` (YAML) or with --set model=ORG/NAME";
            findings.mistakes.push(place, wrong(what, remedy));
        }
        if self.skipped.n() > 0 && self.skipped.n() == self.n_entries {
            let remedy = "clear `skip` in the entries that you want";
            findings
                .warnings
                .push(Location::File, wrong("all entries are skipped, so there is nothing to run", remedy));
        }
        self.lints.finish(findings);
        let Self { columns, across, census, skipped, .. } = self;
        ValidationResult { columns, across, census, skipped }
    }
}
