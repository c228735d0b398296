//! Context of parsing a template: its syntax, the vars in scope, and the wildcards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::manifest::diagnostics::Issue;
use crate::manifest::syntax::Syntax;
use crate::manifest::template::parsed::Template;

/// Context of parsing a text.
pub(crate) struct Reading<'a> {
    pub(crate) syntax: Syntax,
    /// Names of the vars in scope.
    pub(crate) vars: &'a BTreeSet<String>,
    pub(crate) wildcards: &'a mut dyn Wildcards,
    /// Cache of wildcards, kept from one text to the next.
    pub(crate) known: &'a mut WildcardCache,
}

/// Source of the texts of wildcards.
pub(crate) trait Wildcards {
    /// Returns the texts of a wildcard, or of all wildcards that match a name with `*`. They are unparsed, and at least one.
    fn values(&mut self, name: &str) -> Result<Arc<[String]>, Issue>;
}

/// Cache of parsed wildcards, so that a list of a million lines is parsed once and not once per prompt.
#[derive(Debug, Default)]
pub(crate) struct WildcardCache {
    /// Vars that were in scope. With other vars, the same text may have another meaning.
    pub(crate) vars: BTreeSet<String>,
    pub(crate) wildcards: BTreeMap<String, Result<Template, Issue>>,
}
