//! Consent of the user that a run may need: to an older ledger, another account, and another manifest.

use std::path::Path;

use crate::model::amount::Amount;
use crate::model::event::{Event, EventKind, Stage};
use crate::model::outcome::{Fault, FaultKind};
use crate::model::phase::{JobRecord, Phase};
use crate::model::price::Price;
use crate::model::time::Timestamp;
use crate::provider::config::ProviderConfig;
use crate::store::error::LedgerError;
use crate::store::lent::Lent;
use crate::store::setting::Setting;
use crate::store::settings::{AccountCheck, ReadSettings, WriteSettings};
use crate::store::spec::OpenOptions;
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, RunWriter, stores};

/// Returns whether the provider of a run has accepted tasks of it. If not, the address may still be corrected. Submissions in doubt stay
/// in doubt.
fn has_tasks(run: &dyn RunReader) -> Result<bool, LedgerError> {
    let price: Price = "1".parse().expect("a number is a price");
    Ok(run.total_cost(&price)?.is_none_or(|cost| cost.sure != Amount::default()))
}

/// Returns whether a token is that of all these accounts of merged parts: each a salt, and the hash that `hash_of` returns for it.
///
/// If it is not, a task that the API does not know may be that of another account.
pub(super) fn is_of_all(parts: &[(String, String)], hash_of: impl Fn(&str) -> Option<String>) -> bool {
    parts.iter().all(|(salt, hash)| hash_of(salt).as_ref() == Some(hash))
}

/// Consent given by the user; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Accepts a ledger that is older than its watermark: jobs that may have been submitted since are in doubt.
    pub is_older_accepted: bool,
    /// Accepts a token of another account than the batch began with. Tasks that the new account does not know are lost.
    pub is_account_new: bool,
    /// Accepts a manifest that replaces most jobs of the run. Their images stay on disk, and they leave the results.
    pub is_manifest_replaced: bool,
}

impl Consent {
    /// Opens the ledger in the folder `out` for writing. `None` uses the provider that the ledger names. A provider that never
    /// accepted a submission of the run, for example at a mistyped address, is replaced.
    pub(super) fn open(
        self,
        out: &Path,
        provider: Option<&str>,
        at: Timestamp,
    ) -> Result<Box<dyn RunWriter>, LedgerError> {
        let open =
            |provider| stores::open(out, OpenOptions { provider, accepts_older: self.is_older_accepted.then_some(at) });
        match (open(provider), provider) {
            (Err(error @ LedgerError::OtherProvider { .. }), Some(provider)) => {
                let mut run = open(None)?;
                if has_tasks(&*run)? {
                    return Err(error);
                }
                run.set_provider(provider)?;
                Ok(run)
            }
            (opened, _) => opened,
        }
        .and_then(|run| self.take_back(run, at))
    }

    /// Refuses a folder whose jobs are in a shared run. If the user accepts a ledger that lacks records, the jobs that may have been
    /// submitted there are in doubt, and the folder has its jobs to itself again.
    fn take_back(self, mut run: Box<dyn RunWriter>, at: Timestamp) -> Result<Box<dyn RunWriter>, LedgerError> {
        if !self.is_older_accepted {
            return Lent::refuse(&*run).map(|()| run);
        }
        let Some(lent) = Lent::of(&*run)? else { return Ok(run) };
        let words =
            format!("the run was shared at {}: this job may have been submitted and accepted there", lent.place);
        let mut events = Vec::new();
        run.for_each_job(JobSet::InManifest, |JobRecord { job, state }| {
            if state.phase == Phase::Pending {
                let kind = EventKind::Setback(Stage::Submit, Fault::new(FaultKind::InDoubt, words.clone()));
                events.push(Event { job: job.id, index: job.index, at, kind });
            }
            Ok::<_, LedgerError>(())
        })?;
        run.follow_events(&events, (Setting::Lent, ""))?;
        Ok(run)
    }

    /// Returns whether the token is of the account that owns the tasks of this run. The first account used becomes the run's.
    pub(super) fn is_same_account(
        self,
        run: &mut dyn RunWriter,
        provider: &ProviderConfig,
    ) -> Result<bool, LedgerError> {
        let Some(account) = provider.account(&run.account_salt()?) else { return Ok(true) };
        let parts = run.part_accounts()?;
        if !is_of_all(&parts, |salt| provider.account(salt)) {
            if self.is_account_new {
                run.adopt_account(&account)?;
            }
            return Ok(self.is_account_new);
        }
        if !parts.is_empty() {
            run.adopt_account(&account)?;
        }
        match run.settle_account(&account)? {
            AccountCheck::Same | AccountCheck::First => Ok(true),
            AccountCheck::Different if self.is_account_new => {
                run.adopt_account(&account)?;
                Ok(true)
            }
            AccountCheck::Different => Ok(false),
        }
    }
}
