//! Way of a run folder to a server: all jobs, states and events. The folder is marked until the run comes back.

use std::fs;
use std::path::Path;

use crate::model::cost::CostLimit;
use crate::model::counts::StatusCounts;
use crate::model::limits::Limits;
use crate::model::price::Price;
use crate::model::progress::Progress;
use crate::run::equipment::SPOOL;
use crate::run::error::RunError;
use crate::run::money;
use crate::run::shared::common_limits;
use crate::run::shared::error::SharedRunError;
use crate::run::shared::folder;
use crate::run::{replacing, style};
use crate::store::error::LedgerError;
use crate::store::lent::Lent;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::blocking::BlockingRun;
use crate::store::postgres::push::Pushed;
use crate::store::setting::Setting;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::spec::OpenOptions;
use crate::store::{RunReader, stores};

/// Result of sharing a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Jobs by status.
    pub counts: StatusCounts,
    /// Says whether the run was at the server before.
    pub was_there: bool,
    /// Warning about the server; `None` if there is none.
    pub warning: Option<String>,
}

/// What is known of the cost of a run when it is shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShareCost {
    /// Price of an image; `None` for that of the folder.
    pub price: Option<Price>,
    /// Limit on the cost of the run; `None` keeps the one that the run has, if it is shared already.
    pub max: Option<CostLimit>,
}

/// Copies the run in the folder `out` to a server, and marks the folder: its jobs are worked on there from now on. Repeated after an
/// interruption, it finishes what it began.
pub fn share(
    out: &Path,
    address: &SharedAddress,
    told: &ShareCost,
    progress: &mut dyn Progress,
) -> Result<Shared, SharedRunError> {
    check(out, &*stores::open_for_reading(out)?, address)?;
    let server = BlockingRun::new(address.clone())?;
    // A server that cannot be used is noticed before the folder is marked.
    let warning = server.warning()?;
    let mut run = stores::open(out, OpenOptions::default())?;
    replacing::settle(out, &mut *run)?;
    // Once more under the lock of the folder.
    check(out, &*run, address)?;
    let known = style::known(&*run)?;
    style::settle(&mut *run, &known)?;
    let price = run.settle_price(told.price.clone(), None)?;
    let limits = Limits { price: price.clone(), cost_max: told.max.clone(), ..Limits::default() };
    money::check_jobs(&limits, &*run)?.map_err(RunError::from)?;
    let id = run.account_salt()?;
    // Images that are in the folder decide the place of all of them.
    let is_here = run.images()?.is_none() && run.counts()?.n_succeeded > 0;
    if is_here {
        run.set_images(None)?;
    }
    let mark = |commit| Lent { place: address.to_string(), commit }.text();
    run.set_setting(Setting::Lent, &mark(None))?;
    match server.push(&*run, &id, progress) {
        Ok(pushed) => {
            let (was_there, commit) = match pushed {
                Pushed::Now(commit) => (false, commit),
                Pushed::Before(commit) => (true, commit),
            };
            run.set_setting(Setting::Lent, &mark(Some(commit)))?;
            if is_here {
                let own = folder::prepare(out, &id, None)?;
                let known = server.settle_setting(folder::IMAGES_KEY, &own)?;
                folder::check(out, &own, &known)?;
            }
            if was_there && *told != ShareCost::default() {
                let status = server.status()?;
                common_limits::check(
                    address,
                    &status,
                    status.price.as_ref(),
                    (told.price.as_ref(), told.max.as_ref()),
                )?;
            }
            if let Some(max) = &told.max {
                server.limit_cost(max.amount)?;
            }
            Ok(Shared { counts: run.counts()?, was_there, warning })
        }
        // Without an answer to the last step, the jobs may be there: the folder stays marked.
        Err(error @ LedgerError::NoAnswer { .. }) => Err(error.into()),
        Err(error) => {
            run.set_setting(Setting::Lent, "")?;
            Err(error.into())
        }
    }
}

/// Refuses a run that workers on other machines could not do justice to.
fn check(out: &Path, run: &dyn RunReader, address: &SharedAddress) -> Result<(), SharedRunError> {
    let refused = |what: String, remedy| Err(SharedRunError::NotShareable { out: out.to_owned(), what, remedy });
    if let Some(Lent { place, .. }) = Lent::of(run)?
        && place != address.to_string()
    {
        return refused(format!("it is shared already, at {place}"), "use that address");
    }
    if run.manifest_fingerprint()?.is_none() {
        return refused(
            "no manifest has been imported into it".to_owned(),
            "begin it with `promptbatch run`, or use `run --ledger`",
        );
    }
    if let Some((part, _)) = run.part()? {
        let what = format!("it is part {part} of a manifest");
        return refused(what, "share the whole manifest in place of its parts, or merge the parts first");
    }
    if let Some(named) = run.row_providers()?.first() {
        let what = format!("job {} names a provider of its own, which shared runs do not have yet", named.first);
        return refused(what, "run it on one machine, or in parts with --partition");
    }
    if !run.pictures()?.is_empty() {
        let what = "its requests name pictures on this machine".to_owned();
        return refused(what, "put the pictures at an address, or run in parts with --partition");
    }
    if fs::read_dir(out.join(SPOOL)).is_ok_and(|mut entries| entries.next().is_some()) {
        let what = "images that came with answers are not saved yet".to_owned();
        return refused(what, "run it here until they are, and share it then");
    }
    Ok(())
}
