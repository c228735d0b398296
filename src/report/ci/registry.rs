//! Table of the reports, and the lookup of a report by its name.

use crate::report::ci::{ReportSpec, json, junit, markdown};

/// All reports, in the order in which messages list them.
pub static REPORTS: [&ReportSpec; 3] = [&junit::SPEC, &json::SPEC, &markdown::SPEC];

/// Returns the report with this name; `None` if there is none.
pub fn find(name: &str) -> Option<&'static ReportSpec> {
    REPORTS.into_iter().find(|spec| spec.name == name)
}

/// Lists the reports as a user requests them: `junit=FILE, json=FILE or md=FILE`.
pub(crate) fn usage() -> String {
    let names = REPORTS.map(|spec| format!("{}=FILE", spec.name));
    let (last, others) = names.split_last().expect("there are reports");
    format!("{} or {last}", others.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Goal: a name means one report, and can stand in a flag. Method: all rows of the table.
    #[test]
    fn every_row_can_stand_in_a_flag() {
        let names: BTreeSet<_> = REPORTS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), REPORTS.len());
        for spec in REPORTS {
            assert!(!spec.name.is_empty() && !spec.name.contains(['=', ',', ' ']), "{:?}", spec.name);
            assert!(!spec.help.is_empty() && !spec.help.ends_with('.'), "{}", spec.name);
            assert_eq!(find(spec.name), Some(spec));
        }
        assert_eq!(usage(), "junit=FILE, json=FILE or md=FILE");
    }
}
