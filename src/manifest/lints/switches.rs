//! Switches of other programs at the end of a prompt, such as `--ar 16:9 --v 6` or `--steps 20 --cfg_scale 7`.

use crate::manifest::lints::text_rule::SeenText;

/// Switches of Midjourney and of the web UI, in lower case.
const SWITCHES: [&str; 56] = [
    "ar",
    "aspect",
    "v",
    "version",
    "niji",
    "stylize",
    "s",
    "chaos",
    "c",
    "quality",
    "q",
    "no",
    "iw",
    "seed",
    "sameseed",
    "stop",
    "style",
    "tile",
    "weird",
    "w",
    "h",
    "repeat",
    "r",
    "sref",
    "sw",
    "cref",
    "cw",
    "oref",
    "ow",
    "p",
    "profile",
    "raw",
    "draft",
    "fast",
    "relax",
    "turbo",
    "hd",
    "test",
    "uplight",
    "upbeta",
    "steps",
    "cfg_scale",
    "cfg",
    "scale",
    "width",
    "height",
    "sampler_name",
    "sampler",
    "negative_prompt",
    "neg",
    "n",
    "batch_size",
    "n_iter",
    "tiling",
    "denoising_strength",
    "restore_faces",
];

/// Returns whether the text ends in switches: from the first switch on there is nothing but switches and their values.
pub(super) fn ends_in_switches(SeenText { text, .. }: SeenText<'_>) -> bool {
    // Searches for the two dashes first, because nearly all texts have none. Editors make one long dash of them.
    if !text.contains("--") && !text.contains('—') {
        return false;
    }
    let words = || text.split_whitespace().skip_while(|word| switch(word).is_none());
    let (mut n_switches, mut n_numbers) = (0, 0);
    // Counts the values that one switch may have. `--no` takes any number of words.
    let mut n_values_left = 0;
    for word in words() {
        match switch(word) {
            Some(name) if SWITCHES.contains(&name.to_lowercase().as_str()) => {
                n_switches += 1;
                n_numbers += usize::from(word.contains('='));
                n_values_left = if matches!(name, "no" | "neg" | "negative_prompt") { usize::MAX } else { 2 };
            }
            Some(_) => return false,
            None if n_values_left == 0 => return false,
            None => {
                n_values_left -= 1;
                n_numbers += usize::from(word.starts_with(|c: char| c.is_ascii_digit()));
            }
        }
    }
    // Wants a number or a second switch, because one bare switch may be meant, as in "a sign that says --no".
    n_switches > 1 || n_switches == 1 && n_numbers > 0
}

/// Returns whether the text has a switch of Midjourney that needs no number.
pub(super) fn has_switch(SeenText { text, .. }: SeenText<'_>) -> bool {
    const NAMES: [&str; 6] = ["no", "tile", "niji", "hd", "raw", "draft"];
    text.contains("--") && text.split_whitespace().filter_map(switch).any(|name| NAMES.contains(&name))
}

/// Returns the name of a switch.
fn switch(word: &str) -> Option<&str> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('—'))?;
    name.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| name.split_once('=').map_or(name, |(name, _)| name))
}
