//! Tests on simulated lines, given by their total bandwidth, the bandwidth of one connection, and the image size.

use super::*;
use crate::model::time::Timestamp;

/// Time step of the simulation.
const STEP: Duration = Duration::from_millis(100);

/// Simulated line, and the images to fetch over it.
struct Line {
    parallel: DownloadConcurrency,
    rng: fastrand::Rng,
    now: Moment,
    /// Bytes per second of all connections together, and of each connection at most.
    all: f64,
    each: f64,
    /// Interval of images that trickle: one in this many; 0 for none.
    drip_every: u64,
    /// Bytes left of each image under way, and whether it trickles.
    under_way: BTreeMap<JobId, (f64, bool)>,
    n_begun: u64,
    /// Number of downloads under way at each step.
    seen: Vec<usize>,
}

impl Line {
    fn new(seed: u64, all: f64, each: f64) -> Self {
        Self {
            parallel: DownloadConcurrency::new(64),
            rng: fastrand::Rng::with_seed(seed),
            now: Moment::new(0, Timestamp::default()),
            all,
            each,
            drip_every: 0,
            under_way: BTreeMap::new(),
            n_begun: 0,
            seen: vec![],
        }
    }

    /// Fetches `n_images` images of about `image_bytes` bytes, and returns the number of seconds that this takes.
    fn fetch(&mut self, n_images: u64, image_bytes: f64) -> f64 {
        let (began, last) = (self.now, self.n_begun + n_images);
        let is_wanted = |under_way: &BTreeMap<JobId, (f64, bool)>| under_way.values().any(|(_, is_drip)| !is_drip);
        while self.n_begun < last || is_wanted(&self.under_way) {
            while self.n_begun < last && self.parallel.has_room() {
                self.n_begun += 1;
                let mut id = [0; 10];
                id[..8].copy_from_slice(&self.n_begun.to_be_bytes());
                let is_drip = self.drip_every > 0 && self.n_begun.is_multiple_of(self.drip_every);
                let bytes = image_bytes * (0.7 + 0.6 * self.rng.f64());
                self.under_way.insert(JobId::from_bytes(id), (bytes, is_drip));
                self.parallel.begin(self.now, JobId::from_bytes(id));
            }
            self.parallel.planned();
            self.seen.push(self.under_way.len());
            self.step();
            assert!(self.seen.len() < 1_000_000, "the images never come");
        }
        (self.now - began).as_secs_f64()
    }

