//! Jobs that are made again although they succeeded: a crash at every step, and faults.

use promptbatch::images::SavedImages;
use promptbatch::internals::effort::cases;
use promptbatch::model::event::{Redo, ReplacedImage};
use promptbatch::model::outcome::{Artifact, Outcome};
use promptbatch::model::phase::{JobRecord, Phase};
use promptbatch::model::time::Timestamp;

use crate::crash::Crash;
use crate::world::{self, Session, World};
use crate::{PASSING, calm, limits, stormy};

/// Upper limit on the steps of a run in such a world.
const STEPS_MAX: u64 = 1000;

/// Time of the redo.
const NOW: Timestamp = Timestamp::from_millis(1_790_000_100_000);

/// Seed that is drawn.
const SEED: u64 = 77;

fn record(world: &World, index: u64) -> JobRecord {
    world.ledger.known().into_iter().find(|record| record.job.index == index).unwrap()
}

fn images(record: &JobRecord) -> Vec<Artifact> {
    match &record.state.phase {
        Phase::Finished(Outcome::Succeeded(artifacts)) => artifacts.clone(),
        other => panic!("job {} has no image: {other:?}", record.job.index),
    }
}

/// Has the second of four jobs made again, crashes the process at this step, and runs the world to the end. Returns whether the crash came
/// before the end.
fn crashed_at(at_step: u64, seed: u64, faults: &[&str]) -> bool {
    world::simulate(async move {
        let world = World::new(4, stormy(seed, faults));
        world.run_to_the_end(&limits(seed)).await;
        let before = world.ledger.known();
        let old = images(&before[1]).remove(0);
        let (n_accepted, n_doubts) = (world.server_stats().n_accepted, world.n_in_doubt() + world.n_lost());

        let kept_as = world.store.keep(&old).unwrap().unwrap();
        let replaced = ReplacedImage { artifact: old.clone(), kept_as };
        let redo = Redo { seed: Some(SEED), seed_before: None, replaced: vec![replaced.clone()] };
        assert_eq!(world.ledger.redo(NOW, &[(before[1].job.id, redo)]), 1);
        // Every third process dies before the first name is free. The next one would free it; here the new image finds it in use.
        if !at_step.is_multiple_of(3) {
            world.store.release(&replaced, None).unwrap();
        }
        let has_crashed = matches!(world.session(limits(seed), &Crash::at(at_step)).await, Session::Crashed);
        world.check_records();
        assert_eq!(world.store.verify(&replaced.kept()), Ok(()), "step {at_step}: the old image is lost");
        while world.run(limits(seed + 1)).await.is_some() {
            world.check_records();
        }

        let redone = record(&world, 2);
        let new = images(&redone).remove(0);
        assert_eq!((redone.job.id, redone.job.request.seed), (before[1].job.id, Some(SEED)));
        assert_eq!((world.store.verify(&new), world.store.verify(&replaced.kept())), (Ok(()), Ok(())));
        assert!(new.sha256 != old.sha256, "another seed makes another image");
        for index in [0, 2, 3] {
            assert_eq!(world.ledger.known()[index], before[index], "the other jobs are left alone");
        }
        let n_again = world.server_stats().n_accepted - n_accepted;
        let n_doubts = world.n_in_doubt() + world.n_lost() - n_doubts;
        assert!((1..=1 + n_doubts).contains(&n_again), "step {at_step}: {n_again} payments, {n_doubts} doubts");
        has_crashed
    })
}

/// Goal: no crash loses the old image or the new one, or pays twice unnoticed. Method: a crash at each step of the process that makes the
/// job again, with and without faults.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_crash_at_every_step_of_a_redo_loses_neither_image() {
    let mut n_crashes = 0;
    for seed in 0..cases(6).max(2) {
        let faults: &[&str] = if seed % 2 == 0 { &[] } else { &PASSING };
        n_crashes += (1..STEPS_MAX).take_while(|at_step| crashed_at(*at_step, seed, faults)).count();
    }
    assert!(n_crashes > 20, "the crashes must bite: {n_crashes}");
}

/// Goal: a redo without a fault costs exactly one more task for each job. Method: all jobs of a calm world, two of which are equal.
#[test]
fn a_calm_redo_pays_once_for_each_job() {
    world::simulate(async {
        let world = World::new(4, calm(3));
        world.run_to_the_end(&limits(3)).await;
        let before = world.ledger.known();
        let redone = (0_u64..).zip(&before).map(|(n, record)| {
            let replaced = images(record).into_iter().map(|artifact| {
                let kept_as = world.store.keep(&artifact).unwrap().unwrap();
                ReplacedImage { artifact, kept_as }
            });
            (record.job.id, Redo { seed: Some(n), seed_before: None, replaced: replaced.collect() })
        });
        let redone: Vec<_> = redone.collect();
        assert_eq!(world.ledger.redo(NOW, &redone), 4);
        let all = || redone.iter().flat_map(|(_, redo)| &redo.replaced);
        all().for_each(|image| world.store.release(image, None).unwrap());
        assert_eq!(world.run(limits(4)).await, None);
        world.check_records();
        assert_eq!(world.server_stats().n_accepted, 8);
        assert!(all().all(|image| world.store.verify(&image.kept()).is_ok()));
        for (old, new) in before.iter().zip(world.ledger.known()) {
            assert_eq!(images(old)[0].file_name, images(&new)[0].file_name, "the names are the same");
            assert_eq!(world.store.verify(&images(&new)[0]), Ok(()));
        }
    });
}
