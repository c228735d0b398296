//! Serialization of a run's output style as one JSON object in the ledger.

use serde_json::{Value, json};

use crate::model::outcome::ImageFormat;
use crate::model::output_options::{Conversion, OutputOptions, PostProcessing, Sidecar};

pub(super) fn style_text(style: &OutputOptions) -> String {
    let OutputOptions { naming, postprocess: PostProcessing { format, has_metadata, sidecar } } = style;
    json!({
        "name": naming.to_string(),
        "format": format.map(|format| format.to.extension()),
        "quality": format.map(|format| format.quality),
        "metadata": has_metadata,
        "sidecar": sidecar.map(Sidecar::extension),
    })
    .to_string()
}

/// Parses the style that [`style_text`] wrote; `None` if the text is damaged.
pub(crate) fn style_from(text: &str) -> Option<OutputOptions> {
    let value: Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| value.get(name).and_then(Value::as_str);
    let format = match word("format") {
        None => None,
        Some(extension) => {
            let quality = u8::try_from(value.get("quality")?.as_u64()?).ok()?.try_into().ok()?;
            Some(Conversion { to: ImageFormat::from_extension(extension)?, quality })
        }
    };
    let sidecar = match word("sidecar") {
        None => None,
        Some("txt") => Some(Sidecar::Txt),
        Some("json") => Some(Sidecar::Json),
        Some(_) => return None,
    };
    let has_metadata = value.get("metadata")?.as_bool()?;
    Some(OutputOptions {
        naming: word("name")?.parse().ok()?,
        postprocess: PostProcessing { format, has_metadata, sidecar },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_comes_back() {
        let quality = 90.try_into().unwrap();
        let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];
        let formats = formats.map(|to| Some(Conversion { to, quality })).into_iter().chain([None]);
        for format in formats {
            for sidecar in [None, Some(Sidecar::Txt), Some(Sidecar::Json)] {
                for has_metadata in [false, true] {
                    let postprocess = PostProcessing { format, has_metadata, sidecar };
                    let style = OutputOptions { naming: "{category}/{index}".parse().unwrap(), postprocess };
                    assert_eq!(style_from(&style_text(&style)), Some(style));
                }
            }
        }
        assert_eq!(style_from(&style_text(&OutputOptions::default())), Some(OutputOptions::default()));
        for damaged in
            ["", "{}", r#"{"name": "{", "metadata": true}"#, r#"{"name": "x", "metadata": true, "sidecar": "y"}"#]
        {
            assert_eq!(style_from(damaged), None, "{damaged}");
        }
    }
}
