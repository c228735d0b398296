//! Tests of the evidence needed to give up a paid task: answers that this process received, and never a clock.

use super::*;
use crate::engine::retry::RetryPolicy;

const HOUR: Duration = Duration::from_secs(3600);

fn short(n: u32) -> Limits {
    Limits { task_timeout: Duration::from_secs(8), ..fixed(n) }
}

fn running(n: u64, age: Duration) -> JobRecord {
    past(n, age, &[EventKind::SubmitStarted, EventKind::Accepted(task(n))])
}

fn number(id_: JobId) -> u64 {
    (1..100).find(|n| id(*n) == id_).unwrap()
}

/// Simulates a provider until the run ends. It works on one task at a time, in numerical order, two seconds on each.
fn work_in_order(bench: &mut Bench, started: Moment) {
    loop {
        let turn = bench.next();
        for action in turn.actions {
            match action {
                Action::Submit(job, _) => bench.submitted(job.index),
                Action::Poll(batch) => {
                    let n = number(batch[0].0);
                    let is_done = (bench.now - started).as_secs() >= 2 * n;
                    bench.polled(n, Ok(if is_done { Status::Done(urls(n)) } else { Status::Queued }));
                }
                Action::Download(origin, _) => bench.downloaded(origin.job.index, Ok(vec![artifact()])),
                Action::Load { .. } => bench.handle(Input::Loaded { jobs: vec![], more: More::Done }),
                Action::Reserve(_) | Action::Find(_) => panic!("nothing can be found"),
            }
        }
        if turn.is_last {
            return;
        }
    }
}

/// Goal: a restart does not forget the provider's queue, so that no task is paid for twice. Method: twelve tasks of two seconds each at a
/// provider that works in order, and a timeout of eight seconds. A new process resumes them after any number of seconds.
#[test]
fn after_a_restart_tasks_that_wait_for_their_turn_are_not_given_up() {
    for age in (0..24).map(Duration::from_secs) {
        let n_done = age.as_secs() / 2;
        let jobs = (n_done + 1..=12).map(|n| running(n, age)).collect();
        let mut bench = Bench::new(short(12), jobs);
        let started = Moment::new(-i64::try_from(age.as_micros()).unwrap(), START.wall());
        work_in_order(&mut bench, started);
        assert!(!bench.story().contains("submit") && !bench.story().contains("lost"), "{age:?}: {}", bench.story());
        assert_eq!(bench.story().matches("succeeded").count() as u64, 12 - n_done);
    }
}

/// Answers the polls of job 1 with `Running` until the engine gives the task up or submits the job again. Returns that moment.
fn until_given_up(bench: &mut Bench) -> Moment {
    for _ in 0..10_000 {
        let turn = bench.next();
        if turn.is_last || bench.story().contains("task!") {
            return bench.now;
        }
        assert_eq!(turn.actions, [poll(1)]);
        bench.polled(1, Ok(Status::Running));
    }
    panic!("never given up");
}

/// A wall clock that was set between two processes makes a task neither too old nor too young.
#[test]
fn a_task_that_an_earlier_process_left_is_given_the_whole_time_whatever_the_clocks_say() {
    let long = Duration::from_secs(20 * 365 * 24 * 3600);
    for age in [Duration::ZERO, Duration::from_secs(7), HOUR, 24 * HOUR, long] {
        let mut bench = Bench::new(short(1), vec![running(1, age)]);
        let given_up = until_given_up(&mut bench);
        assert!((8..12).contains(&(given_up - START).as_secs()), "{age:?}: {:?}", given_up - START);
    }
    let mut known = running(1, Duration::ZERO);
    known.state.submitted_at = Some((START + long).wall());
    let mut bench = Bench::new(short(1), vec![known]);
    let given_up = until_given_up(&mut bench);
    assert!((8..12).contains(&(given_up - START).as_secs()), "accepted in the future: {:?}", given_up - START);
}

