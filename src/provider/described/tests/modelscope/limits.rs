//! Tests of the documented limits on the parameters of a request.

use super::*;
use crate::model::request::{Request, Size};

fn doubtful(model: &str, width: u32, height: u32) -> bool {
    let size = Some(Size { width, height });
    DEFAULT.limits.doubt(&Request { model: model.into(), size, ..Request::default() }).is_some()
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
        assert_eq!(DEFAULT.limits.family(model).map(|family| family.name), name, "{model}");
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
}
