//! Vars and columns that the texts of a manifest use, and those that they do not use.

use std::collections::BTreeSet;

use crate::manifest::diagnostics::{DiagnosticList, Location, PassDiagnostics};
use crate::manifest::expand::options::{ExpandOptions, unused, unused_vars};
use crate::manifest::expand::templates::EntryTemplates;
use crate::manifest::lints::entries::EntryLints;
use crate::manifest::lints::fills;
use crate::manifest::syntax::Syntax;

/// Vars of a manifest that were used so far.
#[derive(Debug, Default)]
pub(super) struct VarUse {
    names: BTreeSet<String>,
    /// Records that some texts have mistakes, so that the vars they use are unknown.
    pub(super) has_unread_texts: bool,
}

impl VarUse {
    /// Notes the vars that an entry uses. Reports those of its own that it does not use, and texts that mean nothing.
    /// `entry` is the place of the entry. `None` if it is left out.
    pub(super) fn see(
        &mut self,
        says: &EntryTemplates,
        (ways, own): (&ExpandOptions, Option<&ExpandOptions>),
        (extras, entry): (&[(String, String)], Option<Location>),
        lints: &mut EntryLints,
        findings: &mut PassDiagnostics,
    ) {
        for (name, _) in &says.vars {
            let column = extras.iter().find(|(column, _)| column == name);
            if let Some((_, text)) = column.filter(|_| ways.syntax == Some(Syntax::Columns)) {
                if let Some(entry) = entry {
                    lints.see_fill(name, text, entry, findings);
                }
                continue;
            }
            let is_own = own.is_some_and(|own| own.vars.contains_key(name));
            let is_first = is_own || !self.names.contains(name);
            if !is_own && is_first {
                self.names.insert(name.clone());
            }
            if let Some(var) = ways.vars.get(name).filter(|_| is_first && !lints.is_verbatim()) {
                fills::report_var(name, &var.texts, var.table.as_deref(), findings);
            }
        }
        for (name, var) in own.iter().flat_map(|own| own.vars.iter()) {
            if var.table.is_none() && !says.vars.iter().any(|(used, _)| used == name) {
                findings.warnings.push(var.place, unused(name));
            }
        }
    }

    /// Reports the shared vars that no text uses.
    pub(super) fn finish(&self, shared: &ExpandOptions, warnings: &mut DiagnosticList) {
        if !self.has_unread_texts {
            unused_vars(&shared.vars, &self.names, warnings);
        }
    }
}
