//! Misspelt names of fields: names that differ from a known one by a typing error, and that are no words of their own.

use crate::manifest::fields::field::Field;
use crate::manifest::fields::synonyms::{self, Meaning, certain_names};
use crate::manifest::fields::title_chars::{is_separator, joined};

/// Words near a name of a field, which people have as names of columns. Singular and plural forms need no row here.
const OWN_WORDS: [&str; 14] = [
    "see seen seem sees seek seer seep send sent shed sled sued sped speed steed seedy sewed sexed sede seda",
    "side site sized sizer seize sire sine sie sitze seid",
    "stops stems stews steep seeps",
    "mode modes modem modal motel morel modell modelo modele modeled modul moder",
    "with eight weight",
    "lords lores lorax loran lomas",
    "paras prams",
    "provide provided provides",
    "uri urn",
    "ship slip skin skit skid skim ski sip snip kip skis stip",
    "bath bach patch match catch watch",
    "radio ration patio valve sale stale scaled scare shale scape",
    "red res rel rep rev reg referenced controls sourced court county item inter tier",
    "math patches game same named test next texts sampled sampler in is it ix",
];

/// Shortest name that is compared, in letters.
const LETTERS_MIN: usize = 3;

/// Longest name that is compared, in bytes.
const BYTES_MAX: usize = 40;

/// Shortest synonym of a field that is compared, in letters. Shorter ones are near too many words.
const SYNONYM_LETTERS_MIN: usize = 6;

/// Letters from which a name may have two typing errors.
const LONG_LETTERS: usize = 12;

/// Returns what a name means if it is plainly a misspelt name of a field, here or in another program. `None` for a known name, and for a name
/// that has a word of its own.
pub(crate) fn meaning(title: &str) -> Option<Meaning> {
    let written = joined(title);
    let is_comparable = (LETTERS_MIN..=BYTES_MAX).contains(&written.len())
        && written.bytes().all(|byte| byte.is_ascii_lowercase())
        && synonyms::of(title).is_none()
        && !words(title).any(|word| OWN_WORDS.iter().any(|words| words.split(' ').any(|other| other == word)));
    if !is_comparable {
        return None;
    }
    let fields = Field::ALL.into_iter().map(|field| (joined(field.name()), Meaning::Field(field)));
    let fields = fields.filter(|(name, _)| name.len() > LETTERS_MIN);
    let sides = [("width".to_owned(), Meaning::Width), ("height".to_owned(), Meaning::Height)];
    let synonyms = certain_names().filter(|(name, _)| name.is_ascii() && name.len() >= SYNONYM_LETTERS_MIN);
    let synonyms = synonyms.map(|(name, means)| (name.to_owned(), means));
    let near = fields.chain(sides).chain(synonyms);
    let near = near.filter_map(|(name, means)| Some((n_slips(&written, &name)?, means)));
    near.min_by_key(|(n_slips, _)| *n_slips).filter(|(n_slips, _)| *n_slips > 0).map(|(_, means)| means)
}

/// Returns the number of typing errors; `None` if there are more than anyone makes, or if only the number of the noun differs.
fn n_slips(written: &str, name: &str) -> Option<usize> {
    let slips_max = if name.len() < LONG_LETTERS { 1 } else { 2 };
    let is_plural = |one: &str, many: &str| many.strip_suffix('s') == Some(one);
    if written.len().abs_diff(name.len()) > slips_max || is_plural(written, name) || is_plural(name, written) {
        return None;
    }
    // People seldom mistype the first letter, and most words that rhyme with a name are meant.
    let mut first = name.chars().take(2);
    if !first.any(|letter| written.starts_with(letter)) {
        return None;
    }
    Some(strsim::damerau_levenshtein(written, name)).filter(|n_slips| *n_slips <= slips_max)
}

/// Splits a name into words in lower case: at separators, and before a capital letter that follows a small one.
fn words(title: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in title.chars() {
        let is_separator = is_separator(c);
        if is_separator || was_small && c.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| !is_separator) {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase();
    }
    words.into_iter().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a name that is plainly mistyped is understood. Method: slips of each kind in fields and in names of other programs.
    #[test]
    fn slips_are_understood() {
        let field = Meaning::Field;
        for (written, means) in [
            ("promt", field(Field::Prompt)),
            ("propmt", field(Field::Prompt)),
            ("negativ_prompt", field(Field::NegativePrompt)),
            ("Negative Promt", field(Field::NegativePrompt)),
            ("negatve_promt", field(Field::NegativePrompt)),
            ("sed", field(Field::Seed)),
            ("esed", field(Field::Seed)),
            ("siez", field(Field::Size)),
            ("setps", field(Field::Steps)),
            ("modle", field(Field::Model)),
            ("guidence", field(Field::Guidance)),
            ("image_ulr", field(Field::ImageUrl)),
            ("lroas", field(Field::Loras)),
            ("parmas", field(Field::Params)),
            ("provder", field(Field::Provider)),
            ("skpi", field(Field::Skip)),
            ("widht", Meaning::Width),
            ("idth", Meaning::Width),
            ("heigth", Meaning::Height),
            ("guidence_scale", field(Field::Guidance)),
            ("cfg_scael", field(Field::Guidance)),
            ("num_inferance_steps", field(Field::Steps)),
            ("NumInferenceStpes", field(Field::Steps)),
            ("random-sed", field(Field::Seed)),
            ("aspect_ratoi", Meaning::AspectRatio),
            ("batch_szie", field(Field::N)),
            ("image_widht", Meaning::Width),
        ] {
            assert_eq!(meaning(written), Some(means), "{written}");
        }
    }

    /// Goal: the columns that people carry are left alone. Method: real names of columns of public datasets and of spreadsheets.
    #[test]
    fn columns_of_datasets_are_no_slips() {
        const NAMES: &str = "\
            id idx index text caption caption_2 captions label labels split source sources score scores nsfw punsafe \
            pwatermark seed_group seeds seed2 seen sees speed send sized sizes side site step stop stops stage model_2 \
            models mode modes modality motel modelo modell prompts prompt_2 prompt_id prompted promo negatives \
            positives provide provided providers image images image_id image_uri image_src image_side imageSide \
            image_path image_weight url uri key hash sha256 similarity aesthetic aesthetic_score language lang \
            category challenge note notes weight weights eight with wide widths heights ship skin slip skill lora lore \
            loss param paras params_2 guide guided batch batch_id patch_size match_count num_image n_tokens num_turns \
            ratio radio sample samples sample_id sampled timestep timesteps checkpoints epoch user user_name timestamp \
            part_id cfg clip_score model_hash width_cm type tags style status sd std see set seq sent sid sex size_cm \
            sector Modell Anmerkung n 种子数 提示 プロンプ TOTAL reference red_image model_id seed Seed num_inference_steps";
        for written in NAMES.split(' ') {
            assert_eq!(meaning(written), None, "{written}");
        }
    }
}
