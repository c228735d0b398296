//! Way of a shared run back into a run folder: a new one, or the one that it came from.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::driver::clock::Clock;
use crate::model::counts::StatusCounts;
use crate::model::event::{Event, EventKind};
use crate::model::phase::{JobRecord, Phase};
use crate::model::progress::Progress;
use crate::run::projection::Projection;
use crate::run::shared::error::SharedRunError;
use crate::run::shared::folder;
use crate::run::{outputs, replacing, restoring};
use crate::store::error::LedgerError;
use crate::store::import::RestoredJob;
use crate::store::lent::Lent;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::blocking::BlockingRun;
use crate::store::postgres::run::SharedStatus;
use crate::store::setting::Setting;
use crate::store::spec::OpenOptions;
use crate::store::{RunReader, RunWriter, stores};

/// Number of the last commit in a folder whose jobs are not known to be whole yet.
const NO_JOBS: i64 = -1;

/// Interval between two looks at the workers.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Result of bringing a run back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Jobs by status.
    pub counts: StatusCounts,
    /// Workers that had died, and were ended.
    pub n_ended: usize,
    /// Path of the results.
    pub results: PathBuf,
}

/// Brings the run at a server back into the folder `out`, and closes it for workers. Repeated after an interruption, it continues. A worker
/// without a sign of life for `silence_max` is taken for dead.
///
/// `notice` gets what the user should know while it waits.
pub fn fetch(
    address: &SharedAddress,
    out: &Path,
    silence_max: Duration,
    progress: &mut dyn Progress,
    notice: &mut dyn FnMut(&str),
) -> Result<Fetched, SharedRunError> {
    let server = BlockingRun::new(address.clone())?;
    let first = server.status()?;
    let home = Home::find(out, first.settings.get(folder::HOME_KEY).map(String::as_str), &server)?;
    if home.is_complete {
        let run = stores::open_for_reading(out)?;
        return Ok(Fetched { counts: run.counts()?, n_ended: 0, results: Projection::new(out).path().to_owned() });
    }
    let is_begun = check_folder(out, &first.id)?;
    // A mistake in the folder closes no run.
    check_images(out, &first.id, &first)?;
    let id = first.id;
    let n_ended = close(&server, silence_max, notice)?;
    // Nothing changes at the server from here on.
    let status = server.status()?;
    check_images(out, &id, &status)?;
    let mut run = if is_begun { stores::open(out, OpenOptions::default())? } else { create(out, address, &status)? };
    run.set_setting(Setting::Home, &home.id)?;
    let own = folder::record(&home.id, out);
    let known = server.settle_setting(folder::HOME_KEY, &own)?;
    if folder::read_record(&known).0 != home.id {
        return Err(brought_back(out, &known, &server));
    }
    pull(&server, &mut *run, &status)?;
    let counts = run.counts()?;
    if counts != status.counts {
        let [wanted, found] = [status.counts, counts].map(|counts| format!("{counts:?}"));
        return Err(SharedRunError::Books { out: out.to_owned(), wanted, found });
    }
    for setting in [Setting::Images, Setting::Account] {
        if let Some(value) = status.settings.get(setting.key()) {
            run.set_setting(setting, value)?;
        }
    }
    let last = Setting::Lent;
    run.set_setting(last, "")?;
    // A redo that was interrupted before the run was shared: a job whose repetition failed returns to its image.
    replacing::settle(out, &mut *run)?;
    restoring::settle(out, &mut *run, Clock::system().now().wall())?;
    let counts = run.counts()?;
    let projection = Projection::new(out);
    projection.refresh(&mut *run, progress)?;
    folder::tidy(out);
    Ok(Fetched { counts, n_ended, results: projection.path().to_owned() })
}

/// Folder into which a run is brought back: the only one, because each folder with its jobs would submit the rest.
struct Home {
    id: String,
    /// Whether the run is back in the folder already.
    is_complete: bool,
}

impl Home {
    /// Finds or draws the id of a folder. Refuses another folder than the one whose record the server has.
    fn find(out: &Path, known: Option<&str>, server: &BlockingRun) -> Result<Self, SharedRunError> {
        let read = |run: &dyn RunReader| Ok::<_, LedgerError>((run.setting(Setting::Home)?, Lent::of(run)?.is_some()));
        let (own, is_lent) = match stores::read_snapshot(out, read) {
            Err(LedgerError::Missing { .. }) => (None, true),
            found => found?,
        };
        match known {
            Some(known) if own.as_deref() != Some(folder::read_record(known).0) => {
                Err(brought_back(out, known, server))
            }
            Some(_) | None => Ok(Self {
                is_complete: known.is_some() && !is_lent,
                id: own.unwrap_or_else(|| format!("{:032x}", fastrand::u128(..))),
            }),
        }
    }
}

fn brought_back(out: &Path, record: &str, server: &BlockingRun) -> SharedRunError {
    SharedRunError::BroughtBack {
        out: out.to_owned(),
        place: folder::read_record(record).1.to_owned(),
        run: server.address().run().to_owned(),
    }
}

