//! Options of a run.

use std::path::PathBuf;

use crate::images::validate::verdict::CheckLimits;
use crate::model::choice::JobChoice;
use crate::model::limits::Limits;
use crate::model::output_options::OutputOverrides;
use crate::model::storage_url::StorageUrl;
use crate::provider::config::ProviderConfig;
use crate::run::consent::Consent;
use crate::run::source::JobSource;

/// Options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Source of the jobs.
    pub source: JobSource,
    /// Jobs to work on; all others stay outstanding.
    pub choice: JobChoice,
    /// Output folder.
    pub out: PathBuf,
    /// Provider of the images.
    pub provider: ProviderConfig,
    /// Limits that the engine keeps.
    pub limits: Limits,
    /// Largest image that is accepted.
    pub image_limits: CheckLimits,
    /// Address of the images in object storage; `None` keeps the place of the run so far, which is the output folder at first.
    pub images: Option<StorageUrl>,
    /// Requested output style; settings that are `None` keep the style of the run so far.
    pub style: OutputOverrides,
    /// Guards `results.csv` against formulas in spreadsheets; `None` keeps the setting of the last run, which is off at first.
    pub formula_guard: Option<bool>,
    /// Consent given by the user.
    pub consent: Consent,
}

impl Options {
    /// Creates the options of a run of these jobs into the folder `out`, with the defaults of the program.
    pub fn new(source: impl Into<JobSource>, out: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            choice: JobChoice::default(),
            out: out.into(),
            provider: ProviderConfig::default(),
            limits: Limits { seed: fastrand::u64(..), ..Limits::default() },
            image_limits: CheckLimits::default(),
            images: None,
            style: OutputOverrides::default(),
            formula_guard: None,
            consent: Consent::default(),
        }
    }
}
