//! One limit on the cost of all workers together: never exceeded, whatever happens to workers, network and server, and used up.

use std::time::Duration;

use promptbatch::internals::effort::cases;
use promptbatch::model::amount::Amount;
use promptbatch::model::limits::{Concurrency, InDoubtPolicy, Limits};
use promptbatch::model::price::Price;

use super::{JOBS, Play, Sums, WORKERS, expected, play};
use crate::crash::Crash;
use crate::shared::culprit::Culprit;
use crate::shared::unsteady::{Cut, Weather};
use crate::shared::workers::SharedWorld;
use crate::{PASSING, calm, limits, stormy};

/// Returns the price of an image in every world.
pub(super) fn price() -> Option<Price> {
    "0.7 USD".parse().ok()
}

fn of(n_images: u64) -> Amount {
    price().unwrap().amount_of("", None).unwrap().times(n_images)
}

/// Returns limits for a run that may pay for so many images, and for a little less than one more.
fn capped(seed: u64, n_images: u64) -> Limits {
    let max = of(n_images) + Amount::new(0.699);
    // Not every seed reserves times and places too.
    let concurrency =
        if seed.is_multiple_of(2) { Concurrency::Auto } else { Concurrency::Fixed(4.try_into().unwrap()) };
    let rate = if seed % 3 == 2 { "2/s".parse().ok() } else { None };
    Limits { cost_max: max.to_string().parse().ok(), price: price(), concurrency, rate, ..limits(seed) }
}

/// Checks that the service's own count is within the recorded cost, and within the limit, when every worker has met it. The run then goes on
/// under a limit that nothing reaches.
pub(super) async fn check_and_raise(shared: &SharedWorld, limits: &Limits, crash: impl Fn(u64, u64) -> Crash) {
    let max = limits.cost_max.as_ref().unwrap().amount;
    let truly = of(shared.n_accepted());
    let told = shared.server.cost().cost().expect("every price is known");
    assert!(truly <= max && told.most() <= max, "{truly}, told {}, of {max}", told.words("USD"));
    assert!(told.sure <= truly && truly <= told.most(), "{truly} is not {}", told.words("USD"));
    let capped = std::mem::take(&mut *shared.capped.lock().unwrap());
    // A job in doubt that is left to the user keeps no worker.
    let is_open = limits.in_doubt != InDoubtPolicy::Hold
        && shared.server.known().iter().any(|known| known.state.finished_at.is_none());
    assert!(!is_open || capped.len() as u64 == WORKERS, "{} have met it", capped.len());
    for met in &capped {
        let (cost, next) = (met.cost.unwrap(), met.next.unwrap());
        assert!(cost.most() + next > max, "stopped too early: {met:?}");
    }
    shared.run(WORKERS, &Limits { cost_max: "1000".parse().ok(), ..limits.clone() }, crash).await;
}

/// Goal: on a calm day all of the limit is used, and no more. Method: limits for no image to all but one; the service's own count.
#[test]
fn a_shared_limit_on_the_cost_is_used_up() {
    let expected = expected(JOBS);
    for seed in 0..cases(18) {
        let n_images = seed % JOBS;
        let _culprit = Culprit(format!("calm, {n_images} images, seed {seed}"));
        let sums = play(Play { limits: capped(seed, n_images), ..Play::of(seed) }, &expected, |_, _| Crash::never());
        assert_eq!((sums.in_doubt, sums.paid_twice, sums.fenced), (0, 0, 0), "{sums:?}");
        assert_eq!(sums.n_capped, n_images, "all of it is used");
    }
}

/// Goal: no fault makes the workers exceed the limit. Method: a bad network; deaths; a server that forgets; an outage; a worker that is cut off;
/// the provider's faults with submissions in doubt; all but the forgetting at once.
#[test]
fn no_fault_makes_the_workers_exceed_their_limit_on_the_cost() {
    let sums = faults(cases(84));
    assert!(sums.crashed > cases(20) && sums.forgotten > 0 && sums.in_doubt > cases(5), "{sums:?}");
}

pub(super) fn faults(n_seeds: u64) -> Sums {
    let (expected, mut sums) = (expected(JOBS), Sums::default());
    for seed in 0..n_seeds {
        let kind = seed % 7;
        let _culprit = Culprit(format!("cost, seed {seed}, kind {kind}"));
        let is = |wanted| kind == wanted || (kind == 6 && wanted != 2);
        let in_doubt = if seed % 2 == 0 { InDoubtPolicy::Resubmit } else { InDoubtPolicy::Hold };
        let mut world = Play { limits: Limits { in_doubt, ..capped(seed, 2 + seed % 6) }, ..Play::of(seed) };
        world.weather = if is(0) { Weather::of(0.1) } else { Weather::default() };
        if is(2) {
            (world.is_forgetful, world.limits.rate) = (true, "20/m".parse().ok());
        }
        let (from, until) = (Duration::from_millis(300 * (seed % 9)), Duration::from_secs(40 + seed % 60));
        world.cut = (is(3) || is(4)).then(|| Cut { worker: is(4).then_some(1), from, until });
        world.config =
            if is(5) { stormy(seed, &[&PASSING[..], &["submit-cut-after=0.2"]].concat()) } else { calm(seed) };
        let dies = |worker: u64, n: u64| {
            let mut rng = fastrand::Rng::with_seed(seed ^ (worker << 40) ^ (n << 20));
            match rng.u8(..4) {
                _ if !is(1) || n > 3 => Crash::never(),
                0 => Crash::paused_at(rng.u64(1..60), Duration::from_secs(rng.u64(1..90))),
                _ => Crash::at(rng.u64(1..60)),
            }
        };
        sums.add(&play(world, &expected, dies));
    }
    println!("one limit on the cost under faults: {sums:?}");
    sums
}
