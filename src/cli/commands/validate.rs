//! Command `validate`: prints every mistake in a manifest.

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::flags::ProgressArgs;
use crate::cli::flags::manifest::{ManifestArgs, choice, source};
use crate::cli::flags::provider::ProviderArgs;
use crate::cli::messages::progress::operation_progress;
use crate::cli::messages::{diagnostics, notes, summary};
use crate::cli::output::{fail, print};
use crate::manifest;
use crate::model::escape::escape;
use crate::plan;
use crate::report::tty_reporter::PrintAbove;

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch validate prompts.yaml                     the first 20 mistakes, each with its line
  promptbatch validate prompts.yaml --json              up to a thousand, for an editor or a script
Exit code 0: the manifest can be run, perhaps with warnings; 2: it cannot.

--json prints one object:
  manifest          the file
  jobs              wanted images; null if there are mistakes
  skipped           entries that are left out because of their `skip`; null if there are mistakes
  repeated          entries with the prompt and the parameters of an earlier one; null if there
                    are mistakes
  chosen            images that --where and --sample choose; null without them
  columns           used: the columns of a table and the field that each is used as;
                    carried: those that are only passed through to the results;
                    null if there are mistakes
  mistakes          the first mistakes and warnings, by line, each with severity (error or warning),
                    path (null for the command line), line, column and end_column (from 1, in
                    characters, end_column after the last one; null if they are not known), message
                    and help
  n_mistakes        number of mistakes
  n_warnings        number of warnings";

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,

    #[command(flatten)]
    pub provider: ProviderArgs,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// Prints every mistake in a manifest.
pub(crate) fn validate(args: &ValidateArgs) -> Exit {
    let path = escape(&args.manifest.manifest.display().to_string());
    let mut progress = operation_progress(args.progress.display(), &PrintAbove::default());
    let source = source(&args.manifest, args.provider.provider);
    let read = manifest::open_watched(source.clone(), &mut *progress);
    let choice = choice(&args.manifest);
    let chosen = match &read {
        Ok(manifest) if !choice.is_all() => match plan::count(manifest, &choice) {
            Ok(chosen) => Some(chosen),
            Err(error) => return fail(Exit::Usage, &error),
        },
        Ok(_) | Err(_) => None,
    };
    if args.json {
        let mut object = diagnostics::object(&source, read.as_ref());
        object["chosen"] = chosen.map(|chosen| chosen.counts.n_jobs()).into();
        let printed = print(&format!("{object:#}\n"));
        return if read.is_ok() { printed } else { Exit::Usage };
    }
    match read {
        Ok(manifest) => {
            diagnostics::warn(&manifest);
            let chosen = chosen.map(|chosen| {
                let near = summary::near(&chosen);
                format!("chosen: {} ({}){near}", summary::jobs(chosen.counts.n_jobs()), summary::choosing(&choice))
            });
            let notes: String = notes::notes(&manifest).chain(chosen).map(|note| note + "\n").collect();
            print(&format!("{path}: {}, no mistakes\n{notes}", summary::jobs(manifest.n_jobs())))
        }
        Err(error) => diagnostics::refuse(&error, &source),
    }
}
