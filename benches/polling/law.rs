//! Distributions of task durations for the benchmark, and the scenes made of them.

use std::f64::consts::TAU;

use fastrand::Rng;

/// Distribution of durations, in seconds.
#[derive(Clone, Copy, Debug)]
pub enum Law {
    /// Lognormal distribution with this median. `sigma` is the standard deviation of the logarithm.
    Lognormal { median: f64, sigma: f64 },
    /// Two lognormal distributions, each with probability 0.5.
    Either { medians: [f64; 2], sigma: f64 },
    /// Power law: the share of tasks that takes longer than t is (least / t) to this power.
    Pareto { least: f64, power: f64 },
    /// Uniform distribution between the two values.
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

/// Assignment of distributions to tasks.
#[derive(Clone, Copy, Debug)]
pub enum Scene {
    /// One distribution for all tasks.
    Steady(Law),
    /// Two models in turn, each with its own distribution.
    Kinds([Law; 2]),
    /// Another distribution from the middle of the run on.
    Shift([Law; 2]),
    /// Distribution of the processing time. Each of `n_servers` servers processes one task after the other, in the
    /// order of submission.
    Queue { law: Law, n_servers: usize },
}

impl Scene {
    /// Returns the distributions of the scene, each for as many tasks.
    pub fn laws(self) -> Vec<Law> {
        match self {
            Self::Steady(law) | Self::Queue { law, .. } => vec![law],
            Self::Kinds(laws) | Self::Shift(laws) => laws.to_vec(),
        }
    }

    /// Returns the distribution of the n-th of `n_tasks` tasks.
    fn law_of(self, n: usize, n_tasks: usize) -> Law {
        match self {
            Self::Steady(law) | Self::Queue { law, .. } => law,
            Self::Kinds(laws) => laws[kind(n)],
            Self::Shift(laws) => laws[usize::from(n >= n_tasks / 2)],
        }
    }
}

/// Returns which of two models the n-th task is for.
pub const fn kind(n: usize) -> usize {
    n % 2
}

/// Provider side: accepts tasks, and knows when each is done.
pub struct Tasks {
    scene: Scene,
    /// Durations drawn in advance, so that every client gets the same ones.
    durations: Vec<f64>,
    /// Time at which each server becomes free.
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

    /// Returns the processing time of the n-th task, in seconds.
    pub fn duration(&self, n: usize) -> f64 {
        self.durations[n]
    }

    /// Accepts the n-th task at that moment, and returns when it will be done.
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