#[test]
fn time_in_which_the_process_was_stopped_does_not_count() {
    let mut bench = Bench::with_pending(Limits { task_timeout: Duration::from_secs(100), ..fixed(1) }, 1);
    bench.run_to_accepted(1);
    for _ in 0..20 {
        assert_eq!(bench.next().actions, [poll(1)]);
        bench.sleep(HOUR);
        bench.polled(1, Ok(Status::Running));
        assert!(!bench.story().contains("task!"), "after {:?}", bench.now - START);
        if bench.engine.0.jobs[&id(1)].heard.total() > Duration::from_secs(60) {
            break;
        }
    }
}

#[test]
fn a_wall_clock_that_jumps_in_mid_run_gives_up_no_task() {
    let mut bench = Bench::with_pending(Limits { task_timeout: Duration::from_secs(100), ..fixed(1) }, 1);
    bench.run_to_accepted(1);
    for years in [50_i64, -50, 1] {
        assert_eq!(bench.next().actions, [poll(1)]);
        let wall = bench.now.wall().millis() + years * 365 * 24 * 3_600_000;
        bench.now = Moment::new(bench.now.micros(), Timestamp::from_millis(wall));
        bench.polled(1, Ok(Status::Running));
    }
    let given_up = until_given_up(&mut bench);
    assert!((100..130).contains(&(given_up - START).as_secs()));
}

/// Time between an unanswered poll and the next answer says nothing about the task.
#[test]
fn time_without_answers_does_not_count() {
    let mut bench = Bench::with_pending(Limits { task_timeout: Duration::from_secs(60), ..fixed(1) }, 1);
    bench.run_to_accepted(1);
    let mut n_polls = 0;
    while bench.now - START < Duration::from_secs(600) {
        assert_eq!(bench.next().actions, [poll(1)], "{}", bench.story());
        n_polls += 1;
        let answer = if n_polls % 2 == 0 { Ok(Status::Running) } else { Err(fault(FaultKind::Transient)) };
        bench.polled(1, answer);
    }
}

/// Answers every poll with an unknown task for `span`. Returns the jobs that were submitted again.
fn all_unknown(bench: &mut Bench, span: Duration) -> Vec<u64> {
    let (end, mut again) = (bench.now + span, vec![]);
    while bench.now < end {
        let turn = bench.next();
        for action in turn.actions {
            match action {
                Action::Poll(batch) => {
                    let answers = batch.into_iter().map(|(id, _)| (id, Err(fault(FaultKind::TaskLost)))).collect();
                    bench.handle(Input::Polled(answers));
                }
                Action::Submit(job, _) => {
                    again.push(job.index);
                    bench.handle(Input::Submitted(job.id, Ok(TaskId(format!("new {}", job.index)).into())));
                }
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) | Action::Download(..) => {
                    panic!("{action:?}")
                }
            }
        }
        if turn.is_last {
            break;
        }
    }
    again
}

/// Goal: a provider or a gateway that no longer knows any task is paid once more, and not eight times. Method: all of eight tasks are
/// unknown for 15 minutes, including the one that is submitted again. Then all are known again.
#[test]
fn when_all_tasks_vanish_one_goes_first() {
    let jobs = (1..=8).map(|n| running(n, HOUR)).collect();
    let mut bench = Bench::new(fixed(8), jobs);
    let again = all_unknown(&mut bench, Duration::from_secs(900));
    let n_again = again.len();
    assert!((1..=6).contains(&n_again), "each failed trial waits longer: {again:?}");
    let mut n_done = 0;
    for _ in 0..1000 {
        let turn = bench.next();
        if turn.is_last {
            break;
        }
        for action in turn.actions {
            match action {
                Action::Poll(batch) => {
                    let n = number(batch[0].0);
                    bench.polled(n, Ok(Status::Done(urls(n))));
                }
                Action::Download(origin, _) => {
                    n_done += 1;
                    bench.downloaded(origin.job.index, Ok(vec![artifact()]));
                }
                Action::Submit(job, _) => bench.submitted(job.index),
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => panic!("{action:?}"),
            }
        }
    }
    // A job that was on trial too often is held.
    assert!((7..=8).contains(&n_done), "{n_done}");
}

