//! Typed value of one table field, so that CSV, JSON and Arrow show the same value.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::num::NonZeroU8;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value as Json, json};
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

use crate::model::request::{Json as Given, Request};
use crate::model::time::Timestamp;

/// Value of one field, or none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CellValue<'a> {
    /// No value: an empty field in CSV, `null` in JSON and Arrow.
    None,
    /// Text, unchanged.
    Text(Cow<'a, str>),
    /// Integer, never negative.
    Whole(u64),
    /// Floating-point number.
    Real(f64),
    /// Point in time, in UTC with millisecond precision.
    Time(Timestamp),
    /// Duration in seconds, with millisecond precision.
    Span(Duration),
    /// JSON array or object.
    Nested(Json),
}

impl<'a> CellValue<'a> {
    /// Returns the text as a value, or `CellValue::None` for `None`.
    pub(crate) fn text_of(text: Option<&'a str>) -> Self {
        text.map_or(Self::None, |text| Self::Text(text.into()))
    }

    /// Returns the integer as a value, or `CellValue::None` for `None`.
    pub(crate) fn whole_of<T: Into<u64>>(number: Option<T>) -> Self {
        number.map_or(Self::None, |number| Self::Whole(number.into()))
    }

    /// Formats the value for a text table such as CSV.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::None => "".into(),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Whole(number) => number.to_string().into(),
            Self::Real(number) => number.to_string().into(),
            Self::Time(at) => rfc3339(*at).into(),
            Self::Span(span) => format!("{:.3}", span.as_secs_f64()).into(),
            Self::Nested(json) => json.to_string().into(),
        }
    }
}

impl Serialize for CellValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Whole(number) => serializer.serialize_u64(*number),
            Self::Real(number) => serializer.serialize_f64(*number),
            Self::Time(at) => serializer.serialize_str(&rfc3339(*at)),
            Self::Span(span) => serializer.serialize_f64(seconds(*span)),
            Self::Nested(json) => json.serialize(serializer),
        }
    }
}

/// Serializes as one JSON object: the field names, and a value for each.
pub(crate) struct NamedValues<'a>(pub &'a [String], pub &'a [CellValue<'a>]);

impl Serialize for NamedValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().zip(self.1).try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

/// Converts a duration to seconds, truncated to milliseconds, so that the number reads as it was measured.
pub(crate) fn seconds(span: Duration) -> f64 {
    // A span of a few thousand years has fewer milliseconds than a float can distinguish.
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

/// Returns the fields of a request that are lists or objects, in the order of [`NESTED`]. A field that the request does
/// not set is `CellValue::None`.
pub(crate) fn nested(request: &Request) -> [CellValue<'static>; 3] {
    let Request { image_url, loras, params, .. } = request;
    let given = |is_given: bool, json: Json| if is_given { CellValue::Nested(json) } else { CellValue::None };
    let loras_json = loras.iter().map(|lora| json!({ "repo": lora.repo, "weight": lora.weight })).collect();
    let param = |(name, Given(text)): (&String, &Given)| {
        // The ledger stores text that was valid JSON when the manifest was imported.
        (name.clone(), serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone())))
    };
    [
        given(!image_url.is_empty(), json!(image_url)),
        given(!loras.is_empty(), loras_json),
        given(!params.is_empty(), Json::Object(params.iter().map(param).collect())),
    ]
}

/// Names of the fields that [`nested`] returns.
pub(crate) const NESTED: [&str; 3] = ["image_url", "loras", "params"];

const MILLIS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// Formats a time as RFC 3339, in UTC with milliseconds. Returns an empty string for a year of five digits, which
/// RFC 3339 cannot express.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.millis()) * 1_000_000);
    time.ok().and_then(|time| time.format(&Iso8601::<MILLIS>).ok()).unwrap_or_default()
}

/// Formats bytes as lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes any text");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Lora;

    #[test]
    fn a_value_reads_the_same_in_a_table_and_in_json() {
        let table = [
            (CellValue::None, "", "null"),
            (CellValue::Text("a \"cat\"\n猫 🐈".into()), "a \"cat\"\n猫 🐈", r#""a \"cat\"\n猫 🐈""#),
            (CellValue::Whole(u64::MAX), "18446744073709551615", "18446744073709551615"),
            (CellValue::Real(3.5), "3.5", "3.5"),
            (CellValue::Real(4.0), "4", "4.0"),
            (CellValue::Time(Timestamp::from_millis(7)), "1970-01-01T00:00:00.007Z", r#""1970-01-01T00:00:00.007Z""#),
            (CellValue::Span(Duration::from_millis(1200)), "1.200", "1.2"),
            (CellValue::Nested(json!([1, {"a": null}])), r#"[1,{"a":null}]"#, r#"[1,{"a":null}]"#),
        ];
        for (value, text, json) in table {
            assert_eq!((value.text(), serde_json::to_string(&value).unwrap()), (text.into(), json.to_owned()));
        }
    }

    #[test]
    fn lists_and_objects_of_a_request_are_given_as_they_were() {
        assert_eq!(nested(&Request::default()), [const { CellValue::None }; 3]);
        let request = Request {
            image_url: vec!["https://a/b.png".into()],
            loras: vec![Lora { repo: "org/x".into(), weight: Some(0.5) }, Lora { repo: "y".into(), weight: None }],
            params: [("tiles".to_owned(), Given(r#"{"n":[1,2]}"#.into()))].into(),
            ..Request::default()
        };
        let texts = nested(&request).map(|value| value.text().into_owned());
        let loras = r#"[{"repo":"org/x","weight":0.5},{"repo":"y","weight":null}]"#;
        assert_eq!(texts, [r#"["https://a/b.png"]"#, loras, r#"{"tiles":{"n":[1,2]}}"#]);
    }
}
