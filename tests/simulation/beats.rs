//! Discrete-event simulation of the engine alone, against a service that is described by a few numbers.
//!
//! Thousands of tasks in flight take no time, and a test can inspect every decision.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use promptbatch::internals::engine::Engine;
use promptbatch::internals::engine::turn::{Action, Input, Turn};
use promptbatch::model::job::{Job, JobId, ManifestRow};
use promptbatch::model::limits::Limits;
use promptbatch::model::more::More;
use promptbatch::model::outcome::{Acceptance, Artifact, Fault, FaultKind, ImageFormat, Status, TaskId, Url};
use promptbatch::model::phase::JobRecord;
use promptbatch::model::request::Request;
use promptbatch::model::time::{Moment, Timestamp};

/// Parameters of a simulated service. Times are in seconds.
#[derive(Clone, Debug)]
pub struct Service {
    /// Duration of every answer, and of every image download.
    pub answer: f64,
    pub image: f64,
    /// Maximum duration of a task, and the minimum as a share of the maximum.
    pub task: f64,
    pub shortest: f64,
    /// Number of tasks processed at once. Other tasks wait.
    pub servers: usize,
    /// Limits on unfinished tasks, and on submissions per second. Submissions beyond a limit are refused.
    pub places: usize,
    pub rate: f64,
    /// Share of requests that fail.
    pub faults: f64,
}

/// Service that accepts every submission and processes all tasks at once.
pub const WILLING: Service = Service {
    answer: 0.04,
    image: 0.04,
    task: 6.0,
    shortest: 0.5,
    servers: usize::MAX,
    places: usize::MAX,
    rate: f64::INFINITY,
    faults: 0.0,
};

/// Run of the engine against a service, with its measurements. Times are in microseconds.
pub struct Beats {
    pub engine: Engine,
    pub limits: Limits,
    service: Service,
    rng: fastrand::Rng,
    pub now: i64,
    /// Pending answers, by their time of arrival.
    coming: BTreeMap<(i64, u64), Input>,
    n_coming: u64,
    n_jobs: u64,
    n_loaded: u64,
    /// Jobs that were given to the engine and have nothing at the provider.
    to_submit: BTreeSet<JobId>,
    n_submits_out: usize,
    /// Tasks and submissions whose end the engine does not know yet.
    in_flight: BTreeSet<JobId>,
    /// End of each task.
    ends: BTreeMap<JobId, i64>,
    /// Time at which each server becomes free.
    free_at: BTreeSet<(i64, usize)>,
    /// Time until which the rate of the service is used up.
    full_at: i64,
    /// Times of the last submissions, and the number of all submissions.
    pub sent: VecDeque<i64>,
    pub n_sent: u64,
    pub n_finished: u64,
    /// Delay from the end of each task to the answer that reported it.
    pub delays: Vec<i64>,
    pub in_flight_max: usize,
    /// Whether the engine is also called before anything can have changed.
    pub is_disturbed: bool,
    /// Whether any submission was accepted.
    pub has_accepted: bool,
}

/// Earliest time of a submission that no fault holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Free {
    /// Submission is possible at once.
    Now,
    At(i64),
    /// Submission is possible after the next answer.
    AfterAnswer,
}

pub fn micros(secs: f64) -> i64 {
    i64::try_from(Duration::from_secs_f64(secs).as_micros()).unwrap()
}

fn moment(micros: i64) -> Moment {
    Moment::new(micros, Timestamp::from_millis(1_790_000_000_000 + micros / 1000))
}

impl Beats {
    pub fn new(n_jobs: u64, limits: &Limits, service: Service) -> Self {
        let n_servers = if service.servers == usize::MAX { 0 } else { service.servers };
        Self {
            engine: Engine::new(limits.clone()),
            limits: limits.clone(),
            rng: fastrand::Rng::with_seed(limits.seed),
            now: 0,
            coming: BTreeMap::new(),
            n_coming: 0,
            n_jobs,
            n_loaded: 0,
            to_submit: BTreeSet::new(),
            n_submits_out: 0,
            in_flight: BTreeSet::new(),
            ends: BTreeMap::new(),
            free_at: (0..n_servers).map(|server| (0, server)).collect(),
            full_at: 0,
            sent: VecDeque::new(),
            n_sent: 0,
            n_finished: 0,
            delays: vec![],
            in_flight_max: 0,
            is_disturbed: false,
            has_accepted: false,
            service,
        }
    }

