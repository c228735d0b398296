//! Tips for usage errors, where the guesses of the parser lead to something else than what was meant.

use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Fields of a manifest that people look for among the flags.
const FIELDS: [&str; 8] = ["model", "size", "seed", "steps", "guidance", "negative_prompt", "image_url", "n"];

/// Programs that read captions beside their images.
const CAPTION_READERS: [&str; 5] = ["kohya", "kohya_ss", "sd-scripts", "onetrainer", "ai-toolkit"];

/// Replaces the guess in a usage error by a tip, if there is a better one. `args` is the command line, whose first word is the program.
pub(super) fn with_tip(mut error: clap::Error, args: &[String]) -> clap::Error {
    if let Some(tip) = tip(&error, args) {
        for guess in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue] {
            error.remove(guess);
        }
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

fn tip(error: &clap::Error, args: &[String]) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let argument = text(ContextKind::InvalidArg)?;
            field_tip(argument, args).or_else(|| second_manifest_tip(Path::new(argument)))
        }
        ErrorKind::InvalidSubcommand => {
            let path = text(ContextKind::InvalidSubcommand)?;
            Path::new(path).exists().then(|| format!("to run this manifest: promptbatch run {path}"))
        }
        ErrorKind::InvalidValue => {
            let value = text(ContextKind::InvalidValue)?.to_ascii_lowercase();
            CAPTION_READERS.contains(&value.as_str()).then(|| format!("{value} reads captions: --to captions"))
        }
        _ => None,
    }
}

/// Names the option that sets a field for all rows. `None` if the argument is no field of a manifest.
fn field_tip(argument: &str, args: &[String]) -> Option<String> {
    let name = argument.strip_prefix("--")?.replace('-', "_");
    let field = FIELDS.into_iter().find(|field| *field == name)?;
    let mut given = args.iter().skip_while(|arg| arg.split('=').next() != Some(argument));
    let value = given.next().and_then(|arg| arg.split_once('=').map(|(_, value)| value));
    let value = value.or_else(|| given.next().map(String::as_str).filter(|value| !value.starts_with('-')));
    Some(format!("for all rows: --set {field}={}", value.unwrap_or("VALUE")))
}

/// Says what to do with a second manifest, such as the files that a shell makes of `prompts/*.txt`.
fn second_manifest_tip(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    path.is_file().then(|| {
        let folder = folder.display();
        format!("a command reads one manifest; to read all .txt files of a folder, name the folder: {folder}")
    })
}
