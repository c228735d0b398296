//! CPU cost of the polling schedule itself, in real time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use promptbatch::internals::engine::schedule::{PollState, Schedule};
use promptbatch::model::history::TaskKind;
use promptbatch::model::time::{Moment, Timestamp};

use crate::world;

/// Number of polls in a round.
const POLLS: u32 = 200_000;

/// Number of rounds, of which the median is reported.
const ROUNDS: u64 = 5;

/// Minimum time between two polls of the benchmark.
const GAP: Duration = Duration::from_micros(100);

/// Result of a round.
struct Round {
    /// Cost of each poll.
    per_poll: Duration,
    polls_per_second: f64,
    /// Share of one core.
    part: f64,
}

/// Prints the cost of a poll: to plan it, to take it when it is due, and to learn from its answer.
pub fn show() {
    println!("what a poll costs the engine: to plan it, to take it when it is due, and to learn from its answer");
    println!("  {:<40} {:>9} {:>8} {:>10}", "", "polls/s", "ns/poll", "of a core");
    for (what, n_in_flight, polls_each) in [
        ("1,000 in flight, done when first asked for", 1000, 1),
        ("10,000 in flight, done at the third poll", 10_000, 3),
        ("50 in flight, done at the third poll", 50, 3),
    ] {
        let mut rounds: Vec<_> = (0..ROUNDS).map(|seed| round(n_in_flight, polls_each, seed)).collect();
        rounds.sort_unstable_by_key(|round| round.per_poll);
        let Round { per_poll, polls_per_second, part } = rounds[rounds.len() / 2];
        println!("  {what:<44} {polls_per_second:>7.0} {:>8} {:>9.2}%", per_poll.as_nanos(), part * 100.0);
    }
}

fn round(n_in_flight: usize, polls_each: u32, seed: u64) -> Round {
    let start = Moment::new(0, Timestamp::from_millis(0));
    let mut schedule = Schedule::new(seed, Duration::from_secs(3600));
    let kind = schedule.kind(TaskKind::of(&world::job(0).request));
    let mut tasks = HashMap::new();
    for job in (0..n_in_flight).map(|n| world::job(n).id) {
        let watch = PollState::new(kind, start);
        schedule.plan(start, job, watch);
        tasks.insert(job, (watch, 0));
    }
    let (mut now, mut spent) = (start, Duration::ZERO);
    for _ in 0..POLLS {
        now = schedule.next().expect("every task is planned").max(now + GAP);
        let began = Instant::now();
        let job = schedule.take_due(now).expect("one is due");
        let (watch, n_polls) = tasks.get_mut(&job).expect("it is watched");
        watch.asked(now);
        *n_polls += 1;
        if *n_polls % polls_each > 0 {
            schedule.still_running(now, watch);
        } else {
            schedule.ended(now, watch);
            *watch = watch.again(now);
        }
        schedule.plan(now, job, *watch);
        spent += began.elapsed();
    }
    let seconds = (now - start).as_secs_f64();
    Round { per_poll: spent / POLLS, polls_per_second: f64::from(POLLS) / seconds, part: spent.as_secs_f64() / seconds }
}
