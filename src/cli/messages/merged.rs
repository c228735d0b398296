//! End of a merge: what the user does next, and the exit code.

use std::path::Path;

use crate::cli::exit::Exit;
use crate::cli::messages::summary::jobs;
use crate::model::counts::StatusCounts;
use crate::model::escape::escape;

/// Returns how a merge into this folder ends, and what the user does next. A pipeline takes exit code 0 for a complete run.
pub(crate) fn ending(counts: &StatusCounts, out: &Path) -> (Exit, String) {
    let out = escape(&out.display().to_string());
    if counts.n_unfinished() > 0 && counts.n_unfinished() == counts.n_in_doubt {
        let n_doubts = jobs(counts.n_in_doubt);
        return (Exit::Part, format!("{n_doubts} in doubt; to submit again: promptbatch retry {out} --only in_doubt"));
    }
    if counts.n_unfinished() > 0 {
        let n_unfinished = jobs(counts.n_unfinished());
        return (Exit::Part, format!("{n_unfinished} unfinished; to go on: promptbatch run MANIFEST -o {out}"));
    }
    if counts.n_failed == 0 && counts.n_moderated > 0 {
        let n_moderated = jobs(counts.n_moderated);
        let remedy = "change the prompts and run the manifest, or submit them again as they are";
        return (
            Exit::Failures,
            format!("{n_moderated} moderated; {remedy}: promptbatch retry {out} --only moderated"),
        );
    }
    if counts.n_failed > 0 {
        return (Exit::Failures, format!("to try the jobs without an image again: promptbatch retry {out}"));
    }
    (Exit::Done, format!("to look at the images: promptbatch gallery {out}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the command that is named does something about what is left.
    #[test]
    fn what_is_named_fits_what_is_left() {
        let counts = |n_pending, n_in_doubt, n_moderated, n_failed| StatusCounts {
            n_pending,
            n_in_doubt,
            n_moderated,
            n_failed,
            n_succeeded: 1,
            ..StatusCounts::default()
        };
        for (counts, words) in [
            (counts(1, 1, 1, 1), "2 jobs unfinished; to go on: promptbatch run MANIFEST -o out"),
            (counts(0, 1, 1, 1), "1 job in doubt; to submit again: promptbatch retry out --only in_doubt"),
            (counts(0, 0, 1, 1), "to try the jobs without an image again: promptbatch retry out"),
            (counts(0, 0, 2, 0), "promptbatch retry out --only moderated"),
            (counts(0, 0, 0, 0), "to look at the images: promptbatch gallery out"),
        ] {
            let (_, told) = ending(&counts, Path::new("out"));
            assert!(told.ends_with(words), "{told}");
        }
    }
}
