//! Names of other programs in the schema of the manifest: from the table of synonyms, for readers and editors.
//!
//! A YAML entry has our names only. An editor shows the others beside the field that they mean, so that it is found under any name.

use schemars::Schema;
use serde_json::{Value, json};

use crate::manifest::fields::field::Field;
use crate::manifest::fields::synonyms;

/// Keyword of the list of names. Validators ignore keywords that they do not know.
const KEYWORD: &str = "x-synonyms";

/// Adds the names of other programs to each field among the properties of an object.
pub(super) fn add(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    // Objects without a prompt or a seed have other properties of these names.
    if !properties.contains_key(Field::Seed.name()) || !properties.contains_key(Field::NegativePrompt.name()) {
        return;
    }
    for field in Field::ALL {
        let names: Vec<_> = synonyms::names_of(field).collect();
        let Some(Value::Object(property)) = properties.get_mut(field.name()).filter(|_| !names.is_empty()) else {
            continue;
        };
        let told = format!("Other programs call it: {}.", names.join(", "));
        let description = property.get("description").and_then(Value::as_str);
        let description = description.map_or_else(|| told.clone(), |text| format!("{text}\n\n{told}"));
        property.insert("description".to_owned(), description.into());
        property.insert(KEYWORD.to_owned(), json!(names));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::schema;

    /// Returns every object of a schema that has this property.
    fn holders<'a>(schema: &'a Value, property: &str, found: &mut Vec<&'a Value>) {
        match schema {
            Value::Object(map) => {
                found.extend(map.get("properties").filter(|properties| properties.get(property).is_some()));
                map.values().for_each(|value| holders(value, property, found));
            }
            Value::Array(list) => list.iter().for_each(|value| holders(value, property, found)),
            _ => (),
        }
    }

    /// Goal: the schema and the tables know the same names. Method: each field, wherever the schema has it, against the table; no synonym is
    /// a property of its own, as YAML refuses it.
    #[test]
    fn every_field_has_the_names_of_the_table() {
        let schema: Value = serde_json::from_str(&schema::schema()).unwrap();
        for field in Field::ALL {
            let mut found = Vec::new();
            holders(&schema, field.name(), &mut found);
            let names: Vec<_> = synonyms::names_of(field).collect();
            assert!(!found.is_empty(), "{}", field.name());
            for properties in found.into_iter().filter(|properties| properties.get("negative_prompt").is_some()) {
                let property = &properties[field.name()];
                assert_eq!(
                    property.get(KEYWORD).cloned(),
                    (!names.is_empty()).then(|| json!(names)),
                    "{}",
                    field.name()
                );
                let told = property["description"].as_str().unwrap();
                assert!(names.iter().all(|name| told.contains(name)), "{told}");
                assert!(names.iter().all(|name| properties.get(name).is_none()), "{}", field.name());
            }
        }
        assert!(synonyms::names_of(Field::Guidance).any(|name| name == "cfgscale"));
    }
}
