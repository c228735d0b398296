//! Commands for a first manifest: `init` writes a starter, `schema` prints the JSON Schema for editors.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::output::{print, print_message};
use crate::manifest::schema;
use crate::model::escape::escape;

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch init                                      prompts.yaml and prompts.schema.json
  promptbatch init cats.yaml --no-schema                only cats.yaml
  promptbatch init -                                    to stdout
Existing files are never overwritten. The first line of the starter refers to the schema, for
editors with a YAML language server (VS Code with the YAML extension, Neovim, Helix and others).";

/// Text below the flags in the help of `schema`: examples, exit codes, and the format of the output.
pub(crate) const SCHEMA_HELP: &str = "\
Examples:
  promptbatch schema > prompts.schema.json
and as the first line of a manifest:
  # yaml-language-server: $schema=prompts.schema.json
The schema is of draft 2020-12. `validate` checks more than the schema does: duplicate ids, lists
that do not match, names in prompts.";

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// File to write, with a name that ends in .yaml or .yml; - for stdout
    #[arg(default_value = "prompts.yaml")]
    pub manifest: PathBuf,

    /// Do not write prompts.schema.json beside it, nor refer to it
    #[arg(long)]
    pub no_schema: bool,
}

/// Starter manifest that shows the language. Its first line names the schema.
const STARTER: &str = include_str!("../../../examples/starter.yaml");

/// File name of the schema, as the starter names it.
const SCHEMA_NAME: &str = "prompts.schema.json";

/// Prints the JSON Schema of YAML manifests.
pub(crate) fn schema() -> Exit {
    print(&schema::schema())
}

/// Writes a starter manifest, and its schema next to it. Existing files are never overwritten.
pub(crate) fn init(args: &InitArgs) -> Exit {
    let path = args.manifest.as_path();
    let without_schema = STARTER.split_once('\n').map_or(STARTER, |(_, rest)| rest);
    if path == Path::new("-") {
        return print(without_schema);
    }
    let shown = escape(&path.to_string_lossy());
    let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    if !is_yaml {
        print_message(&format!("error: could not write {shown}: a starter is YAML; name it {shown}.yaml"));
        return Exit::Usage;
    }
    let schema = (!args.no_schema).then(|| path.with_file_name(SCHEMA_NAME));
    let written = schema::schema();
    if let Some(schema) = &schema
        && fs::read(schema).is_ok_and(|there| there != written.as_bytes())
    {
        let schema = escape(&schema.to_string_lossy());
        print_message(&format!(
            "error: could not write {schema}: a different file with that name exists; move it away, or use --no-schema"
        ));
        return Exit::Usage;
    }
    let text = if schema.is_some() { STARTER } else { without_schema };
    if let Err(error) = create(path, text) {
        let (why, exit) = match error.kind() {
            ErrorKind::AlreadyExists => {
                ("it already exists; give the starter another name, or move it away".to_owned(), Exit::Usage)
            }
            _ => (escape(&error.to_string()), Exit::Error),
        };
        print_message(&format!("error: could not write {shown}: {why}"));
        return exit;
    }
    if let Some(schema) = &schema
        && let Err(error) = create(schema, &written)
        && error.kind() != ErrorKind::AlreadyExists
    {
        print_message(&format!("error: could not write {}: {error}", schema.display()));
        return Exit::Error;
    }
    let beside =
        if schema.is_some() { format!(", and {SCHEMA_NAME} beside it for your editor") } else { String::new() };
    print(&format!(
        "wrote {shown}{beside}\nnext:\n  promptbatch plan {shown}\n  promptbatch run {shown} --provider simulator\n"
    ))
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
