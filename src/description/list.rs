//! List that may be written as its only item: `/id` in place of `[/id]`.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// List of values; one value needs no brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    /// Reads null as an empty list, so that an extending description can clear an inherited one.
    fn visit_unit<E: serde::de::Error>(self) -> Result<List<T>, E> {
        Ok(List::default())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<List<T>, E> {
        Ok(List(vec![T::deserialize(text.into_deserializer())?]))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<List<T>, E> {
        Ok(List(vec![T::deserialize(number.into_deserializer())?]))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<List<T>, E> {
        Ok(List(vec![T::deserialize(number.into_deserializer())?]))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<List<T>, E> {
        Ok(List(vec![T::deserialize(number.into_deserializer())?]))
    }

    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<List<T>, E> {
        Ok(List(vec![T::deserialize(flag.into_deserializer())?]))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<List<T>, A::Error> {
        Ok(List(vec![T::deserialize(MapAccessDeserializer::new(entries))?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<List<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(List)
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({"anyOf": [item, {"type": "array", "items": item}]})
    }

    fn inline_schema() -> bool {
        true
    }
}
