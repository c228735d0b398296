//! Tests of the simulator over real loopback sockets: with a real client, and with raw bytes where they matter.

use std::io::{Read, Write};
use std::net::TcpStream as StdTcpStream;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::model::request::Size;

const CAT: &str = r#"{"model":"Qwen/Qwen-Image","prompt":"a golden cat"}"#;

fn quick() -> SimulatorConfig {
    SimulatorConfig {
        latency: Duration::ZERO,
        image_size: Some(Size { width: 96, height: 64 }),
        ..SimulatorConfig::default()
    }
}

fn faulty(fault: &str) -> SimulatorConfig {
    SimulatorConfig { faults: [format!("{fault}=1").parse().unwrap()].into_iter().collect(), ..quick() }
}

fn client() -> reqwest::Client {
    // Another test may have installed a crypto provider before; any provider works.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn post(simulator: &Simulator, client: &reqwest::Client, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    let request = client.post(format!("{}/v1/images/generations", simulator.url())).bearer_auth("ms-1");
    request.header("X-ModelScope-Async-Mode", "true").header("Content-Type", "application/json").body(body)
}

async fn submit(simulator: &Simulator, client: &reqwest::Client) -> String {
    let answer = post(simulator, client, CAT).send().await.unwrap().error_for_status().unwrap();
    answer.json::<Value>().await.unwrap()["task_id"].as_str().unwrap().to_owned()
}

async fn poll(simulator: &Simulator, client: &reqwest::Client, id: &str) -> reqwest::Result<Value> {
    let request = client.get(format!("{}/v1/tasks/{id}", simulator.url())).bearer_auth("ms-1");
    request.header("X-ModelScope-Task-Type", "image_generation").send().await?.json().await
}

async fn image_link(simulator: &Simulator, client: &reqwest::Client) -> String {
    let id = submit(simulator, client).await;
    poll(simulator, client, &id).await.unwrap()["output_images"][0].as_str().unwrap().to_owned()
}

