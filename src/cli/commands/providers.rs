//! Command `providers`: lists the providers, shows one, checks a description, and prints the schema of descriptions.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::exit::Exit;
use crate::cli::output::{fail, print, print_message};
use crate::description::auth::Auth;
use crate::description::format::Description;
use crate::description::schema::schema;
use crate::description::words::{DoubtClass, Exchange};
use crate::model::escape::escape;
use crate::model::request_field::REQUEST_FIELDS;
use crate::provider::described::check::{CheckReport, check};
use crate::provider::registry;
use crate::provider::spec::ProviderSpec;

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch providers                                 every provider, with one line of help
  promptbatch providers show fal                        its address, token, limits and prices
  promptbatch providers check relay.yaml                judge the examples in a description, offline
  promptbatch providers schema > provider.schema.json   for completion in editors
  promptbatch run prompts.yaml --provider fal           one of them; FILE.yaml is one of your own
Exit code of `check`: 0 every example is judged as the file says, 2 a mistake or another judgement.";

#[derive(Debug, Args)]
pub(crate) struct ProvidersArgs {
    #[command(subcommand)]
    command: Option<ProvidersCommand>,
}

#[derive(Debug, Subcommand)]
enum ProvidersCommand {
    /// List all providers
    List {
        /// Print a JSON array instead of text
        #[arg(long)]
        json: bool,
    },
    /// Show one provider: its address, its token, what it can do, its prices, and what is not certain
    Show {
        /// Name of a provider, or a description FILE.yaml
        provider: String,
    },
    /// Check a description, and judge its examples; sends nothing
    Check {
        /// Description of a provider
        file: PathBuf,
    },
    /// Print the JSON Schema of descriptions, for completion and checks in editors
    Schema,
}

/// Executes the command.
pub(crate) fn providers(args: &ProvidersArgs) -> Exit {
    match &args.command {
        None => list(false),
        Some(ProvidersCommand::List { json }) => list(*json),
        Some(ProvidersCommand::Show { provider }) => show(provider),
        Some(ProvidersCommand::Check { file }) => check_file(file),
        Some(ProvidersCommand::Schema) => print(&schema()),
    }
}

fn list(is_json: bool) -> Exit {
    if is_json {
        let object = |name: &str| registry::find(name).map(object);
        let objects: Vec<Value> = registry::names().filter_map(|(name, _)| object(name)).collect();
        return print(&format!("{:#}\n", Value::Array(objects)));
    }
    let width = registry::names().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<_> = registry::names().map(|(name, help)| format!("{name:width$}  {help}\n")).collect();
    print(&lines.concat())
}

/// Returns a provider for scripts.
fn object(spec: &'static ProviderSpec) -> Value {
    let api = spec.api.as_ref();
    let described = spec.description;
    json!({
        "name": spec.name,
        "help": spec.help,
        "base_url": api.map(|api| api.base_url),
        "token_variables": api.map_or(&[][..], |api| api.token.variables),
        "default_model": (!spec.default_model.is_empty()).then_some(spec.default_model),
        "exchange": described.map(|described| exchange(described.exchange)),
        "doubt": described.map(|described| doubt(described.doubt)),
        "is_verified": described.map(|described| described.unverified.is_empty()),
    })
}

const fn exchange(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::Task => "task",
        Exchange::Answer => "answer",
    }
}

const fn doubt(doubt: DoubtClass) -> &'static str {
    match doubt {
        DoubtClass::Free => "free",
        DoubtClass::Guarded => "guarded",
        DoubtClass::Lookable => "lookable",
        DoubtClass::Listable => "listable",
        DoubtClass::Unknown => "unknown",
    }
}

fn show(provider: &str) -> Exit {
    match registry::named(provider) {
        Ok(spec) => print(&(words(spec).join("\n") + "\n")),
        Err(error) => fail(Exit::Usage, &error),
    }
}

/// Returns the lines about a provider.
fn words(spec: &'static ProviderSpec) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", spec.name, escape(spec.help))];
    if let Some(api) = &spec.api {
        lines.push(format!("address: {}", escape(api.base_url)));
        lines.extend(row("address from", api.base_url_variables));
        if *api.auth == Auth::None {
            lines.push("token: none".to_owned());
        } else {
            let variables = api.token.variables.join(", ");
            lines.push(format!("token: {} ({}), from {}", escape(&variables), api.auth, escape(api.token.page)));
        }
    }
    if !spec.default_model.is_empty() {
        lines.push(format!("default model: {}", escape(spec.default_model)));
    }
    if let Some(api) = spec.description {
        described(api, &mut lines);
    }
    lines
}

