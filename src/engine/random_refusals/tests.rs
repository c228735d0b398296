//! Tests of the randomness test, with fixed seeds.

use super::*;

/// Gives random answers until a refusal is attributed to a limit. Returns the number of answers; `None` after `most` answers.
fn until_alarm(chance: &mut RandomRefusalTest, share: f64, most: u32, rng: &mut fastrand::Rng) -> Option<u32> {
    (1..=most).find(|_| {
        if rng.f64() < share {
            !chance.refused()
        } else {
            chance.accepted();
            false
        }
    })
}

/// Goal: any likely random share is distinguished from a limit for a long time. Method: at most a few alarms in 200,000 answers, and none
/// that ends the trust.
#[test]
fn chance_is_presumed_as_long_as_it_refuses_alike() {
    for share in [0.001, 0.01, 0.05, 0.1] {
        for seed in 0..5 {
            let (mut chance, mut rng) = (RandomRefusalTest::new(), fastrand::Rng::with_seed(seed));
            until_alarm(&mut chance, share, 5000, &mut rng);
            let n_alarms = (0..40).filter(|_| until_alarm(&mut chance, share, 5000, &mut rng).is_some()).count();
            assert!(n_alarms <= 20, "{share}, seed {seed}: {n_alarms}");
            assert!(chance.is_trusted(), "{share}, seed {seed}");
            assert!((chance.seen.share() / share - 1.0).abs() < 0.5, "{share}, seed {seed}: {}", chance.seen.share());
        }
    }
}

#[test]
fn what_refuses_more_than_chance_did_is_a_limit() {
    for (share, more) in [(0.0, 0.2), (0.001, 0.15), (0.01, 0.2), (0.05, 0.3), (0.1, 0.5)] {
        for seed in 0..20 {
            let (mut chance, mut rng) = (RandomRefusalTest::new(), fastrand::Rng::with_seed(seed));
            until_alarm(&mut chance, share, 20_000, &mut rng);
            let found = until_alarm(&mut chance, more, 2000, &mut rng);
            assert!(found.is_some_and(|n| n < 400), "{share}, {more}, seed {seed}: {found:?}");
        }
    }
}

#[test]
fn a_few_refusals_in_a_row_are_no_chance() {
    let mut chance = RandomRefusalTest::new();
    let is_random: Vec<bool> = (0..8).map(|_| chance.refused()).collect();
    assert!(is_random[0], "one may be");
    assert!(is_random.contains(&false), "{is_random:?}");
    assert!(!chance.is_presumed);
}
