//! Polling of the whole program in virtual time: how soon the end of a task is noticed, and by how many polls.

use std::collections::BTreeMap;
use std::time::Duration;

use promptbatch::internals::simulator::Task;
use promptbatch::model::event::EventKind;
use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::simulator::config::SimulatorConfig;

use crate::world::{self, World};
use crate::{calm, limits};

const JOBS: u64 = 600;

/// Number of tasks during which the schedule learns.
const WARM_UP: usize = 100;

/// Optimum for a known distribution of task durations (`cargo bench --bench polling`): 2.8 polls and a delay of 1.52 s.
/// One poll costs as much as a delay of 0.6 s.
const OPTIMUM: f64 = 0.6 * 2.8 + 1.52;

/// Polls per task and delay in seconds, when polling every five seconds.
const FIVE_SECONDS: (f64, f64) = (3.58, 2.56);

/// Goal: after a warm-up, polls and delays are near the optimum for tasks of 15 s, where no job waits for a slot.
/// Method: a rate keeps 20 tasks in flight. The id of a simulated task contains its end. The ledger records when the end
/// was noticed, and the server counts the polls.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn ends_are_noticed_soon_and_by_few_polls() {
    for seed in [21, 22, 23] {
        world::simulate(async move {
            let config = SimulatorConfig { latency: Duration::from_secs(15), latency_sigma: 0.3, ..calm(seed) };
            let answer_delay = config.answer_delay;
            let world = World::new(JOBS, config);
            let limits = Limits { rate: "80/m".parse().ok(), concurrency: Concurrency::Auto, ..limits(seed) };
            assert_eq!(world.run(limits).await, None);
            world.check();
            let mut tasks = BTreeMap::new();
            let mut delays = vec![];
            for event in world.ledger_events() {
                match event.kind {
                    EventKind::Accepted(task) => drop(tasks.insert(event.job, Task::from_id(&task.0).unwrap())),
                    EventKind::Ready(_) => {
                        let noticed_after = event.at.since(tasks[&event.job].ends_at());
                        delays.push(noticed_after.saturating_sub(answer_delay));
                    }
                    _ => (),
                }
            }
            let warm = &delays[WARM_UP..];
            let delay = warm.iter().sum::<Duration>().as_secs_f64() / f64::from(u32::try_from(warm.len()).unwrap());
            let n_polls = u32::try_from(world.server_stats().n_polls).unwrap();
            let polls = f64::from(n_polls) / f64::from(u32::try_from(JOBS).unwrap());
            let found = format!("seed {seed}: {polls} polls a task, {delay} s");
            // The polls include those of the warm-up.
            assert!(0.6 * polls + delay < 1.15 * OPTIMUM, "{found}");
            assert!(polls < FIVE_SECONDS.0 && delay < FIVE_SECONDS.1, "{found}");
        });
    }
}
