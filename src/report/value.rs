//! What stands in one field of a table: typed, so that CSV, JSON and Arrow say the same of it.

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

/// A value, or none.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// There is none: nothing in CSV, null elsewhere.
    None,
    /// Text as it is.
    Text(Cow<'a, str>),
    /// A whole number.
    Whole(u64),
    /// A number.
    Real(f64),
    /// A moment, in UTC and to the millisecond.
    Time(Timestamp),
    /// A span of time, in seconds and to the millisecond.
    Span(Duration),
    /// A list or an object.
    Nested(Json),
}

impl<'a> Value<'a> {
    /// Text, or none.
    pub fn text_of(text: Option<&'a str>) -> Self {
        text.map_or(Self::None, |text| Self::Text(text.into()))
    }

    /// A whole number, or none.
    pub fn whole_of<T: Into<u64>>(number: Option<T>) -> Self {
        number.map_or(Self::None, |number| Self::Whole(number.into()))
    }

    /// How a table of text shows it.
    pub fn text(&self) -> Cow<'_, str> {
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

impl Serialize for Value<'_> {
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

/// One JSON object: names, and a value for each.
pub struct Object<'a>(pub &'a [String], pub &'a [Value<'a>]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().zip(self.1).try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

/// A span as a number of seconds that reads as it was measured.
pub fn seconds(span: Duration) -> f64 {
    // A span of a few thousand years has fewer milliseconds than a float can tell apart.
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

/// The parts of a request that are lists or objects, in the order of [`NESTED`]; none where nothing was given.
pub fn nested(request: &Request) -> [Value<'static>; 3] {
    let Request { image_url, loras, params, .. } = request;
    let given = |is_given: bool, json: Json| if is_given { Value::Nested(json) } else { Value::None };
    let loras_json = loras.iter().map(|lora| json!({ "repo": lora.repo, "weight": lora.weight })).collect();
    let param = |(name, Given(text)): (&String, &Given)| {
        // What the ledger holds was JSON when it was taken in.
        (name.clone(), serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone())))
    };
    [
        given(!image_url.is_empty(), json!(image_url)),
        given(!loras.is_empty(), loras_json),
        given(!params.is_empty(), Json::Object(params.iter().map(param).collect())),
    ]
}

/// What [`nested`] tells of.
pub const NESTED: [&str; 3] = ["image_url", "loras", "params"];

const MILLIS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// A time as RFC 3339 writes it, in UTC and to the millisecond. Nothing for a year of five digits, which it cannot write.
pub fn rfc3339(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.millis()) * 1_000_000);
    time.ok().and_then(|time| time.format(&Iso8601::<MILLIS>).ok()).unwrap_or_default()
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
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
            (Value::None, "", "null"),
            (Value::Text("a \"cat\"\n猫 🐈".into()), "a \"cat\"\n猫 🐈", r#""a \"cat\"\n猫 🐈""#),
            (Value::Whole(u64::MAX), "18446744073709551615", "18446744073709551615"),
            (Value::Real(3.5), "3.5", "3.5"),
            (Value::Real(4.0), "4", "4.0"),
            (Value::Time(Timestamp::from_millis(7)), "1970-01-01T00:00:00.007Z", r#""1970-01-01T00:00:00.007Z""#),
            (Value::Span(Duration::from_millis(1200)), "1.200", "1.2"),
            (Value::Nested(json!([1, {"a": null}])), r#"[1,{"a":null}]"#, r#"[1,{"a":null}]"#),
        ];
        for (value, text, json) in table {
            assert_eq!((value.text(), serde_json::to_string(&value).unwrap()), (text.into(), json.to_owned()));
        }
    }

    #[test]
    fn lists_and_objects_of_a_request_are_given_as_they_were() {
        assert_eq!(nested(&Request::default()), [const { Value::None }; 3]);
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
