//! Switches of other programs at the end of a prompt, such as `--ar 16:9 --v 6` or `--steps 20 --cfg_scale 7`.

use crate::manifest::lints::text_rule::SeenText;

/// Switches of Midjourney, of the web UI and of kohya's sample prompts, in lower case.
const SWITCHES: &str = "ar aspect v version niji stylize s chaos c quality q no iw seed sameseed stop style tile weird w h repeat r \
    sref sw cref cw oref ow p personalize profile raw draft fast relax turbo hd test uplight upbeta exp motion sv loop end video bs \
    creative stealth public \
    steps cfg_scale cfg scale width height sampler_name sampler negative_prompt negative neg n batch_size n_iter tiling \
    denoising_strength restore_faces size guidance guidance_scale \
    d l g ss fs f am cn ctr pr";

/// Switches that take any number of words.
const OF_WORDS: [&str; 5] = ["no", "neg", "n", "negative", "negative_prompt"];

/// Words that the value of another switch may have.
const VALUES_MAX: usize = 2;

/// Returns whether the text ends in switches: from the first switch on there is nothing but switches and their values, most of them
/// known ones.
pub(super) fn ends_in_switches(SeenText { text, .. }: SeenText<'_>) -> bool {
    // Searches for the dashes first, because nearly all texts have none. Editors make one long dash of two.
    if !text.contains("--") && !text.contains(LONG_DASHES) {
        return false;
    }
    let (mut n_known, mut n_unknown, mut n_numbers, mut n_values_left) = (0, 0, 0, 0);
    for word in text.split_whitespace().skip_while(|word| switch(word).is_none()) {
        match switch(word) {
            Some(name) => {
                let n = if is_known(name) { &mut n_known } else { &mut n_unknown };
                *n += 1;
                n_numbers += usize::from(is_known(name) && word.contains('='));
                n_values_left = if OF_WORDS.contains(&name) { usize::MAX } else { VALUES_MAX };
            }
            None if n_values_left == 0 => return false,
            None => {
                n_values_left -= 1;
                n_numbers += usize::from(word.starts_with(|c: char| c.is_ascii_digit()));
            }
        }
    }
    // Wants a number or a second switch, because one bare switch may be meant, as in "a sign that says --no".
    n_known >= n_unknown && (n_known > 1 || n_known == 1 && n_numbers > 0)
}

fn is_known(name: &str) -> bool {
    let name = name.to_lowercase();
    SWITCHES.split_whitespace().any(|other| other == name)
}

/// Returns whether the text has a switch of Midjourney that needs no number.
pub(super) fn has_switch(SeenText { text, .. }: SeenText<'_>) -> bool {
    const NAMES: [&str; 6] = ["no", "tile", "niji", "hd", "raw", "draft"];
    text.contains("--") && text.split_whitespace().filter_map(switch).any(|name| NAMES.contains(&name))
}

/// Long dashes that editors and Chinese input methods write for two short ones.
const LONG_DASHES: [char; 2] = ['—', '–'];

/// Returns the name of a switch.
fn switch(word: &str) -> Option<&str> {
    let name = word.strip_prefix("--").or_else(|| {
        let name = word.trim_start_matches(LONG_DASHES);
        (name.len() < word.len() && is_known(name)).then_some(name)
    })?;
    name.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| name.split_once('=').map_or(name, |(name, _)| name))
}
