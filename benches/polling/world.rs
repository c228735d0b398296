//! Virtual-time simulation: the real engine, or a fixed rule, against a provider that answers after 0.1 seconds.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;

use promptbatch::internals::engine::Engine;
use promptbatch::internals::engine::turn::{Action, Input};
use promptbatch::model::history::History;
use promptbatch::model::job::{Job, JobId, ManifestRow};
use promptbatch::model::limits::{Concurrency, Limits, Rate};
use promptbatch::model::more::More;
use promptbatch::model::outcome::{Artifact, ImageFormat, Status, TaskId, Url};
use promptbatch::model::phase::{JobRecord, JobState};
use promptbatch::model::request::Request;
use promptbatch::model::time::{Moment, Timestamp};

use crate::law::{Tasks, kind};

/// Network delay between the client and the provider in one direction, in seconds.
pub const ONE_WAY: f64 = 0.05;

/// Result of a task.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    pub n_polls: u32,
    /// Time from its end to the arrival of the poll that found it done, in seconds.
    pub delay: f64,
    /// Time from its acceptance by the provider to its end, in seconds.
    pub took: f64,
}

/// Number of tasks in flight, and the limit on polls.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub n_in_flight: u32,
    pub poll_rate: Option<Rate>,
}

fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

fn at(micros: i64) -> Moment {
    Moment::new(micros, Timestamp::from_millis(1_790_000_000_000 + micros / 1000))
}

/// Returns the job for the n-th task.
pub fn job(n: usize) -> Job {
    let request = Request { prompt: n.to_string(), model: format!("model/{}", kind(n)), ..Request::default() };
    Job {
        id: JobId::new(&request.content(), 0),
        index: n as u64,
        label: None,
        request,
        extras: vec![],
        row: ManifestRow::default(),
    }
}

/// Message in transit between the engine and the provider.
enum Way {
    /// Submission, on its way to the provider.
    Submit(usize),
    Back(Box<Input>),
    /// Poll, on its way to the provider.
    Poll(JobId),
}

/// Simulated provider, and the messages in transit.
///
/// A job is handed out when a slot is free. No job waits for a slot, so that a poll saves nothing but delay.
struct World {
    tasks: Tasks,
    n_in_flight_max: usize,
    /// Number of jobs that are handed out, and of tasks that are known to be done.
    n_loaded: usize,
    n_done: usize,
    /// Says whether the engine waits for jobs.
    is_asked: bool,
    numbers: HashMap<JobId, usize>,
    ends: Vec<f64>,
    fates: Vec<Fate>,
    ways: HashMap<u64, Way>,
    arrivals: BinaryHeap<Reverse<(i64, u64)>>,
    n_sent: u64,
}

impl World {
    fn send(&mut self, now: i64, seconds: f64, way: Way) {
        self.n_sent += 1;
        self.ways.insert(self.n_sent, way);
        self.arrivals.push(Reverse((now + micros(seconds), self.n_sent)));
    }

    /// Processes the arrival of a message. Returns an input if the message arrived at the engine.
    fn arrive(&mut self, now: i64, way: Way) -> Option<Input> {
        let seconds = now as f64 / 1e6;
        match way {
            Way::Submit(n) => {
                self.ends[n] = self.tasks.accept(n, seconds);
                self.fates[n].took = self.ends[n] - seconds;
                let accepted = Input::Submitted(job(n).id, Ok(TaskId(n.to_string()).into()));
                self.send(now, ONE_WAY, Way::Back(Box::new(accepted)));
            }
            Way::Poll(id) => {
                let n = self.numbers[&id];
                self.fates[n].n_polls += 1;
                let status = if seconds < self.ends[n] {
                    Status::Running
                } else {
                    self.fates[n].delay = seconds - self.ends[n];
                    Status::Done(vec![Url(String::new())])
                };
                self.send(now, ONE_WAY, Way::Back(Box::new(Input::Polled(vec![(id, Ok(status))]))));
            }
            Way::Back(input) => {
                if let Input::Polled(answers) = &*input {
                    self.n_done += answers.iter().filter(|(_, answer)| matches!(answer, Ok(Status::Done(_)))).count();
                }
                return Some(*input);
            }
        }
        None
    }

    /// Returns the jobs for the free slots, if the engine waits for some.
    fn load(&mut self) -> Option<Input> {
        let first = self.n_loaded;
        self.n_loaded = self.tasks.len().min(self.n_done + self.n_in_flight_max);
        if !self.is_asked || self.n_loaded == first {
            self.n_loaded = first;
            return None;
        }
        self.is_asked = false;
        let record = |n| JobRecord { job: job(n).into(), state: JobState::default() };
        let jobs = (first..self.n_loaded).map(record).collect();
        Some(Input::Loaded { jobs, more: More::now_if(self.n_loaded < self.tasks.len()) })
    }

