//! Command-line interface: flags in, messages and exit codes out.
//!
//! The interface decides nothing that a Rust program could not request from the library. Every command is one file in
//! `commands`: its arguments, its help and its work. Flags that several commands share are in `flags`, texts for people
//! and scripts in `messages`.

mod command_line;
mod commands;
mod exit;
mod flags;
mod help_groups;
mod messages;
mod output;
mod panic;
mod runtime;
#[cfg_attr(not(feature = "postgres"), path = "no_shared_run.rs")]
mod shared_run;
mod signals;
mod usage_tips;

use std::env;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory, FromArgMatches};

use crate::cli::command_line::{Cli, CliCommand};
use crate::cli::commands::{
    export, gallery, init, log, manuals, merge, plan, providers, redo, results, retry, run, share, simulate, status,
    validate, verify, work,
};
use crate::cli::exit::Exit;
use crate::cli::flags::{json_messages, named};
use crate::cli::output::{is_json, print, print_message, speak_json};
use crate::model::escape;

/// Runs the program: executes the command line of this process, and returns its exit code.
pub fn main() -> ExitCode {
    panic::guarded(execute).into()
}

fn execute() -> Exit {
    output::end(execute_command())
}

fn execute_command() -> Exit {
    let fresh = || help_groups::grouped(Cli::command());
    let mut command = without_empty_variables(fresh());
    let parsed = command.try_get_matches_from_mut(env::args_os()).and_then(|matches| {
        if let Some((name, of_verb)) = matches.subcommand()
            && let Err(why) = named::check_repeated(of_verb)
        {
            let verb = command.find_subcommand_mut(name).expect("it was parsed");
            return Err(verb.error(ErrorKind::ArgumentConflict, why));
        }
        if matches.subcommand().is_some_and(|(_, of_verb)| json_messages::are_chosen(of_verb)) {
            speak_json();
        }
        Cli::from_arg_matches(&matches)
    });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let args: Vec<_> = env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
            if error.use_stderr() && json_messages::are_wanted(&args) {
                speak_json();
            }
            return print_usage_error(&usage_tips::with_tip(error, &args).format(&mut command));
        }
    };
    match cli.command {
        CliCommand::Run(args) => run::run(&args),
        CliCommand::Plan(args) => plan::plan(&args),
        CliCommand::Validate(args) => validate::validate(&args),
        CliCommand::Init(args) => init::init(&args),
        CliCommand::Schema => init::schema(),
        CliCommand::Status(args) if args.watch => status::watch(&args),
        CliCommand::Status(args) => status::status(&args),
        CliCommand::Retry(args) => retry::retry(&args),
        CliCommand::Merge(args) => merge::merge(&args),
        CliCommand::Share(args) => share::share(&args),
        CliCommand::Work(args) => work::work(&args),
        CliCommand::Redo(args) => redo::redo(&args),
        CliCommand::Verify(args) => verify::verify(&args),
        CliCommand::Log(args) => log::log(&args),
        CliCommand::Gallery(args) => gallery::gallery(&args),
        CliCommand::Results(args) => results::results(&args),
        CliCommand::Export(args) => export::export(&args),
        CliCommand::Providers(args) => providers::providers(&args),
        CliCommand::Simulate(args) => simulate::simulate(args),
        CliCommand::Completions(args) => manuals::completions(&args, &mut fresh()),
        CliCommand::Man(args) => manuals::man(&args, fresh()),
    }
}

/// Treats a variable that is set to nothing as unset: pipelines set the variables of inputs that nobody gave.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    command.mut_subcommands(|command| {
        command.mut_args(|arg| if is_empty(&arg) { arg.env(None::<&'static str>) } else { arg })
    })
}

/// Prints help and version on stdout, and usage errors on stderr. The message repeats arguments, so control sequences
/// in them are escaped.
fn print_usage_error(error: &clap::Error) -> Exit {
    let ours = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PROMPTBATCH_"));
    let mut given = env::args_os().chain(ours.map(|(_, value)| value));
    let is_plain = given.all(|text| escape::escape(&text.to_string_lossy()) == text.to_string_lossy());
    let words = escape::lines(&error.render().to_string());
    match (is_plain && !is_json(), error.use_stderr()) {
        // If printing fails, no stream is left for a message.
        (true, _) => drop(error.print()),
        (false, true) => print_message(words.trim_end()),
        (false, false) => return print(&words),
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}
