//! Warnings before the first request of a session, and about money that was said afterwards.

use crate::cli::output::print_message;
use crate::model::amount::Amount;
use crate::model::counts::StatusCounts;
use crate::model::escape::{escape, grouped};
use crate::model::output_options::OutputOptions;

/// Warns of another token, and of a description that has changed since the last session.
pub(crate) fn warn(is_other_account: bool, counts: &StatusCounts, changed_fields: &[String]) {
    if is_other_account && let Some(words) = other_token_words(counts.n_running) {
        print_message(&words);
    }
    if !changed_fields.is_empty() {
        print_message(&changed_words(changed_fields));
    }
}

/// Warns of options that images do not have which are there already. `None` if there are none.
pub(crate) fn restyled_words(
    before: &OutputOptions,
    now: &OutputOptions,
    n_images: u64,
    n_to_do: u64,
) -> Option<String> {
    let (was, is) = (&before.postprocess, &now.postprocess);
    let format = |style: &OutputOptions| style.postprocess.format.map(|conversion| conversion.to);
    let quality = |style: &OutputOptions| style.postprocess.format.map(|conversion| conversion.quality);
    let is_recoded = format(before) == format(now) && quality(before) != quality(now);
    let changed = [
        (format(before) != format(now), "--image-format"),
        (is_recoded, "--image-quality"),
        (was.has_metadata != is.has_metadata, "--metadata"),
        (was.sidecar != is.sidecar, "--sidecar"),
    ];
    let flags: Vec<_> = changed.into_iter().filter(|(is_changed, _)| *is_changed).map(|(_, flag)| flag).collect();
    let applies = match flags.as_slice() {
        [] => return None,
        [_] => "applies",
        _ => "apply",
    };
    let images = match n_images {
        1 => "the 1 image that is there stays as it is".to_owned(),
        n => format!("the {} images that are there stay as they are", grouped(n)),
    };
    let now = if n_to_do == 0 { ", and this run makes none" } else { "" };
    Some(format!(
        "warning: {} {applies} to images that are made from now on{now}; {images}. For all alike, choose another folder with -o, \
         where each is paid for again",
        flags.join(" and ")
    ))
}

/// Warns of images that leave the results. The jobs in their place are paid for.
pub(crate) fn leaving_words(jobs: &str, has_new: bool) -> String {
    let both = if has_new {
        "; to have both, stop this run now and give the new jobs a folder of their own with -o"
    } else {
        ""
    };
    format!(
        "warning: the images of {jobs} are no longer in the results, because rows or flags (such as --set) changed; they stay on \
         disk, and return with the old rows and flags{both}"
    )
}

/// Formats a warning about a token that is perhaps of another account. `None` if no task is open: then there is nothing to lose.
fn other_token_words(n_open: u64) -> Option<String> {
    let (tasks, them) = match n_open {
        0 => return None,
        1 => ("1 open task".to_owned(), "it"),
        n => (format!("{n} open tasks"), "them"),
    };
    Some(format!(
        "warning: this is another token than before. If it is of the same account, ignore this. If not, {tasks} cannot be fetched \
         with it: use the old token again to get {them}, or --new-account to submit {them} again, which is paid for again"
    ))
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
pub(crate) fn excess_words(excess: Amount, unit: &str) -> String {
    format!(
        "the cost exceeds --max-cost by {}: answers said more than the price that was reserved for each submission",
        escape(&excess.with_unit(unit))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_token_is_told_of_only_if_a_task_is_open() {
        assert_eq!(other_token_words(0), None);
        let [one, three] = [1, 3].map(|n| other_token_words(n).unwrap());
        assert!(
            one.contains("If not, 1 open task cannot be fetched with it: use the old token again to get it"),
            "{one}"
        );
        assert!(
            three.contains("ignore this. If not, 3 open tasks cannot") && three.contains("--new-account"),
            "{three}"
        );
    }

    #[test]
    fn a_changed_description_is_named_by_its_fields() {
        let words = changed_words(&["prices".into(), "submit".into()]);
        assert!(words.contains("in this folder (`prices`, `submit`); what was accepted stays accepted"), "{words}");
        let words = excess_words(Amount::new(0.5), "USD");
        assert!(words.starts_with("the cost exceeds --max-cost by 0.5 USD: "), "{words}");
    }
}
