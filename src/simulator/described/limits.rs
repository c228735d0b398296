//! Documented limits of a described API, as the service itself checks them.

use crate::description::leaf::aspect_ratio;
use crate::description::requests::{LimitRules, SizeRules};
use crate::model::request::Size;

/// Returns what is wrong with a request; `None` if it is within the limits.
pub(in crate::simulator) fn excess(
    rules: &LimitRules,
    model: &str,
    prompt: &str,
    seed: Option<u64>,
    size: Option<Size>,
) -> Option<String> {
    let n_chars = prompt.chars().count() as u64;
    if let Some(max) = rules.prompt_chars_max.filter(|max| n_chars > u64::from(*max)) {
        return Some(format!("the prompt must have at most {max} characters"));
    }
    if let Some(max) = rules.seed_max.filter(|max| seed.is_some_and(|seed| seed > *max)) {
        return Some(format!("the seed must be at most {max}"));
    }
    size.and_then(|size| size_excess(rules.size_of(model).0, size))
}

/// Returns what is wrong with a size. The order of the fields in [`SizeRules`] is kept.
fn size_excess(rules: &SizeRules, size: Size) -> Option<String> {
    let Size { width, height } = size;
    let (short, long) = (width.min(height), width.max(height));
    let area = u64::from(width) * u64::from(height);
    let refuse = |is_wrong: bool, words: String| is_wrong.then(|| format!("the size {size} {words}"));
    let by = |limit: Option<u32>, is_wrong: &dyn Fn(u32) -> bool, words: &str| {
        limit.and_then(|limit| refuse(is_wrong(limit), format!("{words} {limit}")))
    };
    let by_area = |limit: Option<u64>, is_wrong: &dyn Fn(u64) -> bool, words: &str| {
        limit.and_then(|limit| refuse(is_wrong(limit), format!("{words} {limit}")))
    };
    by(rules.multiple, &|n| n > 0 && !(width.is_multiple_of(n) && height.is_multiple_of(n)), "must be a multiple of")
        .or_else(|| by(rules.side_min, &|min| short < min, "has a side shorter than"))
        .or_else(|| by(rules.side_max, &|max| long > max, "has a side longer than"))
        .or_else(|| by_area(rules.area_min, &|min| area < min, "has fewer pixels than"))
        .or_else(|| by_area(rules.area_max, &|max| area > max, "has more pixels than"))
        .or_else(|| by(rules.ratio_max, &|max| long > short.saturating_mul(max), "has a ratio above"))
        .or_else(|| {
            let is_listed = rules.list.is_empty() || rules.list.iter().any(|listed| listed.0 == size);
            refuse(!is_listed, "is not supported".to_owned())
        })
        .or_else(|| {
            let is_listed = rules.ratios.is_empty() || rules.ratios.contains(&aspect_ratio(size));
            refuse(!is_listed, "has a ratio that is not supported".to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rules: &str, size: &str) -> Option<String> {
        let rules: LimitRules = serde_yaml::from_str(rules).unwrap();
        excess(&rules, "org/Flux-dev", "a cat", Some(8), size.parse().ok())
    }

    #[test]
    fn every_limit_refuses_what_is_beyond_it_and_nothing_else() {
        for (rules, good, bad, words) in [
            ("size: {multiple: 16}", "64x32", "64x33", "multiple of 16"),
            ("size: {side_min: 64}", "64x64", "63x64", "shorter than 64"),
            ("size: {side_max: 64}", "64x64", "64x65", "longer than 64"),
            ("size: {area_min: 100}", "10x10", "9x11", "fewer pixels than 100"),
            ("size: {area_max: 100}", "10x10", "10x11", "more pixels than 100"),
            ("size: {ratio_max: 3}", "10x30", "10x31", "ratio above 3"),
            ("size: {list: [64x32]}", "64x32", "32x64", "not supported"),
            ("size: {ratios: ['1:2']}", "32x64", "64x32", "not supported"),
            ("models: [{name: F, contains: flux, size: {side_max: 64}}]", "64x64", "64x65", "longer than 64"),
        ] {
            assert_eq!(told(rules, good), None, "{rules}");
            let told = told(rules, bad).unwrap();
            assert!(told.contains(words), "{told}");
        }
        assert!(told("seed_max: 7", "1x1").unwrap().contains("at most 7"));
        assert!(told("prompt_chars_max: 4", "1x1").unwrap().contains("at most 4 characters"));
        assert_eq!(told("{prompt_chars_max: 5, seed_max: 8}", "1x1"), None);
    }
}
