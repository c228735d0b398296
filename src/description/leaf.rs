//! Variables of a description: what the leaves of a body and the values of headers may stand for.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::model::request::{Lora, Request, Size};

/// Variable in a body or a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// `$prompt`: the prompt.
    Prompt,
    /// `$model`: the model.
    Model,
    /// `$negative_prompt`: the negative prompt.
    NegativePrompt,
    /// `$size:WxH`: the size as `1024x768`.
    SizeWithX,
    /// `$size:W*H`: the size as `1024*768`.
    SizeWithStar,
    /// `$width`: the width, a number.
    Width,
    /// `$height`: the height, a number.
    Height,
    /// `$aspect_ratio`: width and height in lowest terms, as `4:3`.
    AspectRatio,
    /// `$seed`: the seed, a number.
    Seed,
    /// `$seed:text`: the seed as a text, for APIs that want it so.
    SeedText,
    /// `$steps`: the number of steps.
    Steps,
    /// `$guidance`: the guidance scale.
    Guidance,
    /// `$image_url`: the only source image as a text, or several as a list.
    ImageUrl,
    /// `$image_urls`: the source images as a list.
    ImageUrls,
    /// `$loras`: the only adapter as a text, or several as a map of their weights.
    Loras,
    /// `$submission_id`: the id of this submission, a UUID that is the same after a restart.
    SubmissionId,
    /// `$task_id`: the task that is polled.
    TaskId,
}

/// Values of the variables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// Request to submit; `None` for a poll.
    pub request: Option<&'a Request>,
    /// Id of the submission; `None` for a poll.
    pub submission_id: Option<&'a str>,
    /// Polled task; `None` for a submission.
    pub task_id: Option<&'a str>,
}

/// Error for a text that is not a [`Leaf`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a variable: choose one of {list}; for a text that begins with `$` write `$$`", list = Leaf::names())]
pub struct LeafError(String);

impl Leaf {
    /// All variables.
    pub const ALL: [Self; 17] = [
        Self::Prompt,
        Self::Model,
        Self::NegativePrompt,
        Self::SizeWithX,
        Self::SizeWithStar,
        Self::Width,
        Self::Height,
        Self::AspectRatio,
        Self::Seed,
        Self::SeedText,
        Self::Steps,
        Self::Guidance,
        Self::ImageUrl,
        Self::ImageUrls,
        Self::Loras,
        Self::SubmissionId,
        Self::TaskId,
    ];

    /// Returns the name of the variable, with its `$`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prompt => "$prompt",
            Self::Model => "$model",
            Self::NegativePrompt => "$negative_prompt",
            Self::SizeWithX => "$size:WxH",
            Self::SizeWithStar => "$size:W*H",
            Self::Width => "$width",
            Self::Height => "$height",
            Self::AspectRatio => "$aspect_ratio",
            Self::Seed => "$seed",
            Self::SeedText => "$seed:text",
            Self::Steps => "$steps",
            Self::Guidance => "$guidance",
            Self::ImageUrl => "$image_url",
            Self::ImageUrls => "$image_urls",
            Self::Loras => "$loras",
            Self::SubmissionId => "$submission_id",
            Self::TaskId => "$task_id",
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Returns the field of a manifest that the variable carries; `None` for ids.
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::Prompt => Some("prompt"),
            Self::Model => Some("model"),
            Self::NegativePrompt => Some("negative_prompt"),
            Self::SizeWithX | Self::SizeWithStar | Self::Width | Self::Height | Self::AspectRatio => Some("size"),
            Self::Seed | Self::SeedText => Some("seed"),
            Self::Steps => Some("steps"),
            Self::Guidance => Some("guidance"),
            Self::ImageUrl | Self::ImageUrls => Some("image_url"),
            Self::Loras => Some("loras"),
            Self::SubmissionId | Self::TaskId => None,
        }
    }

    /// Returns the value of the variable; `None` if it is not given.
    pub fn value(self, given: &Given<'_>) -> Option<Value> {
        match self {
            Self::SubmissionId => given.submission_id.map(|id| json!(id)),
            Self::TaskId => given.task_id.map(|id| json!(id)),
            _ => self.of_request(given.request?),
        }
    }

    fn of_request(self, request: &Request) -> Option<Value> {
        let Request { prompt, model, negative_prompt, size, seed, steps, guidance, image_url, loras, .. } = request;
        match self {
            Self::Prompt => Some(json!(prompt)),
            Self::Model => (!model.is_empty()).then(|| json!(model)),
            Self::NegativePrompt => negative_prompt.as_ref().map(|text| json!(text)),
            Self::SizeWithX => size.map(|size| json!(size.to_string())),
            Self::SizeWithStar => size.map(|Size { width, height }| json!(format!("{width}*{height}"))),
            Self::Width => size.map(|size| json!(size.width)),
            Self::Height => size.map(|size| json!(size.height)),
            Self::AspectRatio => size.map(|size| json!(aspect_ratio(size))),
            Self::Seed => seed.map(|seed| json!(seed)),
            Self::SeedText => seed.map(|seed| json!(seed.to_string())),
            Self::Steps => steps.map(|steps| json!(steps)),
            Self::Guidance => guidance.map(|guidance| json!(guidance)),
            Self::ImageUrl => match image_url.as_slice() {
                [] => None,
                [one] => Some(json!(one)),
                all => Some(json!(all)),
            },
            Self::ImageUrls => (!image_url.is_empty()).then(|| json!(image_url)),
            Self::Loras => match loras.as_slice() {
                [] => None,
                [Lora { repo, weight: None }] => Some(json!(repo)),
                all => Some(all.iter().map(|lora| (lora.repo.clone(), json!(lora.weight.unwrap_or(1.0)))).collect()),
            },
            Self::SubmissionId | Self::TaskId => None,
        }
    }
}

/// Returns width and height in lowest terms, as `16:9`.
pub fn aspect_ratio(Size { width, height }: Size) -> String {
    let (mut a, mut b) = (width, height);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = a.max(1);
    format!("{}:{}", width / divisor, height / divisor)
}

impl FromStr for Leaf {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        Self::ALL.into_iter().find(|leaf| leaf.name() == text).ok_or_else(|| LeafError(text.to_owned()))
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_in_lowest_terms() {
        for (width, height, ratio) in
            [(1024, 768, "4:3"), (1920, 1080, "16:9"), (512, 512, "1:1"), (1023, 1024, "1023:1024")]
        {
            assert_eq!(aspect_ratio(Size { width, height }), ratio);
        }
    }

    #[test]
    fn an_unknown_variable_is_refused_with_the_known_ones() {
        for text in ["$size", "$Prompt", "$size:wxh", "$promt", "$", "prompt"] {
            let words = text.parse::<Leaf>().unwrap_err().to_string();
            assert!(words.contains("$prompt") && words.contains("$$"), "{words}");
        }
    }
}
