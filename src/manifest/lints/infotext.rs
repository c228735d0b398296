//! Generation data of an image, as the web UI writes it below a prompt: `Steps: 20, Sampler: Euler a, CFG scale: 7`.

use crate::manifest::lints::text_rule::SeenText;

pub(super) fn is_infotext(SeenText { text, .. }: SeenText<'_>) -> bool {
    const NAMES: [&str; 5] = [", Sampler: ", ", CFG scale: ", ", Seed: ", ", Size: ", ", Model hash: "];
    let is_data = |line: &str| {
        line.starts_with("Negative prompt:")
            || line.strip_prefix("Steps: ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
                && NAMES.iter().any(|name| line.contains(name))
    };
    // Looks for a colon first, because most texts have none.
    text.contains(':') && text.lines().any(is_data)
}
