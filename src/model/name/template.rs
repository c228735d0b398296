//! Template of image file names (`--name`), in the user's words and checked before anything is sent.

use std::fmt;
use std::str::FromStr;

use crate::model::escape::escape;
use crate::model::name::field::{FieldRef, NameField};
use crate::model::name::slug::{STEM_BYTES_MAX, clean, cut, is_device};
use crate::model::name::{ImageName, folder};
use crate::model::provenance::Provenance;

const DEFAULT: &str = "{index:06}-{slug}";

const TEMPLATE_BYTES_MAX: usize = 500;

/// Maximum depth of nested folders.
const FOLDERS_MAX: usize = 8;

/// Template of image file names: text, `{fields}`, and `/` between folders.
///
/// A name depends on the job and its task alone. A resumed run therefore gives the same names as the first run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate {
    text: String,
    folders: Vec<Part>,
    stem: Part,
}

/// Folder or stem.
type Part = Vec<NameSegment>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum NameSegment {
    Text(String),
    Value(FieldRef),
}

/// Error in a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Name that is empty: no text at all, or none before or between slashes.
    #[error("a folder or the file has no name: do not begin or end with `/`, and do not repeat it")]
    Nameless,
    /// Length above the maximum.
    #[error("it is longer than {TEMPLATE_BYTES_MAX} bytes")]
    Long,
    /// Depth of folders above the maximum.
    #[error("more than {FOLDERS_MAX} nested folders")]
    Deep,
    /// Brace without its counterpart.
    #[error(
        "character {at} is a single brace: fields are written {{index}}, and a brace cannot be part of a file name"
    )]
    Brace {
        /// Position of the character, from 1.
        at: usize,
    },
    /// Character that a file name should not contain.
    #[error("`{}` cannot be part of the name: use letters, digits, `-`, `_`, `/` for folders, and fields such as {{index}}", escape(&.0.to_string()))]
    Character(char),
    /// Dot, which would look like the beginning of an extension.
    #[error("a name has no dots, and the image's own extension is added automatically: leave out `{}`", escape(.0))]
    Dot(String),
    /// Text after the colon that is not a width.
    #[error("`{{{}}}`: after the colon comes a number, as in {{index:06}}, which pads with zeros, or {{slug:40}}, which truncates", escape(.0))]
    Width(String),
    /// Field that is neither built in nor a column of the manifest.
    #[error("there is no field {{{}}}{}; the fields are {}{}", escape(.name), guess(.nearest.as_deref()), NameField::words(), also(.columns))]
    Unknown {
        /// Name as it was written.
        name: String,
        /// Name that was probably meant; `None` if no name is close.
        nearest: Option<String>,
        /// Columns of the manifest.
        columns: Vec<String>,
    },
}

fn guess(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", perhaps {{{}}}", escape(name)))
}

fn also(columns: &[String]) -> String {
    let names: Vec<_> = columns.iter().take(20).map(|name| format!("{{{}}}", escape(name))).collect();
    if names.is_empty() { String::new() } else { format!(", and of this manifest {}", names.join(" ")) }
}

impl Default for NameTemplate {
    fn default() -> Self {
        DEFAULT.parse().expect("our own template is well formed")
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for NameTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::Long);
        }
        let mut parts = vec![Part::new()];
        let mut chars = (1..).zip(text.chars());
        while let Some((at, c)) = chars.next() {
            let part = parts.last_mut().expect("there is always one");
            match c {
                '{' => {
                    let inside: Vec<char> = chars.by_ref().map(|(_, c)| c).take_while(|c| *c != '}').collect();
                    let n_read = inside.len() + 1;
                    // The closing brace may be missing. In that case everything was read.
                    let is_closed = text.chars().nth(at - 1 + n_read) == Some('}');
                    if !is_closed || inside.contains(&'{') {
                        return Err(TemplateError::Brace { at });
                    }
                    let inside = String::from_iter(inside);
                    let field = FieldRef::parse(&inside).ok_or(TemplateError::Width(inside))?;
                    part.push(NameSegment::Value(field));
                }
                '}' => return Err(TemplateError::Brace { at }),
                '/' => parts.push(Part::new()),
                '.' => return Err(TemplateError::Dot(text.chars().skip(at - 1).collect())),
                c if c.is_alphanumeric() || matches!(c, '-' | '_') => match part.last_mut() {
                    Some(NameSegment::Text(text)) => text.push(c),
                    _ => part.push(NameSegment::Text(c.into())),
                },
                c => return Err(TemplateError::Character(c)),
            }
        }
        if parts.iter().any(Vec::is_empty) {
            return Err(TemplateError::Nameless);
        }
        let stem = parts.pop().expect("there is always one");
        if parts.len() > FOLDERS_MAX {
            return Err(TemplateError::Deep);
        }
        Ok(Self { text: text.to_owned(), folders: parts, stem })
    }
}

impl NameTemplate {
    /// Checks that every field is built in or one of these columns.
    pub fn check(&self, columns: &[String]) -> Result<(), TemplateError> {
        let parts = self.folders.iter().chain([&self.stem]);
        for piece in parts.flatten() {
            if let NameSegment::Value(FieldRef { field: NameField::Column(name), .. }) = piece
                && !columns.contains(name)
            {
                let (name, columns) = (name.clone(), columns.to_vec());
                return Err(TemplateError::Unknown { nearest: NameField::nearest(&name, &columns), name, columns });
            }
        }
        Ok(())
    }

    /// Returns whether no two jobs get the same name. Other templates never cause overwriting either: the later file gets its job's id as a
    /// suffix.
    pub fn tells_apart(&self) -> bool {
        let mut pieces = self.folders.iter().flatten().chain(&self.stem);
        pieces.any(|piece| {
            matches!(piece, NameSegment::Value(FieldRef { field: NameField::Index | NameField::TaskId, .. }))
        })
    }

    /// Returns the name of the `nth` image (from 1) with this provenance.
    pub fn name(&self, origin: Provenance, nth: usize) -> ImageName {
        if self.text == DEFAULT {
            return ImageName::new(origin, nth);
        }
        let stem = written(&self.stem, &origin);
        let folder = match self.folders.as_slice() {
            [] => folder(origin.job.index),
            folders => folders.iter().fold("images".to_owned(), |path, part| {
                let folder = clean(written(part, &origin).chars(), |c| c == '_', STEM_BYTES_MAX);
                let is_kept = !folder.is_empty() && !is_device(&folder);
                if is_kept { format!("{path}/{folder}") } else { format!("{path}/_{folder}") }
            }),
        };
        ImageName::with_stem(folder, &stem, origin, nth)
    }
}

/// Returns the text of a folder or stem for this job. If it is too long, the longest value is cut, so that an index at the end stays.
fn written(part: &[NameSegment], origin: &Provenance) -> String {
    let mut texts: Vec<(bool, String)> = part
        .iter()
        .map(|piece| match piece {
            NameSegment::Text(text) => (false, text.clone()),
            NameSegment::Value(value) => (true, value.of(origin)),
        })
        .collect();
    loop {
        let n_bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
        let longest = texts.iter_mut().filter(|(is_value, _)| *is_value).max_by_key(|(_, text)| text.len());
        match longest {
            Some((_, text)) if n_bytes > STEM_BYTES_MAX && !text.is_empty() => {
                let bytes_max = text.len().saturating_sub(n_bytes - STEM_BYTES_MAX);
                *text = cut(text, usize::MAX, bytes_max).to_owned();
            }
            _ => return texts.into_iter().map(|(_, text)| text).collect(),
        }
    }
}
