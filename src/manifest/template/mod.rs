//! Prompt template: its texts are counted, and each text is rendered by its index, without the texts before it.
//!
//! Two syntaxes exist: [`plain`] has vars only, and [`dynamic`] is the syntax of the program Dynamic Prompts. Neither samples at random:
//! the texts of a template have a fixed order, and another module selects among them.

mod dynamic;
mod node;
pub(crate) mod parsed;
pub(crate) mod plain;
mod subset;
#[cfg(test)]
mod tests;
pub(crate) mod wildcards;

use std::collections::BTreeMap;

use crate::manifest::syntax::Syntax;
use crate::manifest::template::parsed::{Template, TemplateFlaw};
use crate::manifest::template::wildcards::{Reading, WildcardCache};

/// Parses a text. Reports all its flaws at once, at most the first hundred, in the order of the text.
pub(crate) fn parse(text: &str, reading: &mut Reading<'_>) -> Result<Template, Vec<TemplateFlaw>> {
    match reading.syntax {
        Syntax::Plain | Syntax::Columns => plain::read(text, reading.vars),
        Syntax::Dynamic => {
            if reading.known.vars != *reading.vars {
                *reading.known = WildcardCache { vars: reading.vars.clone(), wildcards: BTreeMap::new() };
            }
            dynamic::read(text, reading)
        }
    }
}
