//! Generation data of an image, as the web UI writes it below a prompt: `Steps: 20, Sampler: Euler a, CFG scale: 7`.

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::lints::text_rule::SeenText;

pub(super) fn is_infotext(SeenText { text, .. }: SeenText<'_>) -> bool {
    // Looks for a colon first, because most texts have none.
    text.contains(':') && text.lines().any(|line| line.starts_with("Negative prompt:") || is_data(line))
}

/// Returns the mistake for a negative prompt with the data below it.
pub(super) fn below_negative(text: &str) -> Option<Issue> {
    let has_data = text.contains(':') && text.lines().any(is_data);
    let what = format!("`{}` holds the generation data of an image too", Field::NegativePrompt.name());
    has_data.then(|| {
        wrong(what, "write a CSV or YAML manifest with a field for each of them; --verbatim sends it as it is")
    })
}

/// Returns whether a line begins with the number of steps and holds another parameter.
fn is_data(line: &str) -> bool {
    const NAMES: [&str; 5] = [", Sampler: ", ", CFG scale: ", ", Seed: ", ", Size: ", ", Model hash: "];
    let has_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    line.strip_prefix("Steps: ").is_some_and(has_number) && NAMES.iter().any(|name| line.contains(name))
}
