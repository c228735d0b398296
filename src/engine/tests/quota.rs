//! Tests of a used-up quota: nothing more is submitted, tasks in flight complete, and then the run stops or waits.

use super::*;
use crate::engine::turn::StopReason;
use crate::model::limits::QuotaPolicy;
use crate::model::outcome::Acceptance;

const HOUR: Duration = Duration::from_secs(3600);

fn spent() -> Fault {
    fault(FaultKind::QuotaExhausted { resets_at: Some((START + 7 * HOUR).wall()) })
}

fn last_of_the_allowance(n: u64) -> Input {
    Input::Submitted(id(n), Ok(Acceptance { spent: Some(spent()), ..task(n).into() }))
}

fn waiting(n: u32) -> Limits {
    Limits { on_quota: QuotaPolicy::Wait, ..fixed(n) }
}

/// Completes job `n`: polled, done, downloaded.
fn see_through(bench: &mut Bench, n: u64) {
    assert_eq!(bench.next().actions, [poll(n)]);
    bench.polled(n, Ok(Status::Done(urls(n))));
    assert_eq!(bench.next().actions, [download(n)]);
    bench.downloaded(n, Ok(vec![artifact()]));
}

#[test]
fn zero_remaining_stops_submissions_before_one_is_refused() {
    let mut bench = Bench::with_pending(fixed(1), 3);
    bench.next();
    bench.handle(last_of_the_allowance(1));
    see_through(&mut bench, 1);
    assert!(bench.next().is_last);
    assert_eq!(bench.engine.stop(), Some(&StopReason::Quota(spent())));
    assert_eq!(bench.story(), "submit accepted ready succeeded", "no submission was spent on asking");
}

#[test]
fn a_job_that_waited_out_a_setback_is_held_back_too() {
    let mut bench = Bench::with_pending(fixed(2), 2);
    bench.turn();
    bench.submit_fault(2, FaultKind::Transient);
    bench.handle(last_of_the_allowance(1));
    bench.turn();
    bench.wait(Duration::from_secs(2));
    assert_eq!(bench.turn().actions, [poll(1)], "job 2 could go again, and must not");
    assert!(matches!(bench.engine.stop(), Some(StopReason::Quota(_))));
}

#[test]
fn zero_remaining_after_the_last_job_is_no_stop() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.next();
    bench.handle(last_of_the_allowance(1));
    see_through(&mut bench, 1);
    assert!(bench.next().is_last);
    assert_eq!(bench.engine.stop(), None);
}

#[test]
fn a_run_may_wait_for_the_next_allowance_and_tries_with_one() {
    let mut bench = Bench::with_pending(waiting(3), 5);
    bench.turn();
    bench.submitted(1);
    bench.handle(Input::Submitted(id(2), Err(spent())));
    bench.handle(Input::Submitted(id(3), Err(spent())));
    see_through(&mut bench, 1);
    let hold = bench.engine.pace(bench.now).hold.unwrap();
    assert_eq!(hold.why, PauseReason::Quota);
    let turn = bench.next();
    assert_eq!(turn.actions.len(), 1, "one submission tries: {:?}", turn.actions);
    assert!((7 * HOUR..7 * HOUR + Duration::from_secs(31)).contains(&(bench.now - START)));
    let Action::Submit(first, _) = &turn.actions[0] else { panic!("{turn:?}") };
    bench.submitted(first.index);
    let n_submits = bench.turn().actions.len();
    assert_eq!(n_submits, 2, "then all that the limit allows");
    assert_eq!(bench.engine.stop(), None);
}

#[test]
fn a_machine_that_slept_through_the_reset_goes_on_when_it_wakes() {
    let mut bench = Bench::with_pending(waiting(1), 2);
    bench.next();
    bench.handle(Input::Submitted(id(1), Err(spent())));
    assert!(bench.turn().actions.is_empty());
    // The monotonic clock stopped; the wall clock did not.
    bench.now = Moment::new(bench.now.micros() + 1_000_000, (bench.now + 8 * HOUR).wall());
    assert_eq!(bench.turn().actions.len(), 1);
}

/// Goal: a machine whose clock is wrong by a day waits as long as the provider's clock says.
#[test]
fn the_wait_for_an_allowance_goes_by_the_providers_clock() {
    let mut bench = Bench::with_pending(waiting(1), 2);
    bench.next();
    let wrong = FaultKind::QuotaExhausted { resets_at: Some((START + 31 * HOUR).wall()) };
    bench.handle(Input::Submitted(id(1), Err(Fault { resets_in: Some(2 * HOUR), ..fault(wrong) })));
    assert_eq!(bench.next().actions.len(), 1);
    assert!((2 * HOUR..2 * HOUR + Duration::from_secs(31)).contains(&(bench.now - START)), "{:?}", bench.now - START);
}

#[test]
fn waiting_for_an_allowance_can_be_interrupted() {
    let mut bench = Bench::with_pending(waiting(1), 2);
    bench.next();
    bench.handle(Input::Submitted(id(1), Err(spent())));
    bench.turn();
    bench.handle(Input::Stop(StopReason::Interrupted(crate::engine::turn::Signal::Interrupt)));
    assert!(bench.turn().is_last);
}

