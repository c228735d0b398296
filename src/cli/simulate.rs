//! Command `simulate`: serves the simulated API until a signal stops it.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::simulator::http::Simulator;
use promptbatch::simulator::picture::SIDE_PIXELS_MAX;

use crate::cli::args::SimulateArgs;
use crate::cli::exit::Exit;
use crate::cli::{print, runtime, tell};

/// Maximum size of the cached pictures, in bytes. Tests and benchmarks request the same pictures again and again.
const PICTURES_BYTES_MAX: usize = 128 << 20;

/// Serves until SIGINT or SIGTERM. The address is the only line on stdout.
pub fn simulate(args: SimulateArgs) -> Exit {
    if !(0.0..=1.0).contains(&args.fail_rate) || !(0.0..=10.0).contains(&args.latency_sigma) {
        tell("error: --fail-rate must be from 0 to 1, and --latency-sigma from 0 to 10");
        return Exit::Usage;
    }
    if args.image_size.is_some_and(|size| size.width.max(size.height) > u32::from(SIDE_PIXELS_MAX)) {
        tell(&format!("error: the sides of --image-size must be at most {SIDE_PIXELS_MAX} pixels"));
        return Exit::Usage;
    }
    let port = args.port;
    let config = config(args);
    match runtime().and_then(|runtime| runtime.block_on(serve(config, port))) {
        Ok(exit) => exit,
        Err(error) => {
            tell(&format!(
                "error: could not serve on 127.0.0.1:{port}: {error}; choose another port (--port, 0 for any)"
            ));
            Exit::Error
        }
    }
}

fn config(args: SimulateArgs) -> SimulatorConfig {
    SimulatorConfig {
        latency: args.latency,
        latency_sigma: args.latency_sigma,
        rate: args.rate,
        concurrency: args.concurrency,
        quota: args.quota,
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

async fn serve(config: SimulatorConfig, port: u16) -> io::Result<Exit> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let simulator = Simulator::start(config, port).await?;
    let url = simulator.url().to_owned();
    let printed = print(&format!("{url}\n"));
    if printed != Exit::Done {
        return Ok(printed);
    }
    tell(&format!(
        "a simulated API, no account and no cost; any token will do\n\
         use it:   MODELSCOPE_API_KEY=x promptbatch run prompts.yaml --base-url {url}\n\
         counts:   {url}/stats\n\
         stop it:  Ctrl-C"
    ));
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
    let stats = simulator.stats();
    simulator.shutdown().await;
    tell(&format!(
        "{} submissions seen, {} accepted, {} images requested",
        stats.n_submits, stats.n_accepted, stats.n_images
    ));
    Ok(Exit::Done)
}
