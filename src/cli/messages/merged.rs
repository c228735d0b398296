//! End of a merge: what the user does next, and the exit code.

use std::path::Path;

use crate::cli::exit::Exit;
use crate::cli::messages::summary::jobs;
use crate::model::counts::StatusCounts;
use crate::model::escape::escape;

/// Returns how a merge into this folder ends, and what the user does next. A pipeline takes exit code 0 for a complete run.
pub(crate) fn ending(counts: &StatusCounts, out: &Path) -> (Exit, String) {
    let out = escape(&out.display().to_string());
    if counts.n_unfinished() > 0 {
        let n_unfinished = jobs(counts.n_unfinished());
        return (Exit::Part, format!("{n_unfinished} unfinished; to go on: promptbatch run MANIFEST -o {out}"));
    }
    if counts.n_failed + counts.n_moderated > 0 {
        return (Exit::Failures, format!("to try the jobs without an image again: promptbatch retry {out}"));
    }
    (Exit::Done, format!("to look at the images: promptbatch gallery {out}"))
}
