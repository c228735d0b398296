//! Simulated service as one value: a request and a time go in, a reply comes out.
//! It uses no sockets, no clock and no waiting. A day of service can therefore run in a moment, and repeat exactly.

mod described;
#[cfg(test)]
mod fault_tests;
mod gateway;
mod image;
mod modelscope;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::time::Duration;

use fastrand::Rng;

use crate::description::words::AnswerStage;
use crate::model::limits::Rate;
use crate::model::request::Size;
use crate::model::time::Timestamp;
use crate::simulator::admission::AdmissionLimiter;
use crate::simulator::check::Submission;
use crate::simulator::config::SimulatorConfig;
use crate::simulator::described::book::SubmissionBook;
use crate::simulator::faults::{InjectedFault, PollFault, SubmitFault, TaskFault};
use crate::simulator::message::{BODY_BYTES_MAX, ContentKey, Delivery, HttpRequest, Reply, hash};
use crate::simulator::picture::Picture;
use crate::simulator::refusal::Refusal;
use crate::simulator::server::gateway::Gateway;
use crate::simulator::stats::Stats;
use crate::simulator::task::{Task, TaskOutcome};

const IMAGE_PATH: &str = "/img/";
const STATS_PATH: &str = "/stats";

/// Statuses of errors that may contain a task id.
const ID_STATUSES: [u16; 4] = [400, 429, 500, 503];

/// Default size of a picture, if neither the request nor the configuration gives one.
const SIZE: Size = Size { width: 512, height: 512 };

/// Simulated service with ModelScope's API, or with a described one.
///
/// It stores no tasks: ids and links contain all data, and every server understands those of every other server. Its state is bookkeeping:
/// unfinished tasks, statistics, and one number for each accepted content; and the submissions of APIs that can be asked for them.
#[derive(Clone, Debug)]
pub struct Server {
    config: SimulatorConfig,
    gate: AdmissionLimiter,
    rng: Rng,
    stats: Stats,
    accepted: BTreeMap<ContentKey, u32>,
    gateway: Gateway,
    last_task: Option<Task>,
    /// Accepted submissions, of an API that can be asked for them.
    book: SubmissionBook,
}

impl Server {
    /// Creates a service that has received no request.
    pub fn new(config: SimulatorConfig) -> Self {
        let gate = AdmissionLimiter::new(&config);
        let rng = Rng::with_seed(config.seed);
        Self {
            config,
            gate,
            rng,
            stats: Stats::default(),
            accepted: BTreeMap::new(),
            gateway: Gateway::default(),
            last_task: None,
            book: SubmissionBook::default(),
        }
    }

    /// Returns the task that was accepted last; `None` before the first.
    pub const fn last_task(&self) -> Option<&Task> {
        self.last_task.as_ref()
    }

    /// Answers one request. Servers with the same configuration give the same replies to the same requests at the same times.
    pub fn handle(&mut self, now: Timestamp, request: &HttpRequest) -> Reply {
        let reply = self.route(now, request).unwrap_or_else(|refusal| self.refuse(&refusal));
        Reply { delay: reply.delay.saturating_add(self.config.answer_delay), ..reply }
    }

    /// Replaces the limits for submissions per second and for unfinished tasks; `None` means no limit.
    pub fn set_limits(&mut self, rate: Option<Rate>, concurrency: Option<u32>) {
        self.gate.set_limits(rate, concurrency);
    }

    /// Returns the number of tasks that are unfinished at this time.
    pub fn n_unfinished(&mut self, now: Timestamp) -> usize {
        self.gate.n_unfinished(now)
    }

    /// Returns the statistics so far.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Counts bytes of images that were handed to their connections.
    pub(super) const fn sent_of_images(&mut self, n_bytes: usize) {
        self.stats.n_image_bytes += n_bytes as u64;
    }

    /// Returns how often each content was accepted. A client must know about every number above 1, whatever faults it met.
    pub const fn accepted(&self) -> &BTreeMap<ContentKey, u32> {
        &self.accepted
    }