#[test]
fn a_task_that_another_account_does_not_know_is_not_lost() {
    let limits = Limits { is_same_account: false, ..fixed(8) };
    let mut bench = Bench::new(limits, (1..=5).map(|n| running(n, HOUR)).collect());
    assert_eq!(all_unknown(&mut bench, HOUR), [0; 0], "nothing is paid for again");
    assert!(bench.next().is_last);
    assert!(!bench.story().contains("task!") && !bench.story().contains("failed"), "{}", bench.story());
}

/// Goal: a crash loop that left many submissions in doubt does not pay for all of them at once. Method: twenty jobs in doubt, whose new
/// submissions are in doubt again.
#[test]
fn of_many_doubts_one_goes_first_and_the_rest_only_when_it_is_answered() {
    let doubtful = |n| past(n, HOUR, &[EventKind::SubmitStarted]);
    let mut bench = Bench::new(fixed(20), (1..=20).map(doubtful).collect());
    bench.next();
    let turn_submits = |bench: &mut Bench| {
        let actions = bench.next().actions;
        actions
            .into_iter()
            .map(|action| if let Action::Submit(job, _) = action { job.index } else { panic!("{action:?}") })
            .collect::<Vec<_>>()
    };
    let started: Vec<u64> =
        bench.events.iter().filter(|event| word(&event.kind) == "submit").map(|event| event.index).collect();
    assert_eq!(started.len(), 1, "one goes first: {}", bench.story());
    bench.submit_fault(started[0], FaultKind::InDoubt);
    let second = turn_submits(&mut bench);
    assert_eq!(second.len(), 1, "and it was not answered: {second:?}");
    bench.submitted(second[0]);
    let mut n = 0;
    for action in bench.turn().actions {
        if let Action::Submit(job, _) = action {
            n += 1;
            bench.submitted(job.index);
        }
    }
    assert_eq!(n, 2, "each that is answered lets twice as many go");
}

#[test]
fn repeated_payments_of_a_job_have_one_limit_whatever_they_are_for() {
    for story in [[true, true, true], [true, false, true], [false, true, false], [false, false, false]] {
        let mut bench = Bench::with_pending(fixed(1), 1);
        for (n, is_doubt) in story.into_iter().enumerate() {
            assert_eq!(bench.next().actions, [submit(1)], "payment {n} of {story:?}: {}", bench.story());
            if is_doubt {
                bench.submit_fault(1, FaultKind::InDoubt);
                continue;
            }
            bench.submitted(1);
            while bench.engine.0.jobs.get(&id(1)).is_some_and(|tracked| tracked.is_in_flight) {
                assert_eq!(bench.next().actions, [poll(1)]);
                bench.polled(1, Err(fault(FaultKind::TaskLost)));
            }
        }
        assert!(bench.next().is_last, "{}", bench.story());
        assert!(!bench.story().contains("failed"), "held and not failed: {}", bench.story());
        let held = RetryPolicy::new(&fixed(1));
        let mut state = JobState::default();
        bench.events.iter().for_each(|event| state.apply(event.at, &event.kind));
        assert!(!held.may_repay(&JobState { n_lost: 2, ..JobState::default() }));
        let mut again = Bench::new(fixed(1), vec![JobRecord { job: job(1).into(), state: state.clone() }]);
        let actions = again.next().actions;
        assert!(!actions.contains(&submit(1)), "nor is it submitted by the next run: {state:?}");
    }
}

/// Case: a cache on the network path repeats an earlier answer. The job's own submission is in doubt, and the image of the other job is not
/// its own.
#[test]
fn an_id_belongs_to_one_job() {
    let mut bench = Bench::with_pending(fixed(2), 2);
    bench.turn();
    bench.submitted(1);
    bench.handle(Input::Submitted(id(2), Ok(task(1).into())));
    bench.turn();
    assert_eq!(bench.story(), "submit submit accepted submit!in_doubt");
    let Some(EventKind::Setback(_, fault)) = bench.events.last().map(|event| event.kind.clone()) else { panic!() };
    assert!(fault.message.contains("task t1, which belongs to job 1"), "{}", fault.message);
}