/// Returns whether the folder has this run already, lent or half brought back.
fn check_folder(out: &Path, id: &str) -> Result<bool, SharedRunError> {
    let own = |run: &dyn RunReader| {
        Ok::<_, LedgerError>(Lent::of(run)?.is_some() && run.setting(Setting::AccountSalt)?.as_deref() == Some(id))
    };
    match stores::read_snapshot(out, own) {
        Ok(true) => Ok(true),
        Ok(false) => Err(SharedRunError::Taken(out.to_owned())),
        Err(LedgerError::Missing { .. }) => {
            outputs::check_merged(out)?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Refuses a folder that does not have the images, if they are in a folder.
fn check_images(out: &Path, id: &str, status: &SharedStatus) -> Result<(), SharedRunError> {
    let is_elsewhere = status.settings.get(Setting::Images.key()).is_some_and(|place| !place.is_empty());
    let record = status.settings.get(folder::IMAGES_KEY).map(String::as_str);
    if is_elsewhere || status.counts.n_succeeded == 0 || folder::has_images(out, id, record)? {
        return Ok(());
    }
    if let Some(record) = record {
        return Err(folder::elsewhere(out, record));
    }
    let has_run = stores::read_snapshot(out, |run| Ok::<_, LedgerError>(run.counts()?.n_succeeded)).ok();
    if status.counts.n_succeeded <= has_run.unwrap_or(0) {
        return Ok(());
    }
    Err(SharedRunError::Folder {
        out: out.to_owned(),
        what: "the images that the workers saved are in another folder".to_owned(),
        remedy: "give -o the folder that `work -o` had",
    })
}

/// Closes the run for workers. Those that show no sign of life are ended; a live one is an error.
fn close(server: &BlockingRun, silence_max: Duration, notice: &mut dyn FnMut(&str)) -> Result<usize, SharedRunError> {
    let mut n_ended = 0;
    while !server.close()? {
        let seen = server.workers()?;
        notice(&format!(
            "{} of the run's workers have not said that they ended; waiting up to {} s for a sign of life",
            seen.len(),
            silence_max.as_secs()
        ));
        let began = Instant::now();
        while began.elapsed() < silence_max {
            server.wait(LOOK_EVERY.min(silence_max));
            let now = server.workers()?;
            let n_live = now.iter().filter(|worker| !seen.contains(worker)).count();
            if n_live > 0 {
                return Err(SharedRunError::Live { place: server.address().to_string(), n_live });
            }
            if now.is_empty() {
                break;
            }
        }
        for worker in &seen {
            n_ended += usize::from(server.take_over(worker)?);
        }
    }
    Ok(n_ended)
}

/// Creates the folder of a run that comes from elsewhere, with its settings.
fn create(out: &Path, address: &SharedAddress, status: &SharedStatus) -> Result<Box<dyn RunWriter>, SharedRunError> {
    let provider = status.settings.get(Setting::Provider.key()).cloned().unwrap_or_default();
    let mut run = stores::open(out, OpenOptions { provider: Some(&provider), accepts_older: None })?;
    run.set_setting(Setting::Lent, &Lent { place: address.to_string(), commit: Some(NO_JOBS) }.text())?;
    for setting in Setting::ALL.into_iter().filter(|setting| setting.is_shared()) {
        if let Some(value) = status.settings.get(setting.key()) {
            run.set_setting(setting, value)?;
        }
    }
    Ok(run)
}

/// Brings jobs and events into the folder, as far as they are not there.
fn pull(server: &BlockingRun, run: &mut dyn RunWriter, status: &SharedStatus) -> Result<(), SharedRunError> {
    let mark = Lent::of(run)?.map_or(Some(NO_JOBS), |lent| lent.commit);
    let place = server.address().to_string();
    let mark_of = |commit| Lent { place: place.clone(), commit: Some(commit) }.text();
    // Without a number, the folder was marked and the push ended without an answer.
    let mut last = mark.unwrap_or(status.pushed);
    if last == NO_JOBS {
        if run.counts()? == StatusCounts::default() {
            run.restore_jobs(&mut Jobs { server, row: 0, page: Vec::new().into_iter(), is_done: false })?;
        }
        last = 0;
        run.set_setting(Setting::Lent, &mark_of(0))?;
    }
    loop {
        let page = server.commits_after(last)?;
        let Some((seq, _)) = page.last() else { break };
        last = *seq;
        let events: Vec<Event> = page.into_iter().flat_map(|(_, events)| events).collect();
        run.follow_events(&events, (Setting::Lent, &mark_of(last)))?;
    }
    testify(server, run, &mark_of(last))
}

/// Records what workers that were shut out knew: the tasks of submissions that would otherwise be in doubt.
fn testify(server: &BlockingRun, run: &mut dyn RunWriter, mark: &str) -> Result<(), SharedRunError> {
    let at = Clock::system().now().wall();
    let mut events = Vec::new();
    for (id, told) in server.testimonies()? {
        let found = run.find(&id.to_string())?;
        let is_open = |JobRecord { job, state }: &JobRecord| {
            job.id == id && state.phase == Phase::Submitting && state.n_submits == told.n_submits
        };
        if found.iter().any(is_open) && !events.iter().any(|event: &Event| event.job == id) {
            events.push(Event { job: id, index: 0, at, kind: EventKind::Accepted(told.task) });
        }
    }
    if events.is_empty() { Ok(()) } else { Ok(run.follow_events(&events, (Setting::Lent, mark))?) }
}

/// Jobs of a server, page by page.
struct Jobs<'a> {
    server: &'a BlockingRun,
    row: i64,
    page: std::vec::IntoIter<RestoredJob>,
    is_done: bool,
}

impl Iterator for Jobs<'_> {
    type Item = Result<RestoredJob, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(job) = self.page.next() {
            return Some(Ok(job));
        }
        if self.is_done {
            return None;
        }
        match self.server.jobs_after(self.row) {
            Ok(Some((row, jobs))) => {
                (self.row, self.page) = (row, jobs.into_iter());
                self.page.next().map(Ok)
            }
            Ok(None) => {
                self.is_done = true;
                None
            }
            Err(error) => {
                self.is_done = true;
                Some(Err(error))
            }
        }
    }
}
