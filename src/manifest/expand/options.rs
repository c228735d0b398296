//! Expansion options of an entry: how its lists combine, which vars its texts may use, and the template syntax.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, wrong};
use crate::manifest::fields::value::{Value, shown, shown_text};
use crate::manifest::fields::{Text, TextMode};
use crate::manifest::syntax::Syntax;

/// Mode in which lists are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ExpandMode {
    /// Cartesian product: each value with each value of the other lists.
    #[default]
    Grid,
    /// Parallel lists of equal length: the first values together, then the second ones.
    Zip,
    /// Parallel lists; shorter lists start again from their beginning.
    Cycle,
    /// Sample of `n` combinations of the grid, drawn without replacement with this seed.
    Sample { n: u64, seed: u64 },
}

/// Name of the field with the mode.
pub(crate) const EXPAND: &str = "expand";

/// Name of the field with the template syntax.
pub(crate) const SYNTAX: &str = "syntax";

/// Name of the field with the vars.
pub(crate) const VARS: &str = "vars";

/// Names of the entry fields that control the expansion of the other fields.
pub(crate) const NAMES: [&str; 3] = [EXPAND, VARS, SYNTAX];

/// Expansion options of an entry or of the whole manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExpandOptions {
    pub(crate) combine: Option<(ExpandMode, Location)>,
    pub(crate) vars: Arc<BTreeMap<String, Var>>,
    pub(crate) syntax: Option<Syntax>,
}

/// Template variable and its values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Var {
    /// Location of the variable's name.
    pub(crate) place: Location,
    pub(crate) texts: Vec<Text>,
    /// Table from which the texts come. The vars of one table take their texts from the same row. `None` for a list of its own.
    pub(crate) table: Option<Arc<str>>,
}

impl ExpandOptions {
    /// Merges these options with `lower`, whose options are used where these have none.
    pub(crate) fn or(self, lower: &Self) -> Self {
        let mut vars = Arc::clone(&lower.vars);
        if !self.vars.is_empty() {
            let own = self.vars.iter().map(|(name, var)| (name.clone(), var.clone()));
            Arc::make_mut(&mut vars).extend(own);
        }
        Self { combine: self.combine.or(lower.combine), vars, syntax: self.syntax.or(lower.syntax) }
    }

    /// Returns whether vars or a syntax are given.
    pub(crate) fn names_vars(&self) -> bool {
        !self.vars.is_empty() || self.syntax.is_some()
    }

    /// Returns how texts are read.
    pub(crate) fn text_mode(&self) -> TextMode {
        if !self.vars.is_empty() || matches!(self.syntax, Some(Syntax::Dynamic | Syntax::Columns)) {
            TextMode::Templates
        } else {
            TextMode::Literal
        }
    }
}

/// Reports the vars that no text uses. Of a table, one column is enough.
pub(crate) fn unused_vars(vars: &BTreeMap<String, Var>, used: &BTreeSet<String>, warnings: &mut DiagnosticList) {
    let tables: BTreeSet<_> = used.iter().filter_map(|name| vars.get(name)?.table.as_ref()).collect();
    for (name, var) in vars.iter().filter(|(name, _)| !used.contains(*name)) {
        match &var.table {
            None => warnings.push(var.place, unused(name)),
            Some(table) if tables.contains(table) => {}
            Some(table) => {
                let what = format!("no prompt uses a column of {}", shown_text(table));
                warnings.push(var.place, wrong(what, "write one in a prompt, such as `{animal}`, or remove the table"));
            }
        }
    }
}

/// Returns the warning about a var that no text uses.
pub(crate) fn unused(name: &str) -> Issue {
    let shown = shown_text(name);
    wrong(format!("no prompt uses the var {shown}"), format!("write {{{name}}} in a prompt, or remove {shown}"))
}

