//! Manifest that goes to a server at once, without a run folder of its own: the same command on every machine shares it or joins it.

use crate::model::progress::Progress;
use crate::plan;
use crate::run::error::RunError;
use crate::run::options::Options;
use crate::run::session::{Session, SessionClock};
use crate::run::shared::error::SharedRunError;
use crate::run::shared::share::{self, ShareCost, Shared};
use crate::run::source::OpenedJobs;
use crate::run::{check_options, style};
use crate::store::error::LedgerError;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::blocking::BlockingRun;
use crate::store::setting::Setting;
use crate::store::style::style_from;

/// Shares the manifest of these options, or finds that it is shared already. Nothing is sent to the provider.
///
/// Returns `None` if the run was there before.
pub fn share_manifest(
    options: &Options,
    address: &SharedAddress,
    progress: &mut dyn Progress,
) -> Result<Option<Shared>, SharedRunError> {
    let server = BlockingRun::new(address.clone())?;
    let known = options.source.fingerprint();
    if server.is_there()? {
        let fingerprint = match known {
            Some(known) => known,
            None => hex(options.source.open(progress)?.jobs().fingerprint()),
        };
        return check_same(&server, options, &fingerprint).map(|()| None);
    }
    let (scratch, fingerprint) = imported(options, progress)?;
    match share::share(scratch.path(), address, &ShareCost::default(), progress) {
        Ok(shared) if shared.was_there => Ok(None),
        Ok(shared) => Ok(Some(shared)),
        // Another machine was quicker.
        Err(SharedRunError::Run(RunError::Ledger(LedgerError::Server { .. }))) if server.is_there()? => {
            check_same(&server, options, &fingerprint).map(|()| None)
        }
        Err(error) => Err(error),
    }
}

/// Refuses a shared run of another manifest, or at another provider.
fn check_same(server: &BlockingRun, options: &Options, fingerprint: &str) -> Result<(), SharedRunError> {
    let status = server.status()?;
    let of = |setting: Setting| status.settings.get(setting.key()).cloned().unwrap_or_default();
    let identity = options.provider.identity().map_err(RunError::from)?.to_string();
    let (what, remedy) = if of(Setting::ManifestFingerprint) != fingerprint {
        (
            "it is the run of another manifest, or of the same one read with other options".to_owned(),
            "name a new run with ?run=NAME, or give the manifest and the options that it began with",
        )
    } else if of(Setting::Provider) != identity {
        (
            format!("its tasks are at {}, and this run is for {identity}", of(Setting::Provider)),
            "give the provider and the address that it began with",
        )
    } else if style_from(&of(Setting::OutputStyle)).is_some_and(|style| options.style.or(&style) != style) {
        (
            "its images have other names, formats or files beside them than these options say".to_owned(),
            "leave out --name, --image-format, --image-quality, --metadata and --sidecar, or give those that it began with",
        )
    } else {
        return Ok(());
    };
    Err(SharedRunError::Other { place: server.address().to_string(), what, remedy })
}

/// Imports the manifest into a folder that lasts as long as this value. Returns the fingerprint as well.
fn imported(options: &Options, progress: &mut dyn Progress) -> Result<(tempfile::TempDir, String), SharedRunError> {
    let io = |source| SharedRunError::Io { path: std::env::temp_dir(), source };
    let scratch = tempfile::Builder::new().prefix("promptbatch-").tempdir().map_err(io)?;
    let out = scratch.path();
    let opened = options.source.open(progress)?;
    let jobs = OpenedJobs::jobs(&opened);
    let Options { style: wanted, limits, choice, provider, images, consent, .. } = options;
    check_options(jobs, out, wanted, limits, choice, provider.spec().listed_price())?;
    let mut session = Session::create(out.to_owned(), provider.clone(), *consent, SessionClock::start())?;
    let style = style::check(out, &*session.run, wanted, jobs.columns())?.now;
    plan::import(jobs, out, &mut *session.run, true, progress).map_err(RunError::from)?;
    style::settle(&mut *session.run, &style)?;
    if let Some(images) = images {
        session.run.set_setting(Setting::Images, &images.to_string())?;
    }
    session.settle_price(limits.clone())?;
    Ok((scratch, hex(jobs.fingerprint())))
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
