//! Parameters inside objects, such as `body.size` of a request for another API: they are not sent unless the user maps them.

use serde_json::value::RawValue;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::option_titles::{as_option, listed};
use crate::manifest::fields::synonyms::{self, Meaning};
use crate::manifest::fields::title_chars::joined;
use crate::manifest::fields::value::shown_text;
use crate::manifest::formats::json_object::{self, RawPair};

/// Names of objects that hold parameters in requests for other programs, in lower case and without separators.
const CONTAINERS: &str = "body request requestbody payload input inputs modelinput modelinputs parameters parameter params param \
    settings options config extrabody extraparams extraparameters generation generationparams generationparameters \
    generationsettings generationoptions generationconfig generateparams generatekwargs genparams kwargs arguments args \
    imageparams imageconfig imagesettings sampling samplingparams instances";

/// Names of parameters that an object of any name may hold, and that hardly anything else is called.
const UNMISTAKABLE: [Field; 4] = [Field::NegativePrompt, Field::Seed, Field::Steps, Field::Guidance];

/// Returns whether the object of this name holds parameters: by its name, or because the prompt is read from inside it, by the name `prompt`.
pub(crate) fn is_container(name: &str, prompt: Option<&str>) -> bool {
    let has_prompt = || prompt.and_then(|prompt| prompt.strip_prefix(name)).is_some_and(|rest| rest.starts_with('.'));
    let is_known = |part: &str| CONTAINERS.split_whitespace().any(|other| other == joined(part));
    has_prompt() || name.split('.').all(is_known)
}

/// Returns the name inside such an object, as in `seed` of `input.seed`. `None` for another title.
pub(crate) fn inner<'a>(title: &'a str, prompt: Option<&str>) -> Option<&'a str> {
    let (outer, inner) = title.rsplit_once('.')?;
    (!inner.is_empty() && is_container(outer, prompt)).then_some(inner)
}

/// Returns the field that a name inside such an object means, if it is ours.
pub(crate) fn field(inner: &str) -> Option<Field> {
    Field::titled(inner).filter(|field| *field == Field::N || field.is_sent() && *field != Field::Provider)
}

/// Adds the values inside objects that options name, such as `body.prompt`.
pub(crate) fn add_named<'a>(pairs: &mut Vec<RawPair>, names: impl Iterator<Item = &'a str>) {
    for name in names.filter(|name| name.contains('.')) {
        if pairs.iter().any(|pair| pair.name == *name) {
            continue;
        }
        let mut keys = name.split('.');
        let mut found = keys.next().and_then(|key| value_of(pairs, key));
        for key in keys {
            found = found.and_then(|inside| value_of(&json_object::pairs(inside.get()).ok()?, key));
        }
        pairs.extend(found.map(|value| RawPair { name: name.to_owned(), value }));
    }
}

fn value_of<'a>(pairs: &[RawPair<'a>], key: &str) -> Option<&'a RawValue> {
    pairs.iter().find(|pair| pair.name == key).map(|pair| pair.value)
}

/// Returns the keys and values of an object, and of the objects with parameters inside it, by their names with dots.
pub(crate) fn pairs<'a>(outer: &str, value: &'a str, prompt: Option<&str>) -> Vec<RawPair<'a>> {
    let mut all = Vec::new();
    for RawPair { name, value } in json_object::pairs(value).unwrap_or_default() {
        let title = format!("{outer}.{name}");
        if value.get().starts_with('{') && is_container(&title, prompt) {
            all.extend(pairs(&title, value.get(), prompt));
        }
        all.push(RawPair { name: title, value });
    }
    all
}

/// Returns the warning about an object of the user's own that holds what only programs for images have.
pub(crate) fn warning(kind: &str, title: &str, value: &str) -> Option<Issue> {
    let is_parameter = |name: &str| match synonyms::of(name) {
        Some((Meaning::Field(field), is_certain)) => is_certain && UNMISTAKABLE.contains(&field),
        Some(_) => false,
        None => Field::titled(name).is_some_and(|field| UNMISTAKABLE.contains(&field)),
    };
    let pairs = json_object::pairs(value).unwrap_or_default();
    let found: Vec<_> = pairs.into_iter().map(|pair| pair.name).filter(|name| is_parameter(name)).collect();
    let first = found.first()?;
    let what =
        format!("the {kind} {} is carried through and not sent, with {} in it", shown_text(title), listed(&found));
    let (path, option) = (as_option(&format!("{title}.{first}")), as_option(title));
    Some(wrong(what, format!("add --map {path}=FIELD for each that is meant so, or --carry {option} if none is")))
}

/// Returns whether a cell is an object with parameters in it.
pub(crate) fn has_parameters(cell: &str) -> bool {
    let is_parameter =
        |name: &str| field(name).is_some() || synonyms::of(name).is_some_and(|(_, is_certain)| is_certain);
    cell.trim_start().starts_with('{')
        && json_object::pairs(cell).is_ok_and(|pairs| pairs.iter().any(|pair| is_parameter(&pair.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_with_parameters_are_looked_into() {
        for (title, expected) in [
            ("input.seed", Some("seed")),
            ("Body.Input.n", Some("n")),
            ("extra_body.cfg_scale", Some("cfg_scale")),
            ("job.size", Some("size")),
            ("product.size", None),
            ("meta.seed", None),
            ("body.product.size", None),
            ("Negative.Prompt", None),
            ("seed", None),
            ("input.", None),
        ] {
            assert_eq!(inner(title, Some("job.text")), expected, "{title}");
        }
        assert_eq!(inner("job.size", None), None);
    }

    #[test]
    fn objects_of_the_users_own_are_named_for_parameters_alone() {
        for (value, is_warned) in [
            (r#"{"seed":5}"#, true),
            (r#"{"cfg_scale":5,"a":1}"#, true),
            (r#"{"size":"L","model":"XPS","width":5,"id":1,"n":2}"#, false),
            (r#"{"notes":"seed"}"#, false),
            ("[1]", false),
        ] {
            assert_eq!(warning("key", "info", value).is_some(), is_warned, "{value}");
        }
    }
}
