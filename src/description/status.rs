//! HTTP statuses in a description: one status, a class such as `5xx`, a range such as `400-404`, or a list of them.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, Visitor};

/// Range of HTTP statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub RangeInclusive<u16>);

impl Statuses {
    /// Returns whether the status is one of these.
    pub fn contains(&self, status: u16) -> bool {
        self.0.contains(&status)
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<u16>().ok().filter(|status| (100..1000).contains(status));
        if let Some(class) = text.strip_suffix("xx") {
            let class = class.parse::<u16>().ok().filter(|class| (1..10).contains(class))?;
            return Some(Self(class * 100..=class * 100 + 99));
        }
        match text.split_once('-') {
            Some((low, high)) => {
                let (low, high) = (number(low.trim())?, number(high.trim())?);
                (low <= high).then_some(Self(low..=high))
            }
            None => number(text).map(|status| Self(status..=status)),
        }
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusVisitor)
    }
}

struct StatusVisitor;

impl Visitor<'_> for StatusVisitor {
    type Value = Statuses;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an HTTP status such as 429, a class such as 5xx, or a range such as 400-404")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Statuses, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Statuses, E> {
        Statuses::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (self.0.start(), self.0.end());
        if low == high { write!(f, "{low}") } else { write!(f, "{low}-{high}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_one_a_class_or_a_range() {
        for (text, inside, outside) in
            [("429", [429, 429], [428, 430]), ("5xx", [500, 599], [499, 600]), ("400-404", [400, 404], [399, 405])]
        {
            let statuses = Statuses::parse(text).unwrap();
            assert!(inside.iter().all(|status| statuses.contains(*status)), "{text}");
            assert!(outside.iter().all(|status| !statuses.contains(*status)), "{text}");
        }
        for text in ["", "4", "42", "0xx", "xx", "12xx", "404-400", "400-", "-404", "1000", "ok"] {
            assert_eq!(Statuses::parse(text), None, "{text}");
        }
    }
}
