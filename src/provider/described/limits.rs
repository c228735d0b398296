//! What a described API cannot do, reported before anything is sent: unsupported fields, and documented limits.

use crate::description::format::Description;
use crate::description::leaf::{Leaf, aspect_ratio};
use crate::description::requests::SizeRules;
use crate::model::escape::excerpt;
use crate::model::request::{Request, Size};
use crate::model::request_limits::{RequestDoubt, RequestRules};

/// Fields of a manifest that a description may leave out. A model that is not sent is a name for the one that the server runs.
const FIELDS: [&str; 8] = ["prompt", "negative_prompt", "size", "seed", "steps", "guidance", "image_url", "loras"];

/// Longest excerpt of a model's name in a message, in characters.
const MODEL_CHARS_MAX: usize = 40;

/// What a description says about the fields of a request.
#[derive(Debug)]
pub(crate) struct DescribedRules {
    api: &'static Description,
    /// Fields that no request sends.
    unsent: Vec<&'static str>,
    /// True if only the ratio of a size is sent.
    is_ratio_only: bool,
}

impl DescribedRules {
    /// Reads the rules of a description.
    pub(crate) fn new(api: &'static Description) -> Self {
        let unsent = FIELDS.into_iter().filter(|field| !api.submit.sends(field)).collect();
        let mut of_size =
            api.submit.leaves().into_iter().map(|(_, leaf)| leaf).filter(|leaf| leaf.field() == Some("size"));
        let is_ratio_only = !api.submit.sends("size") || of_size.all(|leaf| leaf == Leaf::AspectRatio);
        Self { api, unsent, is_ratio_only: is_ratio_only && api.submit.sends("size") }
    }

    /// Returns what is wrong with a size by the documented rules.
    fn size_doubt(&self, size: Size, model: &str) -> Option<RequestDoubt> {
        let (rules, family) = self.api.limits.size_of(model);
        let whose = family.map_or_else(
            || self.api.name.clone(),
            |family| format!("{family} models such as `{}`", excerpt(model, MODEL_CHARS_MAX)),
        );
        let broken = broken_rule(rules, size)?;
        let remedy = if rules.list.is_empty() && rules.ratios.is_empty() {
            "stay within that, or try it with one image first".to_owned()
        } else {
            "choose one of them, or try it with one image first".to_owned()
        };
        Some(RequestDoubt { what: format!("`size` is {size}, and {whose}: {broken}"), remedy })
    }
}

/// Returns the first rule that a size breaks, in words.
fn broken_rule(rules: &SizeRules, size: Size) -> Option<String> {
    let Size { width, height } = size;
    let (short, long) = (width.min(height), width.max(height));
    let area = u64::from(width) * u64::from(height);
    let ratio = aspect_ratio(size);
    if let Some(multiple) =
        rules.multiple.filter(|multiple| *multiple > 0 && !(width % multiple == 0 && height % multiple == 0))
    {
        return Some(format!("width and height are documented to be multiples of {multiple}"));
    }
    if let Some(min) = rules.side_min.filter(|min| short < *min) {
        return Some(format!("a side is documented to have at least {min} pixels"));
    }
    if let Some(max) = rules.side_max.filter(|max| long > *max) {
        return Some(format!("a side is documented to have at most {max} pixels"));
    }
    if let Some(min) = rules.area_min.filter(|min| area < *min) {
        return Some(format!("an image is documented to have at least {min} pixels, and this one has {area}"));
    }
    if let Some(max) = rules.area_max.filter(|max| area > *max) {
        return Some(format!("an image is documented to have at most {max} pixels, and this one has {area}"));
    }
    if let Some(max) = rules.ratio_max.filter(|max| long > short.saturating_mul(*max)) {
        return Some(format!("the longer side is documented to be at most {max} times the shorter one"));
    }
    if !rules.list.is_empty() && rules.list.iter().all(|listed| listed.0 != size) {
        let sizes: Vec<_> = rules.list.iter().map(|listed| listed.0.to_string()).collect();
        return Some(format!("the documented sizes are {}", sizes.join(", ")));
    }
    if !rules.ratios.is_empty() && !rules.ratios.contains(&ratio) {
        return Some(format!("its ratio is {ratio}, and the documented ratios are {}", rules.ratios.join(", ")));
    }
    None
}

impl RequestRules for DescribedRules {
    fn refusal(&self, request: &Request) -> Option<RequestDoubt> {
        let (name, _) = request.told().find(|(name, _)| self.unsent.contains(name))?;
        Some(RequestDoubt {
            what: format!(
                "`{name}` is given, and the API of {} has no such field: it would have no effect",
                self.api.name
            ),
            remedy: format!("remove `{name}`, or choose another provider with --provider"),
        })
    }

