//! How an entry with lists becomes jobs: what combines them, which vars its texts may name, and how the texts are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::fields::Text;
use crate::manifest::mistake::{Place, Wrong, wrong};
use crate::manifest::read::{shown, shown_text};
use crate::manifest::template::Syntax;
use crate::manifest::value::Value;

/// How lists combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Combine {
    /// Each value with each.
    #[default]
    Grid,
    /// The first with the first, the second with the second; all lists are of one length.
    Zip,
    /// The same, the shorter lists from their beginning again.
    Cycle,
    /// So many of the grid, drawn by this seed; none twice.
    Sample { n: u64, seed: u64 },
}

/// The name of the field that says so.
pub(super) const EXPAND: &str = "expand";

/// The name of the field that says how texts are written.
pub(super) const SYNTAX: &str = "syntax";

/// The name of the field that holds vars.
pub(super) const VARS: &str = "vars";

/// What an entry, or the whole manifest, says of all this.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ways {
    pub(super) combine: Option<(Combine, Place)>,
    pub(super) vars: Arc<BTreeMap<String, Var>>,
    pub(super) syntax: Option<Syntax>,
}

/// A name that texts may mention, and what may stand in its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Var {
    /// Where it is named.
    pub(super) place: Place,
    pub(super) texts: Vec<Text>,
}

impl Ways {
    /// What this says, and what `lower` says where this says nothing.
    pub(super) fn or(self, lower: &Self) -> Self {
        let mut vars = Arc::clone(&lower.vars);
        if !self.vars.is_empty() {
            let own = self.vars.iter().map(|(name, var)| (name.clone(), var.clone()));
            Arc::make_mut(&mut vars).extend(own);
        }
        Self { combine: self.combine.or(lower.combine), vars, syntax: self.syntax.or(lower.syntax) }
    }

    /// Whether texts are templates, and not what is sent.
    pub(super) fn has_templates(&self) -> bool {
        !self.vars.is_empty() || self.syntax == Some(Syntax::Dynamic)
    }
}

/// Reads `grid`, `zip`, `cycle` or `{sample: N, seed: S}`.
pub(super) fn combine(value: &Value) -> Result<Combine, Wrong> {
    const REMEDY: &str = "write `grid`, `zip`, `cycle` or `{sample: 100, seed: 1}`";
    match value {
        Value::Text(word) => match word.trim() {
            "grid" => Ok(Combine::Grid),
            "zip" => Ok(Combine::Zip),
            "cycle" => Ok(Combine::Cycle),
            _ => Err(wrong(format!("`{EXPAND}` is {}", shown(value)), REMEDY)),
        },
        Value::Map(map) => {
            let number = |name: &str| match map.get(name) {
                Some(Value::Int(number)) => u64::try_from(*number).ok(),
                _ => None,
            };
            if let Some(name) = map.keys().find(|name| !["sample", "seed"].contains(&name.as_str())) {
                return Err(wrong(format!("`{EXPAND}` holds the unknown {}", shown_text(name)), REMEDY));
            }
            match (number("sample"), number("seed"), map.contains_key("seed")) {
                (Some(n @ 1..), seed, has_seed) if seed.is_some() == has_seed => {
                    Ok(Combine::Sample { n, seed: seed.unwrap_or(0) })
                }
                _ => Err(wrong(format!("`{EXPAND}` is not a sample of so many"), REMEDY)),
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) => {
            Err(wrong(format!("`{EXPAND}` is {}", shown(value)), REMEDY))
        }
    }
}

/// Reads `plain` or `dynamic`.
pub(super) fn syntax(value: &Value) -> Result<Syntax, Wrong> {
    match value {
        Value::Text(word) if word == "plain" => Ok(Syntax::Plain),
        Value::Text(word) if word == "dynamic" => Ok(Syntax::Dynamic),
        _ => Err(wrong(format!("`{SYNTAX}` is {}", shown(value)), "write `plain` or `dynamic`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::json;

    fn read(text: &str) -> Result<Combine, String> {
        combine(&json::read(text).expect("the test writes good JSON")).map_err(|wrong| wrong.what)
    }

    #[test]
    fn ways_to_combine_are_read() {
        for (text, way) in [
            (r#""grid""#, Combine::Grid),
            (r#""zip""#, Combine::Zip),
            (r#""cycle""#, Combine::Cycle),
            (r#"{"sample": 20, "seed": 7}"#, Combine::Sample { n: 20, seed: 7 }),
            (r#"{"sample": 20}"#, Combine::Sample { n: 20, seed: 0 }),
        ] {
            assert_eq!(read(text), Ok(way), "{text}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for (text, what) in [
            (r#""product""#, "`expand` is `product`"),
            ("3", "`expand` is the number 3"),
            (r#"{"sample": 0}"#, "`expand` is not a sample of so many"),
            (r#"{"sample": 5, "seed": -1}"#, "`expand` is not a sample of so many"),
            (r#"{"seed": 1}"#, "`expand` is not a sample of so many"),
            (r#"{"sample": 5, "sed": 1}"#, "`expand` holds the unknown `sed`"),
        ] {
            assert_eq!(read(text), Err(what.to_owned()), "{text}");
        }
        assert!(syntax(&Value::Text("jinja".into())).is_err());
        assert_eq!(syntax(&Value::Text("dynamic".into())), Ok(Syntax::Dynamic));
    }

    #[test]
    fn an_entry_says_more_than_what_it_shares() {
        let var = |text: &str| Var { place: Place::File, texts: vec![Text { text: text.into(), place: Place::File }] };
        let shared = Ways {
            combine: Some((Combine::Zip, Place::File)),
            vars: Arc::new([("a".to_owned(), var("1")), ("b".to_owned(), var("2"))].into()),
            syntax: Some(Syntax::Dynamic),
        };
        let own = Ways {
            vars: Arc::new([("b".to_owned(), var("3"))].into()),
            syntax: Some(Syntax::Plain),
            ..Ways::default()
        };
        let both = own.or(&shared);
        assert_eq!(both.combine, shared.combine);
        assert_eq!((&both.vars["a"], &both.vars["b"]), (&var("1"), &var("3")));
        assert_eq!(both.syntax, Some(Syntax::Plain));
        assert!(both.has_templates() && !Ways::default().has_templates());
    }
}