    /// Simulates until that second, or until the run is over. Returns whether the run is over. Calls `look` after every
    /// completed turn.
    pub fn run(&mut self, until: f64, mut look: impl FnMut(&Self, &Turn)) -> bool {
        while self.now < micros(until) {
            let turn = self.engine.turn(moment(self.now));
            for action in &turn.actions {
                self.act(action);
            }
            if turn.is_last {
                return true;
            }
            if turn.actions.iter().any(|action| matches!(action, Action::Load { .. })) {
                self.load();
                continue;
            }
            look(self, &turn);
            self.wait(&turn);
        }
        false
    }

    /// Advances to the next answer, or to the engine's wake-up time. Before that time the engine must have nothing to
    /// do, whenever it is called.
    fn wait(&mut self, turn: &Turn) {
        let back_at = self.coming.first_key_value().map(|((at, _), _)| *at);
        let next = [back_at, turn.wake_at.map(Moment::micros)].into_iter().flatten().min();
        let next = next.unwrap_or_else(|| panic!("asleep for ever at {}, and jobs are left", self.now));
        assert!(turn.wake_at.is_none_or(|at| at.micros() > self.now), "no rest at {}: {:?}", self.now, turn.wake_at);
        if self.is_disturbed {
            for early in [self.now, self.rng.i64(self.now..next.max(self.now + 1))] {
                let early_turn = self.engine.turn(moment(early));
                assert_eq!(early_turn.actions, [], "forgotten at {}, found by chance at {early}: {turn:?}", self.now);
            }
        }
        self.now = next;
        while let Some(entry) = self.coming.first_entry()
            && entry.key().0 <= next
        {
            let input = entry.remove();
            self.note(&input);
            self.engine.handle(moment(next), input);
        }
    }

    fn act(&mut self, action: &Action) {
        let has_fault = self.rng.f64() < self.service.faults;
        let fault = || Fault::new(FaultKind::Transient, "chance");
        match action {
            Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => (),
            Action::Submit(job, _) => {
                self.n_submits_out += 1;
                self.to_submit.remove(&job.id);
                self.in_flight.insert(job.id);
                self.in_flight_max = self.in_flight_max.max(self.in_flight.len());
                self.n_sent += 1;
                self.sent.push_back(self.now);
                if self.sent.len() > 2048 {
                    self.sent.pop_front();
                }
                let result = if has_fault { Err(fault()) } else { self.submit(job) };
                self.comes(self.service.answer, Input::Submitted(job.id, result));
            }
            Action::Poll(batch) => {
                let done = |id: &JobId| Status::Done(vec![Url(format!("https://images/{id}.png"))]);
                let status = |id: &JobId| if self.ends[id] <= self.now { done(id) } else { Status::Running };
                let answers = batch.iter().map(|(id, _)| (*id, if has_fault { Err(fault()) } else { Ok(status(id)) }));
                let input = Input::Polled(answers.collect());
                self.comes(self.service.answer, input);
            }
            Action::Download(origin, _) => {
                let artifact = Artifact {
                    file_name: "x.png".into(),
                    sha256: [0; 32],
                    bytes: 1,
                    width: 1,
                    height: 1,
                    format: ImageFormat::Png,
                };
                let result = if has_fault { Err(fault()) } else { Ok(vec![artifact]) };
                self.comes(self.service.image, Input::Downloaded(origin.job.id, result));
            }
        }
    }

    /// Returns the service's answer to a submission.
    fn submit(&mut self, job: &Job) -> Result<Acceptance, Fault> {
        let is_full = self.service.places < usize::MAX && {
            let is_unfinished = |id: &&JobId| self.ends.get(id).is_some_and(|at| *at > self.now);
            self.in_flight.iter().filter(is_unfinished).count() >= self.service.places
        };
        if is_full || self.full_at > self.now {
            return Err(Fault::new(FaultKind::Throttled { retry_after: None }, "too much"));
        }
        if self.service.rate.is_finite() {
            self.full_at = self.now + micros(1.0 / self.service.rate);
        }
        let part = self.service.shortest + (1.0 - self.service.shortest) * self.rng.f64();
        let took = micros(self.service.task * part);
        let ends_at = match self.free_at.pop_first() {
            Some((free_at, server)) => {
                let ends_at = free_at.max(self.now) + took;
                self.free_at.insert((ends_at, server));
                ends_at
            }
            None => self.now + took,
        };
        self.ends.insert(job.id, ends_at);
        Ok(TaskId(job.id.to_string()).into())
    }