    fn prompt_doubt(&self, request: &Request) -> Option<RequestDoubt> {
        let limits = &self.api.limits;
        let n_chars_max = limits.prompt_chars_max.map_or(usize::MAX, |max| max as usize);
        // A text has at most as many characters as bytes.
        if request.prompt.len() > n_chars_max && request.prompt.chars().count() > n_chars_max {
            let n_chars = request.prompt.chars().count();
            let name = &self.api.name;
            let what = format!("the prompt has {n_chars} characters, and {name} is documented to take {n_chars_max}");
            return Some(RequestDoubt { what, remedy: "shorten it".to_owned() });
        }
        let max = limits.seed_max?;
        let seed = request.seed.filter(|seed| *seed > max)?;
        let what = format!("`seed` is {seed}, and {} is documented to take 0 to {max}", self.api.name);
        Some(RequestDoubt { what, remedy: "choose a smaller one".to_owned() })
    }

    fn size_doubt(&self, request: &Request) -> Option<RequestDoubt> {
        let size = request.size?;
        let by_rule = Self::size_doubt(self, size, &request.model);
        by_rule.or_else(|| {
            self.is_ratio_only.then(|| RequestDoubt {
                what: format!(
                    "`size` is {size}, and {} is told only its ratio, {}: the image may have another size",
                    self.api.name,
                    aspect_ratio(size)
                ),
                remedy: "expect the model's own size, or choose another provider".to_owned(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::parse::parse;
    use crate::provider::builtin::text;

    fn rules(name: &str) -> DescribedRules {
        DescribedRules::new(Box::leak(Box::new(parse(name, text(name).unwrap(), &text).unwrap())))
    }

    fn sized(model: &str, size: &str) -> Request {
        Request { prompt: "p".into(), model: model.into(), size: size.parse().ok(), ..Request::default() }
    }

    #[test]
    fn a_field_that_an_api_does_not_have_is_refused() {
        let openai = rules("openai");
        let with_seed = Request { seed: Some(0), ..sized("m", "1024x1024") };
        let refused = openai.refusal(&with_seed).unwrap();
        assert!(refused.what.contains("`seed` is given, and the API of openai has no such field"), "{}", refused.what);
        assert_eq!(openai.refusal(&sized("m", "1024x1024")), None);
        assert_eq!(rules("siliconflow").refusal(&with_seed), None);
        let negative = Request { negative_prompt: Some(String::new()), ..sized("m", "64x64") };
        assert!(rules("xai").refusal(&negative).is_some());
        assert_eq!(rules("sd-server").refusal(&sized("any", "64x64")), None, "a model is a name there");
        assert!(rules("aihorde").refusal(&with_seed).is_none(), "a seed is sent as a text");
    }

    #[test]
    fn documented_sizes_are_checked() {
        for (name, model, size, words) in [
            ("openai", "gpt-image-2", "1024x1000", Some("multiples of 16")),
            ("openai", "gpt-image-2", "4096x1024", Some("at most 3840 pixels")),
            ("openai", "gpt-image-2", "3840x3840", Some("at most 8294400 pixels")),
            ("openai", "gpt-image-2", "3072x512", Some("at most 3 times")),
            ("openai", "gpt-image-2", "1024x1536", None),
            ("ark", "doubao-seedream-4-5-251128", "1024x1024", Some("at least 3686400 pixels")),
            ("ark", "doubao-seedream-4-0-250828", "1024x1024", None),
            ("ark", "doubao-seedream-4-0-250828", "512x512", Some("Seedream 4.0 models")),
            ("gemini", "gemini-2.5-flash-image", "1024x1000", Some("its ratio is 128:125")),
            ("gemini", "gemini-2.5-flash-image", "1920x1080", Some("told only its ratio, 16:9")),
            ("runware", "runware:100@1", "64x64", Some("at least 128 pixels")),
            ("fal", "fal-ai/flux/dev", "1000x1001", None),
        ] {
            let doubt = RequestRules::size_doubt(&rules(name), &sized(model, size));
            assert_eq!(doubt.is_some(), words.is_some(), "{name} {size}: {doubt:?}");
            if let (Some(doubt), Some(words)) = (doubt, words) {
                assert!(doubt.what.contains(words) && doubt.what.contains(size), "{}", doubt.what);
            }
        }
    }

    #[test]
    fn long_prompts_and_large_seeds_are_told() {
        let stability = rules("stability");
        let long = Request { prompt: "猫".repeat(10_001), ..sized("core", "1024x1024") };
        assert!(stability.prompt_doubt(&long).unwrap().what.contains("10001 characters"));
        assert_eq!(stability.prompt_doubt(&Request { prompt: "猫".repeat(10_000), ..long.clone() }), None);
        let large = Request { prompt: "p".into(), seed: Some(4_294_967_295), ..long };
        assert!(stability.prompt_doubt(&large).unwrap().what.contains("`seed` is 4294967295"));
    }
}
