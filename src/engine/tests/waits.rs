//! Tests of how late the end of a task is noticed while the next job waits for its slot, or the run for its last task.

use super::*;

/// Plays a run of `n` jobs whose tasks take these durations, and returns how long it takes. Requests take no time.
fn play(limits: Limits, n: u64, took: impl Fn(u64) -> Duration) -> Duration {
    let mut bench = Bench::with_pending(limits, n);
    let mut ends = std::collections::BTreeMap::new();
    loop {
        let turn = bench.next();
        for action in turn.actions {
            match action {
                Action::Submit(job, _) => {
                    ends.insert(job.id, bench.now + took(job.index));
                    bench.submitted(job.index);
                }
                Action::Poll(batch) => {
                    let status = |id| if ends[&id] <= bench.now { Status::Done(urls(1)) } else { Status::Running };
                    let answers = batch.into_iter().map(|(id, _)| (id, Ok(status(id)))).collect();
                    bench.handle(Input::Polled(answers));
                }
                Action::Download(origin, _) => bench.downloaded(origin.job.index, Ok(vec![artifact()])),
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => panic!("{action:?}"),
            }
        }
        if turn.is_last {
            return bench.now - START;
        }
    }
}

/// Goal: where the user limits the slots, an unnoticed end leaves a slot idle for at most a twentieth of the time. Method: 60 jobs with one
/// slot, and tasks of 7 to 13 s, or of 30 to 90 ms.
#[test]
fn slots_that_the_user_limits_are_seldom_idle() {
    for (least, more) in [(7000, 100), (30, 1)] {
        let took = |n: u64| Duration::from_millis(least + more * (n * 37 % 60));
        let ideal: Duration = (1..=60).map(took).sum();
        let played = play(fixed(1), 60, took);
        let factor = if least < 1000 { 1.25 } else { 1.05 };
        assert!(played < ideal.mul_f64(factor), "{played:?} of {ideal:?}");
    }
}

/// Goal: a run ends soon after its last task. Method: three tasks of the same duration, of which nothing is known before.
#[test]
fn a_run_ends_within_a_twentieth_of_its_time_after_its_last_task() {
    for seconds in [1, 10, 60, 600, 1500] {
        let took = Duration::from_secs(seconds);
        let played = play(fixed(3), 3, |_| took);
        assert!(played < took.mul_f64(1.06) + Duration::from_millis(100), "{played:?} of {took:?}");
    }
}
