//! Names of the manifest's columns in a dataset: unique, and without an ending that loaders read as the path of a file.

use std::collections::HashSet;

/// Endings that make `datasets` open the file that a value names, each with its replacement.
const FILE_ENDINGS: [(&str, &str); 2] = [("file_name", "filename"), ("file_names", "filenames")];

/// Replaces the names that loaders would open: `photo_file_name` becomes `photo_filename`. `ours` are the names of our own columns,
/// which stay as they are. A name that is in use gets the prefix `input_`, repeated until it is unique.
pub(super) fn loadable(headings: Vec<String>, ours: &[&str]) -> Vec<String> {
    let is_kept = |name: &&String| replacement(name).is_none();
    let mut taken: HashSet<String> = headings.iter().filter(is_kept).cloned().collect();
    taken.extend(ours.iter().map(|name| (*name).to_owned()));
    let rename = |name: String| {
        let Some(mut renamed) = replacement(&name) else { return name };
        while !taken.insert(renamed.clone()) {
            renamed.insert_str(0, "input_");
        }
        renamed
    };
    headings.into_iter().map(rename).collect()
}

/// Returns the name with another ending, or `None` for a name that needs none.
fn replacement(name: &str) -> Option<String> {
    FILE_ENDINGS.iter().find_map(|(ending, replacement)| {
        let begin = name.strip_suffix(ending)?;
        (begin.is_empty() || begin.ends_with('_')).then(|| format!("{begin}{replacement}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: no loader opens a value as a file, and no two columns get one name. Method: names with the endings, beside the names
    /// that the replacement would give.
    #[test]
    fn a_name_that_loaders_would_open_gets_another_ending() {
        let table: [(&[&str], &[&str]); 5] = [
            (&["input_file_name", "file_names", "a_file_names"], &["input_filename", "filenames", "a_filenames"]),
            (&["_file_name", "profile_name", "file_name_2"], &["_filename", "profile_name", "file_name_2"]),
            (&["a_file_name", "a_filename"], &["input_a_filename", "a_filename"]),
            (
                &["a_filename", "input_a_filename", "a_file_name"],
                &["a_filename", "input_a_filename", "input_input_a_filename"],
            ),
            (&["ours_file_name"], &["input_ours_filename"]),
        ];
        for (names, expected) in table {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(loadable(names, &["ours_filename"]), expected);
        }
    }
}
