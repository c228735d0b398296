//! HTTP server of the simulator on a loopback socket, for any HTTP client.
//! It decides nothing. It passes requests to a [`Server`], sends the replies, and breaks connections if a reply says so.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::{Error, Router};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::model::time::Timestamp;
use crate::simulator::bandwidth::BandwidthLimiter;
use crate::simulator::config::SimulatorConfig;
use crate::simulator::connection::{ConnectionBreaker, FusedListener};
use crate::simulator::message::{BODY_BYTES_MAX, Delivery, HttpRequest, Reply};
use crate::simulator::picture::Picture;
use crate::simulator::picture_cache::PictureCache;
use crate::simulator::refusal::Refusal;
use crate::simulator::server::Server;
use crate::simulator::stats::Stats;

/// Longest wait of a shutdown for the responses in flight.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

/// Limit of pictures that a simulator with its own thread draws at the same time.
const DRAWING_THREADS_MAX: usize = 2;

/// Longest part of a request body that is read, in bytes. A client that is cut off while it writes may not see the refusal.
const DISCARD_BYTES_MAX: usize = 16 * BODY_BYTES_MAX;

/// Simulated service that listens on this machine only. Dropping it stops the service without a wait.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    server: Arc<Mutex<Server>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Simulator {
    /// Starts to listen on this port of 127.0.0.1, and serves on the current runtime. Port 0 selects any free port.
    pub async fn start(config: SimulatorConfig, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (pictures_bytes_max, line) =
            (config.pictures_bytes_max, config.line.map(BandwidthLimiter::new).map(Arc::new));
        let server = Arc::new(Mutex::new(Server::new(config)));
        let (stop, stopped) = watch::channel(false);
        let gallery = Arc::new(PictureCache::new(pictures_bytes_max));
        let face = HandlerState { server: Arc::clone(&server), gallery, line, stopped: stopped.clone() };
        let service =
            Router::new().fallback(answer).with_state(face).into_make_service_with_connect_info::<ConnectionBreaker>();
        let serve = axum::serve(FusedListener(listener), service).with_graceful_shutdown(stop_signal(stopped));
        let serving = tokio::spawn(async move {
            // The server accepts connections until it is stopped, so there is no error to pass on.
            let _ = serve.await;
        });
        Ok(Self { url, server, stop, serving })
    }

    /// Starts the service on a free port, with its own thread and runtime. No other task of the program waits for it.
    pub fn spawn_thread(config: SimulatorConfig) -> io::Result<SimulatorThread> {
        let runtime =
            runtime::Builder::new_current_thread().enable_all().max_blocking_threads(DRAWING_THREADS_MAX).build()?;
        let (started, starting) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let live = async move {
            match Self::start(config, 0).await {
                Ok(simulator) => {
                    let _ = started.send(Ok((simulator.url.clone(), Arc::clone(&simulator.server))));
                    let _: Result<Infallible, _> = stopped.await;
                    simulator.shutdown().await;
                }
                Err(error) => drop(started.send(Err(error))),
            }
        };
        let thread = thread::Builder::new().name("simulator".into()).spawn(move || runtime.block_on(live))?;
        let (url, server) = starting.recv().map_err(io::Error::other)??;
        Ok(SimulatorThread { url, server, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the base URL, such as `http://127.0.0.1:4321`, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the statistics so far.
    pub fn stats(&self) -> Stats {
        lock(&self.server).stats().clone()
    }

    /// Returns the service itself, for inspection.
    pub const fn server(&self) -> &Arc<Mutex<Server>> {
        &self.server
    }

    /// Stops listening and ends the responses that would never be sent. Waits for the other responses for up to two seconds.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if timeout(SHUTDOWN_MAX, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

/// Simulated service on its own thread. Dropping it shuts it down and waits for the end of the thread.
#[derive(Debug)]
pub struct SimulatorThread {
    url: String,
    server: Arc<Mutex<Server>>,
    /// Channel that signals the stop when it is dropped; no value is ever sent.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl SimulatorThread {
    /// Returns the base URL, such as `http://127.0.0.1:4321`, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the statistics so far.
    pub fn stats(&self) -> Stats {
        lock(&self.server).stats().clone()
    }

    /// Returns the service itself, for inspection.
    pub const fn server(&self) -> &Arc<Mutex<Server>> {
        &self.server
    }
}

impl Drop for SimulatorThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been reported by that thread.
            let _ = thread.join();
        }
    }
}

/// State that all request handlers share.
#[derive(Clone)]
struct HandlerState {
    server: Arc<Mutex<Server>>,
    gallery: Arc<PictureCache>,
    /// Bandwidth limit that all images share; `None` without a limit.
    line: Option<Arc<BandwidthLimiter>>,
    stopped: watch::Receiver<bool>,
}

