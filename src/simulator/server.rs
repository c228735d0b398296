//! Simulated service as one value: a request and a time go in, a reply comes out.
//! It uses no sockets, no clock and no waiting. A day of service can therefore run in a moment, and repeat exactly.

#[cfg(test)]
mod fault_tests;
mod gateway;
mod image;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::model::limits::Rate;
use crate::model::request::Size;
use crate::model::time::Timestamp;
use crate::simulator::admission::AdmissionLimiter;
use crate::simulator::check::{self, Submission};
use crate::simulator::config::SimulatorConfig;
use crate::simulator::faults::{InjectedFault, PollFault, SubmitFault, TaskFault};
use crate::simulator::message::{BODY_BYTES_MAX, ContentKey, Delivery, HttpRequest, Reply, hash};
use crate::simulator::picture::Picture;
use crate::simulator::refusal::Refusal;
use crate::simulator::server::gateway::Gateway;
use crate::simulator::stats::Stats;
use crate::simulator::task::{Task, TaskOutcome, TaskProgress};

const SUBMIT_PATH: &str = "/v1/images/generations";
const TASK_PATH: &str = "/v1/tasks/";
const IMAGE_PATH: &str = "/img/";
const STATS_PATH: &str = "/stats";

const BUSY: &str = "Server is busy, please try again later";

/// Statuses of errors that may contain a task id.
const ID_STATUSES: [u16; 4] = [400, 429, 500, 503];

/// Default size of a picture, if neither the request nor the configuration gives one.
const SIZE: Size = Size { width: 512, height: 512 };

