//! Error of a run: the reason why it could not begin or continue.

use std::path::PathBuf;

use crate::driver::DriveError;
use crate::images::error::StoreError;
use crate::manifest::error::ManifestError;
use crate::model::choice::ChoiceError;
use crate::model::name::template::TemplateError;
use crate::plan::PlanError;
use crate::plan::job_list::JobListError;
use crate::plan::replacement::Replacement;
use crate::provider::registry::NamedProviderError;
use crate::provider::spec::ConnectError;
use crate::run::money::CostError;
use crate::run::outputs::OutputConflict;
use crate::run::projection::ProjectionError;
use crate::run::redo_error::RedoError;
use crate::store::error::LedgerError;

/// Reason why a run could not begin or continue. Recorded events stay recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Manifest that is invalid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Job made by the program that cannot be run.
    #[error(transparent)]
    Jobs(#[from] JobListError),
    /// Ledger that cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Provider that cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Provider that a row names and that cannot be used.
    #[error("could not use the provider that job {first} names in its row: {source}")]
    RowProvider {
        /// Index of the first job that names it.
        first: u64,
        /// Reason.
        source: Box<ConnectError>,
    },
    /// Provider that a row names and for which there is no token. A token file is for the run's own provider only.
    #[error(
        "could not use the provider that job {first} names in its row: there is no token for it; set {variable}, and make one at {page}"
    )]
    RowToken {
        /// Index of the first job that names it.
        first: u64,
        /// Environment variable of the token.
        variable: &'static str,
        /// Page that makes a token.
        page: &'static str,
    },
    /// Provider that a row names and that does not exist.
    #[error("could not use the provider that job {first} names in its row: {source}")]
    RowProviderName {
        /// Index of the first job that names it.
        first: u64,
        /// Reason.
        source: Box<NamedProviderError>,
    },
    /// Description that a row names, and that would send a token somewhere that the user has not confirmed.
    #[error(
        "could not use {file}, which a row names: it sends a token to {place}, and a manifest alone does not decide that; \
         if it is right, add --base-url {name}={place}"
    )]
    UntrustedDescription {
        /// Path of the description, as it is written.
        file: String,
        /// Name of the provider in it.
        name: String,
        /// Address to which the token would go.
        place: String,
    },
    /// Provider that a flag names and that does not exist.
    #[error(
        "could not apply a flag to the provider {0:?}: there is no such provider; `promptbatch providers` lists them"
    )]
    NoSuchProvider(String),
    /// Address of a provider that is not the one where the tasks of the run are.
    #[error(
        "could not use {given} for the jobs whose rows name {name}: their tasks in this folder are at {recorded}; \
         give `--base-url {name}=URL` with that address, or choose another output folder"
    )]
    OtherAddress {
        /// Name of the provider.
        name: String,
        /// Identity as it is now.
        given: String,
        /// Identity in the ledger.
        recorded: String,
    },
    /// Disk that does not accept the images.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Name template with a field that no job has.
    #[error("could not name the images by --name: {0}")]
    Template(#[from] TemplateError),
    /// Name template that differs from the template of existing images.
    #[error("could not name the images by `--name {wanted}`: those in {} are already named by `{was}`; leave out --name, or choose another output folder", out.display())]
    OtherNames {
        /// Output folder.
        out: PathBuf,
        /// Template of the existing images.
        was: String,
        /// Requested template.
        wanted: String,
    },
    /// Images are to be written as lossy WebP, whose encoder this build does not have.
    #[error(
        "this build writes WebP only without loss: add --image-quality 100, choose another --image-format, or build the program with --features webp"
    )]
    NoLossyWebp,
    /// Place of the images that differs from the place of the run so far.
    #[error("could not put the images at {wanted}: those of the run in {} are at {was}; leave out --images, or choose another output folder with -o", out.display())]
    OtherImages {
        /// Output folder.
        out: PathBuf,
        /// Place of the images so far.
        was: String,
        /// Requested place.
        wanted: String,
    },
    /// Manifest that replaces most jobs of the run in the folder.
    #[error(transparent)]
    Replacement(Replacement),
    /// Folder with another part of a manifest than was asked for.
    #[error("could not run {wanted} in {}: the folder has {was}; {remedy}", out.display())]
    OtherPart {
        /// Output folder.
        out: PathBuf,
        /// Part in the folder, in words.
        was: String,
        /// Part that was asked for, in words.
        wanted: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Choice of jobs that no job meets.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// File of the user's that the run would replace.
    #[error(transparent)]
    Output(#[from] OutputConflict),
    /// Cost limit that cannot be enforced.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// Job that cannot be made again.
    #[error(transparent)]
    Redo(#[from] RedoError),
    /// Results that cannot be written.
    #[error(transparent)]
    Results(#[from] ProjectionError),
}

impl From<PlanError> for RunError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Manifest(error) => Self::Manifest(error),
            PlanError::Ledger(error) => Self::Ledger(error),
            PlanError::Replacement(refusal) => Self::Replacement(refusal),
            PlanError::Choice(error) => Self::Choice(error),
        }
    }
}

impl From<DriveError> for RunError {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::Ledger(error) => Self::Ledger(error),
            DriveError::Store(error) => Self::Store(error),
        }
    }
}
