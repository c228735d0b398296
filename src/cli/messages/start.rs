//! Warnings before the first request of a session, and about money that was said afterwards.

use crate::cli::output::print_message;
use crate::model::amount::Amount;
use crate::model::escape::escape;

/// Warning about a token that belongs to another account than the batch.
const OTHER_ACCOUNT: &str = "warning: the token belongs to a different account than the one that this batch was started with. \
Tasks of the old account cannot be fetched with it and stay unfinished: use the old token again to get them. New submissions go to the \
account of this token. If the old account is gone for good, --new-account submits its unfinished tasks again, which is paid for again";

/// Warns of another account, and of a description that has changed since the last session.
pub(crate) fn warn(is_other_account: bool, changed_fields: &[String]) {
    if is_other_account {
        print_message(OTHER_ACCOUNT);
    }
    if !changed_fields.is_empty() {
        print_message(&changed_words(changed_fields));
    }
}

/// Warns of images that leave the results. The jobs in their place are paid for.
pub(crate) fn leaving_words(jobs: &str, has_new: bool) -> String {
    let both = if has_new {
        "; to have both, stop this run now and give the new jobs a folder of their own with -o"
    } else {
        ""
    };
    format!(
        "warning: the images of {jobs} leave the results, because rows, or flags such as --set, have changed; they stay in the \
         folder, and come back with the old rows and flags{both}"
    )
}

fn changed_words(fields: &[String]) -> String {
    let fields: Vec<_> = fields.iter().map(|field| format!("`{}`", escape(field))).collect();
    format!(
        "warning: the description of the provider has changed since the last command in this folder ({}); what was accepted stays \
         accepted, and is now asked for as the new description says",
        fields.join(", ")
    )
}

/// Formats by how much the answers exceeded the limit on the cost.
pub(super) fn excess_words(excess: Amount, unit: &str) -> String {
    format!(
        "the cost exceeds --max-cost by {}: answers said more than the price that was reserved for each submission",
        escape(&excess.with_unit(unit))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_description_is_named_by_its_fields() {
        let words = changed_words(&["prices".into(), "submit".into()]);
        assert!(words.contains("in this folder (`prices`, `submit`); what was accepted stays accepted"), "{words}");
        let words = excess_words(Amount::new(0.5), "USD");
        assert!(words.starts_with("the cost exceeds --max-cost by 0.5 USD: "), "{words}");
    }
}
