//! Polling with more due polls than may leave: many tasks accepted together, and many in flight all the time.

use std::time::Duration;

use promptbatch::internals::engine::schedule::kinds::POLL_PRICE;
use promptbatch::model::history::{History, PastTask, TaskKind};
use promptbatch::model::limits::Rate;

use crate::Figures;
use crate::law::{Law, Scene, Tasks, kind};
use crate::optimum::Optimum;
use crate::world::{self, Load};

/// Number of tasks in flight.
const IN_FLIGHT: u32 = 2000;

/// Number of tasks of a continuous run. The first `WARM_UP` of them are not counted.
const TASKS: usize = 14_000;
const WARM_UP: usize = 4000;

/// Number of tasks that an earlier process has seen, so that the engine knows the distribution from the start.
const PAST: usize = 400;

const SCENES: [(&str, Scene); 3] = [
    ("lognormal 15 s, sigma 0.3", Scene::Steady(Law::Lognormal { median: 15.0, sigma: 0.3 })),
    ("8 s or 40 s, one kind", Scene::Steady(Law::Either { medians: [8.0, 40.0], sigma: 0.2 })),
    (
        "8 s and 40 s, two kinds",
        Scene::Kinds([Law::Lognormal { median: 8.0, sigma: 0.2 }, Law::Lognormal { median: 40.0, sigma: 0.2 }]),
    ),
];

/// Prints both tables, and returns the missed goals.
pub fn show() -> Vec<String> {
    println!("2,000 tasks accepted together, 50 polls/s");
    println!("  {:<26} {:<38} {:>6} {:>7}", "", "", "polls", "delay s");
    let together = Some("50/s".parse().expect("a rate"));
    let mut missed: Vec<_> =
        SCENES.iter().filter_map(|(name, scene)| compare(name, *scene, IN_FLIGHT as usize, 0, together)).collect();
    println!("2,000 tasks in flight all the time, {} in all, 180 polls/s", TASKS - WARM_UP);
    let always = Some("180/s".parse().expect("a rate"));
    missed.extend(compare(SCENES[0].0, SCENES[0].1, TASKS, WARM_UP, always));
    missed
}

/// Compares the engine with clients that poll in the order of due times. One knows the distribution and the optimal
/// plan, one polls every 5 s, and one knows every end.
fn compare(name: &str, scene: Scene, n_tasks: usize, n_skipped: usize, poll_rate: Option<Rate>) -> Option<String> {
    let load = Load { n_in_flight: IN_FLIGHT, poll_rate };
    let tasks = || Tasks::new(scene, n_tasks, 1);
    let optima: Vec<_> = scene.laws().into_iter().map(Optimum::of).collect();
    let plans: Vec<_> = optima.iter().map(|optimum| optimum.at(POLL_PRICE).1).collect();
    let likely = world::engine(tasks(), load, &past(scene), 1);
    let first = world::client(tasks(), load, |n, age, _| {
        let which = kind(n) % plans.len();
        optima[which].next_after(&plans[which], age)
    });
    let knowing = tasks();
    let knowing = world::client(tasks(), load, |n, age, _| (knowing.duration(n) - 2.0 * world::ONE_WAY).max(age));
    let five = world::client(tasks(), load, |_, age, n_polls| crate::answered(age, n_polls) + 5.0);
    let [likely, first, five, knowing] = [likely, first, five, knowing].map(|fates| Figures::of(&fates[n_skipped..]));
    for (who, figures) in [
        ("promptbatch: by likelihood", likely),
        ("the optimum's plan, first come", first),
        ("every 5 s, first come", five),
        ("knowing every end, first come", knowing),
    ] {
        println!("  {name:<26} {who:<38} {:>6.2} {:>7.2}", figures.polls, figures.delay);
    }
    if n_skipped > 0 {
        let delay = optima[0].delay_for(likely.polls);
        println!("  {name:<26} {:<38} {:>6.2} {delay:>7.2}", "the optimum for as many polls", likely.polls);
    }
    // A continuous run is compared with the five-second rule, and the optimum is shown next to it.
    let most = if n_skipped > 0 { five.delay } else { first.delay };
    (likely.delay > most).then(|| format!("{name}: first come, first served is better under a budget"))
}

/// Returns the history of an earlier process with such tasks.
fn past(scene: Scene) -> History {
    let tasks = Tasks::new(scene, PAST, 2);
    let past = |n| {
        let took = Duration::from_secs_f64(tasks.duration(n));
        PastTask { kind: TaskKind::of(&world::job(n).request), took }
    };
    History { tasks: (0..PAST).map(past).collect(), submitted_at: vec![] }
}
