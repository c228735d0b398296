//! Groups of flags in the help: first the ten that most runs need, then the others by topic.

use clap::{Arg, Command};

/// Commands whose flags are grouped. The others have few flags.
const GROUPED: [&str; 7] = ["run", "retry", "redo", "verify", "plan", "validate", "work"];

/// Headings in the help, with the ids of their flags. A flag that is not listed stays among the first ones.
const GROUPS: [(&str, &[&str]); 8] = [
    (
        "Manifest",
        &[
            "format",
            "sheet",
            "encoding",
            "set",
            "prompt_col",
            "id_col",
            "map",
            "carry",
            "conditions",
            "sample",
            "partition",
            "unique",
            "fold_seeds",
            "verbatim",
            "syntax",
            "allow_files",
            "max_jobs",
            "shuffle",
            "replace_manifest",
        ],
    ),
    ("API and account", &["base_url", "token_file", "request_timeout", "new_account", "accept_older_ledger"]),
    ("Many machines", &["ledger"]),
    ("Pace", &["burst", "poll_rate", "downloads", "max_wait"]),
    (
        "Failures and stops",
        &["retries", "resubmits", "task_timeout", "in_doubt", "on_quota", "max_outage", "max_duration", "max_failures"],
    ),
    (
        "Image files",
        &["images_at", "image_format", "image_quality", "sidecar", "metadata", "image_bytes_max", "image_pixels_max"],
    ),
    ("Results and reports", &["formula_guard", "report", "fail_under"]),
    ("Messages", &["progress", "quiet", "verbose"]),
];

/// Groups the flags of the commands that have many. `-h` shows the first ones only, and `--help` all.
pub(super) fn grouped(command: Command) -> Command {
    command.mut_subcommands(|command| {
        let usage = usage(&command);
        let command = if command.get_positionals().count() > 0 { command.override_usage(usage) } else { command };
        if !GROUPED.contains(&command.get_name()) {
            return command;
        }
        command.mut_args(|arg| {
            let id = arg.get_id().as_str().to_owned();
            match GROUPS.iter().find(|(_, ids)| ids.contains(&id.as_str())) {
                Some((heading, _)) => arg.help_heading(*heading).hide_short_help(true),
                None => arg,
            }
        })
    })
}

/// Returns the usage of a command. The automatic one shows every flag that the environment sets as required.
fn usage(command: &Command) -> String {
    // Names of values are complete only in a built command, which has `--help` too.
    let mut command = command.clone();
    command.build();
    let is_option = |arg: &Arg| !arg.is_positional() && !arg.is_required_set() && arg.get_id() != "help";
    let mut words = vec!["promptbatch".to_owned(), command.get_name().to_owned()];
    words.extend(command.get_arguments().any(is_option).then(|| "[OPTIONS]".to_owned()));
    words.extend(command.get_opts().filter(|arg| arg.is_required_set()).map(ToString::to_string));
    words.extend(command.get_positionals().map(ToString::to_string));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::command_line::Cli;

    /// Goal: no flag of a run is shown among the first ones by mistake, and no group names a flag of the past.
    #[test]
    fn every_flag_of_a_run_has_its_place() {
        let top = grouped(Cli::command());
        let run = top.find_subcommand("run").unwrap();
        let ids = |is_grouped: bool| -> Vec<&str> {
            let args = run.get_arguments().filter(move |arg| arg.get_help_heading().is_some() == is_grouped);
            args.map(|arg| arg.get_id().as_str()).collect()
        };
        let first = ids(false);
        let wanted = [
            "manifest",
            "out",
            "provider",
            "concurrency",
            "rate",
            "price",
            "max_cost",
            "limit",
            "dry_run",
            "gallery",
            "name",
        ];
        assert_eq!(first, wanted, "put a new flag into a group, or among the first ones here");
        let n_listed: usize = GROUPS.iter().map(|(_, ids)| ids.len()).sum();
        assert_eq!(ids(true).len(), n_listed, "a group names a flag that `run` does not have");
    }
}