/// Fields that no description lacks.
const OF_EVERY_PROVIDER: [&str; 4] = ["prompt", "provider", "model", "params"];

/// Adds the lines about a description.
fn described(api: &Description, lines: &mut Vec<String>) {
    let hosts: Vec<_> = api.token_hosts.iter().map(ToString::to_string).collect();
    lines.extend(row("hosts that also get the token", &hosts));
    let shape = match api.exchange {
        Exchange::Task => "a submission gives a task, which is polled",
        Exchange::Answer => "the answer to a submission has the image",
    };
    lines.push(format!("exchange: {shape}"));
    let fields = REQUEST_FIELDS.iter().filter(|field| !OF_EVERY_PROVIDER.contains(&field.name)).map(|field| field.name);
    let (sent, unsent): (Vec<_>, Vec<_>) = fields.partition(|field| api.submit.sends(field));
    lines.extend(row("fields", &sent));
    lines.extend(row("unsupported fields", &unsent));
    let answer = match api.doubt {
        DoubtClass::Free => "sent again, which costs nothing",
        DoubtClass::Guarded => "sent again with the same id, which the provider recognises",
        DoubtClass::Lookable => "looked up by its id",
        DoubtClass::Listable => "looked up in the provider's list of submissions",
        DoubtClass::Unknown => "left to --in-doubt, because the provider cannot be asked",
    };
    lines.push(format!("a submission without an answer is {answer}"));
    lines.extend(api.keeps.map(|keeps| format!("images are kept for {keeps}")));
    if let Some(prices) = &api.prices {
        let (currency, source) = (escape(&prices.currency), escape(&prices.source));
        let says = [&api.accepted.cost, &api.answer.cost].iter().any(|cost| !cost.is_empty());
        if says || !prices.tokens.is_empty() {
            lines.push(format!("cost: in {currency}, as reported in responses"));
        }
        if !prices.rows.is_empty() {
            lines.push(format!("prices of an image in {currency} on {} ({source}):", prices.date));
        }
        for price in &prices.rows {
            let model = price.model.as_deref().unwrap_or("every model");
            let size = price.size.as_ref().map_or(String::new(), |size| format!(" {size}"));
            lines.push(format!("  {}{}: {}", escape(model), escape(&size), price.price));
        }
        for tokens in &prices.tokens {
            let model = tokens.model.as_deref().unwrap_or("every model");
            lines.push(format!("  {}: {} for a million tokens", escape(model), tokens.per_million));
        }
    }
    if !api.unverified.is_empty() {
        lines.push("not certain:".to_owned());
        lines.extend(api.unverified.iter().map(|sentence| format!("  {}", escape(sentence))));
    }
}

/// Returns a line with a list; `None` for an empty list.
fn row(title: &str, items: &[impl AsRef<str>]) -> Option<String> {
    let items: Vec<_> = items.iter().map(|item| escape(item.as_ref())).collect();
    (!items.is_empty()).then(|| format!("{title}: {}", items.join(", ")))
}

fn check_file(path: &Path) -> Exit {
    let api = match registry::read_file(path) {
        Ok(api) => api,
        Err(error) => return fail(Exit::Usage, &error),
    };
    let CheckReport { n_examples, failures, gaps } = check(&api);
    let file = escape(&path.display().to_string());
    for gap in &gaps {
        print_message(&format!("note: {file}: {gap}"));
    }
    for failure in &failures {
        let (number, list, name) = (failure.number, failure.list, escape(&failure.name));
        print_message(&format!("error: {file}: {list}, number {number} ({name}): {}", failure.what));
    }
    if !failures.is_empty() {
        let n = failures.len();
        print_message(&format!(
            "error: {n} of {n_examples} examples are judged in another way than the file says; change the description or the example"
        ));
        return Exit::Usage;
    }
    print(&format!("{file}: {}, {n_examples} examples are judged as the file says\n", api.name))
}
