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
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => panic!("all jobs were told"),
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

#[test]
fn only_a_look_ahead_is_in_memory() {
    let limits = Limits { look_ahead_max: 10, ..fixed(2) };
    let mut bench = Bench { engine: Engine::new(limits), now: START, events: vec![] };
    let (mut n_handed_out, mut n_done) = (0, 0);
    while n_done < 1000 {
        let turn = bench.next();
        assert!(bench.engine.0.jobs.len() <= 12, "{} jobs in memory", bench.engine.0.jobs.len());
        for action in turn.actions {
            match action {
                Action::Load { max, .. } => {
                    let first = n_handed_out + 1;
                    n_handed_out = (n_handed_out + max as u64).min(1000);
                    let jobs = (first..=n_handed_out).map(pending).collect();
                    bench.handle(Input::Loaded { jobs, more: More::now_if(n_handed_out < 1000) });
                }
                Action::Reserve(_) | Action::Find(_) => panic!("nothing can be found"),
                Action::Submit(job, _) => bench.submitted(job.index),
                Action::Poll(batch) => {
                    let done = batch.into_iter().map(|(id, _)| (id, Ok(Status::Done(urls(1))))).collect();
                    bench.handle(Input::Polled(done));
                }
                Action::Download(origin, _) => {
                    n_done += 1;
                    bench.downloaded(origin.job.index, Ok(vec![artifact()]));
                }
            }
        }
    }
    assert!(bench.next().is_last);
}
