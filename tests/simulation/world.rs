//! A provider, a disk and a ledger that outlive the process, and the process that runs between them.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tokio::select;

use promptbatch::driver::clock::Clock;
use promptbatch::driver::images::MemoryStore;
use promptbatch::driver::{self, Hands};
use promptbatch::engine::Engine;
use promptbatch::engine::turn::Stop;
use promptbatch::ledger::memory::MemoryLedger;
use promptbatch::model::job::{Job, JobId};
use promptbatch::model::limits::Limits;
use promptbatch::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url};
use promptbatch::model::request::Request;
use promptbatch::model::time::Timestamp;
use promptbatch::provider::modelscope::answer::{self, Answer};
use promptbatch::provider::modelscope::body;
use promptbatch::provider::simulator::config::Config;
use promptbatch::provider::simulator::message::{Delivery, HttpRequest, Reply};
use promptbatch::provider::simulator::server::Server;
use promptbatch::provider::{Body, Provider};
use promptbatch::report::Reporters;

use crate::crash::{Crash, Stepped};

/// How long a request waits for an answer that never comes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Longer than any of these worlds needs, in virtual time.
const SESSION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Runs a future in virtual time.
pub fn simulate<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// Everything that a crash of the process does not touch.
pub struct World {
    pub server: Arc<Mutex<Server>>,
    pub ledger: MemoryLedger,
    pub store: MemoryStore,
    clock: OnceLock<Clock>,
}

impl World {
    pub fn new(n_jobs: u64, config: Config) -> Self {
        Self {
            server: Arc::new(Mutex::new(Server::new(config))),
            ledger: MemoryLedger::new((1..=n_jobs).map(job)),
            store: MemoryStore::default(),
            clock: OnceLock::new(),
        }
    }

    /// One process, from its start to its end or to the crash, which gives nothing.
    pub async fn session(&self, limits: Limits, crash: &Crash) -> Option<Option<Stop>> {
        // Time goes on between two processes.
        let clock = *self.clock.get_or_init(|| Clock::simulated(Timestamp::from_millis(1_790_000_000_000)));
        let direct = Direct { server: self.server.clone(), clock };
        let hands = Hands {
            provider: Arc::new(Stepped(direct, crash.clone())),
            store: Arc::new(Stepped(self.store.clone(), crash.clone())),
        };
        let mut ledger = Stepped(self.ledger.session(), crash.clone());
        let (_stopper, mut stops) = driver::stopper();
        let mut reporters = Reporters::default();
        let drive = driver::drive(Engine::new(limits), &mut ledger, &mut reporters, &hands, &clock, &mut stops);
        select! {
            ended = tokio::time::timeout(SESSION_MAX, drive) => Some(ended.expect("a run ends").unwrap()),
            () = crash.happened() => None,
        }
    }
}

fn job(n: u64) -> Job {
    // Every third row repeats an earlier one: equal prompts are jobs of their own.
    let content = if n.is_multiple_of(3) { n - 1 } else { n };
    let request = Request { prompt: format!("猫 number {content}"), model: "a/b".into(), ..Request::default() };
    let occurrence = u32::from(n.is_multiple_of(3));
    Job { id: JobId::new(&request.content(), occurrence), index: n, label: None, request, extras: vec![] }
}

/// The provider, without a network: the same bodies and the same reading of answers, handed over directly.
struct Direct {
    server: Arc<Mutex<Server>>,
    clock: Clock,
}

/// What a lost answer looks like from here.
enum Lost {
    Cut,
    TimedOut,
}

impl Direct {
    async fn ask(&self, request: HttpRequest) -> Result<Reply, Lost> {
        let request = request
            .with("authorization", "Bearer simulated")
            .with("content-type", "application/json")
            .with("x-modelscope-async-mode", "true");
        let reply = self.server.lock().unwrap().handle(self.clock.now().wall(), &request);
        tokio::time::sleep(reply.delay).await;
        match reply.delivery {
            Delivery::Whole => Ok(reply),
            Delivery::CutMidway if request.path.starts_with("/img/") => Ok(reply),
            Delivery::CutBefore | Delivery::CutAfter | Delivery::CutMidway => Err(Lost::Cut),
            Delivery::Hang => {
                tokio::time::sleep(REQUEST_TIMEOUT).await;
                Err(Lost::TimedOut)
            }
        }
    }

    async fn answer(&self, request: HttpRequest) -> Result<Answer, Lost> {
        let reply = self.ask(request).await?;
        Ok(Answer {
            status: reply.status,
            retry_after: reply.header("retry-after").map(str::to_owned),
            date: Some(self.clock.now().wall()),
            remaining: reply.header("modelscope-ratelimit-requests-remaining").and_then(|text| text.parse().ok()),
            body: reply.body.into_bytes(),
        })
    }

    async fn submit_one(&self, request: &Request) -> Result<Acceptance, Fault> {
        let post = HttpRequest::post("/v1/images/generations", body::text(request)?);
        match self.answer(post).await {
            Ok(answer) => answer::submitted(&answer, &request.model),
            Err(Lost::Cut | Lost::TimedOut) => Err(Fault::new(FaultKind::InDoubt, "the answer was lost")),
        }
    }

    async fn poll_one(&self, task: &TaskId) -> Result<Status, Fault> {
        let get = HttpRequest::get(format!("/v1/tasks/{task}")).with("x-modelscope-task-type", "image_generation");
        match self.answer(get).await {
            Ok(answer) => answer::polled(&answer),
            Err(Lost::Cut | Lost::TimedOut) => Err(Fault::new(FaultKind::Transient, "the answer was lost")),
        }
    }

    async fn open_image(&self, url: &Url) -> Result<Body, Fault> {
        let path = url.0.find("/img/").map_or("", |at| &url.0[at..]);
        let cut = || Fault::new(FaultKind::Transient, "the download broke off");
        // The image host never sees the token.
        let reply = self.server.lock().unwrap().handle(self.clock.now().wall(), &HttpRequest::get(path));
        tokio::time::sleep(reply.delay).await;
        let (delivery, status) = (reply.delivery, reply.status);
        let bytes = Bytes::from(reply.body.into_bytes());
        match delivery {
            Delivery::Whole if status == 200 => Ok(stream::iter([Ok(bytes)]).boxed()),
            Delivery::Whole => Err(answer::image_refused(status, url)),
            Delivery::CutMidway => Ok(stream::iter([Ok(bytes.slice(..bytes.len() / 2)), Err(cut())]).boxed()),
            Delivery::CutBefore | Delivery::CutAfter => Err(cut()),
            Delivery::Hang => {
                tokio::time::sleep(REQUEST_TIMEOUT).await;
                Err(cut())
            }
        }
    }
}

impl Provider for Direct {
    fn submit<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        self.submit_one(request).boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        futures::future::join_all(tasks.iter().map(|task| self.poll_one(task))).boxed()
    }

    fn download<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Body, Fault>> {
        self.open_image(url).boxed()
    }
}