    /// Returns how often a submission with these fields, in any order, was accepted.
    pub fn n_accepted(&self, body: &[u8]) -> u32 {
        ContentKey::of_body(body).and_then(|content| self.accepted.get(&content)).copied().unwrap_or(0)
    }

    /// Counts a refusal and returns its response.
    pub(super) fn refuse(&mut self, refusal: &Refusal) -> Reply {
        *self.stats.refused.entry(refusal.reason()).or_default() += 1;
        self.refusal_reply(refusal)
    }

    /// Returns the response for a refusal, without counting it.
    fn refusal_reply(&mut self, refusal: &Refusal) -> Reply {
        let reply = match self.config.api.clone() {
            None => self.modelscope_error(refusal),
            Some(api) => Self::described_error(&api, refusal),
        };
        match refusal {
            Refusal::Rate | Refusal::Concurrency => self.with_retry_after(reply),
            Refusal::Method(allowed) => reply.with("allow", *allowed),
            Refusal::Invalid(_)
            | Refusal::NoModel(_)
            | Refusal::Synchronous
            | Refusal::Unauthorized
            | Refusal::Forbidden
            | Refusal::Content
            | Refusal::NoPath(_)
            | Refusal::TooLarge
            | Refusal::Busy
            | Refusal::Quota(_) => reply,
        }
    }

    fn route(&mut self, now: Timestamp, request: &HttpRequest) -> Result<Reply, Refusal> {
        if request.body.len() > BODY_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let path = request.path.split('?').next().unwrap_or_default();
        if let Some(name) = path.strip_prefix(IMAGE_PATH) {
            only("GET", request)?;
            return Ok(self.image(now, request, name));
        }
        if path == STATS_PATH {
            only("GET", request)?;
            return Ok(Reply::json(200, &self.stats.to_json()));
        }
        match self.config.api.clone() {
            None => self.modelscope_route(now, request),
            Some(api) => self.described_route(now, request, &api),
        }
    }

    fn authorize(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let is_allowed = match &self.config.api {
            None => self.is_modelscope_token(request),
            Some(api) => self.is_described_token(request, api),
        };
        is_allowed.then_some(()).ok_or(Refusal::Unauthorized)
    }

    /// Answers a submission. `model` is that of the path, if the path has one.
    fn submit(&mut self, now: Timestamp, request: &HttpRequest, model: Option<String>) -> Result<Reply, Refusal> {
        self.stats.n_submits += 1;
        self.authorize(request)?;
        let submission = match &self.config.api {
            None => Self::modelscope_submission(request)?,
            Some(api) => Self::described_submission(request, api, model)?,
        };
        if let Some(reply) = self.gateway.misrouted(now) {
            self.count_fault(InjectedFault::Submit(SubmitFault::Misrouted));
            return Ok(reply);
        }
        // An empty cache lets the first submission through.
        let fault = self.config.faults.draw_submit(&mut self.rng);
        let Some(fault) = fault.filter(|fault| *fault != SubmitFault::Cached || self.gateway.cached().is_some()) else {
            return self.accept(now, request, &submission);
        };
        let acceptance = if fault.accepts() { Some(self.accept(now, request, &submission)?) } else { None };
        self.count_fault(InjectedFault::Submit(fault));
        Ok(match (fault, acceptance) {
            (SubmitFault::IdError, Some(acceptance)) => self.id_in_error(acceptance),
            (fault, Some(acceptance)) => Reply { delay: acceptance.delay, ..self.spoil(now, fault) },
            (fault, None) => self.spoil(now, fault),
        })
    }