/// Simulated service with ModelScope's API.
///
/// It stores no tasks: ids and links contain all data, and every server understands those of every other server. Its state is bookkeeping:
/// unfinished tasks, statistics, and one number for each accepted content.
#[derive(Clone, Debug)]
pub struct Server {
    config: SimulatorConfig,
    gate: AdmissionLimiter,
    rng: Rng,
    stats: Stats,
    accepted: BTreeMap<ContentKey, u32>,
    gateway: Gateway,
    last_task: Option<Task>,
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
        }
    }

    /// Returns the task that was accepted last; `None` before the first.
    pub const fn last_task(&self) -> Option<&Task> {
        self.last_task.as_ref()
    }

    /// Answers one request. Servers with the same configuration give the same replies to the same requests at the same times.
    pub fn handle(&mut self, now: Timestamp, request: &HttpRequest) -> Reply {
        let reply = self.route(now, request).unwrap_or_else(|refusal| self.refuse(&refusal));
        Reply { delay: self.config.answer_delay, ..reply }
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
        let reply = self.error(refusal.status(), &refusal.to_string());
        match refusal {
            Refusal::Rate | Refusal::Concurrency => self.with_retry_after(reply),
            Refusal::Method(allowed) => reply.with("allow", *allowed),
            Refusal::Invalid(_)
            | Refusal::NoModel(_)
            | Refusal::Synchronous
            | Refusal::Unauthorized
            | Refusal::NoPath(_)
            | Refusal::TooLarge
            | Refusal::Quota(_) => reply,
        }
    }

    fn route(&mut self, now: Timestamp, request: &HttpRequest) -> Result<Reply, Refusal> {
        if request.body.len() > BODY_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let path = request.path.split('?').next().unwrap_or_default();
        if path == SUBMIT_PATH {
            only("POST", request)?;
            self.submit(now, request)
        } else if let Some(id) = path.strip_prefix(TASK_PATH) {
            only("GET", request)?;
            self.poll(now, request, id)
        } else if let Some(name) = path.strip_prefix(IMAGE_PATH) {
            only("GET", request)?;
            Ok(self.image(now, request, name))
        } else if path == STATS_PATH {
            only("GET", request)?;
            Ok(Reply::json(200, &self.stats.to_json()))
        } else {
            Err(Refusal::NoPath(path.to_owned()))
        }
    }

    fn submit(&mut self, now: Timestamp, request: &HttpRequest) -> Result<Reply, Refusal> {
        self.stats.n_submits += 1;
        self.authorize(request)?;
        if !request.header("x-modelscope-async-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("true")) {
            return Err(Refusal::Synchronous);
        }
        let submission = check::submission(&request.body)?;
        if let Some(reply) = self.gateway.misrouted(now) {
            self.count_fault(InjectedFault::Submit(SubmitFault::Misrouted));
            return Ok(reply);
        }
        // An empty cache lets the first submission through.
        let fault = self.config.faults.draw_submit(&mut self.rng);
        let Some(fault) = fault.filter(|fault| *fault != SubmitFault::Cached || self.gateway.cached().is_some()) else {
            return self.accept(now, &submission);
        };
        let acceptance = if fault.accepts() { Some(self.accept(now, &submission)?) } else { None };
        self.count_fault(InjectedFault::Submit(fault));
        Ok(match (fault, acceptance) {
            (SubmitFault::IdError, Some(acceptance)) => self.id_in_error(acceptance),
            (fault, _) => self.spoil(now, fault),
        })
    }

    /// Returns the response that the client receives for a submission with this fault.
    fn spoil(&mut self, now: Timestamp, fault: SubmitFault) -> Reply {
        match fault {
            SubmitFault::Busy | SubmitFault::IdError => self.error(500, BUSY),
            SubmitFault::Throttled => self.throttled(),
            SubmitFault::Html => Reply::page(502),
            SubmitFault::CutBefore => Reply::lost(Delivery::CutBefore),
            SubmitFault::CutAfter => Reply::lost(Delivery::CutAfter),
            SubmitFault::Garbage => Reply::garbage(),
            SubmitFault::Hang => Reply::lost(Delivery::Hang),
            SubmitFault::Gateway | SubmitFault::GatewayAccepted => gateway::page(&mut self.rng),
            SubmitFault::Cached => self.gateway.cached().unwrap_or_else(|| self.error(500, BUSY)),
            SubmitFault::Unauthorized => self.error(401, &Refusal::Unauthorized.to_string()),
            SubmitFault::Forbidden => self.error(403, "Forbidden"),
            SubmitFault::Misrouted => self.gateway.misroute(now, &mut self.rng),
        }
    }

    fn accept(&mut self, now: Timestamp, submission: &Submission) -> Result<Reply, Refusal> {
        self.gate.admit(now, &submission.model)?;
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
        self.last_task = Some(task.clone());
        self.accepted.insert(submission.content, n_before.saturating_add(1));
        self.stats.n_accepted += 1;
        self.stats.n_accepted_twice += u64::from(n_before > 0);
        self.stats.n_contents += u64::from(n_before == 0);
        self.stats.n_unfinished_max = self.stats.n_unfinished_max.max(n_unfinished);

        let mut answer = json!({ "task_id": task.to_string(), "request_id": self.request_id() });
        // The real service sometimes sends this status. It means only that the task was accepted.
        if rng.bool() {
            answer["task_status"] = "SUCCEED".into();
        }
        let acceptance = self.with_quota(Reply::json(200, &answer), &submission.model);
        self.gateway.cache(&acceptance);
        Ok(acceptance)
    }

    fn poll(&mut self, now: Timestamp, request: &HttpRequest, id: &str) -> Result<Reply, Refusal> {
        self.stats.n_polls += 1;
        self.authorize(request)?;
        let is_image = request.header("x-modelscope-task-type") == Some("image_generation");
        let Some(task) = Task::from_id(id).filter(|_| is_image) else {
            self.stats.n_polls_lost += 1;
            return Ok(self.failed(id, 500, "task not found"));
        };
        let Some(fault) = self.config.faults.draw_poll(&mut self.rng) else {
            return Ok(self.progress(now, request, &task));
        };
        self.count_fault(InjectedFault::Poll(fault));
        Ok(match fault {
            PollFault::Busy => self.error(500, BUSY),
            PollFault::Throttled => self.throttled(),
            PollFault::Cut => self.progress(now, request, &task).delivered(Delivery::CutMidway),
            PollFault::Garbage => Reply::garbage(),
            PollFault::Hang => Reply::lost(Delivery::Hang),
            PollFault::NotFound => self.failed(id, 500, "task not found"),
            PollFault::Gateway => gateway::page(&mut self.rng),
            PollFault::Mixed => self.other_task(now, request),
            PollFault::Unauthorized => self.error(401, &Refusal::Unauthorized.to_string()),
        })
    }

    fn progress(&mut self, now: Timestamp, request: &HttpRequest, task: &Task) -> Reply {
        let id = task.to_string();
        match task.progress(now) {
            TaskProgress::Pending => self.running(&id, "PENDING"),
            TaskProgress::Processing => self.running(&id, "PROCESSING"),
            // Observed on the real service: a lost task is answered with empty ids.
            TaskProgress::Lost | TaskProgress::Ended(TaskOutcome::Stuck) => Reply::json(
                200,
                &json!({ "task_id": "", "request_id": "", "task_status": "PROCESSING", "outputs": {} }),
            ),
            TaskProgress::Ended(TaskOutcome::Succeeds) => {
                let link = self.link(now, request, task.picture());
                self.succeeded(task, &[link])
            }
            TaskProgress::Ended(TaskOutcome::Empty) => self.succeeded(task, &[]),
            TaskProgress::Ended(TaskOutcome::Moderated) => {
                self.failed(&id, 422, "Output data may contain inappropriate content.")
            }
            TaskProgress::Ended(TaskOutcome::Failed) => self.failed(&id, 500, "Internal error, the task has failed"),
        }
    }

    fn running(&mut self, id: &str, status: &str) -> Reply {
        let request_id = self.request_id();
        Reply::json(200, &json!({ "task_id": id, "request_id": request_id, "task_status": status, "outputs": {} }))
    }

    fn succeeded(&mut self, task: &Task, links: &[String]) -> Reply {
        let answer = json!({
            "task_id": task.to_string(),
            "request_id": self.request_id(),
            "task_status": "SUCCEED",
            "output_images": links,
            "time_taken": task.latency().as_secs_f64() * 1000.0,
        });
        Reply::json(200, &answer)
    }

    fn failed(&mut self, id: &str, code: u16, message: &str) -> Reply {
        let answer = json!({
            "task_id": id,
            "request_id": self.request_id(),
            "task_status": "FAILED",
            "errors": { "code": code, "message": message },
        });
        Reply::json(200, &answer)
    }

    /// Returns the response to the poll of another task, which has succeeded.
    fn other_task(&mut self, now: Timestamp, request: &HttpRequest) -> Reply {
        let picture = Picture::new(self.rng.u64(..), self.config.image_size.unwrap_or(SIZE));
        let began = now.before(Duration::from_secs(1));
        let task = Task::new(began, Duration::ZERO, picture, TaskOutcome::Succeeds, u32::MAX);
        self.progress(now, request, &task)
    }

    /// Turns an acceptance into an error: adds an error envelope next to the task id.
    fn id_in_error(&mut self, acceptance: Reply) -> Reply {
        let status = self.rng.choice(ID_STATUSES).expect("the list is not empty");
        let mut answer: Value = serde_json::from_slice(&acceptance.body.into_bytes()).unwrap_or_default();
        answer["errors"] = json!({ "code": status, "message": BUSY });
        Reply::json(status, &answer)
    }

    fn authorize(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        let is_right = match (&self.config.token, token) {
            (Some(right), Some(token)) => token == right,
            (None, Some(token)) => !token.is_empty(),
            (_, None) => false,
        };
        is_right.then_some(()).ok_or(Refusal::Unauthorized)
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

    fn request_id(&mut self) -> String {
        let digits = format!("{:032x}", self.rng.u128(..));
        let (a, b, c) = (&digits[..8], &digits[8..12], &digits[13..16]);
        format!("{a}-{b}-4{c}-8{}-{}", &digits[17..20], &digits[20..])
    }

    fn error(&mut self, status: u16, message: &str) -> Reply {
        let request_id = self.request_id();
        Reply::error(status, message, &request_id)
    }

    fn throttled(&mut self) -> Reply {
        let reply = self.error(429, "Too many requests");
        self.with_retry_after(reply)
    }

    fn with_retry_after(&self, reply: Reply) -> Reply {
        let Some(span) = self.config.retry_after else { return reply };
        let secs = span.as_millis().div_ceil(1000);
        reply.with("retry-after", secs.to_string())
    }

    fn with_quota(&self, reply: Reply, model: &str) -> Reply {
        let reply = match self.gate.model_quota_left(model) {
            Some(left) => reply.with("modelscope-ratelimit-model-requests-remaining", left.to_string()),
            None => reply,
        };
        let Some((quota, left)) = self.gate.quota() else { return reply };
        let reply = reply.with("modelscope-ratelimit-requests-limit", quota.to_string());
        reply.with("modelscope-ratelimit-requests-remaining", left.to_string())
    }

    fn count_fault(&mut self, fault: InjectedFault) {
        *self.stats.faults.entry(fault).or_default() += 1;
    }
}

fn only(method: &'static str, request: &HttpRequest) -> Result<(), Refusal> {
    if request.method == method { Ok(()) } else { Err(Refusal::Method(method)) }
}
