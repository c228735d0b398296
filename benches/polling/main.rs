//! Benchmark of polling: the number of polls per task, and how long its end goes unnoticed.
//!
//! The real engine runs in virtual time. It is compared with the mathematical optimum for a known distribution of
//! durations, and with fixed rules.
//!
//! `cargo bench --bench polling [-- SEEDS [SCENE]]`. There are no sockets and no real time: except for the last table,
//! all figures repeat exactly. Ends with an error if the engine misses its goals.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts and seconds of a bench, all of them small"
)]

mod budget;
mod cost;
mod law;
mod optimum;
mod world;

use std::process::ExitCode;

use promptbatch::internals::engine::schedule::kinds::POLL_PRICE;
use promptbatch::model::history::History;

use crate::law::{Law, Scene, Tasks};
use crate::optimum::Optimum;
use crate::world::{Fate, Load};

/// Number of tasks in a run.
const TASKS: usize = 1200;

/// Number of first tasks, in which the engine learns.
const WARM_UP: usize = 100;

/// Number of tasks that are evaluated after a shift.
const AFTER: usize = 100;

/// Numbers of tasks in flight with which every scene is played.
const IN_FLIGHT: [u32; 3] = [8, 20, 50];

/// Maximum ratio of the engine to the optimum.
const RATIO_MAX: f64 = 1.15;

/// Polls per task, and seconds from the end of a task to the poll that finds it done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Average number of polls per task.
    pub polls: f64,
    /// Average delay, in seconds.
    pub delay: f64,
}

impl Figures {
    fn of(fates: &[Fate]) -> Self {
        let n = fates.len() as f64;
        let polls = fates.iter().map(|fate| f64::from(fate.n_polls)).sum::<f64>() / n;
        Self { polls, delay: fates.iter().map(|fate| fate.delay).sum::<f64>() / n }
    }

    fn mean(figures: &[Self]) -> Self {
        let n = figures.len() as f64;
        let polls = figures.iter().map(|each| each.polls).sum::<f64>() / n;
        Self { polls, delay: figures.iter().map(|each| each.delay).sum::<f64>() / n }
    }

    /// Returns the cost of a task in seconds, when a poll costs `price` seconds.
    pub fn cost(self, price: f64) -> f64 {
        self.delay + price * self.polls
    }
}

/// Every scene, and whether its distribution stays the same.
const SCENES: [(&str, bool, Scene); 13] = [
    ("lognormal 15 s, sigma 0.1", true, Scene::Steady(Law::Lognormal { median: 15.0, sigma: 0.1 })),
    ("lognormal 15 s, sigma 0.3", true, Scene::Steady(Law::Lognormal { median: 15.0, sigma: 0.3 })),
    ("lognormal 15 s, sigma 0.6", true, Scene::Steady(Law::Lognormal { median: 15.0, sigma: 0.6 })),
    ("lognormal 2 s, sigma 0.3", true, Scene::Steady(Law::Lognormal { median: 2.0, sigma: 0.3 })),
    ("lognormal 90 s, sigma 0.3", true, Scene::Steady(Law::Lognormal { median: 90.0, sigma: 0.3 })),
    ("lognormal 90 s, sigma 0.1", true, Scene::Steady(Law::Lognormal { median: 90.0, sigma: 0.1 })),
    ("8 s or 40 s, one kind", true, Scene::Steady(Law::Either { medians: [8.0, 40.0], sigma: 0.2 })),
    ("Pareto from 5 s, power 1.5", true, Scene::Steady(Law::Pareto { least: 5.0, power: 1.5 })),
    ("uniform, 5 to 25 s", true, Scene::Steady(Law::Uniform { least: 5.0, most: 25.0 })),
    (
        "8 s and 40 s, two kinds",
        true,
        Scene::Kinds([Law::Lognormal { median: 8.0, sigma: 0.2 }, Law::Lognormal { median: 40.0, sigma: 0.2 }]),
    ),
    ("queue: 4 servers of 4 s", false, Scene::Queue { law: Law::Lognormal { median: 4.0, sigma: 0.3 }, n_servers: 4 }),
    (
        "shift from 15 s to 30 s",
        false,
        Scene::Shift([Law::Lognormal { median: 15.0, sigma: 0.3 }, Law::Lognormal { median: 30.0, sigma: 0.3 }]),
    ),
    (
        "shift from 30 s to 10 s",
        false,
        Scene::Shift([Law::Lognormal { median: 30.0, sigma: 0.3 }, Law::Lognormal { median: 10.0, sigma: 0.3 }]),
    ),
];

