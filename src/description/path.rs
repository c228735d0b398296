//! Path of a request below the base URL, with places for the model and the task.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::Deserialize;

/// Path such as `/v1/tasks/{id}`. It begins with `/`, or it is empty for the base URL itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PathTemplate {
    text: String,
    parts: Vec<PathPart>,
}

/// Part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPart {
    /// Text that is sent as it is written.
    Text(String),
    /// `{model}`: the model, whose `/` separate segments.
    ModelSegments,
    /// `{model:segment}`: the model as one segment, whose `/` are escaped.
    ModelSegment,
    /// `{model:app}`: the first two segments of the model.
    ModelApp,
    /// `{id}`: the task id as one segment.
    TaskId,
}

/// Error for a text that is not a [`PathTemplate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no path: begin with `/`, write {{model}}, {{model:segment}}, {{model:app}} or {{id}} where they belong, and no blanks"
)]
pub struct PathError(String);

impl FromStr for PathTemplate {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let refuse = || PathError(text.to_owned());
        let is_allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '\\' | '"' | '<' | '>');
        let begins = text.is_empty() || (text.starts_with('/') && !text.starts_with("//"));
        if !begins || !text.chars().all(is_allowed) || text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(refuse());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(refuse)?;
            if !before.is_empty() {
                parts.push(PathPart::Text(before.to_owned()));
            }
            parts.push(match name {
                "model" => PathPart::ModelSegments,
                "model:segment" => PathPart::ModelSegment,
                "model:app" => PathPart::ModelApp,
                "id" => PathPart::TaskId,
                _ => return Err(refuse()),
            });
            rest = after;
        }
        if rest.contains('}') {
            return Err(refuse());
        }
        if !rest.is_empty() {
            parts.push(PathPart::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl TryFrom<String> for PathTemplate {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PathTemplate {
    /// Returns the parts, in order.
    pub fn parts(&self) -> &[PathPart] {
        &self.parts
    }

    /// Returns whether the path has a place for the model.
    pub fn has_model(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, PathPart::ModelSegments | PathPart::ModelSegment | PathPart::ModelApp))
    }

    /// Returns whether the path has a place for the task id.
    pub fn has_task_id(&self) -> bool {
        self.parts.contains(&PathPart::TaskId)
    }

    /// Returns the path for this model and task, percent-encoded. `None` if a segment would be empty, `.` or `..`, which would change the
    /// path.
    pub fn path(&self, model: &str, task_id: &str) -> Option<String> {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                PathPart::Text(text) => path.push_str(text),
                PathPart::ModelSegments => {
                    let segments: Option<Vec<_>> = model.split('/').map(segment).collect();
                    path.push_str(&segments?.join("/"));
                }
                PathPart::ModelApp => {
                    let segments: Option<Vec<_>> = model.split('/').take(2).map(segment).collect();
                    path.push_str(&segments?.join("/"));
                }
                PathPart::ModelSegment => path.push_str(&segment(model)?),
                PathPart::TaskId => path.push_str(&segment(task_id)?),
            }
        }
        Some(path)
    }
}

/// Percent-encodes one segment of a path. `None` if it is empty, `.` or `..`, or has characters that no id has.
fn segment(text: &str) -> Option<String> {
    if text.trim().is_empty() || matches!(text.trim(), "." | "..") || text.contains(char::is_control) {
        return None;
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _never = write!(encoded, "%{byte:02X}");
        }
    }
    Some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(template: &str, model: &str, id: &str) -> Option<String> {
        template.parse::<PathTemplate>().unwrap().path(model, id)
    }

    #[test]
    fn a_model_is_one_segment_or_several() {
        for (template, expected) in [
            ("/v1/{model}", "/v1/fal-ai/flux/dev"),
            ("/v1/{model:segment}/x", "/v1/fal-ai%2Fflux%2Fdev/x"),
            ("/{model:app}/requests/{id}", "/fal-ai/flux/requests/7%3Fa%2F..%23"),
            ("/m/{model}:generate", "/m/fal-ai/flux/dev:generate"),
            ("", ""),
            ("/tasks/{id}", "/tasks/7%3Fa%2F..%23"),
        ] {
            assert_eq!(path(template, "fal-ai/flux/dev", "7?a/..#").as_deref(), Some(expected));
        }
        assert_eq!(path("/run/{model}", "@cf/a b/猫", "").as_deref(), Some("/run/@cf/a%20b/%E7%8C%AB"));
    }

    #[test]
    fn no_model_or_task_leaves_its_place() {
        for text in ["", "..", ".", " .. ", "a/../b", "/a", "a//b", "a\nb"] {
            assert_eq!(path("/x/{model}", text, ""), None, "{text}");
        }
        for text in ["", "..", "\u{0}"] {
            assert_eq!(path("/x/{id}", "m", text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        for text in
            ["x", "//evil.example", "https://a.example", "/a b", "/{x}", "/{id", "/id}", "/a/../b", "/#x", "/a\\b"]
        {
            assert!(text.parse::<PathTemplate>().is_err(), "{text}");
        }
        assert!("/v1/list?limit=100".parse::<PathTemplate>().is_ok());
    }
}