async fn answer(
    State(face): State<HandlerState>,
    ConnectInfo(fuse): ConnectInfo<ConnectionBreaker>,
    request: Request,
) -> Response {
    let Ok(request) = read(request).await else { return silence(&fuse) };
    let reply = match request {
        Some(request) => lock(&face.server).handle(wall_clock(), &request),
        None => lock(&face.server).refuse(&Refusal::TooLarge),
    };
    if !reply.delay.is_zero() {
        sleep(reply.delay).await;
    }
    match reply.delivery {
        Delivery::Whole | Delivery::CutMidway => send(reply, &face, &fuse).await,
        Delivery::CutBefore | Delivery::CutAfter => silence(&fuse),
        Delivery::Hang => {
            // The wait ends when the simulator stops. If the client disconnects, this future is dropped.
            stop_signal(face.stopped).await;
            silence(&fuse)
        }
    }
}

/// Reads a request with its whole body. Returns `None` if the body is too large, and an error if the client disconnected.
async fn read(request: Request) -> Result<Option<HttpRequest>, Error> {
    let (head, body) = request.into_parts();
    let mut chunks = body.into_data_stream();
    let (mut body, mut n_bytes) = (Vec::new(), 0);
    while let Some(chunk) = chunks.try_next().await? {
        n_bytes += chunk.len();
        if n_bytes <= BODY_BYTES_MAX {
            body.extend_from_slice(&chunk);
        } else if n_bytes > DISCARD_BYTES_MAX {
            break;
        }
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let method = head.method.to_string();
    Ok((n_bytes <= BODY_BYTES_MAX).then(|| HttpRequest { method, path, headers: headers.collect(), body }))
}

/// Sends the response: all of it or, for [`Delivery::CutMidway`], its first half.
async fn send(reply: Reply, face: &HandlerState, fuse: &ConnectionBreaker) -> Response {
    let is_picture = reply.body.picture().is_some();
    let drawn = match reply.body.picture() {
        None => reply.drawn(),
        Some(picture) => {
            let Some(file) = file(picture, &face.gallery).await else { return silence(fuse) };
            reply.drawn_by(|_| file)
        }
    };
    let bytes = drawn.body.into_bytes();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(drawn.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in drawn.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_ref()), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    *response.body_mut() = if drawn.delivery == Delivery::CutMidway {
        response.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
        half(bytes, face, fuse.clone())
    } else if is_picture && face.line.is_some() {
        response.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
        Body::from_stream(pieces(bytes, face))
    } else {
        if is_picture {
            lock(&face.server).sent_of_images(bytes.len());
        }
        bytes.into()
    };
    response
}

/// Returns the file of a picture; `None` if it could not be drawn.
async fn file(picture: Picture, gallery: &PictureCache) -> Option<Vec<u8>> {
    if let Some(file) = gallery.find(picture) {
        return Some(file);
    }
    // Drawing takes milliseconds, which must not delay other tasks.
    let file = spawn_blocking(move || picture.png()).await.ok()?;
    gallery.keep(picture, &file);
    Some(file)
}

/// Splits an image into chunks. Each chunk waits for its share of the bandwidth and is counted when it is sent.
fn pieces(bytes: Vec<u8>, face: &HandlerState) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let (bytes, line, server) = (Bytes::from(bytes), face.line.clone(), Arc::clone(&face.server));
    let piece_bytes = line.as_ref().map_or(usize::MAX, |line| line.piece_bytes());
    stream::unfold(bytes, move |mut rest| {
        let (line, server) = (line.clone(), Arc::clone(&server));
        async move {
            let piece = rest.split_to(rest.len().min(piece_bytes));
            if piece.is_empty() {
                return None;
            }
            if let Some(line) = line {
                line.pass(piece.len()).await;
            }
            lock(&server).sent_of_images(piece.len());
            Some((Ok(piece), rest))
        }
    })
}

/// Returns a body with the first half of these bytes; then the connection breaks.
fn half(mut bytes: Vec<u8>, face: &HandlerState, fuse: ConnectionBreaker) -> Body {
    bytes.truncate(bytes.len() / 2);
    // When hyper requests the rest, it has buffered the first half. It flushes the buffer before it waits.
    let rest = stream::poll_fn(move |_| {
        fuse.blow_at_flush();
        Poll::Pending
    });
    Body::from_stream(pieces(bytes, face).chain(rest))
}

/// Returns a response of which no byte is sent: the connection breaks at the first byte.
fn silence(fuse: &ConnectionBreaker) -> Response {
    fuse.blow();
    Response::new(Body::empty())
}

/// Waits until the simulator is shut down or dropped.
async fn stop_signal(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
}

fn wall_clock() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn lock(server: &Mutex<Server>) -> MutexGuard<'_, Server> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}
