//! Wildcard names: a directory listing, pattern matching with `*`, and suggestions for misspelt names.

use std::fs;
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::field::misspelt;
use crate::manifest::lists::folders::{AllowedFolders, FolderError, outside};
use crate::model::escape::escape;

/// Name of the folder with the wildcards, in the manifest's folder.
pub(crate) const WILDCARDS: &str = "wildcards";

/// Limit on the files and folders below the folder of wildcards.
const ENTRIES_MAX: usize = 100_000;

/// Limit on nested folders there. A link may lead back to a parent folder.
pub(crate) const DEPTH_MAX: usize = 16;

/// Limit on the characters of a pattern, because a comparison takes time with their number.
pub(crate) const PATTERN_CHARS_MAX: usize = 200;

/// Returns whether the name stays below the folder in which it is looked up.
pub(crate) fn is_within(name: &str) -> bool {
    let parts = || Path::new(name).components();
    // Rejects the root and separator signs of other systems, so that a name means the same everywhere.
    !name.is_empty() && !name.contains(['\\', ':']) && parts().all(|part| matches!(part, Component::Normal(_)))
}

/// Lists the names of all lists below `folder`, sorted. No names if the folder is missing. No subfolder may lead out of `folders`.
pub(crate) fn all(folder: &Path, folders: &AllowedFolders) -> Result<Arc<[String]>, Issue> {
    let mut names = Vec::new();
    let mut n_left = ENTRIES_MAX;
    match walk(folder, "", DEPTH_MAX, &mut n_left, &mut names, folders) {
        Err(FolderError::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => (),
        Err(FolderError::Outside(real)) => {
            let what = format!("a folder of wildcards, `{WILDCARDS}` or one in it,");
            return Err(outside(&what, real.as_deref()));
        }
        Err(FolderError::Unreadable(error)) => {
            return Err(wrong(format!("the folder `{WILDCARDS}` could not be read: {error}"), "make it readable"));
        }
        Ok(()) => (),
    }
    if n_left == 0 {
        let what = format!("the folder `{WILDCARDS}` holds more than {ENTRIES_MAX} files");
        return Err(wrong(what, "keep only the lists there that the manifest needs"));
    }
    names.sort_unstable();
    Ok(names.into())
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    n_left: &mut usize,
    names: &mut Vec<String>,
    folders: &AllowedFolders,
) -> Result<(), FolderError> {
    folders.find(folder)?;
    for entry in fs::read_dir(folder).map_err(FolderError::Unreadable)? {
        let entry = entry.map_err(FolderError::Unreadable)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if *n_left == 0 || name.starts_with('.') {
            continue;
        }
        *n_left -= 1;
        let path = entry.path();
        if let Some(stem) = name.strip_suffix(".txt") {
            names.push(format!("{prefix}{stem}"));
        } else if depth > 0 && path.is_dir() {
            walk(&path, &format!("{prefix}{name}/"), depth - 1, n_left, names, folders)?;
        }
    }
    Ok(())
}

/// Returns whether `pattern` matches `name`. `*` is any part of a folder or file name, and `**` is any part of a path.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let name: Vec<_> = name.chars().collect();
    let pattern: Vec<_> = pattern.chars().collect();
    // Entry `n` records whether the pattern so far matches the first `n` characters.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for (i, sign) in pattern.iter().enumerate() {
        if *sign == '*' {
            // Detects the second of two `*`, which also matches `/`.
            let leaps = i > 0 && pattern[i - 1] == '*';
            for n in 1..=name.len() {
                fits[n] |= fits[n - 1] && (leaps || name[n - 1] != '/');
            }
        } else {
            for n in (1..=name.len()).rev() {
                fits[n] = fits[n - 1] && name[n - 1] == *sign;
            }
            fits[0] = false;
        }
    }
    fits[name.len()]
}

/// Creates the mistake for a name that matches none of `names`, with a similar name as the remedy.
pub(crate) fn missing(shown: &str, name: &str, names: &[String]) -> Issue {
    let ending = format!("/{name}");
    let elsewhere = names.iter().find(|other| other.ends_with(&ending)).map(String::as_str);
    let meant = elsewhere.or_else(|| misspelt(name.trim_end_matches(".txt"), names.iter().map(String::as_str)));
    let what = if name.contains('*') {
        format!("the wildcard {shown} matches no list")
    } else {
        format!("no list for the wildcard {shown}")
    };
    let remedy = match meant {
        Some(meant) => format!("did you mean `__{}__`?", escape(meant)),
        None => format!("write `{WILDCARDS}/{}.txt` beside the manifest, with one text per line", escape(name)),
    };
    wrong(what, remedy)
}
