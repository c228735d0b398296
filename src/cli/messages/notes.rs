//! Notes about a manifest: its columns, and the entries that are skipped or repeated.

use crate::manifest::Manifest;
use crate::manifest::places::PlaceList;
use crate::model::escape::{escape, grouped};

/// Says which columns of a manifest are used as what, and which are only carried through. `None` if the titles say it all.
fn columns(manifest: &Manifest) -> Option<String> {
    const SHOWN_MAX: usize = 12;
    let (used, carried) = (manifest.used_columns(), manifest.columns());
    let is_plain = |(title, field): &(String, String)| title == field;
    if used.is_empty() || carried.is_empty() && used.iter().all(is_plain) {
        return None;
    }
    let listed = |mut texts: Vec<String>| {
        let n_more = texts.len().saturating_sub(SHOWN_MAX);
        texts.truncate(SHOWN_MAX);
        let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
        texts.join(", ") + &more
    };
    let shown = |(title, field): &(String, String)| {
        if title == field { escape(field) } else { format!("{field} (from {})", escape(title)) }
    };
    let used = listed(used.iter().map(shown).collect());
    let carried = match carried {
        [] => String::new(),
        carried => {
            format!("; carried through and not sent: {}", listed(carried.iter().map(|name| escape(name)).collect()))
        }
    };
    Some(format!("columns: {used}{carried}"))
}

/// Says which columns are used, and which entries are skipped or repeated, line by line.
pub(crate) fn notes(manifest: &Manifest) -> impl Iterator<Item = String> {
    columns(manifest).into_iter().chain(skipped(manifest)).chain(repeated(manifest))
}

/// Says which prompts are repeated with the same parameters. `None` if there are none.
fn repeated(manifest: &Manifest) -> Option<String> {
    let repeats = manifest.repeats();
    let (n, n_entries, n_jobs_again) = (repeats.n(), repeats.n_entries(), repeats.n_jobs_again());
    let prompts = match n {
        0 => return None,
        1 => format!("1 prompt is repeated {} times", grouped(n_entries)),
        n => format!("{} prompts are repeated, in {} entries", grouped(n), grouped(n_entries)),
    };
    let jobs = if n_jobs_again > repeats.n_again() {
        format!(", so that {} jobs repeat others", grouped(n_jobs_again))
    } else {
        String::new()
    };
    let places: Vec<_> = repeats.places().map(PlaceList::words).collect();
    let more = if n > places.len() as u64 { "; ..." } else { "" };
    let made = if manifest.source().is_unique {
        "only the first of each is made (--unique)"
    } else {
        "each is a job of its own, and --unique makes only the first"
    };
    Some(format!("repeated: {prompts} with the same parameters ({}{more}){jobs}; {made}", places.join("; ")))
}

/// Says which entries are skipped. `None` if there are none.
fn skipped(manifest: &Manifest) -> Option<String> {
    let places = manifest.skipped();
    let n = if places.n() == 1 { "1 entry".to_owned() } else { format!("{} entries", places.n()) };
    (places.n() > 0).then(|| format!("skipped: {n} ({})", places.words()))
}
