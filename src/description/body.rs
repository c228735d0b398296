//! Body of a request as a tree of JSON: the leaves that are variables are replaced with typed values, never with text in a text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::description::leaf::{Given, Leaf};

/// Tree of a body. A variable without a value disappears with its key, and so does a list or map that has nothing else.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Value that is sent as it is written.
    Literal(Value),
    /// Variable.
    Leaf(Leaf),
    /// List.
    List(Vec<Self>),
    /// Map, in the order of the file.
    Map(Vec<(String, Self)>),
}

impl Default for Tree {
    fn default() -> Self {
        Self::Map(Vec::new())
    }
}

impl Tree {
    /// Parses a text of a description: a variable, or a text in which `$$` stands for `$`.
    pub fn of_text(text: &str) -> Result<Self, crate::description::leaf::LeafError> {
        match text.strip_prefix("$$") {
            Some(rest) => Ok(Self::Literal(Value::String(format!("${rest}")))),
            None if text.starts_with('$') => text.parse().map(Self::Leaf),
            None => Ok(Self::Literal(Value::String(text.to_owned()))),
        }
    }

    /// Returns the value to send; `None` if nothing of it has a value.
    pub fn value(&self, given: &Given<'_>) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value.clone()),
            Self::Leaf(leaf) => leaf.value(given),
            Self::List(items) => {
                let values: Vec<_> = items.iter().filter_map(|item| item.value(given)).collect();
                (items.is_empty() || !values.is_empty()).then_some(Value::Array(values))
            }
            Self::Map(fields) => {
                let value = |(name, tree): &(String, Self)| Some((name.clone(), tree.value(given)?));
                let values: Map<_, _> = fields.iter().filter_map(value).collect();
                (fields.is_empty() || !values.is_empty()).then_some(Value::Object(values))
            }
        }
    }

    /// Returns every variable with its place, as a JSON pointer.
    pub fn leaves(&self) -> Vec<(String, Leaf)> {
        let mut leaves = Vec::new();
        self.collect(String::new(), &mut leaves);
        leaves
    }

    /// Returns whether one of the variables meets the condition.
    pub fn has(&self, is_met: &impl Fn(Leaf) -> bool) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Leaf(leaf) => is_met(*leaf),
            Self::List(items) => items.iter().any(|item| item.has(is_met)),
            Self::Map(fields) => fields.iter().any(|(_, tree)| tree.has(is_met)),
        }
    }

    fn collect(&self, place: String, leaves: &mut Vec<(String, Leaf)>) {
        match self {
            Self::Literal(_) => {}
            Self::Leaf(leaf) => leaves.push((place, *leaf)),
            Self::List(items) => {
                items.iter().enumerate().for_each(|(i, item)| item.collect(format!("{place}/{i}"), leaves));
            }
            Self::Map(fields) => fields.iter().for_each(|(name, tree)| {
                let name = name.replace('~', "~0").replace('/', "~1");
                tree.collect(format!("{place}/{name}"), leaves);
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Literal(Value::Null))
    }

    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Literal(flag.into()))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Literal(number.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Literal(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Tree, E> {
        match serde_json::Number::from_f64(number) {
            Some(number) => Ok(Tree::Literal(number.into())),
            None => Err(E::custom("JSON has no such number; put it in quotes")),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Tree, E> {
        Tree::of_text(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut trees = Vec::new();
        while let Some(tree) = items.next_element()? {
            trees.push(tree);
        }
        Ok(Tree::List(trees))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut fields: Vec<(String, Tree)> = Vec::new();
        while let Some((name, tree)) = entries.next_entry::<String, Tree>()? {
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(serde::de::Error::custom(format!("`{name}` is given twice; keep one of them")));
            }
            fields.push((name, tree));
        }
        Ok(Tree::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::request::{Lora, Request};

    fn tree(text: &str) -> Tree {
        serde_yaml::from_str(text).unwrap()
    }

    fn full() -> Request {
        Request {
            prompt: "say \"$seed\", {model}\n猫".into(),
            model: "a/b".into(),
            negative_prompt: Some("blur".into()),
            size: "1024x768".parse().ok(),
            seed: Some(7),
            steps: Some(4),
            guidance: Some(3.5),
            image_url: vec!["https://a.example/x.png".into()],
            loras: vec![Lora { repo: "x/y".into(), weight: Some(0.5) }],
            ..Request::default()
        }
    }

    /// Goal: every variable is sent with its type, and a prompt with the signs of the format is only text.
    #[test]
    fn every_variable_has_its_typed_value() {
        let request = full();
        let given = Given { request: Some(&request), submission_id: Some("id"), task_id: Some("t") };
        let expected = [
            json!(request.prompt),
            json!("a/b"),
            json!("blur"),
            json!("1024x768"),
            json!("1024*768"),
            json!(1024),
            json!(768),
            json!("4:3"),
            json!(7),
            json!("7"),
            json!(4),
            json!(3.5),
            json!("https://a.example/x.png"),
            json!(["https://a.example/x.png"]),
            json!({"x/y": 0.5}),
            json!("id"),
            json!("t"),
        ];
        for (leaf, expected) in Leaf::ALL.into_iter().zip(expected) {
            assert_eq!(
                tree(&format!("a: {{b: [{}]}}", serde_json::to_string(leaf.name()).unwrap())).value(&given),
                Some(json!({"a": {"b": [expected]}})),
                "{leaf}"
            );
        }
    }

    #[test]
    fn what_is_not_given_disappears_with_its_key() {
        let request = Request { prompt: "p".into(), model: "m".into(), ..Request::default() };
        let given = Given { request: Some(&request), ..Given::default() };
        let body = tree(
            "{p: $prompt, s: $seed, empty: {}, none: [], o: {q: {r: $size:WxH}}, l: [$seed, 1], lone: [$steps], n: null}",
        );
        assert_eq!(body.value(&given), Some(json!({"p": "p", "empty": {}, "none": [], "l": [1], "n": null})));
        assert_eq!(tree("{a: $seed}").value(&given), None);
    }

    #[test]
    fn a_text_with_a_dollar_is_written_with_two() {
        assert_eq!(tree("$$prompt").value(&Given::default()), Some(json!("$prompt")));
        assert_eq!(tree("costs 5$").value(&Given::default()), Some(json!("costs 5$")));
        assert!(serde_yaml::from_str::<Tree>("{a: $promt}").unwrap_err().to_string().contains("$prompt"));
        assert!(serde_yaml::from_str::<Tree>("{a: 1, a: 2}").is_err());
        assert!(serde_yaml::from_str::<Tree>("{a: .nan}").is_err());
    }

    #[test]
    fn the_places_of_variables_are_pointers() {
        let places: Vec<_> = tree("{a/b: [$prompt, {c: $seed}], d: 1}").leaves();
        assert_eq!(places, [("/a~1b/0".to_owned(), Leaf::Prompt), ("/a~1b/1/c".to_owned(), Leaf::Seed)]);
    }
}
