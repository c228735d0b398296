//! Task ids that can be one segment of a URL's path.

use crate::model::outcome::TaskId;

/// Longest task id that a URL takes, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 512;

/// Returns true if a task can be polled by this id. Excluded are empty and overlong ids, and ids that a URL would change.
pub(crate) fn is_usable(task: &TaskId) -> bool {
    is_readable(&task.0, ID_BYTES_MAX)
}

/// Returns true for an id of at most so many bytes that names something and that a URL would not change.
pub(crate) fn is_readable(id: &str, bytes_max: usize) -> bool {
    let is_dots = matches!(id.trim(), "." | "..");
    let is_damaged = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    !id.trim().is_empty() && id.len() <= bytes_max && !is_dots && !id.contains(is_damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_a_url_would_change_is_unusable() {
        let usable = |id: &str| is_usable(&TaskId(id.into()));
        assert!(usable("5075521") && usable("a/../b?c#d") && usable(&"9".repeat(512)));
        for id in ["", " ", ".", "..", "\t..", "5\u{0}", "5\u{fffd}", &"9".repeat(513)] {
            assert!(!usable(id), "{id:?}");
        }
    }
}