/// Parses `grid`, `zip`, `cycle` or `{sample: N, seed: S}`.
pub(crate) fn combine(value: &Value) -> Result<ExpandMode, Issue> {
    const REMEDY: &str = "write `grid`, `zip`, `cycle` or `{sample: 100, seed: 1}`";
    match value {
        Value::Text(word) => match word.trim() {
            "grid" => Ok(ExpandMode::Grid),
            "zip" => Ok(ExpandMode::Zip),
            "cycle" => Ok(ExpandMode::Cycle),
            _ => Err(wrong(format!("`{EXPAND}` is {}", shown(value)), REMEDY)),
        },
        Value::Map(map) => {
            let number = |name: &str| match map.get(name) {
                Some(Value::Int(number)) => u64::try_from(*number).ok(),
                Some(Value::BigInt(digits)) => digits.parse().ok(),
                _ => None,
            };
            if let Some(name) = map.keys().find(|name| !["sample", "seed"].contains(&name.as_str())) {
                return Err(wrong(format!("`{EXPAND}` holds the unknown {}", shown_text(name)), REMEDY));
            }
            match (number("sample"), number("seed"), map.contains_key("seed")) {
                (Some(n @ 1..), seed, has_seed) if seed.is_some() == has_seed => {
                    Ok(ExpandMode::Sample { n, seed: seed.unwrap_or(0) })
                }
                _ => Err(wrong(format!("`{EXPAND}` is not a valid sample"), REMEDY)),
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::List(_) => {
            Err(wrong(format!("`{EXPAND}` is {}", shown(value)), REMEDY))
        }
    }
}

/// Parses the name of a syntax.
pub(crate) fn syntax(value: &Value) -> Result<Syntax, Issue> {
    let named = if let Value::Text(word) = value { Syntax::named(word) } else { None };
    named.ok_or_else(|| wrong(format!("`{SYNTAX}` is {}", shown(value)), "write `plain`, `columns` or `dynamic`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::fields::json;

    fn read(text: &str) -> Result<ExpandMode, String> {
        combine(&json::read(text).expect("the test writes good JSON")).map_err(|wrong| wrong.what)
    }

    #[test]
    fn ways_to_combine_are_read() {
        for (text, way) in [
            (r#""grid""#, ExpandMode::Grid),
            (r#""zip""#, ExpandMode::Zip),
            (r#""cycle""#, ExpandMode::Cycle),
            (r#"{"sample": 20, "seed": 7}"#, ExpandMode::Sample { n: 20, seed: 7 }),
            (r#"{"sample": 20}"#, ExpandMode::Sample { n: 20, seed: 0 }),
        ] {
            assert_eq!(read(text), Ok(way), "{text}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for (text, what) in [
            (r#""product""#, "`expand` is `product`"),
            ("3", "`expand` is the number 3"),
            (r#"{"sample": 0}"#, "`expand` is not a valid sample"),
            (r#"{"sample": 5, "seed": -1}"#, "`expand` is not a valid sample"),
            (r#"{"seed": 1}"#, "`expand` is not a valid sample"),
            (r#"{"sample": 5, "sed": 1}"#, "`expand` holds the unknown `sed`"),
        ] {
            assert_eq!(read(text), Err(what.to_owned()), "{text}");
        }
        assert!(syntax(&Value::Text("jinja".into())).is_err());
        assert_eq!(syntax(&Value::Text("dynamic".into())), Ok(Syntax::Dynamic));
    }

    #[test]
    fn an_entry_says_more_than_what_it_shares() {
        let var = |text: &str| Var {
            place: Location::File,
            texts: vec![Text { text: text.into(), place: Location::File }],
            table: None,
        };
        let shared = ExpandOptions {
            combine: Some((ExpandMode::Zip, Location::File)),
            vars: Arc::new([("a".to_owned(), var("1")), ("b".to_owned(), var("2"))].into()),
            syntax: Some(Syntax::Dynamic),
        };
        let own = ExpandOptions {
            vars: Arc::new([("b".to_owned(), var("3"))].into()),
            syntax: Some(Syntax::Plain),
            ..ExpandOptions::default()
        };
        let both = own.or(&shared);
        assert_eq!(both.combine, shared.combine);
        assert_eq!((&both.vars["a"], &both.vars["b"]), (&var("1"), &var("3")));
        assert_eq!(both.syntax, Some(Syntax::Plain));
        assert_eq!(both.text_mode(), TextMode::Templates);
        assert_eq!(ExpandOptions::default().text_mode(), TextMode::Literal);
    }
}