/// Client to measure: the engine, or a fixed rule.
#[derive(Clone, Copy)]
enum Client {
    Engine,
    /// Polls every five seconds.
    FiveSeconds,
    /// Waits two seconds, and half as long again after every poll, up to ten seconds.
    Growing,
    /// Waits for half of the task's age, between half a second and five seconds.
    HalfAge,
}

impl Client {
    fn run(self, scene: Scene, n_in_flight: u32, seed: u64) -> Vec<Fate> {
        let tasks = Tasks::new(scene, TASKS, seed);
        let load = Load { n_in_flight, poll_rate: None };
        match self {
            Self::Engine => world::engine(tasks, load, &History::default(), seed),
            Self::FiveSeconds => world::client(tasks, load, |_, age, n_polls| answered(age, n_polls) + 5.0),
            Self::Growing => world::client(tasks, load, |_, age, n_polls| {
                answered(age, n_polls) + (2.0 * 1.5_f64.powi(n_polls.min(99).cast_signed())).min(10.0)
            }),
            Self::HalfAge => world::client(tasks, load, |_, age, n_polls| {
                answered(age, n_polls) + (answered(age, n_polls) / 2.0).clamp(0.5, 5.0)
            }),
        }
    }
}

/// Returns the age at which the answer to the last poll arrived. Before the first poll, returns the age itself.
fn answered(age: f64, n_polls: u32) -> f64 {
    if n_polls > 0 { age + 2.0 * world::ONE_WAY } else { age }
}

/// Result of a client in all runs of a scene.
struct Measured {
    /// Figures after the warm-up.
    all: Figures,
    /// Figures of the tasks that follow the middle of the run.
    after: Figures,
    /// Durations of the tasks in each run.
    took: Vec<Vec<f64>>,
}

fn measure(client: Client, scene: Scene, n_seeds: u64) -> Measured {
    let runs = IN_FLIGHT.iter().flat_map(|n| (0..n_seeds).map(move |seed| (*n, seed)));
    let runs: Vec<_> = runs.map(|(n_in_flight, seed)| client.run(scene, n_in_flight, seed)).collect();
    let part = |from: usize, to: usize| {
        Figures::mean(&runs.iter().map(|fates| Figures::of(&fates[from..to])).collect::<Vec<_>>())
    };
    let took = runs.iter().map(|fates| fates[WARM_UP..].iter().map(|fate| fate.took).collect()).collect();
    Measured { all: part(WARM_UP, TASKS), after: part(TASKS / 2, TASKS / 2 + AFTER), took }
}

