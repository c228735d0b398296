//! Folders whose names are durable.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::fsio::descriptors::patiently;

/// Makes the names in a folder durable. Systems other than Unix cannot sync folders and do not need it.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if cfg!(unix) {
        patiently(|| File::open(path))?.sync_all()?;
    }
    Ok(())
}

/// Returns the folder that contains the last name of a path.
pub(crate) fn of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
