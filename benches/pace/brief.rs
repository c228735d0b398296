//! Virtual-time simulation of a whole short run: the engine against a service of a few lines with exact bursts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use promptbatch::internals::engine::Engine;
use promptbatch::internals::engine::turn::{Action, Input};
use promptbatch::model::job::{Job, JobId, ManifestRow};
use promptbatch::model::limits::Limits;
use promptbatch::model::more::More;
use promptbatch::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, Status, TaskId, Url};
use promptbatch::model::phase::{JobRecord, JobState};
use promptbatch::model::request::Request;
use promptbatch::model::time::{Moment, Timestamp};

/// Duration of an answer in seconds. A request takes one half of it. The answer takes the other half, plus or minus a
/// fifth.
pub const ANSWER: f64 = 0.04;
const ONE_WAY: f64 = ANSWER / 2.0;

/// Resolution of timers, which wake at whole milliseconds.
const GRAIN_MICROS: i64 = 1000;

/// Retry-After of a refusal.
#[derive(Clone, Copy, Debug)]
pub enum RetryAfter {
    /// Time until the limit accepts again, in whole seconds, rounded up.
    True,
    Always(Duration),
}

/// Limits of the simulated service. `None` means no limit.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Accepted submissions per second, and the size of the token bucket.
    pub rate: Option<f64>,
    pub burst: u32,
    /// Maximum number of unfinished tasks.
    pub slots: Option<u32>,
    /// Median duration of a task in seconds, and the standard deviation of its logarithm.
    pub task: f64,
    pub sigma: f64,
    /// Share of submissions that are refused at random.
    pub chance: f64,
    pub retry_after: Option<RetryAfter>,
    pub seed: u64,
}

impl Default for Service {
    fn default() -> Self {
        Self { rate: None, burst: 1, slots: None, task: 2.0, sigma: 0.1, chance: 0.0, retry_after: None, seed: 0 }
    }
}

/// Result of a run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Time to the last image in seconds: of the run, and of the ideal.
    pub took: f64,
    pub ideal: f64,
    /// Submissions that a limit refused.
    pub n_limited: usize,
    pub n_polls: usize,
}

impl Run {
    pub fn ratio(&self) -> f64 {
        self.took / self.ideal
    }
}

enum Way {
    /// Request on its way to the service.
    Submit(usize),
    Poll(JobId),
    Back(Box<Input>),
}

struct World {
    service: Service,
    durations: Vec<f64>,
    rng: fastrand::Rng,
    /// Tokens of the service's bucket, and the moment for which they were counted, in seconds.
    tokens: f64,
    counted_at: f64,
    /// Ends of the accepted tasks.
    ends: BTreeMap<usize, f64>,
    numbers: HashMap<JobId, usize>,
    ways: HashMap<u64, Way>,
    arrivals: BinaryHeap<Reverse<(i64, u64)>>,
    n_sent: u64,
    n_limited: usize,
    n_polls: usize,
}

/// Plays a run of `n_jobs`, of which an ideal client may have `slots` in flight. Returns `None` if the ideal takes more
/// than `ideal_max` seconds.
pub fn play(service: Service, slots: u32, told: &Limits, n_jobs: usize, ideal_max: f64) -> Option<Run> {
    let mut rng = fastrand::Rng::with_seed(service.seed);
    let durations: Vec<f64> = (0..n_jobs).map(|_| service.task * (service.sigma * normal(&mut rng)).exp()).collect();
    let ideal = ideal(&service, slots, &durations);
    if ideal > ideal_max {
        return None;
    }
    let jobs: Vec<Job> = (0..n_jobs).map(job).collect();
    let mut world = World {
        service,
        durations,
        rng,
        tokens: f64::from(service.burst),
        counted_at: 0.0,
        ends: BTreeMap::new(),
        numbers: jobs.iter().zip(0..).map(|(job, n)| (job.id, n)).collect(),
        ways: HashMap::new(),
        arrivals: BinaryHeap::new(),
        n_sent: 0,
        n_limited: 0,
        n_polls: 0,
    };
    let took = world.run(jobs, &Limits { seed: service.seed, ..told.clone() });
    Some(Run { took, ideal, n_limited: world.n_limited, n_polls: world.n_polls })
}

impl World {
    fn run(&mut self, jobs: Vec<Job>, limits: &Limits) -> f64 {
        let mut engine = Engine::new(limits.clone());
        let mut jobs = jobs.into_iter().peekable();
        let mut now = 0;
        loop {
            let turn = engine.turn(at(now));
            if turn.is_last {
                return seconds(now);
            }
            let mut has_loaded = false;
            for action in turn.actions {
                if let Action::Load { max, .. } = action {
                    let record = |job: Job| JobRecord { job: job.into(), state: JobState::default() };
                    let loaded = jobs.by_ref().take(max).map(record).collect();
                    engine.handle(at(now), Input::Loaded { jobs: loaded, more: More::now_if(jobs.peek().is_some()) });
                    has_loaded = true;
                } else {
                    self.act(now, action);
                }
            }
            if has_loaded {
                continue;
            }
            let arrival = self.arrivals.peek().map_or(i64::MAX, |Reverse((moment, _))| *moment);
            let wake_at = turn.wake_at.map_or(i64::MAX, |at| (at.micros() / GRAIN_MICROS + 1) * GRAIN_MICROS);
            now = arrival.min(wake_at).max(now);
            assert!(now < i64::MAX, "an engine that waits is woken");
            while let Some(Reverse((moment, n))) = self.arrivals.peek().copied()
                && moment <= now
            {
                self.arrivals.pop();
                let way = self.ways.remove(&n).expect("it was sent");
                if let Some(input) = self.arrive(moment, way) {
                    engine.handle(at(now), input);
                }
            }
        }
    }

