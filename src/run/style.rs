//! Output style of a run: determined by its first session, and kept by all later ones.

use std::path::Path;

use crate::images::postprocess::is_available;
use crate::model::counts::StatusCounts;
use crate::model::output_options::{Conversion, OutputOptions, OutputOverrides, PostProcessing};
use crate::run::error::RunError;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::{RunReader, RunWriter};

/// Output style of a run.
#[derive(Debug)]
pub(super) struct RunStyle {
    /// Style of the images that are made from now on.
    pub(super) now: OutputOptions,
    /// Style of images that are there already, if it was another one.
    pub(super) before: Option<OutputOptions>,
}

/// Determines the style of the run from the user's settings and the stored style. Once an image exists, names stay as they are,
/// and other settings may change for later images. The names must be possible for jobs with these columns.
pub(super) fn check(
    out: &Path,
    run: &dyn RunReader,
    overrides: &OutputOverrides,
    columns: &[String],
) -> Result<RunStyle, RunError> {
    let before = recorded(run)?;
    let style = overrides.or(&before);
    let has_images = run.counts()?.n_succeeded > 0;
    if has_images && style.naming != before.naming {
        let (was, wanted) = (before.naming.to_string(), style.naming.to_string());
        return Err(RunError::OtherNames { out: out.to_owned(), was, wanted });
    }
    style.naming.check(columns)?;
    check_encoder(style.postprocess.format)?;
    let is_restyled = has_images && style != before;
    Ok(RunStyle { now: style, before: is_restyled.then_some(before) })
}

/// Refuses a conversion that this build cannot make, before anything is paid for.
pub(super) fn check_encoder(conversion: Option<Conversion>) -> Result<(), RunError> {
    match conversion {
        Some(conversion) if !is_available(conversion) => Err(RunError::NoLossyWebp),
        _ => Ok(()),
    }
}

/// Stores the style for later sessions.
pub(super) fn settle(run: &mut dyn RunWriter, style: &OutputOptions) -> Result<(), RunError> {
    if run.style()?.as_ref() != Some(style) {
        run.set_style(style)?;
    }
    Ok(())
}

/// Returns the style of the run so far, if this build can follow it.
pub(super) fn known(run: &dyn RunReader) -> Result<OutputOptions, RunError> {
    let style = recorded(run)?;
    check_encoder(style.postprocess.format)?;
    Ok(style)
}

/// Returns the style on record. A run from before styles were recorded keeps images as they come.
fn recorded(run: &dyn RunReader) -> Result<OutputOptions, RunError> {
    let has_begun = run.counts()? != StatusCounts::default();
    let default = if has_begun {
        OutputOptions { postprocess: PostProcessing::default(), ..OutputOptions::default() }
    } else {
        OutputOptions::default()
    };
    Ok(run.style()?.unwrap_or(default))
}
