//! Command `simulate`: serves the simulated API until a signal stops it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::exit::Exit;
use crate::cli::flags::duration;
use crate::cli::flags::provider::provider;
use crate::cli::flags::units::bytes;
use crate::cli::output::{print, print_message};
use crate::cli::runtime::runtime;
use crate::description::format::Description;
use crate::model::limits::Rate;
use crate::model::request::Size;
use crate::provider::default_provider::{self, DEFAULT};
use crate::provider::spec::ProviderSpec;
use crate::simulator::config::SimulatorConfig;
use crate::simulator::faults::{self, FaultSetting};
use crate::simulator::http::Simulator;
use crate::simulator::picture::SIDE_PIXELS_MAX;

/// Text below the flags in the help: examples, exit codes, and the format of the output.
const HELP: &str = "\
Examples:
  promptbatch simulate                                  on http://127.0.0.1:8080, any token will do
  promptbatch simulate --rate 2/s --quota 100           see a rate limit and a used-up quota
  promptbatch simulate --fault 500=0.05 --fault cut=0.05
  promptbatch simulate --provider openai                OpenAI's API, for its own clients too
  promptbatch run prompts.yaml --base-url http://127.0.0.1:8080/
The address is printed on stdout. The server runs until it is interrupted, and draws its pictures
from the requests.";

/// Returns the examples of `simulate`, and every fault that it can inject.
pub(crate) fn help() -> String {
    format!("{HELP}\n\n{}", faults::help())
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Provider whose API is played: a name that `promptbatch providers` lists, or FILE.yaml that
    /// describes one
    #[arg(long, value_parser = provider, value_name = "NAME|FILE", default_value = default_provider::NAME)]
    pub provider: &'static ProviderSpec,

    /// Port on 127.0.0.1, or 0 for any free port
    #[arg(long, default_value_t = 8080, env = "PROMPTBATCH_PORT")]
    pub port: u16,

    /// Median time of a task
    #[arg(long, value_name = "D", default_value = "2s", value_parser = duration)]
    pub latency: Duration,

    /// How much it varies: sigma of the lognormal distribution
    #[arg(long, value_name = "F", default_value_t = 0.3)]
    pub latency_sigma: f64,

    /// Refuse submissions beyond this rate, for example 5/s
    #[arg(long)]
    pub rate: Option<Rate>,

    /// Refuse submissions beyond this many unfinished tasks
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,

    /// Submissions per day before the quota is used up
    #[arg(long, value_name = "N")]
    pub quota: Option<u32>,

    /// Submissions per model and day before the quota of the model is used up
    #[arg(long, value_name = "N")]
    pub model_quota: Option<u32>,

    /// Share of the tasks to refuse for their content, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub fail_rate: f64,

    /// A fault of those listed below and its probability, for example submit-500=0.05; may be
    /// repeated
    #[arg(long = "fault", value_name = "KIND=P")]
    pub faults: Vec<FaultSetting>,

    /// Seed of all random choices
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Draw every image at this size, whatever size is requested
    #[arg(long, value_name = "WxH")]
    pub image_size: Option<Size>,

    /// How long a link to an image lasts, for example 30s [default: as long as the provider keeps images]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub link_lifetime: Option<Duration>,

    /// How long an accepted submission is missing from the lists of those APIs that list them
    #[arg(long, value_name = "D", default_value = "0s", value_parser = duration)]
    pub list_delay: Duration,

    /// Bandwidth that all images share, in bytes per second, for example 100kB [default: unlimited]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub line: Option<u64>,
}

/// Maximum size of the cached pictures, in bytes. Tests and benchmarks request the same pictures again and again.
const PICTURES_BYTES_MAX: usize = 128 << 20;

/// Serves until SIGINT or SIGTERM. The address is the only line on stdout.
pub(crate) fn simulate(args: SimulateArgs) -> Exit {
    if !(0.0..=1.0).contains(&args.fail_rate) || !(0.0..=10.0).contains(&args.latency_sigma) {
        print_message("error: --fail-rate must be from 0 to 1, and --latency-sigma from 0 to 10");
        return Exit::Usage;
    }
    if args.image_size.is_some_and(|size| size.width.max(size.height) > u32::from(SIDE_PIXELS_MAX)) {
        print_message(&format!("error: the sides of --image-size must be at most {SIDE_PIXELS_MAX} pixels"));
        return Exit::Usage;
    }
    let port = args.port;
    let config = config(args);
    match runtime().and_then(|runtime| runtime.block_on(serve(config, port))) {
        Ok(exit) => exit,
        Err(error) => {
            print_message(&format!(
                "error: could not serve on 127.0.0.1:{port}: {error}; choose another port (--port, 0 for any)"
            ));
            Exit::Error
        }
    }
}

fn config(args: SimulateArgs) -> SimulatorConfig {
    SimulatorConfig {
        // The default provider has a service of its own, with answers and faults that no description says.
        api: args.provider.description.filter(|api| api.name != default_provider::NAME).cloned().map(Arc::new),
        list_delay: args.list_delay,
        latency: args.latency,
        latency_sigma: args.latency_sigma,
        rate: args.rate,
        concurrency: args.concurrency,
        quota: args.quota,
        model_quota: args.model_quota,
        fail_rate: args.fail_rate,
        faults: args.faults.into_iter().collect(),
        seed: args.seed,
        image_size: args.image_size,
        pictures_bytes_max: PICTURES_BYTES_MAX,
        link_lifetime: args.link_lifetime,
        line: args.line,
        ..SimulatorConfig::default()
    }
}

/// Returns the command that uses the service, with a variable for the token if one is needed.
fn usage(api: Option<&Description>, url: &str) -> String {
    let (variable, provider) = match api {
        None => (DEFAULT.api.and_then(|api| api.token.variables.first().copied()), String::new()),
        Some(api) => (api.token.env.first().map(String::as_str), format!(" --provider {}", api.name)),
    };
    let token = variable.map_or_else(String::new, |variable| format!("{variable}=x "));
    format!("{token}promptbatch run prompts.yaml{provider} --base-url {url}")
}

async fn serve(config: SimulatorConfig, port: u16) -> io::Result<Exit> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let api = config.api.clone();
    let simulator = Simulator::start(config, port).await?;
    let url = simulator.url().to_owned();
    let printed = print(&format!("{url}\n"));
    if printed != Exit::Done {
        return Ok(printed);
    }
    let name = api.as_ref().map_or(default_provider::NAME, |api| &api.name);
    print_message(&format!(
        "the simulated API of {name}, no account and no cost; any token will do\n\
         use it:   {}\n\
         counts:   {url}/stats\n\
         stop it:  Ctrl-C",
        usage(api.as_deref(), &url)
    ));
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
    let stats = simulator.stats();
    simulator.shutdown().await;
    print_message(&format!(
        "{} submissions seen, {} accepted, {} images requested",
        stats.n_submits, stats.n_accepted, stats.n_images
    ));
    Ok(Exit::Done)
}
