//! The names of wildcards: which there are, which of them one with `*` fits, and which one was probably meant.

use std::fs;
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use super::WILDCARDS;
use super::folders::{Folders, Missed, outside};
use crate::manifest::field::misspelt;
use crate::manifest::mistake::{Wrong, wrong};
use crate::model::text::escape;

/// Files and folders below the folder of wildcards.
const ENTRIES_MAX: usize = 100_000;

/// Folders within folders there; a link may lead back to where it lies.
pub(super) const DEPTH_MAX: usize = 16;

/// Characters of a name with `*`.
const PATTERN_CHARS_MAX: usize = 200;

/// Whether the name stays below the folder that it is looked for in.
pub(super) fn is_within(name: &str) -> bool {
    let parts = || Path::new(name).components();
    // What other systems take for a root or a separator has no place in a name that means the same everywhere.
    !name.is_empty() && !name.contains(['\\', ':']) && parts().all(|part| matches!(part, Component::Normal(_)))
}

/// The names of all lists below `folder`, in order; none where there is no such folder. None of its folders may lead out of `folders`.
pub(super) fn all(folder: &Path, folders: &Folders) -> Result<Arc<[String]>, Wrong> {
    let mut names = Vec::new();
    let mut n_left = ENTRIES_MAX;
    match walk(folder, "", DEPTH_MAX, &mut n_left, &mut names, folders) {
        Err(Missed::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => (),
        Err(Missed::Outside(real)) => {
            let what = format!("a folder of wildcards, `{WILDCARDS}` or one in it,");
            return Err(outside(&what, real.as_deref()));
        }
        Err(Missed::Unreadable(error)) => {
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
    folders: &Folders,
) -> Result<(), Missed> {
    folders.find(folder)?;
    for entry in fs::read_dir(folder).map_err(Missed::Unreadable)? {
        let entry = entry.map_err(Missed::Unreadable)?;
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

/// Whether `pattern` fits `name`: `*` is any part of a folder's or file's name, `**` any part of a path.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let name: Vec<_> = name.chars().collect();
    let pattern: Vec<_> = pattern.chars().take(PATTERN_CHARS_MAX).collect();
    // Whether the pattern so far fits the first so many characters.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for (i, sign) in pattern.iter().enumerate() {
        if *sign == '*' {
            // The second of two is the one that leaps over folders.
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

/// What is wrong with a name that is none of `names`, and which of them it nearly is.
pub(super) fn missing(shown: &str, name: &str, names: &[String]) -> Wrong {
    let ending = format!("/{name}");
    let elsewhere = names.iter().find(|other| other.ends_with(&ending)).map(String::as_str);
    let meant = elsewhere.or_else(|| misspelt(name.trim_end_matches(".txt"), names.iter().map(String::as_str)));
    let what = if name.contains('*') {
        format!("the wildcard {shown} fits no list")
    } else {
        format!("there is no list for the wildcard {shown}")
    };
    let remedy = match meant {
        Some(meant) => format!("did you mean `__{}__`?", escape(meant)),
        None => format!("write `{WILDCARDS}/{}.txt` beside the manifest, one text a line", escape(name)),
    };
    wrong(what, remedy)
}