#[test]
fn a_wait_that_follows_zero_remaining_sends_nothing_before_the_reset() {
    let mut bench = Bench::with_pending(waiting(1), 2);
    bench.next();
    bench.handle(last_of_the_allowance(1));
    see_through(&mut bench, 1);
    assert_eq!(bench.next().actions, [submit(2)]);
    assert!(bench.now - START >= 7 * HOUR);
}

/// Builds a pending job of this model.
fn of_model(n: u64, model: &str) -> JobRecord {
    let mut record = pending(n);
    Arc::make_mut(&mut record.job).request.model = model.into();
    record
}

fn model_spent() -> Fault {
    Fault { is_model_quota: true, ..spent() }
}

/// Answers everything that leaves until the run ends, except that each submission to model `a` beyond the first two is refused for its
/// quota before `resets_at`. Returns the indices of the submissions.
fn play_models(bench: &mut Bench, resets_at: Duration) -> Vec<u64> {
    let (mut sent, mut n_of_a) = (vec![], 0);
    loop {
        let turn = bench.turn();
        if turn.is_last {
            return sent;
        }
        let is_idle = turn.actions.is_empty();
        for action in turn.actions {
            match action {
                Action::Submit(job, _) => {
                    let n = job.index;
                    sent.push(n);
                    n_of_a += u32::from(job.request.model == "a");
                    let is_spent = job.request.model == "a" && n_of_a > 2 && bench.now - START < resets_at;
                    let answer = if is_spent { Err(model_spent()) } else { Ok(task(n).into()) };
                    bench.handle(Input::Submitted(id(n), answer));
                }
                Action::Poll(jobs) => jobs.into_iter().for_each(|(job, _)| {
                    let n = bench.engine.0.jobs[&job].job.index;
                    bench.polled(n, Ok(Status::Done(urls(n))));
                }),
                Action::Download(provenance, _) => bench.downloaded(provenance.job.index, Ok(vec![artifact()])),
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => panic!("every job is loaded"),
            }
        }
        if is_idle {
            let wake_at = turn.wake_at.expect("an engine that is not done says when to wake it");
            assert!(wake_at > bench.now, "an engine that wants to be woken at once would spin");
            bench.wait(wake_at - bench.now);
        }
    }
}

fn two_models() -> Vec<JobRecord> {
    (1..=20).map(|n| of_model(n, if n % 2 == 0 { "a" } else { "b" })).collect()
}

/// Goal: a used-up quota of one model costs the other models nothing, and the run then stops for it.
#[test]
fn a_models_quota_stops_the_run_after_all_other_models() {
    let mut bench = Bench::new(fixed(2), two_models());
    let sent = play_models(&mut bench, 24 * HOUR);
    assert_eq!(bench.story().matches("succeeded").count(), 12, "ten of b and two of a");
    assert!(sent.len() <= 14, "few submissions are spent on asking: {sent:?}");
    assert!(matches!(bench.engine.stop(), Some(StopReason::Quota(_))));
}

/// Goal: with `--on-quota wait`, the jobs of the model follow after the reset, and the others do not wait for it.
#[test]
fn a_models_jobs_wait_for_its_quota_alone() {
    let mut bench = Bench::new(waiting(2), two_models());
    let sent = play_models(&mut bench, 7 * HOUR);
    assert_eq!((bench.engine.stop(), bench.story().matches("succeeded").count()), (None, 20));
    assert!(sent.len() <= 22, "{sent:?}");
    assert!((7 * HOUR..7 * HOUR + Duration::from_secs(60)).contains(&(bench.now - START)), "{:?}", bench.now - START);
    let last_of_a: Vec<u64> = sent.iter().rev().take(7).copied().collect();
    assert!(last_of_a.is_sorted_by(|a, b| a > b), "in order: {sent:?}");
}

#[test]
fn a_model_without_anything_left_is_not_asked_again() {
    let mut bench = Bench::new(fixed(1), [1, 2, 3].map(|n| of_model(n, if n == 3 { "b" } else { "a" })).to_vec());
    bench.next();
    let last = Acceptance { spent: Some(model_spent()), model_quota_left: Some(0), ..task(1).into() };
    bench.handle(Input::Submitted(id(1), Ok(last)));
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Done(urls(1))));
    let actions = bench.next().actions;
    let submitted =
        actions.iter().find_map(|action| if let Action::Submit(job, _) = action { Some(job.index) } else { None });
    assert_eq!(submitted, Some(3), "the other model goes on: {actions:?}");
    bench.submitted(3);
    bench.turn();
    assert!(matches!(bench.engine.stop(), Some(StopReason::Quota(_))));
}

#[test]
fn a_run_that_waits_for_a_models_quota_says_so() {
    let mut bench = Bench::new(waiting(1), vec![of_model(1, "a")]);
    bench.next();
    bench.handle(Input::Submitted(id(1), Err(model_spent())));
    bench.turn();
    assert_eq!(bench.engine.pace(bench.now).hold.map(|hold| hold.why), Some(PauseReason::Quota));
}
