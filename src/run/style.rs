//! Output style of a run: determined by its first session, and kept by all later ones.

use crate::model::counts::StatusCounts;
use crate::model::output_options::{OutputOptions, OutputOverrides, PostProcessing};
use crate::run::RunError;
use crate::store::sqlite::SqliteStore;

/// Determines the style of the run from the user's settings and the stored style. Once an image exists, names stay as they are,
/// and other settings may change for later images. The names must be possible for jobs with these columns.
pub(super) fn settle(
    file: &SqliteStore,
    wish: &OutputOverrides,
    columns: &[String],
) -> Result<OutputOptions, RunError> {
    let before = known(file)?;
    let style = wish.or(&before);
    let has_images = file.counts()?.n_succeeded > 0;
    if has_images && style.naming != before.naming {
        let (was, wanted) = (before.naming.to_string(), style.naming.to_string());
        return Err(RunError::OtherNames { path: file.path().to_owned(), was, wanted });
    }
    style.naming.check(columns)?;
    if file.style()?.as_ref() != Some(&style) {
        file.set_style(&style)?;
    }
    Ok(style)
}

/// Returns the style of the run so far. A run from before styles were recorded keeps images as they come.
pub(super) fn known(file: &SqliteStore) -> Result<OutputOptions, RunError> {
    let has_begun = file.counts()? != StatusCounts::default();
    let default = if has_begun {
        OutputOptions { making: PostProcessing::default(), ..OutputOptions::default() }
    } else {
        OutputOptions::default()
    };
    Ok(file.style()?.unwrap_or(default))
}