    /// Returns the response that the client receives for a submission with this fault.
    fn spoil(&mut self, now: Timestamp, fault: SubmitFault) -> Reply {
        match fault {
            SubmitFault::Busy | SubmitFault::IdError => self.refusal_reply(&Refusal::Busy),
            SubmitFault::Throttled => self.refusal_reply(&Refusal::Concurrency),
            SubmitFault::Html => Reply::page(502),
            SubmitFault::CutBefore => Reply::lost(Delivery::CutBefore),
            SubmitFault::CutAfter => Reply::lost(Delivery::CutAfter),
            SubmitFault::Garbage => Reply::garbage(),
            SubmitFault::Hang => Reply::lost(Delivery::Hang),
            SubmitFault::Gateway | SubmitFault::GatewayAccepted => gateway::page(&mut self.rng),
            SubmitFault::Cached => self.gateway.cached().unwrap_or_else(|| self.refusal_reply(&Refusal::Busy)),
            SubmitFault::Unauthorized => self.refusal_reply(&Refusal::Unauthorized),
            SubmitFault::Forbidden => self.refusal_reply(&Refusal::Forbidden),
            SubmitFault::Misrouted => self.gateway.misroute(now, &mut self.rng),
        }
    }

    /// Turns an acceptance into an error that still has what was accepted.
    fn id_in_error(&mut self, acceptance: Reply) -> Reply {
        let status = self.rng.choice(ID_STATUSES).expect("the list is not empty");
        match self.config.api.clone() {
            None => Self::modelscope_id_in_error(acceptance, status),
            Some(api) => Self::described_id_in_error(&api, acceptance, status),
        }
    }

    fn accept(&mut self, now: Timestamp, request: &HttpRequest, submission: &Submission) -> Result<Reply, Refusal> {
        let api = self.config.api.clone();
        if let Some(api) = &api {
            if let Some(reply) = self.repeated(now, request, submission, api) {
                return Ok(reply);
            }
            if self.refuses_content(submission, api) {
                return Err(Refusal::Content);
            }
        }
        self.gate.admit(now, &submission.model)?;
        let task = self.admitted(now, submission);
        let acceptance = match &api {
            None => self.modelscope_accepted(&task, &submission.model),
            Some(api) => self.described_accepted(now, request, submission, task, api),
        };
        self.gateway.cache(&acceptance);
        Ok(acceptance)
    }

    /// Creates the task of an admitted submission, and counts it.
    fn admitted(&mut self, now: Timestamp, submission: &Submission) -> Task {
        let n_before = self.accepted.get(&submission.content).copied().unwrap_or(0);
        // The random values of a task derive from its content, so the order of arrival does not change them.
        let mut rng = self.lots(submission.content, u64::from(n_before) + 1);
        let latency = self.draw_latency(&mut rng);
        let fate = self.draw_fate(submission.content, &mut rng);
        let size = self.config.image_size.or(submission.size).unwrap_or(SIZE);
        let picture = Picture::new(submission.picture_seed, size).of_request(
            &submission.prompt,
            &submission.model,
            submission.seed,
        );
        let serial = u32::try_from(self.stats.n_accepted % (1 << 32)).unwrap_or(0);
        let task = Task::new(now, latency, picture, fate, serial);

        let n_unfinished = self.gate.hold(task.ends_at());
        self.last_task = Some(task);
        self.accepted.insert(submission.content, n_before.saturating_add(1));
        self.stats.n_accepted += 1;
        self.stats.n_accepted_twice += u64::from(n_before > 0);
        self.stats.n_contents += u64::from(n_before == 0);
        self.stats.n_unfinished_max = self.stats.n_unfinished_max.max(n_unfinished);

        task
    }

    /// Answers the poll of a task or, at [`AnswerStage::Result`], the question for its result.
    fn poll(&mut self, now: Timestamp, request: &HttpRequest, id: &str, stage: AnswerStage) -> Result<Reply, Refusal> {
        let count = if stage == AnswerStage::Result { &mut self.stats.n_results } else { &mut self.stats.n_polls };
        *count += 1;
        self.authorize(request)?;
        let task = match &self.config.api {
            None => Self::modelscope_task(request, id),
            Some(_) => self.described_task(id),
        };
        let Some(task) = task else {
            self.stats.n_polls_lost += 1;
            return Ok(self.unknown_task(request, id, stage));
        };
        let Some(fault) = self.config.faults.draw_poll(&mut self.rng) else {
            return Ok(self.progress(now, request, id, &task, stage));
        };
        self.count_fault(InjectedFault::Poll(fault));
        Ok(match fault {
            PollFault::Cut => self.progress(now, request, id, &task, stage).delivered(Delivery::CutMidway),
            PollFault::NotFound => self.unknown_task(request, id, stage),
            PollFault::Mixed => self.other_task(now, request, stage),
            PollFault::Busy
            | PollFault::Throttled
            | PollFault::Garbage
            | PollFault::Hang
            | PollFault::Gateway
            | PollFault::Unauthorized => self.poll_fault(fault),
        })
    }

