//! Commands `completions` and `man`: shell completions and manual pages, both generated from the flags.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::exit::Exit;
use crate::cli::messages::reference;
use crate::cli::output::{fail, print, print_message};
use crate::model::escape::escape;

/// Text below the flags in the help of `completions`: examples, exit codes, and the format of the output.
pub(crate) const COMPLETIONS_HELP: &str = "\
Examples:
  promptbatch completions bash > ~/.local/share/bash-completion/completions/promptbatch
  promptbatch completions zsh > ~/.zfunc/_promptbatch                   with ~/.zfunc in fpath
  promptbatch completions fish > ~/.config/fish/completions/promptbatch.fish
  promptbatch completions powershell >> $PROFILE";

/// Text below the flags in the help of `man`: examples, exit codes, and the format of the output.
pub(crate) const MAN_HELP: &str = "\
Examples:
  promptbatch man | man -l -                            the page of the whole program
  promptbatch man run | man -l -                        the page of one command
  promptbatch man --dir ~/.local/share/man/man1         all pages, for `man promptbatch-run`";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to generate completions for
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Only the page of this command
    #[arg(conflicts_with = "dir")]
    verb: Option<String>,

    /// Write the pages of all commands to this folder: promptbatch.1, promptbatch-run.1 and so on
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Print the reference of all commands as Markdown
    #[arg(long, hide = true, conflicts_with_all = ["verb", "dir"])]
    markdown: bool,
}

/// Prints the completion script of a shell.
pub(crate) fn completions(args: &CompletionsArgs, command: &mut Command) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "promptbatch", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints a manual page, or writes all of them.
pub(crate) fn man(args: &ManArgs, command: Command) -> Exit {
    // Pages name commands as users type them only after the build of the whole.
    let mut top = command.disable_help_subcommand(true);
    top.build();
    if let Some(dir) = &args.dir {
        return write_all(top, dir);
    }
    if args.markdown {
        return print(&reference::markdown(&top));
    }
    let wanted = args.verb.as_deref();
    let command = wanted.and_then(|command| top.find_subcommand(command)).cloned();
    match (wanted, command) {
        (Some(name), None) => {
            let verbs: Vec<_> = top.get_subcommands().map(|command| command.get_name().to_owned()).collect();
            print_message(&format!(
                "error: there is no command {}; the commands are {}",
                escape(name),
                verbs.join(", ")
            ));
            Exit::Usage
        }
        (_, command) => {
            let mut page = Vec::new();
            match Man::new(command.unwrap_or(top)).render(&mut page) {
                Ok(()) => print(&String::from_utf8_lossy(&page)),
                Err(error) => fail(Exit::Error, &error),
            }
        }
    }
}

fn write_all(top: Command, dir: &Path) -> Exit {
    let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(top, dir));
    match written {
        Ok(()) => Exit::Done,
        Err(error) => {
            let dir = escape(&dir.to_string_lossy());
            print_message(&format!("error: could not write the pages to {dir}: {error}; name a writable folder"));
            Exit::Error
        }
    }
}