    fn act(&mut self, now: i64, action: Action) {
        match action {
            Action::Load { .. } => self.is_asked = true,
            Action::Reserve(_) => unreachable!("no rate is shared"),
            Action::Find(_) => unreachable!("nothing can be found"),
            Action::Submit(job, _) => self.send(now, ONE_WAY, Way::Submit(job.index as usize)),
            Action::Poll(batch) => batch.into_iter().for_each(|(id, _)| self.send(now, ONE_WAY, Way::Poll(id))),
            Action::Download(origin, _) => {
                let (file_name, format) = (String::new(), ImageFormat::Png);
                let artifact = Artifact { file_name, sha256: [0; 32], bytes: 1, width: 1, height: 1, format };
                self.send(now, ONE_WAY, Way::Back(Box::new(Input::Downloaded(origin.job.id, Ok(vec![artifact])))));
            }
        }
    }
}

/// Runs the real engine, and returns the result of each task.
pub fn engine(tasks: Tasks, load: Load, history: &History, seed: u64) -> Vec<Fate> {
    let n_tasks = tasks.len();
    let limits = Limits {
        concurrency: Concurrency::Fixed(NonZeroU32::new(load.n_in_flight).expect("at least one")),
        poll_rate: load.poll_rate,
        submits_max: n_tasks,
        polls_max: n_tasks,
        downloads_max: n_tasks,
        task_timeout: Duration::from_secs(24 * 3600),
        seed,
        ..Limits::default()
    };
    let mut world = World {
        tasks,
        n_in_flight_max: load.n_in_flight as usize,
        n_loaded: 0,
        n_done: 0,
        is_asked: false,
        numbers: (0..n_tasks).map(|n| (job(n).id, n)).collect(),
        ends: vec![0.0; n_tasks],
        fates: vec![Fate::default(); n_tasks],
        ways: HashMap::new(),
        arrivals: BinaryHeap::new(),
        n_sent: 0,
    };
    let mut engine = Engine::new(limits);
    let mut now = 0;
    engine.remember(at(now), history);
    loop {
        let turn = engine.turn(at(now));
        if turn.is_last {
            return world.fates;
        }
        turn.actions.into_iter().for_each(|action| world.act(now, action));
        if let Some(input) = world.load() {
            engine.handle(at(now), input);
            continue;
        }
        let arrival = world.arrivals.peek().map_or(i64::MAX, |Reverse((moment, _))| *moment);
        let wake_at = turn.wake_at.map_or(i64::MAX, Moment::micros);
        assert!(wake_at > now, "an engine that wants to be woken at once would spin");
        now = arrival.min(wake_at);
        assert!(now < i64::MAX, "an engine that waits is woken");
        while let Some(Reverse((moment, n))) = world.arrivals.peek().copied()
            && moment <= now
        {
            world.arrivals.pop();
            let way = world.ways.remove(&n).expect("it was sent");
            if let Some(input) = world.arrive(now, way) {
                engine.handle(at(now), input);
            }
        }
    }
}

/// Runs a client that polls by a fixed rule, first come, first served for all tasks. The rule receives a task's number,
/// its age at the last poll, and the number of polls. The age is zero before the first poll. The rule returns the age at
/// which to poll next.
pub fn client(mut tasks: Tasks, load: Load, rule: impl Fn(usize, f64, u32) -> f64) -> Vec<Fate> {
    let n_tasks = tasks.len();
    let interval = load.poll_rate.map_or(0.0, |rate| rate.interval().as_secs_f64());
    let mut fates = vec![Fate::default(); n_tasks];
    let (mut ends, mut accepted) = (vec![0.0; n_tasks], vec![0.0; n_tasks]);
    let mut due = BinaryHeap::new();
    let mut n_submitted = 0;
    let mut free_at: f64 = 0.0;
    let mut submit = |now: f64, ends: &mut [f64], fates: &mut [Fate], due: &mut BinaryHeap<_>| {
        let n = n_submitted;
        if n < n_tasks {
            n_submitted += 1;
            ends[n] = tasks.accept(n, now + ONE_WAY);
            fates[n].took = ends[n] - now - ONE_WAY;
            accepted[n] = now + 2.0 * ONE_WAY;
            due.push(Reverse((micros(accepted[n] + rule(n, 0.0, 0)), n)));
        }
    };
    (0..load.n_in_flight).for_each(|_| submit(0.0, &mut ends, &mut fates, &mut due));
    while let Some(Reverse((moment, n))) = due.pop() {
        let leaves = (moment as f64 / 1e6).max(free_at);
        free_at = leaves + interval;
        let (arrives, answered) = (leaves + ONE_WAY, leaves + 2.0 * ONE_WAY);
        fates[n].n_polls += 1;
        if arrives >= ends[n] {
            fates[n].delay = arrives - ends[n];
            submit(answered, &mut ends, &mut fates, &mut due);
        } else {
            let accepted = ends[n] - fates[n].took + ONE_WAY;
            let next = accepted + rule(n, leaves - accepted, fates[n].n_polls);
            due.push(Reverse((micros(next.max(answered)), n)));
        }
    }
    fates
}