    fn comes(&mut self, after: f64, input: Input) {
        // No two answers take exactly the same time.
        let at = self.now + micros(after * (0.8 + 0.4 * self.rng.f64()));
        self.n_coming += 1;
        self.coming.insert((at, self.n_coming), input);
    }

    fn note(&mut self, input: &Input) {
        match input {
            Input::Submitted(id, result) => {
                self.has_accepted |= result.is_ok();
                self.n_submits_out -= 1;
                if result.is_err() {
                    self.in_flight.remove(id);
                    self.to_submit.insert(*id);
                }
            }
            Input::Polled(answers) => {
                for (id, answer) in answers {
                    if let Ok(Status::Done(_)) = answer
                        && self.in_flight.remove(id)
                    {
                        self.delays.push(self.now - self.ends[id]);
                    }
                }
            }
            Input::Downloaded(_, result) => self.n_finished += u64::from(result.is_ok()),
            Input::Loaded { .. }
            | Input::Unsent(_)
            | Input::Found(_)
            | Input::Received(_)
            | Input::Unsaved(_)
            | Input::Hold(_)
            | Input::Rate(_)
            | Input::Places(_)
            | Input::CostMax(_)
            | Input::Forgotten
            | Input::Reserved(_)
            | Input::Stop(_) => (),
        }
    }

    fn load(&mut self) {
        let n = (self.limits.look_ahead_max as u64).min(self.n_jobs - self.n_loaded);
        let jobs: Vec<JobRecord> = (self.n_loaded..self.n_loaded + n).map(job).collect();
        self.to_submit.extend(jobs.iter().map(|known| known.job.id));
        self.n_loaded += n;
        self.engine.handle(moment(self.now), Input::Loaded { jobs, more: More::now_if(self.n_loaded < self.n_jobs) });
    }

    /// Returns the number of jobs that could be submitted now, without those that wait after a fault.
    pub fn n_ready(&self) -> usize {
        self.to_submit.len() - self.engine.pace(moment(self.now)).n_waiting
    }

    pub fn hold_until(&self) -> Option<i64> {
        self.engine.pace(moment(self.now)).hold.map(|hold| hold.until.micros())
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub fn is_awaiting(&self) -> bool {
        !self.coming.is_empty()
    }

    /// Returns when the user's limits allow one more submission, computed without the engine. The limits are `n_max`
    /// tasks in flight, `submits_max` awaited answers, and the rate. Submissions are evenly spaced, and a period of the
    /// rate never has more than its count.
    pub fn free(&self, n_max: usize, submits_max: usize) -> Free {
        if self.in_flight.len() >= n_max || self.n_submits_out >= submits_max {
            return Free::AfterAnswer;
        }
        let Some(rate) = self.limits.rate else { return Free::Now };
        let span = i64::try_from(rate.per.as_micros()).unwrap();
        let count = rate.count.get() as usize;
        let spaced = self.sent.back().map(|at| at + span / i64::try_from(count).unwrap());
        // Half a percent is added, because no two clocks run at the same speed.
        let counted = self.sent.len().checked_sub(count).map(|nth| self.sent[nth] + span + span / 200);
        // Moments have microsecond resolution, and are rounded up.
        let at = spaced.max(counted).map_or(0, |at| at + 10);
        if at > self.now { Free::At(at) } else { Free::Now }
    }
}

fn job(n: u64) -> JobRecord {
    let request = Request { prompt: format!("cat {n}"), model: "a/b".into(), ..Request::default() };
    let id = JobId::new(&request.content(), 0);
    JobRecord {
        job: Job { id, index: n, label: None, request, extras: vec![], row: ManifestRow::default() }.into(),
        state: <_>::default(),
    }
}
