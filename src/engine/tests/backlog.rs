//! Tests with a provider that is faster than its image host: only what can be fetched is submitted.

use super::*;
use crate::engine::downloads::BACKLOG_MIN;

const JOBS: u64 = 1500;
const IN_FLIGHT: usize = 3;

/// Ends every task at once until the engine has nothing more to do. Adds the jobs whose images are requested to `asked`, and returns the
/// number of submissions.
fn settle(bench: &mut Bench, asked: &mut Vec<JobId>) -> usize {
    let mut n_submits = 0;
    loop {
        let turn = bench.turn();
        match turn.wake_at {
            Some(wake_at) if turn.actions.is_empty() => bench.now = wake_at,
            None if turn.actions.is_empty() => return n_submits,
            _ => (),
        }
        for action in turn.actions {
            match action {
                Action::Submit(job, _) => {
                    n_submits += 1;
                    bench.submitted(job.index);
                }
                Action::Poll(jobs) => {
                    let done = jobs.into_iter().map(|(id, _)| (id, Ok(Status::Done(urls(1)))));
                    bench.handle(Input::Polled(done.collect()));
                }
                Action::Download(origin, _) => asked.push(origin.job.id),
                Action::Load { .. } | Action::Find(_) => panic!("all jobs were told"),
            }
        }
    }
}

/// Goal: memory does not grow with waiting images, and no submission is held back longer than that requires. Method: a host that returns
/// nothing; then one image at a time.
#[test]
fn submissions_wait_while_images_pile_up() {
    let mut bench = Bench::with_pending(fixed(u32::try_from(IN_FLIGHT).unwrap()), JOBS);
    let mut asked = vec![];
    let n_first = settle(&mut bench, &mut asked);
    assert!((BACKLOG_MIN..BACKLOG_MIN + IN_FLIGHT).contains(&n_first), "{n_first} submissions");
    let mut n_submits = n_first;
    while let Some(id) = asked.pop() {
        bench.handle(Input::Downloaded(id, Ok(vec![artifact()])));
        n_submits += settle(&mut bench, &mut asked);
    }
    assert_eq!(n_submits as u64, JOBS);
    assert!(bench.turn().is_last);
    assert_eq!(bench.story().matches("succeeded").count() as u64, JOBS);
}
