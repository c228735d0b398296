//! Captions of a dataset: one column, or a template such as `ohwx cat, {tags}`.

use crate::report::value::CellValue;

/// Parts that together make a caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaptionTemplate(Vec<CaptionPart>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum CaptionPart {
    Text(String),
    /// Value of the column with this index.
    Column(usize),
}

/// Error for a caption that no record can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptionError {
    /// Column that does not exist.
    #[error("no column {name:?} to take captions from; the columns are {}", known.join(", "))]
    UnknownColumn {
        /// Requested name.
        name: String,
        /// Names of the existing columns.
        known: Vec<String>,
    },
    /// Brace without its counterpart.
    #[error(
        "could not read the caption template {template:?}: a `{brace}` has no counterpart; write a column as `{{prompt}}`, and a \
         brace as `{brace}{brace}`"
    )]
    LoneBrace {
        /// Text of the template.
        template: String,
        /// Opening or closing brace.
        brace: char,
    },
}

impl CaptionTemplate {
    /// Reads the name of a column, or a template with names of columns in braces. `find` returns the index of a column, and `known`
    /// are the names to choose from.
    pub(super) fn new(
        text: &str,
        find: impl Fn(&str) -> Option<usize>,
        known: &[String],
    ) -> Result<Self, CaptionError> {
        let column = |name: &str| {
            let unknown = || CaptionError::UnknownColumn { name: name.to_owned(), known: known.to_vec() };
            find(name).or_else(|| find(name.trim())).ok_or_else(unknown)
        };
        if !text.contains(['{', '}']) || find(text).is_some() {
            return Ok(Self(vec![CaptionPart::Column(column(text)?)]));
        }
        let lone = |brace| CaptionError::LoneBrace { template: text.to_owned(), brace };
        let (mut parts, mut plain, mut rest) = (vec![], String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(behind) = from.strip_prefix("{{") {
                plain.push('{');
                rest = behind;
            } else if let Some(behind) = from.strip_prefix("}}") {
                plain.push('}');
                rest = behind;
            } else if let Some(inner) = from.strip_prefix('{') {
                let (name, behind) = inner.split_once('}').ok_or_else(|| lone('{'))?;
                if name.contains('{') {
                    return Err(lone('{'));
                }
                parts.push(CaptionPart::Text(std::mem::take(&mut plain)));
                parts.push(CaptionPart::Column(column(name)?));
                rest = behind;
            } else {
                return Err(lone('}'));
            }
        }
        parts.push(CaptionPart::Text(plain + rest));
        Ok(Self(parts))
    }

    /// Returns the caption for these values. A missing value is an empty text.
    pub(super) fn fill(&self, values: &[CellValue<'_>]) -> String {
        let mut caption = String::new();
        for part in &self.0 {
            match part {
                CaptionPart::Text(text) => caption.push_str(text),
                CaptionPart::Column(at) => caption.push_str(&values[*at].text()),
            }
        }
        caption
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption(text: &str) -> Result<String, String> {
        let known = ["tags".to_owned(), "seed".to_owned(), "a{b}".to_owned(), "}".to_owned()];
        let template = CaptionTemplate::new(text, |name| known.iter().position(|known| known == name), &known);
        let values =
            [CellValue::Text("cat, {red}".into()), CellValue::Whole(7), CellValue::Text("odd".into()), CellValue::None];
        template.map(|template| template.fill(&values)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_template_is_filled_with_columns() {
        for (text, expected) in [
            ("tags", "cat, {red}"),
            ("a{b}", "odd"),
            ("}", ""),
            ("ohwx, {tags}", "ohwx, cat, {red}"),
            ("{ tags }{seed}!", "cat, {red}7!"),
            ("{{{seed}}} {{seed}}", "{7} {seed}"),
            ("}}{{", "}{"),
        ] {
            assert_eq!(caption(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_mistake_in_a_template_is_named() {
        let mistakes = ["tag", "ohwx cat", "a {tag}", "{}", "{tags", "tags}", "{tags{seed}}"]
            .map(|text| caption(text).unwrap_err());
        insta::assert_snapshot!(mistakes.join("\n"), @r#"
        no column "tag" to take captions from; the columns are tags, seed, a{b}, }
        no column "ohwx cat" to take captions from; the columns are tags, seed, a{b}, }
        no column "tag" to take captions from; the columns are tags, seed, a{b}, }
        no column "" to take captions from; the columns are tags, seed, a{b}, }
        could not read the caption template "{tags": a `{` has no counterpart; write a column as `{prompt}`, and a brace as `{{`
        could not read the caption template "tags}": a `}` has no counterpart; write a column as `{prompt}`, and a brace as `}}`
        could not read the caption template "{tags{seed}}": a `{` has no counterpart; write a column as `{prompt}`, and a brace as `{{`
        "#);
    }
}
