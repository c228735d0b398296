//! Choice of JSON for all messages: in a command line that was parsed, and in one that was not.

use std::env;

use clap::ArgMatches;

use crate::cli::flags::Progress;

/// Variable of the flag.
const VARIABLE: &str = "PROMPTBATCH_PROGRESS";

/// Returns whether the flags of a verb ask for JSON.
pub(crate) fn are_chosen(of_verb: &ArgMatches) -> bool {
    let is_json = matches!(of_verb.try_get_one::<Progress>("progress"), Ok(Some(Progress::Json)));
    let is_quiet = matches!(of_verb.try_get_one::<bool>("quiet"), Ok(Some(true)));
    is_json && !is_quiet
}

/// Returns whether a command line with a mistake asks for JSON. `args` begins with the name of the program.
pub(crate) fn are_wanted(args: &[String]) -> bool {
    let mut wanted = env::var(VARIABLE).ok();
    let mut flags = args.iter().skip(1).take_while(|arg| *arg != "--");
    while let Some(arg) = flags.next() {
        match arg.strip_prefix("--progress") {
            Some("") => wanted = flags.next().cloned(),
            Some(value) if value.starts_with('=') => wanted = Some(value[1..].to_owned()),
            Some(_) | None => {}
        }
    }
    wanted.as_deref() == Some("json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_found_in_a_command_line_with_mistakes() {
        let are_wanted = |line: &str| are_wanted(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for (line, expected) in [
            ("promptbatch run --progress json", true),
            ("promptbatch --progress=json runn x", true),
            ("promptbatch run x --progress plain --progress json", true),
            ("promptbatch run x --progress", false),
            ("promptbatch run x --progress jsn", false),
            ("promptbatch run -- --progress json", false),
            ("promptbatch run x", false),
        ] {
            assert_eq!(are_wanted(line), expected, "{line}");
        }
    }
}
