//! How long the tasks of a bench take: laws to draw from, and the worlds that are made of them.

use std::f64::consts::TAU;

use fastrand::Rng;

/// A law of durations, in seconds.
#[derive(Clone, Copy, Debug)]
pub enum Law {
    /// Of this median; `sigma` is the standard deviation of the logarithm.
    Lognormal { median: f64, sigma: f64 },
    /// One or the other, as often.
    Either { medians: [f64; 2], sigma: f64 },
    /// Power law: the share that takes longer than t is (least / t) to this power.
    Pareto { least: f64, power: f64 },
    /// Anything between the two.
    Uniform { least: f64, most: f64 },
}

impl Law {
    pub fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Self::Lognormal { median, sigma } => median * (sigma * normal(rng)).exp(),
            Self::Either { medians, sigma } => medians[usize::from(rng.bool())] * (sigma * normal(rng)).exp(),
            Self::Pareto { least, power } => least * (1.0 - rng.f64()).powf(-1.0 / power),
            Self::Uniform { least, most } => least + (most - least) * rng.f64(),
        }
    }
}

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (TAU * rng.f64()).cos()
}

/// Which law a task follows.
#[derive(Clone, Copy, Debug)]
pub enum Scene {
    /// All the same one.
    Steady(Law),
    /// Two models take turns, and each has its own.
    Kinds([Law; 2]),
    /// From the middle of the run on, another one.
    Shift([Law; 2]),
    /// It is the time of work: each of so many servers does one task after the other, in the order of submission.
    Queue { law: Law, n_servers: usize },
}

impl Scene {
    /// The laws that the scene is made of, each for as many tasks.
    pub fn laws(self) -> Vec<Law> {
        match self {
            Self::Steady(law) | Self::Queue { law, .. } => vec![law],
            Self::Kinds(laws) | Self::Shift(laws) => laws.to_vec(),
        }
    }

    /// Which of them the n-th of so many tasks follows.
    fn law_of(self, n: usize, n_tasks: usize) -> Law {
        match self {
            Self::Steady(law) | Self::Queue { law, .. } => law,
            Self::Kinds(laws) => laws[kind(n)],
            Self::Shift(laws) => laws[usize::from(n >= n_tasks / 2)],
        }
    }
}

/// Which of two models the n-th task is for.
pub const fn kind(n: usize) -> usize {
    n % 2
}

/// The provider's side: takes tasks, and knows when each is done.
pub struct Tasks {
    scene: Scene,
    /// Drawn beforehand, so that every client meets the same ones.
    durations: Vec<f64>,
    /// When each server will be free.
    free_at: Vec<f64>,
}

impl Tasks {
    pub fn new(scene: Scene, n_tasks: usize, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let durations = (0..n_tasks).map(|n| scene.law_of(n, n_tasks).draw(&mut rng)).collect();
        let n_servers = if let Scene::Queue { n_servers, .. } = scene { n_servers } else { 0 };
        Self { scene, durations, free_at: vec![0.0; n_servers] }
    }

    pub fn len(&self) -> usize {
        self.durations.len()
    }

    /// How long the n-th task is at work, in seconds.
    pub fn duration(&self, n: usize) -> f64 {
        self.durations[n]
    }

    /// Takes the n-th task at that moment, and says when it will be done.
    pub fn accept(&mut self, n: usize, now: f64) -> f64 {
        match self.scene {
            Scene::Steady(_) | Scene::Kinds(_) | Scene::Shift(_) => now + self.durations[n],
            Scene::Queue { .. } => {
                let free_at = self.free_at.iter_mut().min_by(|a, b| a.total_cmp(b)).expect("there are servers");
                *free_at = free_at.max(now) + self.durations[n];
                *free_at
            }
        }
    }
}