    fn send(&mut self, now: i64, seconds: f64, way: Way) {
        self.n_sent += 1;
        self.ways.insert(self.n_sent, way);
        self.arrivals.push(Reverse((now + micros(seconds), self.n_sent)));
    }

    fn back(&mut self, now: i64, input: Input) {
        let seconds = ONE_WAY * (0.8 + 0.4 * self.rng.f64());
        self.send(now, seconds, Way::Back(Box::new(input)));
    }

    fn act(&mut self, now: i64, action: Action) {
        match action {
            Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => (),
            Action::Submit(job, _) => self.send(now, ONE_WAY, Way::Submit(self.numbers[&job.id])),
            Action::Poll(batch) => batch.into_iter().for_each(|(id, _)| self.send(now, ONE_WAY, Way::Poll(id))),
            Action::Download(origin, _) => {
                let (file_name, format) = (String::new(), ImageFormat::Png);
                let artifact = Artifact { file_name, sha256: [0; 32], bytes: 1, width: 1, height: 1, format };
                self.send(now, ANSWER, Way::Back(Box::new(Input::Downloaded(origin.job.id, Ok(vec![artifact])))));
            }
        }
    }

    fn arrive(&mut self, now: i64, way: Way) -> Option<Input> {
        match way {
            Way::Submit(n) => {
                let result = match self.submit(seconds(now), n) {
                    Ok(()) => Ok(TaskId(n.to_string()).into()),
                    Err(retry_after) => Err(Fault::new(FaultKind::Throttled { retry_after }, "")),
                };
                self.back(now, Input::Submitted(job(n).id, result));
            }
            Way::Poll(id) => {
                self.n_polls += 1;
                let is_done = self.ends[&self.numbers[&id]] <= seconds(now);
                let status = if is_done { Status::Done(vec![Url(String::new())]) } else { Status::Running };
                self.back(now, Input::Polled(vec![(id, Ok(status))]));
            }
            Way::Back(input) => return Some(*input),
        }
        None
    }

    /// Accepts a submission, or refuses it with a Retry-After.
    fn submit(&mut self, now: f64, n: usize) -> Result<(), Option<Duration>> {
        let whole = |seconds: f64| Duration::from_secs_f64(seconds.max(0.0).ceil());
        let told = |wait: f64| match self.service.retry_after? {
            RetryAfter::True => Some(whole(wait)),
            RetryAfter::Always(wait) => Some(wait),
        };
        if let Some(rate) = self.service.rate {
            self.tokens = (self.tokens + (now - self.counted_at) * rate).min(f64::from(self.service.burst));
            self.counted_at = now;
            if self.tokens < 1.0 - 1e-9 {
                self.n_limited += 1;
                return Err(told((1.0 - self.tokens) / rate));
            }
        }
        let unfinished: Vec<f64> = self.ends.values().copied().filter(|end| *end > now).collect();
        if self.service.slots.is_some_and(|slots| unfinished.len() >= slots as usize) {
            self.n_limited += 1;
            return Err(told(unfinished.into_iter().fold(f64::INFINITY, f64::min) - now));
        }
        if self.rng.f64() < self.service.chance {
            return Err(told(1.0));
        }
        self.tokens -= 1.0;
        self.ends.insert(n, now + self.durations[n]);
        Ok(())
    }
}

/// Returns the time of a client that knows all limits. Its polls arrive when tasks end, though not before the answer to the
/// submission has come back, and their answers let the next submission leave.
fn ideal(service: &Service, slots: u32, durations: &[f64]) -> f64 {
    let mut free: BinaryHeap<Reverse<i64>> = BinaryHeap::new();
    let (mut tokens, mut counted_at, mut last) = (f64::from(service.burst), ONE_WAY, 0.0_f64);
    for duration in durations {
        let mut now = counted_at;
        if free.len() >= slots as usize {
            now = now.max(free.pop().map_or(0.0, |Reverse(moment)| seconds(moment)));
        }
        if let Some(rate) = service.rate {
            now = now.max(counted_at + (1.0 - tokens) / rate);
            tokens = (tokens + (now - counted_at) * rate).min(f64::from(service.burst)) - 1.0;
        }
        counted_at = now;
        let seen = now + duration.max(ANSWER);
        free.push(Reverse(micros(seen + ANSWER)));
        last = last.max(seen);
    }
    last + ONE_WAY + ANSWER
}

fn job(n: usize) -> Job {
    let request = Request { prompt: n.to_string(), model: "a/b".into(), ..Request::default() };
    Job {
        id: JobId::new(&request.content(), 0),
        index: n as u64,
        label: None,
        request,
        extras: vec![],
        row: ManifestRow::default(),
    }
}

fn at(micros: i64) -> Moment {
    Moment::new(micros, Timestamp::from_millis(1_790_000_000_000 + micros / 1000))
}

#[expect(clippy::cast_possible_truncation, reason = "some hours")]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "some hours")]
const fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// Returns a standard normal number (Box and Muller).
fn normal(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}
