//! Thousands of tasks due together, and a budget that carries only some of their polls.

use promptbatch::engine::schedule::kinds::POLL_PRICE;
use promptbatch::model::history::{History, PastTask, TaskKind};

use crate::Figures;
use crate::law::{Law, Scene, Tasks, kind};
use crate::optimum::Optimum;
use crate::world::{self, Load};

/// Tasks that are accepted at the same moment.
const TASKS: usize = 2000;

/// Tasks that an earlier process has seen, so that the engine knows the law.
const PAST: usize = 400;

const POLL_RATE: &str = "50/s";

const SCENES: [(&str, Scene); 3] = [
    ("lognormal 15 s, sigma 0.3", Scene::Steady(Law::Lognormal { median: 15.0, sigma: 0.3 })),
    ("8 s or 40 s, one kind", Scene::Steady(Law::Either { medians: [8.0, 40.0], sigma: 0.2 })),
    (
        "8 s and 40 s, two kinds",
        Scene::Kinds([Law::Lognormal { median: 8.0, sigma: 0.2 }, Law::Lognormal { median: 40.0, sigma: 0.2 }]),
    ),
];

/// Prints the table, and says which goals are missed.
pub fn show() -> Vec<String> {
    println!(
        "{TASKS} tasks accepted together, {POLL_RATE} polls; first come, first served: by the optimum's plan for who knows the law"
    );
    println!("  {:<26} {:<26} {:>6} {:>7}", "", "", "polls", "delay s");
    let mut missed = vec![];
    for (name, scene) in SCENES {
        let load = Load { n_in_flight: TASKS as u32, poll_rate: POLL_RATE.parse().ok() };
        let tasks = || Tasks::new(scene, TASKS, 1);
        let likely = Figures::of(&world::engine(tasks(), load, &past(scene), 1));
        let plans: Vec<_> = scene
            .laws()
            .into_iter()
            .map(Optimum::of)
            .map(|optimum| {
                let next = optimum.at(POLL_PRICE).1;
                (optimum, next)
            })
            .collect();
        let first = Figures::of(&world::client(tasks(), load, |n, age, _| {
            let (optimum, next) = &plans[kind(n) % plans.len()];
            optimum.next_after(next, age)
        }));
        for (who, figures) in [("by likelihood", likely), ("first come, first served", first)] {
            println!("  {name:<26} {who:<26} {:>6.2} {:>7.2}", figures.polls, figures.delay);
        }
        if likely.delay > first.delay {
            missed.push(format!("{name}: first come, first served is better under a budget"));
        }
    }
    missed
}

/// What an earlier process tells of such tasks.
fn past(scene: Scene) -> History {
    let mut tasks = Tasks::new(scene, PAST, 2);
    let past = |n| {
        let took = std::time::Duration::from_secs_f64(tasks.accept(n, 0.0));
        PastTask { kind: TaskKind::of(&world::job(n).request), took }
    };
    History { tasks: (0..PAST).map(past).collect(), submitted_at: vec![] }
}