    /// Returns the response for a fault that does not depend on what was asked.
    fn poll_fault(&mut self, fault: PollFault) -> Reply {
        match fault {
            PollFault::Busy | PollFault::Cut | PollFault::NotFound | PollFault::Mixed => {
                self.refusal_reply(&Refusal::Busy)
            }
            PollFault::Throttled => self.refusal_reply(&Refusal::Concurrency),
            PollFault::Garbage => Reply::garbage(),
            PollFault::Hang => Reply::lost(Delivery::Hang),
            PollFault::Gateway => gateway::page(&mut self.rng),
            PollFault::Unauthorized => self.refusal_reply(&Refusal::Unauthorized),
        }
    }

    fn unknown_task(&mut self, request: &HttpRequest, id: &str, stage: AnswerStage) -> Reply {
        match self.config.api.clone() {
            None => self.failed(id, 500, "task not found"),
            Some(api) => Self::described_unknown(request, id, stage, &api),
        }
    }

    fn progress(&mut self, now: Timestamp, request: &HttpRequest, id: &str, task: &Task, stage: AnswerStage) -> Reply {
        match self.config.api.clone() {
            None => self.modelscope_progress(now, request, task),
            Some(api) => self.described_progress(now, request, id, task, stage, &api),
        }
    }

    /// Returns the response to the poll of another task, which has succeeded.
    fn other_task(&mut self, now: Timestamp, request: &HttpRequest, stage: AnswerStage) -> Reply {
        let picture = Picture::new(self.rng.u64(..), self.config.image_size.unwrap_or(SIZE));
        let began = now.before(Duration::from_secs(1));
        let task = Task::new(began, Duration::ZERO, picture, TaskOutcome::Succeeds, u32::MAX);
        self.progress(now, request, &task.to_string(), &task, stage)
    }

    fn draw_latency(&self, rng: &mut Rng) -> Duration {
        // Box-Muller transform: two uniform samples give one normally distributed sample.
        let normal = (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (TAU * rng.f64()).cos();
        let factor = (self.config.latency_sigma * normal).exp();
        Duration::try_from_secs_f64(self.config.latency.as_secs_f64() * factor).unwrap_or(self.config.latency)
    }

    fn draw_fate(&mut self, content: ContentKey, rng: &mut Rng) -> TaskOutcome {
        let fault = self.config.faults.draw_task(rng);
        if self.lots(content, 0).f64() < self.config.fail_rate {
            return TaskOutcome::Moderated;
        }
        let Some(fault) = fault else { return TaskOutcome::Succeeds };
        self.count_fault(InjectedFault::Task(fault));
        match fault {
            TaskFault::Failed => TaskOutcome::Failed,
            TaskFault::Stuck => TaskOutcome::Stuck,
            TaskFault::Empty => TaskOutcome::Empty,
        }
    }

    /// Returns the generator of the `series`-th series of random values for this content.
    fn lots(&self, content: ContentKey, series: u64) -> Rng {
        let parts = [self.config.seed, content.number(), series].map(u64::to_le_bytes);
        Rng::with_seed(hash(parts.as_flattened()))
    }

    fn with_retry_after(&self, reply: Reply) -> Reply {
        let Some(span) = self.config.retry_after else { return reply };
        let secs = span.as_millis().div_ceil(1000);
        reply.with("retry-after", secs.to_string())
    }

    fn count_fault(&mut self, fault: InjectedFault) {
        *self.stats.faults.entry(fault).or_default() += 1;
    }
}

fn only(method: &'static str, request: &HttpRequest) -> Result<(), Refusal> {
    if request.method == method { Ok(()) } else { Err(Refusal::Method(method)) }
}
