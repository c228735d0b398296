//! Task id as one segment of a URL's path, whatever characters it has.

use reqwest::Url;

use crate::model::escape::excerpt;
use crate::model::outcome::{Fault, FaultKind, TaskId};

/// Longest task id that a URL takes, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 512;

/// Returns true if a task can be polled by this id. Excluded are empty and overlong ids, and ids that a URL would change.
pub(crate) fn is_usable(task: &TaskId) -> bool {
    let TaskId(id) = task;
    let is_dots = matches!(id.trim(), "." | "..");
    let is_damaged = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    !id.trim().is_empty() && id.len() <= ID_BYTES_MAX && !is_dots && !id.contains(is_damaged)
}

/// Returns the URL of a task: its id as the last segment after `tasks`.
pub(in crate::provider) fn task_url(tasks: &Url, task: &TaskId) -> Result<Url, Fault> {
    let odd = || {
        let words = format!("the task id {} cannot be used in a request", excerpt(&task.0, 80));
        Fault::new(FaultKind::TaskLost, words)
    };
    if !is_usable(task) {
        return Err(odd());
    }
    let mut url = tasks.clone();
    url.path_segments_mut().map_err(|()| odd())?.push(&task.0);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_cannot_leave_its_place_in_the_path() {
        let tasks = Url::parse("https://a.example/v1/tasks").unwrap();
        let url = |id: &str| task_url(&tasks, &TaskId(id.into())).map(|url| url.to_string());
        assert_eq!(url("5075521"), Ok("https://a.example/v1/tasks/5075521".into()));
        assert_eq!(url("a/../b?c#d"), Ok("https://a.example/v1/tasks/a%2F..%2Fb%3Fc%23d".into()));
        assert!(url("..").is_err() && url(".").is_err() && url(&"9".repeat(1000)).is_err());
    }
}
