//! Documented image sizes of model families: a size outside them causes a warning, never a refusal.
//!
//! The API decides what is valid. Models and limits change, so a family is recognised by name only, and an unknown model causes no
//! warning.

use std::ops::RangeInclusive;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::value::shown_text;
use crate::model::request::{Request, Size};

/// Models with the same limits.
struct Family {
    name: &'static str,
    /// Patterns in the names of the models: consecutive words. The last word may be the beginning of a longer word.
    marks: &'static [&'static str],
    /// Range of a side in pixels.
    side: RangeInclusive<u32>,
}

/// Families from the documentation of ModelScope's API-Inference.
const FAMILIES: [Family; 4] = [
    Family { name: "Qwen-Image", marks: &["-qwen-image-"], side: 64..=1664 },
    Family { name: "Z-Image-Turbo", marks: &["-z-image-turbo-"], side: 512..=2048 },
    Family { name: "FLUX", marks: &["-flux-", "-flux1", "-flux2"], side: 64..=1024 },
    Family {
        name: "Stable Diffusion",
        marks: &["-stable-diffusion-", "-sd-", "-sd1", "-sd2", "-sd3", "-sdxl"],
        side: 64..=2048,
    },
];

/// Returns a warning if the documentation of `model` does not include the requested size. `None` if there is no doubt.
pub(super) fn doubt(model: &str, request: &Request) -> Option<Issue> {
    let Size { width, height } = request.size?;
    let Family { name, side, .. } = family(model)?;
    if side.contains(&width) && side.contains(&height) {
        return None;
    }
    let (low, high) = (side.start(), side.end());
    let what = format!(
        "`size` is {width}x{height}, and {name} models such as {} are documented to accept sides of {low} to {high} pixels",
        shown_text(model)
    );
    Some(wrong(what, "stay within that, or try it with one image first"))
}

fn family(model: &str) -> Option<&'static Family> {
    let name = model.rsplit('/').next().unwrap_or(model).to_lowercase();
    let words: Vec<_> = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let name = format!("-{}-", words.join("-"));
    FAMILIES.iter().find(|family| family.marks.iter().any(|mark| name.contains(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubtful(model: &str, width: u32, height: u32) -> bool {
        let size = Some(Size { width, height });
        doubt(model, &Request { model: model.into(), size, ..Request::default() }).is_some()
    }

    #[test]
    fn families_are_known_by_the_names_of_their_models() {
        for (model, name) in [
            ("Qwen/Qwen-Image", Some("Qwen-Image")),
            ("Qwen/Qwen-Image-Edit-2509", Some("Qwen-Image")),
            ("qwen/qwen_image", Some("Qwen-Image")),
            ("Qwen/Qwen2.5-VL", None),
            ("Tongyi-MAI/Z-Image-Turbo", Some("Z-Image-Turbo")),
            ("Tongyi-MAI/Z-Image", None),
            ("black-forest-labs/FLUX.1-Krea-dev", Some("FLUX")),
            ("MusePublic/489_ckpt_FLUX_1", Some("FLUX")),
            ("someone/flux1-schnell", Some("FLUX")),
            ("flux-fans/other", None),
            ("someone/influx", None),
            ("someone/fluxional", None),
            ("stabilityai/stable-diffusion-xl-base-1.0", Some("Stable Diffusion")),
            ("MusePublic/42_ckpt_SD_XL", Some("Stable Diffusion")),
            ("someone/sdxl-lightning", Some("Stable Diffusion")),
            ("someone/sd3.5-large", Some("Stable Diffusion")),
            ("someone/sdk", None),
            ("", None),
        ] {
            assert_eq!(family(model).map(|family| family.name), name, "{model}");
        }
    }

    #[test]
    fn sizes_at_the_documented_ends_are_not_doubted_and_those_beyond_are() {
        for (model, low, high) in [
            ("Qwen/Qwen-Image", 64, 1664),
            ("Tongyi-MAI/Z-Image-Turbo", 512, 2048),
            ("black-forest-labs/FLUX.1-dev", 64, 1024),
            ("stabilityai/sdxl-turbo", 64, 2048),
        ] {
            assert!(!doubtful(model, low, high) && !doubtful(model, high, low), "{model}");
            assert!(doubtful(model, low - 1, high) && doubtful(model, high, low - 1), "{model}");
            assert!(doubtful(model, high + 1, low) && doubtful(model, low, high + 1), "{model}");
        }
        assert!(!doubtful("someone/new-model", 1, 100_000));
        assert_eq!(doubt("Qwen/Qwen-Image", &Request::default()), None);
    }

    #[test]
    fn a_doubt_names_the_model_and_what_it_takes() {
        let size = Some(Size { width: 2048, height: 1024 });
        let Issue { what, remedy } =
            doubt("Qwen/Qwen-Image", &Request { size, ..Request::default() }).expect("it is too wide");
        assert_eq!(
            what,
            "`size` is 2048x1024, and Qwen-Image models such as `Qwen/Qwen-Image` are documented to accept sides of 64 to 1664 pixels"
        );
        assert_eq!(remedy, "stay within that, or try it with one image first");
    }
}
