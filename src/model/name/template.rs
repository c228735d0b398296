//! `--name`: what image files are called, in the user's words, checked before anything is sent.

use std::fmt;
use std::str::FromStr;

use crate::model::name::field::{Field, Value};
use crate::model::name::slug::{STEM_BYTES_MAX, clean, cut, is_device};
use crate::model::name::{ImageName, folder};
use crate::model::origin::Origin;
use crate::model::text::escape;

/// What files are called if nobody says anything.
const DEFAULT: &str = "{index:06}-{slug}";

/// How long a template may be.
const TEMPLATE_BYTES_MAX: usize = 500;

/// Folders in one another.
const FOLDERS_MAX: usize = 8;

/// What image files are called: text, `{fields}`, and `/` between folders.
///
/// A name depends on the job and its task alone, so a resumed run names as the first did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    folders: Vec<Part>,
    stem: Part,
}

/// A folder or a stem.
type Part = Vec<Piece>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Value),
}

/// Why a template is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is nothing, or nothing before or between slashes.
    #[error("a folder or the file has no name: neither begin nor end with `/`, and write one `/` at a time")]
    Nameless,
    /// It is longer than anybody's.
    #[error("it is longer than {TEMPLATE_BYTES_MAX} bytes")]
    Long,
    /// Folders without end.
    #[error("more than {FOLDERS_MAX} folders in one another")]
    Deep,
    /// A brace without its other one.
    #[error("character {at} is a brace alone: fields are written {{index}}, and a brace cannot be part of a file name")]
    Brace {
        /// From 1.
        at: usize,
    },
    /// What no file name should hold.
    #[error("`{}` cannot be part of the name: use letters, digits, `-`, `_`, `/` for folders, and fields such as {{index}}", escape(&.0.to_string()))]
    Character(char),
    /// A dot would be taken for the beginning of an extension.
    #[error("a name holds no dot, and the image's own extension is added by itself: leave out `{}`", escape(.0))]
    Dot(String),
    /// What follows the colon is no width.
    #[error("`{{{}}}`: after the colon comes a number, as in {{index:06}}, which fills up with zeros, or {{slug:40}}, which cuts", escape(.0))]
    Width(String),
    /// No field of ours, and no column of the manifest.
    #[error("there is no field {{{}}}{}; the fields are {}{}", escape(.name), guess(.nearest.as_deref()), Field::words(), also(.columns))]
    Unknown {
        /// What was written.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
        /// The manifest's own columns.
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

impl Default for Template {
    fn default() -> Self {
        DEFAULT.parse().expect("our own template is well formed")
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Template {
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
                    // The closing brace may be missing; then everything was read.
                    let is_closed = text.chars().nth(at - 1 + n_read) == Some('}');
                    if !is_closed || inside.contains(&'{') {
                        return Err(TemplateError::Brace { at });
                    }
                    part.push(Piece::Value(Value::parse(&String::from_iter(inside))?));
                }
                '}' => return Err(TemplateError::Brace { at }),
                '/' => parts.push(Part::new()),
                '.' => return Err(TemplateError::Dot(text.chars().skip(at - 1).collect())),
                c if c.is_alphanumeric() || matches!(c, '-' | '_') => match part.last_mut() {
                    Some(Piece::Text(text)) => text.push(c),
                    _ => part.push(Piece::Text(c.into())),
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

impl Template {
    /// Whether every field is one of ours or one of these columns.
    pub fn check(&self, columns: &[String]) -> Result<(), TemplateError> {
        let parts = self.folders.iter().chain([&self.stem]);
        for piece in parts.flatten() {
            if let Piece::Value(Value { field: Field::Column(name), .. }) = piece
                && !columns.contains(name)
            {
                let (name, columns) = (name.clone(), columns.to_vec());
                return Err(TemplateError::Unknown { nearest: Field::nearest(&name, &columns), name, columns });
            }
        }
        Ok(())
    }

    /// Whether no two jobs get the same name. Others never overwrite each other either: the later one gets its job's id behind it.
    pub fn tells_apart(&self) -> bool {
        let mut pieces = self.folders.iter().flatten().chain(&self.stem);
        pieces.any(|piece| matches!(piece, Piece::Value(Value { field: Field::Index | Field::TaskId, .. })))
    }

    /// The name of the `nth` image (from 1) of what came from there.
    pub fn name(&self, origin: Origin, nth: usize) -> ImageName {
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

/// What stands there for this job. Where it is too long, the longest value gives way, so that an index at the end stays.
fn written(part: &[Piece], origin: &Origin) -> String {
    let mut texts: Vec<(bool, String)> = part
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => (false, text.clone()),
            Piece::Value(value) => (true, value.of(origin)),
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