/// Measures one scene, prints its lines, and returns the missed goals.
fn show(name: &str, is_steady: bool, scene: Scene, n_seeds: u64) -> Vec<String> {
    let engine = measure(Client::Engine, scene, n_seeds);
    let optima: Vec<_> = match scene {
        // The waiting time of a task is not in the distribution. So the optimum is that for known durations of all
        // tasks.
        Scene::Queue { .. } => engine.took.iter().cloned().map(Optimum::of_durations).collect(),
        Scene::Steady(_) | Scene::Kinds(_) | Scene::Shift(_) => scene.laws().into_iter().map(Optimum::of).collect(),
    };
    let best = Figures::mean(&optima.iter().map(|optimum| optimum.at(POLL_PRICE).0).collect::<Vec<_>>());
    let line = |who: &str, measured: &Measured| {
        let Measured { all, after, .. } = measured;
        let (cost, ratio) = (all.cost(POLL_PRICE), all.cost(POLL_PRICE) / best.cost(POLL_PRICE));
        print!("  {who:<26} {:>6.2} {:>7.2} {cost:>7.2} {ratio:>7.2}", all.polls, all.delay);
        match scene {
            Scene::Shift(_) => {
                println!("    {:>6.2} {:>7.2} {:>7.2}", after.polls, after.delay, after.cost(POLL_PRICE));
            }
            Scene::Steady(_) | Scene::Kinds(_) | Scene::Queue { .. } => println!(),
        }
    };
    println!("{name}");
    println!("  {:<26} {:>6.2} {:>7.2} {:>7.2}", "optimum", best.polls, best.delay, best.cost(POLL_PRICE));
    line("promptbatch", &engine);
    let five = measure(Client::FiveSeconds, scene, n_seeds);
    line("every 5 s", &five);
    line("2 s x 1.5 up to 10 s", &measure(Client::Growing, scene, n_seeds));
    line("half its age, 0.5 to 5 s", &measure(Client::HalfAge, scene, n_seeds));
    let mut missed = vec![];
    let mut check = |what: &str, value: f64, most: f64| {
        if value > most {
            missed.push(format!("{name}: {what} is {value:.2}, more than {most:.2}"));
        }
    };
    check("the cost", engine.all.cost(POLL_PRICE), five.all.cost(POLL_PRICE));
    if let Scene::Shift(_) = scene {
        check("the cost after the shift", engine.after.cost(POLL_PRICE), five.after.cost(POLL_PRICE));
    }
    if is_steady {
        check("the ratio to the optimum", engine.all.cost(POLL_PRICE) / best.cost(POLL_PRICE), RATIO_MAX);
        if let [optimum] = &optima[..] {
            let ratio = engine.all.delay / optimum.delay_for(engine.all.polls);
            println!("  delay, to the shortest possible with as many polls: {ratio:.2}");
            check("the delay for its polls", ratio, RATIO_MAX);
        }
    }
    missed
}

/// Prints the optimum at some prices, for comparison with other computations of it.
fn show_curve() {
    println!("the optimum for lognormal durations of median 15 s");
    println!("  {:>6} {:>7} {:>7} {:>7}", "sigma", "price", "polls", "delay s");
    for (sigma, prices) in [(0.1, &[0.4, 0.5, 0.6][..]), (0.3, &[0.3, 0.5, 0.6, 0.9]), (0.6, &[0.4, 0.5, 0.6])] {
        let optimum = Optimum::of(Law::Lognormal { median: 15.0, sigma });
        for price in prices {
            let best = optimum.at(*price).0;
            println!("  {sigma:>6.1} {price:>7.1} {:>7.2} {:>7.2}", best.polls, best.delay);
        }
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let n_seeds = args.next().map_or(2, |arg| arg.parse().expect("a number of seeds"));
    let wanted = args.next().unwrap_or_default();
    show_curve();
    println!();
    println!(
        "{TASKS} tasks a run, the first {WARM_UP} not counted; {n_seeds} seeds with each of {IN_FLIGHT:?} in flight;"
    );
    println!("cost = delay + {POLL_PRICE} s a poll; on the right, the {AFTER} tasks after the shift");
    println!(
        "  {:<26} {:>6} {:>7} {:>7} {:>7}    {:>6} {:>7} {:>7}",
        "", "polls", "delay s", "cost s", "ratio", "polls", "delay s", "cost s"
    );
    let mut missed: Vec<_> = SCENES
        .iter()
        .filter(|scene| scene.0.contains(&wanted))
        .flat_map(|(name, is_steady, scene)| show(name, *is_steady, *scene, n_seeds))
        .collect();
    println!();
    if wanted.is_empty() || wanted == "budget" {
        missed.extend(budget::show());
        println!();
    }
    cost::show();
    for goal in &missed {
        println!("MISSED: {goal}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