/// Returns all bytes that the service sends in response to this request, until it closes the connection.
async fn talk(simulator: &Simulator, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(simulator.url().strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    end.expect("the connection stays open").expect("a close, not a reset");
    answer
}

fn raw_submission() -> String {
    format!(
        "POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ms-1\r\nX-ModelScope-Async-Mode: true\r\n\
         Content-Length: {}\r\n\r\n{CAT}",
        CAT.len()
    )
}

#[tokio::test]
async fn a_client_gets_its_picture() {
    let simulator = Simulator::start(quick(), 0).await.unwrap();
    assert!(simulator.url().starts_with("http://127.0.0.1:"));
    let client = client();
    let link = image_link(&simulator, &client).await;
    assert!(link.starts_with(&format!("{}/img/", simulator.url())), "{link}");
    let bytes = client.get(&link).send().await.unwrap().bytes().await.unwrap();
    let reader = png::Decoder::new(io::Cursor::new(bytes)).read_info().unwrap();
    assert_eq!((reader.info().width, reader.info().height), (96, 64));
    let stats: Value = client.get(format!("{}/stats", simulator.url())).send().await.unwrap().json().await.unwrap();
    assert_eq!((&stats["accepted"], &stats["images"], &stats["token_leaks"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(lock(simulator.server()).n_accepted(CAT.as_bytes()), 1);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_dropped_connection_carries_no_byte_of_answer() {
    for (fault, n_accepted) in [("submit-cut-before", 0), ("submit-cut-after", 1)] {
        let simulator = Simulator::start(faulty(fault), 0).await.unwrap();
        assert_eq!(talk(&simulator, &raw_submission()).await, b"", "{fault}");
        assert_eq!(simulator.stats().n_accepted, n_accepted, "{fault}");
        assert!(post(&simulator, &client(), CAT).send().await.is_err(), "{fault}");
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_cut_image_ends_after_exactly_half_of_its_bytes() {
    let client = client();
    // The larger picture exceeds the buffers of hyper, and the buffer of the socket.
    for side in [64, 1500] {
        let size = Some(Size { width: side, height: side });
        let simulator = Simulator::start(SimulatorConfig { image_size: size, ..faulty("image-cut") }, 0).await.unwrap();
        let link = image_link(&simulator, &client).await;
        let path = link.strip_prefix(simulator.url()).unwrap();
        let answer = talk(&simulator, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&answer[..head_end]).to_lowercase();
        let whole: usize = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        assert_eq!(answer.len() - head_end, whole / 2, "{head}");
        let error = client.get(&link).send().await.unwrap().bytes().await.unwrap_err();
        assert!(error.is_body() || error.is_decode(), "{error:?}");
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_short_image_looks_whole_to_http() {
    let simulator = Simulator::start(faulty("image-short"), 0).await.unwrap();
    let client = client();
    let link = image_link(&simulator, &client).await;
    let answer = client.get(link).send().await.unwrap();
    let promised = answer.content_length();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(promised, Some(bytes.len() as u64));
    let mut reader = png::Decoder::new(io::Cursor::new(bytes)).read_info().unwrap();
    assert!(reader.next_frame(&mut vec![0; 96 * 64 * 3]).is_err(), "the picture breaks off");
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_cut_poll_is_no_json() {
    let simulator = Simulator::start(faulty("poll-cut"), 0).await.unwrap();
    let client = client();
    let id = submit(&simulator, &client).await;
    let answer = timeout(Duration::from_secs(10), poll(&simulator, &client, &id)).await;
    assert!(answer.expect("the connection stays open").is_err());
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_hanging_answer_never_comes_and_does_not_hold_up_the_end() {
    let simulator = Simulator::start(faulty("submit-hang"), 0).await.unwrap();
    let client = client();
    let request = post(&simulator, &client, CAT).timeout(Duration::from_millis(150)).send().await;
    assert!(request.unwrap_err().is_timeout());
    assert_eq!(simulator.stats().n_accepted, 1, "accepted all the same");
    let waiting = tokio::spawn(post(&simulator, &client, CAT).send());
    while simulator.stats().n_accepted < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    timeout(SHUTDOWN_MAX / 2, simulator.shutdown()).await.expect("nobody waits for the one who hangs");
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn bodies_are_bounded() {
    let simulator = Simulator::start(quick(), 0).await.unwrap();
    let client = client();
    let answer = post(&simulator, &client, vec![b' '; 5 * BODY_BYTES_MAX]).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.json::<Value>().await.unwrap()["errors"]["code"], 413);
    // A client that sends without end is cut off. It sees the response only if it reads in time.
    if let Ok(answer) = post(&simulator, &client, vec![b' '; 2 * DISCARD_BYTES_MAX]).send().await {
        assert_eq!(answer.status(), 413);
    }
    let fits = format!("{CAT}{}", " ".repeat(BODY_BYTES_MAX - CAT.len()));
    assert_eq!(post(&simulator, &client, fits).send().await.unwrap().status(), 200);
    assert_eq!((simulator.stats().n_refused("too-large"), simulator.stats().n_accepted), (2, 1));
    simulator.shutdown().await;
}

#[tokio::test]
async fn answers_are_held_back_for_as_long_as_asked() {
    let delay = Duration::from_millis(120);
    let simulator = Simulator::start(SimulatorConfig { answer_delay: delay, ..quick() }, 0).await.unwrap();
    let started = std::time::Instant::now();
    submit(&simulator, &client()).await;
    assert!(started.elapsed() >= delay);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_and_a_dropped_simulator_frees_its_own() {
    let simulator = Simulator::start(quick(), 0).await.unwrap();
    let port = simulator.url().rsplit(':').next().unwrap().parse().unwrap();
    let error = Simulator::start(quick(), port).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    drop(simulator);
    let again = async {
        while Simulator::start(quick(), port).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), again).await.expect("the port is free again");
}

/// Goal: `run --provider simulator` may block or drop everything at any point. Method: a test without a runtime.
#[test]
fn a_simulator_with_its_own_thread_serves_until_it_is_dropped() {
    let simulator = Simulator::spawn_thread(quick()).unwrap();
    let address = simulator.url().strip_prefix("http://").unwrap().to_owned();
    let mut stream = StdTcpStream::connect(&address).unwrap();
    stream.write_all(raw_submission().as_bytes()).unwrap();
    let mut answer = vec![0; 4096];
    let n_bytes = stream.read(&mut answer).unwrap();
    assert!(answer[..n_bytes].starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!((simulator.stats().n_accepted, lock(simulator.server()).stats().n_submits), (1, 1));
    drop(simulator);
    assert!(StdTcpStream::connect(&address).is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_simulator_with_its_own_thread_starts_and_stops_inside_a_runtime_too() {
    let simulator = Simulator::spawn_thread(quick()).unwrap();
    let stats: Value = client().get(format!("{}/stats", simulator.url())).send().await.unwrap().json().await.unwrap();
    assert_eq!(stats["submits"], 0);
}
