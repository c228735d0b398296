//! How a run keeps its images: settled by its first session, and kept to by all others.

use crate::ledger::sqlite::RunFile;
use crate::model::counts::Counts;
use crate::model::style::{Making, Style, StyleWish};
use crate::run::RunError;

/// What is said of the style settles it, until there is an image; from then on names stay as they are, and the rest may change for the
/// images to come. The names must be such as jobs with these columns can have.
pub(super) fn settle(file: &RunFile, wish: &StyleWish, columns: &[String]) -> Result<Style, RunError> {
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

/// The style of the run so far. One of before styles were recorded leaves images as they come.
pub(super) fn known(file: &RunFile) -> Result<Style, RunError> {
    let has_begun = file.counts()? != Counts::default();
    let default = if has_begun { Style { making: Making::default(), ..Style::default() } } else { Style::default() };
    Ok(file.style()?.unwrap_or(default))
}