    fn step(&mut self) {
        self.now = self.now + STEP;
        let seconds = STEP.as_secs_f64();
        let n_sharing = self.under_way.values().filter(|(_, is_drip)| !is_drip).count().max(1);
        #[expect(clippy::cast_precision_loss, reason = "64 at most")]
        let share = (self.all / n_sharing as f64).min(self.each) * seconds;
        let mut n_bytes = 0.0;
        for (left, is_drip) in self.under_way.values_mut() {
            // Shares differ slightly between connections.
            let came = if *is_drip { 1.0 } else { (share * (0.8 + 0.4 * self.rng.f64())).min(*left) };
            *left -= came;
            n_bytes += came;
        }
        let ended: Vec<JobId> =
            self.under_way.iter().filter(|(_, (left, _))| *left <= 0.0).map(|(id, _)| *id).collect();
        for id in ended {
            self.under_way.remove(&id);
            self.parallel.end(self.now, id, true);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of one step")]
        self.parallel.received(self.now, Received { n_bytes: n_bytes as u64, n_stalled: 0 });
    }

    /// Returns the median number of downloads under way, over all steps.
    fn median(&self) -> usize {
        let mut seen = self.seen.clone();
        seen.sort_unstable();
        seen[seen.len() / 2]
    }
}

#[test]
fn on_a_fast_line_all_that_may_be_are_soon_under_way() {
    for seed in 0..8 {
        let mut line = Line::new(seed, 1e8, 1e7);
        line.fetch(400, 20_000.0);
        let n_steps = line.seen.iter().position(|n| *n == 64).expect("the limit is reached");
        assert!(n_steps <= 6, "seed {seed}: after {n_steps} rounds");
    }
}

/// Goal: a saturated line is shared by no more downloads than fill it, and is never idle. Method: large images on a line that one
/// connection fills.
#[test]
fn on_a_full_line_few_are_under_way() {
    for seed in 0..8 {
        let mut line = Line::new(seed, 500_000.0, 500_000.0);
        let seconds = line.fetch(64, 5e6);
        assert!(line.median() <= 5, "seed {seed}: {} at a time", line.median());
        assert!(line.seen.iter().all(|n| *n <= 8), "seed {seed}: {:?}", line.seen.iter().max());
        assert!(seconds < 1.1 * 64.0 * 5e6 / 500_000.0, "seed {seed}: {seconds} s");
    }
}

/// Goal: where the host limits each connection, many downloads are under way. Method: connections that get a fortieth of the line.
#[test]
fn where_each_connection_is_slow_many_are_under_way() {
    for seed in 0..8 {
        let mut line = Line::new(seed, 2e6, 50_000.0);
        let seconds = line.fetch(400, 1e6);
        assert!(line.median() >= 32, "seed {seed}: {} at a time", line.median());
        assert!(seconds < 1.4 * 400.0 * 1e6 / 2e6, "seed {seed}: {seconds} s");
    }
}

/// Goal: the right number for a fast line does not stay when the line becomes slow. Method: small images, then large ones on a line that
/// carries a hundredth.
#[test]
fn when_the_line_becomes_slow_fewer_are_under_way() {
    for seed in 0..8 {
        let mut line = Line::new(seed, 1e8, 1e7);
        line.fetch(400, 20_000.0);
        assert_eq!(line.parallel.now_max, 64);
        (line.all, line.each) = (1e6, 1e6);
        let seconds = line.fetch(1000, 1e6);
        assert!(seconds < 1.1 * 1000.0, "seed {seed}: {seconds} s");
        assert!(line.parallel.now_max <= 32, "seed {seed}: {} at a time", line.parallel.now_max);
    }
}

/// Goal: images that trickle do not hold up the others. Method: one in ten never ends, and each of them occupies a slot.
#[test]
fn what_comes_drop_by_drop_leaves_room_for_others() {
    for seed in 0..8 {
        let mut line = Line::new(seed, 500_000.0, 500_000.0);
        line.drip_every = 10;
        let seconds = line.fetch(300, 1e6);
        assert!(seconds < 1.3 * 270.0 * 1e6 / 500_000.0, "seed {seed}: {seconds} s");
    }
}

#[test]
fn a_stall_halves_the_number_once_for_all_that_were_under_way() {
    let mut line = Line::new(1, 1e8, 1e7);
    line.fetch(400, 20_000.0);
    for n in 1..=64 {
        line.parallel.begin(line.now, JobId::from_bytes([n; 10]));
    }
    let stalled = Received { n_bytes: 0, n_stalled: 20 };
    for (n, expected) in [(1, 32), (2, 32), (3, 32)] {
        line.now = line.now + Duration::from_secs(1);
        line.parallel.received(line.now, stalled);
        line.parallel.end(line.now, JobId::from_bytes([n; 10]), false);
        assert_eq!(line.parallel.now_max, expected);
    }
    (4..=64).for_each(|n| line.parallel.end(line.now, JobId::from_bytes([n; 10]), false));
    for expected in [16, 8, 4, 2, 2] {
        line.now = line.now + Duration::from_secs(1);
        line.parallel.begin(line.now, JobId::from_bytes([0; 10]));
        line.now = line.now + Duration::from_secs(1);
        line.parallel.received(line.now, stalled);
        assert_eq!(line.parallel.now_max, expected);
    }
}

#[test]
fn the_users_limit_is_the_most_whatever_is_tried() {
    for max in [1, 2, 3, 5] {
        let mut line = Line::new(7, 1e8, 1e6);
        line.parallel = DownloadConcurrency::new(max);
        line.fetch(60, 20_000.0);
        (line.all, line.each) = (1e5, 1e5);
        line.fetch(60, 1e6);
        let most = line.seen.iter().max();
        assert_eq!(most, Some(&max));
        line.parallel.received(line.now, Received { n_bytes: 0, n_stalled: 1 });
        assert!((1..=max).contains(&line.parallel.now_max), "{}", line.parallel.now_max);
    }
}

#[test]
fn where_no_bytes_are_told_of_each_end_lets_one_more_begin() {
    let mut parallel = DownloadConcurrency::new(64);
    let mut now = Moment::new(0, Timestamp::default());
    for n in 0..60 {
        let id = JobId::from_bytes([n; 10]);
        parallel.begin(now, id);
        for other in 100..164 {
            if parallel.has_room() {
                parallel.begin(now, JobId::from_bytes([other; 10]));
            }
        }
        parallel.planned();
        now = now + Duration::from_secs(60);
        parallel.end(now, id, true);
    }
    assert_eq!(parallel.now_max, 64);
}
