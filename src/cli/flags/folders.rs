//! Folders on the command line: of runs and of output, and addresses of shared runs in their place.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

/// Parses the output folder of a run. A file is refused: most users who name the manifest mean its folder.
pub(crate) fn run_folder() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(a_run_folder)
}

fn a_run_folder(path: PathBuf) -> Result<PathBuf, String> {
    check_folder(&path)?;
    if !path.is_file() {
        return Ok(path);
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    Err(format!("it is a file; name the output folder of a run, for example out/{stem}"))
}

/// Returns whether a text is the address of a shared run, and no folder.
pub(crate) fn is_ledger(text: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
}

/// Parses the output folder of a run, or the address of a shared run.
pub(crate) fn run_folder_or_ledger() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new()
        .try_map(|path| if is_ledger(&path.to_string_lossy()) { Ok(path) } else { a_run_folder(path) })
}

/// Parses a folder that is written.
pub(crate) fn folder() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| check_folder(&path).map(|()| path))
}

/// Refuses an address, which would be the path of a folder called `s3:`.
fn check_folder(path: &Path) -> Result<(), String> {
    if path.to_string_lossy().contains("://") {
        return Err("it is an address, and this is a folder on disk; only the images of a run can be in object storage (run --images)".to_owned());
    }
    Ok(())
}
