//! Fields of a manifest, and the lookup of the field that a misspelt name means.

use crate::manifest::fields::title_chars::{joined, plain};

/// Known field of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Text that describes the image.
    Prompt,
    /// Text that describes what the image must not show.
    NegativePrompt,
    /// Provider that makes the image.
    Provider,
    /// Model of the provider.
    Model,
    /// Width and height in pixels.
    Size,
    /// Random seed.
    Seed,
    /// Number of sampling steps.
    Steps,
    /// Guidance scale.
    Guidance,
    /// Source images of an edit model.
    ImageUrl,
    /// Adapters with their weights.
    Loras,
    /// The user's own id of the entry.
    Id,
    /// Number of images.
    N,
    /// Further parameters that only the provider knows.
    Params,
    /// Whether the entry is to be left out.
    Skip,
}

impl Field {
    /// List of all fields, in the order in which a message lists them.
    pub(crate) const ALL: [Self; 14] = [
        Self::Prompt,
        Self::NegativePrompt,
        Self::Provider,
        Self::Model,
        Self::Size,
        Self::Seed,
        Self::Steps,
        Self::Guidance,
        Self::ImageUrl,
        Self::Loras,
        Self::Id,
        Self::N,
        Self::Params,
        Self::Skip,
    ];

    /// Returns the name of the field in a manifest.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::NegativePrompt => "negative_prompt",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Size => "size",
            Self::Seed => "seed",
            Self::Steps => "steps",
            Self::Guidance => "guidance",
            Self::ImageUrl => "image_url",
            Self::Loras => "loras",
            Self::Id => "id",
            Self::N => "n",
            Self::Params => "params",
            Self::Skip => "skip",
        }
    }

    /// Returns the field with exactly this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Returns the field of a column or key with this name. Case, width, and what separates the words do not count.
    pub(crate) fn titled(title: &str) -> Option<Self> {
        let title = joined(title);
        Self::ALL.into_iter().find(|field| joined(field.name()) == title)
    }

    /// Returns whether the field identifies one entry, and so cannot be shared by all entries.
    pub(crate) const fn is_of_one_entry(self) -> bool {
        match self {
            Self::Prompt | Self::Id | Self::Skip => true,
            Self::NegativePrompt
            | Self::Provider
            | Self::Model
            | Self::Size
            | Self::Seed
            | Self::Steps
            | Self::Guidance
            | Self::ImageUrl
            | Self::Loras
            | Self::N
            | Self::Params => false,
        }
    }

    /// Returns whether the field is part of the request, and so must not occur in `params` too.
    pub(crate) const fn is_sent(self) -> bool {
        match self {
            Self::Prompt
            | Self::NegativePrompt
            | Self::Provider
            | Self::Model
            | Self::Size
            | Self::Seed
            | Self::Steps
            | Self::Guidance
            | Self::ImageUrl
            | Self::Loras => true,
            Self::Id | Self::N | Self::Params | Self::Skip => false,
        }
    }
}

/// Name of the entry field whose parts are passed through to the results.
pub(crate) const META: &str = "meta";

/// Finds the one of `names` that differs from `written` by one or two typing errors.
pub(crate) fn misspelt<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = plain(written);
    let n_chars = written.chars().count();
    names
        .into_iter()
        // Limits the lengths: a comparison takes time and memory with the product of both. A misspelt name is never a megabyte long.
        .filter(|name| n_chars <= NAME_CHARS_MAX && n_chars.abs_diff(name.chars().count()) <= slips_max(name))
        .map(|name| (strsim::damerau_levenshtein(&written, &plain(name)), name))
        .filter(|(slips, name)| *slips <= slips_max(name))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// Longest name in characters that is compared.
const NAME_CHARS_MAX: usize = 100;

/// Returns how many typing errors leave a name recognisable: none in `id`, one in `size`, two in `guidance`.
fn slips_max(name: &str) -> usize {
    match name.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> impl Iterator<Item = &'static str> + Clone {
        Field::ALL.into_iter().map(Field::name)
    }

    #[test]
    fn every_field_is_found_by_its_name() {
        for field in Field::ALL {
            assert_eq!(Field::named(field.name()), Some(field));
        }
        assert_eq!(Field::named("Prompt"), None);
    }

    #[test]
    fn a_title_is_matched_freely() {
        for (title, field) in [
            ("Prompt", Some(Field::Prompt)),
            (" PROMPT ", Some(Field::Prompt)),
            ("Negative Prompt", Some(Field::NegativePrompt)),
            ("negative-prompt", Some(Field::NegativePrompt)),
            ("NegativePrompt", Some(Field::NegativePrompt)),
            ("image url", Some(Field::ImageUrl)),
            ("Negative.Prompt", Some(Field::NegativePrompt)),
            ("ｓｅｅｄ", Some(Field::Seed)),
            ("N", Some(Field::N)),
            ("N.", None),
            ("prompts", None),
            ("", None),
        ] {
            assert_eq!(Field::titled(title), field, "{title:?}");
        }
    }

    #[test]
    fn slips_are_understood() {
        for (written, meant) in [
            ("promt", "prompt"),
            ("propmt", "prompt"),
            ("prompts", "prompt"),
            ("Prompt ", "prompt"),
            ("negativ_prompt", "negative_prompt"),
            ("negative prompt", "negative_prompt"),
            ("Negative-Prompt", "negative_prompt"),
            ("modle", "model"),
            ("sise", "size"),
            ("sed", "seed"),
            ("step", "steps"),
            ("guidence", "guidance"),
            ("image_urls", "image_url"),
            ("lora", "loras"),
            ("ID", "id"),
            ("N", "n"),
            ("param", "params"),
        ] {
            assert_eq!(misspelt(written, known()), Some(meant), "{written}");
        }
    }

    #[test]
    fn what_is_too_long_for_a_name_is_not_compared() {
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        assert_eq!(misspelt(&long[1..], [&long[1..]]), Some(&long[1..]));
        assert_eq!(misspelt(&long, [&*long]), None);
    }
}
